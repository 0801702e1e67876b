# SPDX-License-Identifier: Apache-2.0
"""Families around bytes from outside: loading objects (CWE-502) and reading values (CWE-95).

The hostile payloads, when loaded or evaluated, only create a file in the check's own empty
directory. Used by ``python_security.py``; nothing here is run outside the execution judge.
"""

from __future__ import annotations

from seedling.world.pysec_parts import Pattern, attack, expects, resists

NOUNS = (
    "totals", "settings", "scores", "prices", "names", "weights", "counts", "options",
    "colors", "limits", "levels", "sizes",
)  # fmt: skip

_PAYLOAD = """\
import pickle
class Trap:
    def __reduce__(self):
        return open, ("owned", "w")
pickled = pickle.dumps(Trap())
"""
_OWNED = 'result = os.path.exists("owned")\n'
_EXPRESSION = '\'open("owned", "w")\''

_PLAIN = "if os.path.exists(path):\n    return {load}\nvalue = compute()\n{save}\nreturn value"
CACHED = Pattern(
    name="python.cached_value",
    cwe="CWE-502",
    slots={
        "noun": NOUNS,
        "call": ("cached_$noun", "kept_$noun", "${noun}_once", "saved_$noun"),
        "doc": (
            "Return the $noun kept in the file path, or compute and keep them.",
            "Return $noun from the file path; when missing, compute and save them.",
            "Read $noun from the file path, or call compute and write the file.",
        ),
    },
    parameters="path, compute",
    secure={
        "json": _PLAIN.format(
            load="json.loads(Path(path).read_text())",
            save="Path(path).write_text(json.dumps(value))",
        ),
        "literal": _PLAIN.format(
            load="ast.literal_eval(Path(path).read_text())",
            save="Path(path).write_text(repr(value))",
        ),
    },
    vulnerable={
        "pickle": _PLAIN.format(
            load="pickle.loads(Path(path).read_bytes())",
            save="Path(path).write_bytes(pickle.dumps(value))",
        ),
        "eval": _PLAIN.format(
            load="eval(Path(path).read_text())",
            save="Path(path).write_text(repr(value))",
        ),
    },
    wrong={
        "never-kept": "if os.path.exists(path):\n    return json.loads(Path(path).read_text())\n"
        "return compute()"
    },
    checks=(
        expects(
            "kept",
            'first = $call("kept", lambda: {"a": [1, 2]})\n'
            'result = [first, $call("kept", lambda: None)]\n',
            [{"a": [1, 2]}, {"a": [1, 2]}],
        ),
        resists(
            "loaded",
            _PAYLOAD
            + f"Path('kept1').write_bytes(pickled)\nPath('kept2').write_text({_EXPRESSION})\n"
            + attack("$call(hostile, lambda: 1)", '"kept1"', '"kept2"')
            + _OWNED,
        ),
    ),
)

CODEC = Pattern(
    name="python.codec",
    cwe="CWE-502",
    slots={
        "noun": NOUNS,
        "call": ("${noun}_codec", "${noun}_coders", "${noun}_format"),
        "doc": (
            "Return two functions: one from $noun to bytes, and one back.",
            "Return the functions that turn $noun into bytes and bytes into $noun.",
            "Return an encoder of $noun to bytes and its decoder.",
        ),
    },
    parameters="",
    secure={
        "json": "return lambda value: json.dumps(value).encode(), json.loads",
        "literal": "return lambda value: repr(value).encode(), "
        "lambda data: ast.literal_eval(data.decode())",
    },
    vulnerable={
        "pickle": "return pickle.dumps, pickle.loads",
        "eval": "return lambda value: repr(value).encode(), lambda data: eval(data.decode())",
    },
    wrong={"text": "return json.dumps, json.loads"},
    checks=(
        expects(
            "round-trip",
            'encode, decode = $call()\ndata = encode({"a": [1, 2]})\n'
            "result = [isinstance(data, bytes), decode(data)]\n",
            [True, {"a": [1, 2]}],
        ),
        resists(
            "loaded",
            _PAYLOAD + attack("$call()[1](hostile)", "pickled", _EXPRESSION + ".encode()") + _OWNED,
        ),
    ),
    vulnerable_share=0.45,
)

PARSE_LIST = Pattern(
    name="python.parse_list",
    cwe="CWE-95",
    slots={
        "noun": NOUNS,
        "call": ("parse_$noun", "read_$noun", "${noun}_from_text"),
        "text": ("text", "line", "value"),
        "doc": (
            "Return the list that $text spells, such as [1, 2].",
            "Return the $noun in $text, a list written as [1, 2].",
        ),
    },
    parameters="$text",
    secure={
        "json": "return json.loads($text)",
        "literal": "return ast.literal_eval($text)",
        "split": 'parts = $text.strip("[] ").split(",")\nreturn [int(part) for part in parts]',
    },
    vulnerable={
        "eval": "return eval($text)",
        "strip-eval": "return list(eval($text.strip()))",
        "empty-scope": "return eval($text, {})",
    },
    wrong={"text-parts": 'return $text.strip("[] ").split(",")'},
    checks=(
        expects("honest", 'result = $call("[1, 2, 30]")\n', [1, 2, 30]),
        resists("evaluated", attack("$call(hostile)", _EXPRESSION) + _OWNED),
    ),
)

READ_NUMBER = Pattern(
    name="python.read_number",
    cwe="CWE-95",
    slots={
        "noun": ("quantity", "age", "year", "count", "weight", "price", "size", "level"),
        "call": ("read_$noun", "parse_$noun", "${noun}_field"),
        "record": ("record", "form", "row", "entry"),
        "doc": (
            "Return the $noun in $record, which is text, as a number.",
            "Return the number that the $noun of $record spells.",
        ),
    },
    parameters="$record",
    secure={
        "int": 'return int($record["$noun"])',
        "strip-int": 'text = $record["$noun"].strip()\nreturn int(text)',
    },
    vulnerable={
        "eval": 'return eval($record["$noun"])',
        "int-eval": 'text = $record["$noun"].strip()\nreturn int(eval(text))',
    },
    wrong={"text": 'return $record["$noun"].strip()'},
    checks=(
        expects("honest", 'result = $call({"$noun": "42"})\n', 42),
        resists("evaluated", attack('$call({"$noun": hostile})', _EXPRESSION) + _OWNED),
    ),
    vulnerable_share=0.45,
)

PATTERNS = (CACHED, CODEC, PARSE_LIST, READ_NUMBER)
