/* Frames of commands. Journal process; pure. */
#include "server/aof/journal/frames.h"

#define SHORT_DIGITS    5
#define LINE_MOST_BYTES (1 + SHORT_DIGITS + LINE_END_BYTES) /* of a count or length with so many digits */
#define LINE_END_BYTES  2
#define NUMBER_MOST     (UINT64_MAX / 16)

/* The bytes behind a count or a length; NULL: there is none. */
static const uint8_t *pass_number(const uint8_t *p, const uint8_t *end, uint8_t prefix, uint64_t *out)
{
    if (p == end || *p++ != prefix) return NULL;
    const uint8_t *digits = p;
    for (*out = 0; p < end && *p >= '0' && *p <= '9' && *out < NUMBER_MOST; p++)
        *out = *out * 10 + (*p - (unsigned)'0');
    if (p == digits || end - p < LINE_END_BYTES || p[0] != '\r' || p[1] != '\n') return NULL;
    return p + LINE_END_BYTES;
}

static enum frame_kind kind_of(struct bytes name)
{
    if (name.len == 4) {
        if (bytes_equal_nocase(name, "exec")) return FRAME_EXEC;
        if (bytes_equal_nocase(name, "ping")) return FRAME_NO_DATA;
    } else if (name.len == 5) {
        if (bytes_equal_nocase(name, "multi")) return FRAME_MULTI;
    } else if (name.len == 7) {
        if (bytes_equal_nocase(name, "publish")) return FRAME_NO_DATA;
    } else if (name.len == 8) {
        if (bytes_equal_nocase(name, "replconf") || bytes_equal_nocase(name, "spublish")) return FRAME_NO_DATA;
    }
    return FRAME_DATA;
}

enum frame_kind frame_kind(struct bytes head)
{
    const uint8_t *end = head.ptr + head.len;
    uint64_t count, length;
    const uint8_t *p = pass_number(head.ptr, end, '*', &count);
    if (!p || count == 0) return FRAME_BAD;
    p = pass_number(p, end, '$', &length);
    if (!p) return FRAME_BAD;
    return length <= (uint64_t)(end - p) ? kind_of(bytes_make(p, length)) : FRAME_DATA;
}

/* As most are: of one to five digits. */
static inline const uint8_t *pass_short_number(const uint8_t *p, uint8_t prefix, uint64_t *out)
{
    uint64_t number = p[1] - (unsigned)'0';
    if (p[0] != prefix || number > 9) return NULL;
    p += 2;
    for (int more = 0; more < SHORT_DIGITS - 1 && (unsigned)(*p - '0') <= 9; more++)
        number = number * 10 + (*p++ - (unsigned)'0');
    *out = number;
    return p[0] == '\r' && p[1] == '\n' ? p + LINE_END_BYTES : NULL;
}

const uint8_t *frame_whole(const uint8_t *p, const uint8_t *end, enum frame_kind *kind)
{
    uint64_t count, length;
    if (end - p < LINE_MOST_BYTES) return NULL;
    p = pass_short_number(p, '*', &count);
    if (!p || count == 0) return NULL;
    for (uint64_t left = count; left > 0; left--) {
        if (end - p < LINE_MOST_BYTES) return NULL;
        p = pass_short_number(p, '$', &length);
        if (!p || (uint64_t)(end - p) < length + LINE_END_BYTES) return NULL;
        if (left == count) *kind = kind_of(bytes_make(p, length));
        p += length + LINE_END_BYTES;
    }
    return p;
}

void frame_begin(struct frame *f)
{
    *f = (struct frame){.state = FRAME_COUNT};
}

/* A line of prefix, digits, CR and LF, by single bytes. Returns what was passed over; state BYTES or LENGTH:
 * it is read. */
static size_t pass_line(struct frame *f, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        uint8_t c = data[at];
        if (c >= '0' && c <= '9' && f->number < NUMBER_MOST) {
            f->number = f->number * 10 + (c - (unsigned)'0');
        } else if (c == '\n') {
            if (f->state == FRAME_COUNT) {
                f->arguments_left = f->number;
                f->state = f->number ? FRAME_LENGTH : FRAME_OUTSIDE;
            } else {
                f->bytes_left = f->number + LINE_END_BYTES;
                f->state = FRAME_BYTES;
            }
            f->number = 0;
            return at + 1;
        } else if (c != '\r' && c != (f->state == FRAME_COUNT ? '*' : '$')) {
            f->state = FRAME_BROKEN;
            return at;
        }
    }
    return len;
}

static size_t pass_bytes(struct frame *f, size_t len)
{
    size_t n = f->bytes_left < len ? f->bytes_left : len;
    f->bytes_left -= n;
    if (f->bytes_left == 0) f->state = --f->arguments_left ? FRAME_LENGTH : FRAME_OUTSIDE;
    return n;
}

size_t frame_pass(struct frame *f, const uint8_t *data, size_t len)
{
    size_t at = 0;
    while (at < len && f->state != FRAME_OUTSIDE && f->state != FRAME_BROKEN)
        at += f->state == FRAME_BYTES ? pass_bytes(f, len - at) : pass_line(f, data + at, len - at);
    return at;
}
