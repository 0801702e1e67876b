# SPDX-License-Identifier: Apache-2.0
"""Settings come from defaults, file, environment and flags, in that order; all errors at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.errors import UsageError
from codetemper.core.settings import resolve_config


class Oven(BaseModel):
    """A configuration to resolve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heat: int = Field(default=1, ge=0)
    fan: bool = False
    racks: tuple[str, ...] = ()
    rate: float = 0.5
    since: str = ""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "oven.yaml"
    path.write_text(text, "utf-8")
    return path


def resolve(**given: object) -> Oven:
    return resolve_config(Oven, "bake", **{"environment": {}, **given})  # type: ignore[arg-type]


def test_later_sources_go_before_earlier_ones(tmp_path: Path) -> None:
    file = write(tmp_path, "heat: 3\n")
    environment = {"CODETEMPER_BAKE_HEAT": "4", "CODETEMPER_OTHER_HEAT": "9", "HEAT": "9"}
    pairs = ["heat=5"]
    assert resolve().heat == 1
    assert resolve(defaults={"heat": 2}).heat == 2
    assert resolve(defaults={"heat": 2}, file=file).heat == 3
    assert resolve(defaults={"heat": 2}, file=file, environment=environment).heat == 4
    assert resolve(file=file, environment=environment, pairs=pairs).heat == 5
    assert resolve(environment=environment, pairs=pairs, flags={"heat": 6}).heat == 6
    assert resolve(pairs=pairs, flags={"heat": None}).heat == 5


def test_each_source_keeps_what_the_next_does_not_name(tmp_path: Path) -> None:
    file = write(tmp_path, "fan: true\nheat: 3\n")
    found = resolve(file=file, pairs=["racks=[top, low]"], flags={"heat": 7})
    assert found == Oven(heat=7, fan=True, racks=("top", "low"))


def test_the_process_s_own_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODETEMPER_BAKE_FAN", "yes")
    assert resolve_config(Oven, "bake").fan is True


def test_texts_mean_what_yaml_says() -> None:
    found = resolve(pairs=["fan=on", "rate=5e-4", "heat= 3 "])
    assert found == Oven(fan=True, rate=5e-4, heat=3)


def test_dates_stay_texts(tmp_path: Path) -> None:
    assert resolve(pairs=["racks=[a]", "since=2015-01-01"]).since == "2015-01-01"
    assert resolve(file=write(tmp_path, "since: 2015-01-01\n")).since == "2015-01-01"


def test_a_file_may_hold_sections(tmp_path: Path) -> None:
    assert resolve(file=write(tmp_path, "bake: {heat: 8}\nroast: {heat: 9}\n")).heat == 8
    assert resolve(file=write(tmp_path, "")).heat == 1


def test_all_errors_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(pairs=["haet=3", "heat=-1", "zzz=1", "racks", "fan=[", "rate=fast"])
    error = caught.value
    assert error.exit_code == 2
    assert "6 error(s)" in error.what
    for words in (
        "did you mean 'heat'",
        "heat: Input should be greater",
        "zzz: no such setting",
        "'-o racks': it has no '='",
        "fan: not a YAML value",
        "rate: Input should be a valid number",
    ):
        assert words in error.why
    assert error.mend == "settings: heat, fan, racks, rate, since"


@pytest.mark.parametrize(
    ("text", "message"), [("- 1\n", "does not hold settings"), ("a: [", "is not YAML")]
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(file=write(tmp_path, text))
    with pytest.raises(UsageError, match="cannot read"):
        resolve(file=tmp_path / "missing.yaml")


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    file = write(tmp_path, "heat: !!python/object/apply:os.getpid []\n")
    with pytest.raises(UsageError, match="is not YAML"):
        resolve(file=file)
