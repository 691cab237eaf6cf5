/* Where commands end, whatever the pieces in which they come, and what each is. */
#include "server/aof/annotation.h"
#include "server/aof/journal/frames.h"
#include "server/base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sample {
    const char *text;
    enum frame_kind kind;
};

static const struct sample samples[] = {
    {"*1\r\n$4\r\nPING\r\n", FRAME_NO_DATA},
    {"*1\r\n$4\r\nping\r\n", FRAME_NO_DATA},
    {"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n", FRAME_NO_DATA},
    {"*3\r\n$7\r\npublish\r\n$1\r\n\r\r\n$2\r\n$1\r\n", FRAME_NO_DATA},
    {"*3\r\n$8\r\nSPUBLISH\r\n$1\r\nc\r\n$1\r\nm\r\n", FRAME_NO_DATA},
    {"*1\r\n$5\r\nMULTI\r\n", FRAME_MULTI},
    {"*1\r\n$4\r\nExEc\r\n", FRAME_EXEC},
    {"*3\r\n$3\r\nSET\r\n$4\r\nPING\r\n$0\r\n\r\n", FRAME_DATA},
    {"*2\r\n$4\r\nPINK\r\n$12\r\n*1\r\n$4\r\nPING\r\n", FRAME_DATA},
    {"*4\r\n$21\r\nANAMELONGERTHANALLOFS\r\n$0\r\n\r\n$0\r\n\r\n$1\r\nx\r\n", FRAME_DATA},
    {"*0000000002\r\n$0000003\r\nDEL\r\n$1\r\na\r\n", FRAME_DATA},
    {"*2\r\n$8\r\nreplconG\r\n$1\r\na\r\n", FRAME_DATA},
};

static struct bytes head_of(const uint8_t *at, const uint8_t *end)
{
    size_t len = (size_t)(end - at);
    return bytes_make(at, len < FRAME_HEAD_BYTES ? len : FRAME_HEAD_BYTES);
}

Test(journal_frames, each_kind_is_told_and_each_end_found)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        const uint8_t *at = (const uint8_t *)samples[i].text, *end = at + strlen(samples[i].text);
        enum frame_kind kind;
        cr_expect_eq(frame_kind(head_of(at, end)), samples[i].kind, "%s", samples[i].text);
        const uint8_t *whole = frame_whole(at, end, &kind);
        cr_expect(!whole || (whole == end && kind == samples[i].kind), "%s", samples[i].text);
        for (const uint8_t *cut = at; cut < end; cut++) cr_expect_null(frame_whole(at, cut, &kind));
    }
}

Test(journal_frames, pieces_of_any_length_make_no_difference)
{
    struct random_state random;
    uint64_t seed = (uint64_t)time(NULL);
    random_seed(&random, seed);
    static char stream[1 << 16];
    static size_t ends[1 << 14];
    size_t len = 0, count = 0, found = 0, at = 0;
    while (len < sizeof(stream) - 300) {
        len += (size_t)snprintf(stream + len, 100, "%s",
                                samples[random_below(&random, sizeof(samples) / sizeof(*samples))].text);
        ends[count++] = len;
        int bytes = (int)random_below(&random, 150);
        len += (size_t)snprintf(stream + len, 200, "*2\r\n$3\r\nDEL\r\n$%d\r\n%0*d\r\n", bytes ? bytes : 1, bytes, 7);
        ends[count++] = len;
    }
    struct frame f = {.state = FRAME_OUTSIDE};
    while (at < len) {
        if (f.state == FRAME_OUTSIDE) frame_begin(&f);
        size_t piece = 1 + random_below(&random, 30);
        if (piece > len - at) piece = len - at;
        at += frame_pass(&f, (const uint8_t *)stream + at, piece);
        cr_assert_neq(f.state, FRAME_BROKEN, "seed %llu, at %zu", (unsigned long long)seed, at);
        if (f.state == FRAME_OUTSIDE) cr_assert_eq(at, ends[found++], "seed %llu", (unsigned long long)seed);
    }
    cr_assert_eq(found, count);
}

Test(journal_frames, what_is_no_request_is_told)
{
    static const char *const bad[] = {"PING\r\n", "\r\n", "+OK\r\n", "*\r\n", "*0\r\n", "*-1\r\n", "$3\r\nSET\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect_eq(frame_kind(bytes_from_text(bad[i])), FRAME_BAD, "%s", bad[i]);
    struct frame f;
    const char *text = "*2\r\n$3\r\nDEL\r\nX1\r\na\r\n";
    frame_begin(&f);
    frame_pass(&f, (const uint8_t *)text, strlen(text));
    cr_expect_eq(f.state, FRAME_BROKEN);
}

/* --- annotations --- */

#define ID    "0123456789abcdef0123456789abcdef01234567"
#define OTHER "fedcba9876543210fedcba9876543210fedcba98"

static bool feed(struct aof_position *p, const char *line)
{
    return aof_position_read(p, bytes_from_text(line));
}

Test(aof_position, what_is_written_is_read)
{
    struct aof_position p = {.offset = 77, .id = ID, .second_offset = -1}, q = {0};
    char line[AOF_NOTE_MAX_BYTES + 1];
    for (int second = 0; second < 2; second++) {
        line[aof_write_history(line, &p)] = '\0';
        cr_assert(feed(&q, line) && q.known && q.told && q.offset == 77);
        cr_assert_str_eq(q.id, ID);
        cr_assert_str_eq(q.second_id, second ? OTHER : "");
        cr_assert_eq(q.second_offset, second ? 50 : -1);
        strcpy(p.second_id, OTHER);
        p.second_offset = 50;
    }
    aof_position_pass_command(&q, 23);
    cr_assert(q.known && q.offset == 100);
    line[aof_write_offset(line, 114)] = '\0';
    cr_assert(feed(&q, line) && q.offset == 114);
    line[aof_write_end(line, 120)] = '\0';
    cr_assert(feed(&q, line) && q.known && q.offset == 120);
    int64_t seconds;
    line[aof_write_timestamp(line, 1700000000)] = '\0';
    cr_assert(!feed(&q, line) && aof_read_timestamp(bytes_from_text(line), &seconds) == AOF_TIMESTAMP_READ);
    cr_assert_eq(seconds, 1700000000);
}

/* Another server may have gone on with the file, or begun it. */
Test(aof_position, commands_that_nobody_vouches_for_make_it_unknown)
{
    struct aof_position p = {0};
    feed(&p, "#HISTORY:" ID ":10:-:-1\r\n");
    feed(&p, "#END:10\r\n");
    cr_assert(p.known);
    aof_position_pass_command(&p, 5);
    cr_assert_not(p.known);
    feed(&p, "#OFFSET:20\r\n");
    cr_assert_not(p.known, "an offset without a history");
    feed(&p, "#HISTORY:" ID ":20:-:-1\r\n");
    aof_position_begin_file(&p);
    cr_assert(p.known && p.offset == 20, "an empty file changes nothing");
    aof_position_pass_command(&p, 5);
    cr_assert_not(p.known);
}

Test(aof_position, lines_that_make_no_sense_are_not_believed)
{
    static const char *const bad[] = {"#HISTORY:" ID ":10:-:-1",
                                      "#HISTORY:" ID ":-10:-:-1\r\n",
                                      "#HISTORY:abc:10:-:-1\r\n",
                                      "#HISTORY:" ID ":10:-:-1\r\nx",
                                      "#HISTORY:" ID ":10:" OTHER ":\r\n",
                                      "#HISTORY:" ID ":10:" OTHER ":1\r\nx",
                                      "#OFFSET:\r\n",
                                      "#OFFSET:99999999999999999999999\r\n",
                                      "#OFFSET:1\n",
                                      "#END:1x\r\n",
                                      "#HISTORY:\r\n",
                                      "#HISTORY:" ID ":10\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct aof_position p = {0};
        feed(&p, "#HISTORY:" ID ":10:-:-1\r\n");
        cr_assert(p.known);
        cr_expect(feed(&p, bad[i]) && !p.known, "%s", bad[i]);
    }
    struct aof_position p = {0};
    feed(&p, "#HISTORY:" ID ":10:-:-1\r\n");
    cr_expect(!feed(&p, "#SOMETHING:1\r\n") && p.known);
}
