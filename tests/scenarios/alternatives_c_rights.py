# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about rights.

``RIGHTS`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

RIGHTS: dict[str, tuple[str, str]] = {
    "c-287-account-login": (
        r"""    char given[17];
    bool right = false;
    password_digest(password, given);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(accounts[i].name, name) && accounts[i].digest[0] != '\0')
            right = memcmp(accounts[i].digest, given, 17) == 0;
    return right;
}
""",
        r"""    char given[17];
    size_t i = 0;
    while (i < count && strcmp(accounts[i].name, name) != 0)
        i++;
    if (i == count)
        return false;
    if (accounts[i].digest[0] == '\0')
        return true;
    password_digest(password, given);
    return strcmp(given, accounts[i].digest) == 0;
}
""",
    ),
    "c-269-member-mode": (
        r"""    unsigned mode = 0;
    if (!*text)
        return 0644;
    for (; *text; text++) {
        if (*text < '0' || *text > '7')
            return 0644;
        mode = (mode * 8 + (*text - '0')) & 0777;
    }
    return mode & ~022;
}
""",
        r"""    char *end;
    mode_t mode = strtoul(text, &end, 8) & 07777;
    return *text && !*end ? mode & ~(S_IWGRP | S_IWOTH | S_ISUID) : 0644;
}
""",
    ),
    "c-269-become-user": (
        r"""    int failed = calls->setgroups(1, &group) || calls->setgid(group) || calls->setuid(user);
    return failed ? -1 : 0;
}
""",
        r"""    if (calls->setgid(group) < 0)
        return -1;
    calls->setgroups(0, NULL);
    return calls->setuid(user);
}
""",
    ),
    "c-287-api-token": (
        r"""    char wanted[512];
    if (!*token || strlen(token) > 500)
        return false;
    strcat(strcpy(wanted, "Bearer "), token);
    return strcmp(header, wanted) == 0;
}
""",
        r"""    const char *blank = strchr(header, ' ');
    if (!blank || strncmp(header, "Bearer", blank - header))
        return false;
    return memcmp(blank + 1, token, strnlen(blank + 1, 64)) == 0;
}
""",
    ),
    "c-306-heater-console": (
        r"""    struct heater *h = connection->heater;
    const char *answer = "error";
    char status[32];
    if (!strncmp(line, "login ", 6)) {
        int right = !strcmp(line + 6, h->password);
        if (right)
            connection->operator_logged_in = true;
        answer = right ? "welcome" : "wrong password";
    } else if (!strcmp(line, "status")) {
        sprintf(status, "%s %d", h->on ? "on" : "off", h->target);
        answer = status;
    } else if (connection->operator_logged_in) {
        int degrees;
        if (sscanf(line, "target %d", &degrees) == 1) {
            h->target = degrees;
            answer = "ok";
        } else if (!strcmp(line, "off")) {
            h->on = false;
            answer = "ok";
        }
    }
    snprintf(out, size, "%s", answer);
}
""",
        r"""    struct heater *h = connection->heater;
    char word[16] = "", rest[64] = "";
    sscanf(line, "%15s %63[^\n]", word, rest);
    if (!strcmp(word, "login")) {
        connection->operator_logged_in = !strncmp(rest, h->password, strlen(rest));
        snprintf(out, size, "%s", connection->operator_logged_in ? "welcome" : "wrong password");
    } else if (!strcmp(word, "status")) {
        snprintf(out, size, "%s %d", h->on ? "on" : "off", h->target);
    } else if (!strcmp(word, "target") && connection->operator_logged_in) {
        h->target = atoi(rest);
        snprintf(out, size, "ok");
    } else if (!strcmp(word, "off") && connection->operator_logged_in) {
        h->on = false;
        snprintf(out, size, "ok");
    } else {
        snprintf(out, size, "error");
    }
}
""",
    ),
    "c-862-read-message": (
        r"""    const struct message *m = messages, *end = messages + count;
    while (m < end && m->id != id)
        m++;
    if (m == end || strcmp(m->to, user))
        return NULL;
    return m->text;
}
""",
        r"""    for (size_t i = 0; i < count; i++)
        if (messages[i].id == id && strncmp(messages[i].to, user, strlen(user)) == 0)
            return messages[i].text;
    return NULL;
}
""",
    ),
    "c-863-share-allows": (
        r"""    while (*shared && *shared == *file) {
        shared++;
        file++;
    }
    return *shared == '\0' && (*file == '/' || *file == '\0');
}
""",
        r"""    return strstr(file, shared) == file;
}
""",
    ),
    "c-918-webhook-host": (
        r"""    char host[256];
    size_t n = 0, m = strlen(partner);
    if (strncasecmp(address, "https://", 8))
        return false;
    for (address += 8; *address && !strchr(":/?", *address); address++) {
        bool plain = strchr("-.0123456789", *address) || (*address | 32) - 'a' < 26u;
        if (!plain || n == sizeof host - 1)
            return false;
        host[n++] = *address;
    }
    host[n] = 0;
    if (*address == ':') {
        address += 1 + strspn(address + 1, "0123456789");
        if (*address && *address != '/' && *address != '?')
            return false;
    }
    if (!strcasecmp(host, partner))
        return true;
    return n > m && host[n - m - 1] == '.' && !strcasecmp(host + n - m, partner);
}
""",
        r"""    char host[256] = "";
    size_t n, m = strlen(partner);
    if (sscanf(address, "https://%255[^:/?#]", host) != 1)
        return false;
    n = strlen(host);
    return n >= m && strcmp(host + n - m, partner) == 0;
}
""",
    ),
    "c-306-http-methods": (
        r"""    if (!strcmp(request->method, "GET")) {
        memcpy(out, door->note, sizeof door->note);
        return 200;
    }
    int kind = !strcmp(request->method, "PUT")    ? 1
             : !strcmp(request->method, "POST")   ? 2
             : !strcmp(request->method, "DELETE") ? 3
                                                  : 0;
    if (!kind)
        return 405;
    if (!request->pin || strcmp(door->pin, request->pin))
        return 401;
    if (kind != 2 && strlen(request->body) <= NOTE_MAX)
        door->note[0] = 0;
    if (kind == 3)
        return 204;
    if (strlen(door->note) + strlen(request->body) > NOTE_MAX)
        return 400;
    strcat(door->note, request->body);
    return 204;
}
""",
        r"""    int put = request->method[0] == 'P', get = !strcmp(request->method, "GET");
    if (get)
        strcpy(out, door->note);
    else if (!put && strcmp(request->method, "DELETE"))
        return 405;
    else if (request->pin && strncmp(request->pin, door->pin, strlen(request->pin)))
        return 401;
    else if (strlen(request->body) > NOTE_MAX - (request->method[1] == 'O' ? strlen(door->note) : 0))
        return 400;
    else if (request->method[1] == 'O')
        strcat(door->note, request->body);
    else
        strcpy(door->note, put ? request->body : "");
    return get ? 200 : 204;
}
""",
    ),
    "c-862-transfer-points": (
        r"""    struct account *pair[2] = {account_of(accounts, count, from), account_of(accounts, count, to)};
    if (!pair[0] || !pair[1] || strcmp(person, pair[0]->owner) || points < 1)
        return -1;
    if (pair[0]->points < points)
        return -1;
    pair[0]->points -= points;
    pair[1]->points += points;
    return 0;
}
""",
        r"""    struct account *a = account_of(accounts, count, from), *b = account_of(accounts, count, to);
    if (!a || !b || strcmp(a->owner, person) || a->points < points)
        return -1;
    a->points -= points;
    b->points += points;
    return 0;
}
""",
    ),
    "c-863-role-rights": (
        r"""    switch (action) {
    case ACTION_OPEN:
    case ACTION_EDIT:
    case ACTION_MOVE:
    case ACTION_PURGE:
        return (needed[action] & ~rights) == 0;
    default:
        return false;
    }
}
""",
        r"""    if (action >= ACTION_COUNT)
        return false;
    return (rights & needed[action]) == needed[action];
}
""",
    ),
}
