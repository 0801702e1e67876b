# SPDX-License-Identifier: Apache-2.0
"""What a commit message says about security: a score with reasons, ids, a weakness.

``label(message)`` is pure and cheap (regular expressions over the message only), so it can run
over every commit of a history. It never looks at code: a weakness it names is what the author
wrote, with the words that say so as evidence, and ``None`` where the message says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Until 2005 ids were candidates first; a CAN became the CVE of the same number.
CVE = re.compile(r"\b(?:CVE|CAN)-((?:19|20)\d{2}-\d{4,7})\b", re.IGNORECASE)
CWE = re.compile(r"\bCWE[-_ ]?(\d{1,4})\b", re.IGNORECASE)
REVERT = re.compile(r"^\s*revert\b|This reverts commit [0-9a-f]{7,64}", re.IGNORECASE)
#: Advisories of hosts, distributions, language registries and finders, by their ids.
ADVISORY = re.compile(
    r"\b(?:GHSA(?:-[0-9a-z]{4}){3}|RH[SB]A-\d{4}:\d{3,}|(?:DSA|DLA|USN)-\d{2,}(?:-\d+)?"
    r"|(?:PYSEC|OSV|GO|RUSTSEC|MAL|HSEC|BIT)-(?:[\w.]+-)?\d{4}-\d+|XSA-\d+|ZDI-(?:CAN-\d+|\d\d-\d+)"
    r"|TALOS-(?:CAN-|\d{4}-)\d+|VU#\d+|JVN#?\d+)\b",
    re.IGNORECASE,
)
#: Keys and links of trackers where security reports live.
TRACKER = re.compile(
    r"\bhackerone\.com/reports/\d+|\bhuntr\.(?:dev|com)/bounties/[\w-]+|\bSECURITY-\d+\b"
    r"|\b(?:bugs\.chromium\.org/p/oss-fuzz|issues\.oss-fuzz\.com|crbug\.com/oss-fuzz)\b"
    r"|\boss-?fuzz[-:# ]{1,3}(?:issue |bug |id |#)?\d{3,}|\bclusterfuzz-testcase\b"
    r"|\b(?:embargoed|security) (?:bug|issue|report)s? #?\d+",
    re.IGNORECASE,
)

#: A CVE or CWE id alone chooses a commit at any sensible threshold; so does an advisory.
_ID_SCORE = 10
_ADVISORY_SCORE = 8
_TRACKER_SCORE = 4

#: (pattern, points, weakness or None). The first weakness that matches is the label, so narrow
#: weaknesses stand above wide ones.
_VOCABULARY: tuple[tuple[str, int, str | None], ...] = (
    (r"use[- ]after[- ]free|\buaf\b|dangling pointer", 6, "CWE-416"),
    (r"double[- ]free", 6, "CWE-415"),
    (r"sql[- ]injection|\bsqli\b", 6, "CWE-89"),
    (r"(?:shell|command|argument)[- ]injection|shell=True|shell escap", 6, "CWE-78"),
    (r"(?:path|directory)[- ]traversal|zip[- ]slip", 6, "CWE-22"),
    (r"cross[- ]site[- ]scripting|\bxss\b|html[- ]injection", 6, "CWE-79"),
    (r"cross[- ]site request forgery|\bcsrf\b", 5, "CWE-352"),
    (r"(?:insecure|unsafe|arbitrary) (?:de)?seriali[sz]|unsafe (?:yaml|pickle)", 6, "CWE-502"),
    (r"(?:unsafe|arbitrary).{0,20}\b(?:unpickl|pickle|yaml\.load)", 6, "CWE-502"),
    (r"\bxxe\b|external entity (?:injection|attack|expansion)", 5, "CWE-611"),
    (r"server[- ]side request forgery|\bssrf\b", 6, "CWE-918"),
    (r"code (?:injection|execution)|arbitrary code|unsafe eval", 6, "CWE-94"),
    (r"format[- ]string (?:vuln|bug|attack|issue|injection|flaw)", 6, "CWE-134"),
    (r"(?:uncontrolled|user-controlled) format string", 6, "CWE-134"),
    (r"null[- ]p(?:oin)?te?r (?:deref\w*|access)|null deref\w*|deref\w* (?:a )?null", 4, "CWE-476"),
    (r"out[- ]of[- ]bounds? read|\boob read|over-?read|read (?:past|beyond)", 6, "CWE-125"),
    (r"out[- ]of[- ]bounds? write|\boob write|write (?:past|beyond)", 6, "CWE-787"),
    (r"(?:integer|arithmetic|signed|size_t|multiplication) (?:over|under)flow", 5, "CWE-190"),
    (r"integer wrap", 5, "CWE-190"),
    (r"(?:heap|buffer)[- ](?:based[- ])?(?:buffer[- ])?over(?:flow|run)", 6, "CWE-787"),
    (r"stack[- ](?:based[- ])?buffer[- ]over(?:flow|run)", 6, "CWE-787"),
    # Sanitizers call it so when calls nest too deeply; a buffer on the stack has its own name.
    (r"stack[- ](?:overflow|exhaustion)|(?:infinite|unbounded) recursion", 5, "CWE-674"),
    (r"off[- ]by[- ]one", 3, "CWE-193"),
    (r"out[- ]of[- ]bounds?|\boob\b|bounds? check", 4, "CWE-119"),
    (r"memory corruption", 5, "CWE-119"),
    (r"type confusion", 5, "CWE-843"),
    (r"uninitiali[sz]ed", 3, "CWE-908"),
    (r"timing attack|constant[- ]time compar", 5, "CWE-208"),
    (r"weak (?:hash|cipher|crypto)|insecure (?:hash|cipher|md5|sha1)", 5, "CWE-327"),
    (r"hard-?coded (?:password|credential|secret|key)", 5, "CWE-798"),
    (r"world[- ](?:writ|read)able|insecure (?:file )?permission", 5, "CWE-732"),
    (r"insecure temp|(?:temp|tmp) ?file race|symlink (?:attack|race)", 5, "CWE-377"),
    (r"\btoctou\b|time[- ]of[- ]check", 5, "CWE-367"),
    (r"open redirect", 5, "CWE-601"),
    (r"catastrophic backtracking|\bredos\b", 5, "CWE-1333"),
    (r"infinite loop", 3, "CWE-835"),
    (r"privilege escalation|auth(?:entication|orization) bypass", 6, None),
    (r"denial[- ]of[- ]service|\bdos\b attack", 4, "CWE-400"),
    (r"vulnerab\w*", 4, None),
    (r"\bexploit(?:able|ability|ation|ed)\b", 4, None),
    (r"security\b(?! level| context| label| descriptor)", 3, None),
    (r"\b(?:malicious|hostile|attacker|untrusted|crafted)\b", 3, None),
    (r"\b(?:asan|ubsan|msan|addresssanitizer|valgrind)\b", 2, None),
    (r"\boss-?fuzz\b|\bfuzz(?:er|ing)?\b", 2, None),
    (r"\b(?:over|under)flow\w*", 2, None),
    (r"saniti[sz]e\b|\bescape\w*\b", 2, None),
    (r"\bcrash\w*|segfault|\bsegv\b", 1, None),
    # What speaks against a fix of the code itself.
    (r"\bfalse[- ]positives?\b", -4, None),
    (r"\btypos?\b|\bspelling\b|\bwhitespace\b|\bindentation\b", -3, None),
    (r"\bbump\b|\bchange ?log\b|\brelease notes?\b|\bcopyright\b", -3, None),
    (r"^(?:docs?|documentation|tests?|ci|build|style|chore|refactor)\b ?[(:]", -4, None),
)
#: What may be said beside a weakness without being another: what it leads to, or its wider name.
_SAME_STORY: dict[str, frozenset[str]] = {
    "CWE-190": frozenset({"CWE-787", "CWE-125", "CWE-119"}),
    "CWE-193": frozenset({"CWE-787", "CWE-125", "CWE-119"}),
    "CWE-787": frozenset({"CWE-119"}),
    "CWE-125": frozenset({"CWE-119"}),
    "CWE-416": frozenset({"CWE-415", "CWE-119"}),
    "CWE-415": frozenset({"CWE-416", "CWE-119"}),
    "CWE-843": frozenset({"CWE-787", "CWE-125", "CWE-119"}),
}
#: Any weakness may end in this one.
_CONSEQUENCE = "CWE-400"
_RULES = tuple((re.compile(p, re.IGNORECASE), points, cwe) for p, points, cwe in _VOCABULARY)

#: One pass that tells whether any positive rule can match; most commits stop here.
_ANY = re.compile(
    "|".join(
        [f"(?:{p})" for p, points, _ in _VOCABULARY if points > 0]
        + [CVE.pattern, CWE.pattern, ADVISORY.pattern, TRACKER.pattern]
    ),
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Label:
    """What a message says.

    Attributes:
        score: sum of the points of everything that matched; 0 says nothing about security.
        reasons: what matched, with its points, in the order of the vocabulary.
        cves: CVE ids in order of appearance, upper case.
        cwe: weakness, e.g. ``CWE-787``, or None.
        evidence: the words behind ``cwe``.
        advisory: id of the first advisory named, where there is one.
        revert: the message says it takes an earlier commit back.
    """

    score: int
    reasons: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    cwe: str | None = None
    evidence: str = ""
    advisory: str | None = None
    revert: bool = False


_NOTHING = Label(0)


def label(message: str) -> Label:
    """Score a commit message and read the weakness it names.

    Args:
        message: subject and body.

    Returns:
        The label. A CWE id written in the message outranks vocabulary as the weakness. Words in
        the body that the subject lacks give half the points, and a message that names several
        weaknesses, none of which leads to the others, gives none.
    """
    if not _ANY.search(message):
        return _NOTHING
    score, reasons, cwe, evidence = 0, [], None, ""
    cves = tuple(dict.fromkeys(f"CVE-{match}" for match in CVE.findall(message)))
    if cves:
        score += _ID_SCORE
        reasons.append(f"{cves[0]} (+{_ID_SCORE})")
    if found := CWE.search(message):
        score += _ID_SCORE
        cwe, evidence = f"CWE-{int(found[1])}", f'message names "{found[0]}"'
        reasons.append(f"{cwe} (+{_ID_SCORE})")
    advisory = ADVISORY.search(message)
    if advisory:
        score += _ADVISORY_SCORE
        reasons.append(f"{advisory[0]} (+{_ADVISORY_SCORE})")
    if found := TRACKER.search(message):
        score += _TRACKER_SCORE
        reasons.append(f"{' '.join(found[0].split())} (+{_TRACKER_SCORE})")
    subject = message.lstrip().partition("\n")[0]
    said: dict[str, str] = {}
    for rule, points, weakness in _RULES:
        found = rule.search(message)
        if not found:
            continue
        words = " ".join(found[0].lower().split())
        # What only the body says may be about something else: it counts half.
        counted = points if points < 0 or rule.search(subject) else -(-points // 2)
        score += counted
        reasons.append(f'"{words}" ({counted:+d})')
        if weakness:
            said.setdefault(weakness, words)
    if said and not cwe:
        cwe, evidence = _weakness(said)
    return Label(
        score,
        tuple(reasons),
        cves,
        cwe,
        evidence,
        advisory[0] if advisory else None,
        bool(REVERT.search(message)),
    )


def _weakness(said: dict[str, str]) -> tuple[str | None, str]:
    """Return the one weakness that a message is about, with the evidence; None for several.

    Args:
        said: words by weakness, in the order of the vocabulary.
    """
    for one, words in said.items():
        others = said.keys() - {one, _CONSEQUENCE} - _SAME_STORY.get(one, frozenset())
        if not others:
            return one, f'message says "{words}"'
    return None, "message names several weaknesses: " + ", ".join(f'"{w}"' for w in said.values())
