/* Consumer groups: XGROUP, XACK, XPENDING. Server process. */
#include "server/base/alloc.h"
#include "server/commands/stream_key.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/block_keys.h"

/* --- XGROUP --- */

static bool key_must_exist(struct call *call, const struct stream *s)
{
    if (s) return true;
    reply_error(call->reply, "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want "
                             "to use the MKSTREAM option to create an empty stream automatically.");
    return false;
}

/* Stream and group of XGROUP <subcommand> key group. */
static bool open_group(struct call *call, struct stream **s, struct stream_group **g)
{
    struct bytes key = call->argv[2], name = call->argv[3];
    if (!stream_write(call, 2, s) || !key_must_exist(call, *s)) return false;
    *g = stream_group_find(*s, name);
    if (*g) return true;
    reply_errorf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.len,
                 (const char *)name.ptr, (int)key.len, (const char *)key.ptr);
    return false;
}

struct group_options {
    bool make_stream, may_make_stream;
    int64_t entries_read;
};

static bool read_group_options(struct call *call, struct group_options *o)
{
    o->entries_read = STREAM_ENTRIES_READ_UNKNOWN;
    for (uint32_t i = 5; i < call->argc; i++) {
        if (o->may_make_stream && call_arg_is(call, i, "mkstream")) {
            o->make_stream = true;
        } else if (i + 1 < call->argc && call_arg_is(call, i, "entriesread")) {
            if (!call_arg_i64(call, ++i, &o->entries_read, NULL)) return false;
            if (o->entries_read >= 0 || o->entries_read == STREAM_ENTRIES_READ_UNKNOWN) continue;
            reply_error(call->reply, "ERR value for ENTRIESREAD must be positive or -1");
            return false;
        } else {
            call_unknown_subcommand(call);
            return false;
        }
    }
    return true;
}

/* No option stands twice, unless another is left out. Looked at last. */
static bool few_arguments(struct call *call, uint32_t most)
{
    if (call->argc <= most) return true;
    call_unknown_subcommand(call);
    return false;
}

static void group_event(struct call *call, const char *event)
{
    call_event(call, NOTIFY_STREAM, event, call->db, call->argv[2]);
    call_changed(call, 1);
}

static void xgroup_create_command(struct call *call)
{
    struct group_options o = {.may_make_stream = true};
    struct stream *s;
    struct stream_id id;
    if (!read_group_options(call, &o) || !stream_write(call, 2, &s)) return;
    if ((!o.make_stream && !key_must_exist(call, s)) || !few_arguments(call, 8)) return;
    if (bytes_equal(call->argv[4], BYTES("$")))
        id = s ? s->last_id : STREAM_ID_LEAST;
    else if (!stream_id_argument(call, 4, &id))
        return;
    if (!s) {
        s = stream_key_create(call, 2);
        call_key_modified(call, call->db, call->argv[2]);
    }
    if (!stream_group_create(s, call->argv[3], id, o.entries_read))
        return reply_error(call->reply, "BUSYGROUP Consumer Group name already exists");
    reply_ok(call->reply);
    if (call->argc > 5) stream_propagate_options(call, 5);
    group_event(call, "xgroup-create");
}

static void xgroup_setid_command(struct call *call)
{
    struct group_options o = {0};
    struct stream *s;
    struct stream_group *g;
    struct stream_id id;
    if (!read_group_options(call, &o) || !open_group(call, &s, &g) || !few_arguments(call, 7)) return;
    if (bytes_equal(call->argv[4], BYTES("$")))
        id = s->last_id;
    else if (!stream_bound_argument(call, 4, &id))
        return;
    g->last_id = id;
    g->entries_read = o.entries_read;
    reply_ok(call->reply);
    if (call->argc > 5) stream_propagate_options(call, 5);
    group_event(call, "xgroup-setid");
}

/* Those who wait for the group are told, though for WATCH nothing has changed. */
static void wake_readers(struct call *call)
{
    block_keys_touched(call->core->block_keys, database_index(call->db), call->argv[2]);
}

static void xgroup_destroy_command(struct call *call)
{
    struct stream *s;
    if (!stream_write(call, 2, &s) || !key_must_exist(call, s)) return;
    bool destroyed = stream_group_destroy(s, call->argv[3]);
    reply_integer(call->reply, destroyed);
    if (!destroyed) return;
    group_event(call, "xgroup-destroy");
    wake_readers(call);
}

static void xgroup_createconsumer_command(struct call *call)
{
    struct stream *s;
    struct stream_group *g;
    bool created;
    if (!open_group(call, &s, &g)) return;
    stream_consumer_get(call, 2, g, call->argv[4], &created);
    reply_integer(call->reply, created);
}

static void xgroup_delconsumer_command(struct call *call)
{
    struct stream *s;
    struct stream_group *g;
    if (!open_group(call, &s, &g)) return;
    struct stream_consumer *c = stream_consumer_find(g, call->argv[4]);
    reply_integer(call->reply, c ? (int64_t)c->pending.count : 0);
    if (!c) return;
    stream_consumer_delete(g, c);
    group_event(call, "xgroup-delconsumer");
}

static void xgroup_help_command(struct call *call)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL,
    };
    call_help(call, lines);
}

/* --- XACK --- */

static void xack_command(struct call *call)
{
    struct stream *s;
    struct stream_id id;
    uint64_t acknowledged = 0;
    if (!stream_read(call, 1, &s)) return; /* it counts as a use of the key, as in Redis */
    struct stream_group *g = s ? stream_group_find(s, call->argv[2]) : NULL;
    if (!g) return reply_integer(call->reply, 0);
    for (uint32_t i = 3; i < call->argc; i++)
        if (!stream_id_argument(call, i, &id)) return;
    for (uint32_t i = 3; i < call->argc; i++) {
        stream_id_parse(call->argv[i], 0, &id);
        acknowledged += stream_pending_remove(g, id);
    }
    call_changed(call, acknowledged);
    reply_integer(call->reply, (int64_t)acknowledged);
}

/* --- XPENDING --- */

static void reply_edge(struct reply *r, const struct stream_group *g, bool last)
{
    struct radix_cursor c;
    radix_cursor_init(&c, &g->pending);
    if (last)
        radix_cursor_last(&c);
    else
        radix_cursor_first(&c);
    reply_stream_id(r, stream_id_of_key(c.key.ptr));
    radix_cursor_close(&c);
}

static void reply_pending_summary(struct reply *r, const struct stream_group *g)
{
    struct radix_cursor c;
    struct reply_deferred deferred;
    size_t shown = 0;
    reply_array(r, 4);
    reply_integer(r, (int64_t)g->pending.count);
    if (!g->pending.count) {
        reply_null(r);
        reply_null(r);
        reply_null_array(r);
        return;
    }
    reply_edge(r, g, false);
    reply_edge(r, g, true);
    reply_deferred_begin(r, &deferred);
    radix_cursor_init(&c, &g->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_consumer *consumer = c.value;
        if (!consumer->pending.count) continue;
        reply_array(r, 2);
        reply_bulk(r, c.key);
        reply_bulk_integer(r, (int64_t)consumer->pending.count);
        shown++;
    }
    radix_cursor_close(&c);
    reply_deferred_array(r, &deferred, shown);
}

struct pending_query {
    struct stream_id start, end;
    int64_t count, least_idle_ms;
    uint32_t consumer_arg; /* 0: all */
};

static bool read_pending_query(struct call *call, struct pending_query *q)
{
    uint32_t start = 3;
    *q = (struct pending_query){0};
    if (call->argc < 6 || call->argc > 9) return call_syntax_error(call), false;
    if (call_arg_is(call, 3, "idle")) {
        if (!call_arg_i64(call, 4, &q->least_idle_ms, NULL)) return false;
        if (call->argc < 8) return call_syntax_error(call), false;
        start = 5;
    }
    if (!call_arg_i64(call, start + 2, &q->count, NULL)) return false;
    if (call->argc > start + 3) q->consumer_arg = start + 3;
    return stream_start_argument(call, start, &q->start) && stream_end_argument(call, start + 1, &q->end);
}

static void reply_pending_range(struct call *call, const struct stream_group *g, const struct pending_query *q)
{
    const struct stream_consumer *only = q->consumer_arg ? stream_consumer_find(g, call->argv[q->consumer_arg]) : NULL;
    if (q->consumer_arg && !only) return reply_array(call->reply, 0);
    struct radix_cursor c;
    struct reply_deferred deferred;
    uint8_t key[STREAM_ID_KEY_BYTES];
    int64_t shown = 0;
    reply_deferred_begin(call->reply, &deferred);
    radix_cursor_init(&c, only ? &only->pending : &g->pending);
    bool on = radix_cursor_seek(&c, RADIX_AT_LEAST, stream_id_key(q->start, key));
    for (; on && shown < q->count; on = radix_cursor_next(&c)) {
        const struct stream_pending *p = c.value;
        struct stream_id id = stream_id_of_key(c.key.ptr);
        int64_t idle_ms = call->now_ms - p->delivered_ms;
        if (stream_id_compare(id, q->end) > 0) break;
        if (idle_ms < q->least_idle_ms) continue;
        reply_array(call->reply, 4);
        reply_stream_id(call->reply, id);
        reply_bulk(call->reply, stream_consumer_name(p->consumer));
        reply_integer(call->reply, idle_ms > 0 ? idle_ms : 0);
        reply_integer(call->reply, (int64_t)p->deliveries);
        shown++;
    }
    radix_cursor_close(&c);
    reply_deferred_array(call->reply, &deferred, (size_t)shown);
}

static void xpending_command(struct call *call)
{
    struct pending_query q;
    struct stream *s;
    struct stream_group *g;
    bool summary = call->argc == 3;
    if (!summary && !read_pending_query(call, &q)) return;
    if (!stream_group_open(call, 1, 2, &s, &g)) return;
    if (summary)
        reply_pending_summary(call->reply, g);
    else
        reply_pending_range(call, g, &q);
}

/* --- rows --- */

static const struct command xgroup_subcommands[] = {
    {"create", xgroup_create_command, -5, CMD_WRITE | CMD_DENYOOM, CAT_STREAM, KEYS(KEY_AT(2, KEY_RW | KEY_INSERT))},
    {"createconsumer", xgroup_createconsumer_command, 5, CMD_WRITE | CMD_DENYOOM, CAT_STREAM,
     KEYS(KEY_AT(2, KEY_RW | KEY_INSERT))},
    {"delconsumer", xgroup_delconsumer_command, 5, CMD_WRITE, CAT_STREAM, KEYS(KEY_AT(2, KEY_RW | KEY_DELETE))},
    {"destroy", xgroup_destroy_command, 4, CMD_WRITE, CAT_STREAM, KEYS(KEY_AT(2, KEY_RW | KEY_DELETE))},
    {"help", xgroup_help_command, 2, CMD_LOADING | CMD_STALE, CAT_STREAM},
    {"setid", xgroup_setid_command, -5, CMD_WRITE, CAT_STREAM, KEYS(KEY_AT(2, KEY_RW | KEY_UPDATE))},
    {.name = NULL},
};

const struct command streams_groups_commands[] = {
    {"xgroup", call_unknown_subcommand, -2, 0, 0, .subcommands = xgroup_subcommands},
    {"xack", xack_command, -4, CMD_WRITE | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"xpending", xpending_command, -3, CMD_READONLY, CAT_STREAM, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};
