# SPDX-License-Identifier: Apache-2.0
"""Families around text for others to read: HTML (CWE-79), redirects (CWE-601), logs (CWE-117).

Used by ``python_security.py``; nothing here is run outside the execution judge.
"""

from __future__ import annotations

from seedling.world.pysec_parts import Pattern, attack, expects, resists

NOUNS = (
    "name", "title", "comment", "city", "message", "label", "topic", "author",
    "summary", "caption", "address", "answer", "review", "word",
)  # fmt: skip

_SCRIPT = '"<script>alert(1)</script>"'
_MARKUP = "result = any('<script' in str(text) for text in seen)\n"

HTML_ELEMENT = Pattern(
    name="python.html_element",
    cwe="CWE-79",
    slots={
        "noun": NOUNS,
        "tag": ("h1", "h2", "p", "b", "em", "td", "li", "span"),
        "call": ("${noun}_html", "render_$noun", "show_$noun"),
        "doc": (
            "Return $noun inside an HTML $tag element.",
            "Return the HTML element $tag that shows $noun.",
        ),
    },
    parameters="$noun",
    secure={
        "f-string": 'return f"<$tag>{html.escape($noun)}</$tag>"',
        "concatenation": 'return "<$tag>" + html.escape($noun) + "</$tag>"',
        "first-escape": 'text = html.escape($noun)\nreturn f"<$tag>{text}</$tag>"',
    },
    vulnerable={
        "f-string": 'return f"<$tag>{$noun}</$tag>"',
        "concatenation": 'return "<$tag>" + $noun + "</$tag>"',
        "unescape": 'text = html.unescape($noun)\nreturn f"<$tag>{text}</$tag>"',
    },
    wrong={"unclosed": 'return f"<$tag>{html.escape($noun)}<$tag>"'},
    checks=(
        expects("plain", 'result = $call("hello")\n', "<$tag>hello</$tag>"),
        resists("script", attack("$call(hostile)", _SCRIPT) + _MARKUP),
    ),
)

HTML_LIST = Pattern(
    name="python.html_list",
    cwe="CWE-79",
    slots={
        "noun": NOUNS,
        "list": ("ul", "ol"),
        "call": ("${noun}_list", "render_${noun}_list", "list_$noun"),
        "doc": (
            "Return the values as the items of an HTML $list element.",
            "Return an HTML $list element with one li for each $noun in values.",
        ),
    },
    parameters="values",
    secure={
        "join": 'items = "".join(f"<li>{html.escape(value)}</li>" for value in values)\n'
        'return f"<$list>{items}</$list>"',
        "loop": 'text = "<$list>"\nfor value in values:\n'
        '    text += "<li>" + html.escape(value) + "</li>"\nreturn text + "</$list>"',
    },
    vulnerable={
        "join": 'items = "".join(f"<li>{value}</li>" for value in values)\n'
        'return f"<$list>{items}</$list>"',
        "loop": 'text = "<$list>"\nfor value in values:\n'
        '    text += "<li>" + value + "</li>"\nreturn text + "</$list>"',
    },
    wrong={
        "lost-close": 'text = "<$list>"\nfor value in values:\n'
        '    text += "<li>" + html.escape(value) + "</li>"\nreturn text'
    },
    checks=(
        expects("plain", 'result = $call(["a", "b"])\n', "<$list><li>a</li><li>b</li></$list>"),
        resists("script", attack('$call(["a", hostile])', _SCRIPT) + _MARKUP),
    ),
    vulnerable_share=0.55,
)

HTML_ATTRIBUTE = Pattern(
    name="python.html_attribute",
    cwe="CWE-79",
    slots={
        "noun": NOUNS,
        "tag": ("input value", "img alt", "option value", "meta content", "a title", "p title"),
        "call": ("${noun}_field", "${noun}_tag", "${noun}_element"),
        "doc": ('Return the HTML tag <$tag="..."> for $noun.',),
    },
    parameters="$noun",
    secure={
        "f-string": "return f'<$tag=\"{html.escape($noun)}\">'",
        "concatenation": "return '<$tag=\"' + html.escape($noun) + '\">'",
    },
    vulnerable={
        "f-string": "return f'<$tag=\"{$noun}\">'",
        "no-quotes": "return f'<$tag=\"{html.escape($noun, quote=False)}\">'",
        "concatenation": "return '<$tag=\"' + $noun + '\">'",
    },
    checks=(
        expects("plain", 'result = $call("hello")\n', '<$tag="hello">'),
        resists(
            "quote",
            attack("$call(hostile)", "'x\" onload=\"y'")
            + "result = any('\" onload' in str(text) for text in seen)\n",
        ),
    ),
    vulnerable_share=0.45,
)

_HOME = 'return "/"\nreturn $url'
REDIRECT = Pattern(
    name="python.redirect_target",
    cwe="CWE-601",
    slots={
        "event": ("login", "logout", "signup", "search", "payment", "upload", "edit", "vote"),
        "url": ("url", "target", "following"),
        "call": ("after_$event", "${event}_target", "${event}_redirect"),
        "doc": (
            "Return where to go after $event: the path $url, or / without one.",
            "Return $url, the page to show after $event, or / when it is empty.",
        ),
    },
    parameters="$url",
    secure={
        "slashes": 'if not $url.startswith("/") or $url[1:2] in ("/", "\\\\"):\n    ' + _HOME,
        "pattern": 'if re.fullmatch(r"/\\w[\\w/.-]*", $url):\n    return $url\nreturn "/"',
        "urlsplit": 'parts = urlsplit($url.replace("\\\\", "/"))\n'
        "if not $url or parts.scheme or parts.netloc:\n    " + _HOME,
    },
    vulnerable={
        "or": 'return $url or "/"',
        "if-empty": "if not $url:\n    " + _HOME,
        "one-slash": 'if not $url.startswith("/"):\n    ' + _HOME,
    },
    wrong={"always-home": 'return "/"'},
    checks=(
        expects(
            "honest",
            'result = [$call("/home"), $call("/a/b"), $call("")]\n',
            ["/home", "/a/b", "/"],
        ),
        resists(
            "elsewhere",
            attack("$call(hostile)", '"https://evil.example/"', '"//evil.example/"')
            + "result = any('evil' in str(url) for url in seen)\n",
        ),
    ),
)

LOG_LINE = Pattern(
    name="python.log_line",
    cwe="CWE-117",
    slots={
        "event": ("login", "logout", "search", "upload", "download", "order", "delete", "reset"),
        "noun": ("user", "name", "path", "query", "client", "title"),
        "call": ("log_$event", "${event}_line", "note_$event"),
        "doc": (
            'Return the log line "$event: " followed by $noun.',
            "Return a line of the log that tells of a $event by $noun.",
        ),
    },
    parameters="$noun",
    secure={
        "split": '$noun = " ".join($noun.splitlines())\nreturn f"$event: {$noun}"',
        "replace": '$noun = $noun.replace("\\r", " ").replace("\\n", " ")\n'
        'return "$event: " + $noun',
    },
    vulnerable={
        "f-string": 'return f"$event: {$noun}"',
        "concatenation": 'return "$event: " + $noun',
        "strip": '$noun = $noun.strip()\nreturn f"$event: {$noun}"',
    },
    wrong={"no-colon": '$noun = " ".join($noun.splitlines())\nreturn f"$event {$noun}"'},
    checks=(
        expects("honest", 'result = $call("ann").rstrip()\n', "$event: ann"),
        resists(
            "forged-line",
            attack("$call(hostile)", '"ann\\nlogin: root"', '"ann\\rlogin: x"')
            + "result = any(len(str(line).splitlines()) > 1 for line in seen)\n",
        ),
    ),
)

PATTERNS = (HTML_ELEMENT, HTML_LIST, HTML_ATTRIBUTE, REDIRECT, LOG_LINE)
