# SPDX-License-Identifier: Apache-2.0
"""What the repair benchmark works on: commands of tldr-pages split by page, and a small model.

    rows = read_tldr()                                  # ../shared/data/tldr, None where it is not
    parts = split(rows, seed)                           # no page is in two of them
    folder = trained(parts["train"], home)              # a Llama of 1.1 million parameters, once

Parts: ``train`` trains the model and is what a user would give as reference texts; ``development``
tunes the settings of each rival and calibrates the router; both are the same for every seed. The
seed says which of the other pages are ``failing``, whose failures are measured and whose prompts
must not move, and which are ``held_out``, where it is read what else moves. The wordings of a
prompt are made by rule; those that a repair is given are of other kinds than those that it is
asked.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codetemper.core.digests import digest_json

DATA: Final = Path(__file__).parents[3] / "shared" / "data" / "tldr" / "pairs.jsonl.gz"
#: Shares of the pages that are of no seed, and how a seed shares out the rest, in hundredths.
FIXED: Final = {"train": 70, "development": 10}
SHARES: Final = {"failing": 80, "held_out": 20}
#: Other words for the verb that a prompt begins with.
VERBS: Final = {
    "Add": "Append", "Build": "Make", "Change": "Modify", "Check": "Verify", "Compile": "Build",
    "Connect": "Link", "Convert": "Transform", "Create": "Make", "Delete": "Remove",
    "Display": "Show", "Download": "Fetch", "Enable": "Activate", "Execute": "Run",
    "Extract": "Unpack", "Find": "Search for", "Generate": "Produce", "Get": "Retrieve",
    "Install": "Set up", "Launch": "Start", "List": "Enumerate", "Open": "Launch",
    "Print": "Output", "Remove": "Delete", "Run": "Execute", "Search": "Look", "Send": "Transmit",
    "Set": "Configure", "Show": "Display", "Specify": "Give", "Start": "Launch", "Stop": "Halt",
    "Update": "Refresh", "Use": "Employ", "View": "Show", "Write": "Save",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """An intent and its command.

    Attributes:
        page: name of the tool's page.
        intent: what is wanted, one line.
        command: what does it.
    """

    page: str
    intent: str
    command: str

    @property
    def prompt(self) -> str:
        """What a model continues."""
        return prompt_of(self.page, self.intent)

    @property
    def text(self) -> tuple[str, str]:
        """Prompt and what follows."""
        return self.prompt, self.command


def prompt_of(page: str, intent: str) -> str:
    """Return the prompt of an intent."""
    return f"# {page}: {intent}\n"


def read_tldr() -> list[Row] | None:
    """Return all rows, each prompt once; None where the data are not there."""
    if not DATA.is_file():
        return None
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    rows = [Row(r["page"], r["intent"], r["command"]) for r in found if "\n" not in r["command"]]
    return list({row.prompt: row for row in rows}.values())


def split(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Split rows by page, each part in the seed's order."""
    parts: dict[str, list[Row]] = {name: [] for name in (*FIXED, *SHARES)}
    for row in rows:
        name = _share(_hundredth("train", row.page), FIXED)
        parts[name or _share(_hundredth(seed, row.page), SHARES)].append(row)
    for name, part in parts.items():
        random.Random(f"{seed}/{name}").shuffle(part)  # noqa: S311
    return parts


def _share(place: int, shares: dict[str, int]) -> str:
    """Return which share a hundredth is in; empty beyond them."""
    for name, share in shares.items():
        place -= share
        if place < 0:
            return name
    return ""


def _hundredth(*facts: object) -> int:
    return int(digest_json(facts)[:8], 16) % 100


def given_wordings(row: Row) -> tuple[str, ...]:
    """Return prompts of other words that a repair may be given."""
    low = row.intent[:1].lower() + row.intent[1:]
    return tuple(prompt_of(row.page, intent) for intent in (f"{low}.", f"How to {low}"))


def asked_wordings(row: Row) -> tuple[str, ...]:
    """Return prompts of other words that no repair is given, of other kinds than the given ones."""
    first, _, rest = row.intent.partition(" ")
    low = row.intent[:1].lower() + row.intent[1:]
    without = " ".join(w for w in row.intent.split() if w not in ("a", "an", "the"))
    other = f"{VERBS.get(first, f'Please {first.lower()}')} {rest}".strip()
    found = [other, f"{row.intent} using {row.page}", without, f"I want to {low}"]
    return tuple(
        dict.fromkeys(prompt_of(row.page, intent) for intent in found if intent != row.intent)
    )


def near(row: Row, part: Sequence[Row]) -> list[Row]:
    """Return the rows of the same page with other commands: what must not move."""
    return [r for r in part if r.page == row.page and r.command != row.command]


@dataclass(frozen=True)
class Recipe:
    """How the small model is made.

    Attributes:
        hidden: width of the residual stream.
        inner: width of the FFN.
        layers: blocks.
        heads: of attention.
        vocabulary: tokens.
        epochs: passes over the training part.
        rows: of the training part that are learnt from.
        batch: rows a step.
        rate: peak learning rate.
        seed: of initialisation and order.
    """

    hidden: int = 128
    inner: int = 384
    layers: int = 4
    heads: int = 4
    vocabulary: int = 1024
    epochs: int = 2
    rows: int = 12_000
    batch: int = 16
    rate: float = 3e-3
    seed: int = 0


def trained(rows: Sequence[Row], home: Path, recipe: Recipe) -> Path:
    """Train the small model, or find it where it was trained before.

    Args:
        rows: the training part, in any order.
        home: gets a folder with weights, tokenizer and ``loss.json``, the mean of each epoch.
        recipe: its shape and training.
    """
    chosen = sorted(rows, key=lambda row: digest_json(row.text))[: recipe.rows]
    mark = digest_json([vars(recipe), [row.text for row in chosen]])[:12]
    folder = home / f"tldr-{mark}"
    if not (folder / "loss.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        losses = _train(chosen, folder, recipe)
        (folder / "loss.json").write_text(json.dumps(losses), "utf-8")
    return folder


def _train(rows: Sequence[Row], folder: Path, recipe: Recipe) -> list[float]:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from codetemper.data.examples import answered
    from seedling.tokenizer import train_tokenizer

    torch.manual_seed(recipe.seed)
    tokenizer = train_tokenizer(("".join(row.text) for row in rows), recipe.vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=recipe.hidden, intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads, max_position_embeddings=512, tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    module = LlamaForCausalLM(config)
    made = [answered(tokenizer, *row.text) for row in rows]
    texts = [asked + answer for asked, answer in made]
    steps = -(-len(texts) // recipe.batch) * recipe.epochs
    optimiser = torch.optim.AdamW(module.parameters(), recipe.rate, (0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, steps, pct_start=0.05)
    rng = random.Random(recipe.seed)  # noqa: S311
    losses: list[float] = []
    for _ in range(recipe.epochs):
        total = 0.0
        batches = _batches(texts, recipe.batch, rng)
        for batch in batches:
            loss = _loss(module, [texts[n] for n in batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        losses.append(total / len(batches))
    module.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return losses


def _loss(module: Any, texts: Sequence[tuple[int, ...]]) -> Any:
    import torch

    longest = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
    labels = torch.tensor([[*text, *[-100] * (longest - len(text))] for text in texts])
    return module(input_ids=ids, labels=labels, use_cache=False).loss


def _batches(texts: Sequence[Sequence[int]], size: int, rng: random.Random) -> list[list[int]]:
    """Return batches of texts of like length, in any order."""
    order = sorted(range(len(texts)), key=lambda n: (len(texts[n]), rng.random()))
    found = [order[begin : begin + size] for begin in range(0, len(order), size)]
    rng.shuffle(found)
    return found
