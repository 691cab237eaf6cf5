/* A master that a test plays by hand: it takes a replica in and says whatever the test wants said. */
#ifndef HARNESS_FAKE_MASTER_H
#define HARNESS_FAKE_MASTER_H

#include <stddef.h>

struct fake_master {
    int port, listener;
    int fd;            /* the replica's connection; -1: none */
    char asked_id[64]; /* by the last PSYNC: "?" is a full resync */
    long long asked_offset;
};

#define FAKE_MASTER_ID "0123456789012345678901234567890123456789"

void fake_master_open(struct fake_master *m);
/* Waits for a replica and answers its handshake up to PSYNC, which is left to the test. */
void fake_master_take_in(struct fake_master *m);
/* +FULLRESYNC at offset 1000, and this snapshot. */
void fake_master_send_dataset(struct fake_master *m, const char *snapshot, size_t len);
void fake_master_send(struct fake_master *m, const char *text);
/* Reads what the replica says until it acknowledges that offset, or another one above it, or closes (-1).
 * The offset. */
long long fake_master_wait_ack(struct fake_master *m, long long offset);
void fake_master_drop(struct fake_master *m); /* the connection */
void fake_master_close(struct fake_master *m);

#endif
