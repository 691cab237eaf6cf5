/* When one replica has got what a server that is gone had published for it, and when it is given up. Link process.
 *
 * Pure: how far the replica has come, and the time go in; what is to be done comes out. The clock is monotonic. */
#ifndef SLIPSTREAM_REPL_LINK_DRAIN_H
#define SLIPSTREAM_REPL_LINK_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#define DRAIN_STALL_MS 5000  /* without a byte from or to it, a replica is given up */
#define DRAIN_MOST_MS  30000 /* and so is, after the server's end, whoever is still there */

struct drain {
    int64_t began_ms, moved_ms;
    uint64_t moved_bytes;
    bool end_said;
};

struct drain_view {
    bool out_of_reach;    /* what it waits for, nobody alive will bring */
    bool handed_over;     /* all that it is to have is in the kernel's hands */
    uint64_t moved_bytes; /* that its own kernel has taken, and that it has sent */
};

enum drain_step {
    DRAIN_WAIT,
    DRAIN_SAY_END,      /* nothing follows: it hears that behind the last byte, and closes */
    DRAIN_OUT_OF_REACH, /* these three: close now */
    DRAIN_STALLED,
    DRAIN_LATE
};

void drain_begin(struct drain *d, int64_t now_ms);
/* DRAIN_SAY_END comes once. After it the replica's own close is waited for: to close a socket with input that has not
 * been read resets the connection, and what is still under way is lost. */
enum drain_step drain_step(struct drain *d, const struct drain_view *view, int64_t now_ms);

#endif
