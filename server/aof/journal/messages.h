/* What the server says to its journal; the journal answers in shared memory alone (shm/layout.h). */
#ifndef SLIPSTREAM_AOF_JOURNAL_MESSAGES_H
#define SLIPSTREAM_AOF_JOURNAL_MESSAGES_H

#include "server/base/bytes.h"
#include "server/net/channel.h"
#include "server/net/role_process.h"

enum journal_message_kind {
    JOURNAL_ATTACH =
        1,        /* number: the slot; descriptors: control region, the journal's bell, the server's; first of all */
    JOURNAL_RING, /* number: the ring's; descriptor */
    JOURNAL_LOCK, /* descriptor: kept open until the end, and nothing else (journal_lock.h) */
    JOURNAL_SETTINGS,
    JOURNAL_FILE,   /* number: larger than that of the one before; body: its head; descriptor */
    JOURNAL_FINISH, /* number: to be told as finished once everything published is written and durable */
    JOURNAL_SETTLE  /* number: what comes up to this offset is made durable once, whatever the policy */
};

struct journal_message {
    enum journal_message_kind kind;
    uint64_t number;
    union {
        struct {
            uint64_t size;
        } ring;
        struct {
            int32_t fsync; /* enum aof_fsync */
            bool timestamps, fsync_is_held, was_failing;
        } settings;
        struct {
            uint64_t from, bytes;
        } file;
    };
};

#define JOURNAL_PROTOCOL_VERSION 2 /* to be raised with every change of meaning that changes no size */
#define JOURNAL_PROTOCOL_BYTES   64
#define JOURNAL_HEAD_MAX_BYTES   4096

/* How the process is started; the protocol's text is the caller's, and filled in: versions and sizes of all that the
 * two share. */
struct role journal_role(char protocol[JOURNAL_PROTOCOL_BYTES]);

#endif
