/* HyperLogLogs: elements counted, counts read, several merged. The value is a string; see server/data/hyperloglog.h.
 * Server process. */
#include "server/base/alloc.h"
#include "server/base/random.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/settings.h"
#include "server/data/hyperloglog.h"

#include <math.h>
#include <stdio.h>

static void reply_broken(struct call *call)
{
    reply_error(call->reply, "INVALIDOBJ Corrupted HLL object detected");
}

/* Of a key that may be absent (r NULL). false: it holds something else, answered. */
static bool check_type(struct call *call, const struct record *r)
{
    char scratch[I64_TEXT_MAX];
    if (call_wrong_type(call, r, TYPE_STRING)) return false;
    if (!r || hll_recognized(record_string(r, scratch))) return true;
    reply_error(call->reply, "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return false;
}

static struct bytes hll_bytes(const struct record *r)
{
    char scratch[I64_TEXT_MAX]; /* one that was recognized is no integer */
    return record_string(r, scratch);
}

/* --- a key's value while it is changed --- */

/* A dense one is changed where it lies; a sparse one is copied, because each change may move its end. */
struct hll_key {
    struct call *call;
    uint32_t arg;
    struct record *record; /* NULL: not there yet */
    struct hll hll;
    bool in_place;
    uint8_t room[HLL_ROOM_BYTES];
};

/* false: answered. */
static bool hll_key_open(struct hll_key *k, struct call *call, uint32_t arg, struct record *r)
{
    k->call = call;
    k->arg = arg;
    k->record = r;
    k->in_place = false;
    k->hll = (struct hll){.data = k->room};
    if (!r) {
        hll_init(&k->hll);
        return true;
    }
    struct bytes text = hll_bytes(r);
    if (hll_is_dense(text)) {
        k->in_place = true;
        k->hll.len = text.len;
        k->record = database_string_resize(call->db, r, text.len, &k->hll.data);
        return true;
    }
    if (text.len > sizeof k->room) {
        reply_broken(call);
        return false;
    }
    memcpy(k->room, text.ptr, text.len);
    k->hll.len = text.len;
    return true;
}

static void hll_key_save(struct hll_key *k)
{
    struct call *call = k->call;
    struct bytes key = call->argv[k->arg];
    uint8_t *data;
    if (!k->record) {
        database_set_string_raw(call->db, key, call_key_hash(call, k->arg), bytes_make(k->hll.data, k->hll.len), false);
    } else if (hll_is_dense(bytes_make(k->hll.data, k->hll.len)) && !k->in_place) {
        /* It grows no more. */
        database_set_string_raw(call->db, key, call_key_hash(call, k->arg), bytes_make(k->hll.data, k->hll.len), true);
    } else if (!k->in_place) {
        database_string_resize(call->db, k->record, k->hll.len, &data);
        memcpy(data, k->hll.data, k->hll.len);
    }
    call_key_modified(call, call->db, key);
    call_changed(call, 1);
}

/* --- commands --- */

static void pfadd_command(struct call *call)
{
    struct hll_key k;
    struct record *r = call_find_write(call, 1);
    if (!check_type(call, r) || !hll_key_open(&k, call, 1, r)) return;
    uint64_t sparse_max = call->core->settings->data.hll_sparse_max_bytes;
    uint64_t changes = r ? 0 : 1;
    for (uint32_t i = 2; i < call->argc; i++) {
        enum hll_outcome outcome = hll_add(&k.hll, call->argv[i], sparse_max);
        if (outcome == HLL_BROKEN) return reply_broken(call);
        changes += outcome == HLL_CHANGED;
    }
    if (changes) {
        hll_forget_count(k.hll.data);
        hll_key_save(&k);
        call_event(call, NOTIFY_STRING, "pfadd", call->db, call->argv[1]);
        call_changed(call, changes - 1);
    }
    reply_integer(call->reply, changes > 0);
}

/* Raises registers to those of all keys from argument `first` on. false: answered. */
static bool merge_keys(struct call *call, uint32_t first, uint8_t registers[HLL_REGISTERS], bool *any_dense)
{
    memset(registers, 0, HLL_REGISTERS);
    *any_dense = false;
    for (uint32_t i = first; i < call->argc; i++) {
        struct record *r = call_find_read(call, i);
        if (!r) continue;
        if (!check_type(call, r)) return false;
        *any_dense |= hll_is_dense(hll_bytes(r));
        if (!hll_merge(registers, hll_bytes(r))) {
            reply_broken(call);
            return false;
        }
    }
    return true;
}

static void count_several(struct call *call)
{
    uint8_t registers[HLL_REGISTERS];
    bool any_dense;
    if (merge_keys(call, 1, registers, &any_dense)) reply_integer(call->reply, (int64_t)hll_estimate(registers));
}

/* The estimate is kept in the value, so reading one may be a change; it is told to replicas as Redis tells it. */
static void pfcount_command(struct call *call)
{
    if (call->argc > 2) return count_several(call);
    uint8_t registers[HLL_REGISTERS] = {0}, *data;
    uint64_t count;
    struct record *r = call_find_read(call, 1);
    if (!r) return reply_integer(call->reply, 0);
    if (!check_type(call, r)) return;
    struct bytes text = hll_bytes(r);
    if (!hll_cached_count(text, &count)) {
        if (!hll_merge(registers, text)) return reply_broken(call);
        count = hll_estimate(registers);
        database_string_resize(call->db, r, text.len, &data);
        hll_cache_count(data, count);
        call_key_modified(call, call->db, call->argv[1]);
        call_rewrite(call, call->db, call->argc, call->argv);
        call_changed(call, 1);
    }
    reply_integer(call->reply, (int64_t)count);
}

static void pfmerge_command(struct call *call)
{
    struct hll_key k;
    uint8_t merged[HLL_REGISTERS], own[HLL_REGISTERS] = {0};
    bool any_dense;
    if (!merge_keys(call, 1, merged, &any_dense)) return;
    struct record *r = call_find_write(call, 1);
    if (r) hll_merge(own, hll_bytes(r));
    if (!hll_key_open(&k, call, 1, r)) return;
    if (any_dense && !hll_make_dense(&k.hll)) return reply_broken(call);
    uint64_t sparse_max = call->core->settings->data.hll_sparse_max_bytes;
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        if (merged[i] > own[i] && hll_raise(&k.hll, i, merged[i], sparse_max) == HLL_BROKEN) return reply_broken(call);
    hll_forget_count(k.hll.data);
    hll_key_save(&k);
    call_event(call, NOTIFY_STRING, "pfadd", call->db, call->argv[1]);
    reply_ok(call->reply);
}

/* --- PFDEBUG --- */

/* Makes the value dense, for good. false: broken, answered. */
static bool keep_dense(struct hll_key *k)
{
    if (k->in_place) return true;
    if (!hll_make_dense(&k->hll)) {
        reply_broken(k->call);
        return false;
    }
    hll_key_save(k);
    return true;
}

static void reply_registers(struct call *call, struct bytes text)
{
    uint8_t registers[HLL_REGISTERS] = {0};
    hll_merge(registers, text);
    reply_array(call->reply, HLL_REGISTERS);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) reply_integer(call->reply, registers[i]);
}

/* The longest text of a run, "v:32,4 ", stands for one byte. */
#define RUN_TEXT_MAX 16

struct decoding {
    char *text;
    size_t len;
};

static void decode_run(void *arg, const struct hll_run *run)
{
    struct decoding *d = arg;
    char *at = d->text + d->len;
    switch (run->kind) {
    case HLL_RUN_ZERO: d->len += (size_t)snprintf(at, RUN_TEXT_MAX, "z:%u ", run->length); break;
    case HLL_RUN_LONG_ZERO: d->len += (size_t)snprintf(at, RUN_TEXT_MAX, "Z:%u ", run->length); break;
    case HLL_RUN_VALUE: d->len += (size_t)snprintf(at, RUN_TEXT_MAX, "v:%u,%u ", run->value, run->length); break;
    }
}

static void reply_runs(struct call *call, struct bytes sparse)
{
    struct decoding d = {.text = mem_alloc(sparse.len * RUN_TEXT_MAX)};
    hll_walk_runs(sparse, decode_run, &d);
    reply_bulk(call->reply, bytes_make(d.text, d.len ? d.len - 1 : 0));
    mem_free(d.text);
}

static void pfdebug_command(struct call *call)
{
    struct hll_key k;
    struct record *r = call_find_write(call, 2);
    if (!r) return reply_error(call->reply, "ERR The specified key does not exist");
    if (!check_type(call, r)) return;
    if (!hll_key_open(&k, call, 2, r)) return;
    if (call_arg_is(call, 1, "getreg")) {
        if (keep_dense(&k)) reply_registers(call, bytes_make(k.hll.data, k.hll.len));
    } else if (call_arg_is(call, 1, "decode")) {
        if (k.in_place) return reply_error(call->reply, "ERR HLL encoding is not sparse");
        reply_runs(call, bytes_make(k.hll.data, k.hll.len));
    } else if (call_arg_is(call, 1, "encoding")) {
        reply_simple(call->reply, k.in_place ? "dense" : "sparse");
    } else if (call_arg_is(call, 1, "todense")) {
        if (keep_dense(&k)) reply_integer(call->reply, !k.in_place);
    } else {
        reply_errorf(call->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)call->argv[1].len,
                     (const char *)call->argv[1].ptr);
    }
}

/* --- PFSELFTEST --- */

#define SELF_TEST_ELEMENTS 200000
#define STANDARD_ERROR     (1.04 / 128) /* of 16384 registers */

/* Counts numbers into a value that turns from sparse to dense on the way, and looks at the estimate after each power of
 * two: it may be off by five standard errors, and stands for sure where there are few. */
static bool self_test(uint64_t sparse_max)
{
    uint8_t room[HLL_ROOM_BYTES], registers[HLL_REGISTERS];
    struct random_state random;
    struct hll h = {.data = room};
    hll_init(&h);
    random_seed(&random, 0);
    for (uint64_t n = 1; n <= SELF_TEST_ELEMENTS; n++) {
        uint64_t element = random_u64(&random);
        if (hll_add(&h, bytes_make(&element, sizeof element), sparse_max) == HLL_BROKEN) return false;
        if (n & (n - 1)) continue;
        memset(registers, 0, sizeof registers);
        if (!hll_merge(registers, bytes_make(h.data, h.len))) return false;
        double off = fabs((double)hll_estimate(registers) - (double)n);
        if (off > 1 + 5 * STANDARD_ERROR * (double)n) return false;
    }
    return true;
}

static void pfselftest_command(struct call *call)
{
    if (self_test(call->core->settings->data.hll_sparse_max_bytes))
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR TESTFAILED the estimate is too far off");
}

const struct command hyperloglogs_commands[] = {
    {"pfadd", pfadd_command, -2, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_HYPERLOGLOG, KEY_AT_1(KEY_RW | KEY_INSERT)},
    {"pfcount", pfcount_command, -2, CMD_READONLY | CMD_MAY_REPLICATE, CAT_HYPERLOGLOG,
     KEYS({.flags = KEY_RW | KEY_ACCESS,
           .index = 1,
           .last = -1,
           .step = 1,
           .notes = "RW because it may change the internal representation of the key, and propagate to replicas"})},
    {"pfmerge", pfmerge_command, -2, CMD_WRITE | CMD_DENYOOM, CAT_HYPERLOGLOG,
     KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_INSERT), KEY_RANGE(2, -1, 1, KEY_RO | KEY_ACCESS))},
    {"pfdebug", pfdebug_command, 3, CMD_WRITE | CMD_DENYOOM | CMD_ADMIN, CAT_HYPERLOGLOG,
     KEYS(KEY_AT(2, KEY_RW | KEY_ACCESS))},
    {"pfselftest", pfselftest_command, 1, CMD_ADMIN, CAT_HYPERLOGLOG},
    {.name = NULL},
};
