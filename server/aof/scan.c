/* The records of an append-only file, piece by piece. Server process (loading), journal and redis-check-aof; every byte
 * here may be damage.
 *
 * A piece is a count, a length or a string with its line end. `at` is where the next piece begins in the input; while
 * arguments are kept nothing is consumed before the whole command has been read, and `at` survives from window to
 * window, so that no piece is read twice. Without arguments each piece is consumed as it is read, and a long string in
 * as many parts as windows bring.
 *
 * Arguments are kept as offsets from the first byte of the command (in the `ptr` of their slices), since the caller may
 * move its window; they become slices when the command is whole. */
#include "server/aof/scan.h"

#include <ctype.h>
#include <stdio.h>

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/base/check.h"

#define HEADER_MAX_BYTES 127 /* of a line with a count or length; what is behind is not looked at */
#define FAST_DIGITS      9
#define NAME_MAX_BYTES   5 /* "MULTI" */
#define LINE_END_BYTES   2
#define FIRST_CAPACITY   8

enum state { AT_RECORD, AT_COUNT, AT_LENGTH, AT_STRING, IN_LONG_STRING, ENDED };

struct aof_scan {
    struct aof_scan_options options;
    enum state state;
    enum aof_scan_status outcome; /* of ENDED */
    uint64_t window_offset;       /* of input[0] in the file */
    size_t at;                    /* in the input */
    uint64_t wanted;              /* from input[0] on */
    uint64_t record_offset, piece_offset, valid_offset, line;
    bool in_multi;

    int64_t arguments_left; /* of the command being read */
    int64_t string_bytes;   /* of the string being read, without its line end; of a long one: still to pass */
    bool is_first;          /* argument */
    enum aof_command_kind kind;
    struct bytes *argv;
    size_t argc, capacity;

    struct aof_record record;
    struct aof_fault fault;
};

/* What a piece came to. */
enum piece { PIECE_READ, PIECE_CUT_OFF, PIECE_FAULT };

bool aof_begins_with_rdb(struct bytes head)
{
    return head.len >= AOF_HEAD_BYTES && memcmp(head.ptr, RDB_MAGIC, strlen(RDB_MAGIC)) == 0;
}

/* --- where we are --- */

static uint64_t offset_at(const struct aof_scan *s)
{
    return s->window_offset + s->at;
}

static uint64_t left_behind(const struct aof_scan *s, uint64_t offset)
{
    return offset < s->options.size ? s->options.size - offset : 0;
}

static uint64_t left_in_file(const struct aof_scan *s)
{
    return left_behind(s, offset_at(s));
}

static enum piece fault(struct aof_scan *s, struct aof_fault what)
{
    what.offset = s->piece_offset;
    s->fault = what;
    return PIECE_FAULT;
}

/* More than `here` bytes are needed of a line. False: the file has no more. */
static bool wants_more_of_line(struct aof_scan *s, size_t here)
{
    if (left_in_file(s) <= here) return false;
    s->wanted = (uint64_t)s->at + here + 1;
    return true;
}

/* --- counts and lengths --- */

/* A number as strtol reads it, saturating: blanks, a sign, digits. Returns its end; without digits the beginning. */
static const uint8_t *read_number(const uint8_t *at, const uint8_t *end, int64_t *value)
{
    const uint8_t *p = at;
    bool negative = false;
    uint64_t magnitude = 0, most = INT64_MAX;
    while (p < end && isspace(*p)) p++;
    if (p < end && (*p == '-' || *p == '+')) negative = *p++ == '-';
    const uint8_t *digits = p;
    for (; p < end && isdigit(*p); p++) {
        unsigned digit = *p - (unsigned)'0';
        magnitude = magnitude > (most - digit) / 10 ? most : magnitude * 10 + digit;
    }
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return p == digits ? at : p;
}

/* The line of `len` bytes at p, prefix included: all that is looked at of it. ends_file: and no line feed has come. */
static enum piece read_line(struct aof_scan *s, const uint8_t *p, size_t len, bool ends_file, uint8_t prefix,
                            int64_t *value)
{
    if (*p != prefix) return fault(s, (struct aof_fault){.kind = AOF_FAULT_PREFIX, .expected = prefix, .found = {*p}});
    const uint8_t *end = p + len, *rest = read_number(p + 1, end, value);
    uint8_t found[2] = {end - rest > 0 ? rest[0] : 0, end - rest > 1 ? rest[1] : 0};
    bool lax = s->options.as_server && rest > p + 1 && !ends_file;
    if (!lax && (found[0] != '\r' || found[1] != '\n')) {
        bool cut = ends_file && (rest == end || (end - rest == 1 && found[0] == '\r'));
        return fault(s, (struct aof_fault){.kind = AOF_FAULT_LINE_END, .cut = cut, .found = {found[0], found[1]}});
    }
    s->at += len;
    s->line++;
    return PIECE_READ;
}

static enum piece read_header_slowly(struct aof_scan *s, const uint8_t *p, const uint8_t *end, uint8_t prefix,
                                     int64_t *value)
{
    size_t here = (size_t)(end - p);
    size_t most = here < HEADER_MAX_BYTES ? here : HEADER_MAX_BYTES;
    const uint8_t *line_feed = most ? memchr(p, '\n', most) : NULL;
    size_t len = line_feed ? (size_t)(line_feed - p) + 1 : most;
    if (line_feed || most == HEADER_MAX_BYTES) return read_line(s, p, len, false, prefix, value);
    if (wants_more_of_line(s, here)) return PIECE_CUT_OFF;
    if (here > 0) return read_line(s, p, len, true, prefix, value);
    enum aof_fault_kind kind = s->in_multi ? AOF_FAULT_OPEN_MULTI : AOF_FAULT_NONE;
    return fault(s, (struct aof_fault){.kind = kind, .cut = true});
}

/* prefix, a number, line end. */
static enum piece read_header(struct aof_scan *s, const uint8_t *input, size_t len, uint8_t prefix, int64_t *value)
{
    const uint8_t *at = input + s->at, *end = input + len, *p = at + 1;
    int64_t number = 0;
    s->piece_offset = offset_at(s);
    if (at == end || *at != prefix) return read_header_slowly(s, at, end, prefix, value);
    for (unsigned digit; p < end && p - at <= FAST_DIGITS && (digit = *p - (unsigned)'0') <= 9; p++)
        number = number * 10 + digit;
    if (p == at + 1 || end - p < LINE_END_BYTES || p[0] != '\r' || p[1] != '\n')
        return read_header_slowly(s, at, end, prefix, value);
    *value = number;
    s->at = (size_t)(p + LINE_END_BYTES - input);
    s->line++;
    return PIECE_READ;
}

/* --- strings --- */

/* What the first argument says of the transaction. */
static enum piece note_name(struct aof_scan *s, struct bytes name)
{
    s->is_first = false;
    if (bytes_equal_nocase(name, "multi")) {
        if (s->in_multi && !s->options.as_server) return fault(s, (struct aof_fault){.kind = AOF_FAULT_NESTED_MULTI});
        s->in_multi = true;
        s->kind = AOF_COMMAND_MULTI;
    } else if (bytes_equal_nocase(name, "exec")) {
        if (!s->in_multi && !s->options.as_server) return fault(s, (struct aof_fault){.kind = AOF_FAULT_LONE_EXEC});
        s->in_multi = false;
        s->kind = AOF_COMMAND_EXEC;
    }
    return PIECE_READ;
}

static void keep_argument(struct aof_scan *s, size_t offset, size_t len)
{
    if (s->argc == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : FIRST_CAPACITY;
        s->argv = mem_realloc(s->argv, s->capacity * sizeof *s->argv);
    }
    s->argv[s->argc] = bytes_make((const uint8_t *)(uintptr_t)offset, len);
}

static enum piece end_string(struct aof_scan *s, const uint8_t *line_end)
{
    if ((line_end[0] != '\r' || line_end[1] != '\n') && !s->options.as_server)
        return fault(s, (struct aof_fault){.kind = AOF_FAULT_LINE_END, .found = {line_end[0], line_end[1]}});
    s->at += LINE_END_BYTES;
    s->line++;
    s->argc++;
    s->arguments_left--;
    s->state = AT_LENGTH;
    return PIECE_READ;
}

/* Judged before anybody makes room for it. */
static enum piece check_length(struct aof_scan *s, int64_t length)
{
    if (length < 0 || length > INT64_MAX - LINE_END_BYTES)
        return fault(s, (struct aof_fault){.kind = AOF_FAULT_LENGTH, .wanted_bytes = length});
    s->piece_offset = offset_at(s);
    uint64_t wanted = (uint64_t)length + LINE_END_BYTES, present = left_in_file(s);
    if (present < wanted)
        return fault(
            s, (struct aof_fault){
                   .kind = AOF_FAULT_SHORT, .cut = true, .wanted_bytes = (int64_t)wanted, .present_bytes = present});
    s->string_bytes = length;
    s->state = AT_STRING;
    return PIECE_READ;
}

static enum piece read_length(struct aof_scan *s, const uint8_t *input, size_t len)
{
    int64_t length = 0;
    enum piece piece = read_header(s, input, len, '$', &length);
    return piece == PIECE_READ ? check_length(s, length) : piece;
}

static enum piece read_string(struct aof_scan *s, const uint8_t *input, size_t len)
{
    uint64_t wanted = (uint64_t)s->string_bytes + LINE_END_BYTES;
    if (len - s->at < wanted) {
        if (!s->options.arguments && s->string_bytes > NAME_MAX_BYTES) {
            s->is_first = false;
            s->state = IN_LONG_STRING;
            return PIECE_READ;
        }
        s->wanted = s->at + wanted;
        return PIECE_CUT_OFF;
    }
    const uint8_t *string = input + s->at;
    size_t bytes = (size_t)s->string_bytes;
    if (s->options.arguments) keep_argument(s, s->at, bytes);
    s->at += bytes;
    enum piece piece = end_string(s, string + bytes);
    if (piece == PIECE_READ && s->is_first) piece = note_name(s, bytes_make(string, bytes));
    return piece;
}

/* Without arguments: what is here of it is passed over. */
static enum piece pass_long_string(struct aof_scan *s, const uint8_t *input, size_t len)
{
    size_t here = len - s->at;
    size_t passed = here < (uint64_t)s->string_bytes ? here : (size_t)s->string_bytes;
    s->string_bytes -= (int64_t)passed;
    s->at += passed;
    if (len - s->at < LINE_END_BYTES || s->string_bytes > 0) {
        s->wanted = s->at + (uint64_t)s->string_bytes + LINE_END_BYTES;
        if (s->wanted > s->at + AOF_ANNOTATION_MAX_BYTES) s->wanted = s->at + AOF_ANNOTATION_MAX_BYTES;
        return PIECE_CUT_OFF;
    }
    return end_string(s, input + s->at);
}

/* --- records --- */

static enum piece begin_record(struct aof_scan *s, uint8_t first)
{
    s->record_offset = offset_at(s);
    s->argc = 0;
    s->is_first = true;
    s->kind = AOF_COMMAND_OTHER;
    if (first != '*') {
        s->piece_offset = s->record_offset;
        return fault(s, (struct aof_fault){.kind = AOF_FAULT_TYPE});
    }
    s->state = AT_COUNT;
    return PIECE_READ;
}

static enum piece read_count(struct aof_scan *s, const uint8_t *input, size_t len)
{
    enum piece piece = read_header(s, input, len, '*', &s->arguments_left);
    if (piece != PIECE_READ) return piece;
    if (s->arguments_left <= 0 && s->options.as_server) return fault(s, (struct aof_fault){.kind = AOF_FAULT_TYPE});
    s->state = AT_LENGTH;
    return PIECE_READ;
}

static enum piece read_piece(struct aof_scan *s, const uint8_t *input, size_t len)
{
    switch (s->state) {
    case AT_RECORD: return begin_record(s, input[s->at]);
    case AT_COUNT: return read_count(s, input, len);
    case AT_LENGTH: return read_length(s, input, len);
    case AT_STRING: return read_string(s, input, len);
    case IN_LONG_STRING: return pass_long_string(s, input, len);
    case ENDED: break;
    }
    UNREACHABLE();
}

/* Everything before `at` is behind us. */
static void consume(struct aof_scan *s, size_t *consumed)
{
    *consumed = s->at;
    s->window_offset += s->at;
    s->wanted = s->wanted > s->at ? s->wanted - s->at : 0;
    s->at = 0;
}

static enum aof_scan_status end(struct aof_scan *s, enum aof_scan_status outcome)
{
    s->state = ENDED;
    s->outcome = outcome;
    return outcome;
}

static enum aof_scan_status complete_command(struct aof_scan *s, const uint8_t *input, size_t *consumed)
{
    s->record = (struct aof_record){.offset = s->record_offset, .kind = s->kind, .argc = s->argc};
    if (s->options.arguments) {
        for (size_t i = 0; i < s->argc; i++) s->argv[i].ptr = input + (uintptr_t)s->argv[i].ptr;
        s->record.raw = bytes_make(input, s->at);
        s->record.argv = s->argv;
    }
    consume(s, consumed);
    s->state = AT_RECORD;
    if (!s->in_multi) s->valid_offset = offset_at(s);
    return AOF_SCAN_COMMAND;
}

/* Too long a line is an annotation as far as it goes; what is behind begins no record. */
static enum aof_scan_status read_annotation(struct aof_scan *s, const uint8_t *input, size_t len, size_t *consumed)
{
    size_t most = len < AOF_ANNOTATION_MAX_BYTES ? len : AOF_ANNOTATION_MAX_BYTES;
    const uint8_t *line_feed = memchr(input, '\n', most);
    if (!line_feed && most < AOF_ANNOTATION_MAX_BYTES && wants_more_of_line(s, len)) return AOF_SCAN_MORE;
    s->record_offset = offset_at(s);
    s->at = line_feed ? (size_t)(line_feed - input) + 1 : most;
    s->record = (struct aof_record){.offset = s->record_offset, .raw = bytes_make(input, s->at)};
    consume(s, consumed);
    if (!s->in_multi) s->valid_offset = offset_at(s);
    return AOF_SCAN_ANNOTATION;
}

/* At the end of the file, and not within a record. */
static enum aof_scan_status end_file(struct aof_scan *s)
{
    if (!s->in_multi) return end(s, AOF_SCAN_END);
    fault(s, (struct aof_fault){.kind = AOF_FAULT_OPEN_MULTI, .cut = true});
    return end(s, AOF_SCAN_CUT);
}

static enum aof_scan_status read_command(struct aof_scan *s, const uint8_t *input, size_t len, size_t *consumed)
{
    for (;;) {
        if (s->state == AT_LENGTH && s->arguments_left <= 0) return complete_command(s, input, consumed);
        enum piece piece = read_piece(s, input, len);
        if (piece == PIECE_FAULT) return end(s, s->fault.cut ? AOF_SCAN_CUT : AOF_SCAN_BAD);
        if (piece == PIECE_CUT_OFF) break;
    }
    if (!s->options.arguments) consume(s, consumed);
    return AOF_SCAN_MORE;
}

enum aof_scan_status aof_scan_feed(struct aof_scan *s, const uint8_t *input, size_t len, size_t *consumed)
{
    *consumed = 0;
    if (s->state == ENDED) return s->outcome;
    CHECK(len >= s->at);
    uint64_t left = left_behind(s, s->window_offset);
    if (len > left) len = (size_t)left;
    if (s->state != AT_RECORD) return read_command(s, input, len, consumed);
    if (len == 0) {
        if (!wants_more_of_line(s, 0)) return end_file(s);
        return AOF_SCAN_MORE;
    }
    if (input[0] == '#') return read_annotation(s, input, len, consumed);
    return read_command(s, input, len, consumed);
}

struct aof_scan *aof_scan_new(const struct aof_scan_options *options)
{
    struct aof_scan *s = mem_calloc(1, sizeof *s);
    s->options = *options;
    s->window_offset = s->piece_offset = s->valid_offset = options->offset;
    s->line = options->line;
    return s;
}

void aof_scan_free(struct aof_scan *s)
{
    if (!s) return;
    mem_free(s->argv);
    mem_free(s);
}

const struct aof_record *aof_scan_record(const struct aof_scan *s)
{
    return &s->record;
}

uint64_t aof_scan_wanted(const struct aof_scan *s)
{
    return s->wanted;
}

uint64_t aof_scan_valid_offset(const struct aof_scan *s)
{
    return s->valid_offset;
}

bool aof_scan_is_in_transaction(const struct aof_scan *s)
{
    return s->in_multi;
}

uint64_t aof_scan_line(const struct aof_scan *s)
{
    return s->line;
}

const struct aof_fault *aof_scan_fault(const struct aof_scan *s)
{
    return &s->fault;
}

void aof_fault_text(const struct aof_fault *f, const char *file, char *out, size_t size)
{
    switch (f->kind) {
    case AOF_FAULT_NONE: snprintf(out, size, "%s", ""); break;
    case AOF_FAULT_TYPE: snprintf(out, size, "AOF %s format error", file); break;
    case AOF_FAULT_LINE_END: snprintf(out, size, "Expected \\r\\n, got: %02x%02x", f->found[0], f->found[1]); break;
    case AOF_FAULT_PREFIX: snprintf(out, size, "Expected prefix '%c', got: '%c'", f->expected, f->found[0]); break;
    case AOF_FAULT_LENGTH:
        snprintf(out, size, "Expected to read string of %lld bytes, which is not in the suitable range",
                 (long long)f->wanted_bytes);
        break;
    case AOF_FAULT_SHORT:
        snprintf(out, size, "Expected to read %lld bytes, got %llu bytes", (long long)f->wanted_bytes,
                 (unsigned long long)f->present_bytes);
        break;
    case AOF_FAULT_NESTED_MULTI: snprintf(out, size, "Unexpected MULTI in AOF %s", file); break;
    case AOF_FAULT_LONE_EXEC: snprintf(out, size, "Unexpected EXEC in AOF %s", file); break;
    case AOF_FAULT_OPEN_MULTI: snprintf(out, size, "Reached EOF before reading EXEC for MULTI"); break;
    }
}
