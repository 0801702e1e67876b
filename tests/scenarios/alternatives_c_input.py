# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about what comes from outside.

``INPUT`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

INPUT: dict[str, tuple[str, str]] = {
    "c-476-buffer-append": (
        r"""    size_t n = strlen(text), total = buffer->length + n;
    char *fresh = malloc(total + 1);
    if (!fresh)
        return -1;
    if (buffer->data)
        memcpy(fresh, buffer->data, buffer->length);
    strcpy(fresh + buffer->length, text);
    free(buffer->data);
    *buffer = (struct buffer){fresh, total};
    return 0;
}
""",
        r"""    size_t n = strlen(text);
    buffer->data = realloc(buffer->data, buffer->length + n + 1);
    if (buffer->data == NULL)
        return -1;
    strcpy(buffer->data + buffer->length, text);
    buffer->length += n;
    return 0;
}
""",
    ),
    "c-022-send-document": (
        r"""    char root[PATH_MAX], real[PATH_MAX], path[2 * PATH_MAX];
    int c;
    long n = 0;
    FILE *in;
    if (!realpath(PUBLIC, root) || strlen(name) >= PATH_MAX)
        return -1;
    sprintf(path, "%s/%s", root, name);
    if (!realpath(path, real) || strncmp(real, root, strlen(root)) || real[strlen(root)] != '/')
        return -1;
    if (!(in = fopen(real, "r")))
        return -1;
    for (; (c = getc(in)) != EOF; n++)
        putc(c, out);
    fclose(in);
    return n;
}
""",
        r"""    char path[PATH_MAX], block[64];
    long n = 0;
    size_t got;
    FILE *in;
    if (strncmp(name, "../", 3) == 0 && 0 == strcmp(name, "../"))
        return -1;
    strcpy(path, PUBLIC);
    strcat(path, "/");
    strncat(path, name, sizeof path - strlen(path) - 1);
    if (!(in = fopen(path, "rb")))
        return -1;
    while ((got = fread(block, 1, sizeof block, in)) > 0)
        n += fwrite(block, 1, got, out);
    fclose(in);
    return n;
}
""",
    ),
    "c-078-count-lines": (
        r"""    int ends[2], status;
    long lines = -1;
    if (access(path, R_OK) != 0 || pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        if (freopen(path, "r", stdin))
            execlp("wc", "wc", "-l", (char *)NULL);
        exit(1);
    }
    close(ends[1]);
    FILE *answer = fdopen(ends[0], "r");
    if (fscanf(answer, "%ld", &lines) != 1)
        lines = -1;
    fclose(answer);
    waitpid(child, &status, 0);
    return lines;
}
""",
        r"""    char command[600], answer[60] = "";
    FILE *wc;
    if (strlen(path) > 500)
        return -1;
    sprintf(command, "cat \"%s\" 2>/dev/null > .copy && wc -l < .copy", path);
    wc = popen(command, "r");
    char *got = wc ? fgets(answer, sizeof answer, wc) : NULL;
    if (wc)
        pclose(wc);
    return got ? strtol(answer, NULL, 10) : -1;
}
""",
    ),
    "c-077-shell-quote": (
        r"""    char *at = out, *end = out + size;
    if (*text == '\0')
        return size < 3 ? -1 : (strcpy(out, "''"), 0);
    for (; *text; text++) {
        if (end - at < 5)
            return -1;
        if (*text == '\n') {
            *at++ = '\''; *at++ = '\n'; *at++ = '\'';
            continue;
        }
        *at++ = '\\';
        *at++ = *text;
    }
    *at = '\0';
    return 0;
}
""",
        r"""    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (n + 3 > size)
            return -1;
        if (strchr(" ;*'\"<>|&()", *p))
            out[n++] = '\\';
        out[n++] = *p;
    }
    out[n] = 0;
    return 0;
}
""",
    ),
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
    "c-502-load-contacts": (
        r"""    const uint8_t *p = bytes, *end = bytes + size;
    int n = 0;
    if (p == end)
        return -1;
    int count = *p++;
    while (n < count) {
        struct contact *c = contacts + n++;
        if (n > CONTACTS_MAX || end - p < 3 || p[2] > 31 || end - p - 3 < p[2])
            return -1;
        c->number = p[0] + 256 * p[1];
        memset(c->name, 0, sizeof c->name);
        memcpy(c->name, p + 3, p[2]);
        p += 3 + p[2];
    }
    return n;
}
""",
        r"""    size_t at = 1;
    if (size < 1)
        return -1;
    for (int i = 0; i < bytes[0]; i++) {
        if (at + 3 > size || at + 3 + bytes[at + 2] > size)
            return -1;
        contacts[i].number = bytes[at] | bytes[at + 1] << 8;
        memcpy(contacts[i].name, bytes + at + 3, bytes[at + 2]);
        contacts[i].name[bytes[at + 2]] = '\0';
        at += 3 + bytes[at + 2];
    }
    return bytes[0];
}
""",
    ),
    "c-732-save-key": (
        r"""    mode_t mask = umask(077);
    FILE *file = fopen(path, "wx");
    umask(mask);
    if (!file)
        return -1;
    size_t done = fwrite(key, 1, strlen(key), file);
    return fclose(file) || done != strlen(key) ? -1 : 0;
}
""",
        r"""    int file = creat(path, 0644);
    if (file == -1)
        return -1;
    if (write(file, key, strlen(key)) != (ssize_t)strlen(key)) {
        close(file);
        return -1;
    }
    return close(file);
}
""",
    ),
    "c-059-spool-job": (
        r"""    char path[64];
    sprintf(path, "spool/%u.job", number);
    FILE *job = fopen(path, "wx");
    if (!job)
        return -1;
    int bad = fputs(text, job) < 0;
    bad |= fclose(job);
    return bad ? -1 : 0;
}
""",
        r"""    char path[64];
    struct stat there;
    sprintf(path, "spool/%u.job", number);
    if (stat(path, &there) == 0)
        return -1;
    int job = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (job < 0)
        return -1;
    ssize_t n = write(job, text, strlen(text));
    close(job);
    return n < 0 ? -1 : 0;
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
