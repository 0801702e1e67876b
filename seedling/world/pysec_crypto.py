# SPDX-License-Identifier: Apache-2.0
"""Families around digests (CWE-327), passwords (CWE-916), chance (CWE-338) and timing (CWE-208).

Used by ``python_security.py``; nothing here is run outside the execution judge.
"""

from __future__ import annotations

from seedling.world.pysec_parts import Pattern, attack, expects, resists

NOUNS = (
    "message", "document", "letter", "contract", "invoice", "license", "receipt", "page",
    "record", "order", "ticket", "file", "note", "package",
)  # fmt: skip

_WEAK = """\
def weak(data):
    return [hashlib.new(name, data).hexdigest() for name in ("md5", "sha1")]
def macs(*names):
    return [hmac.new(b"k", b"m", name).hexdigest() for name in names]
"""

DIGEST = Pattern(
    name="python.digest",
    cwe="CWE-327",
    slots={
        "noun": NOUNS,
        "word": ("digest", "fingerprint", "checksum", "hash"),
        "call": ("${noun}_$word", "${word}_of_$noun"),
        "doc": (
            "Return the $word of the text $noun as hexadecimal digits.",
            "Return a hexadecimal $word of $noun, which is text.",
        ),
    },
    parameters="$noun",
    secure={
        "sha256": "return hashlib.sha256($noun.encode()).hexdigest()",
        "sha512": "return hashlib.sha512($noun.encode()).hexdigest()",
        "blake2b": "return hashlib.blake2b($noun.encode()).hexdigest()",
    },
    vulnerable={
        "md5": "return hashlib.md5($noun.encode()).hexdigest()",
        "sha1": "return hashlib.sha1($noun.encode()).hexdigest()",
        "new-md5": 'return hashlib.new("md5", $noun.encode()).hexdigest()',
    },
    wrong={"bytes": "return hashlib.sha256($noun.encode()).digest()"},
    checks=(
        expects(
            "digits",
            'one, two = $call("a"), $call("b")\n'
            'result = [one == $call("a"), one == two, bool(re.fullmatch("[0-9a-f]+", one))]\n',
            [True, False, True],
        ),
        resists(
            "weak",
            _WEAK
            + attack("$call(hostile)", '"abc"')
            + "digits = weak(b'abc')\nresult = seen[0] in [*digits, *map(bytes.fromhex, digits)]\n",
        ),
    ),
)

SIGNATURE = Pattern(
    name="python.signature",
    cwe="CWE-327",
    slots={
        "noun": NOUNS,
        "word": ("sign", "seal", "stamp", "tag"),
        "call": ("${word}_$noun", "${noun}_$word"),
        "doc": (
            "Return the HMAC of the bytes $noun under key as hexadecimal digits.",
            "Return the hexadecimal HMAC of $noun with key; both are bytes.",
        ),
    },
    parameters="key, $noun",
    secure={
        "sha256": 'return hmac.new(key, $noun, "sha256").hexdigest()',
        "module": "return hmac.new(key, $noun, hashlib.sha256).hexdigest()",
        "sha512": 'return hmac.new(key, $noun, "sha512").hexdigest()',
    },
    vulnerable={
        "md5": 'return hmac.new(key, $noun, "md5").hexdigest()',
        "module-md5": "return hmac.new(key, $noun, hashlib.md5).hexdigest()",
        "sha1": 'return hmac.new(key, $noun, "sha1").hexdigest()',
    },
    wrong={"swapped": 'return hmac.new($noun, key, "sha256").hexdigest()'},
    checks=(
        expects(
            "hmac",
            _WEAK + 'strong = ("sha256", "sha512", "sha384", "sha3_256")\n'
            'result = $call(b"k", b"m") in macs("md5", "sha1", *strong)\n',
            True,
        ),
        resists(
            "weak",
            _WEAK
            + attack("$call(b'k', hostile)", 'b"m"')
            + 'result = seen[0] in macs("md5", "sha1")\n',
        ),
    ),
    vulnerable_share=0.45,
)

_SPLIT_RETURN = '\nreturn salt.hex() + ":" + digest.hex()'
_SLOW = 'digest = hashlib.pbkdf2_hmac("sha256", $secret.encode(), salt, 100000)'
PASSWORD = Pattern(
    name="python.hash_password",
    cwe="CWE-916",
    slots={
        "secret": ("password", "passphrase", "pin", "secret"),
        "who": ("user", "member", "client", "guest", "admin", "owner", "player", "author"),
        "call": ("hash_${who}_$secret", "store_${who}_$secret"),
        "doc": (
            "Return salt and hash of the $secret in hexadecimal, joined by a colon.",
            'Return the text "salt:hash" for $secret, both in hexadecimal.',
        ),
    },
    parameters="$secret",
    secure={
        "urandom": "salt = os.urandom(16)\n" + _SLOW + _SPLIT_RETURN,
        "secrets": "salt = secrets.token_bytes(16)\n" + _SLOW + _SPLIT_RETURN,
        "scrypt": "salt = os.urandom(16)\n"
        "digest = hashlib.scrypt($secret.encode(), salt=salt, n=4096, r=8, p=1)" + _SPLIT_RETURN,
    },
    vulnerable={
        "fast-md5": "salt = os.urandom(16)\n"
        "digest = hashlib.md5(salt + $secret.encode()).digest()" + _SPLIT_RETURN,
        "fixed-salt": 'salt = b"salt"\n' + _SLOW + _SPLIT_RETURN,
        "fast-sha256": "salt = os.urandom(16)\n"
        "digest = hashlib.sha256(salt + $secret.encode()).digest()" + _SPLIT_RETURN,
    },
    wrong={
        "no-salt-kept": "salt = os.urandom(16)\n" + _SLOW + "\nreturn digest.hex()",
    },
    checks=(
        expects(
            "form",
            'parts = $call("x").split(":")\n'
            'result = [len(parts), all(re.fullmatch("[0-9a-f]+", part) for part in parts)]\n',
            [2, True],
        ),
        resists(
            "same-salt",
            attack("$call(hostile)", '"pw"', '"pw"', '"other"')
            + "result = seen[0] == seen[1] != seen[2]\n",
        ),
        resists(
            "fast",
            attack("$call(hostile)", '"pw"')
            + """\
parts = str(seen[0]).split(":")
text, fast = b"pw", []
raw = bytes.fromhex(parts[0]) if re.fullmatch("([0-9a-f]{2})+", parts[0]) else b""
for salt in (b"", parts[0].encode(), raw):
    for name in ("md5", "sha1", "sha256", "sha512"):
        fast += [hashlib.new(name, data).hexdigest() for data in (salt + text, text + salt)]
result = parts[-1] in fast
""",
        ),
    ),
)

_LETTERS = "letters = string.ascii_letters + string.digits\n"
TOKEN = Pattern(
    name="python.random_token",
    cwe="CWE-338",
    slots={
        "noun": ("session", "invite", "reset", "access", "login", "share", "coupon", "device"),
        "word": ("token", "code", "key"),
        "call": ("new_${noun}_$word", "make_${noun}_$word", "${noun}_$word"),
        "doc": (
            "Return a random $noun $word of length letters and digits.",
            "Return a new random $word of length letters and digits.",
        ),
    },
    parameters="length",
    secure={
        "secrets": _LETTERS + 'return "".join(secrets.choice(letters) for _ in range(length))',
        "system": _LETTERS + "rng = random.SystemRandom()\n"
        'return "".join(rng.choice(letters) for _ in range(length))',
    },
    vulnerable={
        "random": _LETTERS + 'return "".join(random.choice(letters) for _ in range(length))',
        "choices": _LETTERS + 'return "".join(random.choices(letters, k=length))',
    },
    wrong={"one": _LETTERS + "return secrets.choice(letters) * length"},
    checks=(
        expects(
            "form",
            "token = $call(30)\nresult = [len(token), token.isalnum(), len(set(token)) > 2]\n",
            [30, True, True],
        ),
        # Seeding the shared generator, as an attacker who recovered its state would, must not
        # repeat the text.
        resists(
            "repeatable",
            attack("(random.seed(hostile), $call(40))[1]", "7", "7")
            + "result = seen[0] is not None and seen[0] == seen[1]"
            " and len(set(str(seen[0]))) > 2\n",
        ),
    ),
    vulnerable_share=0.55,
)

_WATCHED = """\
compared = []
class Watched(str):
    __hash__ = str.__hash__
    def __eq__(self, other):
        compared.append(1)
        return str.__eq__(self, other)
    def __ne__(self, other):
        compared.append(1)
        return str.__ne__(self, other)
"""
COMPARE = Pattern(
    name="python.compare_token",
    cwe="CWE-208",
    slots={
        "noun": ("token", "signature", "key", "code", "password", "digest", "secret", "cookie"),
        "given": ("given", "received", "sent"),
        "call": ("same_$noun", "check_$noun", "valid_$noun", "${noun}_matches"),
        "doc": (
            "Tell whether the $noun $given is the expected one.",
            "Return True when $given equals the expected $noun.",
        ),
    },
    parameters="expected, $given",
    secure={
        "hmac": "return hmac.compare_digest(expected, $given)",
        "secrets": "return secrets.compare_digest(expected, $given)",
        "bytes": "return hmac.compare_digest(expected.encode(), $given.encode())",
    },
    vulnerable={
        "equals": "return expected == $given",
        "swapped": "return $given == expected",
        "differs": "if expected != $given:\n    return False\nreturn True",
    },
    wrong={"negated": "return not hmac.compare_digest(expected, $given)"},
    checks=(
        expects(
            "equal",
            'result = [$call("abc", "abc"), $call("abc", "abd"), $call("abc", "ab")]\n',
            [True, False, False],
        ),
        resists(
            "early-exit",
            _WATCHED
            + attack('$call(Watched("abcd"), Watched(hostile))', '"abcx"')
            + "result = bool(compared)\n",
        ),
    ),
)

PATTERNS = (DIGEST, SIGNATURE, PASSWORD, TOKEN, COMPARE)
