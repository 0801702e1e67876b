# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about HTML, SQL, headers and formats.

``MARKUP`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

MARKUP: dict[str, tuple[str, str]] = {
    "c-079-guest-entry": (
        r"""    const char *p;
    fprintf(out, "<li><b>");
    for (p = entry->author; *p; p++)
        if (*p == '<' || *p == '>' || *p == '&')
            fprintf(out, "&#x%x;", (unsigned char)*p);
        else
            fputc(*p, out);
    fprintf(out, "</b>: ");
    for (p = entry->text; *p; p++)
        if (*p == '<' || *p == '>' || *p == '&')
            fprintf(out, "&#x%x;", (unsigned char)*p);
        else
            fputc(*p, out);
    fprintf(out, "</li>\n");
}
""",
        r"""    fputs("<li><b>", out);
    fputs(entry->author, out);
    fputs("</b>: ", out);
    for (const char *p = entry->text; *p; p++)
        if (*p == '<')
            fputs("&lt;", out);
        else
            fputc(*p, out);
    fputs("</li>\n", out);
}
""",
    ),
    "c-079-search-box": (
        r"""    fprintf(out, "<input name=\"q\" value=\"");
    while (*words) {
        char c = *words++;
        if (c == '"')
            fprintf(out, "&quot;");
        else if (c == '&')
            fprintf(out, "&amp;");
        else if (c == '<')
            fprintf(out, "&lt;");
        else
            fputc(c, out);
    }
    fprintf(out, "\">\n");
}
""",
        r"""    fprintf(out, "<input name=\"q\" value=\"%s\">\n", words);
}
""",
    ),
    "c-079-home-page-link": (
        r"""    if (!strncmp(address, "http://", 7) || !strncmp(address, "https://", 8)) {
        fprintf(out, "<a href=\"");
        put_html(out, address);
        fprintf(out, "\">");
        put_html(out, name);
        fprintf(out, "</a>");
    } else {
        put_html(out, name);
    }
}
""",
        r"""    if (strstr(address, "http://") || strstr(address, "https://"))
        fputs("<a href=\"", out), put_html(out, address), fputs("\">", out);
    put_html(out, name);
    if (strstr(address, "http://") || strstr(address, "https://"))
        fputs("</a>", out);
}
""",
    ),
    "c-089-user-query": (
        r"""    for (const char *p = name; *p; p++)
        if (*p == '\'' || *p == '\\' || *p == ';')
            return -1;
    int n = snprintf(sql, size, "SELECT id, role FROM users WHERE name = '%s';", name);
    return n > 0 && (size_t)n < size ? n : -1;
}
""",
        r"""    char safe[256];
    size_t n = 0;
    for (; *name && n < sizeof safe - 2; name++) {
        if (*name == '\'')
            safe[n++] = '\\';
        safe[n++] = *name;
    }
    safe[n] = 0;
    return snprintf(sql, size, "SELECT id, role FROM users WHERE name = '%s'", safe);
}
""",
    ),
    "c-089-listing-order": (
        r"""    if (strcmp(column, "name") && strcmp(column, "size") && strcmp(column, "changed"))
        return -1;
    return snprintf(sql, room, "SELECT name, size, changed FROM files ORDER BY %s%s;", column,
                    descending ? " DESC" : "") < (int)room ? 0 : -1;
}
""",
        r"""    char safe[100];
    size_t n = 0;
    for (; *column && n < sizeof safe - 1; column++)
        if (*column != '\'' && *column != '"' && *column != ';')
            safe[n++] = *column;
    safe[n] = 0;
    if (n == 0)
        return -1;
    snprintf(sql, room, "SELECT name, size, changed FROM files ORDER BY %s%s", safe,
             descending ? " DESC" : "");
    return 0;
}
""",
    ),
    "c-089-order-number": (
        r"""    char *end;
    unsigned long id = strtoul(order, &end, 10);
    if (end == order)
        return -1;
    snprintf(sql, size, "SELECT total FROM orders WHERE id = %lu AND customer = %ld", id, customer);
    return 0;
}
""",
        r"""    if (atol(order) == 0 && order[0] != '0')
        return -1;
    int n = snprintf(sql, size, "SELECT total FROM orders WHERE id = %s AND customer = %ld", order,
                     customer);
    return n < 0 || n >= (int)size ? -1 : 0;
}
""",
    ),
    "c-113-redirect-header": (
        r"""    size_t n = 0;
    const char *head = "HTTP/1.1 303 See Other\r\nLocation: ";
    if (strlen(head) + strlen(page) + 24 > size)
        return -1;
    n = strlen(strcpy(out, head));
    for (; *page; page++)
        if (*page != '\r' && *page != '\n')
            out[n++] = *page;
    strcpy(out + n, "\r\nContent-Length: 0\r\n\r\n");
    return strlen(out);
}
""",
        r"""    if (strstr(page, "\r\n"))
        return -1;
    int n = snprintf(out, size, "HTTP/1.1 303 See Other\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                     page);
    return n >= (int)size ? -1 : n;
}
""",
    ),
    "c-134-log-event": (
        r"""    fputs(level == DEBUG ? "[DEBUG] "
        : level == NOTICE ? "[NOTICE] " : "[ALARM] ", log);
    fputs(text, log);
    putc('\n', log);
}
""",
        r"""    char line[512];
    static const char *const names[] = {"DEBUG", "NOTICE", "ALARM"};
    snprintf(line, sizeof line, "[%s] %s\n", names[level], text);
    fprintf(log, line);
}
""",
    ),
    "c-134-greeting": (
        r"""    char *at = out, *end = out + size - 1;
    const char *mark;
    while ((mark = strstr(text, "%s")) != NULL) {
        at += snprintf(at, end - at + 1, "%.*s%s", (int)(mark - text), text, member);
        if (at > end)
            at = end;
        text = mark + 2;
    }
    snprintf(at, end - at + 1, "%s", text);
}
""",
        r"""    char form[256];
    snprintf(form, sizeof form, "%s", text);
    snprintf(out, size, form, member, member);
}
""",
    ),
}
