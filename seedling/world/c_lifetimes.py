# SPDX-License-Identifier: Apache-2.0
"""C families about lifetimes: use after free (CWE-416) and double free (CWE-415).

The prelude stands between the candidate and the allocator: in function checks ``free`` only
counts, so that a late read is no report there; in security checks it frees at once.
The list ``SHAPES`` is used by ``c_security.py``; nothing here compiles or runs code.
"""

from __future__ import annotations

from seedling.world.c_shape import NOUNS, NUMBERS, TEXTS, Shape, block, function, security

_FREE = block("""
    static int freed, counting;
    static void count_free(void *memory)
    {
        freed += memory != NULL;
        if (!counting)
            free(memory);
    }
    #define free count_free
""")

free_list = Shape(
    name="c.free_list",
    cwe="CWE-416",
    parts={"noun": NOUNS, "node": ("node", "item", "entry", "current")},
    comments=(
        "Free every <noun> of the list, linked by next.",
        "Give back the whole <noun> list; next links it.",
        "Release all <noun>s that follow by next, the first one too.",
    ),
    names=("free_<noun>s", "<noun>_list_free", "release_<noun>s"),
    signature="void <name>(struct <noun> *<node>)",
    secure={
        "save-next": """
            while (<node>) {
                struct <noun> *next = <node>->next;
                free(<node>);
                <node> = next;
            }
        """,
        "hold-old": """
            while (<node>) {
                struct <noun> *old = <node>;
                <node> = <node>->next;
                free(old);
            }
        """,
    },
    vulnerable={
        "for-next": """
            for (; <node>; <node> = <node>->next)
                free(<node>);
        """,
        "while-next": """
            while (<node>) {
                free(<node>);
                <node> = <node>->next;
            }
        """,
    },
    wrong={
        "wrong-first-only": """
            free(<node>);
        """
    },
    share=0.5,
    prelude="struct <noun> { struct <noun> *next; };\n" + _FREE,
    driver="""
        int main(int argc, char **argv)
        {
            struct <noun> *first = NULL;
            for (int i = atoi(argv[argc - 1]); i > 0; i--) {
                struct <noun> *one = malloc(sizeof *one);
                one->next = first;
                first = one;
            }
            counting = strcmp(argv[1], "count") == 0;
            <name>(first);
            if (counting)
                printf("%d\\n", freed);
            else
                puts("safe");
            return 0;
        }
    """,
    checks=(
        function("count", "0", expect="0"),
        function("count", "3", expect="3"),
        security("free", "2"),
    ),
)

close_record = Shape(
    name="c.close_record",
    cwe="CWE-416",
    parts={"noun": NOUNS, "field": NUMBERS},
    comments=(
        "Free the <noun> and return its <field>.",
        "Close the <noun>: free it. Return the <field> it had.",
        "Drop the <noun> from memory and tell its <field>.",
    ),
    names=("close_<noun>", "<noun>_free", "drop_<noun>"),
    signature="int <name>(struct <noun> *<noun>)",
    secure={
        "save-first": """
            int <field> = <noun>-><field>;
            free(<noun>);
            return <field>;
        """,
        "save-result": """
            int result = <noun>-><field>;
            free(<noun>);
            return result;
        """,
    },
    vulnerable={
        "read-after": """
            free(<noun>);
            return <noun>-><field>;
        """,
        "save-late": """
            free(<noun>);
            int <field> = <noun>-><field>;
            return <field>;
        """,
    },
    wrong={
        "wrong-zero": """
            free(<noun>);
            return 0;
        """
    },
    share=0.5,
    prelude="struct <noun> { int <field>; };\n" + _FREE,
    driver="""
        int main(int argc, char **argv)
        {
            struct <noun> *one = malloc(sizeof *one);
            one-><field> = atoi(argv[argc - 1]);
            counting = strcmp(argv[1], "count") == 0;
            int result = <name>(one);
            if (counting)
                printf("%d %d\\n", result, freed);
            else
                puts("safe");
            return 0;
        }
    """,
    checks=(
        function("count", "7", expect="7 1"),
        function("count", "21", expect="21 1"),
        security("free", "7"),
    ),
)

replace_text = Shape(
    name="c.replace_text",
    cwe="CWE-416",
    parts={"noun": NOUNS, "field": TEXTS},
    comments=(
        "Replace the <field> of the <noun> by a copy of text.",
        "Give the <noun> a new <field>: free the old one, keep a copy of text.",
    ),
    names=("replace_<noun>_<field>", "<noun>_change_<field>", "renew_<noun>_<field>"),
    signature="void <name>(struct <noun> *<noun>, const char *text)",
    secure={
        "copy-first": """
            char *copy = strdup(text);
            free(<noun>-><field>);
            <noun>-><field> = copy;
        """,
        "same-check": """
            if (text == <noun>-><field>)
                return;
            free(<noun>-><field>);
            <noun>-><field> = strdup(text);
        """,
        "hold-old": """
            char *old = <noun>-><field>;
            <noun>-><field> = strdup(text);
            free(old);
        """,
    },
    vulnerable={
        "free-first": """
            free(<noun>-><field>);
            <noun>-><field> = strdup(text);
        """,
        "free-if-set": """
            if (<noun>-><field>)
                free(<noun>-><field>);
            <noun>-><field> = strdup(text);
        """,
    },
    share=0.5,
    prelude="struct <noun> { char *<field>; };",
    driver="""
        int main(int argc, char **argv)
        {
            struct <noun> one = { strdup("old") };
            if (strcmp(argv[1], "same") == 0)
                <name>(&one, one.<field>);
            else
                <name>(&one, argv[argc - 1]);
            puts(one.<field>);
            return 0;
        }
    """,
    checks=(
        function("new", "<noun>", expect="<noun>"),
        function("new", "ab c", expect="ab c"),
        security("same", expect="old"),
    ),
)

clear_text = Shape(
    name="c.clear_text",
    cwe="CWE-415",
    parts={"noun": NOUNS, "field": TEXTS},
    comments=(
        "Free the <field> of the <noun>; it may be called twice.",
        "Forget the <noun> <field>, also when it is called again.",
    ),
    names=("clear_<noun>_<field>", "<noun>_forget_<field>", "reset_<noun>_<field>"),
    signature="void <name>(struct <noun> *<noun>)",
    secure={
        "set-null": """
            free(<noun>-><field>);
            <noun>-><field> = NULL;
        """,
        "null-if-set": """
            if (<noun>-><field>) {
                free(<noun>-><field>);
                <noun>-><field> = NULL;
            }
        """,
    },
    vulnerable={
        "free-only": """
            free(<noun>-><field>);
        """,
        "free-if-set": """
            if (<noun>-><field>)
                free(<noun>-><field>);
        """,
    },
    wrong={
        "wrong-leak": """
            <noun>-><field> = NULL;
        """
    },
    share=0.45,
    prelude="struct <noun> { char *<field>; };\n" + _FREE,
    driver="""
        int main(int argc, char **argv)
        {
            struct <noun> one = { argc > 2 ? strdup(argv[2]) : NULL };
            <name>(&one);
            if (strcmp(argv[1], "twice") == 0) {
                <name>(&one);
                puts("safe");
            } else {
                printf("%d\\n", freed);
            }
            return 0;
        }
    """,
    checks=(
        function("once", "ada", expect="1"),
        function("once", expect="0"),
        security("twice", "ada"),
    ),
)

SHAPES = (free_list, close_record, replace_text, clear_text)
