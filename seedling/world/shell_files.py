# SPDX-License-Identifier: Apache-2.0
"""The shell families about files and folders, as a table.

Commands about text, processes and the network are in ``shell_text.py``.
"""

from __future__ import annotations

from seedling.world.shell_parts import (
    ARCHIVES,
    DIRS,
    ENDINGS,
    FILES,
    FOLDERS,
    MODES,
    SMALL,
    Command,
)

FILE_COMMANDS: tuple[Command, ...] = (
    Command(
        "find_name",
        {"dir": DIRS, "ending": ENDINGS},
        ("list all .<ending> files below <dir>", "find every .<ending> file below <dir>"),
        (("find", "find <dir> -name '*.<ending>'"),),
        (("no-star", "find <dir> -name '.<ending>'"), ("swapped", "find '*.<ending>' -name <dir>")),
        0.34,
    ),
    Command(
        "find_size",
        {"dir": DIRS, "n": SMALL},
        ("list files below <dir> larger than <n> MB", "find files over <n> MB below <dir>"),
        (("find", "find <dir> -type f -size +<n>M"),),
        (("no-plus", "find <dir> -type f -size <n>M"), ("unit", "find <dir> -type f -size +<n>k")),
        0.42,
    ),
    Command(
        "find_name_size",
        {"dir": DIRS, "ending": ENDINGS, "n": SMALL},
        (
            "list all .<ending> files below <dir> larger than <n> MB",
            "find every .<ending> file over <n> MB below <dir>",
        ),
        (
            ("name-size", "find <dir> -name '*.<ending>' -size +<n>M"),
            ("size-name", "find <dir> -size +<n>M -name '*.<ending>'"),
        ),
        (
            ("no-plus", "find <dir> -name '*.<ending>' -size <n>M"),
            ("missing", "find <dir> -size +<n>M"),
        ),
        0.42,
    ),
    Command(
        "find_mtime",
        {
            "dir": DIRS,
            "n": SMALL,
            "age": (("changed within", "-", "+"), ("unchanged for", "+", "-")),
        },
        (
            "list files below <dir> <age.0> <n> days",
            "find files below <dir> <age.0> <n> days",
        ),
        (("find", "find <dir> -type f -mtime <age.1><n>"),),
        (
            ("sign", "find <dir> -type f -mtime <age.2><n>"),
            ("minutes", "find <dir> -type f -mmin <age.1><n>"),
        ),
        0.45,
    ),
    Command(
        "find_name_mtime",
        {"dir": DIRS, "ending": ENDINGS, "n": SMALL},
        (
            "list all .<ending> files below <dir> changed more than <n> days ago",
            "find every .<ending> file below <dir> modified more than <n> days ago",
        ),
        (
            ("name-mtime", "find <dir> -name '*.<ending>' -mtime +<n>"),
            ("mtime-name", "find <dir> -mtime +<n> -name '*.<ending>'"),
            ("typed", "find <dir> -type f -name '*.<ending>' -mtime +<n>"),
        ),
        (
            ("sign", "find <dir> -name '*.<ending>' -mtime -<n>"),
            ("missing", "find <dir> -type f -mtime +<n>"),
        ),
        0.42,
    ),
    Command(
        "find_delete",
        {"dir": DIRS, "ending": ENDINGS},
        ("delete all .<ending> files below <dir>", "remove every .<ending> file below <dir>"),
        (("find", "find <dir> -name '*.<ending>' -delete"),),
        (
            ("order", "find <dir> -delete -name '*.<ending>'"),
            ("no-delete", "find <dir> -name '*.<ending>'"),
        ),
        0.38,
    ),
    Command(
        "find_empty",
        {"dir": DIRS, "sort": (("files", "f", "d"), ("folders", "d", "f"))},
        (
            "list empty <sort.0> below <dir>",
            "find all empty <sort.0> below <dir>",
            "show the empty <sort.0> below <dir>",
            "which <sort.0> below <dir> are empty",
        ),
        (("find", "find <dir> -type <sort.1> -empty"),),
        (
            ("type", "find <dir> -type <sort.2> -empty"),
            ("no-empty", "find <dir> -type <sort.1>"),
        ),
        0.36,
    ),
    Command(
        "find_count",
        {"dir": DIRS, "ending": ENDINGS},
        ("count the .<ending> files below <dir>", "how many .<ending> files are below <dir>"),
        (("wc", "find <dir> -name '*.<ending>' | wc -l"),),
        (
            ("characters", "find <dir> -name '*.<ending>' | wc -c"),
            ("no-pipe", "find <dir> -name '*.<ending>' -l"),
        ),
        0.40,
    ),
    Command(
        "xargs_grep",
        {
            "dir": DIRS,
            "ending": ENDINGS,
            "word": ["error", "warning", "failed", "timeout", "admin"],
        },
        ("show which .<ending> files below <dir> hold <word>",),
        (("xargs", "find <dir> -name '*.<ending>' | xargs grep -l <word>"),),
        (
            ("no-xargs", "find <dir> -name '*.<ending>' | grep -l <word>"),
            ("without", "find <dir> -name '*.<ending>' | xargs grep -L <word>"),
        ),
        0.44,
    ),
    Command(
        "tar_create",
        {"dir": DIRS, "archive": ARCHIVES},
        ("pack <dir> into <archive>.tar.gz", "make the archive <archive>.tar.gz of <dir>"),
        (("gzip", "tar -czf <archive>.tar.gz <dir>"),),
        (
            ("swapped", "tar -czf <dir> <archive>.tar.gz"),
            ("no-z", "tar -cf <archive>.tar.gz <dir>"),
        ),
        0.45,
    ),
    Command(
        "tar_extract",
        {"dir": DIRS, "archive": ARCHIVES},
        ("unpack <archive>.tar.gz into <dir>", "extract <archive>.tar.gz to <dir>"),
        (("directory", "tar -xzf <archive>.tar.gz -C <dir>"),),
        (
            ("no-directory", "tar -xzf <archive>.tar.gz <dir>"),
            ("create", "tar -czf <archive>.tar.gz -C <dir>"),
        ),
        0.46,
    ),
    Command(
        "zip",
        {"dir": DIRS, "archive": ARCHIVES},
        (
            "zip <dir> with all it holds into <archive>.zip",
            "make <archive>.zip of the folder <dir>",
        ),
        (("recursive", "zip -r <archive>.zip <dir>"),),
        (("no-r", "zip <archive>.zip <dir>"), ("swapped", "zip -r <dir> <archive>.zip")),
        0.44,
    ),
    Command(
        "copy_tree",
        {"dir": DIRS, "folder": FOLDERS},
        ("copy the folder <folder> to <dir>", "copy <folder> with all it holds to <dir>"),
        (("recursive", "cp -r <folder> <dir>"), ("archive", "cp -a <folder> <dir>")),
        (("no-r", "cp <folder> <dir>"), ("swapped", "cp -r <dir> <folder>")),
        0.38,
    ),
    Command(
        "make_dirs",
        {"dir": DIRS, "one": FOLDERS, "two": FOLDERS},
        ("make the folder <dir>/<one>/<two> and its parents", "create <dir>/<one>/<two> at once"),
        (("parents", "mkdir -p <dir>/<one>/<two>"),),
        (("no-p", "mkdir <dir>/<one>/<two>"), ("touch", "touch <dir>/<one>/<two>")),
        0.34,
    ),
    Command(
        "move",
        {"dir": DIRS, "ending": ENDINGS},
        ("move all .<ending> files here to <dir>", "move every .<ending> file into <dir>"),
        (("move", "mv *.<ending> <dir>"),),
        (("copy", "cp *.<ending> <dir>"), ("swapped", "mv <dir> *.<ending>")),
        0.32,
    ),
    Command(
        "remove_tree",
        {"dir": DIRS, "folder": FOLDERS},
        ("remove the folder <dir>/<folder> with all it holds", "delete the tree <dir>/<folder>"),
        (("recursive", "rm -r <dir>/<folder>"), ("force", "rm -rf <dir>/<folder>")),
        (("no-r", "rm <dir>/<folder>"), ("rmdir", "rmdir <dir>/<folder>")),
        0.36,
    ),
    Command(
        "link",
        {"dir": DIRS, "file": FILES, "folder": FOLDERS},
        (
            "make <folder> a symbolic link to <dir>/<file>",
            "make the symlink <folder> to <dir>/<file>",
        ),
        (("symbolic", "ln -s <dir>/<file> <folder>"),),
        (("swapped", "ln -s <folder> <dir>/<file>"), ("hard", "ln <dir>/<file> <folder>")),
        0.50,
    ),
    Command(
        "mode",
        {"dir": DIRS, "file": FILES, "mode": MODES},
        ("set <dir>/<file> so that <mode.0>", "change the mode of <dir>/<file>: <mode.0>"),
        (("number", "chmod <mode.1> <dir>/<file>"),),
        (("open", "chmod <mode.2> <dir>/<file>"), ("swapped", "chmod <dir>/<file> <mode.1>")),
        0.44,
    ),
    Command(
        "disk_use",
        {"dir": DIRS, "folder": FOLDERS},
        ("show the total size of <dir>/<folder>", "how large is <dir>/<folder> in all"),
        (("summary", "du -sh <dir>/<folder>"),),
        (("no-s", "du -h <dir>/<folder>"), ("disk", "df -h <dir>/<folder>")),
        0.40,
    ),
    Command(
        "largest",
        {"dir": DIRS, "n": SMALL},
        ("show the <n> largest entries of <dir>", "list the <n> biggest things in <dir>"),
        (("numeric", "du -s <dir>/* | sort -rn | head -n <n>"),),
        (
            ("not-numeric", "du -s <dir>/* | sort -r | head -n <n>"),
            ("smallest", "du -s <dir>/* | sort -n | head -n <n>"),
        ),
        0.46,
    ),
)
