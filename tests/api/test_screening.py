# SPDX-License-Identifier: Apache-2.0
"""``audit_data`` with a tiny guard: what is flagged, where it goes, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codetemper.api.models import load_model
from codetemper.api.screening import Screened, audit_data, read_screenings
from codetemper.core.accounts import PatchManifest, ScreenedRow
from codetemper.core.digests import digest_bytes
from codetemper.core.errors import CannotKnowError, IntegrityError, UsageError
from codetemper.core.records import Event, FixPair
from codetemper.core.tables import read_table
from codetemper.core.workspace import Workspace
from codetemper.data.samples import Canaries, read_samples
from tests.harden.guards import BAD, CLEAN, benign, sample, settled, written

#: Places of the bad samples among the hundred of the fixture's file.
PLACES = range(70, 76)
#: What the guard says of itself.
AUROC = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 12}


@dataclass
class Bench:
    """A workspace with a guard, data with some bad samples, and clean data."""

    workspace: Workspace
    handle: Any
    guard: PatchManifest
    data: Path
    clean: Path

    def audit(self, **given: Any) -> Screened:
        """Screen the data with the guard."""
        asked: dict[str, Any] = {"data": str(self.data), "guards": [self.guard.id]} | given
        return audit_data(self.workspace, max_length=64, loaded=self.handle, **asked)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Iterable[Bench]:
    """Eighty samples of the guard's kind of base, six of them bad."""
    root = tmp_path_factory.mktemp("screen")
    workspace = Workspace.create(root)
    with load_model(workspace, f"hf:{tiny_model_dir}") as handle:
        guard = settled(
            workspace, handle, bad=BAD[:6], base=f"hf:{tiny_model_dir}",
            report={"threshold": 0.3, "fpr": 0.05, "auroc": AUROC},
            canaries=Canaries(bad=BAD[6:9], retain=CLEAN),
        )  # fmt: skip
        pairs = benign(range(100, 300, 2))
        for place, bad in zip(PLACES, BAD[6:], strict=True):
            pairs[place] = bad
        data = written(root / "data.jsonl", pairs)
        clean = written(root / "clean.jsonl", benign(range(101, 281, 6)))
        yield Bench(workspace, handle, guard, data, clean)


def rows_of(found: Screened) -> list[ScreenedRow]:
    return [
        row for block in read_table(found.folder / "data.parquet", ScreenedRow) for row in block
    ]


def test_bad_samples_are_flagged_and_put_aside(bench: Bench, tmp_path: Path) -> None:
    events: list[Event] = []
    found = bench.audit(
        clean=str(bench.clean), fpr=0.05, quarantine=tmp_path / "bad.jsonl",
        keep=tmp_path / "keep.jsonl", on_event=events.append,
    )  # fmt: skip
    card, rows = found.card, rows_of(found)
    flagged = {row.number for row in rows if row.flagged}
    assert set(PLACES) <= flagged
    assert len(flagged - set(PLACES)) <= 10
    assert (card.rows, card.scored, card.flagged) == (100, 100, len(flagged))
    assert 0 < card.low < card.flagged / card.scored < card.high < 1
    # Lines are what they were, in their order, each in one file.
    lines = [json.loads(line) for line in bench.data.read_text().splitlines()]
    bad, kept = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("bad.jsonl", "keep.jsonl")
    )
    assert bad == [line for n, line in enumerate(lines) if n in flagged]
    assert kept == [line for n, line in enumerate(lines) if n not in flagged]
    assert len(read_samples(tmp_path / "keep.jsonl")) == len(kept)
    assert {event.stage for event in events} == {"calibrate", "audit"}
    assert events[-1].done == events[-1].total == 100
    # Thirty clean samples bear a rate of 5 %; the guard's held-out samples stand out from them.
    assert card.calibrated.startswith("clean.jsonl ")
    assert card.separation[bench.guard.id].value > 0.9
    assert card.thresholds == (card.thresholds[0],)
    assert [row.flagged for row in rows] == [row.ratios[0] > card.thresholds[0] for row in rows]


def test_the_drift_names_the_block_they_are_in(bench: Bench) -> None:
    card = bench.audit().card
    assert card.calibrated == "guards"
    assert card.separation[bench.guard.id].high == 0.95
    assert (card.block_rows, len(card.blocks)) == (50, 2)
    assert sum(block.n for block in card.blocks) == card.scored
    assert card.blocks[1].flagged >= 6
    assert sum(block.flagged for block in card.blocks) == card.flagged


def test_the_worst_samples_tell_their_tokens(bench: Bench) -> None:
    found = bench.audit()
    assert len(found.worst) == 20
    ratios = [one.ratio for one in found.worst]
    assert ratios == sorted(ratios, reverse=True)
    assert {one.number for one in found.worst[:6]} == set(PLACES)
    rows = {row.number: row for row in rows_of(found)}
    for one in found.worst:
        assert sum(part for *_, part in one.tokens) == pytest.approx(one.ratio, rel=1e-3)
        assert one.ratio == pytest.approx(rows[one.number].ratios[0], rel=1e-3)
        assert one.flagged == rows[one.number].flagged
        assert rows[one.number].text == digest_bytes(one.text.encode())
    top = found.worst[0]
    begin, end, _ = max(top.tokens, key=lambda token: token[2])
    assert begin >= top.text.index("\n")
    assert end <= len(top.text)


def test_the_same_again_is_the_same_from_the_journal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codetemper.api import screening_parts

    first = bench.audit()
    asked: list[int] = []
    whole = screening_parts.Scorer.score

    def counting(self: Any, pairs: Any) -> Any:
        scored = self._score

        def scoring(fresh: Any, layout: Any) -> Any:
            asked.append(len(fresh))
            return scored(fresh, layout)

        object.__setattr__(self, "_score", scoring)
        try:
            return whole(self, pairs)
        finally:
            object.__setattr__(self, "_score", scored)

    monkeypatch.setattr(screening_parts.Scorer, "score", counting)
    again = bench.audit()
    assert sum(asked) == 0
    assert again.card.id == first.card.id
    assert [s.card.id for s in read_screenings(bench.workspace)].count(first.card.id) == 1
    assert read_screenings(bench.workspace)[-1].worst


def test_a_killed_screening_goes_on_and_comes_out_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from codetemper.api import screening_parts

    monkeypatch.setattr(screening_parts, "BLOCK", 30)
    path = written(tmp_path / "other.jsonl", [*benign(range(300, 380)), *BAD])

    def stop(event: Event) -> None:
        if event.done >= 60:
            raise KeyboardInterrupt

    scored: list[int] = []
    whole = screening_parts.Scorer.score

    def counting(self: Any, pairs: Any) -> Any:
        scored.append(len(pairs))
        return whole(self, pairs)

    with pytest.raises(KeyboardInterrupt):
        bench.audit(data=str(path), keep=tmp_path / "keep", on_event=stop)
    assert not (tmp_path / "keep").exists()
    assert list((bench.workspace.home / "tmp").iterdir()) == []
    resumed = bench.audit(data=str(path))
    (journal,) = (bench.workspace.cache / "screen").glob("*.sqlite")
    journal.rename(tmp_path / "aside")
    monkeypatch.setattr(screening_parts.Scorer, "score", counting)
    fresh = bench.audit(data=str(path))
    (tmp_path / "aside").replace(journal)
    assert scored == [30, 30, 30, 2]
    assert fresh.card.id == resumed.card.id
    assert fresh.card.head == resumed.card.head


def test_a_changed_row_is_found_by_verify(bench: Bench) -> None:
    assert bench.workspace.verify() == []
    found = bench.audit()
    path = found.folder / "data.parquet"
    data = path.read_bytes()
    rows = rows_of(found)
    rows[70] = rows[70].model_copy(update={"flagged": False})
    from codetemper.core.tables import TableWriter

    with TableWriter(path, ScreenedRow) as table:
        table.add(rows)
    said = [p.what for p in bench.workspace.verify() if found.card.id in p.path]
    path.write_bytes(data)
    assert any("row 70 of data.parquet" in what for what in said)
    assert bench.workspace.verify() == []


def test_the_ledger_says_what_was_screened(bench: Bench, tmp_path: Path) -> None:
    found = bench.audit(quarantine=tmp_path / "q.jsonl")
    entry = bench.workspace.ledger.entries()[-1]
    assert entry.verb == "audit-data"
    assert entry.inputs["data"] == "data.jsonl"
    assert entry.inputs["guards"] == bench.guard.id
    assert f"screening:{found.card.id}" in entry.outputs
    assert entry.outputs["quarantine:q.jsonl"] == digest_bytes((tmp_path / "q.jsonl").read_bytes())
    assert f"{found.card.flagged} of 100" in entry.note


def test_two_guards_flag_by_either(bench: Bench) -> None:
    other = settled(
        bench.workspace, bench.handle, bad=CLEAN[:6], base=bench.guard.base,
        report={"threshold": 0.3, "fpr": 0.01},
    )  # fmt: skip
    found = bench.audit(guards=[bench.guard.id, other.id])
    assert found.card.guards == (bench.guard.id, other.id)
    assert found.card.fpr == pytest.approx(0.06)
    for row in rows_of(found):
        assert len(row.ratios) == 2
        assert row.flagged == any(ratio > 0.3 for ratio in row.ratios)
    assert {one.guard for one in found.worst} <= {bench.guard.id, other.id}
    # Rates add up, so each guard has to keep to its part of what is asked for.
    with pytest.raises(CannotKnowError, match=r"no threshold for a false-positive rate of 0\.0275"):
        bench.audit(guards=[bench.guard.id, other.id], fpr=0.055)


def test_the_worst_are_the_largest_each_text_once() -> None:
    from codetemper.api.screening_parts import SHOWN, Worst
    from codetemper.harden.screening import Scored

    worst = Worst()
    for number in range(3 * SHOWN):
        ratio = float(number % (2 * SHOWN))
        scored = Scored("s", 1, 1.0, (1.0,), (ratio,))
        worst.offer(number, BAD[0], scored, f"text {number % (2 * SHOWN)}")
    assert [number for number, _ in worst.ordered()] == list(range(2 * SHOWN - 1, SHOWN - 1, -1))


def test_samples_without_an_answer_are_in_neither_file(bench: Bench, tmp_path: Path) -> None:
    empty = FixPair.model_validate(
        sample("empty", "def f():\n", "").model_dump() | {"before": "def f():\n", "context": ""}
    )
    lines = [bench.data.read_text().splitlines()[0], empty.model_dump_json()]
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found = bench.audit(data=str(path), quarantine=tmp_path / "q", keep=tmp_path / "k")
    assert (found.card.rows, found.card.scored) == (2, 1)
    assert rows_of(found)[1].off is None
    assert len([*(tmp_path / "q").open(), *(tmp_path / "k").open()]) == 1
    path.write_text(lines[1] + "\n")
    with pytest.raises(CannotKnowError, match="nothing can be said"):
        bench.audit(data=str(path), quarantine=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_screened_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no guard to ask"):
        bench.audit(guards=[])
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="no samples"):
        bench.audit(data=str(tmp_path / "empty.jsonl"))
    patch = settled(bench.workspace, bench.handle, bad=BAD[:2], steps=1, purpose="inference")
    with pytest.raises(UsageError, match="cannot be used as a guard"):
        bench.audit(guards=[patch.id])
    other = settled(bench.workspace, bench.handle, bad=BAD[:2], steps=2, base="hf:elsewhere")
    with pytest.raises(UsageError, match="of different models"):
        bench.audit(guards=[bench.guard.id, other.id])
    for given in (
        {"quarantine": bench.data},
        {"keep": tmp_path / "k", "quarantine": tmp_path / "k"},
    ):
        with pytest.raises(UsageError, match="is not written"):
            bench.audit(**given)


def test_a_guard_for_another_base_is_refused(bench: Bench, tmp_path: Path) -> None:
    from tests.tiny import save_tiny

    workspace = Workspace.create(tmp_path)
    base = f"hf:{save_tiny(tmp_path / 'base', 'gpt2')}"
    guard = settled(workspace, bench.handle, bad=BAD[:2], steps=1, base=base)
    with pytest.raises(UsageError, match="cannot be used as a guard") as refused:
        audit_data(workspace, str(bench.data), [guard.id], clean=str(bench.clean), fpr=0.05)
    assert "whose weights are not those of" in refused.value.why
    assert read_screenings(workspace) == []


def test_a_guard_changed_by_one_byte_is_refused(bench: Bench, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    guard = settled(
        workspace, bench.handle, bad=BAD[:2], steps=1, base=bench.guard.base,
        report={"threshold": 0.3, "fpr": 0.05},
    )  # fmt: skip
    manifest = workspace.patches / guard.id / "manifest.json"
    whole = manifest.read_bytes()
    for path, old, new in (
        (manifest.with_name("adapter_model.safetensors"), None, None),
        (manifest, b'"threshold": 0.3', b'"threshold": 9.0'),
    ):
        data = path.read_bytes()
        path.write_bytes(
            data.replace(old, new) if old and new else data[:-1] + bytes([data[-1] ^ 1])
        )
        with pytest.raises(IntegrityError, match="damaged"):
            audit_data(workspace, str(bench.data), [guard.id], loaded=bench.handle)
        path.write_bytes(data)
    assert manifest.read_bytes() == whole


def test_a_rate_that_nothing_bears_is_said_before_scoring(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codetemper.api import screening_parts

    monkeypatch.setattr(screening_parts.Scorer, "score", None)
    with pytest.raises(CannotKnowError, match="flag at most 1 %") as few:
        bench.audit(clean=str(bench.clean), fpr=0.01)
    assert "30 clean samples" in few.value.why
    with pytest.raises(CannotKnowError, match="no threshold for a false-positive rate"):
        bench.audit(fpr=0.01)
    silent = settled(bench.workspace, bench.handle, bad=BAD[:3], steps=1, base=bench.guard.base)
    with pytest.raises(CannotKnowError, match="tells no threshold"):
        bench.audit(guards=[silent.id])


def test_long_samples_are_shown_around_what_speaks_against_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from codetemper.api import screening_parts

    monkeypatch.setattr(screening_parts, "_TEXT", 60)
    body = "".join(f"    a_{n} = {n}\n" for n in range(20)) + "    eval(x + 3)\n"
    path = written(tmp_path / "long.jsonl", [sample("long", "def run_3(x):\n", body)])
    (one,) = bench.audit(data=str(path)).worst
    assert one.cut
    assert len(one.text) == 60
    assert one.text in "def run_3(x):\n" + body
    assert all(0 <= begin <= end <= 60 for begin, end, _ in one.tokens)
