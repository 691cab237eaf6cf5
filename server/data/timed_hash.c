/* Hashes with fields that expire, in their two encodings. Server process; the snapshot child walks them.
 *
 * ENCODING_LISTPACK_TIMED is a listpack of triples, field, value and expiry: first those with an expiry, by ascending
 * time, then those without one, whose third element is 0. So the next to die stands first, and these are the bytes of
 * Redis's own listpack-ex.
 *
 * ENCODING_HASHTABLE_TIMED is a member table, as that of other hashes, with an index of times beside it. Members
 * without an expiry have the payload that hash.c describes, so that a table enters this encoding and leaves it as it
 * is. One with an expiry has this:
 *
 *   byte 0     255
 *   byte 1     length of the value, 8 bytes with the top bit set: that bit tells it from a long value without an expiry
 *   then       expiry (8 bytes), value */
#include "server/data/timed_hash.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/expiry_index.h"
#include "server/data/flat.h"
#include "server/data/hash_payload.h"
#include "server/data/sample.h"

#define TIMED_BIT                    (1ull << 63)
#define TIMED_HEAD                   (1 + 2 * sizeof(uint64_t))
#define TRIPLE                       3
#define RANDOM_ATTEMPTS              32
#define DRAWS_A_WALK_COSTS           128 /* for each member: a draw waits for memory, a walk has it fetched ahead */
#define MOSTLY_DEAD(living, members) ((living) < (members) / RANDOM_ATTEMPTS)

struct timed_table {
    struct member_table members; /* first: prefetching takes the object for one */
    struct expiry_index index;
};

static inline bool is_dead(int64_t expire_ms, int64_t now_ms)
{
    return expire_ms != HASH_NO_EXPIRY && now_ms > expire_ms;
}

static inline bool is_packed(const struct hash *h)
{
    return h->encoding == ENCODING_LISTPACK_TIMED;
}

static inline struct timed_table *table_of(const struct hash *h)
{
    return h->object;
}

/* --- members --- */

struct timed_value {
    struct bytes value;
    int64_t expire_ms;
};

static struct timed_value read_member(const struct member *m)
{
    const uint8_t *payload = member_payload(m);
    uint64_t word;
    int64_t expire_ms;
    if (payload[0] != HASH_LONG_VALUE) return (struct timed_value){bytes_make(payload + 1, payload[0]), HASH_NO_EXPIRY};
    memcpy(&word, payload + 1, sizeof word);
    if (!(word & TIMED_BIT)) return (struct timed_value){bytes_make(payload + 1 + sizeof word, word), HASH_NO_EXPIRY};
    memcpy(&expire_ms, payload + 1 + sizeof word, sizeof expire_ms);
    return (struct timed_value){bytes_make(payload + TIMED_HEAD, word & ~TIMED_BIT), expire_ms};
}

static size_t head_bytes(size_t len, int64_t expire_ms)
{
    return expire_ms == HASH_NO_EXPIRY ? hash_payload_head(len) : TIMED_HEAD;
}

static void write_head(uint8_t *payload, size_t len, int64_t expire_ms)
{
    uint64_t word = len | TIMED_BIT;
    if (expire_ms == HASH_NO_EXPIRY) {
        hash_payload_write_head(payload, len);
        return;
    }
    payload[0] = HASH_LONG_VALUE;
    memcpy(payload + 1, &word, sizeof word);
    memcpy(payload + 1 + sizeof word, &expire_ms, sizeof expire_ms);
}

static struct hash_pair pair_of(const struct member *m)
{
    struct bytes field = member_key(m), value = read_member(m).value;
    return (struct hash_pair){packed_string(field.ptr, field.len), packed_string(value.ptr, value.len)};
}

/* --- into the timed encodings, between them, and out --- */

static void *timed_table_of(struct member_table *members)
{
    struct timed_table *t = mem_alloc(sizeof *t);
    member_table_move(&t->members, members);
    expiry_index_init(&t->index);
    return t;
}

static uint8_t *append_triple(uint8_t *lp, const struct hash_pair *pair, int64_t expire_ms)
{
    struct packed_value triple[TRIPLE] = {pair->field, pair->value, packed_integer(expire_ms)};
    return listpack_append_several(lp, triple, TRIPLE);
}

static void enter(struct hash *h)
{
    if (h->encoding == ENCODING_HASHTABLE) {
        void *members = h->object;
        h->object = timed_table_of(members);
        h->encoding = ENCODING_HASHTABLE_TIMED;
        mem_free(members);
        return;
    }
    struct hash_walk w;
    struct hash_pair pair;
    uint8_t *lp = listpack_new(listpack_bytes(h->object) + 2 * hash_length(h) + FLAT_SPARE_BYTES);
    hash_walk_start(&w, h);
    while (hash_walk_next(&w, &pair)) lp = append_triple(lp, &pair, HASH_NO_EXPIRY);
    hash_free(h);
    *h = (struct hash){.encoding = ENCODING_LISTPACK_TIMED, .object = lp, .now_ms = h->now_ms};
}

/* Back to the encodings without, when no field has an expiry any more. */
static void leave_if_bare(struct hash *h)
{
    if (timed_hash_expiring(h) > 0) return;
    if (!is_packed(h)) {
        struct timed_table *t = table_of(h);
        struct member_table *members = mem_alloc(sizeof *members);
        member_table_move(members, &t->members);
        expiry_index_clear(&t->index);
        mem_free(t);
        h->object = members;
        h->encoding = ENCODING_HASHTABLE;
        return;
    }
    uint8_t *lp = listpack_new(listpack_bytes(h->object));
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    timed_hash_walk_start(&w, h);
    while (timed_hash_walk_next(&w, 0, &pair, &expire_ms))
        lp = listpack_append_several(lp, (struct packed_value[]){pair.field, pair.value}, 2);
    if (!h->inside) mem_free(h->object);
    *h = (struct hash){.encoding = ENCODING_LISTPACK, .object = lp, .now_ms = h->now_ms};
}

/* --- tables --- */

static void table_put_new(struct timed_table *t, uint64_t hash, struct bytes field, struct bytes value,
                          int64_t expire_ms)
{
    size_t head = head_bytes(value.len, expire_ms);
    uint8_t *payload = member_payload(member_table_insert(&t->members, hash, field, head + value.len));
    write_head(payload, value.len, expire_ms);
    if (value.len) memcpy(payload + head, value.ptr, value.len);
    if (expire_ms != HASH_NO_EXPIRY) expiry_index_add(&t->index, expire_ms, hash);
}

static void reindex(struct timed_table *t, uint64_t hash, int64_t from_ms, int64_t to_ms)
{
    if (from_ms == to_ms) return;
    if (from_ms != HASH_NO_EXPIRY) expiry_index_remove(&t->index, from_ms, hash);
    if (to_ms != HASH_NO_EXPIRY) expiry_index_add(&t->index, to_ms, hash);
}

static void table_put(struct timed_table *t, uint64_t hash, struct member *m, struct bytes value, int64_t expire_ms)
{
    size_t head = head_bytes(value.len, expire_ms);
    reindex(t, hash, read_member(m).expire_ms, expire_ms);
    uint8_t *payload = member_payload(member_table_resize(&t->members, hash, m, head + value.len));
    write_head(payload, value.len, expire_ms);
    if (value.len) memcpy(payload + head, value.ptr, value.len);
}

/* The value stays, and moves within the payload when the head's length changes: before the member shrinks, or after it
 * has grown. */
static void table_set_expiry(struct timed_table *t, uint64_t hash, struct member *m, int64_t expire_ms)
{
    struct timed_value v = read_member(m);
    size_t len = v.value.len, from = head_bytes(len, v.expire_ms), to = head_bytes(len, expire_ms);
    reindex(t, hash, v.expire_ms, expire_ms);
    if (to > from) m = member_table_resize(&t->members, hash, m, to + len);
    uint8_t *payload = member_payload(m);
    memmove(payload + to, payload + from, len);
    write_head(payload, len, expire_ms);
    if (to < from) member_table_resize(&t->members, hash, m, to + len);
}

static void table_remove(struct timed_table *t, uint64_t hash, struct member *m)
{
    reindex(t, hash, read_member(m).expire_ms, HASH_NO_EXPIRY);
    member_table_remove(&t->members, hash, m);
}

/* --- listpacks --- */

static const uint8_t *read_triple(const uint8_t *element, struct hash_pair *pair, int64_t *expire_ms)
{
    struct packed_value expiry;
    element = listpack_read(listpack_read(listpack_read(element, &pair->field), &pair->value), &expiry);
    *expire_ms = expiry.integer;
    return element;
}

static uint8_t *find_triple(const struct hash *h, struct bytes field, struct hash_pair *pair, int64_t *expire_ms)
{
    uint8_t *found = listpack_find(h->object, listpack_first(h->object), packed_from(field), TRIPLE - 1);
    if (found) read_triple(found, pair, expire_ms);
    return found;
}

/* Where a triple with this expiry belongs: the first that is to stand behind it, NULL at the end. */
static uint8_t *place_for(const uint8_t *lp, int64_t expire_ms)
{
    struct hash_pair pair;
    int64_t other_ms;
    const uint8_t *p = lp + LISTPACK_HEADER_BYTES;
    while (expire_ms != HASH_NO_EXPIRY && *p != LISTPACK_END) {
        const uint8_t *next = read_triple(p, &pair, &other_ms);
        if (other_ms == HASH_NO_EXPIRY || other_ms > expire_ms) return (uint8_t *)(uintptr_t)p;
        p = next;
    }
    return NULL;
}

static void packed_insert(struct hash *h, const struct hash_pair *pair, int64_t expire_ms)
{
    flat_object_own(h->encoding, &h->object, &h->inside, NULL);
    uint8_t *place = place_for(h->object, expire_ms);
    if (!place) {
        h->object = append_triple(h->object, pair, expire_ms);
        return;
    }
    h->object = listpack_insert_before(h->object, &place, pair->field);
    h->object = listpack_insert_before(h->object, &place, pair->value);
    h->object = listpack_insert_before(h->object, &place, packed_integer(expire_ms));
}

static void packed_remove(struct hash *h, uint8_t *triple)
{
    triple = flat_object_own(h->encoding, &h->object, &h->inside, triple);
    h->object = listpack_delete_run(h->object, &triple, TRIPLE);
}

static void to_table(struct hash *h)
{
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    char field[I64_TEXT_MAX], value[I64_TEXT_MAX];
    struct member_table members;
    member_table_init(&members);
    member_table_reserve(&members, timed_hash_length(h) + 1);
    struct timed_table *t = timed_table_of(&members);
    timed_hash_walk_start(&w, h);
    while (timed_hash_walk_next(&w, 0, &pair, &expire_ms)) {
        struct bytes name = packed_text(&pair.field, field);
        table_put_new(t, member_hash(name), name, packed_text(&pair.value, value), expire_ms);
    }
    if (!h->inside) mem_free(h->object);
    *h = (struct hash){.encoding = ENCODING_HASHTABLE_TIMED, .object = t, .now_ms = h->now_ms};
}

/* --- one field --- */

size_t timed_hash_length(const struct hash *h)
{
    return is_packed(h) ? listpack_length(h->object) / TRIPLE : table_of(h)->members.count;
}

static struct member *find_member(const struct hash *h, struct bytes field)
{
    return member_table_find(&table_of(h)->members, member_hash(field), field);
}

/* A field, dead or not, as it stands there. False: none. */
static bool find_any(const struct hash *h, struct bytes field, struct packed_value *value, int64_t *expire_ms)
{
    if (is_packed(h)) {
        struct hash_pair pair;
        if (!find_triple(h, field, &pair, expire_ms)) return false;
        *value = pair.value;
        return true;
    }
    const struct member *m = find_member(h, field);
    if (!m) return false;
    struct timed_value v = read_member(m);
    *value = packed_string(v.value.ptr, v.value.len);
    *expire_ms = v.expire_ms;
    return true;
}

bool timed_hash_get(const struct hash *h, struct bytes field, struct packed_value *value)
{
    int64_t expire_ms;
    return find_any(h, field, value, &expire_ms) && !is_dead(expire_ms, h->now_ms);
}

int64_t timed_hash_expiry(const struct hash *h, struct bytes field)
{
    struct packed_value value;
    int64_t expire_ms;
    bool living = find_any(h, field, &value, &expire_ms) && !is_dead(expire_ms, h->now_ms);
    return living ? expire_ms : HASH_NO_EXPIRY;
}

static bool packed_put(struct hash *h, uint8_t *found, bool revived, const struct hash_pair *pair, int64_t expire_ms)
{
    if (found) packed_remove(h, found);
    packed_insert(h, pair, expire_ms);
    return !found || revived;
}

bool timed_hash_put(struct hash *h, struct bytes field, struct bytes value, int64_t expire_ms)
{
    bool is_new;
    struct packed_value was;
    int64_t was_ms = HASH_NO_EXPIRY;
    if (expire_ms < HASH_NO_EXPIRY) expire_ms = 1;
    if (!hash_is_timed(h)) enter(h);
    if (is_packed(h)) {
        struct hash_pair pair;
        uint8_t *found = find_triple(h, field, &pair, &was_ms);
        size_t longest = field.len > value.len ? field.len : value.len;
        size_t total = listpack_bytes(h->object) + field.len + value.len;
        if (hash_packed_fits(timed_hash_length(h) + !found, longest, total)) {
            pair = (struct hash_pair){packed_from(field), packed_from(value)};
            is_new = packed_put(h, found, is_dead(was_ms, h->now_ms), &pair, expire_ms);
            leave_if_bare(h);
            return is_new;
        }
        to_table(h);
    }
    is_new = !find_any(h, field, &was, &was_ms) || is_dead(was_ms, h->now_ms);
    uint64_t hash = member_hash(field);
    struct member *m = member_table_find(&table_of(h)->members, hash, field);
    if (m)
        table_put(table_of(h), hash, m, value, expire_ms);
    else
        table_put_new(table_of(h), hash, field, value, expire_ms);
    leave_if_bare(h);
    return is_new;
}

/* A listpack's value has to be kept elsewhere while its triple moves. */
static void packed_set_expiry(struct hash *h, uint8_t *found, const struct hash_pair *pair, int64_t expire_ms)
{
    struct hash_pair kept = *pair;
    size_t field_bytes = packed_string_bytes(&pair->field), value_bytes = packed_string_bytes(&pair->value);
    uint8_t *copy = mem_alloc(field_bytes + value_bytes + 1);
    if (kept.field.ptr) kept.field.ptr = memcpy(copy, pair->field.ptr, field_bytes);
    if (kept.value.ptr) kept.value.ptr = memcpy(copy + field_bytes, pair->value.ptr, value_bytes);
    packed_remove(h, found);
    packed_insert(h, &kept, expire_ms);
    mem_free(copy);
}

bool timed_hash_set_expiry(struct hash *h, struct bytes field, int64_t expire_ms)
{
    struct packed_value value;
    int64_t was_ms;
    if (expire_ms < HASH_NO_EXPIRY) expire_ms = 1;
    if (!hash_is_timed(h)) {
        if (!hash_get(h, field, &value)) return false;
        if (expire_ms == HASH_NO_EXPIRY) return true;
        enter(h);
    }
    if (!find_any(h, field, &value, &was_ms) || is_dead(was_ms, h->now_ms)) return false;
    if (was_ms == expire_ms) return true;
    if (is_packed(h)) {
        struct hash_pair pair;
        packed_set_expiry(h, find_triple(h, field, &pair, &was_ms), &pair, expire_ms);
    } else {
        table_set_expiry(table_of(h), member_hash(field), find_member(h, field), expire_ms);
    }
    leave_if_bare(h);
    return true;
}

bool timed_hash_delete(struct hash *h, struct bytes field)
{
    struct packed_value value;
    struct hash_pair pair;
    int64_t expire_ms;
    if (!find_any(h, field, &value, &expire_ms) || is_dead(expire_ms, h->now_ms)) return false;
    if (is_packed(h))
        packed_remove(h, find_triple(h, field, &pair, &expire_ms));
    else
        table_remove(table_of(h), member_hash(field), find_member(h, field));
    leave_if_bare(h);
    return true;
}

/* --- the dead --- */

int64_t timed_hash_next_expiry(const struct hash *h)
{
    struct hash_pair pair;
    int64_t expire_ms = HASH_NO_EXPIRY;
    if (!is_packed(h)) return table_of(h)->index.first_ms;
    const uint8_t *first = listpack_first(h->object);
    if (first) read_triple(first, &pair, &expire_ms);
    return expire_ms;
}

/* How many of a listpack have an expiry before this time. */
static size_t packed_before(const uint8_t *lp, int64_t when_ms)
{
    size_t n = 0;
    struct hash_pair pair;
    int64_t expire_ms;
    for (const uint8_t *p = lp + LISTPACK_HEADER_BYTES; *p != LISTPACK_END; n++) {
        p = read_triple(p, &pair, &expire_ms);
        if (expire_ms == HASH_NO_EXPIRY || expire_ms >= when_ms) break;
    }
    return n;
}

size_t timed_hash_expiring(const struct hash *h)
{
    if (!is_packed(h)) return expiry_index_count(&table_of(h)->index);
    size_t n = 0;
    struct hash_pair pair;
    int64_t expire_ms;
    for (const uint8_t *p = (uint8_t *)h->object + LISTPACK_HEADER_BYTES; *p != LISTPACK_END; n++) {
        p = read_triple(p, &pair, &expire_ms);
        if (expire_ms == HASH_NO_EXPIRY) break;
    }
    return n;
}

size_t timed_hash_dead(const struct hash *h)
{
    if (is_packed(h)) return packed_before(h->object, h->now_ms);
    return expiry_index_before(&table_of(h)->index, h->now_ms);
}

/* Not by counting the dead of a table: each look at a hash asks, and there may be as many as were ever in it. */
bool timed_hash_lives(const struct hash *h)
{
    if (is_packed(h)) return timed_hash_dead(h) < timed_hash_length(h);
    const struct expiry_index *index = &table_of(h)->index;
    return expiry_index_count(index) < table_of(h)->members.count || expiry_index_last_ms(index) >= h->now_ms;
}

static bool expires_then(void *arg, const struct member *m)
{
    return read_member(m).expire_ms == *(const int64_t *)arg;
}

static size_t table_reap(struct timed_table *t, int64_t now_ms, size_t most, hash_reaped *reaped, void *arg)
{
    size_t n = 0;
    struct expiry_entry due;
    while (n < most && expiry_index_first(&t->index, &due) && is_dead(due.when_ms, now_ms)) {
        struct member *m = member_table_find_hash(&t->members, due.hash, expires_then, &due.when_ms);
        CHECK(m);
        if (reaped) reaped(arg, member_key(m));
        table_remove(t, due.hash, m);
        n++;
    }
    return n;
}

static size_t packed_reap(struct hash *h, int64_t now_ms, size_t most, hash_reaped *reaped, void *arg)
{
    size_t n = packed_before(h->object, now_ms);
    if (n > most) n = most;
    if (n == 0) return 0;
    const uint8_t *p = (uint8_t *)h->object + LISTPACK_HEADER_BYTES;
    for (size_t i = 0; reaped && i < n; i++) {
        struct hash_pair pair;
        int64_t expire_ms;
        char scratch[I64_TEXT_MAX];
        p = read_triple(p, &pair, &expire_ms);
        reaped(arg, packed_text(&pair.field, scratch));
    }
    flat_object_own(h->encoding, &h->object, &h->inside, NULL);
    h->object = listpack_delete_range(h->object, 0, n * TRIPLE);
    return n;
}

size_t timed_hash_reap(struct hash *h, int64_t now_ms, size_t most, hash_reaped *reaped, void *arg)
{
    size_t n =
        is_packed(h) ? packed_reap(h, now_ms, most, reaped, arg) : table_reap(table_of(h), now_ms, most, reaped, arg);
    leave_if_bare(h);
    return n;
}

/* --- walking --- */

void timed_hash_walk_start(struct hash_walk *w, const struct hash *h)
{
    w->timed_packed = is_packed(h);
    w->now_ms = h->now_ms;
    if (w->timed_packed)
        w->element = (const uint8_t *)h->object + LISTPACK_HEADER_BYTES;
    else
        member_walk_start(&w->timed_members, &table_of(h)->members);
}

static bool walk_step(struct hash_walk *w, struct hash_pair *out, int64_t *expire_ms)
{
    if (w->timed_packed) {
        if (*w->element == LISTPACK_END) return false;
        w->element = read_triple(w->element, out, expire_ms);
        return true;
    }
    const struct member *m = member_walk_next(&w->timed_members);
    if (!m) return false;
    *expire_ms = read_member(m).expire_ms;
    *out = pair_of(m);
    return true;
}

bool timed_hash_walk_next(struct hash_walk *w, int64_t now_ms, struct hash_pair *out, int64_t *expire_ms)
{
    while (walk_step(w, out, expire_ms))
        if (!is_dead(*expire_ms, now_ms)) return true;
    return false;
}

struct living {
    hash_visit *visit;
    void *arg;
    int64_t now_ms;
};

static void visit_member(void *arg, struct member *m)
{
    const struct living *l = arg;
    if (is_dead(read_member(m).expire_ms, l->now_ms)) return;
    struct hash_pair pair = pair_of(m);
    l->visit(l->arg, &pair);
}

static void keep_pair(void *arg, const struct hash_pair *pair)
{
    *(struct hash_pair *)arg = *pair;
}

/* A few draws from a table, where most are likely to live; else one of the living, counted through. */
bool timed_hash_random(const struct hash *h, struct random_state *random, struct hash_pair *out)
{
    for (int i = 0; !is_packed(h) && i < RANDOM_ATTEMPTS; i++) {
        const struct member *m = member_table_random(&table_of(h)->members, random);
        if (is_dead(read_member(m).expire_ms, h->now_ms)) continue;
        *out = pair_of(m);
        return true;
    }
    if (!timed_hash_lives(h)) return false;
    timed_hash_sample(h, 1, random, keep_pair, out);
    return true;
}

size_t timed_hash_living_few(const struct hash *h, struct hash_pair **out)
{
    struct hash_walk w;
    int64_t expire_ms;
    size_t members = timed_hash_length(h), living = members - timed_hash_dead(h), n = 0;
    *out = NULL;
    if (is_packed(h) || !MOSTLY_DEAD(living, members)) return 0;
    *out = mem_alloc((living + 1) * sizeof **out);
    timed_hash_walk_start(&w, h);
    while (n < living && timed_hash_walk_next(&w, h->now_ms, &(*out)[n], &expire_ms)) n++;
    return n;
}

static bool member_lives(const void *arg, const struct member *m)
{
    const struct living *l = arg;
    return !is_dead(read_member(m).expire_ms, l->now_ms);
}

/* A few of many that live are drawn, and drawn again where one is dead; else one walk is cheaper. */
void timed_hash_sample(const struct hash *h, size_t count, struct random_state *random, hash_visit *visit, void *arg)
{
    size_t dead = timed_hash_dead(h), living = timed_hash_length(h) - dead;
    struct living l = {visit, arg, h->now_ms};
    if (!is_packed(h) && dead == 0) {
        member_table_sample(&table_of(h)->members, count, random, visit_member, &l);
        return;
    }
    if (!is_packed(h) && count <= living / DRAWS_A_WALK_COSTS) {
        member_table_draw(&table_of(h)->members, count, random, member_lives, visit_member, &l);
        return;
    }
    struct sampler s = {count < living ? count : living, living};
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    timed_hash_walk_start(&w, h);
    while (s.left > 0 && timed_hash_walk_next(&w, h->now_ms, &pair, &expire_ms))
        if (sampler_takes(&s, random)) visit(arg, &pair);
}

uint64_t timed_hash_scan(const struct hash *h, uint64_t cursor, size_t count, hash_visit *visit, void *arg)
{
    if (!is_packed(h)) {
        struct living l = {visit, arg, h->now_ms};
        return member_table_scan(&table_of(h)->members, cursor, count, visit_member, &l);
    }
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    timed_hash_walk_start(&w, h);
    while (timed_hash_walk_next(&w, h->now_ms, &pair, &expire_ms)) visit(arg, &pair);
    return 0;
}

/* --- as values --- */

void timed_hash_free(void *object, enum value_encoding encoding)
{
    if (encoding == ENCODING_HASHTABLE_TIMED) {
        struct timed_table *t = object;
        member_table_free(&t->members);
        expiry_index_clear(&t->index);
    }
    mem_free(object);
}

void *timed_hash_copy(const void *object, enum value_encoding encoding)
{
    if (encoding == ENCODING_LISTPACK_TIMED) return flat_object_copy(encoding, object, 0);
    const struct timed_table *from = object;
    struct member_table members;
    member_table_init(&members);
    member_table_reserve(&members, from->members.count);
    struct timed_table *copy = timed_table_of(&members);
    struct member_walk w;
    const struct member *m;
    member_walk_start(&w, &from->members);
    while ((m = member_walk_next(&w))) {
        struct bytes key = member_key(m);
        struct timed_value v = read_member(m);
        table_put_new(copy, member_hash(key), key, v.value, v.expire_ms);
    }
    return copy;
}

size_t timed_hash_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    if (encoding == ENCODING_LISTPACK_TIMED) return mem_size(object);
    const struct timed_table *t = object;
    return mem_size(object) + member_table_memory(&t->members, samples) + expiry_index_memory(&t->index);
}

size_t timed_hash_free_effort(const void *object, enum value_encoding encoding)
{
    if (encoding == ENCODING_LISTPACK_TIMED) return 1;
    const struct timed_table *t = object;
    return t->members.count + expiry_index_count(&t->index);
}
