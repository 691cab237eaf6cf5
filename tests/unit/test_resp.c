/* server/resp: what comes in at any pace means the same, what goes out has Redis's form. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/alloc.h"
#include "server/base/random.h"
#include "server/resp/reader.h"
#include "server/resp/writer.h"

static const struct resp_limits usual = {512 << 20, INT32_MAX, 0, 64 * 1024};
static const struct resp_limits before_auth = {512 << 20, 10, 16384, 64 * 1024};

/* --- requests --- */

/* The outcome of a stream of requests as text: `[arg|arg]` each, `raw<n>` for its own bytes, at last the error. */
struct outcome {
    char text[8192];
    size_t len;
    bool failed;
};

static void note(struct outcome *o, const void *data, size_t len)
{
    cr_assert_lt(o->len + len, sizeof(o->text));
    memcpy(o->text + o->len, data, len);
    o->len += len;
}

static void note_request(struct outcome *o, const struct resp_request *r)
{
    char raw[32];
    note(o, "[", 1);
    for (uint32_t i = 0; i < r->argc; i++) {
        if (i) note(o, "|", 1);
        note(o, r->argv[i].ptr, r->argv[i].len);
    }
    note(o, raw, (size_t)snprintf(raw, sizeof(raw), "]raw%zu", r->raw.len));
}

/* Reads everything that is complete in a copy of the bytes that is gone afterwards: slices kept too long would show. */
static size_t feed(struct outcome *o, struct resp_request *r, const uint8_t *input, size_t len,
                   const struct resp_limits *limits)
{
    uint8_t *moved = malloc(len + !len);
    size_t at = 0;
    memcpy(moved, input, len);
    while (!o->failed && at < len) {
        size_t consumed;
        enum resp_status status = resp_request_read(r, moved + at, len - at, limits, &consumed);
        if (status == RESP_NEED_MORE) break;
        if (status == RESP_ERROR) {
            note(o, r->error, strlen(r->error));
            o->failed = true;
            break;
        }
        cr_assert(consumed > 0 && consumed <= len - at);
        note_request(o, r);
        at += consumed;
    }
    free(moved);
    return at;
}

/* The stream arrives in pieces of `piece` bytes, the first one of `first`. */
static struct outcome read_stream(struct bytes stream, size_t first, size_t piece, const struct resp_limits *limits)
{
    struct outcome o = {.len = 0};
    struct resp_request r;
    size_t start = 0, arrived = first < stream.len ? first : stream.len;
    resp_request_init(&r);
    for (;;) {
        start += feed(&o, &r, stream.ptr + start, arrived - start, limits);
        if (o.failed || arrived == stream.len) break;
        arrived = arrived + piece < stream.len ? arrived + piece : stream.len;
    }
    resp_request_free(&r);
    return o;
}

static void assert_stream(struct bytes stream, const char *expected, const struct resp_limits *limits)
{
    for (size_t first = 0; first <= stream.len; first++) {
        struct outcome in_two = read_stream(stream, first, SIZE_MAX / 2, limits);
        cr_assert_str_eq(in_two.text, expected, "split at %zu", first);
        struct outcome in_bytes = read_stream(stream, first, 1, limits);
        cr_assert_str_eq(in_bytes.text, expected, "byte by byte from %zu", first);
    }
}

#define ASSERT_STREAM(stream, expected) assert_stream(BYTES(stream), expected, &usual)

Test(request, arrays_mean_the_same_at_every_split)
{
    ASSERT_STREAM("*1\r\n$4\r\nPING\r\n", "[PING]raw14");
    ASSERT_STREAM("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$8\r\nabc\r\ndef\r\n",
                  "[SET|key|]raw28[GET|abc\r\ndef]raw27");
}

Test(request, nothing_asked_is_complete)
{
    ASSERT_STREAM("*0\r\n*-1\r\n\r\n\n*1\r\n$1\r\nx\r\n", "[]raw4[]raw5[]raw0[]raw0[x]raw11");
}

Test(request, line_ends_are_skipped_unread)
{
    ASSERT_STREAM("*1\r\n$4\r\nPINGxx*1\r.$4\r.PING\r\n", "[PING]raw14[PING]raw14");
}

Test(request, many_arguments)
{
    enum { ARGUMENTS = 5000 };
    struct outq out = {0};
    struct bytes *argv = mem_calloc(ARGUMENTS, sizeof(*argv));
    for (int i = 0; i < ARGUMENTS; i++) argv[i] = BYTES("argument");
    resp_write_request(&out, ARGUMENTS, argv);
    resp_write_request(&out, 1, argv);
    size_t len = outq_pending(&out), consumed = 0;
    uint8_t *input = mem_alloc(len);
    for (size_t at = 0; at < len;) {
        struct bytes front = outq_front(&out);
        memcpy(input + at, front.ptr, front.len);
        at += front.len;
        outq_consume(&out, front.len);
    }
    struct resp_request r;
    resp_request_init(&r);
    for (size_t arrived = 1; arrived < len - 24; arrived += 977) {
        cr_assert_eq(resp_request_read(&r, input, arrived, &usual, &consumed), RESP_NEED_MORE);
    }
    cr_assert_eq(resp_request_read(&r, input, len, &usual, &consumed), RESP_COMPLETE);
    cr_assert_eq(r.argc, ARGUMENTS);
    for (uint32_t i = 0; i < r.argc; i++) cr_assert(bytes_equal(r.argv[i], BYTES("argument")));
    cr_assert_eq(resp_request_read(&r, input + consumed, len - consumed, &usual, &consumed), RESP_COMPLETE);
    cr_assert_eq(r.argc, 1);
    cr_assert_lt(r.capacity, ARGUMENTS, "the long argument vector is given back");
    resp_request_free(&r);
    mem_free(input);
    mem_free(argv);
}

Test(request, a_large_bulk_announces_what_it_wants)
{
    struct resp_request r;
    size_t consumed;
    const struct bytes start = BYTES("*2\r\n$3\r\nGET\r\n$100000\r\nabc");
    resp_request_init(&r);
    cr_assert_eq(resp_request_read(&r, start.ptr, start.len, &usual, &consumed), RESP_NEED_MORE);
    cr_assert_eq(r.wanted, start.len - 3 + 100000 + 2);
    resp_request_free(&r);
}

Test(request, inline_words)
{
    ASSERT_STREAM("PING\r\nPING\n  set  a\tb \r\n", "[PING]raw0[PING]raw0[set|a|b]raw0");
    ASSERT_STREAM("a \"b c\" 'd e' \"\" f\"g h\"\n", "[a|b c|d e||fg h]raw0");
    ASSERT_STREAM("\"\\x41\\xzz\\t\\\"\\q\\\\\" 'it\\'s \\n'\n", "[Axzz\t\"q\\|it's \\n]raw0");
    ASSERT_STREAM("a\vb \v c\n", "[a\vb|c]raw0");
}

Test(request, faults_have_redis_words)
{
    ASSERT_STREAM("*x\r\n", "Protocol error: invalid multibulk length");
    ASSERT_STREAM("*\r\n", "Protocol error: invalid multibulk length");
    ASSERT_STREAM("*03\r\n", "Protocol error: invalid multibulk length");
    ASSERT_STREAM("*+1\r\n", "Protocol error: invalid multibulk length");
    ASSERT_STREAM("*2147483648\r\n", "Protocol error: invalid multibulk length");
    ASSERT_STREAM("*99999999999999999999\r\n", "Protocol error: invalid multibulk length");
    ASSERT_STREAM("*1\r\nx\r\n", "Protocol error: expected '$', got 'x'");
    ASSERT_STREAM("*1\r\n:1\r\n", "Protocol error: expected '$', got ':'");
    ASSERT_STREAM("*2\r\n$1\r\na\r\n$-1\r\n", "Protocol error: invalid bulk length");
    ASSERT_STREAM("*1\r\n$04\r\n", "Protocol error: invalid bulk length");
    ASSERT_STREAM("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length");
    ASSERT_STREAM("*1\r\n$9223372036854775807\r\n", "Protocol error: invalid bulk length");
    ASSERT_STREAM("a \"b\n", "Protocol error: unbalanced quotes in request");
    ASSERT_STREAM("a \"b\"c\n", "Protocol error: unbalanced quotes in request");
    ASSERT_STREAM("a 'b\\'\n", "Protocol error: unbalanced quotes in request");
}

Test(request, less_is_allowed_before_authentication)
{
    assert_stream(BYTES("*11\r\n"), "Protocol error: unauthenticated multibulk length", &before_auth);
    assert_stream(BYTES("*2147483648\r\n"), "Protocol error: invalid multibulk length", &before_auth);
    assert_stream(BYTES("*1\r\n$16385\r\n"), "Protocol error: unauthenticated bulk length", &before_auth);
    assert_stream(BYTES("*1\r\n$-1\r\n"), "Protocol error: invalid bulk length", &before_auth);
    assert_stream(BYTES("*10\r\n"), "", &before_auth);
    assert_stream(BYTES("*1\r\n$16384\r\n"), "", &before_auth);
}

static void assert_endless(const char *start, const char *expected)
{
    static uint8_t input[70000];
    memset(input, '1', sizeof(input));
    memcpy(input, start, strlen(start));
    struct outcome at_once = read_stream(bytes_make(input, sizeof(input)), 0, SIZE_MAX / 2, &usual);
    struct outcome in_pieces = read_stream(bytes_make(input, sizeof(input)), 0, 500, &usual);
    cr_assert_str_eq(at_once.text, expected);
    cr_assert_str_eq(in_pieces.text, expected);
}

Test(request, lines_without_end_are_refused)
{
    assert_endless("*", "Protocol error: too big mbulk count string");
    assert_endless("*1\r\n$", "Protocol error: too big bulk count string");
    assert_endless("a", "Protocol error: too big inline request");
}

Test(request, random_bytes_do_no_harm_and_mean_the_same_at_any_pace)
{
    static const char alphabet[] = "**$$\r\r\n\n01123 -\"'\\xaP";
    struct random_state random;
    random_seed(&random, 11);
    for (int round = 0; round < 30000; round++) {
        uint8_t input[64];
        size_t len = random_below(&random, sizeof(input));
        for (size_t i = 0; i < len; i++) input[i] = (uint8_t)alphabet[random_below(&random, sizeof(alphabet) - 1)];
        struct bytes stream = bytes_make(input, len);
        struct outcome at_once = read_stream(stream, len, 1, &usual);
        struct outcome in_bytes = read_stream(stream, 1, 1, &usual);
        struct outcome in_pieces = read_stream(stream, random_below(&random, len + 1), 3, &usual);
        cr_assert_eq(at_once.len, in_bytes.len);
        cr_assert_eq(memcmp(at_once.text, in_bytes.text, at_once.len), 0);
        cr_assert_eq(at_once.len, in_pieces.len);
        cr_assert_eq(memcmp(at_once.text, in_pieces.text, at_once.len), 0);
    }
}

/* --- replies read --- */

static struct resp_value read_whole(const char *text)
{
    struct resp_value v;
    size_t len = strlen(text), consumed = 0;
    for (size_t part = 0; part < len; part++) {
        uint8_t *copy = malloc(part + 1);
        memcpy(copy, text, part);
        cr_assert_eq(resp_reply_read(copy, part, &v, &consumed), RESP_NEED_MORE, "%zu bytes of %s", part, text);
        free(copy);
    }
    cr_assert_eq(resp_reply_read((const uint8_t *)text, len, &v, &consumed), RESP_COMPLETE, "%s", text);
    cr_assert_eq(consumed, len, "%s", text);
    cr_assert_eq(v.type, text[0]);
    return v;
}

Test(reply, scalars)
{
    cr_assert(bytes_equal(read_whole("+OK\r\n").text, BYTES("OK")));
    cr_assert(bytes_equal(read_whole("-ERR no\r\n").text, BYTES("ERR no")));
    cr_assert_eq(read_whole(":-42\r\n").integer, -42);
    cr_assert(bytes_equal(read_whole("$5\r\na\r\nbc\r\n").text, BYTES("a\r\nbc")));
    cr_assert_eq(read_whole("$0\r\n\r\n").text.len, 0);
    cr_assert(bytes_equal(read_whole(",1.5\r\n").text, BYTES("1.5")));
    cr_assert(bytes_equal(read_whole("(123456789012345678901\r\n").text, BYTES("123456789012345678901")));
    cr_assert(bytes_equal(read_whole("=7\r\ntxt:abc\r\n").text, BYTES("txt:abc")));
    cr_assert_eq(read_whole("#t\r\n").integer, 1);
    cr_assert_eq(read_whole("#f\r\n").integer, 0);
    cr_assert(read_whole("$-1\r\n").null);
    cr_assert(read_whole("*-1\r\n").null);
    cr_assert(read_whole("_\r\n").null);
    cr_assert_not(read_whole("$0\r\n\r\n").null);
}

Test(reply, aggregates_give_their_header)
{
    cr_assert_eq(read_whole("*3\r\n").integer, 3);
    cr_assert_eq(read_whole("%2\r\n").integer, 2);
    cr_assert_eq(read_whole("~0\r\n").integer, 0);
    cr_assert_eq(read_whole(">1\r\n").integer, 1);
    cr_assert_eq(read_whole("|1\r\n").integer, 1);
}

Test(reply, what_is_not_resp_is_refused)
{
    const char *wrong[] = {"x\r\n",  "+OK\n",  ":abc\r\n",      "$-2\r\n", "%-1\r\n",
                           "#x\r\n", "_x\r\n", "$1\r\nabc\r\n", "*x\r\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct resp_value v;
        size_t consumed;
        cr_assert_eq(resp_reply_read((const uint8_t *)wrong[i], strlen(wrong[i]), &v, &consumed), RESP_ERROR, "%s",
                     wrong[i]);
    }
}

/* --- replies written --- */

struct sink {
    struct outq out;
    struct reply reply;
};

static void sink_init(struct sink *s, uint8_t protocol)
{
    *s = (struct sink){.reply = {.protocol = protocol}};
    s->reply.out = &s->out;
}

/* What was written since the last call. */
static void assert_written(struct sink *s, const char *expected)
{
    char text[8192];
    size_t len = 0;
    while (!outq_empty(&s->out)) {
        struct bytes front = outq_front(&s->out);
        cr_assert_lt(len + front.len, sizeof(text));
        memcpy(text + len, front.ptr, front.len);
        len += front.len;
        outq_consume(&s->out, front.len);
    }
    text[len] = 0;
    cr_assert_str_eq(text, expected);
}

static void write_every_type(struct reply *r)
{
    reply_ok(r);
    reply_simple(r, "PONG");
    reply_integer(r, 7);
    reply_integer(r, 42);
    reply_integer(r, -1);
    reply_integer(r, INT64_MIN);
    reply_bulk(r, BYTES("abc"));
    reply_bulk(r, bytes_make(NULL, 0));
    reply_bulk_text(r, "0123456789");
    reply_bulkf(r, "%d:%s", 5, "x");
    reply_bulk_integer(r, -15);
    reply_bulk(r, BYTES("3.5"));
    reply_raw(r, BYTES(":9\r\n"));
}

static void write_types_of_resp3(struct reply *r)
{
    reply_null(r);
    reply_null_array(r);
    reply_double(r, 0.5);
    reply_double(r, -INFINITY);
    reply_double(r, NAN);
    reply_boolean(r, true);
    reply_boolean(r, false);
    reply_verbatim(r, BYTES("text"), "txt");
    reply_big_number(r, BYTES("12345678901234567890"));
    reply_array(r, 12);
    reply_map(r, 2);
    reply_set(r, 3);
    reply_push_begin(r, 345);
    reply_push_end(r);
}

Test(writer, common_types_are_the_same_in_both_protocols)
{
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        struct sink s;
        sink_init(&s, protocol);
        write_every_type(&s.reply);
        assert_written(&s, "+OK\r\n+PONG\r\n:7\r\n:42\r\n:-1\r\n:-9223372036854775808\r\n$3\r\nabc\r\n$0\r\n\r\n"
                           "$10\r\n0123456789\r\n$3\r\n5:x\r\n$3\r\n-15\r\n$3\r\n3.5\r\n:9\r\n");
    }
}

Test(writer, resp3_types_fall_back)
{
    struct sink s;
    sink_init(&s, 2);
    write_types_of_resp3(&s.reply);
    assert_written(&s, "$-1\r\n*-1\r\n$3\r\n0.5\r\n$4\r\n-inf\r\n$3\r\nnan\r\n:1\r\n:0\r\n$4\r\ntext\r\n"
                       "$20\r\n12345678901234567890\r\n*12\r\n*4\r\n*3\r\n*345\r\n");
    sink_init(&s, 3);
    write_types_of_resp3(&s.reply);
    assert_written(&s, "_\r\n_\r\n,0.5\r\n,-inf\r\n,nan\r\n#t\r\n#f\r\n=8\r\ntxt:text\r\n"
                       "(12345678901234567890\r\n*12\r\n%2\r\n~3\r\n>345\r\n");
}

Test(writer, errors_are_one_line_and_counted)
{
    struct sink s;
    sink_init(&s, 2);
    reply_error(&s.reply, "WRONGTYPE Operation\r\nagainst\r\n");
    cr_assert_str_eq(s.reply.error_prefix, "WRONGTYPE");
    reply_errorf(&s.reply, "ERR value %d", 3);
    cr_assert_str_eq(s.reply.error_prefix, "ERR");
    assert_written(&s, "-WRONGTYPE Operation  against\r\n-ERR value 3\r\n");
    char name[2001];
    memset(name, 'n', 2000);
    name[2000] = 0;
    reply_errorf(&s.reply, "%s", name);
    cr_assert_eq(strlen(s.reply.error_prefix), sizeof(s.reply.error_prefix) - 1);
    cr_assert_eq(outq_pending(&s.out), 2003);
    cr_assert_eq(s.reply.errors, 3);
    outq_clear(&s.out);
}

Test(writer, muted_writes_nothing_but_counts_errors)
{
    struct sink s;
    struct reply_deferred d;
    sink_init(&s, 3);
    s.reply.muted = REPLY_NOBODY_LISTENS;
    s.reply.out = NULL;
    write_every_type(&s.reply);
    write_types_of_resp3(&s.reply);
    reply_error(&s.reply, "ERR no");
    reply_deferred_begin(&s.reply, &d);
    reply_ok(&s.reply);
    reply_deferred_array(&s.reply, &d, 1);
    cr_assert_null(s.reply.out);
    cr_assert_eq(s.reply.errors, 1);
}

Test(writer, what_is_pushed_goes_out_where_answers_are_not_wanted)
{
    struct sink s;
    sink_init(&s, 3);
    s.reply.muted = REPLY_UNWANTED;
    reply_ok(&s.reply);
    reply_push_begin(&s.reply, 1);
    reply_bulk_text(&s.reply, "news");
    reply_push_end(&s.reply);
    reply_ok(&s.reply);
    assert_written(&s, ">1\r\n$4\r\nnews\r\n");
    s.reply.muted |= REPLY_NOBODY_LISTENS;
    reply_push_begin(&s.reply, 1);
    reply_bulk_text(&s.reply, "news");
    reply_push_end(&s.reply);
    assert_written(&s, "");
}

Test(writer, deferred_aggregates_nest)
{
    struct sink s;
    struct reply_deferred outer, inner;
    sink_init(&s, 3);
    reply_integer(&s.reply, 1);
    reply_deferred_begin(&s.reply, &outer);
    reply_integer(&s.reply, 2);
    reply_deferred_begin(&s.reply, &inner);
    reply_integer(&s.reply, 3);
    reply_integer(&s.reply, 4);
    reply_deferred_map(&s.reply, &inner, 1);
    reply_deferred_begin(&s.reply, &inner);
    reply_deferred_set(&s.reply, &inner, 0);
    reply_deferred_array(&s.reply, &outer, 3);
    reply_integer(&s.reply, 5);
    assert_written(&s, ":1\r\n*3\r\n:2\r\n%1\r\n:3\r\n:4\r\n~0\r\n:5\r\n");
}

Test(writer, values_of_any_size_are_whole)
{
    const size_t sizes[] = {1, 99, 100, 2047, 2048, 16000, 16384, 100000};
    struct sink s;
    sink_init(&s, 2);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *value = mem_alloc(sizes[i]), header[32];
        memset(value, 'v', sizes[i]);
        reply_bulk(&s.reply, bytes_make(value, sizes[i]));
        size_t head = (size_t)snprintf(header, sizeof(header), "$%zu\r\n", sizes[i]);
        cr_assert_eq(outq_pending(&s.out), head + sizes[i] + 2);
        cr_assert_eq(memcmp(outq_front(&s.out).ptr, header, head), 0);
        outq_clear(&s.out);
        mem_free(value);
    }
}

Test(writer, requests_are_read_back)
{
    struct outq out = {0};
    struct bytes argv[] = {BYTES("SET"), BYTES("k\r\n"), bytes_make(NULL, 0)};
    struct resp_request r;
    size_t consumed;
    resp_request_init(&r);
    resp_write_request(&out, 3, argv);
    struct bytes front = outq_front(&out);
    cr_assert_eq(resp_request_read(&r, front.ptr, front.len, &usual, &consumed), RESP_COMPLETE);
    cr_assert_eq(consumed, front.len);
    cr_assert_eq(r.argc, 3);
    for (int i = 0; i < 3; i++) cr_assert(bytes_equal(r.argv[i], argv[i]));
    resp_request_free(&r);
    outq_clear(&out);
}
