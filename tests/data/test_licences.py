# SPDX-License-Identifier: Apache-2.0
"""Licences told from heads of files and from licence files."""

from __future__ import annotations

import pytest

from codetemper.data.licences import is_licence, of_file, of_text

MIT = "Permission is hereby granted, free of charge, to any person\n * obtaining a copy of this"
BSD = "Redistribution and use in source and binary forms, with or without modification,"


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("// SPDX-License-Identifier: GPL-2.0-only OR MIT\nint a;\n", "GPL-2.0-only OR MIT"),
        ("/* SPDX-License-Identifier: curl */\n", "curl"),
        (f"/*\n * {MIT} software\n */\n", "MIT"),
        ("# Licensed under the Apache License, Version 2.0 (the \"License\")\n", "Apache-2.0"),
        (f"/* {BSD} are permitted. */", "BSD-2-Clause"),
        (f"/* {BSD}: Neither the name may be used to endorse or promote products derived from\n"
         " * this software without specific prior written permission. */", "BSD-3-Clause"),
        ("/* GNU General Public License as published by the Free Software Foundation; either\n"
         " * version 2 of the License, or (at your option) any later version. */",
         "GPL-2.0-or-later"),
        ("/* GNU Lesser General Public License; either\n * version 2.1 of the License, or (at\n"
         " * your option) any later version */", "LGPL-2.1-or-later"),
        ("/* This Source Code Form is subject to the Mozilla Public\n * License, v. 2.0. */",
         "MPL-2.0"),
        ("/* https://imagemagick.org/script/license.php  ImageMagick License */", "ImageMagick"),
        ("int main(void)\n{\n}\n", None),
    ],
)  # fmt: skip
def test_heads_of_files(head: str, licence: str | None) -> None:
    assert of_file(head) == licence


def test_words_far_down_are_no_heading() -> None:
    assert of_file("int a;\n" * 1000 + f"/* {MIT} */") is None


def test_a_licence_file_is_its_version_alone() -> None:
    text = (
        "                    GNU GENERAL PUBLIC LICENSE\n            Version 2, June 1991\n"
        "Everyone is permitted to copy and distribute verbatim copies\n any later version\n"
    )
    assert of_text(text) == "GPL-2.0-only"
    assert of_text("All rights reserved.") is None


def test_names_of_licence_files() -> None:
    assert all(map(is_licence, ["LICENSE", "COPYING", "License.txt", "COPYING.LIB", "LICENCE-MIT"]))
    assert not any(map(is_licence, ["license_check.c.in.d/x", "README", "relicensing"]))
