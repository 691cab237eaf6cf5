/* The RESP writer: replies into an output queue, in the caller's protocol version. Pure: no sockets, no clients.
 *
 * `struct reply` is the sink a command answers through: a client's socket queue, EXEC's list, a script's scratch queue,
 * or nothing (muted). A RESP3-only type falls back to what Redis answers in RESP2 (a map becomes a flat array, a double
 * a bulk string, a boolean 1 or 0, null the null bulk). */
#ifndef SLIPSTREAM_RESP_WRITER_H
#define SLIPSTREAM_RESP_WRITER_H

#include "server/base/outq.h"

/* Why replies are dropped: a bit each. */
enum reply_muted {
    REPLY_NOBODY_LISTENS = 1, /* a master's stream, a file being loaded, a connection that has gone */
    REPLY_UNWANTED = 2,       /* CLIENT REPLY OFF or SKIP: of answers, not of what is pushed */
};

/* Whoever owns a reply's output says how much may wait in it. He is asked before it takes another chunk. */
struct reply_guard {
    bool (*may_grow)(struct reply_guard *guard, size_t waiting_bytes);
    bool closed; /* it has said no: nothing more is taken, and what was written is no whole reply */
};

struct reply_deferred;

#define REPLY_ERROR_TEXT_BYTES 256

struct reply {
    struct outq *out;
    uint8_t protocol;                /* 2 or 3 */
    uint8_t muted;                   /* enum reply_muted; 0: replies are written */
    uint8_t muted_answers;           /* what `muted` was before the push being written */
    uint32_t errors;                 /* error replies written (also when muted): dispatch counts them as errorstats */
    char error_prefix[32];           /* first word of the last error: "ERR", "WRONGTYPE" ... */
    char *error_text;                /* takes as much of it, also when muted; NULL: nobody wants it */
    struct reply_guard *guard;       /* NULL: whatever is written is taken */
    struct reply_deferred *deferred; /* the innermost aggregate whose size is not known yet */
};

/* Nobody will read what is written: a loop that does nothing but answer may end. */
static inline bool reply_unheard(const struct reply *r)
{
    return r->muted || (r->guard && r->guard->closed);
}

void reply_simple(struct reply *r, const char *text); /* +text */
void reply_ok(struct reply *r);
/* `text` begins with its code: "ERR ...", "WRONGTYPE ..."; line ends become spaces. */
void reply_error(struct reply *r, const char *text);
void reply_errorf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *r, int64_t value);
void reply_bulk(struct reply *r, struct bytes value);
void reply_bulk_text(struct reply *r, const char *text);
void reply_bulkf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_bulk_integer(struct reply *r, int64_t value);                       /* the number as a bulk string */
void reply_null(struct reply *r);                                              /* $-1 or _ */
void reply_null_array(struct reply *r);                                        /* *-1 or _ */
void reply_double(struct reply *r, double value);                              /* bulk or , */
void reply_boolean(struct reply *r, bool value);                               /* :1/:0 or #t/#f */
void reply_verbatim(struct reply *r, struct bytes text, const char format[3]); /* "txt": bulk or = */
void reply_big_number(struct reply *r, struct bytes digits);
void reply_array(struct reply *r, size_t count);
void reply_map(struct reply *r, size_t pairs);         /* *2n or %n */
void reply_set(struct reply *r, size_t count);         /* *n or ~n */
void reply_raw(struct reply *r, struct bytes encoded); /* bytes that are already RESP */

/* *n or >n, and as many parts between the two: what is nobody's answer, and goes out where answers are not wanted. */
void reply_push_begin(struct reply *r, size_t count);
void reply_push_end(struct reply *r);

/* An aggregate whose size is known only at its end: elements go to a queue of their own in between. Nests. */
struct reply_deferred {
    struct outq *outer;
    struct outq inner;
    struct reply_deferred *enclosing;
};
void reply_deferred_begin(struct reply *r, struct reply_deferred *d);
void reply_deferred_array(struct reply *r, struct reply_deferred *d, size_t count);
void reply_deferred_map(struct reply *r, struct reply_deferred *d, size_t pairs);
void reply_deferred_set(struct reply *r, struct reply_deferred *d, size_t count);

/* A request in canonical form, as propagation and the replica's handshake send it. */
void resp_write_request(struct outq *out, uint32_t argc, const struct bytes *argv);

#endif
