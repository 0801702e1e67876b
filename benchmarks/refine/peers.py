# SPDX-License-Identifier: Apache-2.0
"""The same work with what others use: TRL's DPOTrainer, ``generate``, a process an execution.

    train(Job(...), pairs, on_step)                # TRL 1.16, sigmoid + sft, same batch and rate
    sample(module, tokenizer, cases, sampling)     # transformers' generate, rows in batches
    verdicts(cases, completions)                   # one fresh interpreter for each completion

TRL keeps its defaults but for what would make the work another: bfloat16 is off, gradient
checkpointing too (it would be slower with it), it is told to use the CPU, and the learning rate and
schedule are the other side's. Nothing here imports ``codetemper`` beyond its records.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codetemper.core.records import Case, Sampling

#: Rows in flight of ``generate``.
ROWS: Final = 64
TIMEOUT_S: Final = 5.0

OnStep = Callable[[], None]
#: Prompt, better and worse answer.
Pair = tuple[str, str, str]


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        folder: of the model, as ``save_pretrained`` writes it.
        method: ``full`` or ``lora``.
        batch: pairs a step.
        epochs: passes over the pairs.
        rate: peak learning rate.
        cached: whether reference log-probabilities are computed before training.
        seed: of the order.
        rank: of LoRA; alpha is twice as much.
    """

    folder: str
    method: str
    batch: int
    epochs: float
    rate: float
    cached: bool = False
    seed: int = 0
    rank: int = 16


def train(job: Job, pairs: Sequence[Pair], on_step: OnStep) -> tuple[list[float], Any]:
    """Train with TRL.

    Args:
        job: the model and the loop.
        pairs: learnt from.
        on_step: called after every step.

    Returns:
        The loss of each step, and the trained module.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            on_step()

    torch.manual_seed(job.seed)
    module = AutoModelForCausalLM.from_pretrained(job.folder, dtype=torch.float32)
    if job.method == "lora":
        lora = LoraConfig(
            r=job.rank, lora_alpha=2 * job.rank, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        module = get_peft_model(module, lora)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = DPOTrainer(
            model=module,
            args=DPOConfig(
                output_dir=scratch,
                loss_type=["sigmoid", "sft"],
                loss_weights=[1.0, 1.0],
                beta=0.1,
                precompute_ref_log_probs=job.cached,
                num_train_epochs=job.epochs,
                per_device_train_batch_size=job.batch,
                learning_rate=job.rate,
                lr_scheduler_type="constant",
                warmup_steps=0,
                weight_decay=0.0,
                max_grad_norm=1.0,
                seed=job.seed,
                data_seed=job.seed,
                gradient_checkpointing=False,
                bf16=False,
                use_cpu=True,
                dataloader_pin_memory=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": p, "chosen": good, "rejected": bad} for p, good, bad in pairs]
            ),
            processing_class=AutoTokenizer.from_pretrained(job.folder),
            callbacks=[Steps()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        history = trainer.state.log_history
    return [entry["loss"] for entry in history if "loss" in entry], module


def sample(
    module: Any, tokenizer: Any, cases: Sequence[Case], sampling: Sampling
) -> list[list[str]]:
    """Draw completions with ``generate``, cases of like length together."""
    import torch

    torch.manual_seed(sampling.seed)
    tokenizer.padding_side = "left"
    order = sorted(range(len(cases)), key=lambda k: len(cases[k].prompt))
    found: list[list[str]] = [[] for _ in cases]
    block = max(1, ROWS // sampling.n)
    for start in range(0, len(order), block):
        chosen = order[start : start + block]
        inputs = tokenizer([cases[k].prompt for k in chosen], return_tensors="pt", padding=True)
        with torch.inference_mode():
            written = module.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=True,
                num_return_sequences=sampling.n,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=0,
                max_new_tokens=sampling.max_new_tokens,
                stop_strings=sorted({stop for k in chosen for stop in cases[k].stop}),
                tokenizer=tokenizer,
                pad_token_id=tokenizer.pad_token_id,
            )
        width = inputs["input_ids"].shape[1]
        texts = tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)
        for number, text in enumerate(texts):
            k = chosen[number // sampling.n]
            found[k].append(_cut(text, cases[k].stop))
    return found


def _cut(text: str, stops: Sequence[str]) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


_CHECKER: Final = """\
import json, sys
job = json.load(sys.stdin)
for check in job["checks"]:
    space = {}
    exec(job["setup"], space)
    exec(job["program"], space)
    exec(check["code"], space)
    if space.get("result") != check["expect"]:
        sys.exit(1)
"""


def verdicts(cases: Sequence[Case], completions: Sequence[Sequence[str]]) -> list[list[bool]]:
    """Say which completions pass their case's checks, each in a process of its own."""
    return [
        [_passes(case, text) for text in texts]
        for case, texts in zip(cases, completions, strict=True)
    ]


def _passes(case: Case, text: str) -> bool:
    job = {"setup": case.spec.get("setup", ""), "program": case.prompt + text,
           "checks": case.spec["checks"]}  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHECKER], input=json.dumps(job), text=True,
            capture_output=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
