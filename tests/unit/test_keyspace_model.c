/* The keyspace against a model: random operations from a fixed seed on both, compared all along. */
#include "tests/unit/test_keyspace_rig.h"

TestSuite(keyspace_model, .init = set_up, .timeout = 120);

#define MODEL_KEYS      3000
#define MODEL_DATABASES 3
#define MODEL_STEPS     300000
#define MODEL_VALUE_MAX 700

struct model_value {
    enum { ABSENT, STRING, THING } kind;
    uint8_t *bytes; /* of a string */
    size_t len;
    int payload;
    int64_t expire_ms;
};

struct model {
    struct keyspace *ks;
    struct random_state random;
    struct model_value values[MODEL_DATABASES][MODEL_KEYS];
    int64_t now_ms;
};

/* Keys of all kinds: most short, some past the 255 bytes that fit inside. */
static struct bytes model_key(char out[400], size_t i)
{
    size_t len = (size_t)snprintf(out, 400, "%zu:", i * 7919);
    size_t wanted = i % 13 == 0 ? 240 + i % 100 : i % 31;
    for (; len < wanted; len++) out[len] = 'k';
    return bytes_make(out, len);
}

static void model_clear(struct model_value *v)
{
    free(v->bytes);
    *v = (struct model_value){.expire_ms = RECORD_NO_EXPIRY};
}

static void model_check(struct model *m, int d, size_t i)
{
    char name[400];
    struct model_value *v = &m->values[d][i];
    struct bytes key = model_key(name, i);
    struct record *r = database_find(keyspace_database(m->ks, d), key, key_hash(key), m->now_ms, LOOKUP_WRITE);
    if (v->kind != ABSENT && v->expire_ms != RECORD_NO_EXPIRY && v->expire_ms < m->now_ms) model_clear(v);
    if (v->kind == ABSENT) {
        cr_assert_null(r);
        return;
    }
    cr_assert_not_null(r);
    cr_assert(bytes_equal(record_key(r), key));
    cr_assert_eq(record_expire_ms(r), v->expire_ms);
    if (v->kind == STRING)
        expect_string(r, bytes_make(v->bytes, v->len));
    else
        cr_assert_eq(((struct thing *)record_object(r))->payload, v->payload);
}

static void model_check_all(struct model *m)
{
    for (int d = 0; d < MODEL_DATABASES; d++) {
        size_t size = 0, expiring = 0;
        for (size_t i = 0; i < MODEL_KEYS; i++) {
            model_check(m, d, i);
            size += m->values[d][i].kind != ABSENT;
            expiring += m->values[d][i].kind != ABSENT && m->values[d][i].expire_ms != RECORD_NO_EXPIRY;
        }
        cr_assert_eq(database_size(keyspace_database(m->ks, d)), size);
        cr_assert_eq(database_expiring(keyspace_database(m->ks, d)), expiring);
    }
}

static size_t pick(struct model *m, size_t below)
{
    return random_below(&m->random, below);
}

static void model_set(struct model *m, int d, size_t i)
{
    char name[400];
    struct bytes key = model_key(name, i);
    struct database *db = keyspace_database(m->ks, d);
    struct model_value *v = &m->values[d][i];
    bool keep = pick(m, 2);
    int64_t expire_ms = keep ? v->expire_ms : RECORD_NO_EXPIRY;
    model_clear(v);
    v->expire_ms = expire_ms;
    if (pick(m, 20) == 0) {
        v->kind = THING;
        v->payload = (int)pick(m, 1000);
        database_set_object(db, key, key_hash(key), TYPE_LIST, ENCODING_QUICKLIST, thing_new(v->payload, pick(m, 200)),
                            keep);
        return;
    }
    v->kind = STRING;
    v->bytes = malloc(MODEL_VALUE_MAX * 2);
    if (pick(m, 3) == 0) {
        v->len = (size_t)sprintf((char *)v->bytes, "%ld", (long)random_u64(&m->random));
    } else {
        v->len = pick(m, pick(m, 4) == 0 ? MODEL_VALUE_MAX : 60);
        for (size_t j = 0; j < v->len; j++) v->bytes[j] = (uint8_t)random_u64(&m->random);
    }
    database_set_string(db, key, key_hash(key), bytes_make(v->bytes, v->len), keep);
}

static void model_delete(struct model *m, int d, size_t i)
{
    char name[400];
    struct bytes key = model_key(name, i);
    cr_assert_eq(database_delete(keyspace_database(m->ks, d), key, key_hash(key), pick(m, 2)),
                 m->values[d][i].kind != ABSENT);
    model_clear(&m->values[d][i]);
}

static void model_change(struct model *m, int d, size_t i)
{
    char name[400];
    struct bytes key = model_key(name, i);
    struct database *db = keyspace_database(m->ks, d);
    struct model_value *v = &m->values[d][i];
    struct record *r = database_find(db, key, key_hash(key), m->now_ms, LOOKUP_WRITE);
    if (!r) return;
    if (v->kind == STRING && pick(m, 2) && v->len < MODEL_VALUE_MAX) {
        size_t len = v->len + pick(m, 40);
        uint8_t *data;
        database_string_resize(db, r, len, &data);
        for (; v->len < len; v->len++) data[v->len] = v->bytes[v->len] = 'z';
    } else {
        v->expire_ms = pick(m, 3) == 0 ? RECORD_NO_EXPIRY : m->now_ms + (int64_t)pick(m, 20000);
        database_set_expiry(db, r, v->expire_ms);
    }
}

static void model_move_or_copy(struct model *m, int d, size_t i)
{
    char name[400], target[400];
    struct bytes key = model_key(name, i);
    int to = (int)pick(m, MODEL_DATABASES);
    size_t j = pick(m, MODEL_KEYS);
    struct bytes new_key = model_key(target, j);
    struct model_value *v = &m->values[d][i], *w = &m->values[to][j];
    model_check(m, to, j);
    if (v->kind == ABSENT || w->kind != ABSENT) return;
    struct database *from_db = keyspace_database(m->ks, d), *to_db = keyspace_database(m->ks, to);
    struct record *r = database_find(from_db, key, key_hash(key), m->now_ms, LOOKUP_WRITE);
    if (pick(m, 2)) {
        database_move(from_db, r, to_db, new_key, key_hash(new_key));
        *w = *v;
        *v = (struct model_value){.expire_ms = RECORD_NO_EXPIRY};
    } else {
        database_copy(r, to_db, new_key, key_hash(new_key));
        *w = *v;
        if (v->bytes) w->bytes = memcpy(malloc(MODEL_VALUE_MAX * 2), v->bytes, v->len);
    }
}

static void model_rarity(struct model *m, int d)
{
    struct model_value(*values)[MODEL_KEYS] = m->values;
    int other = (int)pick(m, MODEL_DATABASES);
    switch (pick(m, 4)) {
    case 0:
        database_flush(keyspace_database(m->ks, d), pick(m, 2));
        for (size_t i = 0; i < MODEL_KEYS; i++) model_clear(&values[d][i]);
        break;
    case 1:
        keyspace_swap(m->ks, d, other);
        for (size_t i = 0; i < MODEL_KEYS; i++) {
            struct model_value was = values[d][i];
            values[d][i] = values[other][i];
            values[other][i] = was;
        }
        break;
    case 2: keyspace_set_snapshot_running(m->ks, pick(m, 2)); break;
    case 3: keyspace_expire_cycle(m->ks, m->now_ms, 100000); break;
    }
}

Test(keyspace_model, random_operations_agree_with_a_model)
{
    size_t before = mem_used();
    struct model *m = calloc(1, sizeof(*m));
    m->ks = keyspace_new(MODEL_DATABASES, &settings, NULL);
    random_seed(&m->random, 20240607);
    for (int d = 0; d < MODEL_DATABASES; d++)
        for (size_t i = 0; i < MODEL_KEYS; i++) model_clear(&m->values[d][i]);
    for (int step = 0; step < MODEL_STEPS; step++) {
        int d = (int)pick(m, MODEL_DATABASES);
        size_t i = pick(m, MODEL_KEYS), what = pick(m, 100);
        m->now_ms += (int64_t)pick(m, 3);
        bool growing = step / 30000 % 2 == 0;
        model_check(m, d, i);
        if (what < (growing ? 55u : 20u))
            model_set(m, d, i);
        else if (what < (growing ? 65u : 70u))
            model_delete(m, d, i);
        else if (what < 90)
            model_change(m, d, i);
        else
            model_move_or_copy(m, d, i);
        if (pick(m, 2000) == 0) model_rarity(m, d);
        if (step % 20000 == 0) model_check_all(m);
    }
    model_check_all(m);
    for (int d = 0; d < MODEL_DATABASES; d++)
        for (size_t i = 0; i < MODEL_KEYS; i++) free(m->values[d][i].bytes);
    keyspace_free(m->ks);
    free(m);
    workers_drain(WORKER_FREE);
    cr_expect_eq(things_alive, 0);
    cr_expect_eq(mem_used(), before, "every byte was given back");
}
