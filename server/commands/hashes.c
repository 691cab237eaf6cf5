/* Hashes: HSET and HGET and their family, counters in fields, random fields, HSCAN. Server process. */
#include "server/base/number.h"
#include "server/commands/collection_scan.h"
#include "server/commands/hash_key.h"
#include "server/commands/packed_reply.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"
#include "server/core/core.h"

#include <math.h>

/* Sets the field at argv[2] of the record's hash, or of a new one; an expiry that the field has stays. */
static void set_field(struct call *call, struct record *r, struct bytes value, const char *event)
{
    struct open_hash o;
    hash_bury_named(call, &r, 2, call->argc);
    open_hash(call, &o, r);
    hash_set_keeping_expiry(&o.hash, call->argv[2], value);
    keep_hash(call, &o);
    hash_written(call, event, 1);
}

/* Sets argv's pairs and returns how many fields are new; -1: answered. */
static int64_t set_pairs(struct call *call)
{
    if (call->argc % 2) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->row->name);
        return -1;
    }
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r)) return -1;
    struct open_hash o;
    int64_t created = 0;
    open_hash(call, &o, r);
    for (uint32_t i = 2; i < call->argc; i += 2) created += hash_set(&o.hash, call->argv[i], call->argv[i + 1]);
    keep_hash(call, &o);
    hash_written(call, "hset", (call->argc - 2) / 2);
    return created;
}

static void hset_command(struct call *call)
{
    int64_t created = set_pairs(call);
    if (created >= 0) reply_integer(call->reply, created);
}

static void hmset_command(struct call *call)
{
    if (set_pairs(call) >= 0) reply_ok(call->reply);
}

static void hsetnx_command(struct call *call)
{
    struct record *r = call_find_write(call, 1);
    struct packed_value value;
    if (!hash_expected(call, &r)) return;
    struct hash h = r ? hash_at(call, r) : (struct hash){0};
    bool absent = !r || !hash_get(&h, call->argv[2], &value);
    if (absent) set_field(call, r, call->argv[3], "hset");
    reply_integer(call->reply, absent);
}

static void hdel_command(struct call *call)
{
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r)) return;
    hash_bury_named(call, &r, 2, 1);
    if (!r) return reply_integer(call->reply, 0);
    struct open_hash o;
    uint64_t removed = 0;
    open_hash(call, &o, r);
    for (uint32_t i = 2; i < call->argc && hash_length(&o.hash) > 0; i++)
        removed += hash_delete(&o.hash, call->argv[i]);
    keep_hash(call, &o);
    if (removed) hash_written(call, "hdel", removed);
    if (hash_length(&o.hash) == 0) call_delete_key(call, call->argv[1], call_key_hash(call, 1), false);
    reply_integer(call->reply, (int64_t)removed);
}

/* --- counters --- */

static void hincrby_command(struct call *call)
{
    int64_t by, sum = 0;
    struct packed_value value;
    if (!call_arg_i64(call, 3, &by, NULL)) return;
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r)) return;
    struct hash h = r ? hash_at(call, r) : (struct hash){0};
    if (r && hash_get(&h, call->argv[2], &value)) {
        sum = value.integer;
        if (value.ptr && parse_i64(bytes_make(value.ptr, value.len), &sum))
            return reply_error(call->reply, "ERR hash value is not an integer");
    }
    if (__builtin_add_overflow(sum, by, &sum))
        return reply_error(call->reply, "ERR increment or decrement would overflow");
    char text[I64_TEXT_MAX];
    set_field(call, r, bytes_make(text, format_i64(text, sum)), "hincrby");
    reply_integer(call->reply, sum);
}

/* HSET would take an expiry away. */
static void propagate_result(struct call *call, bool expires, struct bytes result)
{
    struct bytes argv[] = {BYTES("HSETEX"), call->argv[1], BYTES("KEEPTTL"), BYTES("FIELDS"), BYTES("1"),
                           call->argv[2],   result};
    struct bytes plain[] = {BYTES("HSET"), call->argv[1], call->argv[2], result};
    if (expires) call_says(call, WORDS_OF_FIELD_EXPIRY);
    if (expires)
        call_rewrite(call, call->db, 7, argv);
    else
        call_rewrite(call, call->db, 4, plain);
}

/* The result travels, not the sum: floating point need not add up alike everywhere. */
static void hincrbyfloat_command(struct call *call)
{
    long double by, sum = 0;
    char scratch[I64_TEXT_MAX], text[LONG_DOUBLE_TEXT_MAX];
    struct packed_value value;
    if (parse_long_double(call->argv[3], &by)) return reply_error(call->reply, "ERR value is not a valid float");
    if (isinf(by)) return reply_error(call->reply, "ERR value is NaN or Infinity");
    struct record *r = call_find_write(call, 1);
    if (!hash_expected(call, &r)) return;
    struct hash h = r ? hash_at(call, r) : (struct hash){0};
    if (r && hash_get(&h, call->argv[2], &value) && parse_long_double(packed_text(&value, scratch), &sum))
        return reply_error(call->reply, "ERR hash value is not a float");
    sum += by;
    if (isnan(sum) || isinf(sum)) return reply_error(call->reply, "ERR increment would produce NaN or Infinity");
    struct bytes result = bytes_make(text, format_long_double(text, sum));
    bool expires = r && hash_expiry(&h, call->argv[2]) != HASH_NO_EXPIRY;
    set_field(call, r, result, "hincrbyfloat");
    reply_bulk(call->reply, result);
    propagate_result(call, expires, result);
}

/* --- reading --- */

static void reply_field(struct call *call, const struct record *r, const struct hash *h, struct bytes field)
{
    struct packed_value value;
    if (r && hash_get(h, field, &value))
        reply_packed(call->reply, &value);
    else
        reply_null(call->reply);
}

static void hget_command(struct call *call)
{
    struct record *r;
    struct hash h;
    if (find_hash(call, &r, &h)) reply_field(call, r, &h, call->argv[2]);
}

static void hmget_command(struct call *call)
{
    struct record *r;
    struct hash h;
    if (!find_hash(call, &r, &h)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) reply_field(call, r, &h, call->argv[i]);
}

static void hexists_command(struct call *call)
{
    struct record *r;
    struct hash h;
    struct packed_value value;
    if (find_hash(call, &r, &h)) reply_integer(call->reply, r && hash_get(&h, call->argv[2], &value));
}

static void hlen_command(struct call *call)
{
    struct record *r;
    struct hash h;
    if (find_hash(call, &r, &h)) reply_integer(call->reply, r ? (int64_t)hash_living(&h) : 0);
}

static void hstrlen_command(struct call *call)
{
    struct record *r;
    struct hash h;
    struct packed_value value;
    char scratch[I64_TEXT_MAX];
    if (!find_hash(call, &r, &h)) return;
    bool found = r && hash_get(&h, call->argv[2], &value);
    reply_integer(call->reply, found ? (int64_t)packed_text(&value, scratch).len : 0);
}

enum pair_parts { FIELDS = 1, VALUES = 2 };

static void reply_pair(struct reply *reply, const struct hash_pair *pair, enum pair_parts parts)
{
    if (parts & FIELDS) reply_packed(reply, &pair->field);
    if (parts & VALUES) reply_packed(reply, &pair->value);
}

static void reply_all(struct call *call, enum pair_parts parts)
{
    struct record *r;
    struct hash h;
    if (!find_hash(call, &r, &h)) return;
    size_t length = r ? hash_living(&h) : 0;
    if (parts == (FIELDS | VALUES))
        reply_map(call->reply, length);
    else
        reply_array(call->reply, length);
    if (!r) return;
    struct hash_walk w;
    struct hash_pair pair;
    hash_walk_start(&w, &h);
    while (!reply_unheard(call->reply) && hash_walk_next(&w, &pair)) reply_pair(call->reply, &pair, parts);
}

static void hgetall_command(struct call *call)
{
    reply_all(call, FIELDS | VALUES);
}

static void hkeys_command(struct call *call)
{
    reply_all(call, FIELDS);
}

static void hvals_command(struct call *call)
{
    reply_all(call, VALUES);
}

/* --- HRANDFIELD, HSCAN --- */

struct random_reply {
    struct call *call;
    bool with_values;
};

/* RESP3 keeps each pair together, RESP2 knows but one flat list. */
static void reply_random(void *arg, const struct hash_pair *pair)
{
    const struct random_reply *rr = arg;
    struct reply *reply = rr->call->reply;
    if (rr->with_values && reply->protocol == 3) reply_array(reply, 2);
    reply_pair(reply, pair, rr->with_values ? FIELDS | VALUES : FIELDS);
}

static void random_fields(struct call *call, int64_t count, bool with_values)
{
    struct record *r;
    struct hash h;
    if (!find_hash(call, &r, &h)) return;
    struct random_reply rr = {call, with_values};
    struct random_state *random = keyspace_random(call->core->keyspace);
    uint64_t wanted = count < 0 ? -(uint64_t)count : (uint64_t)count;
    if (!r) wanted = 0;
    if (count > 0 && r && wanted > hash_living(&h)) wanted = hash_living(&h);
    reply_array(call->reply, with_values && call->reply->protocol == 2 ? wanted * 2 : wanted);
    if (count > 0 && wanted) hash_sample(&h, wanted, random, reply_random, &rr);
    if (count > 0 || !wanted) return;
    struct hash_drawing drawing;
    hash_draw_begin(&drawing, &h);
    for (; wanted > 0 && !reply_unheard(call->reply); wanted--) {
        struct hash_pair pair;
        hash_draw(&drawing, random, &pair);
        reply_random(&rr, &pair);
    }
    hash_draw_end(&drawing);
}

static void hrandfield_command(struct call *call)
{
    if (call->argc == 2) {
        struct record *r;
        struct hash h;
        struct hash_pair pair;
        if (!find_hash(call, &r, &h)) return;
        if (!r) return reply_null(call->reply);
        hash_random(&h, keyspace_random(call->core->keyspace), &pair);
        return reply_packed(call->reply, &pair.field);
    }
    int64_t count;
    if (!call_arg_range(call, 2, -INT64_MAX, INT64_MAX, &count, NULL)) return;
    if (call->argc > 4 || (call->argc == 4 && !call_arg_is(call, 3, "withvalues"))) return call_syntax_error(call);
    bool with_values = call->argc == 4;
    if (with_values && (count < -INT64_MAX / 2 || count > INT64_MAX / 2))
        return reply_error(call->reply, "ERR value is out of range");
    random_fields(call, count, with_values);
}

static void visit_scanned(void *arg, const struct hash_pair *pair)
{
    struct collection_scan *s = arg;
    if (!collection_scan_matches(s, &pair->field)) return;
    reply_pair(s->call->reply, pair, s->no_values ? FIELDS : FIELDS | VALUES);
    s->elements += s->no_values ? 1 : 2;
}

static void hscan_command(struct call *call)
{
    struct collection_scan s;
    const struct record *r = collection_scan_begin(&s, call, TYPE_HASH);
    if (!r) return;
    struct hash h = hash_at(call, r);
    collection_scan_end(&s, hash_scan(&h, s.cursor, s.count, visit_scanned, &s));
}

const struct command hashes_commands[] = {
    {"hset", hset_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_UPDATE),
     .element = 2},
    {"hsetnx", hsetnx_command, 4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_INSERT),
     .element = 2},
    {"hmset", hmset_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_UPDATE),
     .element = 2},
    {"hget", hget_command, 3, CMD_READONLY | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS), .element = 2},
    {"hmget", hmget_command, -3, CMD_READONLY | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS), .element = 2},
    {"hdel", hdel_command, -3, CMD_WRITE | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RW | KEY_DELETE), .element = 2},
    {"hlen", hlen_command, 2, CMD_READONLY | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RO)},
    {"hstrlen", hstrlen_command, 3, CMD_READONLY | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RO), .element = 2},
    {"hincrby", hincrby_command, 4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HASH,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE), .element = 2},
    {"hincrbyfloat", hincrbyfloat_command, 4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HASH,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE), .element = 2},
    {"hkeys", hkeys_command, 2, CMD_READONLY, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"hvals", hvals_command, 2, CMD_READONLY, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"hgetall", hgetall_command, 2, CMD_READONLY, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"hexists", hexists_command, 3, CMD_READONLY | CMD_FAST, CAT_HASH, KEY_AT_1(KEY_RO), .element = 2},
    {"hrandfield", hrandfield_command, -2, CMD_READONLY, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"hscan", hscan_command, -3, CMD_READONLY, CAT_HASH, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};
