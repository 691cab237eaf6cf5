/* A rewrite of the append-only file, step by step. Pure: events and time in, at most one action out. Server process;
 * core/dataset/append_only_rewrite.c carries the actions out.
 *
 *   idle ──ask──▶ scheduled ──clear──▶ opening ──opened──▶ forking ──forked──▶ child ──ended──▶ switching ──▶ idle
 *                     │                   │                   │ ▲ busy           │                  │
 *                     ▼ withdraw          └──── failed, or withdrawn: undo ──────┴──────────────────┘
 *
 *   scheduled  something is in the way: another child, a transaction that is half in the stream, a back-off
 *   opening    a worker makes the new incremental, and puts it into the manifest on the disk
 *   forking    the child is about to see the dataset as of offset H; the stream from H + 1 on goes to the new file
 *   child      it writes the base
 *   switching  a worker renames the base and puts it into the manifest; what it replaces is history
 *
 * A rewrite that is withdrawn (the dataset is replaced, appendonly is turned off) is no failure. What a worker has
 * begun is waited for all the same: it holds the disk. */
#ifndef SLIPSTREAM_AOF_REWRITE_H
#define SLIPSTREAM_AOF_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

enum rewrite_state {
    REWRITE_IDLE,
    REWRITE_SCHEDULED,
    REWRITE_OPENING,
    REWRITE_FORKING,
    REWRITE_CHILD,
    REWRITE_SWITCHING,
    REWRITE_STATES
};

enum rewrite_event {
    REWRITE_ASK,
    REWRITE_CLEAR, /* nothing is in the way now */
    REWRITE_DONE,  /* the step under way has succeeded */
    REWRITE_BUSY,  /* forking: another child came first */
    REWRITE_FAILED,
    REWRITE_WITHDRAW
};

enum rewrite_action {
    REWRITE_NOTHING,
    REWRITE_OPEN,
    REWRITE_FORK,
    REWRITE_SWITCH,
    REWRITE_KILL,   /* the child: its end follows as REWRITE_FAILED or REWRITE_DONE */
    REWRITE_FINISH, /* it is complete */
    REWRITE_UNDO    /* it has failed or is not wanted: what it had made is of no use */
};

struct rewrite {
    enum rewrite_state state; /* set in rewrite.c alone */
    bool withdrawn;
    int64_t started_ms; /* of the one under way, or of the last one */
    int64_t failed_ms;  /* when the last one failed */
    int64_t last_s;     /* how long the last one took that got as far as its child; -1: none did */
    uint64_t completed;
    unsigned failures; /* in a row */
    bool last_ok;
};

void rewrite_init(struct rewrite *w);
/* An event that means nothing in this state changes nothing. now_ms: monotonic. */
enum rewrite_action rewrite_step(struct rewrite *w, enum rewrite_event event, int64_t now_ms);
bool rewrite_is_under_way(const struct rewrite *w); /* begun and not ended */
const char *rewrite_state_name(enum rewrite_state state);

/* --- when --- */

struct rewrite_sizes {
    uint64_t current_bytes; /* of base and incrementals */
    uint64_t base_bytes;    /* the same, behind the last rewrite, or at the start */
};

/* auto-aof-rewrite-percentage and -min-size, as in Redis: the files are larger than `least_bytes`, and by so many
 * percent larger than they were. 0 percent: never. *growth: by how many they are. */
bool rewrite_is_due(const struct rewrite_sizes *sizes, int percentage, int64_t least_bytes, int64_t *growth);

/* How long the next one has to wait behind so many failures in a row: from the third on a minute, then twice as long
 * each time, an hour at most. A rewrite that a person asks for waits for nothing. Redis's log says the same figures. */
int64_t rewrite_back_off_ms(unsigned failures);
bool rewrite_is_held_back(const struct rewrite *w, int64_t now_ms);

#endif
