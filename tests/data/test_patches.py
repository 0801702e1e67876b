# SPDX-License-Identifier: Apache-2.0
"""Folders of patch files: mails, plain diffs, what hunks show and what they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetemper.core.errors import UsageError
from codetemper.data.mine import MineConfig, MineResult, Sources, mine
from tests.data.conftest import Repository

UNSAFE = "".join(f"int filler_{i}(void);\n" for i in range(8)) + (
    "\nint copy(char *to, const char *from, size_t size)\n{\n"
    + "".join(f"    step_{i}();\n" for i in range(12))
    + "    strcpy(to, from);\n    return 0;\n}\n"
)
SAFE = UNSAFE.replace("    strcpy", "    if (strlen(from) >= size)\n        return -1;\n    strcpy")


def run(folder: Path, **config: object) -> MineResult:
    journal = folder.with_name("journal")
    journal.mkdir(exist_ok=True)
    config.setdefault("granularities", ("function", "block", "line"))
    result = mine(Sources(patches=(folder,)), MineConfig.model_validate(config), journal)
    commits = sum(n for reason, n in result.dropped.items() if reason.startswith("commit: "))
    assert result.commits_seen == result.commits_kept + commits
    return result


@pytest.fixture
def fixed(repository: Repository) -> Repository:
    repository.commit("Begin", {"src/a.c": UNSAFE, "README": "1\n"})
    repository.commit(
        "Fix büffer overflow in copy\n\nCVE-2024-0001, CWE-120.", {"src/a.c": SAFE, "README": "2\n"}
    )
    return repository


def test_a_mailed_patch_gives_blocks_and_lines(fixed: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    fixed.git("format-patch", "-q", "-1", "-o", str(folder))
    result = run(folder)
    assert result.granularities == {"block": 1, "line": 1}
    assert result.dropped == {"hunk: does not show the whole function": 1}
    block, line = result.pairs
    assert (block.commit, block.repository) == (fixed.git("rev-parse", "HEAD"), "patches")
    assert block.message == "Fix büffer overflow in copy"
    assert block.date == "2024-01-03T12:00:00+00:00"
    assert (block.cve, block.cwe, block.name) == ("CVE-2024-0001", "CWE-120", "copy")
    assert block.path == "src/a.c"
    assert "strlen" not in block.before
    assert block.after.count("\n") == block.before.count("\n") + 2
    assert line.after == "    if (strlen(from) >= size)\n        return -1;\n"
    assert line.before == ""
    assert line.context + line.after == block.after[: len(line.context + line.after)]
    assert block.licence is None
    assert result.sources == ("patches:patches",)


def test_a_patch_that_shows_the_whole_function_gives_it(fixed: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    fixed.git("format-patch", "-q", "-1", "-W", "-o", str(folder))
    pair = next(p for p in run(folder).pairs if p.granularity == "function")
    assert pair.after == SAFE[SAFE.index("int copy") :]
    assert pair.before == UNSAFE[UNSAFE.index("int copy") :]
    assert pair.after[pair.body_start :].startswith("    step_0();")


def test_many_messages_in_one_file(fixed: Repository, tmp_path: Path) -> None:
    later = SAFE.replace("return 0;", "return done();")
    fixed.commit("Fix CVE-2024-0002", {"src/a.c": later})
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "all.patch").write_text(fixed.git("format-patch", "--stdout", "-2") + "\n")
    result = run(folder)
    assert (result.commits_seen, result.commits_kept) == (2, 2)
    assert {p.cve for p in result.pairs} == {"CVE-2024-0001", "CVE-2024-0002"}


def test_a_plain_diff_is_labelled_by_its_name(fixed: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    text = "Description: check the size\nOrigin: upstream\n" + fixed.git("diff", "HEAD~1") + "\n"
    (folder / "CVE-2023-1234.patch").write_text(text)
    pair = run(folder).pairs[0]
    assert (pair.commit, pair.cve) == ("CVE-2023-1234.patch", "CVE-2023-1234")
    assert pair.message == "Description: check the size"


def test_what_gives_nothing_is_named(fixed: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    fixed.commit("Words", {"src/a.c": SAFE.replace("    strcpy", "  /* hm */ strcpy")})
    (folder / "words.diff").write_text(fixed.git("diff", "HEAD~1") + "\n")
    fixed.commit("Test", {"tests/b.c": "int a;\n"})
    fixed.commit("Test 2", {"tests/b.c": "int b;\n"})
    (folder / "tests.diff").write_text(fixed.git("diff", "HEAD~1") + "\n")
    (folder / "binary.patch").write_bytes(b"\0\1\2")
    (folder / "torn.patch").write_text("--- a/x.c\n+++ b/x.c\n@@ -1,9 +1,9 @@\n-int a;\n")
    (folder / "latin.patch").write_bytes("Grüße\n".encode("latin-1"))
    (folder / "notes.txt").write_text("no patch")
    result = run(folder)
    assert result.notes == {"files that are not UTF-8": 1}
    assert result.commits_kept == 0
    assert result.dropped == {
        "commit: no source file changed": 2,
        "commit: only white space or comments changed": 1,
        "commit: patch file that is binary": 1,
        "commit: patch that is torn": 1,
        "file: test, vendored or generated path": 1,
        "hunk: only white space or comments changed": 1,
    }


@pytest.mark.parametrize(
    "head",
    [
        "",
        "Subject: =?bogus?q?x?=\nDate: Mon, 1 Jan 2024 00:00:00 +99999999999999999\n\n",
        "Subject: =?utf-8?b?####?=\nDate: yesterday\n\n",
        "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: text/plain\n\nFix\n\n--b--\n",
    ],
)
def test_a_mail_that_is_odd_is_read_all_the_same(
    head: str, fixed: Repository, tmp_path: Path
) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    text = f"From {'a' * 40} Mon Sep 17 00:00:00 2001\n{head}{fixed.git('diff', 'HEAD~1')}\n"
    (folder / "CVE-2023-1234.patch").write_text(text)
    pair = run(folder).pairs[0]
    assert (pair.commit, pair.cve, pair.date) == ("a" * 40, "CVE-2023-1234", "")
    (folder / "CVE-2023-1234.patch").write_text(f"From {'a' * 40} Mon Sep 17")
    assert run(folder).dropped == {"commit: no source file changed": 1}


def test_no_patches(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no patches"):
        run(tmp_path / "nowhere")
