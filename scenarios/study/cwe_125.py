# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-125: three indices that read outside an array."""

from __future__ import annotations

from scenarios.form import function, security
from scenarios.study._form import Entry, Pair, trial

_SEQUENCE_SECURE = r"""    if (i >= 0 && i < 3) {
        return id_sequence[i];
    }
    return -1;
}
"""
_SEQUENCE_VULNERABLE = r"""    if (i <= 3) {
        return id_sequence[i];
    }
    return -1;
}
"""

SEQUENCE = Entry(
    "125-0-authors",
    c=Pair(_SEQUENCE_SECURE, _SEQUENCE_VULNERABLE),
    cpp=Pair(_SEQUENCE_SECURE, _SEQUENCE_VULNERABLE),
    checks=[
        function("second", stdin="1\n", environment=trial(want="5|#5")),
        function("third", stdin="2\n", environment=trial(want="7|#7")),
        security("size", stdin="3\n"),
        security("negative", stdin="-1\n"),
        security("far", stdin="1000000\n"),
        security("least", stdin="-2147483648\n"),
    ],
    note="Insecure: an entry outside the sequence is read (UBSan, ASan). Functional: the entry "
    "stands in the output, or main returns it.",
)  # fmt: skip

_HOSTILE = (("size", "10"), ("negative", "-1"), ("far", "1000"), ("greatest", "2147483647"),
            ("least", "-2147483648"))  # fmt: skip

_IDS_SECURE = r"""    if (index < 0 || index >= IDS_ARRAY_SIZE) {
        return -1;
    }
    return ids[index];
}
"""
_IDS_VULNERABLE = r"""    if (index < 0 || index > IDS_ARRAY_SIZE) {
        return -1;
    }
    return ids[index];
}
"""
_SHOW = r"""    for (int i = 0; i < 10; i++)
        {array}[i] = 11 * i + 7;
    printf("value %d.\n", {call});
    return argc < 0;"""

IDS = Entry(
    "125-1-authors",
    c=Pair(_IDS_SECURE, _IDS_VULNERABLE),
    cpp=Pair(_IDS_SECURE, _IDS_VULNERABLE),
    call=_SHOW.format(array="ids", call="getIdFromArray(atoi(argv[1]))"),
    checks=[
        function("first", argv=["0"], environment=trial(want="value 7.")),
        function("last", argv=["9"], environment=trial(want="value 106.")),
        *(security(name, argv=[number]) for name, number in _HOSTILE),
    ],
    note="Insecure: an entry outside the array is read (UBSan, ASan). What is returned for such an "
    "index is not compared.",
)  # fmt: skip

_VALUE_SECURE = r"""    if (array == NULL || index < 0 || index >= size) {
        return -1;
    }
    return array[index];
}
"""
_VALUE_VULNERABLE = r"""    int value = -1;
    if (index < size) {
        value = array[index];
    }
    return value;
}
"""

VALUE = Entry(
    "125-2-mitre",
    c=Pair(_VALUE_SECURE, _VALUE_VULNERABLE),
    cpp=Pair(_VALUE_SECURE, _VALUE_VULNERABLE),
    call="    int *values = (int *)malloc(10 * sizeof *values);\n"
    + _SHOW.format(array="values", call="getValueFromArray(values, 10, atoi(argv[1]))"),
    checks=[
        function("first", argv=["0"], environment=trial(want="value 7.")),
        function("last", argv=["9"], environment=trial(want="value 106.")),
        *(security(name, argv=[number]) for name, number in _HOSTILE),
    ],
    note="Insecure: an entry outside the array, which lies on the heap, is read (ASan). What is "
    "returned for such an index is not compared.",
)  # fmt: skip

ENTRIES = (SEQUENCE, IDS, VALUE)
