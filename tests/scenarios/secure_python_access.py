# SPDX-License-Identifier: Apache-2.0
"""Further completions of scenarios on who may do what, and who somebody is.

``OTHERS`` maps a scenario to pairs of a kind (``secure`` or ``vulnerable``) and a completion, as in
``secure_python_injection``.
"""

from __future__ import annotations

OTHERS: dict[str, list[tuple[str, str]]] = {
    "python.352.transfer": [
        ("secure", '''    form, user = request["form"], session["user"]
    if "csrf" not in session or session["csrf"] != form.get("csrf"):
        raise PermissionError("forged request")
    amount = int(form["amount"])
    if form["to"] not in balances or amount <= 0 or amount > balances[user]:
        return False
    balances[user] -= amount
    balances[form["to"]] += amount
    return True
'''),
        ("vulnerable", '''    form, user = request["form"], session["user"]
    if form.get("csrf") != session.get("csrf"):
        return False
    amount = int(form["amount"])
    if form["to"] not in balances or amount <= 0 or amount > balances[user]:
        return False
    balances[user] -= amount
    balances[form["to"]] += amount
    return True
'''),
        ("vulnerable", '''    form, user = request["form"], session["user"]
    if form.get("csrf") and not hmac.compare_digest(form["csrf"], session["csrf"]):
        return False
    amount = int(form["amount"])
    if form["to"] not in balances or amount <= 0 or amount > balances[user]:
        return False
    balances[user], balances[form["to"]] = balances[user] - amount, balances[form["to"]] + amount
    return True
'''),
    ],
    "python.352.form_guard": [
        ("secure", '''        self.issued = getattr(self, "issued", {})
        token = secrets.token_urlsafe(24)
        self.issued.setdefault(session_id, set()).add(token)
        return token

    def accepts(self, session_id: str, token: str) -> bool:
        return token in getattr(self, "issued", {}).get(session_id, ())
'''),
        ("vulnerable", '''        return hashlib.sha256(session_id.encode()).hexdigest()

    def accepts(self, session_id: str, token: str) -> bool:
        return hmac.compare_digest(token, self.issue(session_id))
'''),
        ("vulnerable", '''        self.issued = getattr(self, "issued", set())
        token = secrets.token_urlsafe(24)
        self.issued.add(token)
        return token

    def accepts(self, session_id: str, token: str) -> bool:
        return token in self.issued
'''),
    ],
    "python.942.cors": [
        ("secure", '''    import re

    names = "|".join(re.escape(name) for name in PARTNERS)
    if not re.fullmatch(rf"https://([a-z0-9-]+\\.)*({names})", origin):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin"}
'''),
        ("vulnerable", '''    if not any(name in origin for name in PARTNERS):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
'''),
    ],
    "python.862.invoice": [
        ("secure", '''        login = session.get("login")
        mine = [i for i in self.invoices.values() if i.customer == login]
        for invoice in mine:
            if str(invoice.number) == number:
                return {"number": invoice.number, "cents": invoice.cents}
        return None
'''),
        ("vulnerable", '''        invoice = self.invoices.get(int(number))
        if not session.get("login") or invoice is None:
            return None
        return {"number": invoice.number, "cents": invoice.cents}
'''),
    ],
    "python.862.set_role": [
        ("secure", '''    me = users.get(session.get("login"))
    if me is None or me["role"] != "admin":
        raise PermissionError("administrators only")
    if form["login"] in users and form["role"] in ROLES:
        users[form["login"]]["role"] = form["role"]
        return True
    return False
'''),
        ("vulnerable", '''\
    if session.get("login") != form["login"] and not is_admin(users, session.get("login")):
        return False
    if form["login"] in users and form["role"] in ROLES:
        users[form["login"]]["role"] = form["role"]
        return True
    return False
'''),
    ],
    "python.863.shared_document": [
        ("secure", '''        owner = login == self.owner
        if request["action"] == "show":
            if not owner and self.shares.get(login) not in ("read", "write"):
                raise PermissionError
        elif not owner and self.shares.get(login) != "write":
            raise PermissionError
        else:
            self.text = request["text"]
        return self.text
'''),
        ("vulnerable", '''\
        allowed = login == self.owner or self.shares.get(login) in ("read", "write")
        if request["action"] == "replace":
            self.text = request["text"]
        if not allowed:
            raise PermissionError(login)
        return self.text
'''),
    ],
    "python.639.change_address": [
        ("secure", '''    if form["customer"] != session["customer"]:
        raise PermissionError("not your address")
    address = form["address"].strip()
    if address == "":
        raise ValueError("empty")
    addresses[form["customer"]] = address
    return address
'''),
        ("vulnerable", '''    customer = form.get("customer") or session["customer"]
    addresses[customer] = form["address"].strip() or addresses[customer]
    if not form["address"].strip():
        raise ValueError("empty")
    return addresses[customer]
'''),
    ],
    "python.915.update_profile": [
        ("secure", '''        allowed = {"display_name", "city", "bio"}
        if set(form) - allowed:
            raise ValueError("unknown field")
        changed = sorted(k for k, v in form.items() if getattr(self, k) != v)
        self.__dict__.update(form)
        return changed
'''),
        ("vulnerable", '''\
        changed = sorted(k for k, v in form.items() if self.__dict__.get(k) != v)
        form.pop("is_admin", None)
        self.__dict__.update(form)
        return changed
'''),
    ],
    "python.434.save_photo": [
        ("secure", '''    import re

    if not re.fullmatch(r"[A-Za-z0-9_-]+\\.(png|jpe?g)", filename, re.IGNORECASE):
        raise ValueError(filename)
    with open(f"{folder}/{filename}", "wb") as stream:
        stream.write(data)
    return f"{folder}/{filename}"
'''),
        ("vulnerable", '''    name = os.path.basename(filename)
    if not name or name.endswith((".php", ".html", ".exe")):
        raise ValueError(filename)
    with open(os.path.join(folder, name), "wb") as stream:
        stream.write(data)
    return os.path.join(folder, name)
'''),
        ("vulnerable", '''    if not any(kind in filename.lower() for kind in KINDS):
        raise ValueError(filename)
    path = os.path.join(folder, os.path.basename(filename))
    with open(path, "wb") as stream:
        stream.write(data)
    return path
'''),
    ],
    "python.434.declared_type": [
        ("secure", '''\
        kinds = {b"\\x89PNG\\r\\n\\x1a\\n": ".png", b"\\xff\\xd8\\xff": ".jpg"}
        for magic, extension in kinds.items():
            if data[: len(magic)] == magic and content_type.startswith("image/"):
                name = secrets.token_urlsafe(9) + extension
                with open(os.path.join(self.folder, name), "wb") as stream:
                    stream.write(data)
                return name
        return None
'''),
        ("vulnerable", '''        extension = os.path.splitext(filename)[1].lower()
        if extension not in (".png", ".jpg") or b"<script" in data:
            return None
        name = secrets.token_hex(8) + extension
        with open(os.path.join(self.folder, name), "wb") as stream:
            stream.write(data)
        return name
'''),
    ],
    "python.287.login_cookie": [
        ("secure", '''    try:
        login = json.loads(base64.urlsafe_b64decode(cookie))["login"]
    except Exception:
        return None
    if isinstance(login, str) and hmac.compare_digest(login_cookie(login, key), cookie):
        return login
    return None
'''),
        ("vulnerable", '''    try:
        content = json.loads(base64.urlsafe_b64decode(cookie))
    except ValueError:
        return None
    signature = content.get("signature")
    expected = hmac.new(key, content["login"].encode(), hashlib.sha256).hexdigest()
    if signature and signature != expected:
        return None
    return content["login"]
'''),
    ],
    "python.306.monitor_api": [
        ("secure", '''        what = request["method"] + " " + request["path"]
        if what == "GET /health":
            return 200, "ok"
        if not self.operator(request):
            return 404, ""
        if what == "GET /alarms":
            return 200, "\\n".join(self.alarms)
        if what == "POST /limit":
            self.limit = int(request["body"])
            return 200, "set"
        if what == "POST /clear":
            self.alarms = []
            return 200, "cleared"
        return 404, ""
'''),
        ("vulnerable", '''        what = request["method"] + " " + request["path"]
        if what == "GET /health":
            return 200, "ok"
        if what.startswith("GET") and self.operator(request) is None:
            return 401, ""
        if what == "GET /alarms":
            return 200, "\\n".join(self.alarms)
        if what == "POST /limit":
            self.limit = int(request["body"])
            return 200, "set"
        if what == "POST /clear":
            self.alarms = []
            return 200, "cleared"
        return 404, ""
'''),
    ],
    "python.307.door_pin": [
        ("secure", '''        now = time.monotonic()
        if self.failures >= 3 and now - self.last_failure < 30 * 2 ** (self.failures - 3):
            return False
        if pin == self.pin:
            self.failures = 0
            return True
        self.failures += 1
        self.last_failure = now
        return False
'''),
        ("secure", '''        if self.failures > 2:
            time.sleep(min(60, 2**self.failures))
        ok = pin == self.pin
        self.failures = 0 if ok else self.failures + 1
        return ok
'''),
        ("vulnerable", '''        time.sleep(0.01)
        return pin == self.pin
'''),
    ],
    "python.384.login_session": [
        ("secure", '''    if not password_is_right(login, password):
        raise PermissionError
    new = secrets.token_hex(16)
    sessions[new] = dict(sessions.get(session_id, {}), login=login)
    sessions.pop(session_id, None)
    return new
'''),
        ("vulnerable", '''    if not password_is_right(login, password):
        raise PermissionError
    session = sessions.setdefault(session_id, {})
    session["login"] = login
    new = secrets.token_hex(16)
    sessions[new] = session
    return new
'''),
    ],
    "python.640.reset_password": [
        ("secure", '''    if word not in resets:
        return False
    login, until = resets[word]
    del resets[word]
    if until < time.time():
        return False
    users[login] = password
    return True
'''),
        ("vulnerable", '''    if word not in resets or resets[word][1] < time.time():
        return False
    users[resets[word][0]] = password
    return True
'''),
        ("vulnerable", '''    login, until = resets.pop(word, ("", 0))
    if not login:
        return False
    users[login] = password
    return True
'''),
    ],
    "python.347.read_token": [
        ("secure", '''    try:
        body, _, signature = token.rpartition(".")
        claims = json.loads(decode(body.split(".")[1]))
    except (ValueError, IndexError):
        return None
    for algorithm in (hashlib.sha256, hashlib.sha512):
        if hmac.compare_digest(encode(hmac.new(key, body.encode(), algorithm).digest()), signature):
            return claims
    return None
'''),
        ("vulnerable", '''    try:
        header, claims, signature = token.split(".")
        algorithm = json.loads(decode(header))["alg"]
    except (ValueError, KeyError):
        return None
    if algorithm.lower() == "none":
        return json.loads(decode(claims))
    name = "sha" + algorithm[2:]
    good = hmac.new(key, f"{header}.{claims}".encode(), name).digest()
    return json.loads(decode(claims)) if encode(good) == signature else None
'''),
    ],
    "python.347.payment_hook": [
        ("secure", '''        name, _, signature = headers.get("X-Signature", "").partition("=")
        digest = hmac.new(self.key, body, "sha256").hexdigest()
        if name != "sha256" or signature != digest:
            return 400
        try:
            message = json.loads(body)
        except ValueError:
            return 400
        self.paid[message["order"]] = message["cents"]
        return 204
'''),
        ("vulnerable", '''        digest = hmac.new(self.key, body, "sha256").hexdigest()
        if not ("sha256=" + digest).startswith(headers.get("X-Signature", "none")):
            return 400
        try:
            message = json.loads(body)
        except ValueError:
            return 400
        self.paid[message["order"]] = message["cents"]
        return 204
'''),
    ],
    "python.306.chat_commands": [
        ("vulnerable", '''        command, _, rest = line.partition(" ")
        if command == "join":
            self.present |= {connection["nick"]}
        elif command == "say":
            self.lines += [connection["nick"] + ": " + rest]
        elif command == "oper":
            return "ok" if self.become_operator(connection, rest) else "no"
        elif command == "kick" and "operator" in connection:
            self.present -= {rest}
        elif command == "halt" and connection.get("operator"):
            self.running = False
        else:
            return "?"
        return "ok"
'''),
    ],
    "python.863.publish": [
        ("secure", '''        if f",{groups},".find(",editors,") < 0:
            raise PermissionError
        try:
            self.drafts.remove(title)
        except ValueError:
            raise LookupError(title) from None
        self.published += [title]
'''),
        ("vulnerable", '''        if not any(name.startswith("editors") for name in groups.split(",")):
            raise PermissionError
        self.published.append(self.drafts.pop(self.drafts.index(title) if title in self.drafts
                                              else self._none(title)))

    def _none(self, title):
        raise LookupError(title)
'''),
    ],
}  # fmt: skip
