# SPDX-License-Identifier: Apache-2.0
"""Utility functions over numbers: formatting, rounding, statistics, bits, small algorithms."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "human_size(count)",
        "Write a number of bytes with one decimal and the largest of the units B, KiB, MiB, GiB,\n"
        "TiB in which it is at least 1. Bytes have no decimal.",
        """
        if count < 1024:
            return f"{count} B"
        for unit in ("KiB", "MiB", "GiB", "TiB"):
            count /= 1024
            if count < 1024 or unit == "TiB":
                return f"{count:.1f} {unit}"
        """,
        ("human_size(1536)", "1.5 KiB"),
        ("human_size(1023)", "1023 B"),
        ("human_size(1048576)", "1.0 MiB"),
        ("human_size(2 ** 51)", "2048.0 TiB"),
        ("human_size(0)", "0 B"),
    ),
    utility(
        "parse_size(text)",
        "Read a size such as '10', '4k', '1.5 MB' or '2GiB' as a whole number of bytes. k, M and\n"
        "G mean powers of 1024 with or without B or iB, in any case. Raise ValueError for others.",
        """
        found = re.fullmatch(r"\\s*(\\d+(?:\\.\\d+)?)\\s*(?:([kmg])i?)?b?\\s*", text, re.IGNORECASE)
        if found is None:
            raise ValueError(f"not a size: {text!r}")
        power = " kmg".index((found[2] or " ").lower())
        return int(float(found[1]) * 1024**power)
        """,
        ("parse_size('4k')", 4096),
        ("parse_size('1.5 MB')", 1572864),
        ("parse_size('2GiB')", 2147483648),
        ("parse_size(' 10 ')", 10),
        ("parse_size('7b')", 7),
        imports="import re",
    ),
    utility(
        "clamp(value, low, high)",
        "Return value, or the nearer end where it lies outside low to high. Ends given the wrong\n"
        "way round are swapped.",
        """
        if low > high:
            low, high = high, low
        return max(low, min(high, value))
        """,
        ("clamp(12, 0, 10)", 10),
        ("clamp(-1, 0, 10)", 0),
        ("clamp(5, 10, 0)", 5),
        ("clamp(11, 10, 0)", 10),
    ),
    utility(
        "median(values)",
        "Return the median as a float; of an even number of values the mean of the middle two.\n"
        "None where there are no values.",
        """
        ordered = sorted(values)
        if not ordered:
            return None
        middle = len(ordered) // 2
        if len(ordered) % 2:
            return float(ordered[middle])
        return (ordered[middle - 1] + ordered[middle]) / 2
        """,
        ("median([3, 1, 2])", 2.0),
        ("median([4, 1, 2, 3])", 2.5),
        ("median([])", None),
        ("median([7])", 7.0),
    ),
    utility(
        "percentile(values, share)",
        "Return the nearest-rank percentile: the smallest value such that at least share percent\n"
        "of all values are not larger. Share 0 is the smallest value. values is not empty.",
        """
        ordered = sorted(values)
        rank = max(1, math.ceil(share / 100 * len(ordered)))
        return ordered[rank - 1]
        """,
        ("percentile([15, 20, 35, 40, 50], 40)", 20),
        ("percentile([15, 20, 35, 40, 50], 100)", 50),
        ("percentile([3, 1], 0)", 1),
        ("percentile([1, 2, 3, 4], 51)", 3),
        imports="import math",
    ),
    utility(
        "moving_average(values, size)",
        "Return the mean of each run of size neighbours, as floats. The first size - 1 positions\n"
        "give the mean of what there is so far.",
        """
        means, total = [], 0.0
        for index, value in enumerate(values):
            total += value
            if index >= size:
                total -= values[index - size]
            means.append(total / min(index + 1, size))
        return means
        """,
        ("moving_average([1, 2, 3, 4], 2)", [1.0, 1.5, 2.5, 3.5]),
        ("moving_average([4, 8], 5)", [4.0, 6.0]),
        ("moving_average([], 3)", []),
    ),
    utility(
        "round_half_up(value, digits=0)",
        "Round a decimal number given as text, halves away from zero, and return text with just\n"
        "that many digits after the point.",
        """
        step = Decimal(1).scaleb(-digits)
        return str(Decimal(value).quantize(step, rounding=ROUND_HALF_UP))
        """,
        ("round_half_up('2.5')", "3"),
        ("round_half_up('-2.5')", "-3"),
        ("round_half_up('1.005', 2)", "1.01"),
        ("round_half_up('3', 1)", "3.0"),
        imports="from decimal import ROUND_HALF_UP, Decimal",
    ),
    utility(
        "to_roman(number)",
        "Write a number from 1 to 3999 in Roman numerals.",
        """
        out = ""
        for value, letters in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"),
                               (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"),
                               (4, "IV"), (1, "I")):
            while number >= value:
                out += letters
                number -= value
        return out
        """,
        ("to_roman(1994)", "MCMXCIV"),
        ("to_roman(4)", "IV"),
        ("to_roman(3999)", "MMMCMXCIX"),
        ("to_roman(58)", "LVIII"),
    ),
    utility(
        "from_roman(text)",
        "Read Roman numerals as a number; a smaller numeral before a larger one is taken away.",
        """
        values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
        total = 0
        for index, letter in enumerate(text):
            value = values[letter]
            later = values[text[index + 1]] if index + 1 < len(text) else 0
            total += -value if value < later else value
        return total
        """,
        ("from_roman('MCMXCIV')", 1994),
        ("from_roman('III')", 3),
        ("from_roman('XL')", 40),
        ("from_roman('')", 0),
    ),
    utility(
        "to_base(number, base)",
        "Write a whole number in a base from 2 to 36 with digits 0-9a-z; negative numbers with a\n"
        "minus sign in front.",
        """
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"
        if number == 0:
            return "0"
        rest, out = abs(number), ""
        while rest:
            rest, digit = divmod(rest, base)
            out = digits[digit] + out
        return f"-{out}" if number < 0 else out
        """,
        ("to_base(255, 16)", "ff"),
        ("to_base(-5, 2)", "-101"),
        ("to_base(0, 7)", "0"),
        ("to_base(35, 36)", "z"),
    ),
    utility(
        "luhn_valid(number)",
        "Tell whether a card number passes the Luhn check. Blanks and hyphens are passed over;\n"
        "other characters, or fewer than two digits, make it invalid.",
        """
        digits = number.replace(" ", "").replace("-", "")
        if len(digits) < 2 or not (digits.isascii() and digits.isdigit()):
            return False
        total = 0
        for index, digit in enumerate(reversed(digits)):
            value = int(digit) * (2 if index % 2 else 1)
            total += value - 9 if value > 9 else value
        return total % 10 == 0
        """,
        ("luhn_valid('4539 1488 0343 6467')", True),
        ("luhn_valid('8273 1232 7352 0569')", False),
        ("luhn_valid('0')", False),
        ("luhn_valid('00-0')", True),
        ("luhn_valid('4539a')", False),
    ),
    utility(
        "isbn13_check_digit(first_twelve)",
        "Return the last digit of an ISBN-13 for its first twelve digits: weights 1 and 3 in turn,\n"
        "the digit that makes the sum a multiple of ten.",
        """
        total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(first_twelve))
        return -total % 10
        """,
        ("isbn13_check_digit('978030640615')", 7),
        ("isbn13_check_digit('000000000000')", 0),
        ("isbn13_check_digit('978316148410')", 0),
    ),
    utility(
        "gcd_of(numbers)",
        "Return the greatest common divisor of whole numbers, never negative; 0 where there are\n"
        "none or all are 0.",
        """
        result = 0
        for number in numbers:
            result, number = abs(result), abs(number)
            while number:
                result, number = number, result % number
        return result
        """,
        ("gcd_of([12, 18, 30])", 6),
        ("gcd_of([])", 0),
        ("gcd_of([0, 5])", 5),
        ("gcd_of([-4, 6])", 2),
    ),
    utility(
        "primes_below(limit)",
        "Return all prime numbers below limit, rising.",
        """
        sieve = [True] * max(limit, 2)
        sieve[0] = sieve[1] = False
        for number in range(2, int(limit**0.5) + 1 if limit > 0 else 0):
            if sieve[number]:
                for multiple in range(number * number, limit, number):
                    sieve[multiple] = False
        return [number for number in range(limit) if sieve[number]]
        """,
        ("primes_below(12)", [2, 3, 5, 7, 11]),
        ("primes_below(2)", []),
        ("primes_below(3)", [2]),
        ("len(primes_below(1000))", 168),
        ("primes_below(0)", []),
    ),
    utility(
        "prime_factors(number)",
        "Return the prime factors of a number above 0, rising, as often as they divide it.",
        """
        factors, divisor = [], 2
        while divisor * divisor <= number:
            while number % divisor == 0:
                factors.append(divisor)
                number //= divisor
            divisor += 1
        return [*factors, number] if number > 1 else factors
        """,
        ("prime_factors(360)", [2, 2, 2, 3, 3, 5]),
        ("prime_factors(97)", [97]),
        ("prime_factors(1)", []),
    ),
    utility(
        "bit_positions(mask)",
        "Return the positions of the bits that are set in a number, lowest first.",
        """
        positions, place = [], 0
        while mask:
            if mask & 1:
                positions.append(place)
            mask >>= 1
            place += 1
        return positions
        """,
        ("bit_positions(0b10110)", [1, 2, 4]),
        ("bit_positions(0)", []),
        ("bit_positions(1 << 40)", [40]),
    ),
    utility(
        "matrix_multiply(left, right)",
        "Multiply two matrices given as lists of rows. Return None where their sizes do not fit.",
        """
        if not left or not right or len(left[0]) != len(right):
            return None
        return [
            [sum(a * b for a, b in zip(row, column)) for column in zip(*right)] for row in left
        ]
        """,
        ("matrix_multiply([[1, 2], [3, 4]], [[5], [6]])", [[17], [39]]),
        ("matrix_multiply([[1, 2]], [[1, 2]])", None),
        ("matrix_multiply([], [[1]])", None),
        ("matrix_multiply([[2]], [[3, 4]])", [[6, 8]]),
    ),
    utility(
        "spiral(rows)",
        "Return the numbers of a table read in a spiral, clockwise from the top left.",
        """
        rows = [list(row) for row in rows]
        out = []
        while rows:
            out.extend(rows.pop(0))
            rows = [list(column) for column in zip(*rows)][::-1]
        return out
        """,
        ("spiral([[1, 2, 3], [4, 5, 6], [7, 8, 9]])", [1, 2, 3, 6, 9, 8, 7, 4, 5]),
        ("spiral([[1, 2], [3, 4], [5, 6]])", [1, 2, 4, 6, 5, 3]),
        ("spiral([])", []),
    ),
    utility(
        "change(amount, coins)",
        "Return the least number of coins that pays amount, or -1 where it cannot be paid. Each\n"
        "kind of coin may be used any number of times.",
        """
        best = [0] + [amount + 1] * amount
        for total in range(1, amount + 1):
            for coin in coins:
                if coin <= total:
                    best[total] = min(best[total], best[total - coin] + 1)
        return best[amount] if best[amount] <= amount else -1
        """,
        ("change(6, [1, 3, 4])", 2),
        ("change(7, [2, 4])", -1),
        ("change(0, [5])", 0),
        ("change(63, [1, 5, 10, 21, 25])", 3),
    ),
    utility(
        "ordinal(number)",
        "Write a number above 0 with its English ending: 1st, 2nd, 3rd, 4th, 11th.",
        """
        if number % 100 in (11, 12, 13):
            return f"{number}th"
        return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10, 'th')}"
        """,
        ("ordinal(22)", "22nd"),
        ("ordinal(113)", "113th"),
        ("[ordinal(n) for n in (1, 3, 4, 11, 101)]", ["1st", "3rd", "4th", "11th", "101st"]),
    ),
    utility(
        "group_thousands(number, mark=',')",
        "Write a whole number with a mark between groups of three digits.",
        """
        digits = str(abs(number))
        groups = []
        while digits:
            groups.append(digits[-3:])
            digits = digits[:-3]
        return ("-" if number < 0 else "") + mark.join(reversed(groups))
        """,
        ("group_thousands(1234567)", "1,234,567"),
        ("group_thousands(-1000, ' ')", "-1 000"),
        ("group_thousands(0)", "0"),
        ("group_thousands(999)", "999"),
    ),
)  # fmt: skip
