# SPDX-License-Identifier: Apache-2.0
"""What messages say: scores, reasons, ids, weaknesses."""

from __future__ import annotations

import pytest

from codetemper.data.labels import label


def test_ordinary_messages_score_nothing() -> None:
    said = label("Add a colour option to the printer\n\nIt was asked for.")
    assert said.score == 0
    assert said.reasons == ()
    assert said.cwe is None


def test_ids_choose_alone_and_are_normalised() -> None:
    said = label("fix cve-2021-1234 and CVE-2021-99999 again cve-2021-1234 (cwe_0787)")
    assert said.cves == ("CVE-2021-1234", "CVE-2021-99999")
    assert said.cwe == "CWE-787"
    assert said.score >= 20
    assert "cwe_0787" in said.evidence


def test_a_written_id_outranks_vocabulary() -> None:
    said = label("Fix use-after-free in close (CWE-672)")
    assert said.cwe == "CWE-672"


@pytest.mark.parametrize(
    ("message", "cwe"),
    [
        ("lib: avoid use after free in close()", "CWE-416"),
        ("Fix double-free on error path", "CWE-415"),
        ("prevent SQL injection in search", "CWE-89"),
        ("Fix command injection through branch names", "CWE-78"),
        ("block path traversal in unpack", "CWE-22"),
        ("fix stored XSS in comments", "CWE-79"),
        ("Fix heap-based buffer overflow in decode", "CWE-787"),
        ("fix heap overread in utf8 decoder", "CWE-125"),
        ("Fix out-of-bounds read in print_name", "CWE-125"),
        ("Fix integer overflow in allocation size", "CWE-190"),
        ("png: fix null pointer dereference", "CWE-476"),
        ("syslog: fix format string vulnerability", "CWE-134"),
        ("replace weak hash for passwords", "CWE-327"),
        ("refuse unsafe yaml in settings", "CWE-502"),
    ],
)
def test_vocabulary_names_the_weakness(message: str, cwe: str) -> None:
    said = label(message)
    assert said.score >= 4
    assert said.cwe == cwe
    assert said.evidence.startswith("message says")


def test_a_narrow_weakness_goes_before_a_wide_one() -> None:
    assert label("out-of-bounds read caused by a missing bounds check").cwe == "CWE-125"


def test_words_against_lower_the_score() -> None:
    assert (
        label("Fix typo in the changelog: buffer overflow").score < label("buffer overflow").score
    )
    assert label("docs: escape the security page").score < 4


def test_reverts_are_told() -> None:
    message = 'Revert "Fix buffer overflow"\n\nThis reverts commit 0123456789abcdef.'
    assert label(message).revert
    assert not label("Fix buffer overflow").revert


def test_what_only_the_body_says_counts_half() -> None:
    said = label("mqtt: convert the send buffer\n\nNo more double free then.")
    assert said.score == 3
    assert label("mqtt: no double free\n\nThe send buffer is converted.").score == 6


def test_a_message_about_several_weaknesses_names_none() -> None:
    several = label("fix memory leak, use after free, null pointer dereference")
    assert several.cwe is None
    assert "several" in several.evidence
    assert label("integer overflow leads to a heap buffer overflow").cwe == "CWE-190"
    assert label("use after free, a denial of service").cwe == "CWE-416"


def test_a_stack_overflow_is_no_overflow_of_a_buffer() -> None:
    assert label("limit nesting: stack overflow in the parser").cwe == "CWE-674"
    assert label("stack-based buffer overflow in the parser").cwe == "CWE-787"


@pytest.mark.parametrize(
    "message",
    ["Exploit the new encoding in ziplists", "lib: avoid MSan false positives\n\nuninitialized"],
)
def test_words_that_speak_of_something_else(message: str) -> None:
    assert label(message).score < 4
