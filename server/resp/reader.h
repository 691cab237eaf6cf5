/* The RESP reader: requests (what clients and masters send) and replies (what servers answer). Pure: bytes in, slices
 * out.
 *
 * Requests come as arrays of bulk strings or as inline lines. The reader never copies: the slices of a complete request
 * point into the caller's input. When the input ends inside a request, the reader remembers how far it came as offsets
 * relative to the request's first byte, so the caller may move the bytes (keep them, append more, call again) and
 * nothing is parsed twice. */
#ifndef SLIPSTREAM_RESP_READER_H
#define SLIPSTREAM_RESP_READER_H

#include "server/base/bytes.h"

enum resp_status { RESP_COMPLETE, RESP_NEED_MORE, RESP_ERROR };

struct resp_limits {
    uint64_t max_bulk_bytes;  /* proto-max-bulk-len */
    uint32_t max_multibulk;   /* 1024 * 1024, or 10 before AUTH (Redis: "unauthenticated multibulk length") */
    uint64_t max_unauth_bulk; /* 16384 before AUTH, else 0 = no such limit */
    size_t max_inline_bytes;  /* 64 KiB */
};

#define RESP_USUAL_WORDS 1024 /* an argv of more is not kept for the next request */

struct resp_request {
    /* of a complete request */
    uint32_t argc;
    struct bytes *argv; /* owned by the reader; valid until the next resp_request_read on it; slices of the input */
    struct bytes raw;   /* the request's own bytes; empty for an inline request */
    /* Of RESP_NEED_MORE: total request bytes needed at least, 0 when unknown: a growth hint for large bulks. */
    size_t wanted;
    /* private */
    uint32_t capacity;    /* of argv */
    uint32_t done;        /* arguments complete so far */
    int64_t bulk_len;     /* length of the bulk being read, -1: its header is next */
    uint32_t multibulk;   /* arguments announced; 0: the header is next */
    size_t scanned;       /* bytes of this request already understood */
    uint8_t *inline_args; /* unescaped inline arguments */
    /* of RESP_ERROR, and last, where it is in nobody's way */
    char error[64]; /* "Protocol error: ..." without '-' and line end; held here, so that a reader may be moved */
};

void resp_request_init(struct resp_request *r);
void resp_request_free(struct resp_request *r);
/* Gives back what a complete request needed above the usual; its argv is not valid any more. */
void resp_request_rest(struct resp_request *r);
/* Whether a complete one has something to give back. */
static inline bool resp_request_is_large(const struct resp_request *r)
{
    return r->argc > RESP_USUAL_WORDS || !r->raw.ptr;
}
size_t resp_request_memory(const struct resp_request *r); /* bytes, beside the input */
/* Of a request that is not complete yet: how many bytes of it, from its first, are understood as an array's headers and
 * arguments. */
size_t resp_request_taken(const struct resp_request *r);
/* Reads one request from the start of input[0..len). COMPLETE sets *consumed (an empty line or "*0" completes with argc
 * 0). NEED_MORE consumes nothing: call again with the same bytes and more behind them. */
enum resp_status resp_request_read(struct resp_request *r, const uint8_t *input, size_t len,
                                   const struct resp_limits *limits, size_t *consumed);

/* --- replies: a pull parser over complete values, for the replica's handshake, Sentinel and scripts --- */
enum resp_type {
    RESP_SIMPLE = '+',
    RESP_ERROR_REPLY = '-',
    RESP_INTEGER = ':',
    RESP_BULK = '$',
    RESP_ARRAY = '*',
    RESP_NULL = '_',
    RESP_DOUBLE = ',',
    RESP_BOOLEAN = '#',
    RESP_BIG_NUMBER = '(',
    RESP_VERBATIM = '=',
    RESP_MAP = '%',
    RESP_SET = '~',
    RESP_PUSH = '>',
    RESP_ATTRIBUTE = '|',
    RESP_BLOB_ERROR = '!'
};

struct resp_value {
    enum resp_type type;
    bool null;         /* $-1, *-1, _ */
    struct bytes text; /* of every scalar: the payload as sent */
    int64_t integer;   /* of ':' and '#' ; of aggregates: number of elements (pairs for maps and attributes) */
};

/* One value's head (for an aggregate: its header only; its elements follow in the input). */
enum resp_status resp_reply_read(const uint8_t *input, size_t len, struct resp_value *out, size_t *consumed);

#endif
