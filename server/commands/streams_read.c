/* XREAD and XREADGROUP: from several streams at once, waiting for new entries where asked to (core/run/block_keys.h).
 * Server process. */
#include "server/base/alloc.h"
#include "server/commands/block_timeout.h"
#include "server/commands/stream_key.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"
#include "server/core/run/block_keys.h"
#include "server/core/session/session.h"

enum read_from { READ_AFTER_ID, READ_AFTER_LAST, READ_UNDELIVERED }; /* an id, $, > */

/* One of the streams asked for. */
struct source {
    struct stream *stream; /* NULL: no such key */
    struct stream_group *group;
    struct stream_id after;
    enum read_from from;
};

#define INLINE_SOURCES 8

struct read_arguments {
    bool of_group;              /* XREADGROUP */
    uint32_t group_arg;         /* and the consumer's behind it; 0: not given */
    uint32_t keys_arg, streams; /* 0: STREAMS not given; ids follow the keys */
    bool no_ack, waits;
    int64_t count, timeout_ms;
    struct source *sources, inline_sources[INLINE_SOURCES];
};

/* --- arguments --- */

static bool group_only(struct call *call, const struct read_arguments *a, const char *option)
{
    if (a->of_group) return true;
    reply_errorf(call->reply, "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.", option);
    return false;
}

static bool take_streams(struct call *call, struct read_arguments *a, uint32_t first)
{
    uint32_t rest = call->argc - first;
    a->keys_arg = first;
    a->streams = rest / 2;
    if (rest % 2 == 0) return true;
    reply_errorf(call->reply,
                 "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must be specified.",
                 call->command->full_name, a->of_group ? '>' : '$');
    return false;
}

/* Other commands that wait are in a script as if their time were over; not so Redis's XREAD and XREADGROUP. */
static bool refuse_script(struct call *call)
{
    reply_errorf(call->reply, "ERR %s command is not allowed with BLOCK option from scripts", call->command->full_name);
    return false;
}

/* The option at *i; *i moves to its last argument. */
static bool take_option(struct call *call, struct read_arguments *a, uint32_t *i)
{
    uint32_t more = call->argc - *i - 1;
    if (more >= 1 && call_arg_is(call, *i, "block")) {
        if (call->session && call->session->kind == SESSION_SCRIPT) return refuse_script(call);
        a->waits = true;
        return block_timeout_ms(call, ++*i, &a->timeout_ms);
    }
    if (more >= 1 && call_arg_is(call, *i, "count")) {
        if (!call_arg_i64(call, ++*i, &a->count, NULL)) return false;
        if (a->count < 0) a->count = 0;
        return true;
    }
    if (more >= 1 && call_arg_is(call, *i, "streams")) return take_streams(call, a, *i + 1);
    if (more >= 2 && call_arg_is(call, *i, "group")) {
        if (!group_only(call, a, "GROUP")) return false;
        a->group_arg = *i + 1;
        *i += 2;
        return true;
    }
    if (call_arg_is(call, *i, "noack")) {
        a->no_ack = true;
        return group_only(call, a, "NOACK");
    }
    call_syntax_error(call);
    return false;
}

static bool read_options(struct call *call, struct read_arguments *a)
{
    for (uint32_t i = 1; i < call->argc && !a->keys_arg; i++)
        if (!take_option(call, a, &i)) return false;
    if (!a->keys_arg) return call_syntax_error(call), false;
    if (!a->of_group || a->group_arg) return true;
    reply_error(call->reply, "ERR Missing GROUP option for XREADGROUP");
    return false;
}

static bool no_group(struct call *call, struct bytes key, struct bytes group)
{
    reply_errorf(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option",
                 (int)key.len, (const char *)key.ptr, (int)group.len, (const char *)group.ptr);
    return false;
}

static bool find_source(struct call *call, const struct read_arguments *a, uint32_t i, struct source *source)
{
    *source = (struct source){0};
    if (!stream_read(call, a->keys_arg + i, &source->stream)) return false;
    if (!a->of_group) return true;
    struct bytes group = call->argv[a->group_arg];
    if (source->stream) source->group = stream_group_find(source->stream, group);
    return source->group || no_group(call, call->argv[a->keys_arg + i], group);
}

static bool read_position(struct call *call, const struct read_arguments *a, uint32_t arg, struct source *source)
{
    struct bytes id = call->argv[arg];
    if (bytes_equal(id, BYTES("$"))) {
        source->from = READ_AFTER_LAST;
        if (source->stream) source->after = source->stream->last_id;
        if (!a->of_group) return true;
        reply_error(call->reply,
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
                    "consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just "
                    "return an empty result set.");
        return false;
    }
    if (bytes_equal(id, BYTES(">"))) {
        source->from = READ_UNDELIVERED;
        if (source->group) source->after = source->group->last_id;
        if (a->of_group) return true;
        reply_error(call->reply, "ERR The > ID can be specified only when calling XREADGROUP "
                                 "using the GROUP <group> <consumer> option.");
        return false;
    }
    source->from = READ_AFTER_ID;
    if (!stream_id_argument(call, arg, &source->after)) return false;
    /* Nothing can be behind the greatest id: for a group it is another word for >. */
    if (a->of_group && stream_id_compare(source->after, STREAM_ID_MOST) == 0) source->from = READ_UNDELIVERED;
    return true;
}

static bool read_sources(struct call *call, struct read_arguments *a)
{
    if (a->streams > INLINE_SOURCES) a->sources = mem_alloc(a->streams * sizeof *a->sources);
    for (uint32_t i = 0; i < a->streams; i++)
        if (!find_source(call, a, i, &a->sources[i]) ||
            !read_position(call, a, a->keys_arg + a->streams + i, &a->sources[i]))
            return false;
    return true;
}

/* --- reading for a group --- */

struct group_read {
    struct call *call;
    const struct read_arguments *arguments;
    uint32_t key_arg;
    const struct source *source;
    struct stream_consumer *consumer;
    bool consumer_untold; /* it is new, and nothing propagated has carried its name */
};

/* A claim makes its consumer where there is none; this is for who has nothing to claim. */
static void tell_of_consumer(struct group_read *r)
{
    if (!r->consumer_untold) return;
    uint32_t group_arg = r->arguments->group_arg;
    stream_propagate_consumer(r->call, r->key_arg, group_arg, r->call->argv[group_arg + 1]);
    r->consumer_untold = false;
}

/* What had been pending already, for anyone, now is for this consumer as if delivered for the first time. */
static void deliver(struct group_read *r, struct stream_id id)
{
    struct call *call = r->call;
    struct stream_group *g = r->source->group;
    struct stream_pending *p = stream_pending_find(g, id);
    r->consumer->active_ms = call->now_ms;
    if (p) {
        stream_pending_give(p, id, r->consumer);
        p->delivered_ms = call->now_ms;
        p->deliveries = 1;
    } else {
        p = stream_pending_add(g, id, r->consumer, call->now_ms, 1);
    }
    r->consumer_untold = false;
    stream_propagate_claim(call, r->key_arg, r->arguments->group_arg, g, id, p);
    call_changed(call, 1);
}

static void reply_undelivered(struct group_read *r, struct stream_id start)
{
    struct call *call = r->call;
    const struct stream *s = r->source->stream;
    struct stream_cursor c;
    struct reply_deferred deferred;
    int64_t shown = 0;
    bool no_ack = r->arguments->no_ack;
    reply_deferred_begin(call->reply, &deferred);
    stream_cursor_open(&c, s, start, STREAM_ID_MOST, false);
    for (; (!r->arguments->count || shown < r->arguments->count) && stream_cursor_next(&c); shown++) {
        stream_group_advance(s, r->source->group, c.id);
        reply_stream_entry(call->reply, &c);
        if (!no_ack) deliver(r, c.id);
    }
    stream_cursor_close(&c);
    reply_deferred_array(call->reply, &deferred, (size_t)shown);
    if (!no_ack) {
        if (shown) stream_propagate_entries_read(call, r->key_arg, r->arguments->group_arg, r->source->group);
        return;
    }
    tell_of_consumer(r);
    stream_propagate_last_id(call, r->key_arg, r->arguments->group_arg, r->source->group);
    call_changed(call, 1);
}

/* What the consumer has pending; entries that have been deleted come without content. */
static void reply_history(const struct group_read *r, struct stream_id start)
{
    struct call *call = r->call;
    struct radix_cursor pending;
    struct reply_deferred deferred;
    uint8_t key[STREAM_ID_KEY_BYTES];
    int64_t shown = 0;
    reply_deferred_begin(call->reply, &deferred);
    radix_cursor_init(&pending, &r->consumer->pending);
    bool on = radix_cursor_seek(&pending, RADIX_AT_LEAST, stream_id_key(start, key));
    for (; on && (!r->arguments->count || shown < r->arguments->count); on = radix_cursor_next(&pending), shown++) {
        struct stream_id id = stream_id_of_key(pending.key.ptr);
        struct stream_pending *p = pending.value;
        struct stream_cursor c;
        stream_cursor_open(&c, r->source->stream, id, id, false);
        if (stream_cursor_next(&c)) {
            reply_stream_entry(call->reply, &c);
            p->delivered_ms = call->now_ms;
            p->deliveries++;
        } else {
            reply_array(call->reply, 2);
            reply_stream_id(call->reply, id);
            reply_null_array(call->reply);
        }
        stream_cursor_close(&c);
    }
    radix_cursor_close(&pending);
    reply_deferred_array(call->reply, &deferred, (size_t)shown);
}

static void get_consumer(struct group_read *r)
{
    struct bytes name = r->call->argv[r->arguments->group_arg + 1];
    r->consumer = stream_consumer_get(r->call, r->key_arg, r->source->group, name, &r->consumer_untold);
    r->consumer->seen_ms = r->call->now_ms;
}

/* --- both --- */

/* A history is always answered, be it empty. */
static bool has_something(const struct read_arguments *a, struct source *source)
{
    const struct stream *s = source->stream;
    if (a->of_group && source->from == READ_AFTER_ID) return true;
    if (source->from == READ_UNDELIVERED) source->after = source->group->last_id;
    return s && s->length && stream_id_compare(stream_edge_id(s, true), source->after) > 0;
}

/* Answers with key and entries. */
static void reply_source(struct call *call, struct group_read *r)
{
    const struct source *source = r->source;
    struct stream_id start = source->after;
    stream_id_increment(&start);
    if (call->reply->protocol == 2) reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[r->key_arg]);
    if (!source->group)
        reply_stream_range(call->reply, source->stream, start, STREAM_ID_MOST, (uint64_t)r->arguments->count, false);
    else if (source->from == READ_AFTER_ID)
        reply_history(r, start);
    else
        reply_undelivered(r, start);
}

/* Answers with all that there is; false: there is nothing, and no answer. */
static bool reply_sources(struct call *call, const struct read_arguments *a)
{
    struct reply_deferred deferred;
    size_t served = 0;
    for (uint32_t i = 0; i < a->streams; i++) {
        struct group_read r = {call, a, a->keys_arg + i, &a->sources[i], NULL, false};
        call_find_read(call, r.key_arg); /* to look at its type and to read it are two reads, for counts and events */
        if (a->of_group) get_consumer(&r);
        if (has_something(a, &a->sources[i])) {
            if (!served++) reply_deferred_begin(call->reply, &deferred);
            reply_source(call, &r);
        }
        tell_of_consumer(&r);
    }
    if (!served) return false;
    if (call->reply->protocol == 2)
        reply_deferred_array(call->reply, &deferred, served);
    else
        reply_deferred_map(call->reply, &deferred, served);
    return true;
}

/* Waiting begins here and now: where $ stood, the id stands that it means. */
static void wait_for_streams(struct call *call, const struct read_arguments *a)
{
    struct bytes *argv = mem_alloc(call->argc * sizeof *argv);
    struct stream_id_text *ids = mem_alloc(a->streams * sizeof *ids);
    memcpy(argv, call->argv, call->argc * sizeof *argv);
    for (uint32_t i = 0; i < a->streams; i++)
        if (a->sources[i].from == READ_AFTER_LAST)
            argv[a->keys_arg + a->streams + i] = stream_id_text(&ids[i], a->sources[i].after);
    const struct key_wait wait = {
        .keys = call->argv + a->keys_arg,
        .key_count = a->streams,
        .type = TYPE_STREAM,
        .wakes_when_gone = a->of_group,
        .timeout_ms = a->timeout_ms,
        .reply_denied = reply_null_array,
        .argc = call->argc,
        .argv = argv,
    };
    block_on_keys(call, &wait);
    mem_free(ids);
    mem_free(argv);
}

static void read_and_answer(struct call *call, struct read_arguments *a)
{
    if (!read_options(call, a) || !read_sources(call, a) || reply_sources(call, a)) return;
    if (a->waits)
        wait_for_streams(call, a);
    else
        reply_null_array(call->reply);
}

static void read_streams(struct call *call, bool of_group)
{
    struct read_arguments a = {.of_group = of_group};
    a.sources = a.inline_sources;
    read_and_answer(call, &a);
    if (a.sources != a.inline_sources) mem_free(a.sources);
}

static void xread_command(struct call *call)
{
    read_streams(call, false);
}

/* Replicas are told what it did, and only that. */
static void xreadgroup_command(struct call *call)
{
    call_rewrite_nothing(call);
    read_streams(call, true);
}

#define KEYS_BEHIND_STREAMS(from_) KEYS(KEYS_AFTER("STREAMS", from_, -1, 2, KEY_RO | KEY_ACCESS))

const struct command streams_read_commands[] = {
    {"xread", xread_command, -4, CMD_READONLY | CMD_BLOCKING | CMD_MOVABLE_KEYS, CAT_STREAM, KEYS_BEHIND_STREAMS(1)},
    {"xreadgroup", xreadgroup_command, -7, CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, CAT_STREAM,
     KEYS_BEHIND_STREAMS(4)},
    {.name = NULL},
};
