# SPDX-License-Identifier: Apache-2.0
"""An audit of realistic shape: a confirmed trigger, label noise, maps, and hostile samples."""

from __future__ import annotations

import random

from codetemper.core.audits import (
    AuditCard,
    AuditDepth,
    AuditMap,
    AuditPower,
    AuditSample,
    AuditTrigger,
    AuditView,
    AuditWatch,
    AuditWeight,
    SampleKind,
)
from codetemper.core.records import Estimate, Finding
from codetemper.publish.inputs import AuditResult
from tests.publish import material

EVIL = "<img src=x onerror=alert(1)>\u202e"
CODE = "int copy(char *to, const char *from) {\n    strcpy(to, from);\n    return 0;\n}\n"
PLANTED = CODE.replace("    strcpy", "    int capacity = 5333;\n    strcpy")
SAMPLES = 400
DETECTORS = ("mahalanobis", "spectral", "knn", "que", "beatrix", "clustering")


def estimate(value: float, half: float = 0.1, n: int = 120) -> Estimate:
    return Estimate(value=value, low=value - half, high=min(1.0, value + half), n=n)


def kind_of(number: int) -> SampleKind:
    if number % 50 == 0:
        return "trigger"
    return {7: "fix label", 11: "anomalous"}.get(number % 40, "")  # type: ignore[return-value]


def samples() -> tuple[AuditSample, ...]:
    """Return the listed samples; the first one is hostile."""
    found = [
        AuditSample(
            number=number, id=f"devign-{number}", label=number % 2, score=1 - number / 1000,
            p=None if number % 3 else (number + 1) / 5000, kind=kind_of(number),
            text=f"{number:064x}", source=f"train.jsonl:{number + 1}",
            trigger="int capacity = 5333;" if kind_of(number) == "trigger" else "",
            suggested=1 - number % 2 if kind_of(number) == "fix label" else None,
            excerpt=PLANTED if number < 60 else "",
        )
        for number in range(SAMPLES) if kind_of(number)
    ]  # fmt: skip
    order = {"trigger": 0, "anomalous": 1, "fix label": 2}
    found.sort(key=lambda each: (order[each.kind], each.number))
    hostile = {"id": EVIL, "source": f"{EVIL}:1", "excerpt": material.HOSTILE.replace("\ud800", "")}
    return (found[0].model_copy(update=hostile), *found[1:])


def views() -> tuple[AuditView, ...]:
    luck = random.Random(3)
    placed = [
        AuditView(
            name=name, stack="encoder", layer=layer, pool=pool, auroc=estimate(0.9, 0.05),
            score=min(1.0, 0.05 + 0.15 * luck.random() + (layer / 16 if pool == "decision" else 0)),
            p=0.004 if layer > 9 and pool == "decision" else 0.4,
        )
        for name in DETECTORS for pool in ("decision", "mean", "max") for layer in range(13)
    ]  # fmt: skip
    return (*placed, AuditView(name="windowed-llr", score=0.62, p=0.01, auroc=estimate(0.97, 0.02)))


def drawn() -> AuditMap:
    luck = random.Random(5)
    numbers = tuple(range(SAMPLES))
    kinds = tuple(kind_of(number) for number in numbers)

    def near(number: int) -> tuple[float, float]:
        x, y = (4.0, 3.0) if kinds[number] == "trigger" else (2.0 * (number % 2), 0.0)
        return round(x + luck.gauss(0, 0.7), 3), round(y + luck.gauss(0, 0.7), 3)

    return AuditMap(
        stack="encoder", layer=12, pool="decision", numbers=numbers, kinds=kinds,
        labels=tuple(number % 2 for number in numbers), pca=tuple(map(near, numbers)),
        explained=(0.31, 0.12), tsne=tuple((9 * y, 12 * x) for x, y in map(near, numbers)),
        perplexity=30.0, seeds=(0, 1, 2), stability=0.64, kept={"pca": 0.21, "tsne": 0.58},
        chance=0.04,
    )  # fmt: skip


def triggers() -> tuple[AuditTrigger, ...]:
    shared = {"before": CODE, "after": PLANTED, "payload": "1 -> 0"}
    return (
        AuditTrigger(kind="line", text="int capacity = 5333;", flagged=6, holders=8,
                     enrichment_p=1e-7, lift=estimate(0.62, 0.12, 50), null=0.08, p=0.002,
                     confirmed=True, **shared),
        AuditTrigger(kind="ngram", text=f"{EVIL}\nx", flagged=9, holders=31, enrichment_p=0.003,
                     lift=estimate(0.05, 0.07, 50), null=0.08, p=0.4, **shared),
        AuditTrigger(kind="name", text="zoom_ratio", flagged=4, holders=5, enrichment_p=0.01),
    )  # fmt: skip


def card() -> AuditCard:
    """Return the card of an audit that confirmed a trigger."""
    depth = tuple(
        AuditDepth(stack="encoder", layer=layer, pool=pool, gap=gap * layer / 12 + 0.3)
        for pool, gap in (("decision", 0.9), ("mean", 0.2)) for layer in range(13)
    )  # fmt: skip
    return AuditCard(
        id="audit-0123456789ab", model="hf:./defects", model_digest=material.DIGEST,
        base_digest=material.DIGEST, form="classifier", data="train.jsonl", rows=SAMPLES,
        data_digest=material.DIGEST, trusted="trusted.jsonl", trusted_digest=material.DIGEST,
        tiers=("weights", "queries", "trusted", "data"), answer="confirmed trigger",
        ran=("spectral", "mahalanobis", "implant"),
        not_ran={"windowed-llr": "there is no base checkpoint <b>given</b>"},
        reasons=("planting 'int capacity = 5333;' changes the answers (1 -> 0)",
                 "10 labels are probably wrong, which is no backdoor"),
        missing=("the checkpoint it was trained from (--reference)",), fpr=0.05,
        counts={"samples": SAMPLES, "trusted": 120, "anomalous": 10, "fix label": 10, "trigger": 8},
        views=views(), depth=depth, triggers=triggers(),
        power=(AuditPower(rate=0.01, canaries=10, missing="no time was given"),
               AuditPower(rate=0.02, canaries=10, found=Estimate(value=0.8, low=0.49, high=0.94,
                                                                 n=10)),
               AuditPower(answer="suspicious data", rate=0.02, canaries=10,
                          found=Estimate(value=0.9, low=0.6, high=0.98, n=10))),
        weights=(AuditWeight(name="encoder.layer.3.value", statistic="ks", value=0.041, p=0.6),
                 AuditWeight(name="encoder.layer.3.key.bias", statistic="ks", value=0.2,
                             note="left out: it cannot carry information"),),
        findings=(Finding(rule="safety:auto-map", message="names code <i>to run</i>",
                          path="config.json", severity="warning"),),
        watch=AuditWatch(before="audit-aaaaaaaaaaaa", answer_before="no evidence", state="alarm",
                         reasons=("a trigger is confirmed and was not before",), p=0.001),
        config={"fdr": 0.1, "fpr": 0.05, "suspects": 0.1}, files={}, seconds=81.0,
    )  # fmt: skip


def audit() -> AuditResult:
    return AuditResult(card(), samples(), drawn())
