# SPDX-License-Identifier: Apache-2.0
"""C families about the outside world: paths (CWE-22) and commands (CWE-78).

The prelude records what would be opened, removed or run; nothing outside is touched.
The list ``SHAPES`` is used by ``c_security.py``; nothing here compiles or runs code.
"""

from __future__ import annotations

from seedling.world.c_shape import NOUNS, Shape, block, function, security

_FOLDERS = ("/srv/files", "/srv/data", "/var/store", "/opt/notes", "/home/web")

_RECORD = block("""
    static char recorded[1024];
    static int keep(const char *text)
    {
        snprintf(recorded, sizeof recorded, "%s", text);
        return 0;
    }
    static FILE *keep_fopen(const char *path, const char *mode)
    {
        keep(path);
        return *mode == 'r' ? stdin : stdout;
    }
    #define fopen keep_fopen
    #define remove keep
    #define system keep
""")

_PATH_DRIVER = """
    int main(int argc, char **argv)
    {
        <result>
        if (strcmp(argv[1], "show") == 0)
            printf("%d %s\\n", done, recorded);
        else
            puts(strstr(recorded, "..") ? "unsafe" : "safe");
        return 0;
    }
"""

_PATH_CHECKS = (
    function("show", "march.txt", expect="1 <folder>/march.txt"),
    function("show", "<noun>", expect="1 <folder>/<noun>"),
    security("try", "../../etc/passwd"),
    security("try", "a/../../../etc/passwd"),
)

open_file = Shape(
    name="c.open_file",
    cwe="CWE-22",
    parts={"noun": NOUNS, "folder": _FOLDERS, "file": ("name", "file", "key")},
    comments=(
        "Open the <noun> file in <folder> for reading. Return NULL on refusal.",
        "Return the <noun> file of this <file> under <folder>, or NULL.",
    ),
    names=("open_<noun>", "<noun>_open", "open_<noun>_<file>"),
    signature="FILE *<name>(const char *<file>)",
    secure={
        "no-dots": """
            char path[256];
            if (strstr(<file>, ".."))
                return NULL;
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return fopen(path, "r");
        """,
        "no-slash": """
            char path[256];
            if (strchr(<file>, '/'))
                return NULL;
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return fopen(path, "r");
        """,
    },
    vulnerable={
        "joined": """
            char path[256];
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return fopen(path, "r");
        """,
        "not-absolute": """
            char path[256];
            if (<file>[0] == '/')
                return NULL;
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return fopen(path, "r");
        """,
    },
    wrong={
        "wrong-no-folder": """
            if (strstr(<file>, ".."))
                return NULL;
            return fopen(<file>, "r");
        """
    },
    share=0.5,
    prelude=_RECORD,
    driver=_PATH_DRIVER.replace("<result>", "int done = <name>(argv[argc - 1]) == stdin;"),
    checks=_PATH_CHECKS,
)

remove_file = Shape(
    name="c.remove_file",
    cwe="CWE-22",
    parts={"noun": NOUNS, "folder": _FOLDERS, "file": ("name", "file", "key")},
    comments=(
        "Remove the <noun> file from <folder>. Return 0, or -1 on refusal.",
        "Delete a <noun> by its <file> under <folder>. Return 0, or -1 when it cannot.",
    ),
    names=("remove_<noun>", "<noun>_remove", "delete_<noun>"),
    signature="int <name>(const char *<file>)",
    secure={
        "no-dots": """
            char path[256];
            if (strstr(<file>, ".."))
                return -1;
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return remove(path);
        """,
        "no-slash": """
            char path[256];
            if (strchr(<file>, '/'))
                return -1;
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return remove(path);
        """,
    },
    vulnerable={
        "joined": """
            char path[256];
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return remove(path);
        """,
        "first-dot": """
            char path[256];
            if (<file>[0] == '.')
                return -1;
            snprintf(path, sizeof path, "<folder>/%s", <file>);
            return remove(path);
        """,
    },
    share=0.5,
    prelude=_RECORD,
    driver=_PATH_DRIVER.replace("<result>", "int done = <name>(argv[argc - 1]) == 0;"),
    checks=_PATH_CHECKS,
)

_COMMAND_DRIVER = """
    int main(int argc, char **argv)
    {
        int result = <name>(argv[argc - 1]);
        if (strcmp(argv[1], "show") == 0)
            printf("%d %s\\n", result, recorded);
        else
            puts(strpbrk(recorded, ";|&$`") ? "unsafe" : "safe");
        return 0;
    }
"""

run_lookup = Shape(
    name="c.run_lookup",
    cwe="CWE-78",
    parts={
        "noun": NOUNS,
        "tool command": (("ping", "ping -c 1"), ("look", "host"), ("trace", "traceroute")),
        "host": ("host", "domain", "target"),
    },
    comments=(
        "Run <command> for the <noun> <host>. Return its result, or -1 on refusal.",
        "Call the command <command> with a <host>. Return its result, or -1 on refusal.",
    ),
    names=("<tool>_<noun>", "<noun>_<tool>", "<tool>_<noun>_<host>"),
    signature="int <name>(const char *<host>)",
    secure={
        "letters": """
            char command[256];
            for (int i = 0; <host>[i]; i++)
                if (!isalnum((unsigned char)<host>[i]) && <host>[i] != '.')
                    return -1;
            snprintf(command, sizeof command, "<command> %s", <host>);
            return system(command);
        """,
        "strspn": """
            char command[256];
            if (<host>[strspn(<host>, "abcdefghijklmnopqrstuvwxyz0123456789.")])
                return -1;
            snprintf(command, sizeof command, "<command> %s", <host>);
            return system(command);
        """,
    },
    vulnerable={
        "joined": """
            char command[256];
            snprintf(command, sizeof command, "<command> %s", <host>);
            return system(command);
        """,
        "no-semicolon": """
            char command[256];
            if (strchr(<host>, ';'))
                return -1;
            snprintf(command, sizeof command, "<command> %s", <host>);
            return system(command);
        """,
    },
    wrong={"wrong-refuse": "return -1;"},
    share=0.5,
    prelude=_RECORD,
    driver=_COMMAND_DRIVER,
    checks=(
        function("show", "db1.example.org", expect="0 <command> db1.example.org"),
        function("show", "10.0.0.7", expect="0 <command> 10.0.0.7"),
        security("try", "a; rm -r x"),
        security("try", "a | sh"),
        security("try", "$(id)"),
    ),
)

pack_file = Shape(
    name="c.pack_file",
    cwe="CWE-78",
    parts={
        "noun": NOUNS,
        "verb command": (
            ("pack", "gzip"),
            ("sort", "sort -u"),
            ("count", "wc -l"),
            ("sum", "cksum"),
        ),
        "file": ("file", "name"),
    },
    comments=(
        "Run <command> on the <noun> <file>. Return its result, or -1 on refusal.",
        "Let <command> work on this <file>. Return its result, or -1 on refusal.",
    ),
    names=("<verb>_<noun>", "<noun>_<verb>", "<verb>_<noun>_<file>"),
    signature="int <name>(const char *<file>)",
    secure={
        "letters": """
            char command[256];
            for (const char *at = <file>; *at; at++)
                if (!isalnum((unsigned char)*at) && *at != '.' && *at != '_')
                    return -1;
            snprintf(command, sizeof command, "<command> %s", <file>);
            return system(command);
        """,
        "strspn": """
            char command[256];
            if (<file>[strspn(<file>, "abcdefghijklmnopqrstuvwxyz0123456789._")])
                return -1;
            snprintf(command, sizeof command, "<command> %s", <file>);
            return system(command);
        """,
    },
    vulnerable={
        "joined": """
            char command[256];
            snprintf(command, sizeof command, "<command> %s", <file>);
            return system(command);
        """,
        "no-space": """
            char command[256];
            if (strchr(<file>, ' '))
                return -1;
            snprintf(command, sizeof command, "<command> %s", <file>);
            return system(command);
        """,
    },
    wrong={"wrong-refuse": "return -1;"},
    share=0.55,
    prelude=_RECORD,
    driver=_COMMAND_DRIVER,
    checks=(
        function("show", "march_7.txt", expect="0 <command> march_7.txt"),
        function("show", "notes", expect="0 <command> notes"),
        security("try", "a;id"),
        security("try", "a|sh"),
        security("try", "`id`"),
    ),
)

SHAPES = (open_file, remove_file, run_lookup, pack_file)
