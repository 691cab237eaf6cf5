/* SCAN over a database. Keys that it meets expired are removed, as Redis does: those whose name matches, of whatever
 * type. An unknown TYPE is no error; no key is of it. The cursor is the keyspace's: a position in hash order, see
 * keyspace.h. Server process. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/glob.h"
#include "server/commands/collection_scan.h"
#include "server/commands/tables.h"
#include "server/core/run/call.h"

/* Keys that had run out when they were met; they go when the walk is over, for nothing may change during it. */
struct met_expired {
    struct record **records;
    size_t count, capacity;
};

struct scan_filter {
    struct call *call;
    struct bytes pattern, type;
    bool any_name, any_type;
    size_t found;
    struct met_expired expired;
};

static void note_expired(struct met_expired *m, struct record *r)
{
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 16;
        m->records = mem_realloc(m->records, m->capacity * sizeof(struct record *));
    }
    m->records[m->count++] = r;
}

static void remove_expired(struct call *call, struct met_expired *m)
{
    for (size_t i = 0; i < m->count; i++) database_met_expired(call->db, m->records[i]);
    mem_free(m->records);
}

static void visit(void *arg, struct record *r)
{
    struct scan_filter *f = arg;
    if (!f->any_name && !glob_match(f->pattern, record_key(r), false)) return;
    if (unlikely(record_is_expired(r, f->call->now_ms))) return note_expired(&f->expired, r);
    if (!f->any_type && !bytes_equal_nocase(f->type, value_type_name(record_type(r)))) return;
    reply_bulk(f->call->reply, record_key(r));
    f->found++;
}

static bool read_options(struct call *call, struct scan_filter *f, int64_t *count)
{
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "count")) {
            if (!call_arg_i64(call, i + 1, count, NULL)) return false;
            if (*count < 1) return call_syntax_error(call), false;
        } else if (has_value && call_arg_is(call, i, "match")) {
            f->pattern = call->argv[i + 1];
            f->any_name = bytes_equal_text(f->pattern, "*");
        } else if (has_value && call_arg_is(call, i, "type")) {
            f->type = call->argv[i + 1];
            f->any_type = false;
        } else {
            return call_syntax_error(call), false;
        }
    }
    return true;
}

static void scan_command(struct call *call)
{
    struct scan_filter f = {.call = call, .any_name = true, .any_type = true};
    uint64_t cursor;
    int64_t count = 10;
    if (!scan_cursor_argument(call, 1, &cursor)) return;
    if (!read_options(call, &f, &count)) return;
    struct reply_deferred keys;
    char text[I64_TEXT_MAX];
    reply_deferred_begin(call->reply, &keys);
    cursor = database_scan(call->db, cursor, (size_t)count, visit, &f);
    struct reply head = *call->reply; /* the cursor is known last and stands first */
    head.out = keys.outer;
    reply_array(&head, 2);
    reply_bulk(&head, bytes_make(text, format_u64(text, cursor)));
    reply_deferred_array(call->reply, &keys, f.found);
    remove_expired(call, &f.expired);
}

const struct command scan_commands[] = {
    {"scan", scan_command, -2, CMD_READONLY | CMD_TOUCHES_ARBITRARY_KEYS, CAT_KEYSPACE,
     .tips = TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_SPECIAL | TIP_RESPONSE_SPECIAL},
    {.name = NULL},
};
