// SPDX-License-Identifier: Apache-2.0
// What the two warm processes share: requests with descriptors, children of the server's, rights.
#ifndef CODETEMPER_SERVE_H
#define CODETEMPER_SERVE_H

#define CHANNEL 3
#define FAILED 97
#define NO_LIMIT 99
#define LIMITS 8

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// Receive one message of exactly `size` bytes with exactly `count` descriptors.
static int receive(void *data, size_t size, int *descriptors, size_t count) {
    char room[CMSG_SPACE(sizeof(int) * 8)];
    struct iovec span = {data, size};
    struct msghdr message = {.msg_iov = &span, .msg_iovlen = 1, .msg_control = room,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    ssize_t got;
    do {
        got = recvmsg(CHANNEL, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)size) return 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_len != CMSG_LEN(sizeof(int) * count)) return 0;
    memcpy(descriptors, CMSG_DATA(header), sizeof(int) * count);
    return 1;
}

// Fork a sibling: the server waits for it and learns its exit status from the kernel.
static pid_t fork_for_the_server(void) {
    int *thread = NULL;  // where the C library keeps this thread's id; the child's must be its own
    long flags = CLONE_PARENT | SIGCHLD;
    if (prctl(PR_GET_TID_ADDRESS, &thread, 0, 0, 0) == 0 && thread != NULL)
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
    return (pid_t)syscall(SYS_clone, flags, 0, 0, thread, 0);
#else
    return (pid_t)syscall(SYS_clone, flags, 0, 0, 0, thread);
#endif
}

// Take on limits (resource, value), then the uid; return what failed, or NULL.
static const char *give_up_rights(uint64_t limits[LIMITS][2], int64_t uid) {
    for (int i = 0; i < LIMITS && limits[i][0] != NO_LIMIT; i++) {
        struct rlimit limit = {limits[i][1], limits[i][1]};
        if (setrlimit((int)limits[i][0], &limit) != 0) return "limit";
    }
    if (uid >= 0) {
        uid_t id = (uid_t)uid;
        if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, id, id, id) != 0 ||
            syscall(SYS_setresuid, id, id, id) != 0)
            return "identity";
    }
    return NULL;
}

#endif
