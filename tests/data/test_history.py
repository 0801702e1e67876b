# SPDX-License-Identifier: Apache-2.0
"""Reading git: messages, changes with renames, blobs, and what is not a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetemper.core.errors import UsageError
from codetemper.data.history import Change, History
from tests.data.conftest import Repository


def test_commits_come_newest_first_with_whole_messages(repository: Repository) -> None:
    first = repository.commit("One", {"a.c": "int a;\n"})
    second = repository.commit("Zwei: ümläut\n\nBody of it.\n", {"a.c": "int b;\n"})
    with History(repository.root) as history:
        commits = list(history.commits())
        assert history.count("HEAD") == 2
    assert [c.hash for c in commits] == [second, first]
    assert commits[0].subject == "Zwei: ümläut"
    assert "Body of it." in commits[0].message
    assert commits[0].parents == (first,)
    assert commits[1].parents == ()
    assert commits[0].date.startswith("2024-01-03T12:00:00")


def test_empty_messages_do_not_shift_the_fields(repository: Repository) -> None:
    repository.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", "")
    repository.commit("Second", {"a": "1"})
    with History(repository.root) as history:
        assert [c.subject for c in history.commits()] == ["Second", ""]


def test_changes_follow_renames_and_leave_out_added_and_deleted(repository: Repository) -> None:
    body = "".join(f"int line_{i};\n" for i in range(30))
    repository.commit("One", {"old name.c": body, "gone.c": "x", "same.c": "s", "m.c": "1\n"})
    repository.commit(
        "Two",
        {"old name.c": None, "sub/ü.c": body + "int more;\n", "gone.c": None, "new.c": "n",
         "m.c": "2\n"},
    )  # fmt: skip
    with History(repository.root) as history:
        newest = next(history.commits())
        changes = history.changes([newest])[newest.hash]
        assert changes is not None
        assert sorted(c.path for c in changes) == ["m.c", "sub/ü.c"]
        moved = next(c for c in changes if c.path == "sub/ü.c")
        assert history.blob(moved.before) == body.encode()
        assert history.blob(moved.after) == (body + "int more;\n").encode()


def test_changes_of_many_commits_at_once(repository: Repository) -> None:
    for number in range(5):
        repository.commit(f"Commit {number}", {"a.c": f"int a{number};\n", f"{number}.c": ""})
    repository.commit("Nothing", {})
    with History(repository.root) as history:
        commits = [c for c in history.commits() if c.parents]
        changes = history.changes(commits)
    assert [len(changes[c.hash] or []) for c in commits] == [0, 1, 1, 1, 1]


def test_a_missing_blob_is_none_and_the_stream_goes_on(repository: Repository) -> None:
    repository.commit("One", {"a.c": "int a;\n"})
    with History(repository.root, max_file_bytes=10) as history:
        known = repository.git("rev-parse", "HEAD:a.c")
        repository.write({"big": "x" * 11})
        big = repository.git("hash-object", "-w", "big")
        assert history.blob("0" * 40) is None
        assert history.blob(big) is None
        assert history.blob(repository.git("rev-parse", "HEAD^{tree}")) is None
        assert history.blob(known) == b"int a;\n"


def remove_object(repository: Repository, name: str) -> None:
    (repository.root / ".git" / "objects" / name[:2] / name[2:]).unlink()


def test_renames_that_need_a_missing_blob_are_compared_without_looking(
    repository: Repository,
) -> None:
    body = "".join(f"int line_{i};\n" for i in range(30))
    repository.commit("One", {"old.c": body, "a.c": "1\n"})
    lost = repository.git("rev-parse", "HEAD:old.c")
    repository.commit("Two", {"old.c": None, "new.c": body + "int z;\n", "a.c": "2\n"})
    repository.commit("Three", {"a.c": "3\n"})
    remove_object(repository, lost)
    with History(repository.root) as history:
        commits = [c for c in history.commits() if c.parents]
        changes = history.changes(commits)
    assert [[c.path for c in changes[x.hash] or []] for x in commits] == [["a.c"], ["a.c"]]


def test_a_missing_tree_makes_its_commit_unknown_only(repository: Repository) -> None:
    repository.commit("One", {"a.c": "1\n"})
    repository.commit("Two", {"a.c": "2\n"})
    repository.commit("Three", {"a.c": "3\n"})
    repository.commit("Four", {"a.c": "4\n"})
    remove_object(repository, repository.git("rev-parse", "HEAD~3^{tree}"))
    with History(repository.root) as history:
        commits = [c for c in history.commits() if c.parents]
        changes = history.changes(commits)
    assert [changes[c.hash] is None for c in commits] == [False, False, True]


def test_an_unborn_branch_has_no_commits(repository: Repository) -> None:
    with History(repository.root) as history:
        assert history.count("HEAD") == 0
        assert list(history.commits()) == []


def test_shallow_clones_end_where_they_end(repository: Repository, tmp_path: Path) -> None:
    for number in range(3):
        repository.commit(f"{number}", {"a.c": f"{number}\n"})
    shallow = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth", "2", f"file://{repository.root}", str(shallow))
    with History(shallow) as history:
        assert [len(c.parents) for c in history.commits()] == [1, 0]


def test_origin_has_no_credentials_and_no_local_path(repository: Repository) -> None:
    with History(repository.root) as history:
        assert history.origin() == "project"
        for address, said in [
            ("https://user:secret@example.org/a/b.git", "https://example.org/a/b"),
            ("git@example.org:a/b.git", "git@example.org:a/b"),
            ("/home/ada/private/b", "project"),
        ]:
            repository.git("config", "remote.origin.url", address)
            assert history.origin() == said


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_that_is_no_repository_is_refused(
    repository: Repository, tmp_path: Path, inside: bool
) -> None:
    folder = (repository.root if inside else tmp_path) / "plain"
    folder.mkdir()
    with pytest.raises(UsageError, match="not a git repository"):
        History(folder)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        History(tmp_path / "nowhere")


@pytest.mark.parametrize("revision", ["nowhere", "--output=x"])
def test_an_unknown_revision_is_refused(repository: Repository, revision: str) -> None:
    repository.commit("One", {"a": "1"})
    with History(repository.root) as history:
        with pytest.raises(UsageError, match="cannot list the commits"):
            list(history.commits(revision))
        with pytest.raises(UsageError, match="cannot list the commits"):
            history.count(revision)
    assert not (repository.root / "x").exists()


def test_submodules_and_links_are_no_source(repository: Repository) -> None:
    repository.commit("One", {"a.c": "1\n"})
    (repository.root / "b.c").symlink_to("a.c")
    repository.commit("Two", {})
    (repository.root / "b.c").unlink()
    (repository.root / "b.c").symlink_to("nowhere.c")
    repository.commit("Three", {"a.c": "2\n"})
    with History(repository.root) as history:
        newest = next(history.commits())
        changes = history.changes([newest])[newest.hash]
    assert changes is not None
    assert all(isinstance(c, Change) for c in changes)
    assert [c.path for c in changes] == ["a.c"]
