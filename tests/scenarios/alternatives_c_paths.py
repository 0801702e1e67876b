# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about paths, commands and uploads.

``PATHS`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

PATHS: dict[str, tuple[str, str]] = {
    "c-022-template-path": (
        r"""    size_t length = strlen(name);
    if (length == 0 || strstr(name, "..") || *name == '/')
        return -1;
    if (sizeof TEMPLATES + length + sizeof ".html" > size)
        return -1;
    strcpy(path, TEMPLATES "/");
    strcat(path, name);
    strcat(path, ".html");
    return 0;
}
""",
        r"""    if (!*name || strncmp(name, "../", 3) == 0)
        return -1;
    return snprintf(path, size, TEMPLATES "/%s.html", name) < (int)size ? 0 : -1;
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
    "c-022-extract-member": (
        r"""    char copy[300], path[800], *save, *part;
    int depth = 0;
    if (member->name[0] == '/' || strlen(member->name) >= sizeof copy)
        return -1;
    strcpy(copy, member->name);
    for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (!strcmp(part, ".."))
            return -1;
        depth++;
    }
    snprintf(path, sizeof path, "%s/%s", folder, member->name);
    FILE *f = depth ? fopen(path, "w") : NULL;
    if (!f)
        return -1;
    size_t n = fwrite(member->bytes, 1, member->size, f);
    fclose(f);
    return n == member->size ? 0 : -1;
}
""",
        r"""    char path[800];
    const char *name = member->name;
    while (strncmp(name, "../", 3) == 0 || *name == '/')
        name += *name == '/' ? 1 : 3;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        return -1;
    fwrite(member->bytes, member->size, 1, f);
    return fclose(f);
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
    "c-078-keep-copy": (
        r"""    char to[4096], block[512];
    size_t n;
    FILE *in = fopen(document, "rb"), *out = NULL;
    if (in && strlen(document) < 4000)
        out = fopen(strcat(strcpy(to, document), ".bak"), "wb");
    if (!out) {
        if (in)
            fclose(in);
        return -1;
    }
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        fwrite(block, 1, n, out);
    fclose(in);
    return fclose(out) == 0 ? 0 : -1;
}
""",
        r"""    char line[1200];
    if (strlen(document) > 500 || strpbrk(document, "'|;&") != NULL)
        return -1;
    sprintf(line, "cp \"%s\" \"%s.bak\" 2>/dev/null", document, document);
    int code = system(line);
    return WIFEXITED(code) && WEXITSTATUS(code) == 0 ? 0 : -1;
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
    "c-088-sort-command": (
        r"""    if (file[0] == '-')
        return 0;
    const char *words[] = {"sort", "-r", "-n", file, NULL};
    memcpy(argv, words, sizeof words);
    return 4;
}
""",
        r"""    const char *words[] = {"sort", file, "-nr", NULL};
    for (int i = 0; i < 4; i++)
        argv[i] = words[i];
    return 3;
}
""",
    ),
    "c-094-settings-script": (
        r"""    fprintf(settings, "%s=\"", name);
    for (; *text; text++) {
        if (strchr("\"\\$`", *text))
            fputc('\\', settings);
        fputc(*text, settings);
    }
    fprintf(settings, "\"\n");
    return ferror(settings) ? -1 : 0;
}
""",
        r"""    fprintf(settings, "%s=\"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', settings);
        fputc(*text, settings);
    }
    fprintf(settings, "\"\n");
    return ferror(settings) ? -1 : 0;
}
""",
    ),
    "c-434-picture-name": (
        r"""    size_t n = strlen(name);
    if (n < 5 || strpbrk(name, "/\\") != NULL)
        return false;
    return !strcasecmp(name + n - 4, ".png") || !strcasecmp(name + n - 4, ".jpg") ||
           !strcasecmp(name + n - 4, ".gif");
}
""",
        r"""    const char *dot = strrchr(name, '.');
    return dot && (!strncasecmp(dot, ".png", 4) || !strncasecmp(dot, ".jpg", 4) ||
                   !strncasecmp(dot, ".gif", 4));
}
""",
    ),
    "c-434-avatar-type": (
        r"""    if (upload->size > 7 && !memcmp(upload->bytes, "\x89PNG\r\n\x1a\n", 8) &&
        !strcmp(upload->type, "image/png"))
        return "png";
    if (upload->size > 5 && !memcmp(upload->bytes, "GIF8", 4) && upload->bytes[5] == 'a' &&
        (upload->bytes[4] == '7' || upload->bytes[4] == '9'))
        return "gif";
    return NULL;
}
""",
        r"""    if (upload->size >= 4 && memcmp(upload->bytes, "\x89PNG", 4) == 0)
        return "png";
    return strstr(upload->type, "image/") == upload->type ? upload->type + 6 : NULL;
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
    "c-732-append-log": (
        r"""    mode_t before = umask(022);
    FILE *log = fopen(path, "a");
    umask(before);
    if (!log)
        return -1;
    int bad = fputs(line, log) == EOF || putc('\n', log) == EOF;
    return fclose(log) || bad ? -1 : 0;
}
""",
        r"""    int log = open(path, O_CREAT | O_APPEND | O_RDWR, 0666);
    if (log == -1)
        return -1;
    ssize_t n = write(log, line, strlen(line)) + write(log, "\n", 1);
    close(log);
    return n == (ssize_t)strlen(line) + 1 ? 0 : -1;
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
}
