# SPDX-License-Identifier: Apache-2.0
"""Which weakness ids mean the same thing to a judge.

A tool may call an overflow CWE-787, 788, 121 or 119. Two ids agree where they are equal or in one
family; the first id of a family names it. Every id outside is a family of its own.
"""

from __future__ import annotations

_FAMILIES = (
    # memory bounds
    "119 118 120 121 122 123 124 125 126 127 129 130 131 466 785 786 787 788 805 806 823",
    "416 415 590 672 761 762 763 825 562 826",  # lifetime of memory
    "476 690",  # null pointers
    "190 128 191 192 194 195 196 197 680 681 682 1335",  # numbers
    "457 456 665 824 908 909",  # memory that was never written
    "401 404 771 772 775",  # what is never given back
    "134",  # format strings
    "22 23 24 25 26 27 28 29 35 36 37 38 39 40 41 59 61 73 98 99",  # paths
    "78 77 88 141 146",  # commands
    "79 80 81 83 84 85 86 87 116 692",  # markup
    "89 564 943",  # queries
    "94 95 96 913 915 1336",  # code
    "502",  # deserialisation
    "611 776 827 91 112",  # XML
    "918 441",  # requests on behalf of others
    "732 250 276 277 278 279 281 552 766",  # permissions
    "327 326 328 325 759 760 916 1240",  # cryptography
    "330 331 332 334 335 336 337 338 340",  # randomness
    "798 259 321 522 547",  # secrets in the source
    "295 297 298 299 599",  # certificates
    "377 378 379",  # temporary files
    "362 364 365 366 367",  # races
    "400 405 407 674 770 774 789 834 835 1333",  # exhaustion
    "601",  # redirects
    "117 93 113",  # lines in logs and headers
    "200 201 203 208 209 210 532",  # disclosure
    "252 253 690 703 754 755 390 391 248",  # errors nobody looks at
)
_HEAD: dict[str, str] = {}
for _family in _FAMILIES:
    for _number in _family.split():
        _HEAD.setdefault(_number, _family.split()[0])


def normal(cwe: str | int | None) -> str | None:
    """Return ``CWE-<number>`` without leading zeros for what a tool wrote, or None."""
    digits = "".join(c for c in str(cwe or "").partition(":")[0] if c.isdigit())
    return f"CWE-{int(digits)}" if digits else None


def family(cwe: str) -> str:
    """Return the id that names a weakness' family."""
    number = (normal(cwe) or cwe).removeprefix("CWE-")
    return f"CWE-{_HEAD.get(number, number)}"


def agree(one: str | None, other: str | None) -> bool:
    """Return whether two weakness ids are of one family; None agrees with nothing."""
    return bool(one and other and family(one) == family(other))
