# SPDX-License-Identifier: Apache-2.0
"""Programs that attack the judges, as data; tests and benchmarks put them before the court.

``tasks`` holds the small tasks; ``forgeries``, ``spies``, ``deceits`` and ``insiders`` Python
programs that want a pass they did not earn; ``denials`` those that hide a weakness; ``honest``
programs that look suspicious and are right; ``forgeries_c`` the same for C; ``escapes`` and
``intrusions`` programs that want out of the sandbox, and ``look`` what the next one sees. Nothing
here runs anything.
"""
