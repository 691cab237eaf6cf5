/* The inspecting tool: a backlog's control region seen from outside, whether its server runs or was killed.
 *
 * Runs as a process of its own: `redis-server --inspect-backlog [PORT or NAME]`. The region is mapped read-only, no
 * lock is taken, nobody is waited for and nobody notices. Reading (inspect.c) makes a picture by the algorithms of
 * shm/layout.h, printing (inspect_print.c) makes a page of a picture, and finding (inspect_main.c) does all that needs
 * a file system. Nothing in a region is trusted: it may be anybody's. */
#ifndef SLIPSTREAM_SHM_INSPECT_H
#define SLIPSTREAM_SHM_INSPECT_H

#include "shm/layout.h"
#include "shm/owner.h"
#include "shm/region.h"

#include <stdbool.h>
#include <stdio.h>

struct inspected_ring {
    uint64_t number, first, end, size, object;
};

struct inspected_spool {
    int spool;
    uint32_t state; /* enum shm_spool_state, or anything else */
    uint64_t bytes;
};

struct inspected_peer {
    int slot;
    uint32_t state, kind, phase, owes; /* as in the layout, or anything else */
    bool opened;                       /* false: the link does not know it yet; phase and what follows needs are 0 */
    bool takes_file_alone;
    uint64_t needs; /* SHM_NEEDS_NONE: nothing */
    uint64_t acked_offset, durable_offset, sent_bytes, received_bytes;
    int64_t heard_ms;
};

/* What a region said at one moment. */
struct inspection {
    uint32_t version, control_bytes;
    bool ids_known; /* false: they were being changed all the time, or by a writer that was killed */
    char id[SHM_ID_BYTES], second_id[SHM_ID_BYTES];
    int64_t second_offset;
    uint64_t first, end, window_ring, ack_watch, durable_watch;
    struct {
        uint64_t sleeps, beats;
    } readers[SHM_READERS];
    uint64_t journal_file, journal_file_bytes, journal_error; /* as in the layout; file 0: none yet */
    int ring_count, spool_count, peer_count;
    struct inspected_ring rings[SHM_RINGS_MAX]; /* oldest first */
    struct inspected_spool spools[BACKLOG_SPOOLS_MAX];
    struct inspected_peer peers[BACKLOG_PEERS_MAX];
};

enum inspect_verdict {
    INSPECT_UNDERSTOOD,
    INSPECT_NO_BACKLOG,   /* not a control region, or one that its server had not made to the end */
    INSPECT_OTHER_VERSION /* only version and control_bytes are told */
};

enum inspect_verdict inspect_read(const struct region *r, struct inspection *out);

/* What the region itself does not say. */
struct inspect_surroundings {
    const char *name;
    struct owner owner;
    uint64_t memory_bytes;
    unsigned objects;
    int64_t now_ms; /* monotonic */
};

void inspect_print(const struct inspection *i, const struct inspect_surroundings *around, FILE *out);

/* argv[2] is a port or a name; without it all backlogs are shown. The exit status: 0, or 1 when there is none, or one
 * that cannot be shown (standard error says why). */
int inspect_main(int argc, char **argv);

#endif
