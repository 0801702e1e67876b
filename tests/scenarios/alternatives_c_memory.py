# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about writes and reads of memory.

``MEMORY`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

MEMORY: dict[str, tuple[str, str]] = {
    "c-120-setting-line": (
        r"""    char form[64];
    struct setting read;
    int name_end = 0, end = 0;
    snprintf(form, sizeof form, " %%%zu[^= \t\r\n]%%n = %%%zu[^\r\n]%%n", sizeof read.name - 1,
             sizeof read.value - 1);
    if (sscanf(line, form, read.name, &name_end, read.value, &end) != 2)
        return -1;
    if (line[end] != '\0' && line[end] != '\n' && line[end] != '\r')
        return -1;
    *setting = read;
    return 0;
}
""",
        r"""    const char *equals = strchr(line, '=');
    size_t n;
    if (!equals)
        return -1;
    while (*line == ' ')
        line++;
    n = equals - line;
    while (n > 0 && line[n - 1] == ' ')
        n--;
    memcpy(setting->name, line, n);
    setting->name[n] = 0;
    for (equals++; *equals == ' '; equals++)
        ;
    strcpy(setting->value, equals);
    setting->value[strcspn(setting->value, "\n")] = 0;
    return 0;
}
""",
    ),
    "c-119-ring-write": (
        r"""    size_t n = 0;
    while (n < count && ring->used < ring->capacity) {
        ring->data[(ring->first + ring->used) % ring->capacity] = bytes[n++];
        ring->used++;
    }
    return n;
}
""",
        r"""    for (size_t i = 0; i < count; i++)
        ring->data[(ring->first + ring->used++) % ring->capacity] = bytes[i];
    return count;
}
""",
    ),
    "c-119-sprite-blit": (
        r"""    int left = x < 0 ? -x : 0;
    int top = y < 0 ? -y : 0;
    int right = sprite->width, bottom = sprite->height;
    if (right > canvas->width - x)
        right = canvas->width - x;
    if (bottom > canvas->height - y)
        bottom = canvas->height - y;
    if (left >= right)
        return;
    for (int row = top; row < bottom; row++)
        memcpy(&canvas->pixels[(y + row) * canvas->width + x + left],
               &sprite->pixels[row * sprite->width + left], right - left);
}
""",
        r"""    for (int j = 0; j < sprite->height; j++)
        for (int i = 0; i < sprite->width; i++) {
            int at = (y + j) * canvas->width + x + i;
            if (x + i < canvas->width && at < canvas->width * canvas->height)
                canvas->pixels[at] = sprite->pixels[j * sprite->width + i];
        }
}
""",
    ),
    "c-195-store-block": (
        r"""    int length;
    if (size < 4)
        return -1;
    length = frame[0] | frame[1] << 8 | frame[2] << 16 | frame[3] << 24;
    if (length < 0 || length > BLOCK_MAX || length > size - 4)
        return -1;
    block->length = length;
    for (int i = 0; i < length; i++)
        block->bytes[i] = frame[4 + i];
    return 0;
}
""",
        r"""    int length = *(const int *)frame;
    if (size < 4 || length > BLOCK_MAX || 4 + length > size)
        return -1;
    block->length = length;
    memmove(block->bytes, &frame[4], length);
    return 0;
}
""",
    ),
    "c-125-dns-name": (
        r"""    size_t i = 0, n = 0;
    for (;;) {
        if (i >= size)
            return -1;
        uint8_t length = data[i++];
        if (length == 0)
            break;
        if (length > 63 || i + length > size || n + length + 1 >= room)
            return -1;
        for (uint8_t k = 0; k < length; k++)
            text[n++] = data[i++];
        text[n++] = '.';
    }
    text[n ? n - 1 : 0] = 0;
    return i;
}
""",
        r"""    size_t i = 0, n = 0;
    while (i < size && data[i]) {
        size_t length = data[i];
        if (i + length + 1 > size)
            return -1;
        if (n)
            text[n++] = '.';
        memcpy(text + n, data + i + 1, length);
        n += length;
        i += length + 1;
    }
    if (i >= size)
        return -1;
    text[n] = 0;
    return i + 1;
}
""",
    ),
    "c-125-utf8-next": (
        r"""    int more = 0;
    uint32_t c = text[0], floor = 0;
    *point = 0xFFFD;
    if (c >= 0xF5 || (c >= 0x80 && c < 0xC2))
        return 1;
    if (c >= 0xF0) { more = 3; c &= 7; floor = 0x10000; }
    else if (c >= 0xE0) { more = 2; c &= 15; floor = 0x800; }
    else if (c >= 0xC0) { more = 1; c &= 31; floor = 0x80; }
    for (int i = 1; i <= more; i++) {
        if ((size_t)i >= length || text[i] >> 6 != 2)
            return 1;
        c = c << 6 | (text[i] & 63);
    }
    if (c < floor || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 1;
    *point = c;
    return more + 1;
}
""",
        r"""    static const unsigned char sizes[16] = {
        1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4};
    size_t n = sizes[text[0] >> 4];
    uint32_t c = n == 1 ? text[0] : text[0] & (0xFF >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (text[i] & 0x3F);
    *point = n ? c : 0xFFFD;
    return n ? n : 1;
}
""",
    ),
    "c-125-echo-reply": (
        r"""    if (size < 3 || *request != 1)
        return 0;
    uint16_t n = request[1] * 256 + request[2];
    if ((size_t)n + 3 > size || (size_t)n + 3 > room)
        return 0;
    reply[0] = 2;
    memmove(reply + 1, request + 1, n + 2);
    return n + 3;
}
""",
        r"""    uint16_t n;
    if (size < 3 || request[0] != ECHO_REQUEST)
        return 0;
    memcpy(&n, request + 1, 2);
    n = n >> 8 | n << 8;
    if (n > room - 3 || n > size)
        return 0;
    reply[0] = ECHO_REPLY;
    for (int i = 1; i < 3 + n; i++)
        reply[i] = request[i];
    return 3 + n;
}
""",
    ),
    "c-125-mail-date": (
        r"""    extern long strtol(const char *, char **, int);
    char *rest;
    long year = strtol(text, &rest, 10), month, day;
    *out = 0;
    if (rest != text + 4 || *rest != '-')
        return -1;
    month = strtol(rest + 1, &rest, 10);
    if (month < 1 || month > (long)(sizeof MONTHS / sizeof *MONTHS) || *rest != '-')
        return -1;
    day = strtol(rest + 1, &rest, 10);
    if (*rest || day < 1 || day > 31)
        return -1;
    snprintf(out, size, "%ld %s %ld", day, MONTHS[month - 1], year);
    return 0;
}
""",
        r"""    int y, m, d;
    *out = '\0';
    if (sscanf(text, "%4d-%2d-%2d", &y, &m, &d) != 3 || m > 12 || d > 31)
        return -1;
    return snprintf(out, size, "%d %s %d", d, MONTHS[m - 1], y) < 0;
}
""",
    ),
    "c-170-player-name": (
        r"""    size_t n = strnlen(name, NAME_SIZE - 1);
    memcpy(player->name, name, n);
    player->name[n] = '\0';
}
""",
        r"""    size_t n = strlen(name);
    if (n > NAME_SIZE)
        n = NAME_SIZE;
    memcpy(player->name, name, n);
    if (n < NAME_SIZE)
        player->name[n] = 0;
}
""",
    ),
    "c-787-rle-line": (
        r"""    uint8_t *at = pixels;
    const uint8_t *end = pixels + room;
    while (in_size >= 2 && *in) {
        for (int n = in[0]; n > 0; n--) {
            if (at == end)
                return -1;
            *at++ = in[1];
        }
        in += 2;
        in_size -= 2;
    }
    return at - pixels;
}
""",
        r"""    int total = 0;
    for (size_t i = 0; i + 1 < in_size && in[i]; i += 2) {
        if ((size_t)total >= room)
            return -1;
        memset(pixels + total, in[i + 1], in[i]);
        total += in[i];
    }
    return total;
}
""",
    ),
    "c-787-join-names": (
        r"""    char *end = line + size - 1;
    char *at = line;
    for (int i = 0; i < roster->count; i++) {
        const char *parts[2] = {i ? ", " : "", roster->names[i]};
        for (int k = 0; k < 2; k++)
            for (const char *p = parts[k]; *p && at < end; p++)
                *at++ = *p;
    }
    *at = 0;
}
""",
        r"""    strcpy(line, "");
    for (int i = 0; i < roster->count; i++) {
        if (i > 0)
            strcat(line, ", ");
        strncat(line, roster->names[i], size);
    }
}
""",
    ),
    "c-787-base64-decode": (
        r"""    size_t n = 0, k;
    while (sextet(text[n]) >= 0)
        n++;
    if (n * 6 / 8 > room)
        return -1;
    for (k = 0; k < n * 6 / 8; k++) {
        size_t bit = k * 8;
        int a = sextet(text[bit / 6]), b = sextet(text[bit / 6 + 1]);
        out[k] = (uint8_t)((a << 6 | b) >> (4 - bit % 6));
    }
    return (long)k;
}
""",
        r"""    size_t used = 0;
    int a, b, c, d;
    while ((a = sextet(text[0])) >= 0 && (b = sextet(text[1])) >= 0) {
        if (used >= room)
            return -1;
        out[used++] = a << 2 | b >> 4;
        if ((c = sextet(text[2])) < 0)
            break;
        out[used++] = (b & 15) << 4 | c >> 2;
        if ((d = sextet(text[3])) < 0)
            break;
        out[used++] = (c & 3) << 6 | d;
        text += 4;
    }
    return used;
}
""",
    ),
    "c-787-expand-tabs": (
        r"""    size_t n = 0;
    for (; *line; line++) {
        size_t wide = *line == '\t' ? TAB_WIDTH - n % TAB_WIDTH : 1;
        char c = *line == '\t' ? ' ' : *line;
        for (; wide && n < size - 1; wide--)
            out[n++] = c;
    }
    out[n] = 0;
    return n;
}
""",
        r"""    size_t n = 0;
    while (*line && n < size - 1) {
        if (*line == '\t') {
            size_t wide = TAB_WIDTH - n % TAB_WIDTH;
            for (size_t i = 0; i < wide; i++)
                out[n + i] = ' ';
            n += wide;
        } else
            out[n++] = *line;
        line++;
    }
    if (n >= size)
        n = size - 1;
    out[n] = 0;
    return n;
}
""",
    ),
}
