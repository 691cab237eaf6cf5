/* XINFO: a stream, its groups and their consumers from the inside. Server process. */
#include "server/commands/stream_key.h"
#include "server/commands/tables.h"

/* The stream at argv[2]; false: answered. */
static bool open_stream(struct call *call, struct stream **s)
{
    if (!stream_read(call, 2, s)) return false;
    if (!*s) reply_error(call->reply, "ERR no such key");
    return *s != NULL;
}

static void reply_known(struct reply *r, bool known, int64_t number)
{
    if (known)
        reply_integer(r, number);
    else
        reply_null(r);
}

static void reply_progress(struct reply *r, const struct stream *s, const struct stream_group *g)
{
    int64_t lag;
    bool known = stream_group_lag(s, g, &lag);
    reply_bulk_text(r, "last-delivered-id");
    reply_stream_id(r, g->last_id);
    reply_bulk_text(r, "entries-read");
    reply_known(r, g->entries_read != STREAM_ENTRIES_READ_UNKNOWN, g->entries_read);
    reply_bulk_text(r, "lag");
    reply_known(r, known, lag);
}

/* --- groups, consumers --- */

static void xinfo_groups_command(struct call *call)
{
    struct reply *r = call->reply;
    struct stream *s;
    struct radix_cursor c;
    if (!open_stream(call, &s)) return;
    reply_array(r, s->groups.count);
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_group *g = c.value;
        reply_map(r, 6);
        reply_bulk_text(r, "name");
        reply_bulk(r, c.key);
        reply_bulk_text(r, "consumers");
        reply_integer(r, (int64_t)g->consumers.count);
        reply_bulk_text(r, "pending");
        reply_integer(r, (int64_t)g->pending.count);
        reply_progress(r, s, g);
    }
    radix_cursor_close(&c);
}

static int64_t since(const struct call *call, int64_t then_ms)
{
    return call->now_ms > then_ms ? call->now_ms - then_ms : 0;
}

static void xinfo_consumers_command(struct call *call)
{
    struct reply *r = call->reply;
    struct bytes key = call->argv[2], name = call->argv[3];
    struct stream *s;
    struct radix_cursor c;
    if (!open_stream(call, &s)) return;
    const struct stream_group *g = stream_group_find(s, name);
    if (!g)
        return reply_errorf(r, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.len,
                            (const char *)name.ptr, (int)key.len, (const char *)key.ptr);
    reply_array(r, g->consumers.count);
    radix_cursor_init(&c, &g->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_consumer *consumer = c.value;
        reply_map(r, 4);
        reply_bulk_text(r, "name");
        reply_bulk(r, c.key);
        reply_bulk_text(r, "pending");
        reply_integer(r, (int64_t)consumer->pending.count);
        reply_bulk_text(r, "idle");
        reply_integer(r, since(call, consumer->seen_ms));
        reply_bulk_text(r, "inactive");
        reply_integer(r, consumer->active_ms < 0 ? -1 : since(call, consumer->active_ms));
    }
    radix_cursor_close(&c);
}

/* --- the stream --- */

static void reply_stream_head(struct reply *r, const struct stream *s)
{
    reply_bulk_text(r, "length");
    reply_integer(r, (int64_t)s->length);
    reply_bulk_text(r, "radix-tree-keys");
    reply_integer(r, (int64_t)s->nodes.count);
    reply_bulk_text(r, "radix-tree-nodes");
    reply_integer(r, (int64_t)radix_tree_redis_nodes(&s->nodes));
    reply_bulk_text(r, "last-generated-id");
    reply_stream_id(r, s->last_id);
    reply_bulk_text(r, "max-deleted-entry-id");
    reply_stream_id(r, s->max_deleted_id);
    reply_bulk_text(r, "entries-added");
    reply_integer(r, (int64_t)s->entries_added);
    reply_bulk_text(r, "recorded-first-entry-id");
    reply_stream_id(r, s->first_id);
}

#define HEAD_PAIRS 7

static void reply_edge_entry(struct reply *r, const struct stream *s, bool last)
{
    struct stream_cursor c;
    stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, last);
    if (stream_cursor_next(&c))
        reply_stream_entry(r, &c);
    else
        reply_null(r);
    stream_cursor_close(&c);
}

static void reply_stream_summary(struct reply *r, const struct stream *s)
{
    reply_map(r, HEAD_PAIRS + 3);
    reply_stream_head(r, s);
    reply_bulk_text(r, "groups");
    reply_integer(r, (int64_t)s->groups.count);
    reply_bulk_text(r, "first-entry");
    reply_edge_entry(r, s, false);
    reply_bulk_text(r, "last-entry");
    reply_edge_entry(r, s, true);
}

/* At most count (0: all) pending entries, with their consumer when they are a group's. */
static void reply_pending(struct reply *r, const struct radix_tree *pending, uint64_t count, bool of_group)
{
    struct radix_cursor c;
    uint64_t left = count && count < pending->count ? count : pending->count;
    reply_array(r, left);
    radix_cursor_init(&c, pending);
    for (bool on = radix_cursor_first(&c); on && left; on = radix_cursor_next(&c), left--) {
        const struct stream_pending *p = c.value;
        reply_array(r, of_group ? 4 : 3);
        reply_stream_id(r, stream_id_of_key(c.key.ptr));
        if (of_group) reply_bulk(r, stream_consumer_name(p->consumer));
        reply_integer(r, p->delivered_ms);
        reply_integer(r, (int64_t)p->deliveries);
    }
    radix_cursor_close(&c);
}

static void reply_consumers_full(struct reply *r, const struct stream_group *g, uint64_t count)
{
    struct radix_cursor c;
    reply_array(r, g->consumers.count);
    radix_cursor_init(&c, &g->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_consumer *consumer = c.value;
        reply_map(r, 5);
        reply_bulk_text(r, "name");
        reply_bulk(r, c.key);
        reply_bulk_text(r, "seen-time");
        reply_integer(r, consumer->seen_ms);
        reply_bulk_text(r, "active-time");
        reply_integer(r, consumer->active_ms);
        reply_bulk_text(r, "pel-count");
        reply_integer(r, (int64_t)consumer->pending.count);
        reply_bulk_text(r, "pending");
        reply_pending(r, &consumer->pending, count, false);
    }
    radix_cursor_close(&c);
}

static void reply_groups_full(struct reply *r, const struct stream *s, uint64_t count)
{
    struct radix_cursor c;
    reply_array(r, s->groups.count);
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) {
        const struct stream_group *g = c.value;
        reply_map(r, 7);
        reply_bulk_text(r, "name");
        reply_bulk(r, c.key);
        reply_progress(r, s, g);
        reply_bulk_text(r, "pel-count");
        reply_integer(r, (int64_t)g->pending.count);
        reply_bulk_text(r, "pending");
        reply_pending(r, &g->pending, count, true);
        reply_bulk_text(r, "consumers");
        reply_consumers_full(r, g, count);
    }
    radix_cursor_close(&c);
}

#define FULL_COUNT 10

static void xinfo_stream_command(struct call *call)
{
    struct reply *r = call->reply;
    struct stream *s;
    int64_t count = FULL_COUNT;
    if (!open_stream(call, &s)) return;
    if (call->argc == 3) return reply_stream_summary(r, s);
    bool counted = call->argc == 6 && call_arg_is(call, 4, "count");
    if (!call_arg_is(call, 3, "full") || (call->argc != 4 && !counted)) return call_unknown_subcommand(call);
    if (counted && !call_arg_i64(call, 5, &count, NULL)) return;
    if (count < 0) count = FULL_COUNT;
    reply_map(r, HEAD_PAIRS + 2);
    reply_stream_head(r, s);
    reply_bulk_text(r, "entries");
    reply_stream_range(r, s, STREAM_ID_LEAST, STREAM_ID_MOST, (uint64_t)count, false);
    reply_bulk_text(r, "groups");
    reply_groups_full(r, s, (uint64_t)count);
}

static void xinfo_help_command(struct call *call)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        NULL,
    };
    call_help(call, lines);
}

static const struct command xinfo_subcommands[] = {
    {"consumers", xinfo_consumers_command, 4, CMD_READONLY, CAT_STREAM, KEYS(KEY_AT(2, KEY_RO | KEY_ACCESS)),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"groups", xinfo_groups_command, 3, CMD_READONLY, CAT_STREAM, KEYS(KEY_AT(2, KEY_RO | KEY_ACCESS))},
    {"help", xinfo_help_command, 2, CMD_LOADING | CMD_STALE, CAT_STREAM},
    {"stream", xinfo_stream_command, -3, CMD_READONLY, CAT_STREAM, KEYS(KEY_AT(2, KEY_RO | KEY_ACCESS))},
    {.name = NULL},
};

const struct command streams_info_commands[] = {
    {"xinfo", call_unknown_subcommand, -2, 0, 0, .subcommands = xinfo_subcommands},
    {.name = NULL},
};
