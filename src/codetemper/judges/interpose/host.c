// SPDX-License-Identifier: Apache-2.0
// The host of compiled candidates: a warm process that forks once per run and loads the program.
//
// Linked with the sanitizers' runtimes and started once per sandbox. For each run the server sends
// descriptors; the host forks a child that belongs to the server, takes on the limits, gives up its
// rights, loads the program (a shared object) and calls its `main`. Only after that call returned
// does the child write the proof that the server believes. Nothing here decides a verdict.
#define _GNU_SOURCE
#include "host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "serve.h"

enum { IN = 0, OUT, ERR, CONTROL, PROGRAM, DESCRIPTORS };

extern char **environ;
static struct control *control;

static struct control *map_control(int descriptor) {
    struct stat about;
    uint64_t place = 0;
    if (fstat(descriptor, &about) != 0 || about.st_size < 2 * HOST_PAGE) return NULL;
    // At an unforeseeable place that neither the loader nor the sanitizers use.
    syscall(SYS_getrandom, &place, sizeof place, 0);
    place = 0x200000000000ull + place % 0x2ffff0000ull * HOST_PAGE;
    void *at = mmap((void *)place, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                    descriptor, 0);
    if (at == MAP_FAILED || ((struct control *)at)->magic != HOST_MAGIC) return NULL;
    return at;
}

static void refuse(const char *what, const char *why) {
    snprintf(control->message, sizeof control->message, "%s: %s", what, why);
    control->stage = STAGE_REFUSED;
    _exit(FAILED);
}

// Each string in an allocation of its own, and the array too, so that overreads are seen.
static char **copy_strings(const char **text, size_t count) {
    char **strings = malloc((count + 1) * sizeof *strings);
    if (strings == NULL) refuse("arguments", "no memory");
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(*text) + 1;
        strings[i] = malloc(size);
        if (strings[i] == NULL) refuse("arguments", "no memory");
        memcpy(strings[i], *text, size);
        *text += size;
    }
    strings[count] = NULL;
    return strings;
}

static int write_file(char *path, const char *data, size_t size) {
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST) return -1;
        *slash = '/';
    }
    if (path[strlen(path) - 1] == '/') return 0;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (file < 0) return -1;
    while (size > 0) {
        ssize_t written = write(file, data, size);
        if (written <= 0) return -1;
        data += written;
        size -= (size_t)written;
    }
    return close(file);
}

// The files of the check: path, size, content; a path that ends in a slash is a folder.
static void write_files(const char *text) {
    umask(022);
    for (uint64_t i = 0; i < control->filec; i++) {
        char path[HOST_PAGE];
        uint64_t size;
        size_t length = strlen(text) + 1;
        if (length > sizeof path) refuse("file", "its path is too long");
        memcpy(path, text, length);
        memcpy(&size, text + length, sizeof size);
        text += length + sizeof size;
        if (write_file(path, text, size) != 0) refuse(path, strerror(errno));
        text += size;
    }
}

// Call the program's main and prove that it returned.
static void judge(int program, int argc, char **argv, char **variables) {
    struct control *page = control;
    pid_t self = (pid_t)syscall(SYS_getpid);
    size_t private_size = page->records;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", program);
    interpose_begin((struct records *)((char *)page + page->records), page->size - page->records,
                    page->malloc_fails, page->random);
    umask((mode_t)page->umask);
    page->stage = STAGE_READY;
    environ = variables;
    // Out of reach while code of the candidate runs, from the first constructor on.
    mprotect(page, private_size, PROT_NONE);
    void *loaded = dlopen(link, RTLD_NOW | RTLD_LOCAL);
    const char *why = loaded == NULL ? dlerror() : NULL;
    int (*entry)(int, char **, char **) = NULL;
    if (loaded != NULL) {
        close(program);
        *(void **)&entry = dlsym(loaded, "main");
        if (entry == NULL) why = "undefined symbol: main";
    }
    if (entry == NULL) {
        mprotect(page, private_size, PROT_READ | PROT_WRITE);
        refuse("load", why == NULL ? "unknown" : why);
    }
    int code = entry(argc, argv, variables);
    if ((pid_t)syscall(SYS_getpid) == self) {
        syscall(SYS_mprotect, page, private_size, PROT_READ | PROT_WRITE);
        page->code = code;
        page->proof[0] = page->nonce[0] ^ HOST_DONE;
        page->proof[1] = page->nonce[1] ^ HOST_DONE;
        page->stage = STAGE_RETURNED;
        syscall(SYS_mprotect, page, private_size, PROT_NONE);
    }
    exit(code);
}

static void run(int descriptors[DESCRIPTORS]) {
    setsid();
    control = map_control(descriptors[CONTROL]);
    if (control == NULL) _exit(FAILED);
    for (int i = IN; i <= ERR; i++) dup2(descriptors[i], i);
    int program = fcntl(descriptors[PROGRAM], F_DUPFD_CLOEXEC, 16);
    for (int i = 3; i < 64; i++)
        if (i != program) close(i);
    const char *failed = give_up_rights(control->limits, control->uid);
    if (failed != NULL) refuse(failed, strerror(errno));
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    const char *text = (const char *)control + control->text;
    if (chdir(text) != 0) refuse("folder", strerror(errno));
    text += strlen(text) + 1;
    char **argv = copy_strings(&text, control->argc);
    char **variables = copy_strings(&text, control->envc);
    write_files(text);
    judge(program, (int)control->argc, argv, variables);
}

int main(void) {
    int descriptors[DESCRIPTORS];
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    char byte;
    while (receive(&byte, sizeof byte, descriptors, DESCRIPTORS)) {
        pid_t child = fork_for_the_server();
        if (child == 0) run(descriptors);
        if (send(CHANNEL, &child, sizeof child, MSG_NOSIGNAL) != sizeof child) return 1;
        for (int i = 0; i < DESCRIPTORS; i++) close(descriptors[i]);
    }
    return 0;
}
