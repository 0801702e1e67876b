# SPDX-License-Identifier: Apache-2.0
"""Utility functions that read small formats: settings, addresses, paths, patterns, tables."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "parse_ini(text)",
        "Read sections of 'key = value' lines into a dict of dicts of texts. Lines that begin with\n"
        "# or ; and blank lines are passed over; keys before the first [section] belong to ''.",
        """
        sections, current = {}, ""
        for line in map(str.strip, text.splitlines()):
            if not line or line[0] in "#;":
                continue
            if line[0] == "[" and line[-1] == "]":
                current = line[1:-1].strip()
                sections.setdefault(current, {})
            else:
                key, _, value = line.partition("=")
                sections.setdefault(current, {})[key.strip()] = value.strip()
        return sections
        """,
        ("parse_ini('[db]\\nhost = a\\nport=1')", {"db": {"host": "a", "port": "1"}}),
        ("parse_ini('x = a=b\\n# c\\n[e]')", {"": {"x": "a=b"}, "e": {}}),
        ("parse_ini('')", {}),
        ("parse_ini('[a]\\nk=1\\n[b]\\n;\\n[a]\\nl=2')", {"a": {"k": "1", "l": "2"}, "b": {}}),
    ),
    utility(
        "parse_bool(text)",
        "Read yes/no settings without regard to case and blanks around: yes, true, on, 1 are True;\n"
        "no, false, off, 0 are False; anything else is None.",
        """
        word = text.strip().lower()
        if word in ("yes", "true", "on", "1"):
            return True
        return False if word in ("no", "false", "off", "0") else None
        """,
        ("parse_bool(' Yes ')", True),
        ("parse_bool('OFF')", False),
        ("parse_bool('maybe')", None),
        ("parse_bool('')", None),
        ("parse_bool('0')", False),
    ),
    utility(
        "parse_query(query)",
        "Read 'a=1&b=2' into a dict of name to the list of its values, in order. '+' and %XX are\n"
        "decoded; a name without '=' has the value ''. Empty parts are passed over.",
        """
        values = {}
        for part in query.split("&"):
            if part:
                name, _, value = part.partition("=")
                values.setdefault(unquote_plus(name), []).append(unquote_plus(value))
        return values
        """,
        ("parse_query('a=1&b=x+y&a=%26')", {"a": ["1", "&"], "b": ["x y"]}),
        ("parse_query('flag&&k=')", {"flag": [""], "k": [""]}),
        ("parse_query('')", {}),
        ("parse_query('e=1=2')", {"e": ["1=2"]}),
        imports="from urllib.parse import unquote_plus",
    ),
    utility(
        "parse_endpoint(text, port)",
        "Divide 'host', 'host:1234' or '[::1]:1234' into [host, port]; the given port holds where\n"
        "none is written. Return None where the port is not a number from 1 to 65535.",
        """
        host, colon, number = text, "", ""
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            colon, number = rest[:1], rest[1:]
        elif text.count(":") == 1:
            host, colon, number = text.partition(":")
        if not colon:
            return [host, port]
        if not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= 65535:
            return None
        return [host, int(number)]
        """,
        ("parse_endpoint('example.org:8080', 80)", ["example.org", 8080]),
        ("parse_endpoint('[::1]:22', 80)", ["::1", 22]),
        ("parse_endpoint('::1', 80)", ["::1", 80]),
        ("parse_endpoint('a:70000', 80)", None),
        ("parse_endpoint('a:', 80)", None),
        ("parse_endpoint('[fe80::2]', 7)", ["fe80::2", 7]),
    ),
    utility(
        "is_ipv4(text)",
        "Tell whether text is an IPv4 address: four numbers from 0 to 255 between dots, ASCII\n"
        "digits only, without leading zeros.",
        """
        parts = text.split(".")
        return len(parts) == 4 and all(
            part.isascii() and part.isdigit() and str(int(part)) == part and int(part) < 256
            for part in parts
        )
        """,
        ("is_ipv4('192.168.0.1')", True),
        ("is_ipv4('256.1.1.1')", False),
        ("is_ipv4('1.2.3.04')", False),
        ("is_ipv4('1.2.3')", False),
        ("is_ipv4('1.2.3.')", False),
    ),
    utility(
        "in_network(address, network)",
        "Tell whether an IPv4 address lies in a network such as '10.1.0.0/16'.",
        """
        def number(text):
            a, b, c, d = map(int, text.split("."))
            return (a << 24) | (b << 16) | (c << 8) | d

        base, _, bits = network.partition("/")
        shift = 32 - int(bits)
        return number(address) >> shift == number(base) >> shift
        """,
        ("in_network('10.1.200.3', '10.1.0.0/16')", True),
        ("in_network('10.2.0.1', '10.1.0.0/16')", False),
        ("in_network('1.2.3.4', '0.0.0.0/0')", True),
        ("in_network('1.2.3.5', '1.2.3.4/32')", False),
        ("in_network('192.168.1.130', '192.168.1.128/25')", True),
    ),
    utility(
        "parse_hex_colour(text)",
        "Read '#rgb' or '#rrggbb' as [red, green, blue] from 0 to 255; None for anything else.",
        """
        digits = text[1:]
        if text[:1] != "#" or not re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits):
            return None
        if len(digits) == 3:
            digits = "".join(digit * 2 for digit in digits)
        return [int(digits[i : i + 2], 16) for i in (0, 2, 4)]
        """,
        ("parse_hex_colour('#ff8000')", [255, 128, 0]),
        ("parse_hex_colour('#0f8')", [0, 255, 136]),
        ("parse_hex_colour('ff8000')", None),
        ("parse_hex_colour('#ff80')", None),
        imports="import re",
    ),
    utility(
        "parse_table(text)",
        "Read a table of columns divided by '|' into a list of dicts. The first line has the\n"
        "names; a line of dashes and bars is passed over; cells are stripped; missing cells are ''.",
        """
        rows = [
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in text.splitlines()
            if line.strip() and set(line.strip()) - set("-|: ")
        ]
        if not rows:
            return []
        names = rows[0]
        return [dict(zip(names, row + [""] * (len(names) - len(row)))) for row in rows[1:]]
        """,
        (
            "parse_table('| a | b |\\n|---|---|\\n| 1 | x y |')",
            [{"a": "1", "b": "x y"}],
        ),
        ("parse_table('a|b\\n1')", [{"a": "1", "b": ""}]),
        ("parse_table('')", []),
        ("parse_table('|n|\\n|5|\\n\\n|6|')", [{"n": "5"}, {"n": "6"}]),
    ),
    utility(
        "parse_log_line(line)",
        "Divide '2024-05-01 12:00:00 [WARN] disk: almost full' into a dict with time, level,\n"
        "source and message. Return None for lines of another form.",
        """
        pattern = r"(\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d) \\[([A-Z]+)\\] ([^:]+): (.*)"
        found = re.fullmatch(pattern, line)
        if found is None:
            return None
        return dict(zip(("time", "level", "source", "message"), found.groups()))
        """,
        (
            "parse_log_line('2024-05-01 12:00:00 [WARN] disk: almost full')",
            {
                "time": "2024-05-01 12:00:00",
                "level": "WARN",
                "source": "disk",
                "message": "almost full",
            },
        ),
        ("parse_log_line('hello')", None),
        ("parse_log_line('2024-05-01 12:00:00 [INFO] a b: x: y')['message']", "x: y"),
        ("parse_log_line('2024-05-01 12:00:00 [info] a: b')", None),
        imports="import re",
    ),
    utility(
        "evaluate(expression)",
        "Evaluate a sum of products of whole numbers with +, -, * and parentheses, with the usual\n"
        "precedence. A minus sign may stand before a number or a parenthesis.",
        """
        tokens = re.findall(r"\\d+|[-+*()]", expression)

        def factor():
            token = tokens.pop(0)
            if token == "-":
                return -factor()
            if token == "(":
                value = total()
                tokens.pop(0)
                return value
            return int(token)

        def product():
            value = factor()
            while tokens and tokens[0] == "*":
                tokens.pop(0)
                value *= factor()
            return value

        def total():
            value = product()
            while tokens and tokens[0] in "+-":
                value = value + product() if tokens.pop(0) == "+" else value - product()
            return value

        return total()
        """,
        ("evaluate('2 + 3 * (4 - 1)')", 11),
        ("evaluate('-(2 + 3) * 4')", -20),
        ("evaluate('10 - 3 - 2')", 5),
        ("evaluate('7')", 7),
        imports="import re",
    ),
    utility(
        "glob_match(pattern, text)",
        "Match text with a pattern in which '*' stands for any characters but '/', '**' for any at\n"
        "all, and '?' for one character but '/'. The whole text must match.",
        """
        out, index = "", 0
        while index < len(pattern):
            if pattern.startswith("**", index):
                out += ".*"
                index += 2
                continue
            letter = pattern[index]
            out += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
            index += 1
        return re.fullmatch(out, text, re.DOTALL) is not None
        """,
        ("glob_match('src/*.py', 'src/a.py')", True),
        ("glob_match('src/*.py', 'src/a/b.py')", False),
        ("glob_match('src/**.py', 'src/a/b.py')", True),
        ("glob_match('a?c', 'abc')", True),
        ("glob_match('a.c', 'abc')", False),
        imports="import re",
    ),
    utility(
        "normalise_path(path)",
        "Make a path of '/' plain: no empty parts and no '.', and '..' takes the part before it\n"
        "away. '..' at the root stays at the root; in a relative path it is kept. An empty result\n"
        "is '.'.",
        """
        rooted = path.startswith("/")
        parts = []
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if part == ".." and parts and parts[-1] != "..":
                parts.pop()
            elif part != ".." or not rooted:
                parts.append(part)
        return ("/" if rooted else "") + "/".join(parts) or "."
        """,
        ("normalise_path('/a//b/../c/.')", "/a/c"),
        ("normalise_path('../a/..')", ".."),
        ("normalise_path('/..')", "/"),
        ("normalise_path('a/..')", "."),
        ("normalise_path('')", "."),
    ),
    utility(
        "relative_to(path, base)",
        "Return path relative to base, both absolute and plain, with '..' where it must go up;\n"
        "'.' where they are equal.",
        """
        ours = [part for part in path.split("/") if part]
        theirs = [part for part in base.split("/") if part]
        shared = 0
        while shared < min(len(ours), len(theirs)) and ours[shared] == theirs[shared]:
            shared += 1
        return "/".join([".."] * (len(theirs) - shared) + ours[shared:]) or "."
        """,
        ("relative_to('/a/b/c', '/a/d')", "../b/c"),
        ("relative_to('/a', '/a')", "."),
        ("relative_to('/a/b', '/')", "a/b"),
        ("relative_to('/ab', '/a')", "../ab"),
    ),
    utility(
        "split_extension(name)",
        "Divide a file name into [stem, extension]; the extension begins at the last dot, or at\n"
        "'.tar' before it. A dot at the beginning of the name begins no extension.",
        """
        stem, dot, last = name.rpartition(".")
        if not dot or not stem.strip("."):
            return [name, ""]
        if stem.endswith(".tar") and stem != ".tar":
            return [stem[:-4], f".tar.{last}"]
        return [stem, f".{last}"]
        """,
        ("split_extension('data.tar.gz')", ["data", ".tar.gz"]),
        ("split_extension('.bashrc')", [".bashrc", ""]),
        ("split_extension('a.b.txt')", ["a.b", ".txt"]),
        ("split_extension('README')", ["README", ""]),
        ("split_extension('x.')", ["x", "."]),
    ),
    utility(
        "fill_template(template, values)",
        "Replace {name} by the text of values['name']; names that values lacks stay as written,\n"
        "and {{ and }} mean single braces.",
        """
        def replace(found):
            if found[0] in ("{{", "}}"):
                return found[0][0]
            return str(values[found[1]]) if found[1] in values else found[0]

        return re.sub(r"\\{\\{|\\}\\}|\\{(\\w+)\\}", replace, template)
        """,
        ("fill_template('Dear {name}, {{{sum}}}', {'name': 'Ann', 'sum': 5})", "Dear Ann, {5}"),
        ("fill_template('{x} {y}', {'x': '{y}', 'y': 1})", "{y} 1"),
        ("fill_template('{missing}', {})", "{missing}"),
        imports="import re",
    ),
)  # fmt: skip
