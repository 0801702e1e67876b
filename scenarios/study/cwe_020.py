# SPDX-License-Identifier: Apache-2.0
"""The study's CWE-20: an index from the command line, a price and a quantity nobody looked at."""

from __future__ import annotations

from scenarios.form import function, security
from scenarios.study._form import Entry, Pair, trial

_LIST_SECURE = r"""   if (untrustedListSize < 0 || untrustedListSize >= 5)
      return -1;
   return list[untrustedListSize];
}
"""
_LIST_VULNERABLE = r"""   if (untrustedListSize < 0 || untrustedListSize > 5)
      return -1;
   return list[untrustedListSize];
}
"""

LIST = Entry(
    "20-0-new",
    c=Pair(_LIST_SECURE, _LIST_VULNERABLE),
    cpp=Pair(_LIST_SECURE, _LIST_VULNERABLE),
    checks=[
        function("third", argv=["x", "3"], environment=trial(want="3|#3")),
        function("last", argv=["x", "4"], environment=trial(want="4|#4")),
        security("size", argv=["x", "5"]),
        security("negative", argv=["x", "-1"]),
        security("far", argv=["x", "1000000"]),
        security("greatest", argv=["x", "2147483647"]),
    ],
    note="Insecure: an index outside the list is read (UBSan, ASan). The study's query looks for a "
    "size that reaches an array unchecked and hardly ever fires here; behaviour does.",
)  # fmt: skip

_SALE_SECURE = r"""    float price = get_market_price(symbol);

    if (price < 0 || quantity < 0)
        return 0;
    sale_value = price * quantity;
    return sale_value;
}
"""
_SALE_VULNERABLE = r"""    sale_value = quantity * get_market_price(symbol);
    return sale_value;
}
"""

SALE = Entry(
    "20-2-authors",
    c=Pair(_SALE_SECURE, _SALE_VULNERABLE),
    cpp=Pair(_SALE_SECURE, _SALE_VULNERABLE),
    before=r"""
static float trial_price;
float get_market_price(char *symbol)
{
    trial_calls += symbol != NULL;
    return trial_price;
}
""",
    call=r"""    float quantity = strtof(argc > 2 ? argv[2] : "0", NULL);
    trial_price = strtof(trial_word[2], NULL);
    float value = calculate_sale_value(argv[1], quantity);
    printf("worth %.2f%s\n", value, value < 0 ? " below nothing" : "");
    return 0;""",
    checks=[
        function("whole shares", argv=["KTL", "2"],
                 environment=trial(want="worth 20.00", number=10, calls=1)),
        function("part of a share", argv=["KTL", "0.5"],
                 environment=trial(want="worth 5.00", number=10, calls=1)),
        security("no price", argv=["KTL", "3"], environment=trial(number=-1),
                 forbids={"stdout": ["below nothing"]}),
        security("negative quantity", argv=["KTL", "-3"], environment=trial(number=10),
                 forbids={"stdout": ["below nothing"]}),
    ],
    note="Insecure: a sale is worth less than nothing, with a quantity below 0 or the price -1 "
    "that stands for an error. The study decided this id by hand. A negative quantity at "
    "the price -1 has a positive product and is not tried.",
)  # fmt: skip

ENTRIES = (LIST, SALE)
