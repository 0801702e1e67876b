# SPDX-License-Identifier: Apache-2.0
"""Under which licence a file stands, as an SPDX identifier: its head, else its repository.

    of_file(text)               # "curl", from "SPDX-License-Identifier: curl" or the header's words
    of_text(licence_text)       # "GPL-2.0-or-later", from the text of a LICENSE or COPYING file

Own and short: the licences that most code stands under, told by phrases that only they have.
What it does not know is None; it gives no legal advice. ``is_licence`` names the files to read.
"""

from __future__ import annotations

import re

#: Headers end long before this many characters.
_HEAD = 4_000
#: Licences name themselves early; the GPL's text names others further down.
_START = 6_000

_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^\r\n]+?)\s*(?:\*/|-->|[\"']|$)", re.MULTILINE)
_NAMES = re.compile(r"(?:LICEN[CS]E|COPYING|COPYRIGHT)(?:[._-][\w.-]+)?", re.IGNORECASE)

#: Words that stand in the way of phrases: comment signs, quotes, line ends.
_NOISE = re.compile(r"[\s*#;/\"'`,<>_=-]+")

#: (phrases that must all be there, phrases that must not, identifier); the first that fits.
_PHRASES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("mozilla public license", "2.0"), (), "MPL-2.0"),
    (("apache license", "2.0"), (), "Apache-2.0"),
    (("gnu affero general public license", "version 3", "any later version"), (),
     "AGPL-3.0-or-later"),
    (("gnu affero general public license", "version 3"), (), "AGPL-3.0-only"),
    (("lesser general public license", "2.1", "any later version"), (), "LGPL-2.1-or-later"),
    (("lesser general public license", "version 2.1"), (), "LGPL-2.1-only"),
    (("lesser general public license", "version 3", "any later version"), (), "LGPL-3.0-or-later"),
    (("lesser general public license", "version 3"), (), "LGPL-3.0-only"),
    (("library general public license", "version 2", "any later version"), (),
     "LGPL-2.0-or-later"),
    (("library general public license", "version 2"), (), "LGPL-2.0-only"),
    (("gnu general public license", "version 3", "any later version"), (), "GPL-3.0-or-later"),
    (("gnu general public license", "version 3"), (), "GPL-3.0-only"),
    (("gnu general public license", "version 2", "any later version"), (), "GPL-2.0-or-later"),
    (("gnu general public license", "version 2"), (), "GPL-2.0-only"),
    (("imagemagick", "license"), (), "ImageMagick"),
    (("python software foundation license",), (), "PSF-2.0"),
    (("psf license agreement",), (), "PSF-2.0"),
    (("curl.se/docs/copyright",), (), "curl"),
    (("curl.haxx.se/docs/copyright",), (), "curl"),
    (("permission to use copy modify and distribute this software for any purpose with or "
      "without fee is hereby granted provided that the above copyright", "daniel stenberg"), (),
     "curl"),
    (("permission to use copy modify and or distribute this software for any purpose",), (), "ISC"),
    (("permission to use copy modify and distribute this software for any purpose with or "
      "without fee",), (), "ISC"),
    (("permission is hereby granted free of charge to any person obtaining a copy",), (), "MIT"),
    (("altered source versions must be plainly marked as such",), (), "Zlib"),
    (("redistribution and use in source and binary forms", "all advertising materials"), (),
     "BSD-4-Clause"),
    (("redistribution and use in source and binary forms", "specific prior written permission"), (),
     "BSD-3-Clause"),
    (("redistributions of source code must retain", "may not be used to endorse"), (),
     "BSD-3-Clause"),
    (("redistribution and use in source and binary forms",), ("endorse",), "BSD-2-Clause"),
    (("this is free and unencumbered software released into the public domain",), (), "Unlicense"),
    (("boost software license", "version 1.0"), (), "BSL-1.0"),
)  # fmt: skip

#: The texts of the GNU licences say "any later version" of others; a licence file is the version.
_GNU = {
    "gnu affero general public license version 3": "AGPL-3.0-only",
    "gnu lesser general public license version 2.1": "LGPL-2.1-only",
    "gnu lesser general public license version 3": "LGPL-3.0-only",
    "gnu library general public license version 2": "LGPL-2.0-only",
    "gnu general public license version 2": "GPL-2.0-only",
    "gnu general public license version 3": "GPL-3.0-only",
}


def is_licence(name: str) -> bool:
    """Tell whether a file at the top of a repository holds its licence, by name."""
    return _NAMES.fullmatch(name) is not None


def of_file(text: str) -> str | None:
    """Return the licence that the head of a source file names, or None."""
    head = text[:_HEAD]
    if found := _SPDX.search(head):
        return found[1]
    return _told(head)


def of_text(text: str) -> str | None:
    """Return the licence whose text (or name) a licence file holds, or None."""
    head = text[:_START]
    if found := _SPDX.search(head):
        return found[1]
    plain = _plain(head)
    for title, name in _GNU.items():
        if title in plain[:400] and "everyone is permitted to copy" in plain:
            return name
    return _told(head)


def _told(text: str) -> str | None:
    plain = _plain(text)
    for needed, barred, name in _PHRASES:
        if all(p in plain for p in needed) and not any(p in plain for p in barred):
            return name
    return None


def _plain(text: str) -> str:
    return _NOISE.sub(" ", text).lower()
