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


def test_changes_follow_renames_and_tell_added_and_deleted(repository: Repository) -> None:
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
        kinds = {c.path: c.kind for c in changes}
        assert kinds == {
            "m.c": "modified", "sub/ü.c": "modified", "gone.c": "deleted", "new.c": "added"
        }  # fmt: skip
        moved = next(c for c in changes if c.path == "sub/ü.c")
        assert moved.path_before == "old name.c"
        assert history.blob(moved.before) == body.encode()
        assert history.blob(moved.after) == (body + "int more;\n").encode()


def test_changes_of_many_commits_at_once(repository: Repository) -> None:
    for number in range(5):
        repository.commit(f"Commit {number}", {"a.c": f"int a{number};\n", f"{number}.c": ""})
    repository.commit("Nothing", {})
    with History(repository.root) as history:
        commits = [c for c in history.commits() if c.parents]
        changes = history.changes(commits)
    kinds = [sorted(x.kind for x in changes[c.hash] or []) for c in commits]
    assert kinds == [[], *[["added", "modified"]] * 4]


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
    paths = [{c.path: c.kind for c in changes[x.hash] or []} for x in commits]
    assert paths == [
        {"a.c": "modified"},
        {"a.c": "modified", "old.c": "deleted", "new.c": "added"},
    ]


def test_only_the_commit_that_needs_a_missing_blob_loses_its_renames(
    repository: Repository,
) -> None:
    bodies = ["".join(f"int {x}_{i};\n" for i in range(30)) for x in "ab"]
    repository.commit("One", {"a.c": bodies[0], "b.c": bodies[1]})
    lost = repository.git("rev-parse", "HEAD:b.c")
    repository.commit("Two", {"a.c": None, "a2.c": bodies[0] + "int z;\n"})
    repository.commit("Three", {"b.c": None, "b2.c": bodies[1] + "int z;\n"})
    repository.commit("Four", {"a2.c": None, "a3.c": bodies[0]})
    remove_object(repository, lost)
    with History(repository.root) as history:
        commits = [c for c in history.commits() if c.parents]
        changes = history.changes(commits)
    moved = [[c.path_before for c in changes[x.hash] or []] for x in commits]
    assert moved == [["a2.c"], ["", ""], ["a.c"]]


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
        commits = list(history.commits())
        assert [len(c.parents) for c in commits] == [1, 0]
        assert history.cut() == {commits[1].hash}


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
    assert {c.path: c.kind for c in changes} == {"a.c": "modified", "b.c": "other"}


def test_a_missing_commit_ends_the_history_early(repository: Repository) -> None:
    for number in range(4):
        repository.commit(f"{number}", {"a.c": f"{number}\n"})
    remove_object(repository, repository.git("rev-parse", "HEAD~2"))
    with History(repository.root) as history:
        subjects = [c.subject for c in history.commits()]
        assert history.broken
        assert history.count("HEAD") is None
    # git may find the hole before it has said the commit above it.
    assert subjects[0] == "3"
    assert "0" not in subjects


def test_a_branch_whose_commit_is_gone_is_not_an_empty_one(repository: Repository) -> None:
    remove_object(repository, repository.commit("One", {"a.c": "1\n"}))
    with History(repository.root) as history, pytest.raises(UsageError, match="cannot list"):
        history.tip("HEAD")


def test_nothing_is_fetched_from_a_partial_clone(repository: Repository, tmp_path: Path) -> None:
    repository.commit("One", {"a.c": "int a;\n"})
    repository.commit("Two", {"a.c": "int b;\n"})
    repository.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    repository.git(
        "clone", "-q", "--bare", "--filter=blob:none", f"file://{repository.root}", str(partial)
    )
    with History(partial) as history:
        newest = next(history.commits())
        (change,) = history.changes([newest])[newest.hash] or []
        assert history.blob(change.before) is None
        assert history.blob(change.after) is None
        assert history.patch_ids([newest], [".c"]) == {}
        assert history.top(newest.hash)["a.c"] == change.after


def test_replaced_commits_are_read_as_they_were(repository: Repository) -> None:
    first = repository.commit("One", {"a.c": "1\n"})
    second = repository.commit("Two", {"a.c": "2\n"})
    repository.git("replace", second, first)
    with History(repository.root) as history:
        assert [c.subject for c in history.commits()] == ["Two", "One"]


def test_sha256_repositories(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "wide", object_format="sha256")
    repository.commit("One", {"a.c": "int a;\n", "LICENSE": "x"})
    second = repository.commit("Two", {"a.c": "int b;\n"})
    with History(repository.root) as history:
        newest = next(history.commits())
        assert newest.hash == second
        assert len(second) == 64
        (change,) = history.changes([newest])[second] or []
        assert history.blob(change.after) == b"int b;\n"
        assert sorted(history.top(second)) == ["LICENSE", "a.c"]
        assert list(history.patch_ids([newest], [".c"])) == [second]
        assert history.resolve([second[:12], "f" * 40]) == {second[:12]: second}


def test_the_same_change_has_the_same_patch_id(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": "int a;\nint b;\nint c;\n", "ChangeLog": "0\n"})
    repository.git("checkout", "-q", "-b", "release")
    repository.git("checkout", "-q", "main")
    fix = repository.commit("Fix", {"a.c": "int a;\nint bb;\nint c;\n", "ChangeLog": "1\n"})
    other = repository.commit("Other", {"a.c": "int a;\nint bb;\nint cc;\n"})
    repository.git("checkout", "-q", "release")
    backport = repository.commit("Fix it here too", {"a.c": "int a;\nint bb;\nint c;\n"})
    docs = repository.commit("Only words", {"ChangeLog": "2\n"})
    with History(repository.root) as history:
        commits = list(history.named([fix, other, backport, docs]))
        found = history.patch_ids(commits, [".c"])
    assert found[fix] == found[backport] != found[other]
    assert docs not in found


def test_a_merge_tells_what_it_brought_in_and_what_is_its_own(repository: Repository) -> None:
    repository.commit("Begin", {"a.c": "int a;\n", "b.c": "int b;\n"})
    repository.git("checkout", "-q", "-b", "topic")
    inner = repository.commit("Inner", {"a.c": "int aa;\n"})
    repository.git("checkout", "-q", "main")
    repository.commit("Meanwhile", {"b.c": "int bb;\n"})
    clean = repository.merge("topic", "Merge")
    repository.git("checkout", "-q", "topic")
    repository.commit("Again", {"a.c": "int aaa;\n"})
    repository.git("checkout", "-q", "main")
    repository.commit("Conflict", {"a.c": "int a3;\n"})
    repository.git("merge", "-q", "--no-commit", "-s", "ours", "topic")
    by_hand = repository.commit("Merge by hand", {"a.c": "int both;\n"})
    with History(repository.root) as history:
        merges = {c.hash: c for c in history.named([clean, by_hand])}
        assert history.brought_in(merges[clean]) == {inner}
        assert not history.resolved_by_hand(merges[clean])
        assert history.resolved_by_hand(merges[by_hand])
