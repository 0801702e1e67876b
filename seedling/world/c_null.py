# SPDX-License-Identifier: Apache-2.0
"""C families about results that may be NULL (CWE-476): no memory left, nothing found.

In security checks ``malloc`` and ``calloc``, seen from the candidate, have nothing left.
The list ``SHAPES`` is used by ``c_security.py``; nothing here compiles or runs code.
"""

from __future__ import annotations

from seedling.world.c_shape import NOUNS, NUMBERS, TEXTS, Shape, block, function, security

_MALLOC = block("""
    static int exhausted;
    static void *limited_malloc(size_t size)
    {
        return exhausted ? NULL : malloc(size);
    }
    static void *limited_calloc(size_t count, size_t size)
    {
        return exhausted ? NULL : calloc(count, size);
    }
    #define malloc limited_malloc
    #define calloc limited_calloc
""")

copy_text = Shape(
    name="c.copy_text",
    cwe="CWE-476",
    parts={"noun": NOUNS, "text": TEXTS},
    comments=(
        "Return a new copy of the <noun> <text>, or NULL.",
        "Copy the <noun> <text> into new memory. Return NULL when there is none.",
    ),
    names=("copy_<noun>_<text>", "<noun>_<text>_copy", "duplicate_<noun>_<text>"),
    signature="char *<name>(const char *<text>)",
    secure={
        "null-check": """
            char *copy = malloc(strlen(<text>) + 1);
            if (copy == NULL)
                return NULL;
            strcpy(copy, <text>);
            return copy;
        """,
        "if-copy": """
            char *copy = malloc(strlen(<text>) + 1);
            if (copy)
                strcpy(copy, <text>);
            return copy;
        """,
        "memcpy": """
            size_t size = strlen(<text>) + 1;
            char *copy = malloc(size);
            if (!copy)
                return NULL;
            return memcpy(copy, <text>, size);
        """,
    },
    vulnerable={
        "strcpy": """
            char *copy = malloc(strlen(<text>) + 1);
            strcpy(copy, <text>);
            return copy;
        """,
        "memcpy-unchecked": """
            size_t size = strlen(<text>) + 1;
            char *copy = malloc(size);
            return memcpy(copy, <text>, size);
        """,
    },
    share=0.55,
    prelude=_MALLOC,
    driver="""
        int main(int argc, char **argv)
        {
            exhausted = strcmp(argv[1], "none") == 0;
            char *copy = <name>(argv[argc - 1]);
            puts(copy ? copy : "null");
            return 0;
        }
    """,
    checks=(
        function("some", "<noun>", expect="<noun>"),
        function("some", "", expect=""),
        security("none", "<noun>", expect="null"),
    ),
)

new_record = Shape(
    name="c.new_record",
    cwe="CWE-476",
    parts={"noun": NOUNS, "field": NUMBERS},
    comments=(
        "Make a new <noun> with this <field>. Return NULL when there is no memory.",
        "Return a new <noun> that has the <field>, or NULL.",
    ),
    names=("new_<noun>", "make_<noun>", "<noun>_create"),
    signature="struct <noun> *<name>(int <field>)",
    secure={
        "null-check": """
            struct <noun> *<noun> = malloc(sizeof *<noun>);
            if (<noun> == NULL)
                return NULL;
            <noun>-><field> = <field>;
            return <noun>;
        """,
        "if-set": """
            struct <noun> *<noun> = malloc(sizeof *<noun>);
            if (<noun>)
                <noun>-><field> = <field>;
            return <noun>;
        """,
    },
    vulnerable={
        "malloc": """
            struct <noun> *<noun> = malloc(sizeof *<noun>);
            <noun>-><field> = <field>;
            return <noun>;
        """,
        "calloc": """
            struct <noun> *<noun> = calloc(1, sizeof *<noun>);
            <noun>-><field> = <field>;
            return <noun>;
        """,
    },
    wrong={
        "wrong-unset": """
            return calloc(1, sizeof(struct <noun>));
        """
    },
    share=0.5,
    prelude="struct <noun> { int <field>; };\n" + _MALLOC,
    driver="""
        int main(int argc, char **argv)
        {
            exhausted = strcmp(argv[1], "none") == 0;
            struct <noun> *made = <name>(atoi(argv[argc - 1]));
            printf("%d\\n", made ? made-><field> : -1);
            return 0;
        }
    """,
    checks=(
        function("some", "7", expect="7"),
        function("some", "42", expect="42"),
        security("none", "7", expect="-1"),
    ),
)

look_up = Shape(
    name="c.look_up",
    cwe="CWE-476",
    parts={"noun": NOUNS, "field": NUMBERS},
    comments=(
        "Return the <field> of the <noun> that find_<noun> finds, or -1.",
        "Tell the <field> of the <noun> by find_<noun>. Return -1 when it is unknown.",
    ),
    names=("<noun>_<field>", "get_<noun>_<field>", "<field>_of_<noun>"),
    signature="int <name>(const char *key)",
    secure={
        "null-check": """
            struct <noun> *found = find_<noun>(key);
            if (found == NULL)
                return -1;
            return found-><field>;
        """,
        "conditional": """
            struct <noun> *found = find_<noun>(key);
            return found ? found-><field> : -1;
        """,
    },
    vulnerable={
        "chained": """
            return find_<noun>(key)-><field>;
        """,
        "unchecked": """
            struct <noun> *found = find_<noun>(key);
            return found-><field>;
        """,
    },
    wrong={
        "wrong-sign": """
            struct <noun> *found = find_<noun>(key);
            return found ? -found-><field> : -1;
        """
    },
    share=0.45,
    prelude="""
        struct <noun> { const char *key; int <field>; };
        static struct <noun> known[] = { { "ada", 42 }, { "bob", 7 } };
        static struct <noun> *find_<noun>(const char *key)
        {
            for (int i = 0; i < 2; i++)
                if (strcmp(known[i].key, key) == 0)
                    return &known[i];
            return NULL;
        }
    """,
    driver="""
        int main(int argc, char **argv)
        {
            printf("%d\\n", <name>(argv[argc - 1]));
            return 0;
        }
    """,
    checks=(
        function("ada", expect="42"),
        function("bob", expect="7"),
        security("eve", expect="-1"),
    ),
)

SHAPES = (copy_text, new_record, look_up)
