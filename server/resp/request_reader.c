/* Requests, as clients, masters and AOF files send them. Every single command passes here: lengths are read digit by
 * digit in place, and only what is unusual takes the slow way. Any process.
 *
 * While a request is incomplete its arguments are kept as offsets from its first byte (in the `ptr` of their slices,
 * which nobody else sees yet), because the caller may move its buffer between two calls. */
#include "server/resp/reader.h"

#include <ctype.h>
#include <stdio.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/number.h"

#define HEADER_MAX_BYTES  (64 * 1024) /* a count or length that has no line end by then is refused */
#define FAST_DIGITS       9           /* they cannot overflow 32 bits */
#define FIRST_CAPACITY    8
#define MULTIBULK_CEILING INT32_MAX
#define LINE_END_BYTES    2

void resp_request_init(struct resp_request *r)
{
    *r = (struct resp_request){.bulk_len = -1};
}

void resp_request_free(struct resp_request *r)
{
    mem_free(r->argv);
    mem_free(r->inline_args);
    resp_request_init(r);
}

size_t resp_request_memory(const struct resp_request *r)
{
    return r->capacity * sizeof *r->argv + (r->inline_args ? mem_size(r->inline_args) : 0);
}

size_t resp_request_taken(const struct resp_request *r)
{
    return r->multibulk ? r->scanned : 0;
}

static enum resp_status fail(struct resp_request *r, const char *error)
{
    snprintf(r->error, sizeof(r->error), "%s", error);
    return RESP_ERROR;
}

static enum resp_status need_more(struct resp_request *r, size_t wanted)
{
    r->wanted = wanted;
    return RESP_NEED_MORE;
}

static enum resp_status complete(struct resp_request *r, uint32_t argc, size_t *consumed, size_t end)
{
    r->argc = argc;
    r->done = 0;
    r->multibulk = 0;
    r->scanned = 0;
    *consumed = end;
    return RESP_COMPLETE;
}

static void push_argument(struct resp_request *r, size_t offset, size_t len)
{
    if (unlikely(r->done == r->capacity)) {
        r->capacity = r->capacity ? r->capacity * 2 : FIRST_CAPACITY;
        r->argv = mem_realloc(r->argv, r->capacity * sizeof(*r->argv));
    }
    r->argv[r->done++] = (struct bytes){(const uint8_t *)(uintptr_t)offset, len};
}

static void offsets_to_slices(struct resp_request *r, const uint8_t *base)
{
    for (uint32_t i = 0; i < r->done; i++) r->argv[i].ptr = base + (uintptr_t)r->argv[i].ptr;
}

/* --- headers: '*' or '$', a number, CR LF --- */

enum header { HEADER_OK, HEADER_INCOMPLETE, HEADER_TOO_LONG, HEADER_INVALID };

/* Whatever is not a few digits with their line end behind them. As in Redis, a CR ends the number and the byte behind
 * it is taken for the LF. */
static enum header read_header_slowly(const uint8_t *at, const uint8_t *end, int64_t *value, const uint8_t **next)
{
    size_t here = (size_t)(end - at);
    const uint8_t *line_end = memchr(at, '\r', here);
    if (!line_end) return here > HEADER_MAX_BYTES ? HEADER_TOO_LONG : HEADER_INCOMPLETE;
    if (end - line_end < LINE_END_BYTES) return HEADER_INCOMPLETE;
    *next = line_end + LINE_END_BYTES;
    return parse_i64(bytes_make(at, (size_t)(line_end - at)), value) == 0 ? HEADER_OK : HEADER_INVALID;
}

/* `at` stands behind the type byte; *next is set behind the line end, also of an invalid number. */
static inline enum header read_header(const uint8_t *at, const uint8_t *end, int64_t *value, const uint8_t **next)
{
    const uint8_t *p = at;
    uint32_t number = 0;
    for (unsigned digit; p < end && p - at < FAST_DIGITS && (digit = *p - (unsigned)'0') <= 9; p++) {
        number = number * 10 + digit;
    }
    bool canonical = p > at && (*at != '0' || p == at + 1);
    if (unlikely(!canonical || end - p < LINE_END_BYTES || *p != '\r')) {
        return read_header_slowly(at, end, value, next);
    }
    *value = number;
    *next = p + LINE_END_BYTES;
    return HEADER_OK;
}

static enum resp_status multibulk_header_fault(struct resp_request *r, enum header fault)
{
    if (fault == HEADER_INCOMPLETE) return need_more(r, 0);
    if (fault == HEADER_TOO_LONG) return fail(r, "Protocol error: too big mbulk count string");
    return fail(r, "Protocol error: invalid multibulk length");
}

static enum resp_status bulk_header_fault(struct resp_request *r, enum header fault)
{
    if (fault == HEADER_INCOMPLETE) return need_more(r, 0);
    if (fault == HEADER_TOO_LONG) return fail(r, "Protocol error: too big bulk count string");
    return fail(r, "Protocol error: invalid bulk length");
}

/* A header that does not begin with '$'. It is judged when its line is there, as in Redis. */
static enum resp_status not_a_bulk(struct resp_request *r, const uint8_t *at, const uint8_t *end)
{
    int64_t value;
    const uint8_t *next;
    enum header h = read_header_slowly(at, end, &value, &next);
    if (h == HEADER_INCOMPLETE || h == HEADER_TOO_LONG) return bulk_header_fault(r, h);
    char error[sizeof(r->error)];
    snprintf(error, sizeof(error), "Protocol error: expected '$', got '%c'", *at);
    return fail(r, error);
}

static enum resp_status bulk_out_of_range(struct resp_request *r, const struct resp_limits *limits, int64_t len)
{
    if (len < 0 || (uint64_t)len > limits->max_bulk_bytes) return fail(r, "Protocol error: invalid bulk length");
    return fail(r, "Protocol error: unauthenticated bulk length");
}

static enum resp_status multibulk_out_of_range(struct resp_request *r, const struct resp_limits *limits, int64_t count)
{
    if (limits->max_unauth_bulk == 0 || count > MULTIBULK_CEILING) {
        return fail(r, "Protocol error: invalid multibulk length");
    }
    return fail(r, "Protocol error: unauthenticated multibulk length");
}

/* --- the array form --- */

static enum resp_status read_bulks(struct resp_request *r, const uint8_t *input, size_t len,
                                   const struct resp_limits *limits, size_t *consumed)
{
    const uint8_t *at = input + r->scanned, *end = input + len;
    const uint64_t max_len = limits->max_unauth_bulk && limits->max_unauth_bulk < limits->max_bulk_bytes
                                 ? limits->max_unauth_bulk
                                 : limits->max_bulk_bytes;
    while (r->done < r->multibulk) {
        if (r->bulk_len < 0) {
            if (at == end) break;
            if (unlikely(*at != '$')) return not_a_bulk(r, at, end);
            int64_t bulk_len;
            enum header h = read_header(at + 1, end, &bulk_len, &at);
            if (unlikely(h != HEADER_OK)) return bulk_header_fault(r, h);
            if (unlikely((uint64_t)bulk_len > max_len)) return bulk_out_of_range(r, limits, bulk_len);
            r->bulk_len = bulk_len;
            r->scanned = (size_t)(at - input);
        }
        size_t bulk_len = (size_t)r->bulk_len;
        if ((size_t)(end - at) < LINE_END_BYTES || (size_t)(end - at) - LINE_END_BYTES < bulk_len) {
            return need_more(r, r->scanned + bulk_len + LINE_END_BYTES);
        }
        push_argument(r, r->scanned, bulk_len);
        at += bulk_len + LINE_END_BYTES;
        r->scanned = (size_t)(at - input);
        r->bulk_len = -1;
    }
    if (r->done < r->multibulk) return need_more(r, 0);
    r->raw = bytes_make(input, r->scanned);
    offsets_to_slices(r, input);
    return complete(r, r->done, consumed, r->scanned);
}

static enum resp_status read_array(struct resp_request *r, const uint8_t *input, size_t len,
                                   const struct resp_limits *limits, size_t *consumed)
{
    if (r->multibulk == 0) {
        int64_t count;
        const uint8_t *next;
        enum header h = read_header(input + 1, input + len, &count, &next);
        if (unlikely(h != HEADER_OK)) return multibulk_header_fault(r, h);
        if (unlikely(count > limits->max_multibulk)) return multibulk_out_of_range(r, limits, count);
        r->scanned = (size_t)(next - input);
        if (unlikely(count <= 0)) {
            r->raw = bytes_make(input, r->scanned);
            return complete(r, 0, consumed, r->scanned);
        }
        r->multibulk = (uint32_t)count;
    }
    return read_bulks(r, input, len, limits, consumed);
}

/* --- the inline form: a line of words, as typed into a terminal --- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at `at` (behind its backslash) stands for; *at moves to its last byte. */
static uint8_t unescape(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    switch (*p) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    case 'x':
        if (end - p < 3 || hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0) return 'x';
        *at = p + 2;
        return (uint8_t)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
    default: return *p;
    }
}

/* Copies the quoted part behind the opening quote at *at to *out. A closing quote must end the word. */
static bool copy_quoted(const uint8_t **at, const uint8_t *end, uint8_t **out)
{
    const uint8_t quote = **at;
    for (const uint8_t *p = *at + 1; p < end; p++) {
        if (*p == quote) {
            *at = p + 1;
            return p + 1 == end || isspace(p[1]);
        }
        if (quote == '"' && *p == '\\' && end - p >= 2) {
            p++;
            *(*out)++ = unescape(&p, end);
        } else {
            if (quote == '\'' && *p == '\\' && end - p >= 2 && p[1] == '\'') p++;
            *(*out)++ = *p;
        }
    }
    return false;
}

/* Fewer bytes end a word than may stand between words: a vertical tab in the middle belongs to it, as in Redis. */
static bool ends_word(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Copies one word to *out and moves *at behind it; false when its quotes are unbalanced. */
static bool copy_word(const uint8_t **at, const uint8_t *end, uint8_t **out)
{
    while (*at < end && !ends_word(**at)) {
        if (**at == '"' || **at == '\'') return copy_quoted(at, end, out);
        *(*out)++ = *(*at)++;
    }
    return true;
}

static enum resp_status split_line(struct resp_request *r, const uint8_t *line, size_t len)
{
    const uint8_t *at = line, *end = line + len;
    r->inline_args = mem_alloc(len ? len : 1);
    uint8_t *out = r->inline_args;
    for (;;) {
        while (at < end && isspace(*at)) at++;
        if (at == end) return RESP_COMPLETE;
        uint8_t *word = out;
        if (!copy_word(&at, end, &out)) return fail(r, "Protocol error: unbalanced quotes in request");
        push_argument(r, (size_t)(word - r->inline_args), (size_t)(out - word));
    }
}

/* Where the line ends, or NULL. As in Redis, nobody sees a line end behind a zero byte: what a TLS client says first
 * has zeros early on, and gets no answer that it could take for one. r->scanned moves as far as there is nothing to
 * see. */
static const uint8_t *find_line_end(struct resp_request *r, const uint8_t *input, size_t len)
{
    const uint8_t *from = input + r->scanned;
    const uint8_t *line_end = memchr(from, '\n', len - r->scanned);
    size_t line_len = line_end ? (size_t)(line_end - input) : len;
    const uint8_t *zero = memchr(from, 0, line_len - r->scanned);
    r->scanned = zero ? (size_t)(zero - input) : line_len;
    return zero ? NULL : line_end;
}

static enum resp_status read_inline(struct resp_request *r, const uint8_t *input, size_t len,
                                    const struct resp_limits *limits, size_t *consumed)
{
    const uint8_t *line_end = find_line_end(r, input, len);
    size_t line_len = line_end ? (size_t)(line_end - input) : len;
    if (line_len > limits->max_inline_bytes) return fail(r, "Protocol error: too big inline request");
    if (!line_end) return need_more(r, 0);
    enum resp_status status = split_line(r, input, line_len);
    if (status != RESP_COMPLETE) return status;
    r->raw = bytes_make(NULL, 0);
    offsets_to_slices(r, r->inline_args);
    return complete(r, r->done, consumed, line_len + 1);
}

void resp_request_rest(struct resp_request *r)
{
    mem_free(r->inline_args);
    r->inline_args = NULL;
    if (r->done == 0 && r->capacity > RESP_USUAL_WORDS) {
        mem_free(r->argv);
        r->argv = NULL;
        r->capacity = 0;
    }
}

enum resp_status resp_request_read(struct resp_request *r, const uint8_t *input, size_t len,
                                   const struct resp_limits *limits, size_t *consumed)
{
    if (unlikely(r->inline_args || r->capacity > RESP_USUAL_WORDS)) resp_request_rest(r);
    if (len == 0) return need_more(r, 0);
    if (likely(input[0] == '*')) return read_array(r, input, len, limits, consumed);
    return read_inline(r, input, len, limits, consumed);
}
