/* Replies, written straight into the output queue that will be sent. Every command passes here: the common replies make
 * one reservation and write their bytes into it. Server process. */
#include "server/resp/writer.h"

#include <endian.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/number.h"

#define HEADER_MAX_BYTES (1 + I64_TEXT_MAX + 2) /* type byte, number, CR LF */
#define LINE_END         ((uint64_t)'\r' | (uint64_t)'\n' << 8)
#define LARGE_BULK_BYTES 2048 /* a larger value is appended in pieces, so that no chunk's rest is wasted */
#define FORMAT_BYTES     512  /* formatted text that needs no heap */

static inline uint8_t *put(uint8_t *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

static inline uint8_t *put_line_end(uint8_t *at)
{
    return put(at, "\r\n", 2);
}

/* `<type><number>\r\n`, at most HEADER_MAX_BYTES, all of which may be written to. */
static inline uint8_t *put_header(uint8_t *at, char type, int64_t number)
{
    *at++ = (uint8_t)type;
    if (likely((uint64_t)number < 100)) {
        uint64_t tens = (uint64_t)number / 10, text = (uint64_t)('0' + number % 10) | LINE_END << 8;
        if (tens) text = text << 8 | (tens + '0');
        text = htole64(text);
        memcpy(at, &text, sizeof text);
        return at + (tens ? 4 : 3);
    }
    at += format_i64((char *)at, number);
    return put_line_end(at);
}

/* As put(), without a call for what is short. */
static inline uint8_t *put_short(uint8_t *at, const uint8_t *data, size_t len)
{
    if (len > 32) return put(at, data, len);
    if (len >= 16) {
        memcpy(at, data, 16);
        memcpy(at + len - 16, data + len - 16, 16);
    } else if (len >= 8) {
        memcpy(at, data, 8);
        memcpy(at + len - 8, data + len - 8, 8);
    } else if (len >= 4) {
        memcpy(at, data, 4);
        memcpy(at + len - 4, data + len - 4, 4);
    } else if (len) {
        at[0] = data[0];
        at[len / 2] = data[len / 2];
        at[len - 1] = data[len - 1];
    }
    return at + len;
}

static inline uint8_t *put_bulk(uint8_t *at, struct bytes value)
{
    return put_line_end(put_short(put_header(at, '$', (int64_t)value.len), value.ptr, value.len));
}

/* --- room --- */

static size_t waiting_bytes(const struct reply *r)
{
    const struct outq *outermost = r->out;
    size_t waiting = 0;
    for (const struct reply_deferred *d = r->deferred; d; d = d->enclosing) {
        waiting += outq_pending(&d->inner);
        outermost = d->outer;
    }
    return waiting + outq_pending(outermost);
}

/* The first chunk is free. */
static bool may_grow(struct reply *r, size_t n)
{
    struct reply_guard *guard = r->guard;
    if (!guard) return true;
    if (guard->closed) return false;
    if (!r->deferred && outq_empty(r->out) && n < OUTQ_CHUNK_BYTES) return true;
    guard->closed = !guard->may_grow(guard, waiting_bytes(r) + n);
    return !guard->closed;
}

static __attribute__((noinline)) uint8_t *grow(struct reply *r, size_t n)
{
    return may_grow(r, n) ? outq_grow(r->out, n) : NULL;
}

/* NULL: nothing may be written any more. */
static inline uint8_t *reserve(struct reply *r, size_t n)
{
    struct outq *out = r->out;
    if (likely((size_t)(out->limit - out->cursor) >= n && out->cursor)) return out->cursor;
    return grow(r, n);
}

static void append(struct reply *r, const void *data, size_t len)
{
    size_t room = (size_t)(r->out->limit - r->out->cursor);
    if (len <= room || may_grow(r, len - room)) outq_append(r->out, data, len);
}

static void write_header(struct reply *r, char type, int64_t number)
{
    uint8_t *at = reserve(r, HEADER_MAX_BYTES);
    if (at) outq_commit(r->out, put_header(at, type, number));
}

static inline void write_bulk(struct reply *r, struct bytes value)
{
    if (likely(value.len < LARGE_BULK_BYTES)) {
        uint8_t *at = reserve(r, HEADER_MAX_BYTES + value.len + 2);
        if (at) outq_commit(r->out, put_bulk(at, value));
        return;
    }
    write_header(r, '$', (int64_t)value.len);
    append(r, value.ptr, value.len);
    append(r, "\r\n", 2);
}

/* `<type><text>\r\n` */
static void write_line(struct reply *r, char type, struct bytes text)
{
    uint8_t *at = reserve(r, 1 + text.len + 2);
    if (!at) return;
    *at++ = (uint8_t)type;
    outq_commit(r->out, put_line_end(put(at, text.ptr, text.len)));
}

static inline void write_literal(struct reply *r, const char *text, size_t len)
{
    uint8_t *at = reserve(r, len);
    if (at) outq_commit(r->out, put(at, text, len));
}

#define WRITE_LITERAL(r, literal) write_literal(r, literal, sizeof(literal) - 1)

/* --- scalars --- */

void reply_simple(struct reply *r, const char *text)
{
    if (r->muted) return;
    write_line(r, '+', bytes_from_text(text));
}

void reply_ok(struct reply *r)
{
    if (r->muted) return;
    WRITE_LITERAL(r, "+OK\r\n");
}

static void note_error(struct reply *r, const char *text)
{
    size_t len = strcspn(text, " \r\n");
    if (len >= sizeof(r->error_prefix)) len = sizeof(r->error_prefix) - 1;
    memcpy(r->error_prefix, text, len);
    r->error_prefix[len] = 0;
    r->errors++;
    if (unlikely(r->error_text != NULL)) snprintf(r->error_text, REPLY_ERROR_TEXT_BYTES, "%s", text);
}

void reply_error(struct reply *r, const char *text)
{
    note_error(r, text);
    if (r->muted) return;
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n')) len--;
    uint8_t *at = reserve(r, 1 + len + 2);
    if (!at) return;
    *at++ = '-';
    for (size_t i = 0; i < len; i++) *at++ = text[i] == '\r' || text[i] == '\n' ? ' ' : (uint8_t)text[i];
    outq_commit(r->out, put_line_end(at));
}

/* Text put together from a format: in `room` when it is short, else on the heap. format_free gives it back. */
static char *format_text(char room[FORMAT_BYTES], size_t *len, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int wanted = vsnprintf(room, FORMAT_BYTES, format, args);
    CHECK(wanted >= 0);
    *len = (size_t)wanted;
    char *text = room;
    if (*len >= FORMAT_BYTES) {
        text = mem_alloc(*len + 1);
        vsnprintf(text, *len + 1, format, again);
    }
    va_end(again);
    return text;
}

static void format_free(char *text, const char *room)
{
    if (text != room) mem_free(text);
}

void reply_errorf(struct reply *r, const char *format, ...)
{
    char room[FORMAT_BYTES];
    size_t len;
    va_list args;
    va_start(args, format);
    char *text = format_text(room, &len, format, args);
    va_end(args);
    reply_error(r, text);
    format_free(text, room);
}

void reply_integer(struct reply *r, int64_t value)
{
    if (r->muted) return;
    write_header(r, ':', value);
}

void reply_bulk(struct reply *r, struct bytes value)
{
    if (r->muted) return;
    write_bulk(r, value);
}

void reply_bulk_text(struct reply *r, const char *text)
{
    reply_bulk(r, bytes_from_text(text));
}

void reply_bulkf(struct reply *r, const char *format, ...)
{
    if (r->muted) return;
    char room[FORMAT_BYTES];
    size_t len;
    va_list args;
    va_start(args, format);
    char *text = format_text(room, &len, format, args);
    va_end(args);
    write_bulk(r, bytes_make(text, len));
    format_free(text, room);
}

void reply_bulk_integer(struct reply *r, int64_t value)
{
    if (r->muted) return;
    char text[I64_TEXT_MAX];
    write_bulk(r, bytes_make(text, format_i64(text, value)));
}

void reply_null(struct reply *r)
{
    if (r->muted) return;
    if (r->protocol == 3) {
        WRITE_LITERAL(r, "_\r\n");
    } else {
        WRITE_LITERAL(r, "$-1\r\n");
    }
}

void reply_null_array(struct reply *r)
{
    if (r->muted) return;
    if (r->protocol == 3) {
        WRITE_LITERAL(r, "_\r\n");
    } else {
        WRITE_LITERAL(r, "*-1\r\n");
    }
}

void reply_double(struct reply *r, double value)
{
    if (r->muted) return;
    char text[DOUBLE_TEXT_MAX];
    struct bytes number = bytes_make(text, format_double(text, value));
    if (r->protocol == 3) {
        write_line(r, ',', number);
    } else {
        write_bulk(r, number);
    }
}

void reply_boolean(struct reply *r, bool value)
{
    if (r->muted) return;
    if (r->protocol == 3) {
        write_line(r, '#', value ? BYTES("t") : BYTES("f"));
    } else {
        write_header(r, ':', value);
    }
}

void reply_verbatim(struct reply *r, struct bytes text, const char format[3])
{
    if (r->muted) return;
    if (r->protocol == 2) {
        write_bulk(r, text);
        return;
    }
    write_header(r, '=', (int64_t)text.len + 4);
    append(r, format, 3);
    append(r, ":", 1);
    append(r, text.ptr, text.len);
    append(r, "\r\n", 2);
}

void reply_big_number(struct reply *r, struct bytes digits)
{
    if (r->muted) return;
    if (r->protocol == 3) {
        write_line(r, '(', digits);
    } else {
        write_bulk(r, digits);
    }
}

void reply_raw(struct reply *r, struct bytes encoded)
{
    if (r->muted) return;
    append(r, encoded.ptr, encoded.len);
}

/* --- aggregates --- */

void reply_array(struct reply *r, size_t count)
{
    if (r->muted) return;
    write_header(r, '*', (int64_t)count);
}

void reply_map(struct reply *r, size_t pairs)
{
    if (r->muted) return;
    if (r->protocol == 3) {
        write_header(r, '%', (int64_t)pairs);
    } else {
        write_header(r, '*', (int64_t)pairs * 2);
    }
}

void reply_set(struct reply *r, size_t count)
{
    if (r->muted) return;
    write_header(r, r->protocol == 3 ? '~' : '*', (int64_t)count);
}

void reply_push_begin(struct reply *r, size_t count)
{
    r->muted_answers = r->muted;
    r->muted &= (uint8_t)~REPLY_UNWANTED;
    if (r->muted) return;
    write_header(r, r->protocol == 3 ? '>' : '*', (int64_t)count);
}

void reply_push_end(struct reply *r)
{
    r->muted = r->muted_answers;
}

void reply_deferred_begin(struct reply *r, struct reply_deferred *d)
{
    *d = (struct reply_deferred){.outer = r->out, .enclosing = r->deferred};
    r->out = &d->inner;
    r->deferred = d;
}

/* The header goes to the outer queue, by the same function that writes it when the count is known, the elements behind
 * it. */
static void deferred_end(struct reply *r, struct reply_deferred *d, void (*header)(struct reply *, size_t),
                         size_t count)
{
    r->out = d->outer;
    r->deferred = d->enclosing;
    header(r, count);
    if (reply_unheard(r))
        outq_clear(&d->inner);
    else
        outq_move(r->out, &d->inner);
}

void reply_deferred_array(struct reply *r, struct reply_deferred *d, size_t count)
{
    deferred_end(r, d, reply_array, count);
}

void reply_deferred_map(struct reply *r, struct reply_deferred *d, size_t pairs)
{
    deferred_end(r, d, reply_map, pairs);
}

void reply_deferred_set(struct reply *r, struct reply_deferred *d, size_t count)
{
    deferred_end(r, d, reply_set, count);
}

/* --- requests --- */

void resp_write_request(struct outq *out, uint32_t argc, const struct bytes *argv)
{
    struct reply unguarded = {.out = out};
    write_header(&unguarded, '*', argc);
    for (uint32_t i = 0; i < argc; i++) write_bulk(&unguarded, argv[i]);
}
