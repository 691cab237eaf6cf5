/* Function libraries to and from payloads. Server process. */
#include "rdb/function_payload.h"

#include <stdio.h>

#include "rdb/decode.h"
#include "rdb/encode.h"
#include "rdb/format.h"

struct rdb_payload rdb_dump_libraries(const struct libraries *l, bool compress)
{
    struct rdb_payload payload = {0};
    struct rdb_encoder out;
    rdb_encoder_init_small(&out, compress, true, rdb_payload_append, &payload);
    for (size_t i = 0; i < l->count; i++) {
        rdb_put_u8(&out, RDB_OPCODE_FUNCTION);
        rdb_put_string(&out, l->sources[i]);
    }
    rdb_put_u8(&out, RDB_VERSION_FUNCTION);
    rdb_put_u8(&out, 0);
    rdb_put_checksum(&out);
    rdb_encoder_free(&out);
    return payload;
}

/* A library's source, behind its opcode. The words of the errors are Redis's. */
static int read_library(struct rdb_cursor *in, struct bytes *source, char error[LIBRARY_ERROR_BYTES])
{
    const char *why = NULL;
    uint8_t opcode;
    if (!rdb_read_u8(in, &opcode))
        why = "failed loading type";
    else if (opcode == RDB_OPCODE_FUNCTION_PRE_GA)
        why = "Pre-release function format not supported";
    else if (opcode != RDB_OPCODE_FUNCTION)
        why = "given type is not a function";
    else if (!rdb_read_bytes(in, source))
        why = "Failed loading library payload";
    if (why) snprintf(error, LIBRARY_ERROR_BYTES, "%s", why);
    return why ? -1 : 0;
}

int rdb_read_libraries(struct bytes payload,
                       int (*take)(void *context, struct bytes source, char error[LIBRARY_ERROR_BYTES]), void *context,
                       char error[LIBRARY_ERROR_BYTES])
{
    struct rdb_cursor in = {
        .window = payload.ptr, .at = payload.ptr, .end = payload.ptr + payload.len - RDB_PAYLOAD_FOOTER_BYTES};
    int status = 0;
    while (status == 0 && in.at < in.end) {
        struct bytes source;
        status = read_library(&in, &source, error);
        if (status == 0) status = take(context, source, error);
    }
    rdb_arena_release(&in);
    return status;
}
