# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about numbers, sizes and records.

``NUMBERS`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

NUMBERS: dict[str, tuple[str, str]] = {
    "c-020-order-amount": (
        r"""    if (order->quantity <= 0 || order->voucher > 100 || order->voucher < 0)
        return -1;
    long full = order->unit_cents * order->quantity;
    return full - (full * order->voucher + 99) / 100;
}
""",
        r"""    if (order->voucher > 100 || order->unit_cents <= 0)
        return -1;
    return order->quantity * (order->unit_cents * (100 - order->voucher)) / 100;
}
""",
    ),
    "c-020-proxy-port": (
        r"""    const char *p = strrchr(address, ':');
    unsigned n = 0;
    int digits = 0;
    if (!p)
        return 0;
    for (p++; *p >= '0' && *p <= '9' && digits < 6; p++, digits++)
        n = n * 10 + (*p - '0');
    return *p || n < FIRST_OPEN_PORT || n > 65535 ? 0 : n;
}
""",
        r"""    const char *p = strchr(address, ':');
    long n = p ? strtol(p + 1, NULL, 0) : 0;
    if (n <= 0 || (n > 0 && n < FIRST_OPEN_PORT))
        return 0;
    return (uint16_t)n;
}
""",
    ),
    "c-190-image-alloc": (
        r"""    unsigned long long pixels = (unsigned long long)width * height;
    if (!pixels || pixels > 100000000ULL)
        return -1;
    uint8_t *memory = malloc(pixels * 4);
    if (!memory)
        return -1;
    for (unsigned long long i = 0; i < pixels * 4; i++)
        memory[i] = 0;
    *image = (struct image){width, height, memory};
    return 0;
}
""",
        r"""    int size = (int)(width * height) * 4;
    image->pixels = NULL;
    if (width < 1 || height < 1 || size < 0)
        return -1;
    image->pixels = calloc(1, size);
    image->width = width;
    image->height = height;
    return image->pixels ? 0 : -1;
}
""",
    ),
    "c-190-section-copy": (
        r"""    uint64_t end = (uint64_t)offset + length;
    if (end > firmware->size || length > room)
        return -1;
    for (uint64_t i = offset; i < end; i++)
        *out++ = firmware->bytes[i];
    return 0;
}
""",
        r"""    const uint8_t *from = firmware->bytes + offset;
    uint32_t end = offset + length;
    if (room < length || end > firmware->size)
        return -1;
    while (length--)
        *out++ = *from++;
    return 0;
}
""",
    ),
    "c-190-cart-total": (
        r"""    int sum = 0;
    for (const struct line *l = lines; l < lines + count; l++) {
        int cost;
        if (__builtin_mul_overflow(l->quantity, l->price_cents, &cost) ||
            __builtin_add_overflow(sum, cost, &sum))
            return -1;
    }
    return sum;
}
""",
        r"""    long long sum = 0;
    while (count--)
        sum += lines[count].quantity * lines[count].price_cents;
    return sum > INT_MAX ? -1 : (int)sum;
}
""",
    ),
    "c-191-udp-payload": (
        r"""    uint16_t field;
    if (size < 8)
        return 0;
    memcpy(&field, datagram + 4, 2);
    field = (uint16_t)(field << 8 | field >> 8);
    int n = (int)field - 8;
    if (n <= 0 || field > size)
        return 0;
    n = (size_t)n > room ? (int)room : n;
    memcpy(out, datagram + 8, n);
    return n;
}
""",
        r"""    size_t n = ((size_t)datagram[4] << 8 | datagram[5]) - UDP_HEADER;
    if (size < UDP_HEADER || n + UDP_HEADER > size)
        return 0;
    if (n > room)
        n = room;
    for (size_t i = 0; i < n; i++)
        out[i] = datagram[UDP_HEADER + i];
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
    "c-502-shape-area": (
        r"""    long sum = 0;
    for (; size >= 3; saved += 3, size -= 3) {
        switch (saved[0]) {
        case SQUARE: sum += square_area(saved + 1); break;
        case RECTANGLE: sum += rectangle_area(saved + 1); break;
        case TRIANGLE: sum += triangle_area(saved + 1); break;
        default: return -1;
        }
    }
    return size ? -1 : sum;
}
""",
        r"""    long sum = 0;
    if (size % 3 != 0)
        return -1;
    for (size_t i = 0; i < size / 3; i++) {
        enum kind kind = saved[3 * i];
        if (kind > KIND_COUNT)
            return -1;
        sum += area_of[kind](&saved[3 * i + 1]);
    }
    return sum;
}
""",
    ),
    "c-369-media-bitrate": (
        r"""    uint32_t s = 0, bits = 0;
    if (sound->sample_rate)
        s = sound->samples / sound->sample_rate;
    if (s)
        bits = 8ull * sound->bytes / s;
    *bits_a_second = bits;
    return s;
}
""",
        r"""    uint32_t s;
    *bits_a_second = 0;
    if (sound->sample_rate == 0)
        return 0;
    s = sound->samples / sound->sample_rate;
    *bits_a_second = 8ull * sound->bytes / s;
    return s;
}
""",
    ),
    "c-131-join-words": (
        r"""    char *text = calloc(1, 1);
    size_t used = 0;
    for (size_t i = 0; text && i < count; i++) {
        size_t more = strlen(words[i]) + (i ? strlen(separator) : 0);
        char *longer = realloc(text, used + more + 1);
        if (!longer) {
            free(text);
            return NULL;
        }
        text = longer;
        text[used] = 0;
        if (i)
            strcat(text, separator);
        strcat(text, words[i]);
        used += more;
    }
    return text;
}
""",
        r"""    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(words[i]) + 2;
    char *text = malloc(size + 1), *end = text;
    if (!text)
        return NULL;
    *end = 0;
    for (size_t i = 0; i < count; i++)
        end += strlen(strcat(strcat(end, i ? separator : ""), words[i]));
    return text;
}
""",
    ),
    "c-197-text-copy": (
        r"""    char *copy;
    size_t n = strnlen(text, 65536);
    if (n == 65536 || !(copy = strdup(text)))
        return -1;
    free(cell->text);
    *cell = (struct cell){n, copy};
    return 0;
}
""",
        r"""    cell->length = (uint16_t)strlen(text);
    char *copy = calloc(cell->length + 1, 1);
    if (!copy)
        return -1;
    for (size_t i = 0; text[i]; i++)
        copy[i] = text[i];
    free(cell->text);
    cell->text = copy;
    return 0;
}
""",
    ),
}
