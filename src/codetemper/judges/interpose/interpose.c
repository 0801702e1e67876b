// SPDX-License-Identifier: Apache-2.0
// Functions of the C library that behave as a check asks and keep a record of paths.
//
// Allocation is wrapped at the program's link (`--wrap=malloc`), so it is the program's own calls
// that are counted. The functions that take paths are defined here: the host comes before every
// library, so the program, the C++ streams and std::filesystem all pass through them, and the
// sanitizers' own interceptors are called next.
#define _GNU_SOURCE
#include "host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define NEXT(name) \
    static __typeof__(&name) next; \
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, #name)

static struct records *records;
static uint64_t room;
static int64_t fails_from, calls, fixed = -1;
static int armed;

void interpose_begin(struct records *where, uint64_t size, int64_t malloc_fails, int64_t random) {
    records = where;
    room = size - sizeof *where;
    fails_from = malloc_fails;
    fixed = random;
}

// Note a path with the function it was given to, made absolute, not resolved.
static void note(const char *function, int folder, const char *path) {
    char base[HOST_PAGE], entry[3 * HOST_PAGE];
    if (records == NULL || path == NULL) return;
    base[0] = '\0';
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (syscall(SYS_getcwd, base, sizeof base) < 0) base[0] = '\0';
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            long size = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
            base[size < 0 ? 0 : size] = '\0';
        }
    }
    int size = snprintf(entry, sizeof entry, "%s\t%s%s%.8000s", function, base,
                        base[0] != '\0' ? "/" : "", path) + 1;
    uint64_t at = __atomic_fetch_add(&records->used, (uint64_t)size, __ATOMIC_SEQ_CST);
    if (at + (uint64_t)size > room)
        __atomic_fetch_add(&records->lost, 1, __ATOMIC_SEQ_CST);
    else
        memcpy(records->text + at, entry, (size_t)size);
}

static int fails(void) {
    return armed && fails_from > 0 && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) >= fails_from;
}

EXPORT void judge_arm(void) { armed = 1; }

EXPORT void *__wrap_malloc(size_t size) { return fails() ? NULL : malloc(size); }

EXPORT void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : calloc(count, size);
}

EXPORT void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : realloc(old, size); }

EXPORT char *__wrap_strdup(const char *text) { return fails() ? NULL : strdup(text); }

EXPORT char *__wrap_strndup(const char *text, size_t size) {
    return fails() ? NULL : strndup(text, size);
}

EXPORT int rand(void) {
    NEXT(rand);
    return fixed >= 0 ? (int)fixed : next();
}

EXPORT long random(void) {
    NEXT(random);
    return fixed >= 0 ? (long)fixed : next();
}

#define OPEN(name) \
    EXPORT int name(const char *path, int flags, ...) { \
        NEXT(name); \
        va_list list; \
        va_start(list, flags); \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, int) : 0; \
        va_end(list); \
        note(#name, AT_FDCWD, path); \
        return next(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    EXPORT int name(int folder, const char *path, int flags, ...) { \
        NEXT(name); \
        va_list list; \
        va_start(list, flags); \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, int) : 0; \
        va_end(list); \
        note(#name, folder, path); \
        return next(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define CREAT(name) \
    EXPORT int name(const char *path, mode_t mode) { \
        NEXT(name); \
        note(#name, AT_FDCWD, path); \
        return next(path, mode); \
    }
CREAT(creat)
CREAT(creat64)
CREAT(mkdir)

#define FOPEN(name) \
    EXPORT FILE *name(const char *path, const char *mode) { \
        NEXT(name); \
        note(#name, AT_FDCWD, path); \
        return next(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define FREOPEN(name) \
    EXPORT FILE *name(const char *path, const char *mode, FILE *stream) { \
        NEXT(name); \
        note(#name, AT_FDCWD, path); \
        return next(path, mode, stream); \
    }
FREOPEN(freopen)
FREOPEN(freopen64)

EXPORT DIR *opendir(const char *path) {
    NEXT(opendir);
    note("opendir", AT_FDCWD, path);
    return next(path);
}

// Deleting, renaming and making folders reach files as well as opening them does.
#define PATH(name) \
    EXPORT int name(const char *path) { \
        NEXT(name); \
        note(#name, AT_FDCWD, path); \
        return next(path); \
    }
PATH(unlink)
PATH(remove)
PATH(rmdir)

#define PATHS(name) \
    EXPORT int name(const char *path, const char *other) { \
        NEXT(name); \
        note(#name, AT_FDCWD, path); \
        note(#name, AT_FDCWD, other); \
        return next(path, other); \
    }
PATHS(rename)
PATHS(link)
PATHS(symlink)

EXPORT int truncate(const char *path, off_t size) {
    NEXT(truncate);
    note("truncate", AT_FDCWD, path);
    return next(path, size);
}
