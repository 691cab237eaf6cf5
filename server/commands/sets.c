/* Sets, one at a time: SADD and its family, random members, SSCAN. What combines several sets is in set_algebra.c.
 * Server process. */
#include "server/base/alloc.h"
#include "server/commands/collection_scan.h"
#include "server/commands/packed_reply.h"
#include "server/commands/set_key.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/settings.h"

/* The set at argv[1] for reading, NULL record for an absent one. False: answered. */
static bool find_set(struct call *call, struct record **r, struct set *s)
{
    *r = call_find_read(call, 1);
    if (call_wrong_type(call, *r, TYPE_SET)) return false;
    if (*r) *s = set_at(*r);
    return true;
}

/* --- adding and removing --- */

static void sadd_command(struct call *call)
{
    struct set_key k;
    int64_t added = 0;
    if (!set_key_open(&k, call, 1)) return;
    struct packed_value member = set_member(call->argv[2]);
    if (!k.record) k.set = set_new(&member, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        member = set_member(call->argv[i]);
        added += set_add(&k.set, &member);
    }
    if (added) {
        set_key_save(&k, "sadd");
        call_changed(call, (uint64_t)added);
    }
    reply_integer(call->reply, added);
}

static void srem_command(struct call *call)
{
    struct set_key k;
    int64_t removed = 0;
    if (!set_key_open(&k, call, 1)) return;
    for (uint32_t i = 2; k.record && i < call->argc && set_count(&k.set) > 0; i++) {
        struct packed_value member = set_member(call->argv[i]);
        removed += set_remove(&k.set, &member);
    }
    if (removed) {
        set_key_save(&k, "srem");
        call_changed(call, (uint64_t)removed);
    }
    reply_integer(call->reply, removed);
}

static void smove_command(struct call *call)
{
    struct set_key from, to;
    struct packed_value member = set_member(call->argv[3]);
    struct record *r = call_find_write(call, 1);
    if (!r) return reply_integer(call->reply, 0);
    if (!set_key_open(&from, call, 1) || !set_key_open(&to, call, 2)) return;
    if (from.record == to.record) return reply_integer(call->reply, set_contains(&from.set, &member));
    if (!set_remove(&from.set, &member)) return reply_integer(call->reply, 0);
    set_key_save(&from, "srem");
    call_changed(call, 1);
    set_key_open(&to, call, 2); /* the deletion of the other may have moved it */
    if (!to.record) to.set = set_new(&member, 1);
    if (set_add(&to.set, &member)) {
        set_key_save(&to, "sadd");
        call_changed(call, 1);
    }
    reply_integer(call->reply, 1);
}

/* --- looking --- */

static void sismember_command(struct call *call)
{
    struct record *r;
    struct set s;
    struct packed_value member = set_member(call->argv[2]);
    if (find_set(call, &r, &s)) reply_integer(call->reply, r && set_contains(&s, &member));
}

static void smismember_command(struct call *call)
{
    struct record *r;
    struct set s;
    if (!find_set(call, &r, &s)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct packed_value member = set_member(call->argv[i]);
        reply_integer(call->reply, r && set_contains(&s, &member));
    }
}

static void scard_command(struct call *call)
{
    struct record *r;
    struct set s;
    if (find_set(call, &r, &s)) reply_integer(call->reply, r ? (int64_t)set_count(&s) : 0);
}

static void reply_members(struct reply *reply, const struct set *s)
{
    struct set_walk w;
    struct packed_value member;
    reply_set(reply, set_count(s));
    set_walk_start(&w, s);
    while (!reply_unheard(reply) && set_walk_next(&w, &member)) reply_packed(reply, &member);
}

static void smembers_command(struct call *call)
{
    struct record *r;
    struct set s;
    if (!find_set(call, &r, &s)) return;
    if (r)
        reply_members(call->reply, &s);
    else
        reply_set(call->reply, 0);
}

static void visit_scanned(void *arg, const struct packed_value *member)
{
    struct collection_scan *scan = arg;
    if (!collection_scan_matches(scan, member)) return;
    reply_packed(scan->call->reply, member);
    scan->elements++;
}

static void sscan_command(struct call *call)
{
    struct collection_scan scan;
    const struct record *r = collection_scan_begin(&scan, call, TYPE_SET);
    if (!r) return;
    struct set s = set_at(r);
    collection_scan_end(&scan, set_scan(&s, scan.cursor, scan.count, visit_scanned, &scan));
}

/* --- at random --- */

static void reply_member(void *arg, const struct packed_value *member)
{
    reply_packed(arg, member);
}

static void srandmember_command(struct call *call)
{
    struct record *r;
    struct set s;
    struct packed_value member;
    struct random_state *random = keyspace_random(call->core->keyspace);
    int64_t count;
    if (call->argc == 2) {
        if (!find_set(call, &r, &s)) return;
        if (!r) return reply_null(call->reply);
        set_random(&s, random, &member);
        return reply_packed(call->reply, &member);
    }
    if (call->argc > 3) return call_syntax_error(call);
    if (!call_arg_range(call, 2, -INT64_MAX, INT64_MAX, &count, NULL) || !find_set(call, &r, &s)) return;
    uint64_t wanted = !r ? 0 : count < 0 ? -(uint64_t)count : (uint64_t)count;
    if (count >= 0 && wanted && wanted > set_count(&s)) wanted = set_count(&s);
    reply_array(call->reply, wanted);
    if (count >= 0 && wanted) set_sample(&s, wanted, random, reply_member, call->reply);
    for (; count < 0 && wanted > 0 && !reply_unheard(call->reply); wanted--) {
        set_random(&s, random, &member);
        reply_packed(call->reply, &member);
    }
}

static void spop_one(struct call *call)
{
    struct set_key k;
    struct packed_value member;
    char scratch[I64_TEXT_MAX];
    if (!set_key_open(&k, call, 1)) return;
    if (!k.record) return reply_null(call->reply);
    set_random(&k.set, keyspace_random(call->core->keyspace), &member);
    struct bytes argv[3] = {BYTES("SREM"), k.key, packed_text(&member, scratch)};
    call_rewrite(call, call->db, 3, argv);
    reply_packed(call->reply, &member);
    set_remove(&k.set, &member);
    set_key_save(&k, "spop");
    call_changed(call, 1);
}

/* Popped members on their way to the replicas, some at a time, as SREM. */
#define SREM_MEMBERS 1024

struct srem {
    struct call *call;
    uint32_t argc;
    struct bytes argv[2 + SREM_MEMBERS];
    size_t begin[SREM_MEMBERS]; /* of each in `text`, whose address is not settled yet */
    uint8_t *text;
    size_t used, capacity;
};

static void srem_flush(struct srem *s)
{
    for (uint32_t i = 2; i < s->argc; i++) s->argv[i].ptr = s->text + s->begin[i - 2];
    if (s->argc > 2) call_rewrite(s->call, s->call->db, s->argc, s->argv);
    s->argc = 2;
    s->used = 0;
}

static void srem_add(struct srem *s, struct bytes member)
{
    if (s->used + member.len > s->capacity) {
        s->capacity = (s->used + member.len) * 2;
        s->text = mem_realloc(s->text, s->capacity);
    }
    if (member.len) memcpy(s->text + s->used, member.ptr, member.len);
    s->begin[s->argc - 2] = s->used;
    s->argv[s->argc++].len = member.len;
    s->used += member.len;
    if (s->argc == 2 + SREM_MEMBERS) srem_flush(s);
}

static void pop_some(struct set_key *k, size_t count)
{
    struct call *call = k->call;
    struct srem srem = {.call = call, .argc = 2, .argv = {BYTES("SREM"), k->key}};
    struct random_state *random = keyspace_random(call->core->keyspace);
    reply_set(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        struct packed_value member;
        char scratch[I64_TEXT_MAX];
        set_random(&k->set, random, &member);
        reply_packed(call->reply, &member);
        srem_add(&srem, packed_text(&member, scratch));
        set_remove(&k->set, &member);
    }
    srem_flush(&srem);
    mem_free(srem.text);
    set_key_save(k, "spop");
}

static void pop_all(struct set_key *k)
{
    struct call *call = k->call;
    reply_members(call->reply, &k->set);
    call_rewrite_removal(call, k->key, call->core->settings->keyspace.lazyfree_lazy_server_del);
    call_event(call, NOTIFY_SET, "spop", call->db, k->key);
    call_delete_key(call, k->key, k->hash, true);
}

static void spop_command(struct call *call)
{
    struct set_key k;
    int64_t count;
    if (call->argc == 2) return spop_one(call);
    if (call->argc > 3) return call_syntax_error(call);
    if (!call_arg_range(call, 2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive")) return;
    if (!set_key_open(&k, call, 1)) return;
    if (!k.record || !count) return reply_set(call->reply, 0);
    size_t all = set_count(&k.set);
    call_changed(call, (uint64_t)count < all ? (uint64_t)count : all);
    if ((uint64_t)count < all)
        pop_some(&k, (size_t)count);
    else
        pop_all(&k);
}

const struct command sets_commands[] = {
    {"sadd", sadd_command, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_SET, KEY_AT_1(KEY_RW | KEY_INSERT),
     .element = 2},
    {"srem", srem_command, -3, CMD_WRITE | CMD_FAST, CAT_SET, KEY_AT_1(KEY_RW | KEY_DELETE), .element = 2},
    {"smove", smove_command, 4, CMD_WRITE | CMD_FAST, CAT_SET,
     KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT))},
    {"sismember", sismember_command, 3, CMD_READONLY | CMD_FAST, CAT_SET, KEY_AT_1(KEY_RO), .element = 2},
    {"smismember", smismember_command, -3, CMD_READONLY | CMD_FAST, CAT_SET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .element = 2},
    {"scard", scard_command, 2, CMD_READONLY | CMD_FAST, CAT_SET, KEY_AT_1(KEY_RO)},
    {"smembers", smembers_command, 2, CMD_READONLY, CAT_SET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"sscan", sscan_command, -3, CMD_READONLY, CAT_SET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"spop", spop_command, -2, CMD_WRITE | CMD_FAST, CAT_SET, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"srandmember", srandmember_command, -2, CMD_READONLY, CAT_SET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};
