/* Values that stand inside their record against twins that never do: the same seeded changes to both, and they must
 * stay equal, be inside exactly as long as they are flat and fit, and leave no memory behind. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "server/base/alloc.h"
#include "server/base/workers.h"
#include "server/data/digest.h"
#include "server/data/flat.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/settings.h"
#include "server/data/zset.h"
#include "server/keyspace/keyspace.h"
#include "server/keyspace/store.h"

#define LARGEST_HEAD 32 /* of a record, with the key and an expiry */

static struct keyspace_settings settings = {.maxmemory_samples = 5};

static void set_up(void)
{
    static const struct data_settings limits = {.hash_max_listpack_entries = 40,
                                                .hash_max_listpack_value_bytes = 64,
                                                .set_max_intset_entries = 70,
                                                .set_max_listpack_entries = 40,
                                                .set_max_listpack_value_bytes = 64,
                                                .zset_max_listpack_entries = 40,
                                                .zset_max_listpack_value_bytes = 64,
                                                .list_max_listpack_size = 60};
    data_settings = &limits;
    hash_seed = 12345;
    workers_start();
    hash_register();
    set_register();
    zset_register();
    list_register();
}

TestSuite(values_inside, .init = set_up, .timeout = 60);

/* One value as all types have it: encoding, object, inside. */
struct value {
    enum value_encoding encoding;
    void *object;
    bool inside;
};

static char room[64];

static struct bytes word(struct random_state *random, bool number)
{
    static const char *const forms[] = {"%d", "member:%d", "a somewhat longer member:%d"};
    int n = (int)random_below(random, 60);
    return bytes_make(room, (size_t)snprintf(room, sizeof room, forms[number ? 0 : n % 3], n));
}

/* --- one change, drawn from random; both twins see the same draws --- */

static void change_hash(struct value *v, struct random_state *random, bool growing)
{
    struct hash h = {v->encoding, v->object, v->inside, 0};
    struct bytes field = word(random, false);
    if (random_below(random, 10) < (growing ? 8 : 3))
        hash_set(&h, field, bytes_make("0123456789abcdef", random_below(random, 17)));
    else
        hash_delete(&h, field);
    *v = (struct value){h.encoding, h.object, h.inside};
}

static void change_set(struct value *v, struct random_state *random, bool growing)
{
    struct set s = {v->encoding, v->object, v->inside};
    /* Integers first, so that the set is an intset for a while. */
    struct packed_value member = set_member(word(random, set_count(&s) < 20));
    if (random_below(random, 10) < (growing ? 8 : 3))
        set_add(&s, &member);
    else
        set_remove(&s, &member);
    *v = (struct value){s.encoding, s.object, s.inside};
}

static void change_zset(struct value *v, struct random_state *random, bool growing)
{
    struct zset z = {v->encoding, v->object, v->inside};
    struct bytes member = word(random, false);
    struct zset_place place;
    double score, other = (double)random_below(random, 30) / 4;
    bool found = zset_find(&z, member, &place, &score);
    if (random_below(random, 20) == 0 && zset_count(&z) > 0)
        zset_remove_ranks(&z, random_below(random, zset_count(&z)), 1);
    else if (found && random_below(random, 10) < (growing ? 2 : 7))
        zset_remove(&z, &place, score);
    else if (found)
        zset_move(&z, member, &place, score, other);
    else if (growing)
        zset_add(&z, member, &place, other);
    *v = (struct value){z.encoding, z.object, z.inside};
}

static void change_list(struct value *v, struct random_state *random, bool growing)
{
    struct list_value l = {v->encoding, v->object, v->inside};
    struct list_cursor c;
    struct bytes text = word(random, false);
    size_t length = list_length(&l), what = random_below(random, 6);
    if (length == 0 || what < (growing ? 3 : 1)) {
        list_prepare_growth(&l, &text, 1);
        list_push(&l, random_below(random, 2) ? LIST_HEAD : LIST_TAIL, text);
    } else if (what < 4) {
        list_drop(&l, random_below(random, 2) ? LIST_HEAD : LIST_TAIL, 1);
    } else {
        list_seek(&l, (int64_t)random_below(random, length), &c);
        uint64_t how = random_below(random, 3);
        if (how == 0) list_cursor_replace(&c, text);
        if (how == 1) list_cursor_delete(&c, random_below(random, 2));
        if (how == 2) list_cursor_insert(&c, random_below(random, 2), text);
        list_cursor_close(&c);
    }
    list_settle_shrunk(&l);
    *v = (struct value){l.encoding, l.object, l.inside};
}

static const struct kind {
    enum value_type type;
    void (*change)(struct value *v, struct random_state *random, bool growing);
} kinds[] = {
    {TYPE_HASH, change_hash},
    {TYPE_SET, change_set},
    {TYPE_ZSET, change_zset},
    {TYPE_LIST, change_list},
};

/* --- */

static struct value empty(enum value_type type)
{
    struct packed_value number = packed_integer(1);
    struct hash h = hash_new();
    struct set s = set_new(&number, 1);
    struct zset z = zset_new(1);
    struct list_value l = list_new();
    struct value all[] = {[TYPE_LIST] = {l.encoding, l.object, false},
                          [TYPE_SET] = {s.encoding, s.object, false},
                          [TYPE_ZSET] = {z.encoding, z.object, false},
                          [TYPE_HASH] = {h.encoding, h.object, false}};
    for (enum value_type other = TYPE_LIST; other <= TYPE_HASH; other++)
        if (other != type) value_ops(other)->free(all[other].object, all[other].encoding);
    return all[type];
}

static void expect_equal(enum value_type type, const struct record *r, const struct value *twin)
{
    uint8_t ours[DIGEST_BYTES] = {0}, theirs[DIGEST_BYTES] = {0};
    cr_assert_eq(record_encoding(r), twin->encoding);
    value_ops(type)->digest(record_object(r), record_encoding(r), ours);
    value_ops(type)->digest(twin->object, twin->encoding, theirs);
    cr_assert_arr_eq(ours, theirs, DIGEST_BYTES);
}

/* Grows a value by `steps` changes and wears it down again by as many; counts where it stood. */
static void live(struct database *db, const struct kind *kind, struct random_state *random, int steps, size_t count[2])
{
    struct bytes key = BYTES("key");
    struct value twin = empty(kind->type), v = empty(kind->type);
    bool was_large = false;
    struct record *r = database_set_object(db, key, key_hash(key), kind->type, v.encoding, v.object, false);
    for (int step = 0; step < 2 * steps; step++) {
        struct random_state same = *random;
        kind->change(&twin, random, step < steps);
        v = (struct value){record_encoding(r), record_object(r), record_object_inside(r)};
        kind->change(&v, &same, step < steps);
        r = database_keep_object(db, r, key, key_hash(key), kind->type, v.encoding, v.object);
        if (step % 50 == 0) r = database_set_expiry(db, r, step % 100 ? RECORD_NO_EXPIRY : 1000000);
        expect_equal(kind->type, r, &twin);
        size_t bytes = flat_object_bytes(record_encoding(r), record_object(r));
        was_large |= bytes == 0 || bytes > STORE_BLOCK_MAX - LARGEST_HEAD;
        cr_assert(was_large || record_object_inside(r), "%zu bytes outside", bytes);
        cr_assert(bytes <= STORE_BLOCK_MAX || !record_object_inside(r));
        count[record_object_inside(r)]++;
    }
    value_ops(kind->type)->free(twin.object, twin.encoding);
    database_delete(db, key, key_hash(key), false);
}

Test(values_inside, change_like_any_other)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t before = mem_used(), count[2] = {0};
        struct keyspace *ks = keyspace_new(1, &settings, NULL);
        struct random_state random;
        random_seed(&random, 77);
        for (int steps = 5; steps < 150; steps += 3) live(keyspace_database(ks, 0), &kinds[i], &random, steps, count);
        cr_expect(count[0] > 500 && count[1] > 500, "%zu outside, %zu inside", count[0], count[1]);
        keyspace_free(ks);
        cr_expect_eq(mem_used(), before, "type %d", kinds[i].type);
    }
}

Test(values_inside, copies_and_moves_find_room_or_go_outside)
{
    char long_name[200];
    memset(long_name, 'k', sizeof long_name);
    struct bytes key = BYTES("key"), long_key = bytes_make(long_name, sizeof long_name), third = BYTES("third");
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct value v = empty(TYPE_HASH), twin = empty(TYPE_HASH);
    struct random_state random, same;
    random_seed(&random, 5);
    for (int i = 0; i < 25; i++) {
        same = random;
        change_hash(&v, &random, true);
        change_hash(&twin, &same, true);
    }
    cr_assert_gt(listpack_bytes(v.object), STORE_BLOCK_MAX - sizeof long_name); /* fits beside one key alone */
    struct record *r = database_set_object(db, key, key_hash(key), TYPE_HASH, v.encoding, v.object, false);
    cr_expect(record_object_inside(r));
    struct record *copy = database_copy(r, db, long_key, key_hash(long_key));
    cr_expect_not(record_object_inside(copy));
    expect_equal(TYPE_HASH, copy, &twin);
    cr_expect(database_delete(db, long_key, key_hash(long_key), false));
    r = database_peek(db, key, key_hash(key));
    struct record *moved = database_move(db, r, db, long_key, key_hash(long_key));
    cr_expect_not(record_object_inside(moved));
    expect_equal(TYPE_HASH, moved, &twin);
    cr_expect_null(database_peek(db, key, key_hash(key)));
    moved = database_move(db, moved, db, third, key_hash(third));
    expect_equal(TYPE_HASH, moved, &twin);
    value_ops(TYPE_HASH)->free(twin.object, twin.encoding);
    keyspace_free(ks);
}
