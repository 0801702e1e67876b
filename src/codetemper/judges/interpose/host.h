// SPDX-License-Identifier: Apache-2.0
// What the host program and the sandbox's server agree on: the control page of one run.
//
// The server fills a memory file: this header in the first page, then strings and files, then room
// for records. The host maps it and closes the descriptor before any code of a candidate runs.
// `_sandbox/inside/control.py` holds the same layout for the server's side; change both together.
#ifndef CODETEMPER_HOST_H
#define CODETEMPER_HOST_H

#include <stdint.h>

#define HOST_MAGIC 0x636f646574656d70ull
#define HOST_PAGE 4096
#define HOST_DONE 0x9e3779b97f4a7c15ull

enum stage { STAGE_NONE, STAGE_READY, STAGE_REFUSED, STAGE_RETURNED };

struct control {
    uint64_t magic;
    uint64_t nonce[2];
    uint64_t proof[2];      // nonce ^ HOST_DONE, written only after main has returned
    uint64_t stage;
    int64_t code;           // what main returned
    int64_t malloc_fails;   // 0: never
    int64_t random;         // below 0: rand() is the system's
    uint64_t umask;
    int64_t uid;            // below 0: keep
    uint64_t limits[8][2];  // resource, value
    uint64_t argc, envc, filec;
    uint64_t text;          // where folder, arguments, environment and files begin
    uint64_t records;       // where records begin
    uint64_t size;          // of the whole memory file
    char message[512];      // why the program could not be loaded
};

// How many bytes are used, how many records found no room, then one string after another.
struct records {
    uint64_t used;
    uint64_t lost;
    char text[];
};

// Let the interposed functions work: record paths, fail allocations, fix rand().
void interpose_begin(struct records *records, uint64_t size, int64_t malloc_fails, int64_t random);

#endif
