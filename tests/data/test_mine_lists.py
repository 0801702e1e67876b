# SPDX-License-Identifier: Apache-2.0
"""Mining what lists name; several processes; killed runs; histories with holes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.journal import Journal
from codetemper.core.records import Event
from codetemper.data import mine as mining
from codetemper.data.mine import MineConfig, MineResult, Sources, mine
from tests.data.conftest import Repository
from tests.data.test_mine import SAFE, UNSAFE

SAME = "commit: the same change as a younger one (back-port, cherry-pick)"


def digests(result: MineResult) -> list[str]:
    return [pair.digest() for pair in result.pairs]


def long_history(root: Path, commits: int) -> Path:
    """Write a history of fixes in one stream, each in a function of its own file."""
    stream = []
    for number in range(commits):
        mark = f"Fix buffer overflow number {number} (CVE-2024-{1000 + number})"
        text = UNSAFE if number == 0 else SAFE.replace("size)", f"size - {number})", 1)
        stream += [
            "commit refs/heads/main", f"author A <a@x.org> {1_700_000_000 + number} +0000",
            f"committer A <a@x.org> {1_700_000_000 + number} +0000", f"data {len(mark)}", mark,
            "M 100644 inline src/a.c", f"data {len(text)}", text, "",
        ]  # fmt: skip
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(root)], check=True)
    subprocess.run(
        ["git", "-C", str(root), "fast-import", "--quiet"], input="\n".join(stream).encode(),
        check=True,
    )  # fmt: skip
    return root


def test_a_list_chooses_the_commits_and_their_weakness(
    repository: Repository, tmp_path: Path
) -> None:
    repository.git("remote", "add", "origin", "git@github.com:ada/engine.git")
    repository.commit("Begin", {"a.c": UNSAFE})
    plain = repository.commit("Look at the size", {"a.c": SAFE})
    repository.commit("Fix buffer overflow", {"a.c": SAFE.replace("-1", "-2")})
    listed = tmp_path / "list.csv"
    rows = [
        ("https://github.com/Ada/Engine", plain[:10], "CWE-120"),
        ("https://github.com/Ada/Engine", "f" * 40, "CWE-120"),
        ("https://github.com/ada/elsewhere", plain, "CWE-120"),
        ("https://github.com/Ada/Engine", plain, "CWE-787"),
    ]
    listed.write_text("repository,commit,cwe\n" + "".join(f"{','.join(row)}\n" for row in rows))
    result = mine(Sources((repository.root,), (listed,)), MineConfig(), tmp_path)
    (pair,) = result.pairs
    assert (pair.commit, pair.cwe) == (plain, "CWE-120")
    assert "listed as CWE-120" in pair.evidence
    assert (result.commits_seen, result.commits_kept) == (1, 1)
    assert result.dropped == {
        "list: commit listed more than once": 1,
        "list: commit that its clone does not have": 1,
        "list: repository without a clone among those given": 1,
    }
    assert result.sources == ("git@github.com:ada/engine", "list:list.csv")


def test_a_listed_fix_that_was_reverted_and_a_listed_merge(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit("Begin", {"a.c": UNSAFE, "z.c": "int z;\n"})
    undone = repository.commit("Look at it", {"a.c": SAFE})
    repository.git("revert", "--no-edit", undone)
    repository.git("checkout", "-q", "-b", "topic")
    inner = repository.commit("Look at the size", {"a.c": SAFE.replace("-1", "-2")})
    repository.git("checkout", "-q", "main")
    repository.commit("Meanwhile", {"z.c": "int zz;\n"})
    merge = repository.merge("topic", "Merge it")
    listed = tmp_path / "list.csv"
    listed.write_text(f"repository,commit,cve\nproject,{undone},\nproject,{merge},CVE-2024-1\n"
                      f"project,{merge},CVE-2024-1111\n")  # fmt: skip
    result = mine(Sources((repository.root,), (listed,)), MineConfig(), tmp_path)
    assert [(p.commit, p.cve) for p in result.pairs] == [(inner, "CVE-2024-1111")]
    assert result.dropped == {
        "commit: merge, whose commits are looked at one by one": 1,
        "commit: reverted later": 1,
    }
    assert result.commits_seen == 3


def test_two_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "_BATCH", 5)
    history = long_history(tmp_path / "long.git", 32)
    results = []
    for processes in (1, 2):
        folder = tmp_path / f"{processes}"
        folder.mkdir()
        results.append(mine(Sources((history,)), MineConfig(), folder, processes=processes))
    one, two = results
    assert len(one.pairs) == 31
    assert digests(one) == digests(two)
    assert (one.dropped, one.notes, one.by_cwe) == (two.dropped, two.notes, two.by_cwe)


KILLED = """
import sys
from pathlib import Path
from codetemper.data import mine as mining
mining._BATCH = 4
def slow(event):
    print(event.done, flush=True)
    if event.done >= 24:
        import time
        time.sleep(600)
if __name__ == "__main__":
    sources = mining.Sources((Path(sys.argv[1]),))
    mining.mine(sources, mining.MineConfig(), Path(sys.argv[2]), processes=int(sys.argv[3]),
                on_event=slow)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_goes_on_with_nothing_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    history = long_history(tmp_path / "long.git", 60)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    folder = tmp_path / "journal"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(history), str(folder), str(processes)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while int(process.stdout.readline()) < 24:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (path,) = folder.glob("*.sqlite")
    done = Journal(path).count()
    assert done > 0
    monkeypatch.setattr(mining, "_BATCH", 4)
    harvested: list[str] = []
    plain = mining._Run._take

    def counted(self: mining._Run, key: str, harvest: mining.Harvest) -> object:
        harvested.extend(outcome.commit for outcome in harvest.outcomes)
        return plain(self, key, harvest)

    monkeypatch.setattr(mining._Run, "_take", counted)
    resumed = mine(Sources((history,)), MineConfig(), folder)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert 0 < len(harvested) <= 60 - 20
    harvested.clear()
    assert digests(resumed) == digests(mine(Sources((history,)), MineConfig(), fresh))
    assert len(resumed.pairs) == 59
    assert resumed.commits_seen == 60


def test_a_killed_worker_is_said_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "_BATCH", 4)
    history = long_history(tmp_path / "long.git", 60)
    sources = Sources((history,))

    def kill(event: Event) -> None:
        for pid in _children(os.getpid()):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(CannotKnowError, match="a mining process ended"):
        mine(sources, MineConfig(), tmp_path, processes=2, on_event=kill)
    assert len(mine(sources, MineConfig(), tmp_path).pairs) == 59


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    history = long_history(tmp_path / "long.git", 60)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    process = subprocess.Popen(
        [sys.executable, str(script), str(history), str(tmp_path), "2"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while int(process.stdout.readline()) < 24:
        pass
    workers = _children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.1)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            program = os.readlink(stat.with_name("exe"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if int(fields[1]) == parent and "python" in program:
            found.append(int(stat.parent.name))
    return found


def test_the_same_sources_are_not_mined_twice_at_once(
    repository: Repository, tmp_path: Path
) -> None:
    from filelock import FileLock

    repository.commit("Begin", {"a.c": UNSAFE})
    sources = Sources((repository.root,))
    mine(sources, MineConfig(), tmp_path)
    (journal,) = tmp_path.glob("mine-*.sqlite")
    with FileLock(journal.with_suffix(".lock")), pytest.raises(UsageError, match="already"):
        mine(sources, MineConfig(), tmp_path)


def test_holes_links_and_odd_files_are_named(repository: Repository, tmp_path: Path) -> None:
    repository.commit("Begin", {"a.c": UNSAFE, "big.c": UNSAFE})
    other = Repository(tmp_path / "other")
    other.commit("Inside", {"x.c": "int x;\n"})
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q",
                   str(other.root), "sub")  # fmt: skip
    repository.commit("Security: take the submodule in (CVE-2024-0001)", {})
    other.commit("Fix it", {"x.c": "int y;\n"})
    repository.git("-C", "sub", "-c", "protocol.file.allow=always", "pull", "-q")
    repository.commit("Security: newer submodule (CVE-2024-0002)", {})
    repository.commit("Fix CVE-2024-0003", {"big.c": SAFE + "// " + "x" * 3000 + "\n"})
    repository.commit("Fix CVE-2024-0004", {"a.c": SAFE})
    result = mine(
        Sources((repository.root,)), MineConfig(max_file_bytes=2000, min_score=3), tmp_path
    )
    assert [pair.path for pair in result.pairs] == ["a.c"]
    assert result.dropped["commit: only submodules or symbolic links changed"] == 1
    assert result.dropped["file: submodule or symbolic link"] == 2
    assert result.dropped["commit: contents missing, binary or too large"] == 1


def test_a_shallow_clone_names_where_it_was_cut(repository: Repository, tmp_path: Path) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    for number in range(3):
        repository.commit(f"Fix CVE-2024-000{number}", {"a.c": SAFE.replace("-1", f"-{number}")})
    shallow = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth", "2", f"file://{repository.root}", str(shallow))
    result = mine(Sources((shallow,)), MineConfig(), tmp_path)
    assert len(result.pairs) == 1
    assert result.dropped == {"commit: where a shallow clone was cut off": 1}


def test_a_rewritten_history_ends_where_its_objects_do(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    for number in range(4):
        repository.commit(f"Fix CVE-2024-000{number}", {"a.c": SAFE.replace("-1", f"-{number}")})
    lost = repository.git("rev-parse", "HEAD~3")
    (repository.root / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    result = mine(Sources((repository.root,)), MineConfig(), tmp_path)
    assert result.notes["histories that end at a missing commit"] == 1
    assert result.commits_seen in (1, 2, 3)
    reasons = sum(n for reason, n in result.dropped.items() if reason.startswith("commit: "))
    assert result.commits_seen == result.commits_kept + reasons


def test_pieces_of_every_granularity_with_licence_and_quality(
    repository: Repository, tmp_path: Path
) -> None:
    licence = "Permission is hereby granted, free of charge, to any person obtaining a copy"
    repository.commit("Begin", {"a.c": UNSAFE, "LICENSE": licence})
    repository.commit("Fix CVE-2024-0001 in copy", {"a.c": SAFE})
    config = MineConfig(granularities=("line", "file", "block", "function"))
    result = mine(Sources((repository.root,)), config, tmp_path)
    assert [pair.granularity for pair in result.pairs] == ["file", "function", "block", "line"]
    assert len({pair.id for pair in result.pairs}) == 4
    assert {(pair.licence, pair.quality) for pair in result.pairs} == {("MIT", 1.0)}
    whole = result.pairs[0]
    assert (whole.name, whole.before, whole.after) == ("a.c", UNSAFE, SAFE)
    line = result.pairs[3]
    assert line.context + line.after in whole.after
    assert result.granularities == {"block": 1, "file": 1, "function": 1, "line": 1}
