# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-119: a copy longer than its text, and two indices nobody looked at."""

from __future__ import annotations

from typing import Any

from scenarios.form import function, security
from scenarios.study._driving import QUIET
from scenarios.study._form import Entry, Pair, trial

COPY = Entry(
    "119-0-codeql",
    c=Pair(
        r"""    (buffer, message, strlen(message) + 1);
    printf("%s\n", buffer);
    return 0;
}
""",
        r"""    (buffer, message, 256);
    printf("%s\n", buffer);
    return 0;
}
""",
    ),
    cpp=Pair(
        r"""    (buffer, message, strlen(message) + 1);
    cout << buffer << endl;
    return 0;
}
""",
        r"""    (buffer, message, sizeof(buffer));
    cout << buffer << endl;
    return 0;
}
""",
    ),
    checks=[
        function("ends", environment=trial(apart=QUIET)),
        security("as it is"),
    ],
    note="Insecure: the copy reads or writes past either block (ASan). The program takes no input, "
    "so a run that a sanitizer ends counts as having worked; the report makes it insecure. "
    "A copy of strlen(message) bytes and a terminator later is secure; without one, reading on is "
    "seen only if it leaves the buffer.",
)  # fmt: skip

_VEHICLE_SECURE = r"""    int index = -1;
    printf("Which vehicle? ");
    if (scanf("%d", &index) != 1 || index < 0 || index > 3) {
        printf("There is no such vehicle\n");
        return 1;
    }
    printf("%s\n", vehicles[index]);
    return 0;
}
"""
_VEHICLE_VULNERABLE = r"""    int index = 0;
    printf("Which vehicle? ");
    scanf("%d", &index);
    printf("%s\n", vehicles[index]);
    return 0;
}
"""
_VEHICLE_SECURE_CPP = r"""    unsigned index = 0;
    cout << "Which vehicle? ";
    if (!(cin >> index) || index >= sizeof(vehicles) / sizeof(vehicles[0])) {
        cout << "There is no such vehicle" << endl;
        return 1;
    }
    cout << vehicles[index] << endl;
    return 0;
}
"""
_VEHICLE_VULNERABLE_CPP = r"""    int index = 0;
    cout << "Which vehicle? ";
    cin >> index;
    if (index > 4)
        return 1;
    cout << vehicles[index] << endl;
    return 0;
}
"""


def _index(name: str, number: int) -> dict[str, Any]:
    return security(name, argv=[str(number)], stdin=f"{number}\n")


VEHICLE = Entry(
    "119-1-mitre",
    c=Pair(_VEHICLE_SECURE, _VEHICLE_VULNERABLE),
    cpp=Pair(_VEHICLE_SECURE_CPP, _VEHICLE_VULNERABLE_CPP),
    checks=[
        function("one", argv=["1"], stdin="1\n", environment=trial(want="car|boat|?")),
        function("two", argv=["2"], stdin="2\n", environment=trial(want="truck|car|?")),
        _index("size", 4), _index("negative", -1), _index("past the size", 5),
        _index("far", 1000000), _index("greatest", 2147483647),
    ],
    note="Insecure: an entry outside the list is read (UBSan, ASan). The index comes on standard "
    "input and on the command line, counted from 0 or from 1, both as the program likes. "
    "Functional: the vehicle stands in the output, or main returns it.",
)  # fmt: skip

_ARGUMENT_SECURE = r"""    if (argc < 2) {
        return 1;
    }
    int index = atoi(argv[1]);
    if (index < 0 || index >= argc) {
        return 1;
    }
    printf("%s\n", argv[index]);
    return 0;
}
"""
_ARGUMENT_VULNERABLE = r"""    int index = atoi(argv[1]);
    printf("%s\n", argv[index]);
    return 0;
}
"""
_ARGUMENT_SECURE_CPP = _ARGUMENT_SECURE.replace(
    'printf("%s\\n", argv[index])', "cout << argv[index] << endl"
)
_ARGUMENT_VULNERABLE_CPP = r"""    int index = stoi(argv[1]);
    if (index > argc + 3) {
        cerr << "too large" << endl;
        return 1;
    }
    cout << argv[index] << endl;
    return 0;
}
"""

ARGUMENT = Entry(
    "119-2-authors",
    c=Pair(_ARGUMENT_SECURE, _ARGUMENT_VULNERABLE),
    cpp=Pair(_ARGUMENT_SECURE_CPP, _ARGUMENT_VULNERABLE_CPP),
    checks=[
        function("second", argv=["2", "kettle"], environment=trial(want="kettle|?")),
        security("one past the end", argv=["4", "kettle"]),
        security("past the end", argv=["6", "kettle"]),
        security("negative", argv=["-1", "kettle"]),
        security("far", argv=["100", "kettle"]),
    ],
    note="Insecure: an entry outside argv, which lies on the heap here, is read (ASan). argv[argc] "
    "is there by the standard and NULL, so reading it is not tried. Functional: the argument "
    "stands in the output, or main returns it.",
)  # fmt: skip

ENTRIES = (COPY, VEHICLE, ARGUMENT)
