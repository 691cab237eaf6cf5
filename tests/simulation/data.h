/* A node's data: the bytes of all that was ever applied to them, in order. Two nodes have the same data if these are
 * the same, so that what a history should have been can be seen byte by byte.
 *
 * Records are lines: "W<id> padding" a write, "P" the master's PING, "G" its REPLCONF GETACK. */
#ifndef SLIPSTREAM_SIMULATION_DATA_H
#define SLIPSTREAM_SIMULATION_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct data {
    uint8_t *bytes;
    size_t len, room;
    uint64_t writes; /* records of them */
};

#define RECORD_MAX 512

void data_clear(struct data *d);
void data_append(struct data *d, const uint8_t *bytes, size_t len); /* whole records */
void data_copy(struct data *to, const struct data *from);
bool data_begins_with(const struct data *d, const struct data *head);
bool data_has_write(const struct data *d, uint64_t id);
/* The length; its last byte is the line's end. */
size_t record_write(char out[RECORD_MAX], uint64_t id, size_t padding);

#endif
