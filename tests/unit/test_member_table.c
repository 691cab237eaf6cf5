/* The member table against a plain array as its model, through growth and shrinking. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/member_table.h"

#include <stdio.h>

#define UNIVERSE 20000

static struct bytes key_of(unsigned i, char room[320])
{
    int len = snprintf(room, 320, "member-%u", i);
    if (i % 97 == 0) { /* some are long enough for the long form */
        memset(room + len, 'x', 300 - (size_t)len);
        len = 300;
    }
    return bytes_make(room, i == 5 ? 0 : (size_t)len); /* and one is empty */
}

struct model {
    struct member_table table;
    bool present[UNIVERSE];
    uint32_t payload[UNIVERSE];
    size_t count;
};

static void put(struct model *m, unsigned i, uint32_t payload)
{
    char room[320];
    struct bytes key = key_of(i, room);
    struct member *found = member_table_find(&m->table, member_hash(key), key);
    cr_assert_eq(found != NULL, m->present[i]);
    if (found) {
        uint32_t before;
        memcpy(&before, member_payload(found), sizeof before);
        cr_assert_eq(before, m->payload[i]);
        found = member_table_resize(&m->table, member_hash(key), found, sizeof payload + payload % 100);
        memcpy(&before, member_payload(found), sizeof before);
        cr_assert_eq(before, m->payload[i], "a resize must keep the payload");
    } else {
        found = member_table_insert(&m->table, member_hash(key), key, sizeof payload);
        m->present[i] = true;
        m->count++;
    }
    memcpy(member_payload(found), &payload, sizeof payload);
    m->payload[i] = payload;
}

static void take(struct model *m, unsigned i)
{
    char room[320];
    struct bytes key = key_of(i, room);
    struct member *found = member_table_find(&m->table, member_hash(key), key);
    cr_assert_eq(found != NULL, m->present[i]);
    if (!found) return;
    member_table_remove(&m->table, member_hash(key), found);
    m->present[i] = false;
    m->count--;
}

static unsigned number_of(const struct member *m)
{
    struct bytes key = member_key(m);
    unsigned i = key.len ? 0 : 5;
    for (size_t at = sizeof "member-" - 1; at < key.len && key.ptr[at] != 'x'; at++)
        i = i * 10 + (unsigned)(key.ptr[at] - '0');
    return i;
}

static void check_walk(struct model *m)
{
    static bool seen[UNIVERSE];
    memset(seen, 0, sizeof seen);
    struct member_walk w;
    struct member *member;
    size_t n = 0;
    member_walk_start(&w, &m->table);
    for (; (member = member_walk_next(&w)); n++) {
        unsigned i = number_of(member);
        cr_assert(m->present[i] && !seen[i]);
        seen[i] = true;
    }
    cr_assert_eq(n, m->count);
    cr_assert_eq(m->table.count, m->count);
}

Test(member_table, follows_a_model_up_and_down)
{
    static struct model m;
    struct random_state random;
    size_t before = mem_used();
    hash_init();
    random_seed(&random, 1);
    member_table_init(&m.table);
    check_walk(&m);
    for (int phase = 0; phase < 8; phase++) {
        unsigned reach = phase < 2 ? 40 : UNIVERSE;
        for (int i = 0; i < 40000; i++) {
            unsigned which = (unsigned)random_below(&random, reach);
            bool grow = phase % 2 == 0;
            if (random_below(&random, 10) < (grow ? 8 : 1))
                put(&m, which, (uint32_t)random_u64(&random));
            else
                take(&m, which);
        }
        check_walk(&m);
    }
    for (unsigned i = 0; i < UNIVERSE; i++) take(&m, i);
    check_walk(&m);
    cr_assert_eq(m.table.segments, 1);
    cr_assert_eq(m.table.chained, 0);
    member_table_free(&m.table);
    cr_assert_eq(mem_used(), before, "everything is given back");
}

Test(member_table, memory_per_member)
{
    struct member_table t;
    char room[32];
    hash_init();
    size_t before = mem_used();
    member_table_init(&t);
    for (unsigned i = 0; i < 10000; i++) {
        struct bytes key = bytes_make(room, (size_t)snprintf(room, sizeof room, "member:%09u", i));
        member_table_insert(&t, member_hash(key), key, 0);
    }
    double real = (double)(mem_used() - before);
    cr_assert_lt(real / 10000, 50.0);
    cr_assert_float_eq((double)member_table_memory(&t, 0), real, real / 100);
    cr_assert_float_eq((double)member_table_memory(&t, 5), real, real / 20);
    member_table_free(&t);
}

Test(member_table, reserve_needs_no_split)
{
    struct member_table t;
    char room[32];
    hash_init();
    member_table_init(&t);
    member_table_reserve(&t, 100000);
    size_t segments = t.segments;
    for (unsigned i = 0; i < 100000; i++) {
        struct bytes key = bytes_make(room, (size_t)snprintf(room, sizeof room, "%u", i));
        member_table_insert(&t, member_hash(key), key, 0);
    }
    cr_assert_lt(t.segments, segments * 11 / 10);
    member_table_free(&t);
}

struct scan_check {
    unsigned char seen[UNIVERSE];
};

static void note_seen(void *arg, struct member *m)
{
    ((struct scan_check *)arg)->seen[number_of(m)] = 1;
}

/* Members below 1,000 stay; the others come and go between the calls, by the thousand. */
Test(member_table, scan_sees_all_that_stays)
{
    static struct model m;
    static struct scan_check check;
    struct random_state random;
    hash_init();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_seed(&random, seed);
        memset(&m, 0, sizeof m);
        memset(&check, 0, sizeof check);
        member_table_init(&m.table);
        for (unsigned i = 0; i < 1000; i++) put(&m, i, i);
        uint64_t cursor = 0;
        int calls = 0;
        do {
            cursor = member_table_scan(&m.table, cursor, 1 + random_below(&random, 50), note_seen, &check);
            bool grow = random_below(&random, 2);
            for (int i = 0; i < 3000; i++) {
                unsigned which = 1000 + (unsigned)random_below(&random, UNIVERSE - 1000);
                if (grow)
                    put(&m, which, 1);
                else
                    take(&m, which);
            }
            cr_assert_lt(++calls, 100000);
        } while (cursor);
        for (unsigned i = 0; i < 1000; i++) cr_assert(check.seen[i], "seed %llu lost %u", (unsigned long long)seed, i);
        member_table_free(&m.table);
    }
}

/* Chi-squared against the uniform distribution, at sizes of one small, one large and many segments. */
Test(member_table, random_is_fair)
{
    static const unsigned sizes[] = {1, 7, 100, 400, 5000};
    struct random_state random;
    hash_init();
    random_seed(&random, 7);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        static struct model m;
        static unsigned hits[UNIVERSE];
        unsigned n = sizes[s];
        memset(&m, 0, sizeof m);
        memset(hits, 0, sizeof hits);
        member_table_init(&m.table);
        for (unsigned i = 0; i < n; i++) put(&m, i, i);
        unsigned draws = n * 200;
        for (unsigned i = 0; i < draws; i++) hits[number_of(member_table_random(&m.table, &random))]++;
        double chi = 0;
        for (unsigned i = 0; i < n; i++) chi += (hits[i] - 200.0) * (hits[i] - 200.0) / 200.0;
        /* mean n - 1, variance 2 (n - 1): six deviations */
        double spread = 6 * __builtin_sqrt(2.0 * n);
        cr_assert_lt(chi, n - 1 + spread + 1e-9, "size %u: %f", n, chi);
        member_table_free(&m.table);
    }
}
