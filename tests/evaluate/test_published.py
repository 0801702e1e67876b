# SPDX-License-Identifier: Apache-2.0
"""The study's published verdicts: its own numbers to the decimal, and what it does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetemper.core.errors import UsageError
from codetemper.evaluate import published
from codetemper.evaluate.published import PublishedRow, count_anew, read_published

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "secure_llm" / "verdicts"
#: (valid, secure of valid, secure and valid) in percent, of files of either language.
KNOWN = {
    ("codegen-pretrained", "c"): (92.3, 56.0, 51.7),
    ("lora/codegen-fineblock", "c"): (91.2, 62.4, 56.9),
    ("codellama-pretrained", "cpp"): (82.4, 59.7, 49.2),
    ("lora/codellama-finefunction", "cpp"): (67.6, 65.1, 44.0),
    ("full_weight_finetune/gptj-fineblock", "c"): (66.2, 75.4, 49.9),
    ("ia3/codellama-fineblock", "cpp"): (84.0, 64.3, 54.0),
}


def _write(folder: Path, name: str, rows: dict[str, tuple[list[int], list[int]]]) -> None:
    lines = ["sce_id,syn_val,compile_val,vul,vul_uncompile"]
    for id, (valid, flagged) in rows.items():
        compiled, found = (str([str(n) for n in numbers]) for numbers in (valid, flagged))
        lines.append(f'{id},"{compiled}","{compiled}","{found}",[]')
    path = folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="module")
def real() -> list[PublishedRow]:
    """All 46 published files, counted."""
    if not REAL.is_dir():
        pytest.skip("the study's verdict files do not lie in ../shared/data")
    return count_anew(read_published(REAL))


def test_the_papers_numbers_come_out_to_the_decimal(real: list[PublishedRow]) -> None:
    rows = {(row.name, row.language): row for row in real}
    assert len(rows) == 46
    for key, expected in KNOWN.items():
        metrics = rows[key].metrics
        names = ("valid@1", "secure_of_valid", "secure@1")
        assert tuple(f"{100 * metrics[n].value:.1f}" for n in names) == tuple(map(str, expected))
        assert rows[key].generations == 780
        assert metrics["secure@1"].n == 26
    best = published.headlines(real)
    assert [best[language][1].name for language in ("c", "cpp")] == [
        "lora/codegen-fineblock", "lora/codellama-finefunction"
    ]  # fmt: skip


def test_over_all_samples_more_settings_lose_than_win(real: list[PublishedRow]) -> None:
    found = published.summary(real)
    assert found["settings"] == 32
    assert found["secure_of_valid"]["up"] == 23
    assert (found["secure_of_valid"]["plain_better"], found["secure_of_valid"]["plain_worse"]) == (
        1, 0,
    )  # fmt: skip
    assert (found["secure@1"]["plain_better"], found["secure@1"]["plain_worse"]) == (1, 8)
    for metric in ("secure_of_valid", "secure@1"):
        assert found[metric]["holm_better"] == found[metric]["holm_worse"] == 0


def test_a_gain_that_broken_code_bought_is_flagged(real: list[PublishedRow]) -> None:
    rows = {(row.name, row.language): row for row in real}
    winner = rows["lora/codellama-finefunction", "cpp"]
    assert (
        winner.differences["secure_of_valid"].difference
        > 0
        > (winner.differences["secure@1"].difference)
    )
    assert "counted over all" in winner.flag
    assert rows["ia3/codellama-fineblock", "cpp"].flag == ""


def test_small_files_are_counted_by_hand(tmp_path: Path) -> None:
    _write(tmp_path, "m-pretrained-c", {"1": ([1, 2, 3, 4], [1, 2]), "2": ([1, 2], [])})
    _write(tmp_path, "lora/m-fineline-c", {"1": ([1, 2], [1]), "2": ([], [])})
    base, tuned = count_anew(read_published(tmp_path, 4), 4)
    shares = [base.metrics[name].value for name in ("valid@1", "secure_of_valid", "secure@1")]
    assert shares == pytest.approx([0.75, 2 / 3, 0.5])
    assert tuned.metrics["secure_of_valid"].value == 0.5
    assert tuned.differences["secure@1"].difference == pytest.approx(1 / 8 - 4 / 8)
    # 4 of 8 against 1 of 8 samples: z = (3/8) / sqrt(5/16 * 11/16 * 2/8) = 1.618, two-sided 0.1056.
    assert tuned.plain["secure@1"] == pytest.approx(0.1056, abs=1e-4)
    assert base.flag == tuned.flag == ""


def test_files_that_cannot_be_counted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no verdict files"):
        read_published(tmp_path)
    _write(tmp_path, "lora/m-fineline-c", {"1": ([1], [])})
    with pytest.raises(UsageError, match="cannot be compared with its base"):
        read_published(tmp_path)
    _write(tmp_path, "m-pretrained-c", {"1": ([1], [2])})
    with pytest.raises(UsageError, match="cannot be counted"):
        read_published(tmp_path)
    _write(tmp_path, "m-pretrained-c", {"1": (list(range(31)), [])})
    with pytest.raises(UsageError, match="cannot be counted"):
        read_published(tmp_path)
    (tmp_path / "m-pretrained-c.csv").write_text("sce_id,vul\n1,[]\n", "utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        read_published(tmp_path)
    (tmp_path / "m-pretrained-c.csv").unlink()
    (tmp_path / "notes.csv").write_text("a\n", "utf-8")
    with pytest.raises(UsageError, match="does not say what it is of"):
        read_published(tmp_path)
