/* What the keyspace does with memory: what is on its way out, databases that go whole, record stores near their end,
 * and finding the few keys with an expiry among many without. */
#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "server/base/alloc.h"
#include "server/base/workers.h"
#include "server/keyspace/free_aside.h"
#include "server/keyspace/keyspace.h"
#include "server/keyspace/mark_tree.h"

static struct keyspace_settings settings;

static void set_up(void)
{
    hash_seed = 12345;
    settings = (struct keyspace_settings){
        .maxmemory_samples = 5, .maxmemory_eviction_tenacity = 100, .active_expire_effort = 1};
    workers_start();
}

TestSuite(keyspace_memory, .init = set_up, .timeout = 120);
TestSuite(mark_tree, .timeout = 60);

static struct bytes numbered(char out[32], size_t i)
{
    return bytes_make(out, (size_t)snprintf(out, 32, "key:%010zu", i));
}

static struct record *set(struct database *db, struct bytes key, struct bytes value)
{
    return database_set_string(db, key, key_hash(key), value, false);
}

static void fill(struct database *db, size_t from, size_t to)
{
    char name[32];
    for (size_t i = from; i < to; i++) set(db, numbered(name, i), BYTES("0123456789abcdeX"));
}

static bool has(struct database *db, size_t i)
{
    char name[32];
    struct bytes key = numbered(name, i);
    return database_peek(db, key, key_hash(key)) != NULL;
}

/* --- the worker, held up --- */

struct obstacle {
    struct free_job job;
    sem_t entered, leave;
};

static void wait_in_worker(struct free_job *job)
{
    struct obstacle *o = (struct obstacle *)job;
    sem_post(&o->entered);
    sem_wait(&o->leave);
}

static void hold_worker_up(struct obstacle *o)
{
    *o = (struct obstacle){.job = {.run = wait_in_worker}};
    sem_init(&o->entered, 0, 0);
    sem_init(&o->leave, 0, 0);
    free_aside_submit(&o->job);
    sem_wait(&o->entered);
}

static void let_worker_go(struct obstacle *o)
{
    sem_post(&o->leave);
    workers_drain(WORKER_FREE);
}

Test(keyspace_memory, what_is_on_its_way_out_is_known)
{
    enum { VALUE_BYTES = 4 << 20 };
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct obstacle obstacle;
    uint8_t *value = mem_calloc(1, VALUE_BYTES);
    hold_worker_up(&obstacle);
    set(db, BYTES("k"), bytes_make(value, VALUE_BYTES));
    size_t used = mem_used();
    cr_assert_eq(free_aside_bytes(), 0);
    cr_assert(database_delete(db, BYTES("k"), key_hash(BYTES("k")), true));
    cr_assert_geq(mem_used() + 4096, used, "it is still there");
    cr_assert_geq(free_aside_bytes(), (size_t)VALUE_BYTES);
    cr_assert_leq(free_aside_bytes(), (size_t)VALUE_BYTES * 5 / 4);
    let_worker_go(&obstacle);
    cr_assert_eq(free_aside_bytes(), 0);
    cr_assert_leq(mem_used(), used - VALUE_BYTES);
    mem_free(value);
    keyspace_free(ks);
}

/* Frees half of what it stands for, and waits. */
struct half_job {
    struct obstacle obstacle;
    void *first, *second;
};

static void free_by_halves(struct free_job *job)
{
    struct half_job *h = (struct half_job *)job;
    mem_free(h->first);
    wait_in_worker(job);
    mem_free(h->second);
}

Test(keyspace_memory, what_a_running_job_has_freed_is_not_counted_twice)
{
    enum { HALF = 1 << 20 };
    struct half_job h = {.first = mem_alloc(HALF), .second = mem_alloc(HALF)};
    size_t bytes = mem_size(h.first) + mem_size(h.second);
    h.obstacle.job = (struct free_job){.run = free_by_halves, .bytes = bytes};
    sem_init(&h.obstacle.entered, 0, 0);
    sem_init(&h.obstacle.leave, 0, 0);
    free_aside_submit(&h.obstacle.job);
    sem_wait(&h.obstacle.entered);
    cr_expect_eq(free_aside_bytes(), bytes / 2);
    let_worker_go(&h.obstacle);
    cr_expect_eq(free_aside_bytes(), 0);
}

Test(keyspace_memory, one_database_among_several_goes_whole_and_aside)
{
    enum { KEYS = 20000 };
    size_t before = mem_used();
    struct keyspace *ks = keyspace_new(4, &settings, NULL);
    struct database *gone = keyspace_database(ks, 1), *kept = keyspace_database(ks, 2);
    struct obstacle obstacle;
    fill(kept, 0, KEYS);
    size_t without = mem_used();
    fill(gone, 0, KEYS);
    size_t with = mem_used();
    hold_worker_up(&obstacle);
    database_flush(gone, true);
    cr_expect_eq(keyspace_lazyfree_pending(), KEYS, "nothing was freed on this thread");
    cr_expect_eq(database_size(gone), 0);
    cr_expect_eq(database_size(kept), KEYS);
    cr_expect_float_eq((double)free_aside_bytes(), (double)(with - without), (double)(with - without) / 10);
    fill(gone, KEYS, KEYS + 10);
    let_worker_go(&obstacle);
    cr_expect(has(gone, KEYS + 9) && !has(gone, 0) && has(kept, 0));
    keyspace_swap(ks, 1, 2);
    cr_expect(has(kept, KEYS + 9) && has(gone, 0));
    keyspace_free(ks);
    cr_expect_eq(mem_used(), before);
}

/* --- the end of a record store --- */

/* 256 pages of 64 KiB. */
#define SMALL_REGION ((size_t)16 << 20)

Test(keyspace_memory, a_crowded_store_keeps_values_outside)
{
    store_region_bytes = SMALL_REGION;
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    char name[32], value[400];
    size_t keys = 0;
    memset(value, 'v', sizeof(value));
    while (!keyspace_pressed()) set(db, numbered(name, keys++), bytes_make(value, sizeof(value)));
    /* All inside, it would be 36,000; from three quarters on, a record takes 40 bytes. */
    cr_expect_gt(keys, 80000);
    for (size_t i = 0; i < keys; i += 101) {
        char scratch[I64_TEXT_MAX];
        struct bytes key = numbered(name, i);
        cr_assert(bytes_equal(record_string(database_peek(db, key, key_hash(key)), scratch),
                              bytes_make(value, sizeof(value))));
    }
    keyspace_free(ks);
    cr_expect_not(keyspace_pressed());
}

Test(keyspace_memory, a_full_store_refuses_or_evicts_and_lives)
{
    store_region_bytes = 4 * SMALL_REGION;
    struct keyspace *ks = keyspace_new(2, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    char name[32];
    size_t keys = 0;
    fill(keyspace_database(ks, 1), 0, 10);
    for (; !keyspace_pressed() || keyspace_relieve_stores(ks, 0) >= 0; keys++)
        set(db, numbered(name, keys), BYTES("0123456789abcdeX"));
    /* What cannot be refused goes on, and changes size as it does. */
    for (size_t i = 0; i < 1000; i++) {
        struct bytes key = numbered(name, i);
        database_set_expiry(db, database_peek(db, key, key_hash(key)), 1000);
    }
    settings.maxmemory_policy = EVICT_ALLKEYS_LRU;
    size_t most = database_size(db);
    for (size_t i = 0; i < 100000; i++) {
        cr_assert_geq(keyspace_relieve_stores(ks, 0), 0);
        set(db, numbered(name, keys + i), BYTES("0123456789abcdeX"));
    }
    cr_expect_leq(database_size(db), most);
    cr_expect_geq(database_size(db), most * 9 / 10);
    cr_expect_eq(database_size(keyspace_database(ks, 1)), 10, "room in another database would be of no use");
    keyspace_free(ks);
}

/* --- a key with an expiry among many without --- */

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(keyspace_memory, one_volatile_key_is_found_without_a_walk)
{
    enum { SEGMENTS_FOR = 8000000, ROUNDS = 10000 };
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    database_reserve(db, SEGMENTS_FOR);
    fill(db, 0, 1000);
    database_set_expiry(db, set(db, BYTES("k"), BYTES("v")), 1000);
    double start_s = cpu_s();
    for (int i = 0; i < ROUNDS; i++) {
        cr_assert_eq(keyspace_expire_cycle(ks, 0, 1000000), 0);
        cr_assert_eq(record_expire_ms(database_random(db, 0, true)), 1000);
    }
    cr_expect_lt(cpu_s() - start_s, 2, "walking 16,384 segments each time takes many seconds");
    cr_expect_eq(keyspace_expire_cycle(ks, 2000, 1000000), 1);
    cr_expect_eq(database_expiring(db), 0);
    cr_expect_null(database_random(db, 0, true));
    keyspace_free(ks);
}

Test(mark_tree, agrees_with_an_array)
{
    static const size_t sizes[] = {1, 2, 64, 128, 4096, 8192, 1 << 18};
    struct random_state random;
    random_seed(&random, 42);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct mark_tree t = {0};
        size_t size = sizes[s];
        bool *model = calloc(size, sizeof(*model));
        cr_assert_eq(mark_tree_next(&t, 0), MARK_TREE_NONE);
        for (int step = 0; step < 2000; step++) {
            size_t number = random_below(&random, size), from = random_below(&random, size), want = from;
            cr_assert_eq(mark_tree_has(&t, number), model[number]);
            if (model[number])
                mark_tree_remove(&t, number);
            else
                mark_tree_add(&t, number, size);
            model[number] = !model[number];
            while (want < size && !model[want]) want++;
            cr_assert_eq(mark_tree_next(&t, from), want < size ? want : MARK_TREE_NONE);
        }
        cr_assert_eq(mark_tree_next(&t, size), MARK_TREE_NONE);
        mark_tree_scale(&t, 1);
        for (size_t i = 0; i < size; i++)
            cr_assert(mark_tree_has(&t, 2 * i) == model[i] && !mark_tree_has(&t, 2 * i + 1));
        mark_tree_scale(&t, -1);
        for (size_t i = 0; i < size; i++) cr_assert_eq(mark_tree_has(&t, i), model[i]);
        mark_tree_free(&t);
        free(model);
    }
}
