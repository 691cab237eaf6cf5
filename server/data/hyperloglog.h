/* HyperLogLog: how many different elements a key has seen, in at most 12 KiB. A string of Redis's documented layout:
 *
 *   bytes     "HYLL" encoding(1) unused(3) cardinality(8, little-endian; its top bit set: out of date) registers
 *   dense     encoding 0: 16384 registers of 6 bits, low bits first
 *   sparse    encoding 1: runs of registers, in order
 *   run       00xxxxxx            xxxxxx + 1 registers of 0
 *             01xxxxxx yyyyyyyy   the same, 14 bits
 *             1vvvvvxx            xx + 1 registers of vvvvv + 1
 *
 * An element's MurmurHash64A names a register by its low 14 bits; the register keeps the longest run of zeros, and one,
 * that the bits above have begun with. The estimate is Otmar Ertl's ("New cardinality estimation algorithms for
 * HyperLogLog sketches", 2017). Sparse ones are edited run by run exactly as Redis does: the bytes are the same.
 *
 * Pure; server process. The bytes may come from anywhere: whatever walks them tells when they are broken. */
#ifndef SLIPSTREAM_DATA_HYPERLOGLOG_H
#define SLIPSTREAM_DATA_HYPERLOGLOG_H

#include "server/base/bytes.h"

#define HLL_REGISTERS    16384
#define HLL_HEADER_BYTES 16
#define HLL_DENSE_BYTES  (HLL_HEADER_BYTES + HLL_REGISTERS * 6 / 8)
/* No sparse one is longer, and no change makes one longer: the room that a `struct hll` needs. */
#define HLL_ROOM_BYTES (HLL_HEADER_BYTES + HLL_REGISTERS * 2)

/* One being changed. */
struct hll {
    uint8_t *data; /* HLL_ROOM_BYTES of the caller's; HLL_DENSE_BYTES do for a dense one */
    size_t len;
};

enum hll_outcome { HLL_SAME, HLL_CHANGED, HLL_BROKEN };

bool hll_recognized(struct bytes b); /* looks like one: header, encoding, and a dense one's length */
bool hll_is_dense(struct bytes b);

void hll_init(struct hll *h); /* an empty sparse one into h->data */
/* Counts an element. A sparse one that would pass sparse_max_bytes becomes dense. */
enum hll_outcome hll_add(struct hll *h, struct bytes element, uint64_t sparse_max_bytes);
/* Raises a register; to no more than 51. */
enum hll_outcome hll_raise(struct hll *h, unsigned index, unsigned value, uint64_t sparse_max_bytes);
bool hll_make_dense(struct hll *h); /* false: broken, unchanged */

/* The estimate kept in the header; false: out of date. */
bool hll_cached_count(struct bytes b, uint64_t *count);
void hll_cache_count(uint8_t *data, uint64_t count);
void hll_forget_count(uint8_t *data);

/* Raises registers to those of b. false: broken. */
bool hll_merge(uint8_t registers[HLL_REGISTERS], struct bytes b);
uint64_t hll_estimate(const uint8_t registers[HLL_REGISTERS]);

/* PFDEBUG DECODE: shows each run to visit in order. false: broken. */
enum hll_run_kind { HLL_RUN_ZERO, HLL_RUN_LONG_ZERO, HLL_RUN_VALUE };
struct hll_run {
    enum hll_run_kind kind;
    unsigned value, length; /* of so many registers; 1 to 16384 */
    unsigned bytes;         /* of the run itself */
};
bool hll_walk_runs(struct bytes sparse, void (*visit)(void *arg, const struct hll_run *run), void *arg);

#endif
