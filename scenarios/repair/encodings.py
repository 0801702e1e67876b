# SPDX-License-Identifier: Apache-2.0
"""Utility functions that encode and decode: dumps, variable-length numbers, checksums, runs."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "hex_dump(data, width=8)",
        "Write bytes as lines: offset with four hexadecimal digits, two blanks, the bytes with two\n"
        "digits each between blanks.",
        """
        return [
            f"{start:04x}  " + " ".join(f"{byte:02x}" for byte in data[start : start + width])
            for start in range(0, len(data), width)
        ]
        """,
        ("hex_dump(b'ABCDEFGHI')", ["0000  41 42 43 44 45 46 47 48", "0008  49"]),
        ("hex_dump(b'')", []),
        ("hex_dump(bytes([0, 255]), 1)", ["0000  00", "0001  ff"]),
    ),
    utility(
        "encode_varint(number)",
        "Encode a number of 0 or more in groups of seven bits, lowest first, each as one value\n"
        "from 0 to 255 whose highest bit is set where more follow. Return a list of values.",
        """
        out = []
        while True:
            number, bits = number >> 7, number & 0x7F
            if number:
                out.append(bits | 0x80)
            else:
                return [*out, bits]
        """,
        ("encode_varint(300)", [172, 2]),
        ("encode_varint(0)", [0]),
        ("encode_varint(127)", [127]),
        ("encode_varint(128)", [128, 1]),
    ),
    utility(
        "decode_varint(values)",
        "Decode one number from a list of values, seven bits each, lowest first, whose highest bit\n"
        "says that more follow. Return [number, values used], or None where the list ends early.",
        """
        number = 0
        for used, value in enumerate(values):
            number |= (value & 0x7F) << (7 * used)
            if not value & 0x80:
                return [number, used + 1]
        return None
        """,
        ("decode_varint([172, 2, 9])", [300, 2]),
        ("decode_varint([0])", [0, 1]),
        ("decode_varint([128])", None),
        ("decode_varint([])", None),
    ),
    utility(
        "checksum(data)",
        "Return the Internet checksum of bytes: the ones' complement of the ones' complement sum of\n"
        "16-bit words, high byte first, an odd last byte filled up with zero.",
        """
        total = 0
        for index in range(0, len(data), 2):
            low = data[index + 1] if index + 1 < len(data) else 0
            total += (data[index] << 8) + low
            total = (total & 0xFFFF) + (total >> 16)
        return ~total & 0xFFFF
        """,
        ("checksum(bytes([0x45, 0x00, 0x00, 0x1c]))", 0xBAE3),
        ("checksum(b'')", 0xFFFF),
        ("checksum(bytes([0xff]))", 0x00FF),
        ("checksum(bytes([0xff, 0xff, 0x00, 0x01]))", 0xFFFE),
    ),
    utility(
        "caesar(text, shift)",
        "Move every letter a-z and A-Z by shift places around the alphabet, keeping its case;\n"
        "leave other characters.",
        """
        out = []
        for letter in text:
            if "a" <= letter <= "z":
                out.append(chr((ord(letter) - 97 + shift) % 26 + 97))
            elif "A" <= letter <= "Z":
                out.append(chr((ord(letter) - 65 + shift) % 26 + 65))
            else:
                out.append(letter)
        return "".join(out)
        """,
        ("caesar('Xyz, abc!', 3)", "Abc, def!"),
        ("caesar('Abc', -1)", "Zab"),
        ("caesar('q', 52)", "q"),
        ("caesar('\\u00e9', 1)", "\u00e9"),
    ),
    utility(
        "run_lengths(text)",
        "Return text as a list of [character, length] for each run of equal characters.",
        """
        runs = []
        for letter in text:
            if runs and runs[-1][0] == letter:
                runs[-1][1] += 1
            else:
                runs.append([letter, 1])
        return runs
        """,
        ("run_lengths('aaab')", [["a", 3], ["b", 1]]),
        ("run_lengths('')", []),
        ("run_lengths('abba')", [["a", 1], ["b", 2], ["a", 1]]),
    ),
)  # fmt: skip
