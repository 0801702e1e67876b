# SPDX-License-Identifier: Apache-2.0
"""Bad input: three lines, the right exit code, and a workspace that still verifies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codetemper.core.workspace import Workspace
from tests.journeys.conftest import Answer, Cli


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh workspace."""
    Workspace.create(tmp_path / "project")
    return tmp_path / "project"


def told(answer: Answer, code: int, *words: str) -> None:
    """Check exit code, the three lines, and that the words are in them."""
    assert answer.code == code, answer.err
    lines = [line for line in answer.err.splitlines() if line.strip()]
    assert [line.split(":")[0].strip() for line in lines[-3:]] == ["error", "why", "mend"]
    for word in words:
        assert word in answer.err


def whole(cli: Cli, home: Path) -> None:
    """Check that the workspace verifies."""
    answer = cli("verify", "-w", home, "--json")
    assert answer.document == {"whole": True, "problems": []}
    assert answer.code == 0


def test_missing_model_folder(cli: Cli, home: Path) -> None:
    told(
        cli("eval", "hf:./no-such-model", "world-sql", "-w", home, "--limit", 1), 2, "no-such-model"
    )
    whole(cli, home)


def test_broken_safetensors(cli: Cli, home: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model_dir, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    told(cli("eval", f"hf:{broken}", "world-sql", "-w", home, "--limit", 1), 4, "safetensors")
    whole(cli, home)


def test_pickled_weights_are_refused_unopened(
    cli: Cli, home: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(tiny_model_dir, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    told(cli("eval", f"hf:{pickled}", "world-sql", "-w", home, "--limit", 1), 2, "pickle")
    whole(cli, home)


def test_suite_with_an_unknown_key(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "name: s\nsummry: x\nlanguage: c\nmetrics: []\ncases: s.jsonl\n"
    )
    answer = cli("eval", "seedling", f"suite:{tmp_path / 's.yaml'}", "-w", home)
    told(answer, 2, "summry", "did you mean 'summary'")
    whole(cli, home)


def test_repository_without_git(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    told(cli("mine", tmp_path / "plain", "-w", home), 2, "git")
    whole(cli, home)


def test_history_with_nothing_to_learn(cli: Cli, home: Path, tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / "a.c").write_text("int one(void)\n{\n    return 1;\n}\n")
    subprocess.run([*git, "add", "a.c"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Begin"], check=True)
    told(cli("mine", tmp_path, "-w", home), 2, "no fix pairs", "1 commits were read")
    whole(cli, home)


def test_sources_of_mining_that_are_none(cli: Cli, home: Path, tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "Begin"], check=True)
    listed = tmp_path / "list.csv"
    listed.write_text("repository,commit\nhttps://example.org/a," + "f" * 40 + "\n")
    told(cli("mine", "-w", home), 2, "nothing to mine")
    told(cli("mine", tmp_path, "--list", listed, "-w", home), 2, "no fix pairs", "without a clone")
    told(cli("mine", tmp_path, "--list", tmp_path / "no.csv", "-w", home), 2, "no such list")
    told(cli("mine", "--patches", tmp_path, "-w", home), 2, "no patches")
    told(cli("mine", tmp_path, "--granularity", "word", "-w", home), 2, "granularities")
    told(cli("mine", tmp_path, "-o", "revision=nowhere", "-w", home), 2, "nowhere")
    whole(cli, home)


def test_empty_corpus_folder(cli: Cli, home: Path) -> None:
    told(cli("tune", "seedling", "mine-00", "-w", home), 2, "mine-00")
    whole(cli, home)


def test_no_bubblewrap(
    cli: Cli, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "answers.jsonl"
    rows.write_text(json.dumps({"case": _a_case(), "completion": "    return 1\n"}) + "\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    told(cli("judge", "world-python", rows, "-w", home), 3, "bubblewrap")
    whole(cli, home)


def _a_case() -> str:
    from codetemper.evaluate import suites

    return suites.load("world-python", limit=1).cases[0].id


def test_completions_for_another_suite(cli: Cli, home: Path, tmp_path: Path) -> None:
    rows = tmp_path / "answers.jsonl"
    rows.write_text('{"case": "elsewhere/1", "completion": "x"}\n')
    told(cli("judge", "world-python", rows, "-w", home), 2, "elsewhere/1")
    rows.write_text("not json\n")
    told(cli("judge", "world-python", rows, "-w", home), 2, "line 1")
    whole(cli, home)


def test_unknown_setting_lists_all_mistakes(cli: Cli, home: Path) -> None:
    answer = cli("mine", home, "-w", home, "-o", "min_scor=3", "-o", "limit=zero")
    told(answer, 2, "2 error(s)", "did you mean 'min_score'")


def test_unknown_verb_and_flag(cli: Cli) -> None:
    told(cli("evl"), 2, "eval")
    told(cli("eval", "--no-such-flag"), 2, "--no-such-flag")
    told(cli("gate"), 2, "before")
    told(cli("eval", "seedling", "world-sql", "--limit", 0), 2, "--limit")


def test_no_verb_shows_the_help(cli: Cli) -> None:
    for words in ((), ("patch",)):
        answer = cli(*words)
        assert answer.code == 0
        assert "Usage: codetemper" in answer.out


def test_errors_are_json_too(cli: Cli, tmp_path: Path) -> None:
    answer = cli("mine", tmp_path, "-w", tmp_path, "--json")
    assert answer.document["error"]["exit_code"] == answer.code == 2


def test_tampering_is_found_with_exit_code_4(cli: Cli, home: Path) -> None:
    Workspace.open(home).ledger.append("note", note="first")
    Workspace.open(home).ledger.append("note", note="second")
    ledger = home / ".codetemper" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"first", b"forst"))
    answer = cli("verify", "-w", home, "--json")
    assert answer.code == 4
    assert answer.document["whole"] is False


FULL_DISK = """
mount -t tmpfs -o size=64k tmpfs {room} || exit 99
{python} -m codetemper init {room} || exit 98
head -c 65536 /dev/zero > {room}/filler 2>/dev/null
{python} -m codetemper mine {repository} -w {room}; code=$?
rm {room}/filler
{python} -m codetemper verify -w {room} >&2 || exit 97
exit $code
"""


def test_full_disk(tmp_path: Path) -> None:
    from codetemper.api.demo import plant_example

    room = tmp_path / "room"
    room.mkdir()
    script = FULL_DISK.format(
        room=room, python=sys.executable, repository=plant_example(tmp_path / "example.git")
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told(Answer(done.returncode, done.stdout, done.stderr.replace("whole", "").strip()), 2,
         "disk is full")  # fmt: skip
