/* XCLAIM and XAUTOCLAIM: a consumer takes over what others have pending. What was claimed is propagated entry by entry,
 * with the times and counts it got here; so is, as a claim for its old consumer, a pending entry that goes because it
 * was deleted from the stream (as acknowledged, where a 6.2 may hear it). Server process. */
#include "server/base/alloc.h"
#include "server/commands/stream_key.h"
#include "server/commands/tables.h"

struct claim {
    struct call *call;
    struct stream *stream;
    struct stream_group *group;
    struct stream_consumer *consumer;
    int64_t least_idle_ms, delivered_ms;
    int64_t deliveries; /* -1: one more than there were */
    bool force, ids_only;
    bool told;            /* a propagated claim has carried the group's last id */
    bool consumer_untold; /* it is new, and no claim has carried its name */
    struct stream_id last_id;
};

static bool read_least_idle(struct claim *c, const char *error)
{
    if (!call_arg_i64(c->call, 4, &c->least_idle_ms, error)) return false;
    if (c->least_idle_ms < 0) c->least_idle_ms = 0;
    return true;
}

static void take_consumer(struct claim *c)
{
    c->consumer = stream_consumer_get(c->call, 1, c->group, c->call->argv[3], &c->consumer_untold);
    c->consumer->seen_ms = c->call->now_ms;
}

/* At the end. A claim makes its consumer where there is none. */
static void tell_of_consumer(const struct claim *c)
{
    if (c->consumer_untold) stream_propagate_consumer(c->call, 1, 2, c->call->argv[3]);
}

static void propagate(struct claim *c, struct stream_id id, const struct stream_pending *p)
{
    stream_propagate_claim(c->call, 1, 2, c->group, id, p);
    call_changed(c->call, 1);
    c->told = true;
}

/* Replicas find out by themselves that the entry is gone, but for 6.2, which keeps what is claimed. */
static void drop_deleted(struct claim *c, struct stream_id id, const struct stream_pending *p)
{
    if (call_may_say_7_0(c->call)) {
        call_says(c->call, WORDS_OF_7_0);
        propagate(c, id, p);
    } else {
        stream_propagate_ack(c->call, 1, 2, id);
        call_changed(c->call, 1);
    }
    stream_pending_remove(c->group, id);
}

static bool is_idle(const struct claim *c, const struct stream_pending *p)
{
    return c->call->now_ms - p->delivered_ms >= c->least_idle_ms;
}

/* Gives it to the consumer and answers with it. */
static void claim_entry(struct claim *c, struct stream_id id, struct stream_pending *p, struct stream_cursor *entry)
{
    stream_pending_give(p, id, c->consumer);
    p->delivered_ms = c->delivered_ms;
    if (c->deliveries >= 0)
        p->deliveries = (uint64_t)c->deliveries;
    else if (!c->ids_only)
        p->deliveries++;
    if (c->ids_only)
        reply_stream_id(c->call->reply, id);
    else
        reply_stream_entry(c->call->reply, entry);
    c->consumer->active_ms = c->call->now_ms;
    c->consumer_untold = false;
    propagate(c, id, p);
}

/* --- XCLAIM --- */

/* The option at *i; *i moves to its last argument. */
static bool take_claim_option(struct claim *c, uint32_t *i)
{
    struct call *call = c->call;
    bool more = *i + 1 < call->argc;
    if (call_arg_is(call, *i, "force")) return c->force = true;
    if (call_arg_is(call, *i, "justid")) return c->ids_only = true;
    if (more && call_arg_is(call, *i, "idle")) {
        if (!call_arg_i64(call, ++*i, &c->delivered_ms, "ERR Invalid IDLE option argument for XCLAIM")) return false;
        c->delivered_ms = (int64_t)((uint64_t)call->now_ms - (uint64_t)c->delivered_ms);
        return true;
    }
    if (more && call_arg_is(call, *i, "time"))
        return call_arg_i64(call, ++*i, &c->delivered_ms, "ERR Invalid TIME option argument for XCLAIM");
    if (more && call_arg_is(call, *i, "retrycount"))
        return call_arg_i64(call, ++*i, &c->deliveries, "ERR Invalid RETRYCOUNT option argument for XCLAIM");
    if (more && call_arg_is(call, *i, "lastid")) return stream_id_argument(call, ++*i, &c->last_id);
    struct bytes name = call->argv[*i];
    reply_errorf(call->reply, "ERR Unrecognized XCLAIM option '%.*s'", (int)name.len, (const char *)name.ptr);
    return false;
}

/* Ids stand from argument 5 up to *ids_end. */
static bool read_claim(struct claim *c, uint32_t *ids_end)
{
    struct stream_id id;
    uint32_t i = 5;
    if (!read_least_idle(c, "ERR Invalid min-idle-time argument for XCLAIM")) return false;
    while (i < c->call->argc && stream_id_parse(c->call->argv[i], 0, &id)) i++;
    *ids_end = i;
    for (; i < c->call->argc; i++)
        if (!take_claim_option(c, &i)) return false;
    if (c->delivered_ms < 0 || c->delivered_ms > c->call->now_ms) c->delivered_ms = c->call->now_ms;
    return true;
}

/* true: answered with the entry. */
static bool claim_one(struct claim *c, struct stream_id id)
{
    struct stream_pending *p = stream_pending_find(c->group, id);
    struct stream_cursor entry;
    bool claimed = false;
    stream_cursor_open(&entry, c->stream, id, id, false);
    if (!stream_cursor_next(&entry)) {
        if (p) drop_deleted(c, id, p);
    } else if (p ? is_idle(c, p) : c->force) {
        if (!p) p = stream_pending_add(c->group, id, NULL, c->call->now_ms, 1);
        claim_entry(c, id, p, &entry);
        claimed = true;
    }
    stream_cursor_close(&entry);
    return claimed;
}

static void xclaim_command(struct call *call)
{
    struct claim c = {.call = call, .delivered_ms = call->now_ms, .deliveries = -1};
    struct reply_deferred deferred;
    struct stream_id id;
    uint32_t ids_end;
    size_t claimed = 0;
    call_rewrite_nothing(call);
    if (!stream_group_open(call, 1, 2, &c.stream, &c.group) || !read_claim(&c, &ids_end)) return;
    bool further = stream_id_compare(c.last_id, c.group->last_id) > 0;
    if (further) c.group->last_id = c.last_id;
    take_consumer(&c);
    reply_deferred_begin(call->reply, &deferred);
    for (uint32_t i = 5; i < ids_end; i++) {
        stream_id_parse(call->argv[i], 0, &id);
        claimed += claim_one(&c, id);
    }
    reply_deferred_array(call->reply, &deferred, claimed);
    tell_of_consumer(&c);
    if (!further || c.told) return;
    stream_propagate_last_id(call, 1, 2, c.group);
    call_changed(call, 1);
}

/* --- XAUTOCLAIM --- */

#define AUTOCLAIM_COUNT      100
#define AUTOCLAIM_COUNT_MOST (INT64_MAX / 16)
#define AUTOCLAIM_LOOKS      10 /* pending entries looked at, for each that may be claimed */

struct id_list {
    struct stream_id *ids;
    size_t count, capacity;
};

static void id_list_add(struct id_list *l, struct stream_id id)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 16;
        l->ids = mem_realloc(l->ids, l->capacity * sizeof *l->ids);
    }
    l->ids[l->count++] = id;
}

static bool read_autoclaim(struct claim *c, struct stream_id *start, int64_t *count)
{
    struct call *call = c->call;
    *count = AUTOCLAIM_COUNT;
    if (!read_least_idle(c, "ERR Invalid min-idle-time argument for XAUTOCLAIM")) return false;
    if (!stream_start_argument(call, 5, start)) return false;
    for (uint32_t i = 6; i < call->argc; i++) {
        if (i + 1 < call->argc && call_arg_is(call, i, "count")) {
            if (!call_arg_range(call, ++i, 1, AUTOCLAIM_COUNT_MOST, count, "ERR COUNT must be > 0")) return false;
        } else if (call_arg_is(call, i, "justid")) {
            c->ids_only = true;
        } else {
            return call_syntax_error(call), false;
        }
    }
    return true;
}

/* Looks at one pending entry. true: it was claimed or found deleted. */
static bool claim_if_idle(struct claim *c, struct stream_id id, struct stream_pending *p, size_t *claimed,
                          struct id_list *deleted)
{
    struct stream_cursor entry;
    stream_cursor_open(&entry, c->stream, id, id, false);
    bool exists = stream_cursor_next(&entry), taken = !exists || is_idle(c, p);
    if (!exists) {
        drop_deleted(c, id, p);
        id_list_add(deleted, id);
    } else if (taken) {
        claim_entry(c, id, p, &entry);
        ++*claimed;
    }
    stream_cursor_close(&entry);
    return taken;
}

/* Looks at pending entries from `start` on until `count` of them were taken; answers with the claimed. Returns where to
 * go on, 0-0 at the end. */
static struct stream_id claim_idle(struct claim *c, struct stream_id start, int64_t count, size_t *claimed,
                                   struct id_list *deleted)
{
    struct radix_cursor pending;
    uint8_t key[STREAM_ID_KEY_BYTES];
    radix_cursor_init(&pending, &c->group->pending);
    bool on = radix_cursor_seek(&pending, RADIX_AT_LEAST, stream_id_key(start, key));
    for (int64_t looks = count * AUTOCLAIM_LOOKS; on && looks && count; looks--) {
        struct stream_id id = stream_id_of_key(pending.key.ptr);
        size_t gone = deleted->count;
        count -= claim_if_idle(c, id, pending.value, claimed, deleted);
        if (deleted->count == gone)
            on = radix_cursor_next(&pending);
        else
            on = radix_cursor_seek(&pending, RADIX_GREATER, stream_id_key(id, key));
    }
    struct stream_id next = on ? stream_id_of_key(pending.key.ptr) : STREAM_ID_LEAST;
    radix_cursor_close(&pending);
    return next;
}

static void xautoclaim_command(struct call *call)
{
    struct claim c = {.call = call, .delivered_ms = call->now_ms, .deliveries = -1};
    struct id_list deleted = {0};
    size_t claimed = 0;
    struct reply_deferred deferred;
    struct stream_id start;
    int64_t count;
    call_rewrite_nothing(call);
    if (!read_autoclaim(&c, &start, &count)) {
        call_find_read(call, 1); /* the key counts as read all the same */
        return;
    }
    if (!stream_group_open(call, 1, 2, &c.stream, &c.group)) return;
    take_consumer(&c);
    reply_deferred_begin(call->reply, &deferred);
    struct stream_id next = claim_idle(&c, start, count, &claimed, &deleted);
    tell_of_consumer(&c);
    call->reply->out = deferred.outer; /* what is known last stands first */
    reply_array(call->reply, 3);
    reply_stream_id(call->reply, next);
    reply_deferred_array(call->reply, &deferred, claimed);
    reply_array(call->reply, deleted.count);
    for (size_t i = 0; i < deleted.count; i++) reply_stream_id(call->reply, deleted.ids[i]);
    mem_free(deleted.ids);
}

const struct command streams_claim_commands[] = {
    {"xclaim", xclaim_command, -6, CMD_WRITE | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_UPDATE),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"xautoclaim", xautoclaim_command, -6, CMD_WRITE | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_DELETE),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};
