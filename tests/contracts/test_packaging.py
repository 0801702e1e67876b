# SPDX-License-Identifier: Apache-2.0
"""The promises of pyproject.toml: extras, a light base, one exact pin for all that is named."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)


def name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_the_extras_are_those_promised() -> None:
    assert set(EXTRAS) == {
        *("hf", "train", "judge", "report", "web"),
        *("audit", "kto", "sign", "ray", "dev", "all"),
    }
    (everything,) = EXTRAS["all"]
    assert set(re.search(r"\[(.*)\]", everything)[1].split(",")) == set(EXTRAS) - {"all"}


def test_the_base_is_light() -> None:
    assert not {"torch", "transformers", "peft", "trl"} & {
        name(requirement) for requirement in PROJECT["dependencies"]
    }


def test_all_that_is_named_has_an_exact_pin() -> None:
    named = {name(r) for rs in (PROJECT["dependencies"], *EXTRAS.values()) for r in rs}
    assert named - {"codetemper"} <= PINS.keys()
    assert PINS["torch"] == "2.13.0"
    assert all(re.fullmatch(r"[\w.]+", version) for version in PINS.values())


def test_the_version_is_said_once_and_the_same() -> None:
    import codetemper

    assert codetemper.__version__ == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
