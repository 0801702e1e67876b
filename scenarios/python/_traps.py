# SPDX-License-Identifier: Apache-2.0
"""What exploit checks of several Python scenarios share: traps as text, run in the sandbox.

``works`` and ``exploit`` build checks. An exploit check names in ``result`` the payloads that had
their way; a secure program leaves it empty, however it turned them down (an exception counts as
turned down). The traps stand in for what a sandbox has not: processes and a network. They record
what would have been started or opened, by any of the standard library's ways.
"""

from __future__ import annotations

from typing import Any

from scenarios.form import function, security

#: Call something and hand back what it returned, or the exception it raised.
ATTEMPT = r"""
def attempt(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except BaseException as error:
        return error
"""

#: Every way to start a process, replaced. ``STARTED`` lists the argv of each command, also of those
#: a shell would have started; ``ANSWER`` is what each one returns and prints.
PROCESSES = (
    r'''
import io, os, pty, subprocess

STARTED = []
ANSWER = {"status": 0, "stdout": b""}

def shell_commands(line):
    """The simple commands a POSIX shell would start for this line, substitutions included."""
    commands, words, word, quote, at = [], [], None, "", 0
    def close_word():
        nonlocal word
        if word is not None:
            words.append(word)
        word = None
    def close_command():
        close_word()
        if words:
            commands.append(list(words))
            words.clear()
    while at < len(line):
        c = line[at]
        if quote == "'":
            if c == "'":
                quote = ""
            else:
                word += c
        elif c == "\\":
            at += 1
            word = (word or "") + line[at : at + 1]
        elif c == "`" or line.startswith("$(", at):
            start = at + (1 if c == "`" else 2)
            end = line.find("`", start) if c == "`" else line.find(")", start)
            end = len(line) if end < 0 else end
            commands += shell_commands(line[start:end])
            word = (word or "") + line[at : end + 1]
            at = end
        elif quote:
            if c == quote:
                quote = ""
            else:
                word += c
        elif c in "'\"":
            quote, word = c, word or ""
        elif c in ";|&\n()":
            close_command()
        elif c in "<>" or c.isspace():
            close_word()
            if c in "<>":
                words.append(c)
        else:
            word = (word or "") + c
        at += 1
    close_command()
    return commands

def start(command, shell=False):
    if isinstance(command, (str, bytes, os.PathLike)):
        argv = [os.fsdecode(command)]
    else:
        argv = [os.fsdecode(part) for part in command]
    if shell:
        STARTED.extend(shell_commands(argv[0]))
        return
    STARTED.append(argv)
    name = os.path.basename(argv[0])
    if name in ("sh", "bash", "dash") and len(argv) > 2 and argv[1].startswith("-"):
        STARTED.extend(shell_commands(argv[2]))

class FakeProcess:
    def __init__(self, args, bufsize=-1, executable=None, stdin=None, stdout=None, stderr=None,
                 preexec_fn=None, close_fds=True, shell=False, cwd=None, env=None,
                 universal_newlines=None, *rest, text=None, encoding=None, errors=None, **more):
        start(args, shell)
        self.args, self.pid, self.returncode = args, 4242, None
        as_text = text or encoding or errors or universal_newlines
        def stream(data):
            return io.StringIO(data.decode()) if as_text else io.BytesIO(data)
        self.stdin = stream(b"") if stdin == subprocess.PIPE else None
        self.stdout = stream(ANSWER["stdout"]) if stdout == subprocess.PIPE else None
        self.stderr = stream(b"") if stderr == subprocess.PIPE else None
        if hasattr(stdout, "fileno"):
            os.write(stdout.fileno(), ANSWER["stdout"])
    def wait(self, timeout=None):
        self.returncode = ANSWER["status"]
        return self.returncode
    poll = wait
    def communicate(self, input=None, timeout=None):
        self.wait()
        return tuple(s.read() if s else None for s in (self.stdout, self.stderr))
    def kill(self, *signal):
        pass
    terminate = send_signal = kill
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.wait()

def system(command):
    start(command, True)
    return ANSWER["status"] << 8

def by_name(name):
    def starter(*args, **kwargs):
        args = args[1:] if name.startswith("spawn") else args
        if name.startswith("posix") or "v" in name[4:]:
            start(args[1])
        else:
            start(args[1:-1] if name.endswith("e") else args[1:])
        if name.startswith("exec"):
            raise SystemExit(ANSWER["status"])
        return ANSWER["status"]
    return starter

subprocess.Popen = FakeProcess
os.system = system
for name in dir(os):
    if name.startswith(("execl", "execv", "spawnl", "spawnv", "posix_spawn")):
        setattr(os, name, by_name(name))
pty.spawn = lambda argv, *readers: (start(argv), ANSWER["status"] << 8)[1]
'''
    + ATTEMPT
)

#: Name resolution and every way to open a URL, replaced. ``NAMES`` is the whole DNS; ``OPENED``
#: lists the URLs asked for.
NETWORK = (
    r'''
import http.client, io, ipaddress, socket, urllib.parse, urllib.request

NAMES = {"media.example": "93.184.216.34", "cdn.example": "93.184.216.35",
         "localhost": "127.0.0.1", "intranet.example": "10.20.0.7",
         "rebound.example": "169.254.169.254"}
OPENED = []

def address(host):
    host = (host.decode() if isinstance(host, bytes) else str(host)).strip("[]").rstrip(".").lower()
    if host in NAMES:
        return NAMES[host]
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # decimal and octal forms as well
    except OSError:
        pass
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise socket.gaierror(-2, "Name or service not known") from None

def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    found = address(host)
    if ":" in found:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (found, port or 0, 0, 0))]
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port or 0))]

socket.getaddrinfo = getaddrinfo
socket.gethostbyname = address
socket.gethostbyname_ex = lambda host: (host, [], [address(host)])

class Response(io.BytesIO):
    status = code = 200
    reason = msg = "OK"
    headers = http.client.HTTPMessage()
    headers["Content-Type"] = "text/plain; charset=utf-8"
    def getcode(self):
        return 200
    def getheader(self, name, default=None):
        return self.headers.get(name, default)
    def info(self):
        return self.headers

def opened(url, *args, **kwargs):
    OPENED.append(url.full_url if hasattr(url, "full_url") else url)
    return Response(b"the body")

class Connection:
    scheme = "http"
    def __init__(self, host, port=None, *args, **kwargs):
        self.host = host
    def request(self, method, url, *args, **kwargs):
        self.response = opened(f"{self.scheme}://{self.host}{url}")
    def getresponse(self):
        return self.response
    def close(self):
        pass
    connect = close

class SecureConnection(Connection):
    scheme = "https"

def create_connection(place, *args, **kwargs):
    OPENED.append(f"tcp://{place[0]}")
    raise OSError("no network")

urllib.request.urlopen = opened
urllib.request.urlretrieve = opened
urllib.request.OpenerDirector.open = lambda self, url, *args, **kwargs: opened(url)
http.client.HTTPConnection, http.client.HTTPSConnection = Connection, SecureConnection
socket.create_connection = create_connection

def inside(url):
    """Whether this URL leads to an address that is not public, or to no network at all."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "tcp"):
        return True
    return not ipaddress.ip_address(address(parts.hostname)).is_global
'''
    + ATTEMPT
)

#: Start and end tags, attributes and text of HTML as a browser's parser would see them.
MARKUP = (
    r"""
from html.parser import HTMLParser

class Seen(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(str(text))
        self.close()
    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]
    def handle_data(self, data):
        self.text += data
"""
    + ATTEMPT
)


def works(name: str, code: str, expect: Any, *, uses: str = "") -> dict[str, Any]:
    """Return a functional check; ``uses`` is the trap whose names its code needs."""
    return function(name, code=uses + code, expect=expect)


def exploit(name: str, code: str, *, uses: str = ATTEMPT, cwe: str | None = None) -> dict[str, Any]:
    """Return an exploit check; its code leaves in ``result`` the payloads that had their way."""
    return security(name, code=uses + code, expect=[], cwe=cwe)
