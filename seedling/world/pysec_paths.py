# SPDX-License-Identifier: Apache-2.0
"""Families around files: path traversal (CWE-22), temporary files (CWE-377), modes (CWE-732).

Used by ``python_security.py``; nothing here is run outside the execution judge.
"""

from __future__ import annotations

from seedling.world.pysec_parts import Pattern, attack, expects, resists

NOUNS = (
    "report", "note", "page", "letter", "invoice", "recipe", "poem", "draft",
    "lesson", "story", "ticket", "order", "photo", "song",
)  # fmt: skip
FOLDERS = ("folder", "base", "root", "directory")

_STORE = """\
os.mkdir("store")
os.mkdir("store2")
for path in ("store/a.txt", "secret.txt", "store2/secret.txt"):
    Path(path).write_text("first\\nsecond")
Path("store/a.txt").write_text("one\\ntwo")
"""
_OUTSIDE = ('"../secret.txt"', '"../store2/secret.txt"', 'os.path.abspath("secret.txt")')
_JOIN = "path = os.path.join($folder, $name)\n"
_REAL = "path = os.path.realpath(os.path.join($folder, $name))\n"


def _guards(use: str) -> dict[str, dict[str, str]]:
    """Return secure and vulnerable ways to arrive at ``path``, each followed by ``use``."""
    refuse = "    raise ValueError($name)\n"
    return {
        "secure": {
            "basename": "path = os.path.join($folder, os.path.basename($name))\n" + use,
            "realpath": f"{_REAL}if not path.startswith(os.path.realpath($folder) + os.sep):\n"
            + refuse
            + use,
            "no-dots": f'if ".." in $name or os.path.isabs($name):\n{refuse}{_JOIN}{use}',
        },
        "vulnerable": {
            "join": _JOIN + use,
            "concatenation": 'path = $folder + "/" + $name\n' + use,
            "prefix": f"{_REAL}if not path.startswith(os.path.realpath($folder)):\n{refuse}{use}",
        },
    }


def _slots(verbs: tuple[str, ...], *docs: str) -> dict[str, tuple[str, ...]]:
    return {
        "noun": NOUNS,
        "folder": FOLDERS,
        "name": ("name", "filename"),
        "call": tuple(verb + "_$noun" for verb in verbs),
        "doc": docs,
    }


_read = _guards("with open(path) as file:\n    return file.read()")
READ_FILE = Pattern(
    name="python.read_file",
    cwe="CWE-22",
    slots=_slots(
        ("read", "load"),
        "Return the text of the $noun file $name in $folder.",
        "Open the $noun called $name in $folder and return its text.",
    ),
    parameters="$folder, $name",
    secure=_read["secure"],
    vulnerable=_read["vulnerable"],
    wrong={
        "one-line": "path = os.path.join($folder, os.path.basename($name))\n"
        "with open(path) as file:\n    return file.readline()"
    },
    checks=(
        expects("honest", _STORE + 'result = $call("store", "a.txt")\n', "one\ntwo"),
        resists(
            "outside",
            _STORE
            + attack('$call("store", hostile)', *_OUTSIDE)
            + "result = any('first' in str(text) for text in seen)\n",
        ),
    ),
)

_write = _guards('with open(path, "w") as file:\n    file.write(text)')
WRITE_FILE = Pattern(
    name="python.write_file",
    cwe="CWE-22",
    slots=_slots(
        ("save", "store", "write"), "Write text to the $noun file $name in the folder $folder."
    ),
    parameters="$folder, $name, text",
    secure=_write["secure"],
    vulnerable=_write["vulnerable"],
    checks=(
        expects(
            "honest",
            _STORE + '$call("store", "b.txt", "three")\n'
            "result = Path('store/b.txt').read_text()\n",
            "three",
        ),
        resists(
            "outside",
            _STORE
            + attack('$call("store", hostile, "three")', *_OUTSIDE)
            + "paths = ('secret.txt', 'store2/secret.txt')\n"
            "result = any('three' in Path(path).read_text() for path in paths)\n",
        ),
    ),
    vulnerable_share=0.55,
)

_remove = _guards("os.remove(path)")
REMOVE_FILE = Pattern(
    name="python.remove_file",
    cwe="CWE-22",
    slots=_slots(("remove", "delete"), "Remove the $noun file $name from the folder $folder."),
    parameters="$folder, $name",
    secure=_remove["secure"],
    vulnerable=_remove["vulnerable"],
    wrong={"whole-folder": "os.rmdir($folder)"},
    checks=(
        expects("honest", _STORE + '$call("store", "a.txt")\nresult = os.listdir("store")\n', []),
        resists(
            "outside",
            _STORE
            + attack('$call("store", hostile)', *_OUTSIDE)
            + "paths = ('secret.txt', 'store2/secret.txt')\n"
            "result = not all(os.path.exists(path) for path in paths)\n",
        ),
    ),
    vulnerable_share=0.45,
)

READ_BYTES = Pattern(
    name="python.read_bytes",
    cwe="CWE-22",
    slots=_slots((), "Return the bytes of the $noun file $name in $folder.")
    | {"call": ("${noun}_bytes", "raw_$noun")},
    parameters="$folder, $name",
    secure={
        "name-only": "path = Path($folder) / Path($name).name\nreturn path.read_bytes()",
        "relative-to": "path = (Path($folder) / $name).resolve()\n"
        "path.relative_to(Path($folder).resolve())\nreturn path.read_bytes()",
    },
    vulnerable={
        "slash": "path = Path($folder) / $name\nreturn path.read_bytes()",
        "resolve": "path = (Path($folder) / $name).resolve()\nreturn path.read_bytes()",
    },
    wrong={"text": "path = Path($folder) / Path($name).name\nreturn path.read_text()"},
    checks=(
        expects("honest", _STORE + 'result = list($call("store", "a.txt")[:2])\n', [111, 110]),
        resists(
            "outside",
            _STORE
            + attack('$call("store", hostile)', *_OUTSIDE)
            + "result = any('first' in str(data) for data in seen)\n",
        ),
    ),
)

_FILL = 'with open(path, "w") as file:\n    file.write(text)\nreturn path'
_VICTIM = 'tempfile.tempdir = os.getcwd()\nPath("victim").write_text("kept")\n'
_LOST = 'result = Path("victim").read_text() != "kept"\n'
SCRATCH_FILE = Pattern(
    name="python.scratch_file",
    cwe="CWE-377",
    slots={
        "noun": NOUNS,
        "call": ("scratch_$noun", "temporary_$noun", "spill_$noun"),
        "doc": (
            "Write text to a temporary file and return its path.",
            "Put the $noun text into a temporary file and return the path.",
            "Keep text in a temporary file; return the path of the file.",
        ),
    },
    parameters="text",
    secure={
        "mkstemp": "handle, path = tempfile.mkstemp()\n"
        'with os.fdopen(handle, "w") as file:\n    file.write(text)\nreturn path',
        "named": 'with tempfile.NamedTemporaryFile("w", delete=False) as file:\n'
        "    file.write(text)\nreturn file.name",
    },
    vulnerable={
        "mktemp": "path = tempfile.mktemp()\n" + _FILL,
        "fixed-name": 'path = os.path.join(tempfile.gettempdir(), "$noun.txt")\n' + _FILL,
    },
    wrong={
        "deleted": 'with tempfile.NamedTemporaryFile("w") as file:\n'
        "    file.write(text)\nreturn file.name"
    },
    checks=(
        expects("kept", _VICTIM + 'result = Path($call("hello")).read_text()\n', "hello"),
        resists(
            "planted-link",
            _VICTIM + 'os.symlink("victim", "planted")\n'
            'tempfile.mktemp = lambda *names, **options: os.path.abspath("planted")\n'
            + attack("$call(hostile)", '"x"')
            + _LOST,
        ),
        resists(
            "known-name",
            _VICTIM
            + attack("$call(hostile)", '"x"')
            + "path = str(seen[0])\nif os.path.exists(path):\n    os.remove(path)\n"
            '    os.symlink(os.path.abspath("victim"), path)\n'
            + attack("$call(hostile)", '"y"')
            + _LOST,
        ),
    ),
)

PRIVATE_FILE = Pattern(
    name="python.private_file",
    cwe="CWE-732",
    slots={
        "noun": ("key", "token", "password", "secret", "license", "cookie", "pin", "code"),
        "text": ("text", "value"),
        "call": ("save_$noun", "write_$noun", "store_$noun", "keep_$noun"),
        "doc": (
            "Write the $noun $text to the file path.",
            "Store the $noun given as $text in the file path.",
        ),
    },
    parameters="path, $text",
    secure={
        "open-mode": "handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)\n"
        'with os.fdopen(handle, "w") as file:\n    file.write($text)',
        "touch": "Path(path).touch(0o600)\nPath(path).write_text($text)",
        "chmod": 'with open(path, "w") as file:\n    os.chmod(path, 0o600)\n    file.write($text)',
    },
    vulnerable={
        "open": 'with open(path, "w") as file:\n    file.write($text)',
        "write-text": "Path(path).write_text($text)",
        "chmod": 'with open(path, "w") as file:\n    os.chmod(path, 0o644)\n    file.write($text)',
    },
    checks=(
        expects("kept", '$call("k.txt", "hello")\nresult = Path("k.txt").read_text()\n', "hello"),
        resists(
            "mode",
            "os.umask(0o022)\n"
            + attack('$call("k.txt", hostile)', '"hello"')
            + 'found = os.path.exists("k.txt")\n'
            'result = found and os.stat("k.txt").st_mode & 0o077 != 0\n',
        ),
    ),
    vulnerable_share=0.55,
)

PATTERNS = (READ_FILE, WRITE_FILE, REMOVE_FILE, READ_BYTES, SCRATCH_FILE, PRIVATE_FILE)
