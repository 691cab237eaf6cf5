/* What the stream commands share. Server process. */
#include "server/commands/stream_key.h"

#include <errno.h>
#include <stdlib.h>

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/commands/packed_reply.h"
#include "server/core/core.h"
#include "server/core/settings.h"

/* --- keys and groups --- */

static bool take_stream(struct call *call, struct record *r, struct stream **out)
{
    *out = NULL;
    if (call_wrong_type(call, r, TYPE_STREAM)) return false;
    if (r) *out = record_object(r);
    return true;
}

bool stream_read(struct call *call, uint32_t arg, struct stream **out)
{
    return take_stream(call, call_find_read(call, arg), out);
}

bool stream_write(struct call *call, uint32_t arg, struct stream **out)
{
    return take_stream(call, call_find_write(call, arg), out);
}

bool stream_group_open(struct call *call, uint32_t key_arg, uint32_t group_arg, struct stream **s,
                       struct stream_group **g)
{
    struct bytes key = call->argv[key_arg], group = call->argv[group_arg];
    if (!stream_read(call, key_arg, s)) return false;
    *g = *s ? stream_group_find(*s, group) : NULL;
    if (*g) return true;
    reply_errorf(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.len,
                 (const char *)key.ptr, (int)group.len, (const char *)group.ptr);
    return false;
}

struct stream *stream_key_create(struct call *call, uint32_t arg)
{
    struct stream *s = stream_new();
    database_set_object(call->db, call->argv[arg], call_key_hash(call, arg), TYPE_STREAM, ENCODING_STREAM, s, false);
    return s;
}

struct stream_consumer *stream_consumer_get(struct call *call, uint32_t key_arg, struct stream_group *g,
                                            struct bytes name, bool *created)
{
    struct stream_consumer *c = stream_consumer_find(g, name);
    *created = !c;
    if (c) return c;
    call_event(call, NOTIFY_STREAM, "xgroup-createconsumer", call->db, call->argv[key_arg]);
    call_changed(call, 1);
    return stream_consumer_create(g, name, call->now_ms);
}

/* --- ids --- */

#define ID_ARGUMENT_MAX 127

bool stream_id_parse_number(struct bytes text, uint64_t *out)
{
    char room[ID_ARGUMENT_MAX + 1], *end;
    int64_t strict;
    if (text.len > ID_ARGUMENT_MAX) return false;
    if (parse_i64(text, &strict) == 0) {
        *out = (uint64_t)strict;
        return strict >= 0;
    }
    if (text.len) memcpy(room, text.ptr, text.len);
    room[text.len] = 0;
    errno = 0;
    *out = strtoull(room, &end, 10);
    return errno == 0 && *room && !*end;
}

bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *out)
{
    if (!text.len || text.len > ID_ARGUMENT_MAX) return false;
    const uint8_t *dash = memchr(text.ptr, '-', text.len);
    if (!dash) {
        out->seq = missing_seq;
        return stream_id_parse_number(text, &out->ms);
    }
    size_t ms_len = (size_t)(dash - text.ptr);
    return stream_id_parse_number(bytes_make(text.ptr, ms_len), &out->ms) &&
           stream_id_parse_number(bytes_make(dash + 1, text.len - ms_len - 1), &out->seq);
}

static bool invalid_id(struct call *call)
{
    reply_error(call->reply, "ERR Invalid stream ID specified as stream command argument");
    return false;
}

bool stream_id_argument(struct call *call, uint32_t arg, struct stream_id *out)
{
    return stream_id_parse(call->argv[arg], 0, out) || invalid_id(call);
}

static bool parse_bound(struct bytes text, uint64_t missing_seq, struct stream_id *out)
{
    if (bytes_equal(text, BYTES("-"))) {
        *out = STREAM_ID_LEAST;
        return true;
    }
    if (bytes_equal(text, BYTES("+"))) {
        *out = STREAM_ID_MOST;
        return true;
    }
    return stream_id_parse(text, missing_seq, out);
}

bool stream_bound_argument(struct call *call, uint32_t arg, struct stream_id *out)
{
    return parse_bound(call->argv[arg], 0, out) || invalid_id(call);
}

/* One end of a range; *excluded: the id itself is not part of it. */
static bool read_end(struct call *call, uint32_t arg, uint64_t missing_seq, struct stream_id *out, bool *excluded)
{
    struct bytes text = call->argv[arg];
    *excluded = text.len > 1 && text.ptr[0] == '(';
    if (!*excluded) return parse_bound(text, missing_seq, out) || invalid_id(call);
    return stream_id_parse(bytes_make(text.ptr + 1, text.len - 1), missing_seq, out) || invalid_id(call);
}

bool stream_start_argument(struct call *call, uint32_t arg, struct stream_id *out)
{
    bool excluded;
    if (!read_end(call, arg, 0, out, &excluded)) return false;
    if (!excluded || stream_id_increment(out)) return true;
    reply_error(call->reply, "ERR invalid start ID for the interval");
    return false;
}

bool stream_end_argument(struct call *call, uint32_t arg, struct stream_id *out)
{
    bool excluded;
    if (!read_end(call, arg, UINT64_MAX, out, &excluded)) return false;
    if (!excluded || stream_id_decrement(out)) return true;
    reply_error(call->reply, "ERR invalid end ID for the interval");
    return false;
}

struct bytes stream_id_text(struct stream_id_text *t, struct stream_id id)
{
    t->text = bytes_make(t->room, stream_id_format(t->room, id));
    return t->text;
}

/* --- replies --- */

void reply_stream_id(struct reply *r, struct stream_id id)
{
    struct stream_id_text text;
    reply_bulk(r, stream_id_text(&text, id));
}

void reply_stream_entry(struct reply *r, struct stream_cursor *c)
{
    struct packed_value field, value;
    reply_array(r, 2);
    reply_stream_id(r, c->id);
    reply_array(r, c->field_count * 2);
    while (stream_cursor_pair(c, &field, &value)) {
        reply_packed(r, &field);
        reply_packed(r, &value);
    }
}

size_t reply_stream_range(struct reply *r, const struct stream *s, struct stream_id start, struct stream_id end,
                          uint64_t count, bool backwards)
{
    struct stream_cursor c;
    struct reply_deferred deferred;
    size_t shown = 0;
    reply_deferred_begin(r, &deferred);
    stream_cursor_open(&c, s, start, end, backwards);
    while ((!count || shown < count) && stream_cursor_next(&c)) {
        reply_stream_entry(r, &c);
        shown++;
    }
    stream_cursor_close(&c);
    reply_deferred_array(r, &deferred, shown);
    return shown;
}

/* --- propagation --- */

void stream_propagate_claim(struct call *call, uint32_t key_arg, uint32_t group_arg, const struct stream_group *g,
                            struct stream_id id, const struct stream_pending *p)
{
    struct stream_id_text id_text, last_id;
    char time[I64_TEXT_MAX], deliveries[I64_TEXT_MAX];
    const struct bytes argv[] = {
        BYTES("XCLAIM"),
        call->argv[key_arg],
        call->argv[group_arg],
        stream_consumer_name(p->consumer),
        BYTES("0"),
        stream_id_text(&id_text, id),
        BYTES("TIME"),
        bytes_make(time, format_i64(time, p->delivered_ms)),
        BYTES("RETRYCOUNT"),
        bytes_make(deliveries, format_u64(deliveries, p->deliveries)),
        BYTES("FORCE"),
        BYTES("JUSTID"),
        BYTES("LASTID"),
        stream_id_text(&last_id, g->last_id),
    };
    call_rewrite(call, call->db, sizeof argv / sizeof *argv, argv);
}

/* Beside claims, which carry the id: a statistic, which is for those who know it. Redis does so since 8.0. */
void stream_propagate_entries_read(struct call *call, uint32_t key_arg, uint32_t group_arg,
                                   const struct stream_group *g)
{
    if (call_may_say_7_0(call)) stream_propagate_last_id(call, key_arg, group_arg, g);
}

/* 6.2 refuses ENTRIESREAD, and then does not set the id, either. */
void stream_propagate_last_id(struct call *call, uint32_t key_arg, uint32_t group_arg, const struct stream_group *g)
{
    struct stream_id_text last_id;
    char read[I64_TEXT_MAX];
    const struct bytes argv[] = {
        BYTES("XGROUP"),
        BYTES("SETID"),
        call->argv[key_arg],
        call->argv[group_arg],
        stream_id_text(&last_id, g->last_id),
        BYTES("ENTRIESREAD"),
        bytes_make(read, format_i64(read, g->entries_read)),
    };
    uint32_t argc = sizeof argv / sizeof *argv;
    bool whole = call_may_say_7_0(call);
    if (whole) call_says(call, WORDS_OF_7_0);
    call_rewrite(call, call->db, whole ? argc : argc - 2, argv);
}

void stream_propagate_ack(struct call *call, uint32_t key_arg, uint32_t group_arg, struct stream_id id)
{
    struct stream_id_text text;
    const struct bytes argv[] = {BYTES("XACK"), call->argv[key_arg], call->argv[group_arg], stream_id_text(&text, id)};
    call_rewrite(call, call->db, sizeof argv / sizeof *argv, argv);
}

static bool is_statistic(const struct call *call, uint32_t arg)
{
    return call_arg_is(call, arg, "entriesread") || call_arg_is(call, arg, "entriesadded") ||
           call_arg_is(call, arg, "maxdeletedid");
}

void stream_propagate_options(struct call *call, uint32_t first)
{
    uint32_t argc = 0;
    struct bytes *argv = mem_alloc(call->argc * sizeof *argv);
    for (uint32_t i = 0; i < call->argc; i++)
        if (i >= first && is_statistic(call, i))
            i++;
        else
            argv[argc++] = call->argv[i];
    if (argc < call->argc && (call->from_master || call_may_say_7_0(call)))
        call_says(call, WORDS_OF_7_0);
    else if (argc < call->argc)
        call_rewrite(call, call->db, argc, argv);
    mem_free(argv);
}

void stream_propagate_consumer(struct call *call, uint32_t key_arg, uint32_t group_arg, struct bytes consumer)
{
    const struct bytes argv[] = {
        BYTES("XGROUP"), BYTES("CREATECONSUMER"), call->argv[key_arg], call->argv[group_arg], consumer,
    };
    call_rewrite(call, call->db, sizeof argv / sizeof *argv, argv);
}
