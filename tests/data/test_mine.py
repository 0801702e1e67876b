# SPDX-License-Identifier: Apache-2.0
"""Mining small real repositories: what is kept, what is dropped and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from codetemper.core.errors import UsageError
from codetemper.core.records import Event
from codetemper.data.mine import MineConfig, MineResult, Sources, mine
from tests.data.conftest import Repository

FIX = "Fix buffer overflow in copy (CVE-2024-0001, CWE-787)"
UNSAFE = """\
#include <string.h>

/* Copy a name. */
int copy(char *to, const char *from, size_t size)
{
    strcpy(to, from);
    return 0;
}

int other(void)
{
    return 1;
}
"""
SAFE = UNSAFE.replace(
    "    strcpy(to, from);\n",
    "    if (strlen(from) >= size)\n        return -1;\n    strcpy(to, from);\n",
)


def run(repository: Repository, **config: object) -> MineResult:
    folder = repository.root.with_name(f"journal-{repository.root.name}")
    folder.mkdir(exist_ok=True)
    result = mine(Sources((repository.root,)), MineConfig.model_validate(config), folder)
    commits = sum(n for reason, n in result.dropped.items() if reason.startswith("commit: "))
    assert result.commits_seen == result.commits_kept + commits
    return result


def test_a_fix_becomes_a_pair(repository: Repository) -> None:
    repository.commit("Begin", {"src/copy.c": UNSAFE})
    fix = repository.commit(FIX + "\n\nReported by Eve.", {"src/copy.c": SAFE})
    result = run(repository)
    (pair,) = result.pairs
    assert pair.language == "c"
    assert pair.name == "copy"
    assert pair.path == "src/copy.c"
    assert pair.repository == "project"
    assert (pair.commit, pair.message, pair.date) == (fix, FIX, "2024-01-03T12:00:00+00:00")
    assert (pair.cve, pair.cwe) == ("CVE-2024-0001", "CWE-787")
    assert "CVE-2024-0001" in pair.evidence
    assert pair.before.startswith("/* Copy a name. */\nint copy(")
    assert pair.after[: pair.body_start].endswith("size_t size)\n{\n")
    assert pair.after[pair.body_start :].startswith("    if (strlen")
    assert pair.changed_lines_before == ()
    assert pair.changed_lines_after == (3, 4)
    assert result.by_cwe == {"CWE-787": 1}
    assert result.commits_kept == 1
    assert result.dropped == {"commit: no security reason in the message": 1}


def test_the_same_history_gives_the_same_pairs(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE, "b.py": "def f(x):\n    return eval(x)\n"})
    repository.commit(FIX, {"a.c": SAFE})
    repository.commit("Fix arbitrary code execution", {"b.py": "def f(x):\n    return int(x)\n"})
    first, second = run(repository), run(repository)
    assert [p.digest() for p in first.pairs] == [p.digest() for p in second.pairs]
    assert [p.name for p in first.pairs] == ["f", "copy"]
    assert len({p.id for p in first.pairs}) == 2


def test_python_methods(repository: Repository) -> None:
    source = 'class A:\n    def get(self, name):\n        """Get."""\n        return db(BODY)\n'
    repository.commit("Begin", {"a.py": source.replace("BODY", '"x=" + name')})
    repository.commit("Prevent SQL injection", {"a.py": source.replace("BODY", '"x=?", name')})
    (pair,) = run(repository).pairs
    assert (pair.name, pair.cwe) == ("A.get", "CWE-89")
    assert pair.after[: pair.body_start] == 'def get(self, name):\n    """Get."""\n'
    assert pair.after[pair.body_start :] == '    return db("x=?", name)\n'


def test_line_ends_are_made_one(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    repository.commit(FIX, {"a.c": SAFE.replace("\n", "\r\n")})
    (pair,) = run(repository).pairs
    assert "\r" not in pair.after
    assert pair.changed_lines_after == (3, 4)


def test_a_change_of_line_ends_alone_is_none(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    repository.commit("Security: normalise line ends", {"a.c": UNSAFE.replace("\n", "\r\n")})
    assert run(repository, min_score=1).dropped["commit: no function modified"] == 1


def test_a_renamed_file_keeps_its_other_side(repository: Repository) -> None:
    filler = "".join(f"int filler_{i}(void)\n{{\n    return {i};\n}}\n\n" for i in range(20))
    repository.commit("Begin", {"a.c": filler + UNSAFE})
    repository.commit(FIX, {"a.c": None, "lib/b.c": filler + SAFE})
    (pair,) = run(repository).pairs
    assert (pair.name, pair.path) == ("copy", "lib/b.c")


def test_a_merge_that_names_the_cve_gives_it_to_its_commits(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE, "z.c": "int z;\n"})
    repository.git("checkout", "-q", "-b", "topic")
    half = SAFE.replace("        return -1;\n", "        return 0;\n")
    first = repository.commit("copy: look at the size", {"a.c": half})
    second = repository.commit("copy: say that it failed", {"a.c": SAFE})
    repository.commit("Note it", {"Changes": "new\n"})
    repository.git("checkout", "-q", "main")
    repository.commit("Meanwhile", {"z.c": "int zz;\n"})
    merge = repository.merge("topic", "Merge pull request #7\n\nFixes CVE-2024-0002 (CWE-120)")
    result = run(repository)
    assert [(p.commit, p.cve, p.cwe) for p in result.pairs] == [
        (second, "CVE-2024-0002", "CWE-120"), (first, "CVE-2024-0002", "CWE-120"),
    ]  # fmt: skip
    assert all(f"merge {merge[:12]} brought it in" in p.evidence for p in result.pairs)
    assert result.dropped == {
        "commit: merge, whose commits are looked at one by one": 1,
        "commit: no security reason in the message": 2,
        "commit: no source file changed": 1,
    }
    many = run(repository, max_commits_per_merge=2)
    assert many.dropped["commit: merge that brings in more than one fix"] == 1


def test_other_merges_are_not_expanded(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE, "z.c": "int z;\n"})
    repository.git("checkout", "-q", "-b", "topic")
    inner = repository.commit(FIX, {"a.c": SAFE})
    repository.git("checkout", "-q", "main")
    repository.commit("Meanwhile", {"z.c": "int zz;\n"})
    repository.merge("topic", "Merge the security fixes against buffer overflow")
    result = run(repository)
    assert [p.commit for p in result.pairs] == [inner]
    assert result.dropped["commit: merge that names no CVE"] == 1


def test_cosmetic_changes_are_dropped(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    tidy = UNSAFE.replace("    strcpy(to, from);", "  /* overflow! */ strcpy( to, from );")
    repository.commit("Comment on the buffer overflow", {"a.c": tidy})
    result = run(repository)
    assert len(result.pairs) == 0
    assert result.dropped["function: only white space or comments changed"] == 1
    assert result.dropped["commit: only white space or comments changed"] == 1


def test_tangled_commits_are_dropped(repository: Repository) -> None:
    def source(value: int) -> str:
        return "".join(f"int f{i}(void)\n{{\n    return {value};\n}}\n" for i in range(4))

    repository.commit("Begin", {"a.c": source(0), "b.c": source(1)})
    repository.commit(FIX, {"a.c": source(2), "b.c": source(3)})
    assert len(run(repository).pairs) == 8
    few = run(repository, max_functions_per_commit=7)
    assert few.dropped["commit: tangled, too many functions"] == 1
    files = run(repository, max_files_per_commit=1)
    assert files.dropped["commit: tangled, too many files"] == 1
    assert len(few.pairs) == len(files.pairs) == 0


@pytest.mark.parametrize(
    "path", ["tests/a.c", "lib/vendor/x/a.c", "third_party/a.c", "a_test.c", "test_a.c", "fuzz/a.c"]
)
def test_paths_that_are_no_product_are_dropped(repository: Repository, path: str) -> None:
    repository.commit("Begin", {path: UNSAFE})
    repository.commit(FIX, {path: SAFE})
    result = run(repository)
    assert len(result.pairs) == 0
    assert result.dropped["file: test, vendored or generated path"] == 1
    assert len(run(repository, keep_tests=True).pairs) == 1


def test_product_paths_that_only_sound_alike_are_kept(repository: Repository) -> None:
    repository.commit("Begin", {"src/attest/contest.c": UNSAFE})
    repository.commit(FIX, {"src/attest/contest.c": SAFE})
    assert len(run(repository).pairs) == 1


def test_reverts_roots_and_what_was_taken_back(repository: Repository) -> None:
    repository.commit("Import with security fixes for CVE-2020-0001", {"a.c": UNSAFE})
    fix = repository.commit(FIX, {"a.c": SAFE})
    repository.git("revert", "--no-edit", fix)
    again = repository.commit(FIX + ", again", {"a.c": SAFE})
    result = run(repository)
    assert [p.commit for p in result.pairs] == [again]
    assert result.dropped == {
        "commit: no parent to compare with": 1,
        "commit: revert": 1,
        "commit: reverted later": 1,
    }


def test_a_revert_that_was_reverted_takes_nothing_back(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    fix = repository.commit(FIX, {"a.c": SAFE})
    repository.git("revert", "--no-edit", fix)
    repository.git("revert", "--no-edit", "HEAD")
    assert [p.commit for p in run(repository).pairs] == [fix]


def test_a_revert_that_names_only_the_subject(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    repository.commit(FIX, {"a.c": SAFE})
    repository.commit(f'Revert "{FIX}"', {"a.c": UNSAFE})
    result = run(repository)
    assert len(result.pairs) == 0
    assert result.dropped["commit: reverted later"] == 1


def test_a_back_port_counts_once(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    repository.git("branch", "release")
    repository.commit(FIX, {"a.c": SAFE, "ChangeLog": "main"})
    repository.git("checkout", "-q", "release")
    newest = repository.commit(FIX + " [release]", {"a.c": SAFE})
    repository.git("merge", "-q", "-s", "ours", "-m", "Join", "main")
    result = run(repository)
    assert [p.commit for p in result.pairs] == [newest]
    same = "commit: the same change as a younger one (back-port, cherry-pick)"
    assert result.dropped[same] == 1


def test_contents_that_cannot_be_read_are_counted_never_fatal(repository: Repository) -> None:
    latin = UNSAFE.replace("Copy a name", "K\u00f6pie").encode("latin-1")
    fixed = SAFE.replace("Copy a name", "K\u00f6pie").encode("latin-1")
    repository.commit("Begin", {"latin.c": latin, "lost.c": UNSAFE, "bin.c": b"\0\1"})
    lost = repository.git("rev-parse", "HEAD:lost.c")
    repository.commit(FIX, {"latin.c": fixed, "lost.c": SAFE + "\n// longer\n", "bin.c": b"\0\2"})
    (repository.root / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    result = run(repository)
    (pair,) = result.pairs
    assert pair.path == "latin.c"
    assert "\ufffd" in pair.after
    assert result.notes["files that are not UTF-8"] == 2
    assert result.dropped["file: contents missing, binary or too large"] == 2


def test_commits_without_a_pair_say_why(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE, "docs.txt": "1"})
    repository.commit("Remove the vulnerable function", {"a.c": UNSAFE.split("/*")[0]})
    repository.commit("Add the secure function (CVE-2020-0003)", {"a.c": SAFE})
    repository.commit("Remove the vulnerable file", {"a.c": None})
    repository.commit("Add the secure file (CVE-2020-0003)", {"b.c": SAFE})
    repository.commit("Security: define", {"b.c": "#define A 1\n" + SAFE})
    repository.commit("Security: words (CVE-2020-0004)", {"docs.txt": "2"})
    repository.commit("Nothing (CVE-2020-0005)", {})
    assert run(repository, min_score=3).dropped == {
        "commit: empty, no contents changed": 1,
        "commit: no function modified": 1,
        "commit: no security reason in the message": 1,
        "commit: no source file changed": 1,
        "commit: only adds functions or files": 2,
        "commit: only deletes functions or files": 2,
    }


def test_languages_window_and_limit(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    repository.commit(FIX, {"a.c": SAFE})
    repository.commit("Later", {"b.c": ""})
    assert len(run(repository, languages=["python"]).pairs) == 0
    assert run(repository, limit=1).commits_seen == 1
    assert run(repository, since="2024-01-04T00:00:00Z").commits_seen == 1
    assert run(repository, until="2024-01-02T13:00:00Z").commits_seen == 1
    assert len(run(repository, min_score=99).pairs) == 0


def test_several_histories_in_the_order_given(tmp_path: Path) -> None:
    repositories = [Repository(tmp_path / name) for name in ("one", "two")]
    for number, repository in enumerate(repositories):
        repository.commit("Begin", {"a.c": UNSAFE})
        repository.commit(FIX, {"a.c": SAFE.replace("-1", f"-{number + 1}")})
    result = mine(Sources(tuple(r.root for r in repositories)), MineConfig(), tmp_path)
    assert [p.repository for p in result.pairs] == ["one", "two"]
    assert result.sources == ("one", "two")
    assert result.commits_seen == 4


def test_an_empty_history_is_counted_not_refused(repository: Repository) -> None:
    result = run(repository)
    assert (list(result.pairs), result.commits_seen, result.dropped) == ([], 0, {})


def test_progress_reaches_the_total(repository: Repository, tmp_path: Path) -> None:
    repository.commit("Begin", {"a.c": UNSAFE})
    repository.commit(FIX, {"a.c": SAFE})
    events: list[Event] = []
    mine(Sources((repository.root,)), MineConfig(), tmp_path, on_event=events.append)
    assert (events[-1].done, events[-1].total, events[-1].unit) == (2, 2, "commits")
    assert events[-1].note == "1 pairs"


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        mine(Sources((tmp_path,)), MineConfig(), tmp_path)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        MineConfig.model_validate({"min_scores": 3})
