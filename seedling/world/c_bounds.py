# SPDX-License-Identifier: Apache-2.0
"""C families about bounds: writes (CWE-787) and reads (CWE-125) past the end of memory.

Drivers allocate every buffer to its exact size, so that one byte too far is seen.
The list ``SHAPES`` is used by ``c_security.py``; nothing here compiles or runs code.
"""

from __future__ import annotations

from seedling.world.c_shape import COUNTS, ITEMS, NOUNS, SIZES, Shape, function, security

FIELDS = ("name", "title", "label", "alias", "city", "owner")
SOURCES = ("text", "value", "input", "source")

_TEXT_DRIVER = """
    int main(int argc, char **argv)
    {
        char *buffer = malloc(<size>);
        memset(buffer, 'x', <size>);
        <setup>
        int result = <name>(<call>);
        if (strcmp(argv[1], "show") == 0)
            printf("%d %s\\n", result, buffer);
        else
            puts(result == -1 || memchr(buffer, 0, <size>) ? "safe" : "unsafe");
        return 0;
    }
"""


def _text_driver(call: str, setup: str = "(void)argc;") -> str:
    return _TEXT_DRIVER.replace("<setup>", setup).replace("<call>", call)


copy_field = Shape(
    name="c.copy_field",
    cwe="CWE-787",
    parts={"noun": NOUNS, "field": FIELDS, "size": SIZES, "source": SOURCES},
    comments=(
        "Copy the <noun> <field> into a field of <size> bytes. Return 0, or -1 on refusal.",
        "Set the <noun> <field>, a field of <size> bytes. Return 0, or -1 when it does not fit.",
    ),
    names=("set_<noun>_<field>", "<noun>_set_<field>", "copy_<noun>_<field>"),
    signature="int <name>(char *<field>, const char *<source>)",
    secure={
        "length-check": """
            if (strlen(<source>) >= <size>)
                return -1;
            strcpy(<field>, <source>);
            return 0;
        """,
        "snprintf": """
            if (snprintf(<field>, <size>, "%s", <source>) >= <size>)
                return -1;
            return 0;
        """,
        "memcpy-length": """
            size_t length = strlen(<source>);
            if (length >= <size>)
                return -1;
            memcpy(<field>, <source>, length + 1);
            return 0;
        """,
    },
    vulnerable={
        "strcpy": """
            strcpy(<field>, <source>);
            return 0;
        """,
        "sprintf": """
            sprintf(<field>, "%s", <source>);
            return 0;
        """,
        "off-by-one": """
            if (strlen(<source>) > <size>)
                return -1;
            strcpy(<field>, <source>);
            return 0;
        """,
    },
    wrong={
        "wrong-result": """
            if (strlen(<source>) >= <size>)
                return -1;
            strcpy(<field>, <source>);
            return 1;
        """
    },
    share=0.55,
    driver=_text_driver("buffer, argv[2]"),
    checks=(
        function("show", "<noun>", expect="0 <noun>"),
        function("show", "<fits>", expect="0 <fits>"),
        security("try", "<over>"),
        security("try", "<exact>"),
    ),
)

label_record = Shape(
    name="c.label_record",
    cwe="CWE-787",
    parts={"noun": NOUNS, "field": ("badge", "note", "code", "mark"), "size": SIZES},
    comments=(
        "Write the <field> of the <noun> record, <size> bytes. Return 0, or -1 if it cannot.",
        "Put a <field> of <size> bytes on the <noun> record. Return 0, or -1 if it cannot.",
    ),
    names=("put_<field>_on_<noun>", "<noun>_record_<field>"),
    signature="int <name>(struct <noun> *record, const char *text)",
    secure={
        "length-check": """
            if (strlen(text) >= <size>)
                return -1;
            strcpy(record-><field>, text);
            return 0;
        """,
        "snprintf": """
            if (snprintf(record-><field>, <size>, "%s", text) >= <size>)
                return -1;
            return 0;
        """,
    },
    vulnerable={
        "strcpy": """
            strcpy(record-><field>, text);
            return 0;
        """,
        "sprintf": """
            sprintf(record-><field>, "%s", text);
            return 0;
        """,
    },
    share=0.5,
    prelude="struct <noun> { char <field>[<size>]; };",
    driver=_text_driver("(struct <noun> *)buffer, argv[2]"),
    checks=(
        function("show", "<noun>", expect="0 <noun>"),
        function("show", "<fits>", expect="0 <fits>"),
        security("try", "<over>"),
        security("try", "<exact>"),
    ),
)

join_pair = Shape(
    name="c.join_pair",
    cwe="CWE-787",
    parts={
        "noun": NOUNS,
        "left right": (("host", "port"), ("first", "last"), ("area", "code"), ("day", "hour")),
        "joint": ("-", ":", "/"),
        "size": SIZES,
    },
    comments=(
        "Join <left> and <right> by '<joint>' into <size> bytes. Return 0, or -1 on refusal.",
        "Write <left><joint><right> of the <noun> into <size> bytes. Return 0, or -1 on refusal.",
    ),
    names=("join_<noun>", "make_<noun>_line", "<noun>_join"),
    signature="int <name>(char *line, const char *<left>, const char *<right>)",
    secure={
        "snprintf": """
            if (snprintf(line, <size>, "%s<joint>%s", <left>, <right>) >= <size>)
                return -1;
            return 0;
        """,
        "length-check": """
            if (strlen(<left>) + strlen(<right>) + 2 > <size>)
                return -1;
            sprintf(line, "%s<joint>%s", <left>, <right>);
            return 0;
        """,
    },
    vulnerable={
        "sprintf": """
            sprintf(line, "%s<joint>%s", <left>, <right>);
            return 0;
        """,
        "strcat": """
            strcpy(line, <left>);
            strcat(line, "<joint>");
            strcat(line, <right>);
            return 0;
        """,
    },
    share=0.5,
    driver=_text_driver("buffer, argv[2], argv[3]"),
    checks=(
        function("show", "ada", "42", expect="0 ada<joint>42"),
        function("show", "b", "c", expect="0 b<joint>c"),
        security("try", "<over>", "42"),
        security("try", "ada", "<exact>"),
    ),
)

append_text = Shape(
    name="c.append_text",
    cwe="CWE-787",
    parts={"noun": NOUNS, "line": ("line", "list", "path", "buffer"), "size": SIZES},
    comments=(
        "Append the <noun> to the <line> of <size> bytes. Return 0, or -1 when it is full.",
        "Add the <noun> at the end of a <line> of <size> bytes. Return 0, or -1 on refusal.",
    ),
    names=("append_<noun>", "add_<noun>_to_<line>", "<line>_append_<noun>"),
    signature="int <name>(char *<line>, const char *<noun>)",
    secure={
        "length-check": """
            if (strlen(<line>) + strlen(<noun>) >= <size>)
                return -1;
            strcat(<line>, <noun>);
            return 0;
        """,
        "snprintf": """
            size_t used = strlen(<line>);
            if (strlen(<noun>) >= <size> - used)
                return -1;
            snprintf(<line> + used, <size> - used, "%s", <noun>);
            return 0;
        """,
    },
    vulnerable={
        "strcat": """
            strcat(<line>, <noun>);
            return 0;
        """,
        "unused-length": """
            if (strlen(<noun>) >= <size>)
                return -1;
            strcat(<line>, <noun>);
            return 0;
        """,
    },
    wrong={
        "wrong-overwrite": """
            if (strlen(<line>) + strlen(<noun>) >= <size>)
                return -1;
            strcpy(<line>, <noun>);
            return 0;
        """
    },
    share=0.55,
    driver=_text_driver("buffer, argv[2]", 'strcpy(buffer, "to: ");'),
    checks=(
        function("show", "ada", expect="0 to: ada"),
        function("show", "", expect="0 to: "),
        security("try", "<fits>"),
        security("try", "<over>"),
    ),
)

_STORE_DRIVER = """
    int main(int argc, char **argv)
    {
        int *table = calloc(<size>, sizeof(int));
        int index = atoi(argv[argc - 1]);
        int result = <name>(table, index, 7);
        if (strcmp(argv[1], "show") == 0)
            printf("%d %d\\n", result, table[index]);
        else
            puts(result == -1 ? "safe" : "unsafe");
        return 0;
    }
"""

store_slot = Shape(
    name="c.store_slot",
    cwe="CWE-787",
    parts={
        "noun": NOUNS,
        "item": ITEMS,
        "size": COUNTS,
        "index": ("index", "slot", "position"),
    },
    comments=(
        "Store a <noun> <item> in a table of <size> numbers. Return 0, or -1 on refusal.",
        "Set one of the <size> <noun> <item>s. Return 0, or -1 when there is no such <index>.",
    ),
    names=("set_<noun>_<item>", "store_<noun>_<item>", "<noun>_<item>_put"),
    signature="int <name>(int *table, int <index>, int <item>)",
    secure={
        "both-ends": """
            if (<index> < 0 || <index> >= <size>)
                return -1;
            table[<index>] = <item>;
            return 0;
        """,
        "inside": """
            if (<index> >= 0 && <index> < <size>) {
                table[<index>] = <item>;
                return 0;
            }
            return -1;
        """,
    },
    vulnerable={
        "no-check": """
            table[<index>] = <item>;
            return 0;
        """,
        "upper-only": """
            if (<index> >= <size>)
                return -1;
            table[<index>] = <item>;
            return 0;
        """,
        "off-by-one": """
            if (<index> < 0 || <index> > <size>)
                return -1;
            table[<index>] = <item>;
            return 0;
        """,
    },
    wrong={
        "wrong-first": """
            if (<index> <= 0 || <index> >= <size>)
                return -1;
            table[<index>] = <item>;
            return 0;
        """
    },
    share=0.5,
    driver=_STORE_DRIVER,
    checks=(
        function("show", "0", expect="0 7"),
        function("show", "<last>", expect="0 7"),
        security("try", "<size>"),
        security("try", "-1"),
        security("try", "<beyond>"),
    ),
)

SHAPES = (copy_field, label_record, join_pair, append_text, store_slot)
