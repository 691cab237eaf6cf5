/* Replies, as other servers send them: to the replica's handshake, to Sentinel, and back out of scripts. Server
 * process.
 *
 * One head at a time and no state: the caller walks an aggregate itself, and a reply that is not whole yet is simply
 * read again from its start, which is cheap because such replies are small. */
#include "server/resp/reader.h"

#include "server/base/number.h"

#define LINE_MAX_BYTES (64 * 1024) /* a line without an end by then is not RESP */

/* The text between the type byte and CR LF; *next is set behind it. */
static enum resp_status read_line(const uint8_t *input, size_t len, struct bytes *line, size_t *next)
{
    const uint8_t *end = memchr(input, '\n', len);
    if (!end) return len > LINE_MAX_BYTES ? RESP_ERROR : RESP_NEED_MORE;
    if (end - input < 2 || end[-1] != '\r') return RESP_ERROR;
    *line = bytes_make(input + 1, (size_t)(end - input) - 2);
    *next = (size_t)(end - input) + 1;
    return RESP_COMPLETE;
}

/* A length or count: not negative, but for the -1 of RESP2's nulls. */
static enum resp_status read_length(struct resp_value *out, struct bytes line)
{
    if (parse_i64(line, &out->integer) != 0) return RESP_ERROR;
    bool may_be_null = out->type == RESP_BULK || out->type == RESP_ARRAY;
    out->null = out->integer == -1 && may_be_null;
    if (out->null) out->integer = 0;
    return out->integer >= 0 ? RESP_COMPLETE : RESP_ERROR;
}

/* The payload behind a bulk's header, which ends at *consumed. */
static enum resp_status read_payload(const uint8_t *input, size_t len, struct resp_value *out, size_t *consumed)
{
    size_t start = *consumed, payload = (size_t)out->integer;
    if (len - start < 2 || len - start - 2 < payload) return RESP_NEED_MORE;
    if (memcmp(input + start + payload, "\r\n", 2) != 0) return RESP_ERROR;
    out->text = bytes_make(input + start, payload);
    *consumed = start + payload + 2;
    return RESP_COMPLETE;
}

static enum resp_status read_boolean(struct resp_value *out, struct bytes line)
{
    out->text = line;
    out->integer = bytes_equal(line, BYTES("t"));
    return out->integer || bytes_equal(line, BYTES("f")) ? RESP_COMPLETE : RESP_ERROR;
}

enum resp_status resp_reply_read(const uint8_t *input, size_t len, struct resp_value *out, size_t *consumed)
{
    struct bytes line;
    enum resp_status status;
    if (len == 0) return RESP_NEED_MORE;
    *out = (struct resp_value){.type = input[0]};
    switch (out->type) {
    case RESP_SIMPLE:
    case RESP_ERROR_REPLY:
    case RESP_DOUBLE:
    case RESP_BIG_NUMBER: return read_line(input, len, &out->text, consumed);
    case RESP_INTEGER:
        if ((status = read_line(input, len, &out->text, consumed)) != RESP_COMPLETE) return status;
        return parse_i64(out->text, &out->integer) == 0 ? RESP_COMPLETE : RESP_ERROR;
    case RESP_BOOLEAN:
        if ((status = read_line(input, len, &line, consumed)) != RESP_COMPLETE) return status;
        return read_boolean(out, line);
    case RESP_NULL:
        out->null = true;
        if ((status = read_line(input, len, &line, consumed)) != RESP_COMPLETE) return status;
        return line.len == 0 ? RESP_COMPLETE : RESP_ERROR;
    case RESP_BULK:
    case RESP_VERBATIM:
    case RESP_BLOB_ERROR:
        if ((status = read_line(input, len, &line, consumed)) != RESP_COMPLETE) return status;
        if ((status = read_length(out, line)) != RESP_COMPLETE || out->null) return status;
        return read_payload(input, len, out, consumed);
    case RESP_ARRAY:
    case RESP_MAP:
    case RESP_SET:
    case RESP_PUSH:
    case RESP_ATTRIBUTE:
        if ((status = read_line(input, len, &line, consumed)) != RESP_COMPLETE) return status;
        return read_length(out, line);
    }
    return RESP_ERROR;
}
