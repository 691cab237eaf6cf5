/* The control region's layout: every field the server, the snapshot child, the link and an inspecting tool share.
 *
 * One region, one writer of each field. `rel` is a release store that readers match with an acquire load; `rlx` is
 * relaxed; `seq` is sequentially consistent. The server is the writer of the backlog; the link is the reader that moves
 * peers on.
 *
 *   offset  field                 written by                     order
 *   0       magic                 server, last at creation       rel: the rest of the identity is there
 *   8       version               server, at creation            before magic
 *   12      control_bytes         server, at creation            before magic
 *   16      writer_pid            server, at creation            before magic
 *   24      writer_start_ticks    server, at creation            before magic
 *   32      name                  server, at creation            before magic
 *   128     history_turn          server                         odd while the history fields change (a sequence lock)
 *   136     second_offset         server                         under history_turn
 *   144     id, second_id         server                         under history_turn
 *   256     first                 server                         rlx: where the window begins
 *   264     end                   server                         rel: bytes below it, and the rings' entries, are there
 *   272     window_ring           server                         rel: rings with a lower number are not of this window
 *   320     link_asleep           link sets, server and child    seq: see doorbell.h
 *                                 clear
 *   328     link_beats            link                           rlx: grows while its loop turns
 *   384     ack_watch             server                         seq: against a peer's acked_offset
 *   512     rings[]               server                         number rel and last; the entry of a dropped ring gets
 * 0 first 2560    spools[].state        server                         rel spools[].bytes        snapshot child rel: so
 * much of the file is written 3072    peers[].state         server claims, dooms, frees;   seq; the link only by
 * compare-and-swap, so that it never link moves it on               undoes a doom peers[].next_offset   server at
 * claim, then link     rel: below it the link reads nothing any more peers[] other         server zeroes at claim, then
 * rlx; acked_offset seq against ack_watch link
 *
 * Rings are regions of their own, numbered 1, 2, 3 ... and each described by one entry of rings[]; offset o of the
 * stream stands in its ring at o modulo the ring's size. */
#ifndef SLIPSTREAM_SHM_LAYOUT_H
#define SLIPSTREAM_SHM_LAYOUT_H

#include "shm/backlog.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SHM_MAGIC      UINT64_C(0x6d72747370696c53) /* "Slipstrm" */
#define SHM_VERSION    2
#define SHM_RINGS_MAX  64
#define SHM_NAME_BYTES 96
#define SHM_ID_BYTES   48

#define SHM_OPEN_END   UINT64_MAX /* the newest ring's end */
#define SHM_NEEDS_NONE UINT64_MAX /* next_offset of a peer that the link has let go, or that takes a file alone */

struct shm_ring {
    _Atomic uint64_t number; /* 0: no ring here */
    _Atomic uint64_t first;  /* offset of the first byte written to it */
    _Atomic uint64_t end;    /* offset behind its last byte, SHM_OPEN_END while it is the newest */
    _Atomic uint64_t size;   /* in bytes */
};

struct shm_spool {
    _Atomic uint32_t state; /* enum backlog_spool_state */
    uint32_t unused;
    _Atomic uint64_t bytes;
    uint8_t pad[48];
};

struct shm_peer {
    _Atomic uint32_t state; /* enum backlog_peer_state */
    uint8_t pad[60];
    _Atomic uint64_t next_offset;
    _Atomic uint64_t acked_offset;
    _Atomic uint64_t fack_offset;
    _Atomic int64_t heard_ms; /* monotonic: one clock for all processes of a machine */
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t received_bytes;
    uint8_t pad2[16];
};

struct shm_control {
    _Atomic uint64_t magic;
    uint32_t version;
    uint32_t control_bytes;
    int32_t writer_pid;
    uint32_t unused;
    uint64_t writer_start_ticks; /* since boot, as in /proc/<pid>/stat: tells a pid's second use apart */
    char name[SHM_NAME_BYTES];

    _Atomic uint64_t history_turn;
    int64_t second_offset;
    char id[SHM_ID_BYTES], second_id[SHM_ID_BYTES];
    uint8_t pad_history[16];

    _Atomic uint64_t first;
    _Atomic uint64_t end;
    _Atomic uint64_t window_ring;
    uint8_t pad_window[40];

    _Atomic uint32_t link_asleep; /* the number of the sleep; 0: awake, or rung for */
    uint32_t unused_asleep;
    _Atomic uint64_t link_beats;
    uint8_t pad_asleep[48];

    _Atomic uint64_t ack_watch;
    uint8_t pad_watch[120];

    struct shm_ring rings[SHM_RINGS_MAX];
    struct shm_spool spools[BACKLOG_SPOOLS_MAX];
    uint8_t pad_spools[256];
    struct shm_peer peers[BACKLOG_PEERS_MAX];
};

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics in shared memory must be lock-free");
static_assert(sizeof(struct shm_ring) == 32, "layout");
static_assert(sizeof(struct shm_spool) == 64, "one cache line");
static_assert(sizeof(struct shm_peer) == 128, "two cache lines");
static_assert(offsetof(struct shm_peer, next_offset) == 64, "the link's line is its own");
static_assert(offsetof(struct shm_control, writer_pid) == 16, "layout");
static_assert(offsetof(struct shm_control, writer_start_ticks) == 24, "layout");
static_assert(offsetof(struct shm_control, name) == 32, "layout");
static_assert(offsetof(struct shm_control, history_turn) == 128, "layout");
static_assert(offsetof(struct shm_control, id) == 144, "layout");
static_assert(offsetof(struct shm_control, first) == 256, "layout");
static_assert(offsetof(struct shm_control, window_ring) == 272, "layout");
static_assert(offsetof(struct shm_control, link_asleep) == 320, "layout");
static_assert(offsetof(struct shm_control, link_beats) == 328, "layout");
static_assert(offsetof(struct shm_control, ack_watch) == 384, "layout");
static_assert(offsetof(struct shm_control, rings) == 512, "layout");
static_assert(offsetof(struct shm_control, spools) == 2560, "layout");
static_assert(offsetof(struct shm_control, peers) == 3072, "layout");
static_assert(sizeof(struct shm_control) == 3072 + 128 * BACKLOG_PEERS_MAX, "layout");

#endif
