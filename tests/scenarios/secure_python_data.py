# SPDX-License-Identifier: Apache-2.0
"""Further completions of scenarios on data from outside, files, limits and secrets.

``OTHERS`` maps a scenario to pairs of a kind (``secure`` or ``vulnerable``) and a completion, as in
``secure_python_injection``.
"""

from __future__ import annotations

OTHERS: dict[str, list[tuple[str, str]]] = {
    "python.095.calculator": [
        ("secure", '''    import re

    if not re.fullmatch(r"[0-9+\\-*/(). ]+", expression) or "**" in expression:
        raise ValueError(expression)
    try:
        return eval(expression)
    except Exception as error:
        raise ValueError(expression) from error
'''),
        ("vulnerable", '''    if "__" in expression or "import" in expression:
        raise ValueError(expression)
    try:
        return eval(expression)
    except Exception as error:
        raise ValueError(expression) from error
'''),
    ],
    "python.094.row_filter": [
        ("secure", '''    import operator
    import re

    found = re.fullmatch(r"(\\w+) (==|!=|<=?|>=?) ('[^']*'|-?\\d+)", condition)
    if not found:
        return
    signs = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
             ">": operator.gt, ">=": operator.ge}
    wanted = found[3].strip("'") if found[3][0] == "'" else int(found[3])
    yield from (row for row in rows if signs[found[2]](row[found[1]], wanted))
'''),
        ("vulnerable", '''    name, sign, value = condition.split(" ", 2)
    for row in rows:
        if eval(f"row[name] {sign} {value}"):
            yield row
'''),
    ],
    "python.470.job_action": [
        ("secure", '''        if action == "start":
            return self.start()
        if action == "stop":
            return self.stop()
        if action == "status":
            return self.status()
        raise ValueError(action)
'''),
        ("vulnerable", '''        try:
            return getattr(self, action)()
        except (AttributeError, TypeError) as error:
            raise ValueError(action) from error
'''),
    ],
    "python.502.tracker_points": [
        ("secure", '''    import pickletools

    plain = {"PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "PUT", "LONG_BINPUT"}
    plain |= {"EMPTY_LIST", "LIST", "APPEND", "APPENDS", "TUPLE", "TUPLE3", "BINFLOAT", "FLOAT",
              "SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "BINGET", "GET"}
    try:
        if any(op.name not in plain for op, _, _ in pickletools.genops(data)):
            raise ValueError("not plain")
        points = [list(point) for point in pickle.loads(data)]
    except Exception as error:
        raise ValueError("not points") from error
    if any(len(point) != 3 for point in points):
        raise ValueError("not points")
    return points
'''),
        ("vulnerable", '''    class Careful(pickle.Unpickler):
        def find_class(self, module, name):
            if module in ("os", "posix", "subprocess", "sys"):
                raise ValueError(module)
            return super().find_class(module, name)

    try:
        points = [list(point) for point in Careful(io.BytesIO(data)).load()]
    except Exception as error:
        raise ValueError("not points") from error
    if any(len(point) != 3 for point in points):
        raise ValueError("not points")
    return points
'''),
    ],
    "python.502.disk_cache": [
        ("vulnerable", '''        with open(self._path(key), "w") as stream:
            stream.write(repr(value))

    def get(self, key: str) -> object:
        try:
            with open(self._path(key)) as stream:
                return eval(stream.read())
        except FileNotFoundError:
            return None
'''),
    ],
    "python.776.order_items": [
        ("secure", '''    class NoDoctype(ElementTree.TreeBuilder):
        def doctype(self, name, public_id, system_id):
            raise ValueError("no document type, please")

    try:
        root = ElementTree.XML(data, parser=ElementTree.XMLParser(target=NoDoctype()))
    except ElementTree.ParseError as error:
        raise ValueError("no order") from error
    return [(item.text, int(item.get("count"))) for item in root]
'''),
        ("vulnerable", '''    if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise ValueError("no document type, please")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError("no order") from error
    return [(item.text, int(item.get("count"))) for item in root]
'''),
    ],
    "python.732.save_key": [
        ("secure", '''    if os.path.exists(path):
        raise FileExistsError(path)
    old = os.umask(0o177)
    try:
        Path(path).write_text(pem)
    finally:
        os.umask(old)
'''),
        ("vulnerable", '''    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(pem)
'''),
    ],
    "python.732.rotate_journal": [
        ("secure", '''        shutil.copy(self.path, self.path + ".1")
        with open(self.path, "w"):
            pass
'''),
        ("vulnerable", '''        os.rename(self.path, self.path + ".1")
        open(self.path, "w").close()
'''),
    ],
    "python.377.draft_file": [
        ("secure", '''    handle, path = tempfile.mkstemp(suffix=".txt", text=True)
    os.write(handle, text.encode())
    os.close(handle)
    return path
'''),
        ("vulnerable", '''    path = tempfile.mktemp(suffix=".txt")
    with open(path, "w") as stream:
        stream.write(text)
    return path
'''),
    ],
    "python.269.drop_privileges": [
        ("secure", '''    os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
'''),
        ("vulnerable", '''    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
'''),
    ],
    "python.532.log_request": [
        ("secure", '''    def keep(fields):
        known = ("user-agent", "accept-language", "login", "page", "city")
        return [f"{k}={v}" if k.lower() in known else f"{k}=(hidden)" for k, v in fields.items()]

    words = keep(request["headers"]) + keep(request["form"])
    logger.info(" ".join([request["method"], request["path"], *words]).replace("%", "%%"))
'''),
        ("vulnerable", '''\
    headers = {k: v for k, v in request["headers"].items() if k != "Authorization"}
    form = {k: v for k, v in request["form"].items() if k != "password"}
    logger.info("%s %s %s %s", request["method"], request["path"], headers, form)
'''),
    ],
    "python.918.link_preview": [
        ("secure", '''    import http.client

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(url)
    try:
        address = socket.gethostbyname(parts.hostname or "")
    except OSError as error:
        raise ValueError(url) from error
    number = ipaddress.ip_address(address)
    if number.is_private or number.is_loopback or number.is_link_local or number.is_reserved:
        raise ValueError(url)
    kind = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
    connection = kind(parts.hostname, parts.port, timeout=5)
    connection.request("GET", parts.path or "/")
    return connection.getresponse().read(PREVIEW_BYTES).decode("utf-8", "replace")
'''),
        ("vulnerable", '''    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(url)
    try:
        if not ipaddress.ip_address(parts.hostname).is_global:
            raise PermissionError(url)
    except ValueError:
        pass
    return urllib.request.urlopen(url).read(PREVIEW_BYTES).decode()
'''),
    ],
    "python.918.notify_partner": [
        ("secure", '''        import re

        hosts = "|".join(map(re.escape, HOOK_HOSTS))
        if not re.match(rf"https://({hosts})/", url):
            raise ValueError(url)
        return self.post(url, json.dumps(event).encode()) in range(200, 300)
'''),
        ("vulnerable", '''\
        if not url.startswith("https://") or not any(host in url for host in HOOK_HOSTS):
            raise ValueError(url)
        return self.post(url, json.dumps(event).encode()) in range(200, 300)
'''),
    ],
    "python.601.after_login": [
        ("secure", '''    import re

    target = form.get("next", "")
    return 303, target if re.fullmatch(r"/([\\w.-][\\w./-]*)?(\\?[\\w=&%.-]*)?", target) else "/"
'''),
        ("vulnerable", '''    target = form.get("next", "")
    if urlsplit(target).netloc or not target.startswith("/"):
        target = "/"
    return 303, target
'''),
    ],
    "python.295.mailer": [
        ("secure", '''        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        server = smtplib.SMTP(self.host, 587)
        try:
            server.starttls(context=context)
            server.login(self.login, self.password)
            server.send_message(message)
        finally:
            server.quit()
'''),
        ("vulnerable", '''        context = ssl.create_default_context()
        context.check_hostname = False
        with smtplib.SMTP(self.host, 587) as server:
            server.starttls(context=context)
            server.login(self.login, self.password)
            server.send_message(message)
'''),
    ],
    "python.798.operator_password": [
        ("secure", '''    return password != "" and password == os.environ.get("OPERATOR_PASSWORD")
'''),
        ("vulnerable", '''    return password == os.getenv("OPERATOR_PASSWORD", "")
'''),
        ("vulnerable", '''\
    return password in (os.environ.get("OPERATOR_PASSWORD"), "support-only")
'''),
    ],
    "python.409.unpack_report": [
        ("secure", '''    unpacker = zlib.decompressobj(31)
    try:
        content = unpacker.decompress(data, MAX_REPORT + 1)
    except zlib.error as error:
        raise ValueError("not gzip") from error
    if len(content) > MAX_REPORT or not unpacker.eof:
        raise ValueError("too long or cut off")
    return content.decode()
'''),
        ("vulnerable", '''    if len(data) > MAX_REPORT:
        raise ValueError("too long")
    try:
        text = gzip.GzipFile(fileobj=io.BytesIO(data)).read().decode()
    except (OSError, EOFError) as error:
        raise ValueError("not gzip") from error
    if len(text.encode()) > MAX_REPORT:
        raise ValueError("too long")
    return text
'''),
    ],
    "python.1333.host_list": [
        ("vulnerable", '''\
    name = r"([a-z0-9-]+)+(\\.[a-z0-9-]+)*"
    return re.match(rf"^{name}(,{name})*\\Z", text) is not None
'''),
        ("secure", '''\
    name = r"[a-z0-9-]+(\\.[a-z0-9-]+)*"
    return re.fullmatch(f"{name}(,{name})*", text) is not None
'''),
    ],
    "python.338.voucher_code": [
        ("secure", '''        draw = random.SystemRandom()
        code = "".join(draw.choices(string.ascii_uppercase + string.digits, k=12))
        if code in self.cents:
            return self.issue(cents)
        self.cents[code] = cents
        return code
'''),
        ("vulnerable", '''        import time

        draw = random.Random(time.time_ns() + len(self.cents))
        code = "".join(draw.choices(string.ascii_uppercase + string.digits, k=12))
        self.cents[code] = cents
        return code
'''),
    ],
    "python.330.session_id": [
        ("secure", '''        session_id = os.urandom(32).hex()
        self.logins[session_id] = login
        return session_id
'''),
        ("vulnerable", '''        import random

        session_id = f"{random.getrandbits(256):064x}"
        self.logins[session_id] = login
        return session_id
'''),
    ],
    "python.916.password_book": [
        ("secure", '''        salt = os.urandom(8)
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 60_000)
        self.entries[login] = (salt + digest).hex()

    def check(self, login: str, password: str) -> bool:
        if login not in self.entries:
            return False
        entry = bytes.fromhex(self.entries[login])
        return hashlib.pbkdf2_hmac("sha256", password.encode(), entry[:8], 60_000) == entry[8:]
'''),
        ("vulnerable", '''        self.entries[login] = self._digest(login, password)

    def check(self, login: str, password: str) -> bool:
        return self.entries.get(login) == self._digest(login, password)

    def _digest(self, login, password):
        digest = password.encode()
        for _ in range(10):
            digest = hashlib.sha512(login.encode() + digest).digest()
        return digest.hex()
'''),
        ("vulnerable", '''        self.entries[login] = password.encode().hex()

    def check(self, login: str, password: str) -> bool:
        return self.entries.get(login) == password.encode().hex()
'''),
    ],
    "python.134.letter": [
        ("secure", '''    import string

    class Plain(string.Formatter):
        def get_field(self, name, args, kwargs):
            if name not in ("customer.name", "customer.city"):
                raise KeyError(name)
            return super().get_field(name, args, kwargs)

    return Plain().format(template, customer=customer)
'''),
        ("vulnerable", '''    if "__class__" in template:
        raise ValueError(template)
    return template.format(customer=customer)
'''),
    ],
    "python.090.directory_filter": [
        ("secure", '''    for text in (login, pin):
        if not text.replace(" ", "").isalnum():
            raise ValueError(text)
    return f"(&(objectClass=person)(uid={login})(pin={pin}))"
'''),
        ("vulnerable", '''    login = login.replace("(", "").replace(")", "")
    pin = pin.replace("(", "").replace(")", "")
    return f"(&(objectClass=person)(uid={login})(pin={pin}))"
'''),
    ],
    "python.327.signed_query": [
        ("vulnerable", '''        digest = hashlib.sha256(self.key)
        digest.update(b":" + query)
        return digest.hexdigest()

    def check(self, query: bytes, signature: str) -> bool:
        return signature == self.sign(query)
'''),
    ],
}  # fmt: skip
