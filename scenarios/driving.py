# SPDX-License-Identifier: Apache-2.0
"""Pieces of C that drivers of compiled scenarios share: inputs on the heap and a deadline.

Inputs are copied into blocks of exactly their size, so that reading past them is seen. The deadline
counts processor time, which the load of a machine does not change. Nothing here is shown to models.
"""

from __future__ import annotations

#: ``char *trial_text(const char *)``: a text in a block of its own.
TEXT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char *trial_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    memcpy(copy, text, size);
    return copy;
}
"""

#: ``unsigned char *trial_bytes(const char *, size_t *)``: hexadecimal digits to bytes.
BYTES = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static unsigned char *trial_bytes(const char *digits, size_t *size)
{
    *size = strlen(digits) / 2;
    unsigned char *block = malloc(*size);
    for (size_t i = 0; i < *size; i++) {
        unsigned byte = 0;
        sscanf(digits + 2 * i, "%2x", &byte);
        block[i] = (unsigned char)byte;
    }
    return block;
}
static void trial_dump(const unsigned char *block, long size)
{
    for (long i = 0; i < size; i++)
        printf("%02x", block[i]);
}
"""

#: Options for decoders of frames: how a number is put together from bytes is not what is judged.
LENIENT = ("-fno-sanitize=alignment,shift",)

#: ``trial_deadline()``: prints ``stuck`` and leaves after 0.7 s of processor time.
DEADLINE = r"""
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
static void trial_late(int number)
{
    if (write(1, "stuck\n", 6) != 6)
        number = 0;
    _exit(number ? 9 : 8);
}
static void trial_deadline(void)
{
    struct itimerval timer = {{0, 0}, {0, 700000}};
    signal(SIGVTALRM, trial_late);
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}
"""

#: ``int trial_inside(base, path)``: whether a path stays below a folder, links aside.
INSIDE = r"""
#include <string.h>
static int trial_inside(const char *base, const char *path)
{
    size_t length = strlen(base);
    int depth = 0;
    if (strncmp(path, base, length) != 0 || path[length] != '/')
        return 0;
    for (path += length; *path; path += strcspn(path, "/")) {
        path += strspn(path, "/");
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.')
            depth--;
        else if (part > 0 && !(part == 1 && path[0] == '.'))
            depth++;
        if (depth < 0)
            return 0;
    }
    return 1;
}
"""
