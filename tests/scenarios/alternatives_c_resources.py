# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about resources and secrets.

``RESOURCES`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

RESOURCES: dict[str, tuple[str, str]] = {
    "c-200-status-reply": (
        r"""    struct reply fresh = {.kind = STATUS, .uptime = uptime};
    strncpy(fresh.host, host, sizeof fresh.host - 1);
    memcpy(reply, &fresh, sizeof fresh);
}
""",
        r"""    size_t n = strlen(host);
    if (n >= sizeof reply->host)
        n = sizeof reply->host - 1;
    reply->kind = STATUS;
    reply->uptime = uptime;
    memcpy(reply->host, host, n);
    reply->host[n] = '\0';
}
""",
    ),
    "c-532-describe-account": (
        r"""    snprintf(out, size, "%s@%s:%d", account->user, account->host, account->port);
    return (int)strlen(out);
}
""",
        r"""    snprintf(out, size, "imap://%s:%s@%s:%d", account->user, account->password, account->host,
             account->port);
    return strlen(out);
}
""",
    ),
    "c-226-session-release": (
        r"""    for (int i = SESSIONS - 1; i >= 0; i--)
        if (pool->slots[i].used && pool->slots[i].id == id) {
            explicit_bzero(pool->slots[i].key, sizeof pool->slots[i].key);
            explicit_bzero(pool->slots[i].notes, sizeof pool->slots[i].notes);
            pool->slots[i].used = false;
            return 0;
        }
    return -1;
}
""",
        r"""    for (int i = 0; i < SESSIONS; i++)
        if (pool->slots[i].used && pool->slots[i].id == id) {
            memset(pool->slots[i].key, 0, sizeof pool->slots[i].key);
            pool->slots[i].used = false;
            return 0;
        }
    return -1;
}
""",
    ),
    "c-770-receive-message": (
        r"""    uint32_t n;
    if (client->left < 4)
        return NULL;
    n = client->input[0] << 24 | client->input[1] << 16 | client->input[2] << 8 | client->input[3];
    if (n > MESSAGE_MAX || n + 4 > client->left)
        return NULL;
    char *text = client_alloc(client, n + 1);
    if (text) {
        memcpy(text, client->input + 4, n);
        text[n] = 0;
        client->input += n + 4;
        client->left -= n + 4;
    }
    return text;
}
""",
        r"""    size_t n = 0;
    if (client->left < 4)
        return NULL;
    for (int i = 0; i < 4; i++)
        n = n * 256 + client->input[i];
    char *text = client_alloc(client, n + 1);
    if (!text || n > MESSAGE_MAX || n + 4 > client->left)
        return NULL;
    memcpy(text, client->input + 4, n);
    client->input += n + 4;
    client->left -= n + 4;
    return text;
}
""",
    ),
    "c-835-option-count": (
        r"""    int n = 0;
    while (size >= 2 && area[1] >= 2 && area[1] <= size) {
        if (area[0] == kind)
            n++;
        size -= area[1];
        area += area[1];
    }
    return n;
}
""",
        r"""    size_t i = 0;
    int n = 0;
    while (i + 2 <= size) {
        uint8_t step = area[i + 1];
        if (i + step > size)
            return n;
        n += area[i] == kind;
        i += step;
    }
    return n;
}
""",
    ),
    "c-409-unpack-row": (
        r"""    char row[ROW_MAX];
    int n = 0, i;
    for (; *text; text++) {
        unsigned long k = 1;
        if (isdigit((unsigned char)*text)) {
            char *end;
            k = strtoul(text, &end, 10);
            text = end;
        }
        if (!*text || k > (unsigned long)(ROW_MAX - n))
            return -1;
        while (k--)
            row[n++] = *text;
    }
    for (i = 0; i < n; i++)
        sink->put(sink, row[i]);
    return n;
}
""",
        r"""    int n = 0;
    for (; *text; text++) {
        int k = 0;
        while (isdigit((unsigned char)*text))
            k = k * 10 + *text++ - '0';
        if (!*text || k > ROW_MAX)
            return -1;
        if (text[0] && k == 0)
            k = 1;
        n += k;
        while (k--)
            sink->put(sink, *text);
    }
    return n;
}
""",
    ),
    "c-674-nested-sum": (
        r"""    long stack[DEPTH_MAX], top = 0;
    int open = 0;
    const char *p = *text;
    (void)depth;
    do {
        if (*p == '(') {
            if (open == DEPTH_MAX)
                return -1;
            stack[open++] = top;
            top = 0;
        } else if (*p == ')') {
            top += stack[--open];
        } else if (isdigit((unsigned char)*p)) {
            top += strtol(p, (char **)&p, 10);
            continue;
        } else if (*p != ' ') {
            return -1;
        }
        p++;
    } while (open > 0);
    *text = p;
    *sum = top;
    return 0;
}
""",
        r"""    *sum = 0;
    if (*(*text)++ != '(')
        return -1;
    for (;;) {
        char c = **text;
        long part = 0;
        if (c == ')') {
            (*text)++;
            return 0;
        }
        if (c == '(' ? list_sum(text, depth, &part) != 0 : !isdigit((unsigned char)c) && c != ' ')
            return -1;
        if (c == ' ')
            (*text)++;
        if (isdigit((unsigned char)c))
            part = strtol(*text, (char **)text, 10);
        *sum += part;
    }
}
""",
    ),
    "c-665-parse-rights": (
        r"""    rights->read = strchr(letters, 'r') != NULL;
    rights->write = strchr(letters, 'w') != NULL;
    rights->admin = strchr(letters, 'a') != NULL;
    return letters[strspn(letters, "rwa")] ? -1 : 0;
}
""",
        r"""    rights->read = false;
    rights->write = false;
    while (*letters)
        switch (*letters++) {
        case 'r': rights->read = true; break;
        case 'w': rights->write = true; break;
        case 'a': rights->admin = true; break;
        default: return -1;
        }
    return 0;
}
""",
    ),
    "c-338-reset-token": (
        r"""    FILE *source = fopen("/dev/urandom", "rb");
    unsigned char byte;
    size_t i;
    if (!source)
        return -1;
    for (i = 0; i < length && fread(&byte, 1, 1, source) == 1; i++)
        snprintf(token + i, 2, "%x", byte % 16);
    fclose(source);
    token[length] = 0;
    return i == length ? 0 : -1;
}
""",
        r"""    srand(time(NULL));
    while (length--)
        *token++ = "0123456789abcdef"[(rand() >> 4) & 15];
    *token = '\0';
    return 0;
}
""",
    ),
}
