/* Streams: adding, looking, removing. Reading is in streams_read.c, groups in streams_groups.c and streams_claim.c.
 * Server process. */
#include "server/base/alloc.h"
#include "server/commands/stream_key.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"
#include "server/core/session/session.h"
#include "server/data/settings.h"

/* --- trimming --- */

/* MAXLEN or MINID [=|~] threshold [LIMIT count], and where they stand, to be rewritten. */
struct trim_arguments {
    struct stream_trim trim;
    uint32_t threshold_arg;
    uint32_t approximate_arg; /* 0: there is none */
    bool limited;
};

/* The option at *i, when it is one of these; *i moves to its last argument. false: answered with an error. */
static bool take_trim_option(struct call *call, uint32_t *i, struct trim_arguments *t, bool *taken)
{
    bool by_length = call_arg_is(call, *i, "maxlen"), more = *i + 1 < call->argc;
    *taken = true;
    if (more && call_arg_is(call, *i, "limit")) {
        int64_t limit;
        if (!call_arg_i64(call, ++*i, &limit, NULL)) return false;
        if (limit < 0) return reply_error(call->reply, "ERR The LIMIT argument must be >= 0."), false;
        t->trim.limit = (uint64_t)limit;
        t->limited = true;
        return true;
    }
    if (!more || !(by_length || call_arg_is(call, *i, "minid"))) {
        *taken = false;
        return true;
    }
    if (t->trim.by != STREAM_TRIM_NONE) {
        reply_error(call->reply, "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return false;
    }
    t->trim.approximate = false;
    bool approximate = bytes_equal(call->argv[*i + 1], BYTES("~"));
    if (*i + 2 < call->argc && (approximate || bytes_equal(call->argv[*i + 1], BYTES("=")))) {
        t->trim.approximate = approximate;
        t->approximate_arg = approximate ? *i + 1 : 0;
        ++*i;
    }
    t->threshold_arg = ++*i;
    t->trim.by = by_length ? STREAM_TRIM_MAXLEN : STREAM_TRIM_MINID;
    if (!by_length) return stream_id_argument(call, *i, &t->trim.min_id);
    int64_t max_len;
    if (!call_arg_i64(call, *i, &max_len, NULL)) return false;
    if (max_len < 0) return reply_error(call->reply, "ERR The MAXLEN argument must be >= 0."), false;
    t->trim.max_len = (uint64_t)max_len;
    return true;
}

/* An approximate trim without a limit of its own stops early, too. */
#define LIMIT_NODES 100
#define LIMIT_LEAST 10000
#define LIMIT_MOST  1000000

/* What a master or a file sends has been through this already, rewritten: there LIMIT goes with an exact trim. */
static bool settle_trim(struct call *call, struct trim_arguments *t)
{
    enum session_kind kind = call->session->kind;
    if (t->trim.limit && t->trim.by == STREAM_TRIM_NONE) {
        reply_error(call->reply, "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
        return false;
    }
    if (kind == SESSION_MASTER || kind == SESSION_LOADER) {
        if (!t->trim.approximate) t->trim.limit = 0;
        return true;
    }
    if (t->limited && !t->trim.approximate) {
        reply_error(call->reply, "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    if (t->trim.approximate && !t->limited) {
        uint64_t limit = LIMIT_NODES * data_settings->stream_node_max_entries;
        t->trim.limit = limit == 0 ? LIMIT_LEAST : limit > LIMIT_MOST ? LIMIT_MOST : limit;
    }
    return true;
}

/* An approximate trim's result depends on how the entries lie in nodes: replicas are told it exactly. argv has been
 * copied from the call's. */
static void rewrite_trim(const struct trim_arguments *t, const struct stream *s, struct bytes *argv,
                         struct stream_id_text *room)
{
    if (!t->approximate_arg) return;
    argv[t->approximate_arg] = BYTES("=");
    if (t->trim.by == STREAM_TRIM_MAXLEN)
        argv[t->threshold_arg] = bytes_make(room->room, format_u64(room->room, s->length));
    else /* nothing left: whatever the replica has is below the greatest id */
        argv[t->threshold_arg] = stream_id_text(room, s->length ? s->first_id : STREAM_ID_MOST);
}

static void propagate_rewritten(struct call *call, const struct trim_arguments *t, const struct stream *s,
                                uint32_t id_arg, struct stream_id id)
{
    struct bytes room[32], *argv = call->argc > 32 ? mem_alloc(call->argc * sizeof *argv) : room;
    struct stream_id_text threshold_room, id_room;
    memcpy(argv, call->argv, call->argc * sizeof *argv);
    rewrite_trim(t, s, argv, &threshold_room);
    if (id_arg) argv[id_arg] = stream_id_text(&id_room, id);
    call_rewrite(call, call->db, call->argc, argv);
    if (argv != room) mem_free(argv);
}

static void xtrim_command(struct call *call)
{
    struct trim_arguments t = {0};
    struct stream *s;
    for (uint32_t i = 2; i < call->argc; i++) {
        bool taken;
        if (!take_trim_option(call, &i, &t, &taken)) return;
        if (!taken) return call_syntax_error(call);
    }
    if (t.trim.by == STREAM_TRIM_NONE && !t.trim.limit)
        return reply_error(call->reply, "ERR syntax error, XTRIM must be called with a trimming strategy");
    if (!settle_trim(call, &t) || !stream_write(call, 1, &s)) return;
    uint64_t removed = s ? stream_trim(s, &t.trim) : 0;
    reply_integer(call->reply, (int64_t)removed);
    if (!removed) return;
    call_event(call, NOTIFY_STREAM, "xtrim", call->db, call->argv[1]);
    call_key_modified(call, call->db, call->argv[1]);
    call_changed(call, removed);
    if (t.approximate_arg) propagate_rewritten(call, &t, s, 0, STREAM_ID_LEAST);
}

/* --- XADD --- */

enum wanted_id { ID_GIVEN, ID_AUTOMATIC_SEQ, ID_AUTOMATIC };

struct add_arguments {
    struct trim_arguments trim;
    bool only_existing;
    uint32_t id_arg;
    enum wanted_id wanted;
    struct stream_id id;
};

static bool read_id_argument(struct call *call, struct add_arguments *a)
{
    struct bytes text = call->argv[a->id_arg];
    if (bytes_equal(text, BYTES("*"))) {
        a->wanted = ID_AUTOMATIC;
        return true;
    }
    bool automatic_seq = text.len > 2 && text.ptr[text.len - 1] == '*' && text.ptr[text.len - 2] == '-';
    if (automatic_seq && stream_id_parse_number(bytes_make(text.ptr, text.len - 2), &a->id.ms)) {
        a->wanted = ID_AUTOMATIC_SEQ;
        return true;
    }
    return stream_id_argument(call, a->id_arg, &a->id);
}

static bool read_add_arguments(struct call *call, struct add_arguments *a)
{
    uint32_t i = 2;
    *a = (struct add_arguments){0};
    for (; i < call->argc; i++) {
        bool taken;
        if (!take_trim_option(call, &i, &a->trim, &taken)) return false;
        if (taken) continue;
        if (!call_arg_is(call, i, "nomkstream")) break;
        a->only_existing = true;
    }
    a->id_arg = i;
    if (i < call->argc && !read_id_argument(call, a)) return false;
    if (!settle_trim(call, &a->trim)) return false;
    uint32_t rest = i < call->argc ? call->argc - i - 1 : 0;
    if (rest < 2 || rest % 2) {
        reply_error(call->reply, "ERR wrong number of arguments for 'xadd' command");
        return false;
    }
    if (a->wanted != ID_GIVEN || !stream_id_is_zero(a->id)) return true;
    reply_error(call->reply, "ERR The ID specified in XADD must be greater than 0-0");
    return false;
}

/* The id that the entry gets; false: it is not above the last one. */
static bool choose_id(const struct call *call, const struct add_arguments *a, struct stream_id last,
                      struct stream_id *out)
{
    uint64_t now_ms = (uint64_t)call->now_ms;
    *out = a->id;
    if (a->wanted == ID_AUTOMATIC) *out = (struct stream_id){now_ms, 0};
    bool behind = last.ms > out->ms || (last.ms == out->ms && a->wanted != ID_GIVEN);
    if (a->wanted == ID_AUTOMATIC && behind) {
        *out = last;
        stream_id_increment(out);
    } else if (a->wanted == ID_AUTOMATIC_SEQ && last.ms == out->ms) {
        if (last.seq == UINT64_MAX) return false;
        out->seq = last.seq + 1;
    }
    return stream_id_compare(*out, last) > 0;
}

static bool fits(struct call *call, uint32_t first_arg)
{
    size_t bytes = 0;
    for (uint32_t i = first_arg; i < call->argc; i++) bytes += call->argv[i].len;
    if (bytes <= STREAM_ENTRY_MAX_BYTES) return true;
    reply_error(call->reply, "ERR Elements are too large to be stored");
    return false;
}

static bool may_follow(struct call *call, const struct add_arguments *a, struct stream_id last, struct stream_id *id)
{
    if (stream_id_compare(last, STREAM_ID_MOST) == 0) {
        reply_error(call->reply, "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    if (choose_id(call, a, last, id)) return true;
    reply_error(call->reply, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return false;
}

static void xadd_command(struct call *call)
{
    struct add_arguments a;
    struct stream *s;
    struct stream_id id;
    if (!read_add_arguments(call, &a) || !stream_write(call, 1, &s)) return;
    if (!s && a.only_existing) return reply_null(call->reply);
    uint32_t first = a.id_arg + 1;
    if (!may_follow(call, &a, s ? s->last_id : STREAM_ID_LEAST, &id) || !fits(call, first)) return;
    if (!s) s = stream_key_create(call, 1);
    stream_append(s, id, call->argc - first, call->argv + first);
    reply_stream_id(call->reply, id);
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_STREAM, "xadd", call->db, call->argv[1]);
    call_changed(call, 1);
    if (stream_trim(s, &a.trim.trim)) call_event(call, NOTIFY_STREAM, "xtrim", call->db, call->argv[1]);
    if (a.wanted != ID_GIVEN || a.trim.approximate_arg) propagate_rewritten(call, &a.trim, s, a.id_arg, id);
}

/* --- looking --- */

static void xlen_command(struct call *call)
{
    struct stream *s;
    if (stream_read(call, 1, &s)) reply_integer(call->reply, s ? (int64_t)s->length : 0);
}

static void range(struct call *call, bool backwards)
{
    struct stream_id start, end;
    struct stream *s;
    int64_t count = -1;
    if (!stream_start_argument(call, backwards ? 3 : 2, &start) || !stream_end_argument(call, backwards ? 2 : 3, &end))
        return;
    for (uint32_t i = 4; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !call_arg_is(call, i, "count")) return call_syntax_error(call);
        if (!call_arg_i64(call, i + 1, &count, NULL)) return;
        if (count < 0) count = 0;
    }
    if (!stream_read(call, 1, &s)) return;
    if (!s) return reply_array(call->reply, 0);
    if (count == 0) return reply_null_array(call->reply);
    reply_stream_range(call->reply, s, start, end, count < 0 ? 0 : (uint64_t)count, backwards);
}

static void xrange_command(struct call *call)
{
    range(call, false);
}

static void xrevrange_command(struct call *call)
{
    range(call, true);
}

/* --- removing --- */

static void xdel_command(struct call *call)
{
    struct stream *s;
    struct stream_id id;
    uint64_t deleted = 0;
    if (!stream_write(call, 1, &s)) return;
    if (!s) return reply_integer(call->reply, 0);
    for (uint32_t i = 2; i < call->argc; i++)
        if (!stream_id_argument(call, i, &id)) return;
    for (uint32_t i = 2; i < call->argc; i++) {
        stream_id_parse(call->argv[i], 0, &id);
        deleted += stream_delete(s, id);
    }
    if (deleted) {
        call_key_modified(call, call->db, call->argv[1]);
        call_event(call, NOTIFY_STREAM, "xdel", call->db, call->argv[1]);
        call_changed(call, deleted);
    }
    reply_integer(call->reply, (int64_t)deleted);
}

/* --- XSETID --- */

struct setid_arguments {
    struct stream_id id, max_deleted_id;
    int64_t entries_added; /* -1: not given */
    bool deleted_given;
};

static bool read_setid_arguments(struct call *call, struct setid_arguments *a)
{
    *a = (struct setid_arguments){.entries_added = -1};
    if (!stream_id_argument(call, 2, &a->id)) return false;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (i + 1 == call->argc) return call_syntax_error(call), false;
        if (call_arg_is(call, i, "entriesadded")) {
            if (!call_arg_i64(call, i + 1, &a->entries_added, NULL)) return false;
            if (a->entries_added < 0) return reply_error(call->reply, "ERR entries_added must be positive"), false;
        } else if (call_arg_is(call, i, "maxdeletedid")) {
            if (!stream_id_argument(call, i + 1, &a->max_deleted_id)) return false;
            if (stream_id_compare(a->id, a->max_deleted_id) < 0) {
                reply_error(call->reply,
                            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
                return false;
            }
            a->deleted_given = true;
        } else {
            return call_syntax_error(call), false;
        }
    }
    return true;
}

static const char *setid_refusal(const struct stream *s, const struct setid_arguments *a)
{
    if (!s->length) return NULL;
    if (stream_id_compare(a->id, stream_edge_id(s, true)) < 0)
        return "ERR The ID specified in XSETID is smaller than the target stream top item";
    if (a->entries_added >= 0 && s->length > (uint64_t)a->entries_added)
        return "ERR The entries_added specified in XSETID is smaller than the target stream length";
    if (stream_id_compare(a->id, s->max_deleted_id) < 0)
        return "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    return NULL;
}

static void xsetid_command(struct call *call)
{
    struct setid_arguments a;
    struct stream *s;
    if (!read_setid_arguments(call, &a) || !stream_write(call, 1, &s)) return;
    if (!s) return reply_error(call->reply, "ERR no such key");
    const char *refusal = setid_refusal(s, &a);
    if (refusal) return reply_error(call->reply, refusal);
    s->last_id = a.id;
    if (a.entries_added >= 0) s->entries_added = (uint64_t)a.entries_added;
    if (a.deleted_given && !stream_id_is_zero(a.max_deleted_id)) s->max_deleted_id = a.max_deleted_id;
    reply_ok(call->reply);
    if (call->argc > 3) stream_propagate_options(call, 3);
    call_event(call, NOTIFY_STREAM, "xsetid", call->db, call->argv[1]);
    call_changed(call, 1);
}

const struct command streams_commands[] = {
    {"xadd", xadd_command, -5, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STREAM,
     KEYS(KEY_AT_NOTED(1, KEY_RW | KEY_UPDATE, "UPDATE instead of INSERT because of the optional trimming feature")),
     .element = 2, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"xlen", xlen_command, 2, CMD_READONLY | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RO)},
    {"xrange", xrange_command, -4, CMD_READONLY, CAT_STREAM, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"xrevrange", xrevrange_command, -4, CMD_READONLY, CAT_STREAM, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"xdel", xdel_command, -3, CMD_WRITE | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_DELETE)},
    {"xtrim", xtrim_command, -4, CMD_WRITE, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_DELETE),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"xsetid", xsetid_command, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_STREAM, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {.name = NULL},
};
