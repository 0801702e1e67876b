# SPDX-License-Identifier: Apache-2.0
"""C families about arithmetic (CWE-190) and format strings (CWE-134).

The quantities are never negative; only results that are too large are at stake.

The list ``SHAPES`` is used by ``c_security.py``; nothing here compiles or runs code.
"""

from __future__ import annotations

from seedling.world.c_shape import NOUNS, SIZES, Shape, function, security

alloc_table = Shape(
    name="c.alloc_table",
    cwe="CWE-190",
    parts={
        "noun": NOUNS,
        "left right": (("rows", "columns"), ("width", "height"), ("days", "hours")),
        "result": ("table", "grid", "cells"),
    },
    comments=(
        "Allocate a <noun> <result> of <left> by <right> numbers. Return NULL on refusal.",
        "Return memory for <left> times <right> numbers of the <noun>, or NULL.",
    ),
    names=("new_<noun>_<result>", "make_<noun>_<result>", "<noun>_<result>_alloc"),
    signature="int *<name>(int <left>, int <right>)",
    secure={
        "divide-check": """
            if (<right> > 0 && <left> > INT_MAX / <right>)
                return NULL;
            return malloc((size_t)<left> * <right> * sizeof(int));
        """,
        "calloc": """
            return calloc((size_t)<left> * <right>, sizeof(int));
        """,
        "builtin": """
            int count;
            if (__builtin_mul_overflow(<left>, <right>, &count))
                return NULL;
            return calloc(count, sizeof(int));
        """,
    },
    vulnerable={
        "malloc-product": """
            return malloc(<left> * <right> * sizeof(int));
        """,
        "count-product": """
            int count = <left> * <right>;
            return calloc(count, sizeof(int));
        """,
        "late-check": """
            if (<left> * <right> < 0)
                return NULL;
            return malloc(<left> * <right> * sizeof(int));
        """,
    },
    share=0.5,
    prelude="""
        static void *limited_malloc(size_t size)
        {
            return size > 1000000 ? NULL : malloc(size);
        }
        static void *limited_calloc(size_t count, size_t size)
        {
            return count > 1000000 ? NULL : calloc(count, size);
        }
        #define malloc limited_malloc
        #define calloc limited_calloc
    """,
    driver="""
        int main(int argc, char **argv)
        {
            int left = atoi(argv[1]), right = atoi(argv[argc - 1]);
            int *table = <name>(left, right);
            if (table)
                for (long i = 0; i < (long)left * right; i++)
                    table[i] = 1;
            puts(table ? "made" : "null");
            return 0;
        }
    """,
    checks=(
        function("3", "4", expect="made"),
        function("20", "10", expect="made"),
        security("65536", "65536", expect="null"),
        security("50000", "50000", expect="null"),
    ),
)

add_amount = Shape(
    name="c.add_amount",
    cwe="CWE-190",
    parts={
        "noun": NOUNS,
        "left": ("total", "sum", "balance", "credit"),
        "right": ("amount", "points", "units", "step"),
    },
    comments=(
        "Add <right> to the <noun> <left>. Return the result, or -1 on refusal.",
        "Return the <left> of the <noun> plus <right>, or -1 when it is too large.",
    ),
    names=("add_<noun>_<right>", "<noun>_<left>_add", "raise_<noun>_<left>"),
    signature="int <name>(int <left>, int <right>)",
    secure={
        "limit-check": """
            if (<right> > INT_MAX - <left>)
                return -1;
            return <left> + <right>;
        """,
        "wide": """
            long long result = (long long)<left> + <right>;
            return result > INT_MAX ? -1 : (int)result;
        """,
        "builtin": """
            int result;
            if (__builtin_add_overflow(<left>, <right>, &result))
                return -1;
            return result;
        """,
    },
    vulnerable={
        "plain": """
            return <left> + <right>;
        """,
        "late-check": """
            int result = <left> + <right>;
            if (result < 0)
                return -1;
            return result;
        """,
    },
    wrong={
        "wrong-difference": """
            if (<right> > INT_MAX - <left>)
                return -1;
            return <left> - <right>;
        """
    },
    share=0.45,
    driver="""
        int main(int argc, char **argv)
        {
            printf("%d\\n", <name>(atoi(argv[1]), atoi(argv[argc - 1])));
            return 0;
        }
    """,
    checks=(
        function("40", "2", expect="42"),
        function("0", "9", expect="9"),
        security("2147483647", "1", expect="-1"),
        security("2000000000", "2000000000", expect="-1"),
    ),
)

multiply_price = Shape(
    name="c.multiply_price",
    cwe="CWE-190",
    parts={
        "noun": NOUNS,
        "left right": (("price", "count"), ("rate", "hours"), ("cost", "units"), ("fee", "days")),
    },
    comments=(
        "Return the <left> of the <noun> times <right>, or -1 when it is too large.",
        "Multiply <left> and <right> of the <noun>. Return the result, or -1 on refusal.",
    ),
    names=("<noun>_<left>_total", "total_<noun>_<left>", "multiply_<noun>_<left>"),
    signature="int <name>(int <left>, int <right>)",
    secure={
        "divide-check": """
            if (<right> > 0 && <left> > INT_MAX / <right>)
                return -1;
            return <left> * <right>;
        """,
        "wide": """
            long long result = (long long)<left> * <right>;
            return result > INT_MAX ? -1 : (int)result;
        """,
        "builtin": """
            int result;
            if (__builtin_mul_overflow(<left>, <right>, &result))
                return -1;
            return result;
        """,
    },
    vulnerable={
        "plain": """
            return <left> * <right>;
        """,
        "late-check": """
            int result = <left> * <right>;
            if (result < 0)
                return -1;
            return result;
        """,
    },
    wrong={
        "wrong-difference": """
            if (<right> > 0 && <left> > INT_MAX / <right>)
                return -1;
            return <left> - <right>;
        """
    },
    share=0.5,
    driver=add_amount.driver,
    checks=(
        function("6", "7", expect="42"),
        function("9", "1", expect="9"),
        security("65536", "65536", expect="-1"),
        security("2000000000", "3", expect="-1"),
    ),
)

print_text = Shape(
    name="c.print_text",
    cwe="CWE-134",
    parts={"noun": NOUNS, "text": ("message", "note", "reply", "remark", "title")},
    comments=(
        "Print the <text> of the <noun> on a line.",
        "Write the <noun> <text> to standard output, with a line break.",
    ),
    names=("print_<noun>_<text>", "show_<noun>_<text>", "<noun>_print_<text>"),
    signature="void <name>(const char *<text>)",
    secure={
        "printf": """
            printf("%s\\n", <text>);
        """,
        "puts": """
            puts(<text>);
        """,
        "fputs": """
            fputs(<text>, stdout);
            putchar('\\n');
        """,
    },
    vulnerable={
        "printf-text": """
            printf(<text>);
            printf("\\n");
        """,
        "fprintf-text": """
            fprintf(stdout, <text>);
            putchar('\\n');
        """,
    },
    share=0.5,
    driver="""
        int main(int argc, char **argv)
        {
            <name>(argv[argc - 1]);
            puts("end");
            return 0;
        }
    """,
    checks=(
        function("hello", expect="hello\nend"),
        function("<noun> 7", expect="<noun> 7\nend"),
        security("%x %x", expect="%x %x\nend"),
        security("100%% of %d", expect="100%% of %d\nend"),
    ),
)

format_line = Shape(
    name="c.format_line",
    cwe="CWE-134",
    parts={"noun": NOUNS, "text": ("message", "note", "reply", "remark"), "size": SIZES[2:]},
    comments=(
        "Write the <noun> <text> into a line of <size> bytes, cut to fit.",
        "Fill a line of <size> bytes with the <text> of the <noun>, cut to fit.",
    ),
    names=("format_<noun>_<text>", "<noun>_<text>_line"),
    signature="void <name>(char *line, const char *<text>)",
    secure={
        "format": """
            snprintf(line, <size>, "%s", <text>);
        """,
        "strncpy": """
            strncpy(line, <text>, <size> - 1);
            line[<size> - 1] = '\\0';
        """,
    },
    vulnerable={
        "snprintf-text": """
            snprintf(line, <size>, <text>);
        """,
        "sprintf-text": """
            sprintf(line, <text>);
        """,
    },
    wrong={
        "wrong-one-less": """
            snprintf(line, <size> - 1, "%s", <text>);
        """
    },
    share=0.5,
    driver="""
        int main(int argc, char **argv)
        {
            char *line = malloc(<size>);
            memset(line, 'x', <size>);
            <name>(line, argv[argc - 1]);
            puts(line);
            return 0;
        }
    """,
    checks=(
        function("<noun>", expect="<noun>"),
        function("<fits>", expect="<fits>"),
        security("%x %x", expect="%x %x"),
        security("100%% %d", expect="100%% %d"),
    ),
)

log_to = Shape(
    name="c.log_to",
    cwe="CWE-134",
    parts={
        "noun": NOUNS,
        "text": ("message", "event", "warning", "detail"),
        "file": ("file", "log", "out", "stream"),
    },
    comments=(
        "Write the <noun> <text> to <file>.",
        "Append the <text> of the <noun> to <file>, without a line break.",
    ),
    names=("log_<noun>_<text>", "<noun>_log_<text>", "write_<noun>_<text>"),
    signature="void <name>(FILE *<file>, const char *<text>)",
    secure={
        "fprintf": """
            fprintf(<file>, "%s", <text>);
        """,
        "fputs": """
            fputs(<text>, <file>);
        """,
        "fwrite": """
            fwrite(<text>, 1, strlen(<text>), <file>);
        """,
    },
    vulnerable={
        "fprintf-text": """
            fprintf(<file>, <text>);
        """,
        "checked-pointer": """
            if (<text>)
                fprintf(<file>, <text>);
        """,
    },
    share=0.45,
    driver="""
        int main(int argc, char **argv)
        {
            <name>(stdout, argv[argc - 1]);
            puts(" end");
            return 0;
        }
    """,
    checks=(
        function("hello", expect="hello end"),
        function("<noun> 7", expect="<noun> 7 end"),
        security("%x %x", expect="%x %x end"),
        security("100%%", expect="100%% end"),
    ),
)

SHAPES = (alloc_table, add_amount, multiply_price, print_text, format_line, log_to)
