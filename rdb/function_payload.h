/* Function libraries by themselves: the payload that FUNCTION DUMP answers with and FUNCTION RESTORE takes.
 * Server process.
 *
 *   (F5 source: string)* version(2) checksum(8)      little-endian; the checksum is the CRC-64 of everything before it
 *
 * Opcode and string are as in a file (rdb/format.h). */
#ifndef SLIPSTREAM_RDB_FUNCTION_PAYLOAD_H
#define SLIPSTREAM_RDB_FUNCTION_PAYLOAD_H

#include "rdb/dump.h"
#include "server/keyspace/libraries.h"

struct rdb_payload rdb_dump_libraries(const struct libraries *l, bool compress);

/* Reads an intact payload (rdb_payload_intact) and gives each source to take(), which may refuse it and say why. The
 * slices are valid until the call returns. 0, or -1 and `error`. */
int rdb_read_libraries(struct bytes payload,
                       int (*take)(void *context, struct bytes source, char error[LIBRARY_ERROR_BYTES]), void *context,
                       char error[LIBRARY_ERROR_BYTES]);

#endif
