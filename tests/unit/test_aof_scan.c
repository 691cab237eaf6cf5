/* Records of an append-only file: what is whole, where it is broken, in whatever windows it comes. */
#include "server/aof/scan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/aof/annotation.h"

#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"         /* 23 bytes */
#define SET    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n" /* 27 bytes */
#define MULTI  "*1\r\n$5\r\nMULTI\r\n"                     /* 15 bytes */
#define EXEC   "*1\r\n$4\r\nexec\r\n"                      /* 14 bytes */

/* --- scanning --- */

struct outcome {
    enum aof_scan_status status;
    uint64_t valid, line;
    struct aof_fault fault;
    size_t commands, annotations, multis, execs, arguments, argument_bytes;
};

static void note(struct outcome *o, const struct aof_record *r, enum aof_scan_status status)
{
    if (status == AOF_SCAN_ANNOTATION) {
        o->annotations++;
        return;
    }
    o->commands++;
    o->multis += r->kind == AOF_COMMAND_MULTI;
    o->execs += r->kind == AOF_COMMAND_EXEC;
    o->arguments += r->argc;
    for (size_t i = 0; r->argv && i < r->argc; i++) o->argument_bytes += r->argv[i].len;
}

/* Each window is memory of exactly its size, and grows by `step` bytes beyond what is wanted. */
static struct outcome scan(struct bytes file, size_t step, bool arguments)
{
    struct aof_scan_options options = {.size = file.len, .line = 1, .arguments = arguments};
    struct aof_scan *s = aof_scan_new(&options);
    struct outcome o = {0};
    size_t start = 0, end = 0;
    for (;;) {
        size_t consumed;
        uint8_t *window = malloc(end - start + !(end - start));
        memcpy(window, file.ptr + start, end - start);
        o.status = aof_scan_feed(s, window, end - start, &consumed);
        if (o.status == AOF_SCAN_COMMAND || o.status == AOF_SCAN_ANNOTATION) note(&o, aof_scan_record(s), o.status);
        free(window);
        start += consumed;
        if (o.status == AOF_SCAN_END || o.status == AOF_SCAN_CUT || o.status == AOF_SCAN_BAD) break;
        if (o.status != AOF_SCAN_MORE) continue;
        size_t wanted = (size_t)aof_scan_wanted(s);
        cr_assert(wanted > end - start && wanted <= file.len - start, "%zu wanted of %zu", wanted, file.len - start);
        if (!arguments) cr_assert_leq(wanted, AOF_ANNOTATION_MAX_BYTES);
        end = start + wanted + step < file.len ? start + wanted + step : file.len;
    }
    o.valid = aof_scan_valid_offset(s);
    o.line = aof_scan_line(s);
    if (o.status != AOF_SCAN_END) o.fault = *aof_scan_fault(s);
    aof_scan_free(s);
    return o;
}

static const struct scan_case {
    struct bytes file;
    enum aof_scan_status status;
    uint64_t valid, line, fault_offset;
    const char *fault; /* for the file "f" */
} cases[] = {
    {BYTES(""), AOF_SCAN_END, 0, 1, 0, ""},
    {BYTES(SELECT SET SET), AOF_SCAN_END, 77, 20, 0, ""},
    {BYTES(SELECT "#TS:5\r\n" SET "#x"), AOF_SCAN_END, 59, 13, 0, ""},
    {BYTES(SELECT MULTI "#x\n" SET EXEC SET), AOF_SCAN_END, 109, 26, 0, ""},
    {BYTES("*0\r\n*-1\r\n*\r\n* +1\r\n$ 1\r\na\r\n"), AOF_SCAN_END, 26, 7, 0, ""},
    {BYTES(SELECT "*1\r\n$0\r\n\r\n"), AOF_SCAN_END, 33, 9, 0, ""},
    /* ends too early */
    {BYTES(SELECT "*"), AOF_SCAN_CUT, 23, 6, 23, "Expected \\r\\n, got: 0000"},
    {BYTES(SELECT "*3\r"), AOF_SCAN_CUT, 23, 6, 23, "Expected \\r\\n, got: 0d00"},
    {BYTES(SELECT "*3\r\n"), AOF_SCAN_CUT, 23, 7, 27, ""},
    {BYTES(SELECT "*3\r\n$3"), AOF_SCAN_CUT, 23, 7, 27, "Expected \\r\\n, got: 0000"},
    {BYTES(SELECT "*3\r\n$3\r\n"), AOF_SCAN_CUT, 23, 8, 31, "Expected to read 5 bytes, got 0 bytes"},
    {BYTES(SELECT "*3\r\n$3\r\nSET\r"), AOF_SCAN_CUT, 23, 8, 31, "Expected to read 5 bytes, got 4 bytes"},
    {BYTES(SELECT "*3\r\n$3\r\nSET\r\n"), AOF_SCAN_CUT, 23, 9, 36, ""},
    {BYTES(SELECT MULTI), AOF_SCAN_CUT, 23, 9, 31, "Reached EOF before reading EXEC for MULTI"},
    {BYTES(SELECT MULTI SET), AOF_SCAN_CUT, 23, 16, 62, "Reached EOF before reading EXEC for MULTI"},
    {BYTES(SELECT MULTI "*3\r\n"), AOF_SCAN_CUT, 23, 10, 42, "Reached EOF before reading EXEC for MULTI"},
    {BYTES(SELECT MULTI SET "*1\r\n$4\r\nEXEC"), AOF_SCAN_CUT, 23, 18, 73, "Expected to read 6 bytes, got 4 bytes"},
    {BYTES(SELECT "*1\r\n$1000\r\na\r\n"), AOF_SCAN_CUT, 23, 8, 34, "Expected to read 1002 bytes, got 3 bytes"},
    /* damage */
    {BYTES("garbage"), AOF_SCAN_BAD, 0, 1, 0, "AOF f format error"},
    {BYTES(SELECT "\0\0\0\0"), AOF_SCAN_BAD, 23, 6, 23, "AOF f format error"},
    {BYTES(SELECT "\r\n" SET), AOF_SCAN_BAD, 23, 6, 23, "AOF f format error"},
    {BYTES(SELECT "*3\n$3\r\n"), AOF_SCAN_BAD, 23, 6, 23, "Expected \\r\\n, got: 0a00"},
    {BYTES(SELECT "*3\n"), AOF_SCAN_BAD, 23, 6, 23, "Expected \\r\\n, got: 0a00"},
    {BYTES(SELECT "*3x\r\n"), AOF_SCAN_BAD, 23, 6, 23, "Expected \\r\\n, got: 780d"},
    {BYTES(SELECT "*-\r\n"), AOF_SCAN_BAD, 23, 6, 23, "Expected \\r\\n, got: 2d0d"},
    {BYTES(SELECT "*3\0\r\n" SET), AOF_SCAN_BAD, 23, 6, 23, "Expected \\r\\n, got: 000d"},
    {BYTES(SELECT "*1\r\n:3\r\n"), AOF_SCAN_BAD, 23, 7, 27, "Expected prefix '$', got: ':'"},
    {BYTES(SELECT "*99999999999999999999\r\n" SET), AOF_SCAN_BAD, 23, 7, 46, "Expected prefix '$', got: '*'"},
    {BYTES(SELECT "*1\r\n$-1\r\n"), AOF_SCAN_BAD, 23, 8, 27,
     "Expected to read string of -1 bytes, which is not in the suitable range"},
    {BYTES(SELECT "*1\r\n$1\r\naXY" SET), AOF_SCAN_BAD, 23, 8, 31, "Expected \\r\\n, got: 5859"},
    {BYTES(SELECT "*1\r\n$9\r\n123456789\n\n" SET), AOF_SCAN_BAD, 23, 8, 31, "Expected \\r\\n, got: 0a0a"},
    {BYTES(SELECT MULTI SET MULTI EXEC), AOF_SCAN_BAD, 23, 19, 73, "Unexpected MULTI in AOF f"},
    {BYTES(SELECT EXEC SET), AOF_SCAN_BAD, 23, 9, 31, "Unexpected EXEC in AOF f"},
    {BYTES(SELECT MULTI EXEC EXEC), AOF_SCAN_BAD, 52, 15, 60, "Unexpected EXEC in AOF f"},
    {BYTES(SELECT MULTI "garbage"), AOF_SCAN_BAD, 23, 9, 38, "AOF f format error"},
};

static void expect_outcome(const struct scan_case *c, const struct outcome *o, size_t number)
{
    char text[AOF_FAULT_TEXT_BYTES] = "";
    cr_assert_eq(o->status, c->status, "case %zu: status %d", number, o->status);
    cr_assert_eq(o->valid, c->valid, "case %zu: valid to %llu", number, (unsigned long long)o->valid);
    cr_assert_eq(o->line, c->line, "case %zu: line %llu", number, (unsigned long long)o->line);
    if (o->status == AOF_SCAN_END) return;
    aof_fault_text(&o->fault, "f", text, sizeof text);
    cr_assert_str_eq(text, c->fault, "case %zu: %s", number, text);
    cr_assert_eq(o->fault.offset, c->fault_offset, "case %zu: at %llu", number, (unsigned long long)o->fault.offset);
}

Test(aof_scan, every_window_finds_the_same)
{
    static const size_t steps[] = {0, 1, 7, 100000};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 0; step < sizeof steps / sizeof *steps; step++)
            for (int arguments = 0; arguments < 2; arguments++) {
                struct outcome o = scan(cases[i].file, steps[step], arguments);
                expect_outcome(&cases[i], &o, i);
            }
}

/* Whatever was said of a file is true of its valid part: it is whole. */
Test(aof_scan, the_valid_part_is_whole)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = scan(bytes_make(cases[i].file.ptr, cases[i].valid), 7, true);
        cr_assert(o.status == AOF_SCAN_END && o.valid == cases[i].valid, "case %zu", i);
    }
}

/* Cut at any byte, a whole file is valid up to its last record, and never taken for a damaged one. */
Test(aof_scan, a_file_cut_anywhere_is_cut_and_not_bad)
{
    static const struct bytes file = BYTES(SELECT SET "#TS:17\r\n" MULTI SET SET EXEC SET);
    for (size_t len = 0; len <= file.len; len++) {
        uint64_t valid = len < 23 ? 0 : len < 50 ? 23 : len < 58 ? len == 50 ? 50 : len : len < 141 ? 58 : 141;
        if (len == file.len) valid = len;
        struct outcome o = scan(bytes_make(file.ptr, len), 3, true);
        cr_assert_neq(o.status, AOF_SCAN_BAD, "%zu bytes", len);
        cr_assert_eq(o.valid, valid, "%zu bytes: valid to %llu", len, (unsigned long long)o.valid);
        cr_assert_eq(o.status == AOF_SCAN_END, o.valid == len, "%zu bytes", len);
    }
}

/* --- records --- */

Test(aof_scan, commands_come_with_their_arguments)
{
    static const struct bytes file = BYTES(SELECT MULTI SET "#x\n" EXEC "*0\r\n");
    static const size_t steps[] = {0, 5, 1000};
    for (size_t i = 0; i < 3; i++) {
        struct outcome o = scan(file, steps[i], true);
        cr_assert_eq(o.commands, 5);
        cr_assert_eq(o.annotations, 1);
        cr_assert_eq(o.multis, 1);
        cr_assert_eq(o.execs, 1);
        cr_assert_eq(o.arguments, 2 + 1 + 3 + 1);
        cr_assert_eq(o.argument_bytes, 7 + 5 + 5 + 4);
    }
}

Test(aof_scan, a_record_is_its_own_bytes)
{
    static const struct bytes file = BYTES(SELECT "#TS:1\r\n" SET);
    struct aof_scan_options options = {.size = file.len, .arguments = true};
    struct aof_scan *s = aof_scan_new(&options);
    const struct aof_record *r = aof_scan_record(s);
    size_t at = 0, consumed;
    cr_assert_eq(aof_scan_feed(s, file.ptr, file.len, &consumed), AOF_SCAN_COMMAND);
    cr_assert(bytes_equal(r->raw, BYTES(SELECT)) && bytes_equal(r->argv[1], BYTES("0")));
    at += consumed;
    cr_assert_eq(aof_scan_feed(s, file.ptr + at, file.len - at, &consumed), AOF_SCAN_ANNOTATION);
    cr_assert(bytes_equal(r->raw, BYTES("#TS:1\r\n")) && r->offset == at);
    at += consumed;
    cr_assert_eq(aof_scan_feed(s, file.ptr + at, file.len - at, &consumed), AOF_SCAN_COMMAND);
    cr_assert(bytes_equal(r->raw, BYTES(SET)) && r->offset == at && r->argc == 3);
    at += consumed;
    cr_assert_eq(aof_scan_feed(s, file.ptr + at, 0, &consumed), AOF_SCAN_END);
    cr_assert_eq(aof_scan_feed(s, file.ptr + at, 0, &consumed), AOF_SCAN_END);
    aof_scan_free(s);
}

/* Behind an RDB the offsets go on. */
Test(aof_scan, records_may_begin_within_the_file)
{
    struct aof_scan_options options = {.offset = 100, .size = 126, .line = 7};
    struct aof_scan *s = aof_scan_new(&options);
    size_t consumed;
    const struct bytes tail = BYTES(SELECT "*3\r" SET);
    cr_assert_eq(aof_scan_feed(s, tail.ptr, tail.len, &consumed), AOF_SCAN_COMMAND);
    cr_assert_eq(consumed, 23);
    cr_assert_eq(aof_scan_feed(s, tail.ptr + 23, tail.len - 23, &consumed), AOF_SCAN_CUT, "the file has 126 bytes");
    cr_assert_eq(aof_scan_valid_offset(s), 123);
    cr_assert_eq(aof_scan_fault(s)->offset, 123);
    cr_assert_eq(aof_scan_line(s), 12);
    aof_scan_free(s);
}

/* A whole annotation of `len` bytes, and a command behind it. */
static struct outcome scan_annotation(size_t len, bool with_end)
{
    char file[4096];
    memset(file, 'x', len);
    file[0] = '#';
    if (with_end) file[len - 1] = '\n';
    memcpy(file + len, SET, strlen(SET));
    return scan(bytes_make(file, with_end ? len + strlen(SET) : len), 10, true);
}

Test(aof_scan, an_annotation_is_of_bounded_length)
{
    cr_assert_eq(scan_annotation(AOF_ANNOTATION_MAX_BYTES, true).status, AOF_SCAN_END);
    cr_assert_eq(scan_annotation(AOF_ANNOTATION_MAX_BYTES, false).status, AOF_SCAN_END);
    struct outcome o = scan_annotation(AOF_ANNOTATION_MAX_BYTES + 1, true);
    cr_assert_eq(o.status, AOF_SCAN_BAD);
    cr_assert_eq(o.valid, AOF_ANNOTATION_MAX_BYTES);
}

/* 127 bytes of a line are looked at: up to 123 noughts, the one, CR LF behind the '*'. */
Test(aof_scan, a_header_is_of_bounded_length)
{
    for (int noughts = 122; noughts <= 200; noughts++) {
        char file[512];
        int len = snprintf(file, sizeof file, "*%0*d\r\n$1\r\na\r\n", noughts + 1, 1);
        struct outcome o = scan(bytes_make(file, (size_t)len), 10, true);
        cr_assert_eq(o.status, noughts <= 123 ? AOF_SCAN_END : AOF_SCAN_BAD, "%d noughts", noughts);
    }
}

Test(aof_scan, an_rdb_is_known_by_its_head)
{
    cr_assert(aof_begins_with_rdb(BYTES("REDIS001")));
    cr_assert(aof_begins_with_rdb(BYTES("REDIS0010\xfa")));
    cr_assert_not(aof_begins_with_rdb(BYTES("REDIS00")));
    cr_assert_not(aof_begins_with_rdb(BYTES("*2\r\n$6\r\n")));
    cr_assert_not(aof_begins_with_rdb(BYTES("")));
}

/* --- annotations --- */

static const struct {
    struct bytes line;
    enum aof_timestamp result;
    int64_t seconds;
} timestamps[] = {
    {BYTES("#TS:1700000000\r\n"), AOF_TIMESTAMP_READ, 1700000000},
    {BYTES("#TS: +5\r\n"), AOF_TIMESTAMP_READ, 5},
    {BYTES("#TS:-5\r\n"), AOF_TIMESTAMP_READ, -5},
    {BYTES("#TS:\r\n"), AOF_TIMESTAMP_READ, 0},
    {BYTES("#TS:5\n"), AOF_TIMESTAMP_BAD, 0},
    {BYTES("#TS:5"), AOF_TIMESTAMP_BAD, 0},
    {BYTES("#TS:5x\r\n"), AOF_TIMESTAMP_BAD, 0},
    {BYTES("#TS:5\0\r\n"), AOF_TIMESTAMP_BAD, 0},
    {BYTES("#TS:99999999999999999999\r\n"), AOF_TIMESTAMP_BAD, 0},
    {BYTES("#ts:5\r\n"), AOF_TIMESTAMP_NONE, 0},
    {BYTES("#TS"), AOF_TIMESTAMP_NONE, 0},
    {BYTES("#"), AOF_TIMESTAMP_NONE, 0},
};

Test(aof_annotation, timestamps_are_told_from_others)
{
    for (size_t i = 0; i < sizeof timestamps / sizeof *timestamps; i++) {
        int64_t seconds = 0;
        cr_assert_eq(aof_read_timestamp(timestamps[i].line, &seconds), timestamps[i].result, "case %zu", i);
        cr_assert_eq(seconds, timestamps[i].seconds, "case %zu", i);
    }
}
