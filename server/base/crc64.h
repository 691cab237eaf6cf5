/* CRC-64 (Jones): polynomial 0xad93d23594c935a9 reflected, initial value 0, no final xor. The checksum of RDB and DUMP.
 * crc64(0, "123456789") == 0xe9c6d914c4b8d9ca. */
#ifndef SLIPSTREAM_BASE_CRC64_H
#define SLIPSTREAM_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

uint64_t crc64(uint64_t crc, const void *data, size_t len); /* slicing tables or carry-less multiply, chosen at start */

#endif
