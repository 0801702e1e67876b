# SPDX-License-Identifier: Apache-2.0
"""The nouns of the project as frozen records: everything that touches disk is one of these.

A record refuses unknown fields, carries a schema version, and has a digest over its canonical
JSON. Tensors are never in a record; they live in safetensors files that records point at.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from codetemper.core._record import Event as Event
from codetemper.core._record import OnEvent as OnEvent
from codetemper.core._record import Record as Record
from codetemper.core._record import ignore_events as ignore_events

Outcome = Literal["pass", "fail", "unknown"]
"""What a judge can say. ``unknown`` is never counted as a pass and always reported."""

FailureClass = Literal[
    "syntax",
    "build",
    "import",
    "runtime",
    "wrong",
    "timeout",
    "memory",
    "tamper",
    "insecure",
    "unknown",
]
"""Why a completion is not a clean pass. ``insecure``: works, but an exploit worked too."""

Language = Literal["python", "c", "cpp", "sql", "shell", "java", "javascript", "go", "text"]


class Sampling(Record):
    """How completions are drawn."""

    n: int = Field(default=1, ge=1)
    """Completions per prompt."""
    temperature: float = Field(default=0.8, ge=0.0)
    """Softmax temperature; 0 means greedy decoding."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Nucleus mass; 1 keeps the whole distribution."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Longest completion, in tokens of the model's tokenizer."""
    seed: int = 0
    """Seed of the sampler. Same model, prompt, seed and index: same completion."""


class Case(Record):
    """A prompt together with the judge that decides what is written after it."""

    id: str
    """Name within the suite, unique."""
    prompt: str
    """Text the model continues; prompt + completion is the program to judge."""
    language: Language
    """Language of prompt and completion."""
    judge: str
    """Name of the judge: ``execution``, ``compiled``, ``sql``, ``exact``, or a plugin's."""
    spec: dict[str, Any] = Field(default_factory=dict)
    """What that judge needs (tests, driver, schema); validated by the judge's own record."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; the completion is cut before the first of them."""
    reference: str | None = None
    """A completion known to be right (and secure), where there is one."""
    vulnerable: str | None = None
    """A completion known to be right and to have the weakness, where there is one."""
    cwe: str | None = None
    """Weakness the case can tempt a model into, e.g. ``CWE-787``."""
    family: str = ""
    """Group of like cases; clusters and held-out groups are named by it."""
    split: Literal["combination", "transfer", ""] = ""
    """``combination``: unseen combination of seen parts; ``transfer``: an unseen family."""
    answer: Literal["completion", "program", "text"] = "completion"
    """What the model writes. ``completion``: it goes on from the prompt. ``program``: the prompt is
    an instruction, and the answer holds the whole program, in its first fenced block where it has
    one. ``text``: it goes on from the prompt, and the checks take it as the text ``completion``."""

    @property
    def shows_security(self) -> bool:
        """Whether the judge tries an exploit, so that resisting it can be seen."""
        checks = self.spec.get("checks", ())
        return any(isinstance(check, dict) and check.get("kind") == "security" for check in checks)

    @model_serializer(mode="wrap")
    def _without_default_answer(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Cases that go on from a prompt keep the digest they had before there were others.
        fields: dict[str, Any] = serialize(self)
        if self.answer == "completion":
            fields.pop("answer", None)
        return fields


class SuiteCard(Record):
    """What a suite says of itself (the YAML beside its JSONL)."""

    name: str
    """Shipped name or ``FORMAT:PATH``."""
    summary: str
    """One sentence."""
    language: Language
    """Language of all cases."""
    metrics: tuple[str, ...]
    """Metric names a scorecard of this suite reports, e.g. ``pass@1``, ``secure@1``."""
    cases: str
    """File with one Case per line, relative to the YAML; may be ``.gz``."""
    licence: str = "Apache-2.0"
    """SPDX id of the cases."""
    source: str = ""
    """Where the cases come from."""
    max_new_tokens: int = 256
    """Budget that fits the reference answers with room to spare."""


class Completion(Record):
    """What a model wrote after one case's prompt."""

    case: str
    """Id of the case."""
    index: int = 0
    """Which of the n samples of that case."""
    text: str
    """Text after the prompt, cut at the first stop string."""
    tokens: int | None = None
    """Length in the model's tokens, where known."""
    logprob: float | None = None
    """Sum of the tokens' log-probabilities in nats under the untempered model, where known."""
    finished: bool = True
    """False where the token budget ended it before a stop string or the end token did."""
    whole: bool = False
    """The text is a whole program, which the prompt does not go before."""


class Finding(Record):
    """One thing a judge or analyser holds against a completion."""

    rule: str
    """Name of the check that failed, e.g. ``asan:stack-buffer-overflow``."""
    message: str
    """One line for people."""
    cwe: str | None = None
    """Weakness id, where the rule implies one."""
    line: int | None = None
    """Line in prompt + completion, counted from 1, where known."""
    column: int | None = None
    """Column in that line, counted from 1, where known."""
    path: str | None = None
    """File it lies in, relative; None: the completion itself."""
    fingerprint: str = ""
    """Stable name of the finding: rule and text of the line, not its number; empty: none."""
    severity: Literal["error", "warning", "note"] = "error"
    """``error`` makes a sample insecure; the rest are remarks."""


class Verdict(Record):
    """What a judge says of one completion: validity, function and security apart."""

    case: str
    """Id of the case."""
    index: int = 0
    """Index of the completion."""
    valid: Outcome
    """Parses and, where the language has that step, compiles."""
    function: Outcome
    """Does what the prompt asks, by tests or by execution match."""
    security: Outcome
    """Resists the case's exploit inputs. ``unknown`` where nothing can speak."""
    findings: tuple[Finding, ...] = ()
    """What speaks against it."""
    failure: FailureClass | None = None
    """The first thing that is wrong; None for a clean pass."""
    judge: str
    """Name and version of the judge."""
    seconds: float = 0.0
    """Wall seconds spent on it; 0 for a cached verdict."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Graded measures beside the outcomes, e.g. ``exact_match``, ``bleu``."""
    flags: tuple[str, ...] = ()
    """Signs of tampering with the judge seen in the source or while it ran. A flagged pass is
    never a positive example for training."""

    @property
    def positive(self) -> bool:
        """Whether the completion may serve as a right answer in training."""
        return self.function == "pass" and self.security != "fail" and not self.flags


class Estimate(Record):
    """A number with its interval."""

    value: float
    """Point estimate."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    n: int
    """Independent units behind it (cases, i.e. clusters)."""
    unknown: float = 0.0
    """Share of the samples behind it whose outcome is unknown; they count as not good."""
    detectable: float | None = None
    """Least difference to another model on as many cases that a paired test would see with
    power 0.8 if the two models erred independently; like models are told apart sooner."""


class Scorecard(Record):
    """Verdicts of one model on one suite, summed up with intervals."""

    model: str
    """Model expression."""
    model_digest: str
    """Digest of the weights that wrote the completions, or of the completions file."""
    suite: str
    """Suite name."""
    suite_digest: str
    """Digest of the cases judged."""
    cases: int
    """Cases judged."""
    samples: int
    """Completions per case."""
    metrics: dict[str, Estimate]
    """By metric name."""
    by_cwe: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    """The security metrics by weakness."""
    by_split: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    """The metrics on unseen combinations and on unseen families."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Completions by failure class."""
    unknown: int = 0
    """Completions with at least one unknown outcome that a metric needed."""
    flagged: int = 0
    """Completions with signs of tampering with the judge."""
    unqualified: tuple[str, ...] = ()
    """Weaknesses for which no security metric is reported: no qualified judge can speak of them."""
    per_case: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Metric by case id, the basis of every paired comparison."""
    families: dict[str, str] = Field(default_factory=dict)
    """Family by case id, where families group cases; the clusters of ``--cluster family``."""
    sampling: Sampling
    """How the completions were drawn."""
    sandbox: str = "bwrap"
    """Isolation under which code ran; ``none`` is always visible."""


class Difference(Record):
    """One metric of two scorecards on the same cases, paired."""

    before: float
    """Value of the first scorecard."""
    after: float
    """Value of the second."""
    difference: float
    """after - before."""
    low: float
    """Lower end of the paired cluster-bootstrap interval of the difference."""
    high: float
    """Upper end."""
    p: float
    """Two-sided p-value of the paired test."""
    n: int
    """Cases compared, or families where those are the clusters."""
    detectable: float | None = None
    """Least difference these cases would have shown with power 0.8."""
    unknown_before: float = 0.0
    """Share of the first scorecard's samples whose outcome is unknown."""
    unknown_after: float = 0.0
    """Share of the second's."""
    level: float = 0.95
    """Confidence level of the interval; higher at later looks at one suite."""


class Decision(Record):
    """The gate's answer."""

    decision: Literal["accept", "refuse", "undecided"]
    """accept (exit 0), refuse (1), undecided: the intervals do not settle it (3)."""
    reasons: tuple[str, ...]
    """One sentence a criterion."""
    metrics: dict[str, Difference]
    """By ``suite/metric``."""
    thresholds: dict[str, float]
    """Margins that were applied, in metric units."""


class FixPair(Record):
    """One piece of code before and after a vulnerability fix."""

    id: str
    """Digest over repository, commit, path, name, granularity and place, short form."""
    language: Language
    """Language of both sides."""
    granularity: Literal["file", "function", "block", "line"] = "function"
    """What the two texts are."""
    before: str
    """Text before the fix, with the comment that is attached to it."""
    after: str
    """Text after the fix, with the comment that is attached to it."""
    body_start: int
    """Offset in ``after``, in characters, where the body begins (prompt | completion)."""
    context: str = ""
    """What stands before ``after`` in its function, for pieces smaller than one; else empty."""
    changed_lines_before: tuple[int, ...] = ()
    """Lines of ``before`` removed or changed, counted from 0."""
    changed_lines_after: tuple[int, ...] = ()
    """Lines of ``after`` added or changed, counted from 0."""
    changed_spans_before: tuple[tuple[int, int], ...] = ()
    """Tokens of ``before`` removed or changed: character offsets, end excluded, in order."""
    changed_spans_after: tuple[tuple[int, int], ...] = ()
    """Tokens of ``after`` added or changed, likewise."""
    name: str
    """Function name; of a file its path."""
    path: str
    """Path in the repository, after the fix."""
    path_before: str = ""
    """Path before the fix, where the fix moved the file; else empty."""
    repository: str
    """Name or origin of the repository, without credentials."""
    commit: str
    """Full hash of the fixing commit."""
    date: str
    """Author date, ISO 8601."""
    message: str = ""
    """First line of the commit message."""
    cwe: str | None = None
    """Weakness, where it could be told."""
    cve: str | None = None
    """CVE id, where the message names one."""
    evidence: str = ""
    """Why this commit and this label were chosen."""
    licence: str | None = None
    """SPDX identifier found in the file's head, else in the repository at that commit."""
    quality: float | None = None
    """How likely the piece is the fix and nothing else, 0 to 1; None where it was not scored."""
    split: Literal["train", "validation", "test"] = "train"
    """What the pair is for; all pieces of a repository (or of its younger part) share it."""


class PreferencePair(Record):
    """Two answers to one prompt, of which one is to be preferred."""

    id: str
    """Digest over case, prompt, both answers and why, short form."""
    case: str
    """Id of the case; where several suites are pooled, whatever tells their cases apart."""
    prompt: str
    """Text that both answers go on from."""
    chosen: str
    """The better answer."""
    rejected: str
    """The worse answer."""
    language: Language
    """Language of prompt and answers."""
    family: str = ""
    """Family of the case."""
    round: int = Field(default=0, ge=0)
    """Round of refinement whose samples the answers are; 0: none."""
    because: Literal["execution", "static", "human", "reference"]
    """What prefers it. ``execution``: what came of running both, exploits included. ``static``:
    both work, an analyser speaks against the worse. ``human``: somebody looked. ``reference``: no
    sample works, the case's own answer is the better one."""
    failure: FailureClass | None = None
    """What is wrong with the worse answer; ``insecure`` where it works. None: nobody said."""
    chosen_count: int = Field(default=1, ge=0)
    """How often the better answer was drawn, in any layout; 0: it was not."""
    rejected_count: int = Field(default=1, ge=0)
    """How often the worse one was."""


class Answer(Record):
    """An answer that is in no pair, and whether it is good: what an unpaired loss learns from."""

    id: str
    """Digest over case, prompt and text, short form."""
    case: str
    """Id of the case."""
    prompt: str
    """Text that the answer goes on from."""
    text: str
    """The answer."""
    language: Language
    """Language of both."""
    good: bool
    """Whether it is a right answer, and a clean one where that can be told."""
    round: int = Field(default=0, ge=0)
    """Round of refinement that it was drawn in."""
