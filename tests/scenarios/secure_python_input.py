# SPDX-License-Identifier: Apache-2.0
"""Further completions of scenarios on text that is parsed, sent on or shown, and on quantities.

``OTHERS`` maps a scenario to pairs of a kind (``secure`` or ``vulnerable``) and a completion, as in
``secure_python_injection``.
"""

from __future__ import annotations

OTHERS: dict[str, list[tuple[str, str]]] = {
    "python.089.filters": [
        ("secure", '''\
    columns = [row[1] for row in connection.execute("PRAGMA table_info(books)")]
    wanted = {name: str(value) for name, value in filters.items()}
    if not set(wanted) <= set(columns) - {"hidden"}:
        return
    for row in connection.execute("SELECT * FROM books ORDER BY title").fetchall():
        book = dict(zip(columns, row))
        if not book["hidden"] and all(str(book[k]) == v for k, v in wanted.items()):
            yield book["title"]
'''),
        ("secure", '''    query, values = "SELECT title FROM books WHERE hidden = 0", []
    for name, value in filters.items():
        if not name.isidentifier():
            raise KeyError(name)
        query, values = f'{query} AND "{name}" = ?', [*values, value]
    yield from (row[0] for row in connection.execute(query + " ORDER BY title", values))
'''),
        ("vulnerable", '''    parts = [f"{name} = '{value}'" for name, value in filters.items()]
    where = " AND ".join(["hidden = 0", *parts])
    for row in connection.execute(f"SELECT title FROM books WHERE {where} ORDER BY title"):
        yield row[0]
'''),
        ("vulnerable", '''    query = "SELECT title FROM books WHERE hidden = 0"
    for name in filters:
        query += f' AND "{name}" = ?'
    rows = connection.execute(query + " ORDER BY title", tuple(filters.values()))
    yield from (title for title, in rows)
'''),
    ],
    "python.089.import_scores": [
        ("secure", '''    count = 0
    for line in text.split("\\n"):
        if line:
            player, _, points = line.partition("\\t")
            connection.execute("INSERT INTO scores VALUES (:p, :n)", {"p": player, "n": points})
            count += 1
    return count
'''),
        ("vulnerable", '''    rows = [line.split("\\t") for line in text.splitlines()]
    if not rows:
        return 0
    values = ", ".join(f"('{player}', {points})" for player, points in rows)
    connection.execute("INSERT INTO scores (player, points) VALUES " + values)
    return len(rows)
'''),
    ],
    "python.022.static_files": [
        ("secure", '''        parts = [part for part in unquote(target).split("/") if part]
        if ".." in parts or "\\\\" in target:
            return 404, b""
        path = os.path.join(self.root, *parts)
        if not os.path.isfile(path):
            return 404, b""
        with open(path, "rb") as stream:
            return 200, stream.read()
'''),
        ("vulnerable", '''        if ".." in target:
            return 404, b""
        try:
            with open(self.root + "/" + unquote(target), "rb") as stream:
                return 200, stream.read()
        except OSError:
            return 404, b""
'''),
    ],
    "python.611.book_text": [
        ("secure", '''    from xml.parsers import expat

    pieces, folder = [], os.path.abspath(os.path.dirname(path))
    parser = expat.ParserCreate()
    parser.CharacterDataHandler = pieces.append

    def include(context, base, system_id, public_id):
        chapter = os.path.abspath(os.path.join(folder, system_id or ""))
        if os.path.commonpath([folder, chapter]) != folder:
            return 0
        with open(chapter, "rb") as stream:
            parser.ExternalEntityParserCreate(context).ParseFile(stream)
        return 1

    parser.ExternalEntityRefHandler = include
    with open(path, "rb") as stream:
        parser.ParseFile(stream)
    return "".join(pieces)
'''),
        ("vulnerable", '''    class Resolver(xml.sax.handler.EntityResolver):
        def resolveEntity(self, public_id, system_id):
            if "://" in system_id or system_id.startswith(".."):
                raise ValueError(system_id)
            return system_id

    collector = TextCollector()
    parser = xml.sax.make_parser()
    parser.setFeature(xml.sax.handler.feature_external_ges, 1)
    parser.setContentHandler(collector)
    parser.setEntityResolver(Resolver())
    parser.parse(path)
    return "".join(collector.pieces)
'''),
    ],
    "python.502.revive_shapes": [
        ("secure", '''    shapes = []
    for item in json.loads(text):
        try:
            if item["type"] == "Circle":
                shapes.append(Circle(item["x"], item["y"], item["radius"]))
            elif item["type"] == "Label":
                shapes.append(Label(item["x"], item["y"], item["text"]))
            else:
                raise ValueError(item["type"])
        except KeyError as error:
            raise ValueError(str(error)) from error
    return shapes
'''),
        ("vulnerable", '''    shapes = []
    for item in json.loads(text):
        try:
            kind = eval(item.pop("type"))
            shapes.append(kind(**item))
        except (NameError, TypeError) as error:
            raise ValueError(str(error)) from error
    return shapes
'''),
    ],
    "python.095.settings_file": [
        ("vulnerable", '''        count = 0
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            try:
                exec(line, {}, self.values)
            except Exception as error:
                raise ValueError(line) from error
            count += 1
        return count
'''),
    ],
    "python.200.member_page": [
        ("secure", '''    if login not in members:
        return None
    fields = asdict(members[login])
    return {name: fields[name] for name in ("login", "name", "city", "joined")}
'''),
        ("vulnerable", '''    member = members.get(login)
    if not member:
        return None
    return {k: v for k, v in vars(member).items() if k != "password_hash"}
'''),
    ],
    "python.209.answer_errors": [
        ("secure", '''        status, body = 200, None
        try:
            body = self.load(product)
        except KeyError as error:
            status, body = 404, f"We do not have {product}."
        except Exception as error:
            status, body = 500, f"Error of type {type(error).__name__}"
        return {"status": status, "body": body}
'''),
        ("vulnerable", '''        try:
            return dict(status=200, body=self.load(product))
        except KeyError:
            return dict(status=404, body="not found")
        except Exception:
            return dict(status=500, body=traceback.format_exc())
'''),
    ],
    "python.918.follow_redirects": [
        ("secure", '''    left = MAX_REDIRECTS
    while is_public(url):
        status, headers, body = get(url)
        if status // 100 != 3:
            return body
        if left == 0:
            break
        left, url = left - 1, urljoin(url, headers.get("Location", ""))
    raise ValueError(url)
'''),
        ("vulnerable", '''    for hop in range(MAX_REDIRECTS + 1):
        if hop == 0 and not is_public(url):
            raise ValueError(url)
        status, headers, body = get(url)
        if status not in (301, 302):
            if not is_public(url):
                raise ValueError(url)
            return body
        url = urljoin(url, headers["Location"])
    raise ValueError("too many redirects")
'''),
    ],
    "python.601.single_sign_on": [
        ("secure", '''        for host in APPLICATIONS:
            if service == f"https://{host}" or service.startswith(f"https://{host}/"):
                break
        else:
            raise ValueError(service)
        return service + ("&" if "?" in service else "?") + "ticket=" + self.new_ticket()
'''),
        ("vulnerable", '''        parts = urlsplit(service)
        if parts.scheme != "https" or not parts.netloc.endswith(tuple(APPLICATIONS)):
            raise ValueError(service)
        query = "&".join(filter(None, [parts.query, "ticket=" + self.new_ticket()]))
        return urlunsplit(parts._replace(query=query))
'''),
    ],
    "python.117.audit_trail": [
        ("secure", '''        words = [str(int(time.time())), user, action, detail]
        if any("\\n" in word or "\\r" in word for word in words):
            raise ValueError("line break")
        with open(self.path, "a", encoding="utf-8", newline="") as stream:
            print(*words, sep="\\t", file=stream)
'''),
        ("vulnerable", '''        action, detail = action.strip(), detail.strip()
        with open(self.path, "a") as stream:
            print(int(time.time()), user, action, detail, sep="\\t", file=stream)
'''),
    ],
    "python.113.response_head": [
        ("secure", '''    lines = ["HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase)]
    for name in headers:
        lines.append(name + ": " + "".join(c for c in headers[name] if c.isprintable()))
    return ("\\r\\n".join(lines) + "\\r\\n\\r\\n").encode("latin-1", "replace")
'''),
        ("vulnerable", '''    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}".replace("\\r\\n", "") for name, value in headers.items()]
    return "\\r\\n".join([*lines, "", ""]).encode("latin-1")
'''),
    ],
    "python.1236.survey_export": [
        ("secure", '''    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(("name", "email", "remark"))
    for answer in answers:
        row = [answer[key] for key in ("name", "email", "remark")]
        writer.writerow([" " + cell if cell and cell[0] in "=+-@" else cell for cell in row])
    return stream.getvalue()
'''),
        ("vulnerable", '''    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(("name", "email", "remark"))
    for answer in answers:
        writer.writerow([answer[k].lstrip("=") for k in ("name", "email", "remark")])
    return stream.getvalue()
'''),
    ],
    "python.295.device_context": [
        ("secure", '''    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca_file)
    return context
'''),
        ("vulnerable", '''    context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
'''),
    ],
    "python.798.report_database": [
        ("secure", '''        get = self.settings.get
        return open_connection(
            get("db_host", "localhost"), get("db_user", "reports"), get("db_password", "")
        )
'''),
        ("vulnerable", '''        host = self.settings.get("db_host") or "localhost"
        user = self.settings.get("db_user") or "reports"
        return open_connection(host, user, self.settings.get("db_password") or user)
'''),
    ],
    "python.321.sign_link": [
        ("secure", '''    key = os.environ["LINK_KEY"].encode()
    if len(key) == 0:
        raise ValueError("no key")
    return path + "?sig=" + hmac.digest(key, path.encode(), "sha256").hex()
'''),
        ("vulnerable", '''    key = os.environ.get("LINK_KEY", "").encode()
    return path + "?sig=" + hmac.new(key, path.encode(), "sha256").hexdigest()
'''),
    ],
    "python.400.read_body": [
        ("secure", '''    total = int(headers.get("Content-Length", MAX_BODY))
    if total < 0 or total > MAX_BODY:
        raise ValueError(total)
    parts = []
    while total > 0 and (block := stream.read(min(total, 4096))):
        parts.append(block)
        total -= len(block)
    return b"".join(parts)
'''),
        ("vulnerable", '''    length = int(headers.get("Content-Length", "-1"))
    body = stream.read(length)
    if len(body) > MAX_BODY:
        raise ValueError("too long")
    return body
'''),
    ],
    "python.770.event_page": [
        ("secure", '''    size = int(query.get("size", DEFAULT_PAGE))
    start = int(query.get("start", 0))
    if start < 0 or not 0 <= size <= MAX_PAGE:
        raise ValueError("no such page")
    for number in range(start, min(start + size, len(events))):
        yield events[number]
'''),
        ("vulnerable", '''\
    start, size = int(query.get("start", 0)), int(query.get("size", DEFAULT_PAGE))
    yield from events[start:][: min(size, MAX_PAGE)]
'''),
    ],
    "python.1333.tidy_lines": [
        ("secure", '''        lines = text.replace("\\t", " " * self.tab).split("\\n")
        for number, line in enumerate(lines):
            end = len(line)
            while end and line[end - 1] == " ":
                end -= 1
            lines[number] = line[:end]
        return "\\n".join(lines)
'''),
        ("vulnerable", '''\
        return re.sub(r"[ ]+(?=\\n|$(?![\\s\\S]))", "", text.replace("\\t", " " * self.tab))
'''),
    ],
    "python.328.evidence_store": [
        ("secure", '''        name = hashlib.blake2b(document, digest_size=20).hexdigest()
        self.documents.update({name: document})
        return name
'''),
        ("vulnerable", '''        name = hashlib.sha1(document).hexdigest()
        self.documents.setdefault(name, document)
        return name
'''),
    ],
    "python.020.account_name": [
        ("secure", '''    letters = "abcdefghijklmnopqrstuvwxyz"
    rest = set(letters + "0123456789_")
    return 3 <= len(name) <= 16 and name[0] in letters and set(name) <= rest
'''),
        ("vulnerable", '''    if not 3 <= len(name) <= 16 or not "a" <= name[0] <= "z":
        return False
    return all(c == "_" or c.isdigit() or c.islower() for c in name)
'''),
    ],
    "python.1284.withdraw": [
        ("secure", '''        from decimal import Decimal, InvalidOperation

        try:
            value = Decimal(amount)
            if value.is_nan() or value < 0 or value > Decimal(self.coins):
                raise ValueError(amount)
        except InvalidOperation as error:
            raise ValueError(amount) from error
        self.coins -= float(value)
        return self.coins
'''),
        ("vulnerable", '''        value = float(amount)
        if value < 0 or value > self.coins:
            raise ValueError(amount)
        self.coins = self.coins - value
        return self.coins
'''),
    ],
    "python.129.free_chapter": [
        ("secure", '''\
        shown = {str(n): text for n, text in enumerate(self.chapters[: self.free], 1)}
        return shown.get(number)
'''),
        ("vulnerable", '''        index = int(number)
        if index > min(self.free, len(self.chapters)):
            return None
        return self.chapters[index - 1]
'''),
    ],
    "python.1004.session_cookie": [
        ("secure", '''    cookie = SimpleCookie({"sid": session_id})
    cookie["sid"].update({"path": "/", "max-age": days * 86400, "httponly": True, "secure": True,
                          "samesite": "Strict"})
    return cookie.output(header="").strip()
'''),
        ("vulnerable", '''    return f"sid={session_id}; Path=/; Max-Age={days * 86400}; HttpOnly"
'''),
    ],
}  # fmt: skip
