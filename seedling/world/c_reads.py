# SPDX-License-Identifier: Apache-2.0
"""C families about counts and indices: array copies (CWE-787) and reads past the end (CWE-125).

Drivers allocate every buffer to its exact size, so that one element too far is seen.
The list ``SHAPES`` is used by ``c_security.py``; nothing here compiles or runs code.
"""

from __future__ import annotations

from seedling.world.c_shape import COUNTS, ITEMS, NOUNS, Shape, function, security

copy_array = Shape(
    name="c.copy_array",
    cwe="CWE-787",
    parts={"noun": NOUNS, "item": ITEMS, "size": COUNTS, "count": ("count", "length", "total")},
    comments=(
        "Copy the <noun> <item>s into a table of <size> numbers. Return 0, or -1 on refusal.",
        "Load <count> <item>s of the <noun> into <size> places. Return 0, or -1 when too many.",
    ),
    names=("copy_<noun>_<item>s", "load_<noun>_<item>s"),
    signature="int <name>(int *table, const int *<item>s, int <count>)",
    secure={
        "check-loop": """
            if (<count> > <size>)
                return -1;
            for (int i = 0; i < <count>; i++)
                table[i] = <item>s[i];
            return 0;
        """,
        "check-memcpy": """
            if (<count> < 0 || <count> > <size>)
                return -1;
            memcpy(table, <item>s, <count> * sizeof(int));
            return 0;
        """,
    },
    vulnerable={
        "loop": """
            for (int i = 0; i < <count>; i++)
                table[i] = <item>s[i];
            return 0;
        """,
        "memcpy": """
            memcpy(table, <item>s, <count> * sizeof(int));
            return 0;
        """,
        "lower-only": """
            if (<count> < 0)
                return -1;
            for (int i = 0; i < <count>; i++)
                table[i] = <item>s[i];
            return 0;
        """,
    },
    wrong={
        "wrong-skip": """
            if (<count> > <size>)
                return -1;
            for (int i = 1; i < <count>; i++)
                table[i] = <item>s[i];
            return 0;
        """
    },
    share=0.5,
    driver="""
        int main(int argc, char **argv)
        {
            int count = atoi(argv[argc - 1]), sum = 0;
            int *table = calloc(<size>, sizeof(int));
            int *from = calloc(count + 1, sizeof(int));
            for (int i = 0; i < count; i++)
                from[i] = i + 3;
            int result = <name>(table, from, count);
            for (int i = 0; i < <size>; i++)
                sum += (i + 1) * table[i];
            if (strcmp(argv[1], "show") == 0)
                printf("%d %d\\n", result, sum);
            else
                puts(result == -1 ? "safe" : "unsafe");
            return 0;
        }
    """,
    checks=(
        function("show", "2", expect="0 11"),
        function("show", "3", expect="0 26"),
        security("try", "<beyond>"),
    ),
)

read_slot = Shape(
    name="c.read_slot",
    cwe="CWE-125",
    parts={"noun": NOUNS, "item": ITEMS, "index": ("index", "slot", "position", "number")},
    comments=(
        "Return one <item> of the <noun>, or -1 when there is no such <index>.",
        "Look up the <noun> <item> at the <index>. Return -1 when there is none.",
    ),
    names=("get_<noun>_<item>", "<noun>_<item>_at", "read_<noun>_<item>"),
    signature="int <name>(const int *<item>s, int count, int <index>)",
    secure={
        "both-ends": """
            if (<index> < 0 || <index> >= count)
                return -1;
            return <item>s[<index>];
        """,
        "inside": """
            if (<index> >= 0 && <index> < count)
                return <item>s[<index>];
            return -1;
        """,
    },
    vulnerable={
        "no-check": """
            return <item>s[<index>];
        """,
        "upper-only": """
            if (<index> >= count)
                return -1;
            return <item>s[<index>];
        """,
        "off-by-one": """
            if (<index> < 0 || <index> > count)
                return -1;
            return <item>s[<index>];
        """,
    },
    wrong={
        "wrong-next": """
            if (<index> < 0 || <index> + 1 >= count)
                return -1;
            return <item>s[<index> + 1];
        """
    },
    share=0.55,
    driver="""
        int main(int argc, char **argv)
        {
            int *table = malloc(5 * sizeof(int));
            for (int i = 0; i < 5; i++)
                table[i] = 10 + i;
            printf("%d\\n", <name>(table, 5, atoi(argv[argc - 1])));
            return 0;
        }
    """,
    checks=(
        function("0", expect="10"),
        function("4", expect="14"),
        security("5", expect="-1"),
        security("-1", expect="-1"),
        security("6", expect="-1"),
    ),
)

copy_payload = Shape(
    name="c.copy_payload",
    cwe="CWE-125",
    parts={
        "noun": NOUNS,
        "packet": ("packet", "message", "frame", "record"),
        "body": ("payload", "body", "data"),
    },
    comments=(
        "Copy the <body> of a <noun> <packet>; byte 0 tells its length. Return it, or -1.",
        "Byte 0 of the <packet> is the size of its <body>. Copy that, return the size or -1.",
    ),
    names=("read_<noun>_<body>", "copy_<noun>_<body>", "<noun>_<packet>_<body>"),
    signature="int <name>(const unsigned char *<packet>, int length, unsigned char *<body>)",
    secure={
        "check-sum": """
            int size = <packet>[0];
            if (size + 1 > length)
                return -1;
            memcpy(<body>, <packet> + 1, size);
            return size;
        """,
        "check-rest": """
            if (<packet>[0] > length - 1)
                return -1;
            memcpy(<body>, <packet> + 1, <packet>[0]);
            return <packet>[0];
        """,
    },
    vulnerable={
        "trust": """
            int size = <packet>[0];
            memcpy(<body>, <packet> + 1, size);
            return size;
        """,
        "header-forgotten": """
            int size = <packet>[0];
            if (size > length)
                return -1;
            memcpy(<body>, <packet> + 1, size);
            return size;
        """,
    },
    wrong={
        "wrong-start": """
            int size = <packet>[0];
            if (size + 1 > length)
                return -1;
            memcpy(<body>, <packet>, size);
            return size;
        """
    },
    share=0.5,
    driver="""
        int main(int argc, char **argv)
        {
            int length = strlen(argv[argc - 1]) + 1;
            unsigned char *from = malloc(length), out[256] = {0};
            from[0] = atoi(argv[1]);
            memcpy(from + 1, argv[2], length - 1);
            int result = <name>(from, length, out);
            printf("%d %s\\n", result, (char *)out);
            return 0;
        }
    """,
    checks=(
        function("5", "hello", expect="5 hello"),
        function("2", "hello", expect="2 he"),
        security("6", "hello", expect="-1 "),
        security("200", "hi", expect="-1 "),
    ),
)

find_end = Shape(
    name="c.find_end",
    cwe="CWE-125",
    parts={
        "noun": NOUNS,
        "array": ("bytes", "line", "chunk", "block"),
        "mark code": (("comma", ","), ("colon", ":"), ("semicolon", ";"), ("slash", "/")),
    },
    comments=(
        "Return the place of the first <mark> in the <noun> <array>, or -1 when there is none.",
        "Find a <mark> among the bytes of the <noun> <array>. Return its place, or -1.",
    ),
    names=("find_<noun>_<mark>", "<noun>_<mark>_at"),
    signature="int <name>(const char *<array>, int length)",
    secure={
        "for-length": """
            for (int i = 0; i < length; i++)
                if (<array>[i] == '<code>')
                    return i;
            return -1;
        """,
        "while-length": """
            int i = 0;
            while (i < length && <array>[i] != '<code>')
                i++;
            return i < length ? i : -1;
        """,
        "memchr": """
            const char *found = memchr(<array>, '<code>', length);
            return found ? found - <array> : -1;
        """,
    },
    vulnerable={
        "unbounded": """
            int i = 0;
            while (<array>[i] != '<code>')
                i++;
            return i;
        """,
        "off-by-one": """
            for (int i = 0; i <= length; i++)
                if (<array>[i] == '<code>')
                    return i;
            return -1;
        """,
    },
    share=0.45,
    driver="""
        int main(int argc, char **argv)
        {
            int length = strlen(argv[argc - 1]);
            char *bytes = malloc(length);
            memcpy(bytes, argv[1], length);
            printf("%d\\n", <name>(bytes, length));
            return 0;
        }
    """,
    checks=(
        function("ab<code>cd<code>e", expect="2"),
        function("<code>", expect="0"),
        security("abcd", expect="-1"),
        security("abcdefghi", expect="-1"),
    ),
)

SHAPES = (copy_array, read_slot, copy_payload, find_end)
