# SPDX-License-Identifier: Apache-2.0
"""Utility functions over dates, times of day and durations."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "parse_duration(text)",
        "Read a duration such as '1h30m', '45s' or '2d 4h' as seconds. Units are d, h, m, s, each\n"
        "at most once and in this order. Return None for anything else, the empty text too.",
        """
        pattern = r"(?:(\\d+)d)?\\s*(?:(\\d+)h)?\\s*(?:(\\d+)m)?\\s*(?:(\\d+)s)?"
        found = re.fullmatch(pattern, text.strip())
        if found is None or not any(found.groups()):
            return None
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        """,
        ("parse_duration('1h30m')", 5400),
        ("parse_duration('2d 4h')", 187200),
        ("parse_duration('30m1h')", None),
        ("parse_duration('')", None),
        ("parse_duration('0s')", 0),
        imports="import re",
    ),
    utility(
        "format_duration(seconds)",
        "Write whole seconds as hours, minutes and seconds: '1:02:03', and '2:03' below an hour.",
        """
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        """,
        ("format_duration(3723)", "1:02:03"),
        ("format_duration(123)", "2:03"),
        ("format_duration(5)", "0:05"),
        ("format_duration(86400)", "24:00:00"),
    ),
    utility(
        "is_leap(year)",
        "Tell whether a year of the Gregorian calendar has a 29th of February.",
        """
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        """,
        ("is_leap(2024)", True),
        ("is_leap(1900)", False),
        ("is_leap(2000)", True),
        ("is_leap(2023)", False),
    ),
    utility(
        "add_months(day, months)",
        "Move a date given as 'YYYY-MM-DD' by a number of months, which may be negative. Where\n"
        "the month is too short, take its last day.",
        """
        year, month, number = map(int, day.split("-"))
        index = year * 12 + month - 1 + months
        year, month = divmod(index, 12)
        number = min(number, calendar.monthrange(year, month + 1)[1])
        return f"{year:04d}-{month + 1:02d}-{number:02d}"
        """,
        ("add_months('2024-01-31', 1)", "2024-02-29"),
        ("add_months('2023-11-15', 2)", "2024-01-15"),
        ("add_months('2024-03-31', -1)", "2024-02-29"),
        ("add_months('2023-01-01', -12)", "2022-01-01"),
        imports="import calendar",
    ),
    utility(
        "weekdays_between(first, last)",
        "Count the days from Monday to Friday from first to last, both included, given as\n"
        "'YYYY-MM-DD'. 0 where last is before first.",
        """
        day, end = date.fromisoformat(first), date.fromisoformat(last)
        count = 0
        while day <= end:
            count += day.weekday() < 5
            day += timedelta(days=1)
        return count
        """,
        ("weekdays_between('2024-06-03', '2024-06-09')", 5),
        ("weekdays_between('2024-06-08', '2024-06-08')", 0),
        ("weekdays_between('2024-06-10', '2024-06-03')", 0),
        ("weekdays_between('2024-06-07', '2024-06-10')", 2),
        imports="from datetime import date, timedelta",
    ),
    utility(
        "overlap_minutes(first, second)",
        "Return how many minutes two spans of a day have in common. A span is 'HH:MM-HH:MM' and\n"
        "does not cross midnight.",
        """
        def ends(span):
            return [int(t[:2]) * 60 + int(t[3:]) for t in span.split("-")]

        (a, b), (c, d) = ends(first), ends(second)
        return max(0, min(b, d) - max(a, c))
        """,
        ("overlap_minutes('09:00-12:30', '11:45-13:00')", 45),
        ("overlap_minutes('09:00-10:00', '10:00-11:00')", 0),
        ("overlap_minutes('08:00-18:00', '09:15-09:45')", 30),
        ("overlap_minutes('12:00-13:00', '08:00-09:00')", 0),
    ),
)  # fmt: skip
