/* XDELEX and XACKDEL, as of Redis 8.2: entries removed with a say in what becomes of those that groups have pending.
 * Server process.
 *
 *   KEEPREF  the entry goes, what is pending stays (the default, and what XDEL does)
 *   DELREF   it goes from what every group has pending, too
 *   ACKED    it goes where every group has read and acknowledged it
 *
 * What is propagated is the effect, as XACK and XDEL, which 5.0 knows. */
#include "server/base/alloc.h"
#include "server/commands/stream_key.h"
#include "server/commands/tables.h"
#include "server/data/stream_group.h"

enum references { KEEP_REFERENCES, DELETE_REFERENCES, ACKNOWLEDGED_ALONE };

/* What is answered for an id. */
enum outcome { NOT_THERE = -1, DELETED = 1, STILL_REFERENCED = 2 };

struct removal {
    struct call *call;
    struct stream *s; /* NULL: there is none */
    enum references references;
    uint32_t ids_arg, count;
    struct bytes *deleted; /* as propagated: XDEL, the key, ids */
    uint32_t deleted_count;
};

/* Options and the block of ids, in any order, from argument `i` on. */
static bool read_arguments(struct removal *r, uint32_t i)
{
    static const char *const words[] = {"keepref", "delref", "acked"};
    struct call *call = r->call;
    bool referred = false;
    for (; i < call->argc; i++) {
        int64_t count;
        int word = 0;
        if (call_arg_is(call, i, "ids") && !r->ids_arg && i + 1 < call->argc) {
            if (!call_arg_range(call, i + 1, 1, INT32_MAX, &count, "ERR Number of IDs must be a positive integer"))
                return false;
            if ((uint64_t)count > call->argc - i - 2) {
                reply_error(call->reply, "ERR The `numids` parameter must match the number of arguments");
                return false;
            }
            r->ids_arg = i + 2;
            r->count = (uint32_t)count;
            i += 1 + r->count;
            continue;
        }
        while (word < 3 && !call_arg_is(call, i, words[word])) word++;
        if (word == 3 || referred) {
            call_syntax_error(call);
            return false;
        }
        referred = true;
        r->references = (enum references)word;
    }
    if (!r->ids_arg) call_syntax_error(call);
    return r->ids_arg != 0;
}

static bool ids_are_good(struct removal *r)
{
    struct stream_id id;
    for (uint32_t i = 0; i < r->count; i++)
        if (!stream_id_argument(r->call, r->ids_arg + i, &id)) return false;
    return true;
}

static void acknowledge(struct removal *r, struct stream_group *g, struct bytes group, struct stream_id id)
{
    struct stream_id_text text;
    if (!stream_pending_remove(g, id)) return;
    struct bytes argv[] = {BYTES("XACK"), r->call->argv[1], group, stream_id_text(&text, id)};
    call_rewrite(r->call, r->call->db, 4, argv);
    call_changed(r->call, 1);
}

static void acknowledge_for_all(struct removal *r, struct stream_id id)
{
    struct radix_cursor c;
    radix_cursor_init(&c, &r->s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) acknowledge(r, c.value, c.key, id);
    radix_cursor_close(&c);
}

/* Some group has still to read it, or to acknowledge it. */
static bool is_needed(const struct removal *r, struct stream_id id)
{
    struct radix_cursor c;
    bool needed = false;
    radix_cursor_init(&c, &r->s->groups);
    for (bool on = radix_cursor_first(&c); on && !needed; on = radix_cursor_next(&c)) {
        const struct stream_group *g = c.value;
        needed = stream_id_compare(g->last_id, id) < 0 || stream_pending_find(g, id);
    }
    radix_cursor_close(&c);
    return needed;
}

static enum outcome delete_one(struct removal *r, uint32_t arg)
{
    struct stream_id id;
    stream_id_parse(r->call->argv[arg], 0, &id);
    if (r->references == ACKNOWLEDGED_ALONE && is_needed(r, id))
        return stream_has(r->s, id) ? STILL_REFERENCED : NOT_THERE;
    if (r->references == DELETE_REFERENCES) acknowledge_for_all(r, id);
    if (!stream_delete(r->s, id)) return NOT_THERE;
    r->deleted[2 + r->deleted_count++] = r->call->argv[arg];
    return DELETED;
}

static void begin(struct removal *r)
{
    call_rewrite_nothing(r->call);
    r->deleted = mem_alloc((2 + r->count) * sizeof *r->deleted);
    r->deleted[0] = BYTES("XDEL");
    r->deleted[1] = r->call->argv[1];
}

static void end(struct removal *r)
{
    struct call *call = r->call;
    if (r->deleted_count) {
        call_key_modified(call, call->db, call->argv[1]);
        call_event(call, NOTIFY_STREAM, "xdel", call->db, call->argv[1]);
        call_rewrite(call, call->db, 2 + r->deleted_count, r->deleted);
        call_changed(call, r->deleted_count);
    }
    mem_free(r->deleted);
}

static void nothing_is_there(struct removal *r)
{
    reply_array(r->call->reply, r->count);
    for (uint32_t i = 0; i < r->count; i++) reply_integer(r->call->reply, NOT_THERE);
}

static void xdelex_command(struct call *call)
{
    struct removal r = {.call = call};
    call_passes_on_redis_8_2(call);
    if (!read_arguments(&r, 2) || !stream_write(call, 1, &r.s) || !ids_are_good(&r)) return;
    if (!r.s) return nothing_is_there(&r);
    begin(&r);
    reply_array(call->reply, r.count);
    for (uint32_t i = 0; i < r.count; i++) reply_integer(call->reply, delete_one(&r, r.ids_arg + i));
    end(&r);
}

/* An id that the group has not pending is left alone; one whose entry has gone already is acknowledged all the same. */
static enum outcome acknowledge_and_delete(struct removal *r, struct stream_group *g, uint32_t arg)
{
    struct stream_id id;
    stream_id_parse(r->call->argv[arg], 0, &id);
    if (!stream_pending_find(g, id)) return NOT_THERE;
    acknowledge(r, g, r->call->argv[2], id);
    enum outcome outcome = delete_one(r, arg);
    return outcome == NOT_THERE ? DELETED : outcome;
}

static void xackdel_command(struct call *call)
{
    struct removal r = {.call = call};
    call_passes_on_redis_8_2(call);
    if (!read_arguments(&r, 3) || !stream_write(call, 1, &r.s) || !ids_are_good(&r)) return;
    struct stream_group *g = r.s ? stream_group_find(r.s, call->argv[2]) : NULL;
    if (!g) return nothing_is_there(&r);
    begin(&r);
    reply_array(call->reply, r.count);
    for (uint32_t i = 0; i < r.count; i++) reply_integer(call->reply, acknowledge_and_delete(&r, g, r.ids_arg + i));
    end(&r);
}

const struct command streams_delete_commands[] = {
    {"xackdel", xackdel_command, -6, CMD_WRITE | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_UPDATE | KEY_DELETE)},
    {"xdelex", xdelex_command, -5, CMD_WRITE | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_DELETE)},
    {.name = NULL},
};
