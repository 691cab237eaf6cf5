/* A keyspace's hashes with fields that expire: whatever becomes of the keys, each stands in the index once, under its
 * next field's time, and the cycle removes what is due, telling of each field. */
#include <criterion/criterion.h>

#include "server/base/workers.h"
#include "server/data/hash.h"
#include "server/keyspace/database.h"

#include <stdio.h>

#define KEYS      40
#define DATABASES 2

struct world {
    struct keyspace *ks;
    struct keyspace_settings settings;
    struct random_state random;
    int64_t now_ms;
    size_t told, gone;
};

static void fields_expired(void *context, struct database *db, struct bytes key, const struct bytes *fields,
                           size_t count, bool gone)
{
    struct world *w = context;
    (void)db, (void)key;
    for (size_t i = 0; i < count; i++) cr_assert(fields[i].ptr[0] == 'f');
    w->told += count;
    w->gone += gone;
}

static void start(struct world *w, uint64_t seed)
{
    struct keyspace_hooks hooks = {.context = w, .fields_expired = fields_expired};
    hash_init();
    hash_register();
    *w = (struct world){.now_ms = 1000000, .settings = {.active_expire_effort = 1}};
    w->ks = keyspace_new(DATABASES, &w->settings, &hooks);
    random_seed(&w->random, seed);
}

static struct bytes key_of(unsigned i, char room[16])
{
    return bytes_make(room, (size_t)snprintf(room, 16, "key:%u", i));
}

/* Sets a field as a command would, with or without an expiry. */
static void set_field(struct world *w, struct database *db, struct bytes key)
{
    char field[16];
    struct record *r = database_peek(db, key, key_hash(key));
    if (r && record_type(r) != TYPE_HASH) return;
    struct hash h = hash_new();
    if (r) {
        hash_free(&h);
        h = (struct hash){record_encoding(r), record_object(r), record_object_inside(r), 0};
    }
    int64_t was_ms = hash_next_expiry(&h);
    int64_t at_ms = random_below(&w->random, 3) ? w->now_ms + (int64_t)random_below(&w->random, 300) : HASH_NO_EXPIRY;
    struct bytes name =
        bytes_make(field, (size_t)snprintf(field, sizeof field, "f%u", (unsigned)random_below(&w->random, 700)));
    hash_set_with_expiry(&h, name, BYTES("value"), at_ms);
    r = database_keep_object(db, r, key, key_hash(key), TYPE_HASH, h.encoding, h.object);
    database_fields_changed(db, r, key_hash(key), was_ms);
}

static void move_or_copy(struct world *w, struct database *db, struct bytes key)
{
    char room[16];
    struct database *to = keyspace_database(w->ks, (int)random_below(&w->random, DATABASES));
    struct bytes other = key_of((unsigned)random_below(&w->random, KEYS), room);
    struct record *r = database_peek(db, key, key_hash(key));
    if (!r || database_peek(to, other, key_hash(other))) return;
    if (random_below(&w->random, 2))
        database_copy(r, to, other, key_hash(other));
    else
        database_move(db, r, to, other, key_hash(other));
}

static void step(struct world *w)
{
    char room[16];
    struct database *db = keyspace_database(w->ks, (int)random_below(&w->random, DATABASES));
    struct bytes key = key_of((unsigned)random_below(&w->random, KEYS), room);
    unsigned what = (unsigned)random_below(&w->random, 1000);
    if (what < 800)
        set_field(w, db, key);
    else if (what < 850)
        move_or_copy(w, db, key);
    else if (what < 880)
        database_delete(db, key, key_hash(key), false);
    else if (what < 900)
        database_set_string(db, key, key_hash(key), BYTES("string"), false);
    else if (what < 902)
        database_flush(db, false);
    else if (what < 905)
        keyspace_swap(w->ks, 0, 1);
    else if (what < 950)
        w->now_ms += 7;
    else
        keyspace_expire_fields(w->ks, w->now_ms, 1000000);
}

struct census {
    size_t timed;
    int64_t now_ms;
    const struct expiry_index *index;
    bool nothing_due;
};

static int count_timed(void *arg, struct record *r)
{
    struct census *c = arg;
    if (!record_is_timed_hash(r)) return 0;
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    c->timed++;
    cr_assert(!c->nothing_due || hash_next_expiry(&h) >= c->now_ms);
    return 0;
}

static void check(struct world *w, bool nothing_due)
{
    for (int i = 0; i < DATABASES; i++) {
        struct database *db = keyspace_database(w->ks, i);
        struct census c = {.now_ms = w->now_ms, .nothing_due = nothing_due};
        database_walk(db, count_timed, &c);
        cr_assert_eq(expiry_index_count(&db->table.field_expiry), c.timed);
    }
}

Test(field_expiry, the_index_follows_whatever_becomes_of_the_keys)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world w;
        start(&w, seed);
        for (int i = 0; i < 20000; i++) {
            step(&w);
            if (i % 100 == 0) check(&w, false);
        }
        keyspace_expire_fields(w.ks, w.now_ms, INT64_MAX);
        check(&w, true);
        keyspace_expire_fields(w.ks, w.now_ms + 1000000, INT64_MAX);
        for (int i = 0; i < DATABASES; i++)
            cr_assert_eq(expiry_index_count(&keyspace_database(w.ks, i)->table.field_expiry), 0);
        cr_assert_gt(w.told, 100);
        cr_assert_gt(w.gone, 0);
        cr_assert_eq(keyspace_stats(w.ks)->expired_fields, w.told);
        keyspace_free(w.ks);
    }
}

Test(field_expiry, a_replica_only_hides)
{
    struct world w;
    start(&w, 1);
    for (int i = 0; i < 500; i++) set_field(&w, keyspace_database(w.ks, 0), BYTES("h"));
    struct record *r = database_peek(keyspace_database(w.ks, 0), BYTES("h"), key_hash(BYTES("h")));
    keyspace_set_replica(w.ks, true);
    keyspace_expire_fields(w.ks, w.now_ms + 1000, 1000000);
    cr_assert_eq(database_reap_fields(keyspace_database(w.ks, 0), r, key_hash(BYTES("h")), w.now_ms + 1000), r);
    cr_assert_eq(w.told, 0);
    keyspace_set_replica(w.ks, false);
    keyspace_expire_fields(w.ks, w.now_ms + 1000, 1000000);
    cr_assert_gt(w.told, 0);
    keyspace_free(w.ks);
}
