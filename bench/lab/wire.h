/* What a handshake says while it passes through the proxy: what a replica asks for, and what it is granted. Pure: bytes
 * in, words out; of each connection only its beginning is read.
 *
 * A replica writes RESP arrays, or for its first words plain lines; among them PSYNC with an id and an offset, or SYNC.
 * The answer is a line, +CONTINUE or +FULLRESYNC, or a snapshot's header where SYNC was asked. */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEAD_BYTES 4096
#define WIRE_ID_BYTES   41

enum granted { GRANTED_NOTHING, GRANTED_PARTIAL, GRANTED_FULL, GRANTED_REFUSAL };

struct handshake {
    bool asked; /* PSYNC or SYNC was seen */
    char id[WIRE_ID_BYTES];
    long long offset; /* as asked: of the first byte that it wants; -1: none */
    enum granted granted;
    char answer[96];

    char head_to_target[WIRE_HEAD_BYTES], head_to_caller[WIRE_HEAD_BYTES]; /* what has passed, as text */
    size_t to_target_bytes, to_caller_bytes;
    size_t answered_bytes; /* to the caller, that answer what was asked before, or that have been looked at */
};

bool handshake_is_over(const struct handshake *h); /* a resync was granted; after a refusal it may still be */

void handshake_feed(struct handshake *h, bool to_caller, const uint8_t *bytes, size_t len);
const char *granted_name(enum granted granted);

#endif
