// SPDX-License-Identifier: Apache-2.0
// Loaded into gcc's compiler proper: keep it warm and compile many programs with one beginning.
//
// The compiler is started on the beginning that all programs share, followed by a file with the
// name below. When it comes to open that file, it has read the beginning; here it stops and forks
// once per request. The child gets the rest of its program and its own output from the server.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

#include "serve.h"

#define REST "/judge-rest-of-the-program"

enum { SOURCE = 0, ASSEMBLY, LOG, DESCRIPTORS };

struct order {
    int64_t uid;
    uint64_t limits[LIMITS][2];
};

static void compile(struct order *order, int descriptors[DESCRIPTORS]) {
    setsid();
    dup2(descriptors[ASSEMBLY], 1);
    dup2(descriptors[LOG], 2);
    close(CHANNEL);
    close(descriptors[ASSEMBLY]);
    close(descriptors[LOG]);
    if (give_up_rights(order->limits, order->uid) != NULL) _exit(FAILED);
}

// Serve until the server closes the channel; return in a child, with the source's descriptor.
static int serve(void) {
    int descriptors[DESCRIPTORS];
    struct order order;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    while (receive(&order, sizeof order, descriptors, DESCRIPTORS)) {
        pid_t child = fork_for_the_server();
        if (child == 0) {
            compile(&order, descriptors);
            return descriptors[SOURCE];
        }
        if (send(CHANNEL, &child, sizeof child, MSG_NOSIGNAL) != sizeof child) _exit(1);
        for (int i = 0; i < DESCRIPTORS; i++) close(descriptors[i]);
    }
    _exit(0);
}

int open(const char *path, int flags, ...) {
    static int served;
    static int (*next)(const char *, int, ...);
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "open");
    if (!served && strcmp(path, REST) == 0) {
        served = 1;
        return serve();
    }
    return next(path, flags, mode);
}
