/* What the commands on bits share: bit offsets, and strings that are about to have bits set. */
#ifndef SLIPSTREAM_COMMANDS_BIT_KEY_H
#define SLIPSTREAM_COMMANDS_BIT_KEY_H

#include "server/core/run/call.h"

/* A bit's offset, within what proto-max-bulk-len allows a string. "#n", where number_bits is not 0, is the n-th number
 * of so many bits. false: answered. */
bool bit_offset_argument(struct call *call, uint32_t arg, unsigned number_bits, uint64_t *out);

/* The string at argv[1], made or grown so that it holds a bit; *data is writable. Returns whether that changed its
 * length. r: what is there now; NULL: nothing. */
bool bit_key_reach(struct call *call, struct record *r, uint64_t bit, uint8_t **data);

void bit_key_written(struct call *call, struct bytes key, const char *event, uint64_t changes);

/* BITFIELD and BITFIELD_RO; their rows stand with the others in bitmaps.c. */
void bitfield_command(struct call *call);
void bitfield_ro_command(struct call *call);
int bitfield_find_keys(uint32_t argc, const struct bytes *argv, struct found_key *keys);

#endif
