/* One try of one cell of the grid: the scene is set, the fault strikes, and what happens is
 * compared with what should. */
#ifndef LAB_TRY_H
#define LAB_TRY_H

#include "bench/lab/faults/faults.h"
#include "bench/lab/predict.h"
#include "bench/lab/track.h"

struct cell {
    const struct contestant *master, *replica;
    const struct fault *fault;
    int length_ms;
    uint64_t bytes_per_s; /* written while it lasts */
    uint64_t backlog_bytes;
    long keys;
    int value_bytes;
    int timeout_s;
};

enum verdict {
    VERDICT_AS_PREDICTED,
    VERDICT_FINDING,  /* a server said one thing and did another, or the data differ */
    VERDICT_NOT_HERE, /* these servers cannot have this fault */
    VERDICT_FAILED    /* the try could not be made */
};

struct try_result {
    enum verdict verdict;
    char sentence[640]; /* why: one sentence; "" where all was as predicted */
    struct prediction predicted;
    enum granted on_wire, by_info;
    char answer[96]; /* the master's, on the wire */
    uint64_t seed;
    int fault_from_ms, fault_to_ms, caught_up_at_ms; /* on the track; -1: it never caught up */
    double caught_up_ms;          /* from healed on; where it heals itself, from struck to answered; -1 */
    uint64_t bytes_again;         /* to the replica, from healed on */
    long long forks;              /* of the master; -1: it does not say */
    uint64_t writes_acknowledged; /* while the fault lasted */
    int64_t writes_lost;          /* of these, at the master of the end; -1: no master was given up */
    bool data_equal;
    struct track track;
};

void try_cell(const struct cell *cell, uint64_t seed, struct try_result *out);
const char *verdict_name(enum verdict verdict);

#endif
