# SPDX-License-Identifier: Apache-2.0
"""Utility functions over text: cutting, joining, folding, counting, comparing."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "slug(text)",
        "Return text in lower case with every run of characters other than a-z and 0-9 replaced\n"
        "by one hyphen, and no hyphen at either end.",
        """
        return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        """,
        ("slug('Hello, World!')", "hello-world"),
        ("slug('  C++ & Rust 2024 ')", "c-rust-2024"),
        ("slug('---')", ""),
        ("slug('a')", "a"),
        imports="import re",
    ),
    utility(
        "truncate(text, limit)",
        "Shorten text to at most limit characters. A shortened text ends in '...', which counts.\n"
        "Where limit is below 3 it is filled with dots alone.",
        """
        if len(text) <= limit:
            return text
        if limit < 3:
            return "." * limit
        return text[: limit - 3] + "..."
        """,
        ("truncate('abcdefgh', 6)", "abc..."),
        ("truncate('abc', 3)", "abc"),
        ("truncate('abcd', 3)", "..."),
        ("truncate('abcd', 2)", ".."),
        ("truncate('', 0)", ""),
    ),
    utility(
        "wrap_words(text, width)",
        "Break text into lines of at most width characters at white space, as many words to a\n"
        "line as fit. A word longer than width gets a line of its own, whole.",
        """
        lines = []
        current = ""
        for word in text.split():
            if current and len(current) + 1 + len(word) > width:
                lines.append(current)
                current = word
            else:
                current = f"{current} {word}" if current else word
        if current:
            lines.append(current)
        return lines
        """,
        ("wrap_words('one two three four', 9)", ["one two", "three", "four"]),
        ("wrap_words('a bb ccc', 4)", ["a bb", "ccc"]),
        ("wrap_words('extraordinary is it', 5)", ["extraordinary", "is it"]),
        ("wrap_words('   ', 5)", []),
    ),
    utility(
        "camel_to_snake(name)",
        "Turn CamelCase into snake_case. A run of capitals is one word, except that its last\n"
        "capital begins the next word where a small letter follows.",
        """
        name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\\1_\\2", name)
        name = re.sub(r"([a-z0-9])([A-Z])", r"\\1_\\2", name)
        return name.lower()
        """,
        ("camel_to_snake('HTTPServerError')", "http_server_error"),
        ("camel_to_snake('userName')", "user_name"),
        ("camel_to_snake('plain')", "plain"),
        ("camel_to_snake('Sha256Sum')", "sha256_sum"),
        imports="import re",
    ),
    utility(
        "snake_to_camel(name, upper=False)",
        "Turn snake_case into camelCase, or into CamelCase where upper is true. Empty parts, as\n"
        "two underscores in a row make, vanish.",
        """
        parts = [part for part in name.split("_") if part]
        words = [part[:1].upper() + part[1:] for part in parts]
        if words and not upper:
            words[0] = parts[0][:1].lower() + parts[0][1:]
        return "".join(words)
        """,
        ("snake_to_camel('user_name')", "userName"),
        ("snake_to_camel('user_name', upper=True)", "UserName"),
        ("snake_to_camel('__a__bc_')", "aBc"),
        ("snake_to_camel('')", ""),
    ),
    utility(
        "common_prefix(words)",
        "Return the longest text that all words begin with; '' where there are no words.",
        """
        if not words:
            return ""
        first, last = min(words), max(words)
        for index, letter in enumerate(first):
            if index >= len(last) or last[index] != letter:
                return first[:index]
        return first
        """,
        ("common_prefix(['flower', 'flow', 'flight'])", "fl"),
        ("common_prefix(['same', 'same'])", "same"),
        ("common_prefix(['a', 'b'])", ""),
        ("common_prefix([])", ""),
        ("common_prefix(['abc', 'abcdef', 'abcxyz'])", "abc"),
    ),
    utility(
        "edit_distance(left, right)",
        "Return the least number of inserted, deleted or replaced characters that turns left\n"
        "into right.",
        """
        previous = list(range(len(right) + 1))
        for row, a in enumerate(left, 1):
            current = [row]
            for column, b in enumerate(right, 1):
                current.append(min(previous[column] + 1, current[-1] + 1,
                                   previous[column - 1] + (a != b)))
            previous = current
        return previous[-1]
        """,
        ("edit_distance('kitten', 'sitting')", 3),
        ("edit_distance('', 'abc')", 3),
        ("edit_distance('abc', 'abc')", 0),
        ("edit_distance('flaw', 'lawn')", 2),
    ),
    utility(
        "is_balanced(text)",
        "Tell whether every (, [ and { in text is closed by its like, properly nested. Other\n"
        "characters do not matter.",
        """
        partner = {")": "(", "]": "[", "}": "{"}
        stack = []
        for letter in text:
            if letter in "([{":
                stack.append(letter)
            elif letter in partner and (not stack or stack.pop() != partner[letter]):
                return False
        return not stack
        """,
        ("is_balanced('f(a[1], {b: (c)})')", True),
        ("is_balanced('(]')", False),
        ("is_balanced('((')", False),
        ("is_balanced('')", True),
        ("is_balanced(')(')", False),
    ),
    utility(
        "word_counts(text)",
        "Count words, runs of letters and apostrophes, without regard to case. Return a dict of\n"
        "word to count, most frequent first, equal counts in the order of the alphabet.",
        """
        counts = collections.Counter(re.findall(r"[a-z']+", text.lower()))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        """,
        ("word_counts('The cat and the hat')", {"the": 2, "and": 1, "cat": 1, "hat": 1}),
        ("list(word_counts('b a b c a b'))", ["b", "a", "c"]),
        ("word_counts(\"Don't, don't!\")", {"don't": 2}),
        ("word_counts('123')", {}),
        imports="import collections\nimport re",
    ),
    utility(
        "title_case(text, small=('a', 'an', 'and', 'of', 'the'))",
        "Capitalise each word and put the rest of it in lower case, but leave small words in\n"
        "lower case unless they come first or last.",
        """
        words = text.lower().split()
        return " ".join(
            word if word in small and 0 < index < len(words) - 1 else word[:1].upper() + word[1:]
            for index, word in enumerate(words)
        )
        """,
        ("title_case('the lord of the rings')", "The Lord of the Rings"),
        ("title_case('WAR AND PEACE')", "War and Peace"),
        ("title_case('what is it made of')", "What Is It Made Of"),
        ("title_case('')", ""),
    ),
    utility(
        "strip_comments(line, mark='#')",
        "Return line without its comment and without white space at the end. A mark within single\n"
        "or double quotes begins no comment.",
        """
        quote = ""
        for index, letter in enumerate(line):
            if quote:
                if letter == quote:
                    quote = ""
            elif letter in "'\\"":
                quote = letter
            elif line.startswith(mark, index):
                return line[:index].rstrip()
        return line.rstrip()
        """,
        ("strip_comments('x = 1  # one')", "x = 1"),
        ("strip_comments(\"url = 'a#b' # c\")", "url = 'a#b'"),
        ("strip_comments('go; // now', '//')", "go;"),
        ("strip_comments('# all')", ""),
        ("strip_comments('say \"it\\'s\" # x')", 'say "it\'s"'),
    ),
    utility(
        "indent_level(line, width=4)",
        "Return how many levels a line is indented. Blanks count one, a tab goes to the next\n"
        "multiple of width; a level is width columns, and started levels do not count.",
        """
        column = 0
        for letter in line:
            if letter == " ":
                column += 1
            elif letter == "\\t":
                column += width - column % width
            else:
                break
        return column // width
        """,
        ("indent_level('        x')", 2),
        ("indent_level('  \\tx')", 1),
        ("indent_level('\\t\\t x')", 2),
        ("indent_level('x')", 0),
        ("indent_level('   x')", 0),
        ("indent_level('  \\tx', 8)", 1),
    ),
    utility(
        "squeeze_blank_lines(text)",
        "Replace every run of blank lines by a single one, and drop blank lines at beginning and\n"
        "end. A line of white space is blank. The result ends in a line feed unless it is empty.",
        """
        lines = []
        for line in text.splitlines():
            if line.strip():
                lines.append(line)
            elif lines and lines[-1]:
                lines.append("")
        while lines and not lines[-1]:
            lines.pop()
        return "\\n".join(lines) + "\\n" if lines else ""
        """,
        ("squeeze_blank_lines('a\\n\\n \\nb\\n\\n')", "a\n\nb\n"),
        ("squeeze_blank_lines('\\n\\na')", "a\n"),
        ("squeeze_blank_lines('\\n \\n')", ""),
        ("squeeze_blank_lines('a\\nb')", "a\nb\n"),
    ),
    utility(
        "mask_digits(text, keep=4)",
        "Replace all digits of text by '*', but for the last keep of them.",
        """
        total = sum(letter.isdigit() for letter in text)
        out = []
        for letter in text:
            if letter.isdigit():
                out.append("*" if total > keep else letter)
                total -= 1
            else:
                out.append(letter)
        return "".join(out)
        """,
        ("mask_digits('4111-1111-1111-1234')", "****-****-****-1234"),
        ("mask_digits('123', 4)", "123"),
        ("mask_digits('12 34', 1)", "** *4"),
        ("mask_digits('12', 0)", "**"),
    ),
    utility(
        "split_quoted(line, separator=',')",
        "Split line at separator, but not inside double quotes. Quotes around a field are taken\n"
        "away, two quotes inside quotes mean one, and nothing else is stripped.",
        """
        fields, current, quoted, index = [], [], False, 0
        while index < len(line):
            letter = line[index]
            if quoted:
                if letter == '"' and line[index + 1 : index + 2] == '"':
                    current.append('"')
                    index += 1
                elif letter == '"':
                    quoted = False
                else:
                    current.append(letter)
            elif letter == '"':
                quoted = True
            elif letter == separator:
                fields.append("".join(current))
                current = []
            else:
                current.append(letter)
            index += 1
        return [*fields, "".join(current)]
        """,
        ("split_quoted('a,\"b,c\",d')", ["a", "b,c", "d"]),
        ("split_quoted('\"say \"\"hi\"\"\",x')", ['say "hi"', "x"]),
        ("split_quoted('a,,b,')", ["a", "", "b", ""]),
        ("split_quoted('a; b', ';')", ["a", " b"]),
    ),
    utility(
        "expand_ranges(text)",
        "Expand a list of numbers and ranges such as '1-3,7' into a list of integers in the order\n"
        "written. A range that runs backwards counts down. Blanks do not matter.",
        """
        numbers = []
        for part in text.replace(" ", "").split(","):
            if not part:
                continue
            first, dash, last = part.partition("-")
            if not dash:
                numbers.append(int(first))
                continue
            start, stop = int(first), int(last)
            step = 1 if stop >= start else -1
            numbers.extend(range(start, stop + step, step))
        return numbers
        """,
        ("expand_ranges('1-3,7')", [1, 2, 3, 7]),
        ("expand_ranges('5-3, 9')", [5, 4, 3, 9]),
        ("expand_ranges('4-4')", [4]),
        ("expand_ranges('')", []),
    ),
    utility(
        "collapse_ranges(numbers)",
        "Write integers as a sorted list of ranges without duplicates, e.g. '1-3,7'. Two numbers\n"
        "in a row are a range too.",
        """
        parts = []
        start = last = None
        for number in sorted(set(numbers)):
            if last is not None and number == last + 1:
                last = number
                continue
            if start is not None:
                parts.append(str(start) if start == last else f"{start}-{last}")
            start = last = number
        if start is not None:
            parts.append(str(start) if start == last else f"{start}-{last}")
        return ",".join(parts)
        """,
        ("collapse_ranges([7, 1, 2, 3, 3])", "1-3,7"),
        ("collapse_ranges([5, 4])", "4-5"),
        ("collapse_ranges([])", ""),
        ("collapse_ranges([1, 3, 5, 6])", "1,3,5-6"),
    ),
    utility(
        "abbreviate(name)",
        "Shorten a full name to initials but for the last word: 'A. B. Last'. A name of one word\n"
        "stays as it is.",
        """
        *given, last = name.split() or [""]
        return " ".join([f"{word[0].upper()}." for word in given] + [last])
        """,
        ("abbreviate('Ada King Lovelace')", "A. K. Lovelace"),
        ("abbreviate('plato')", "plato"),
        ("abbreviate('grace  hopper')", "G. hopper"),
        ("abbreviate('')", ""),
    ),
    utility(
        "highlight(text, word, mark='**')",
        "Put mark before and after each whole-word occurrence of word, without regard to case,\n"
        "keeping the text's own spelling.",
        """
        pattern = rf"\\b({re.escape(word)})\\b"
        return re.sub(pattern, lambda found: f"{mark}{found[0]}{mark}", text, flags=re.IGNORECASE)
        """,
        ("highlight('The cat. Cats? cat', 'cat')", "The **cat**. Cats? **cat**"),
        ("highlight('CAT', 'cat', '_')", "_CAT_"),
        ("highlight('1.5 or 145', '1.5')", "**1.5** or 145"),
        ("highlight('none', 'x')", "none"),
        imports="import re",
    ),
)  # fmt: skip
