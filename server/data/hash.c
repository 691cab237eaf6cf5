/* Hashes in their two encodings, and where those of a timed hash (timed_hash.c) part from them: last, so that a hash
 * without expiries pays nothing for them. Server process; the snapshot child walks them.
 *
 * A table member's payload is the value behind its length:
 *
 *   byte 0     length of the value; 255: it stands in the 8 bytes that follow
 *   then       value */
#include "server/data/hash.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/digest.h"
#include "server/data/flat_or_table.h"
#include "server/data/hash_payload.h"
#include "server/data/sample.h"
#include "server/data/settings.h"
#include "server/data/timed_hash.h"

#define LONG_VALUE HASH_LONG_VALUE

static inline size_t value_room(size_t len)
{
    return hash_payload_head(len) + len;
}

static void value_write(uint8_t *payload, struct bytes value)
{
    uint64_t len = value.len;
    *payload++ = len < LONG_VALUE ? (uint8_t)len : LONG_VALUE;
    if (len >= LONG_VALUE) payload = (uint8_t *)memcpy(payload, &len, sizeof len) + sizeof len;
    if (len) memcpy(payload, value.ptr, len);
}

static struct packed_value value_read(const struct member *m)
{
    const uint8_t *payload = member_payload(m);
    uint64_t len = *payload++;
    if (len == LONG_VALUE) {
        memcpy(&len, payload, sizeof len);
        payload += sizeof len;
    }
    return packed_string(payload, len);
}

static struct hash_pair pair_of(const struct member *m)
{
    struct bytes field = member_key(m);
    return (struct hash_pair){packed_string(field.ptr, field.len), value_read(m)};
}

/* --- making --- */

struct hash hash_new(void)
{
    return (struct hash){.encoding = ENCODING_LISTPACK, .object = listpack_new(0)};
}

struct hash hash_new_table(size_t fields)
{
    return (struct hash){.encoding = ENCODING_HASHTABLE, .object = flat_or_table_new_table(fields)};
}

static void free_object(void *object, enum value_encoding encoding)
{
    if (unlikely(encoding >= ENCODING_LISTPACK_TIMED))
        timed_hash_free(object, encoding);
    else
        flat_or_table_free(object, encoding);
}

void hash_free(struct hash *h)
{
    if (!h->inside) free_object(h->object, h->encoding);
}

bool hash_packed_fits(size_t fields, size_t longest_bytes, size_t total_bytes)
{
    return fields <= data_settings->hash_max_listpack_entries &&
           longest_bytes <= data_settings->hash_max_listpack_value_bytes && total_bytes <= LISTPACK_MAX_BYTES;
}

size_t hash_length(const struct hash *h)
{
    if (h->encoding == ENCODING_LISTPACK) return listpack_length(h->object) / 2;
    if (unlikely(hash_is_timed(h))) return timed_hash_length(h);
    return ((struct member_table *)h->object)->count;
}

/* --- tables --- */

static bool table_set(struct member_table *t, struct bytes field, struct bytes value)
{
    uint64_t hash = member_hash(field);
    size_t room = value_room(value.len);
    struct member *m = member_table_find(t, hash, field);
    bool is_new = !m;
    if (is_new)
        m = member_table_insert(t, hash, field, room);
    else if (value_read(m).len != value.len)
        m = member_table_resize(t, hash, m, room);
    value_write(member_payload(m), value);
    return is_new;
}

/* false: the field is there, and stays as it is. */
static bool table_add(struct member_table *t, struct bytes field, struct bytes value)
{
    uint64_t hash = member_hash(field);
    if (member_table_find(t, hash, field)) return false;
    value_write(member_payload(member_table_insert(t, hash, field, value_room(value.len))), value);
    return true;
}

static void convert_to_table(struct hash *h, size_t more)
{
    struct hash table = hash_new_table(hash_length(h) + more);
    struct hash_walk w;
    struct hash_pair pair;
    char field[I64_TEXT_MAX], value[I64_TEXT_MAX];
    hash_walk_start(&w, h);
    while (hash_walk_next(&w, &pair))
        table_set(table.object, packed_text(&pair.field, field), packed_text(&pair.value, value));
    hash_free(h);
    *h = table;
}

/* --- one field --- */

/* The field's value in a listpack, or NULL. */
static uint8_t *packed_value_of(const uint8_t *lp, struct bytes field)
{
    uint8_t *found = listpack_find(lp, listpack_first(lp), packed_from(field), 1);
    return found ? listpack_next(lp, found) : NULL;
}

bool hash_get(const struct hash *h, struct bytes field, struct packed_value *value)
{
    if (h->encoding == ENCODING_LISTPACK) {
        const uint8_t *element = packed_value_of(h->object, field);
        if (element) *value = listpack_get(element);
        return element != NULL;
    }
    if (unlikely(hash_is_timed(h))) return timed_hash_get(h, field, value);
    const struct member *m = member_table_find(h->object, member_hash(field), field);
    if (m) *value = value_read(m);
    return m != NULL;
}

static uint8_t *own(struct hash *h, const uint8_t *place)
{
    return flat_object_own(h->encoding, &h->object, &h->inside, place);
}

static void packed_append(struct hash *h, const struct packed_value *field, const struct packed_value *value)
{
    struct packed_value pair[] = {*field, *value};
    own(h, NULL);
    h->object = listpack_append_several(h->object, pair, 2);
}

bool hash_set(struct hash *h, struct bytes field, struct bytes value)
{
    if (h->encoding == ENCODING_HASHTABLE) return table_set(h->object, field, value);
    if (unlikely(hash_is_timed(h))) return timed_hash_put(h, field, value, HASH_NO_EXPIRY);
    size_t longest = field.len > value.len ? field.len : value.len;
    size_t total = listpack_bytes(h->object) + field.len + value.len;
    uint8_t *element = packed_value_of(h->object, field);
    if (!hash_packed_fits(hash_length(h) + !element, longest, total)) {
        convert_to_table(h, 1);
        return table_set(h->object, field, value);
    }
    struct packed_value packed_field = packed_from(field), packed = packed_from(value);
    if (!element) {
        packed_append(h, &packed_field, &packed);
        return true;
    }
    if (!flat_value_fits(element, packed)) element = own(h, element);
    h->object = listpack_replace(h->object, &element, packed);
    return false;
}

void hash_add(struct hash *h, const struct packed_value *field, const struct packed_value *value)
{
    if (h->encoding == ENCODING_LISTPACK) {
        size_t field_bytes = packed_string_bytes(field), value_bytes = packed_string_bytes(value);
        size_t longest = field_bytes > value_bytes ? field_bytes : value_bytes;
        size_t total = listpack_bytes(h->object) + field_bytes + value_bytes;
        if (hash_packed_fits(hash_length(h) + 1, longest, total)) {
            packed_append(h, field, value);
            return;
        }
        convert_to_table(h, 1);
    }
    char field_scratch[I64_TEXT_MAX], value_scratch[I64_TEXT_MAX];
    struct bytes field_text = packed_text(field, field_scratch), value_text = packed_text(value, value_scratch);
    if (unlikely(hash_is_timed(h)))
        timed_hash_put(h, field_text, value_text, HASH_NO_EXPIRY);
    else
        table_set(h->object, field_text, value_text);
}

bool hash_add_to_table(struct hash *h, const struct packed_value *field, const struct packed_value *value)
{
    char field_scratch[I64_TEXT_MAX], value_scratch[I64_TEXT_MAX];
    return table_add(h->object, packed_text(field, field_scratch), packed_text(value, value_scratch));
}

bool hash_delete(struct hash *h, struct bytes field)
{
    if (h->encoding == ENCODING_HASHTABLE) return member_table_delete(h->object, field);
    if (unlikely(hash_is_timed(h))) return timed_hash_delete(h, field);
    uint8_t *found = listpack_find(h->object, listpack_first(h->object), packed_from(field), 1);
    if (!found) return false;
    found = own(h, found);
    h->object = listpack_delete_run(h->object, &found, 2);
    return true;
}

/* --- fields with an expiry --- */

bool hash_set_with_expiry(struct hash *h, struct bytes field, struct bytes value, int64_t expire_ms)
{
    if (expire_ms == HASH_NO_EXPIRY) return hash_set(h, field, value);
    return timed_hash_put(h, field, value, expire_ms);
}

bool hash_set_keeping_expiry(struct hash *h, struct bytes field, struct bytes value)
{
    if (!hash_is_timed(h)) return hash_set(h, field, value);
    return timed_hash_put(h, field, value, timed_hash_expiry(h, field));
}

bool hash_add_with_expiry(struct hash *h, const struct packed_value *field, const struct packed_value *value,
                          int64_t expire_ms)
{
    char field_scratch[I64_TEXT_MAX], value_scratch[I64_TEXT_MAX];
    struct bytes name = packed_text(field, field_scratch);
    struct packed_value there;
    if (hash_get(h, name, &there)) return false;
    hash_set_with_expiry(h, name, packed_text(value, value_scratch), expire_ms);
    return true;
}

bool hash_set_expiry(struct hash *h, struct bytes field, int64_t expire_ms)
{
    return timed_hash_set_expiry(h, field, expire_ms);
}

int64_t hash_expiry(const struct hash *h, struct bytes field)
{
    return hash_is_timed(h) ? timed_hash_expiry(h, field) : HASH_NO_EXPIRY;
}

int64_t hash_next_expiry(const struct hash *h)
{
    return hash_is_timed(h) ? timed_hash_next_expiry(h) : HASH_NO_EXPIRY;
}

size_t hash_expiring(const struct hash *h)
{
    return hash_is_timed(h) ? timed_hash_expiring(h) : 0;
}

bool hash_lives(const struct hash *h)
{
    return hash_is_timed(h) ? timed_hash_lives(h) : hash_length(h) > 0;
}

size_t hash_living(const struct hash *h)
{
    return hash_length(h) - (hash_is_timed(h) ? timed_hash_dead(h) : 0);
}

size_t hash_reap(struct hash *h, int64_t now_ms, size_t most, hash_reaped *reaped, void *arg)
{
    return hash_is_timed(h) ? timed_hash_reap(h, now_ms, most, reaped, arg) : 0;
}

/* --- walking --- */

void hash_walk_start(struct hash_walk *w, const struct hash *h)
{
    w->packed = h->encoding == ENCODING_LISTPACK;
    w->timed = false;
    if (w->packed) {
        w->element = (const uint8_t *)h->object + LISTPACK_HEADER_BYTES;
    } else if (likely(!hash_is_timed(h))) {
        member_walk_start(&w->members, h->object);
    } else {
        w->timed = true;
        w->members.bucket = NULL;
        w->members.at = w->members.pending = 0;
        timed_hash_walk_start(w, h);
    }
}

bool hash_walk_next(struct hash_walk *w, struct hash_pair *out)
{
    if (w->packed) {
        if (*w->element == LISTPACK_END) return false;
        w->element = listpack_read(listpack_read(w->element, &out->field), &out->value);
        return true;
    }
    const struct member *m = member_walk_next(&w->members);
    int64_t expire_ms;
    if (m) *out = pair_of(m);
    return m != NULL || (w->timed && timed_hash_walk_next(w, w->now_ms, out, &expire_ms));
}

bool hash_walk_next_timed(struct hash_walk *w, struct hash_pair *out, int64_t *expire_ms)
{
    if (w->timed) return timed_hash_walk_next(w, 0, out, expire_ms);
    *expire_ms = HASH_NO_EXPIRY;
    return hash_walk_next(w, out);
}

static struct hash_pair packed_pair_at(const uint8_t *lp, size_t index)
{
    struct hash_pair pair;
    listpack_read(listpack_read(listpack_seek(lp, (int64_t)index * 2), &pair.field), &pair.value);
    return pair;
}

void hash_random(const struct hash *h, struct random_state *random, struct hash_pair *out)
{
    if (h->encoding == ENCODING_LISTPACK)
        *out = packed_pair_at(h->object, random_below(random, hash_length(h)));
    else if (unlikely(hash_is_timed(h)))
        CHECK(timed_hash_random(h, random, out));
    else
        *out = pair_of(member_table_random(h->object, random));
}

void hash_draw_begin(struct hash_drawing *d, const struct hash *h)
{
    *d = (struct hash_drawing){.hash = h};
    if (unlikely(hash_is_timed(h))) d->few_count = timed_hash_living_few(h, &d->few);
}

void hash_draw(const struct hash_drawing *d, struct random_state *random, struct hash_pair *out)
{
    if (d->few_count)
        *out = d->few[random_below(random, d->few_count)];
    else
        hash_random(d->hash, random, out);
}

void hash_draw_end(struct hash_drawing *d)
{
    mem_free(d->few);
}

struct visitor {
    hash_visit *visit;
    void *arg;
};

static void visit_member(void *arg, struct member *m)
{
    const struct visitor *v = arg;
    struct hash_pair pair = pair_of(m);
    v->visit(v->arg, &pair);
}

void hash_sample(const struct hash *h, size_t count, struct random_state *random, hash_visit *visit, void *arg)
{
    if (h->encoding == ENCODING_HASHTABLE) {
        struct visitor v = {visit, arg};
        member_table_sample(h->object, count, random, visit_member, &v);
        return;
    }
    if (unlikely(hash_is_timed(h))) {
        timed_hash_sample(h, count, random, visit, arg);
        return;
    }
    size_t length = hash_length(h);
    struct sampler s = {count < length ? count : length, length};
    struct hash_walk w;
    struct hash_pair pair;
    hash_walk_start(&w, h);
    while (hash_walk_next(&w, &pair))
        if (sampler_takes(&s, random)) visit(arg, &pair);
}

uint64_t hash_scan(const struct hash *h, uint64_t cursor, size_t count, hash_visit *visit, void *arg)
{
    if (h->encoding == ENCODING_HASHTABLE) {
        struct visitor v = {visit, arg};
        return member_table_scan(h->object, cursor, count, visit_member, &v);
    }
    if (unlikely(hash_is_timed(h))) return timed_hash_scan(h, cursor, count, visit, arg);
    struct hash_walk w;
    struct hash_pair pair;
    hash_walk_start(&w, h);
    while (hash_walk_next(&w, &pair)) visit(arg, &pair);
    return 0;
}

/* --- the row of operations --- */

static size_t payload_bytes(const struct member *m)
{
    return value_room(value_read(m).len);
}

static void *copy_object(const void *object, enum value_encoding encoding)
{
    if (unlikely(encoding >= ENCODING_LISTPACK_TIMED)) return timed_hash_copy(object, encoding);
    return flat_or_table_copy(object, encoding, payload_bytes);
}

static size_t object_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    if (unlikely(encoding >= ENCODING_LISTPACK_TIMED)) return timed_hash_memory(object, encoding, samples);
    return flat_or_table_memory(object, encoding, samples);
}

static size_t free_effort(const void *object, enum value_encoding encoding)
{
    if (unlikely(encoding >= ENCODING_LISTPACK_TIMED)) return timed_hash_free_effort(object, encoding);
    return flat_or_table_free_effort(object, encoding);
}

static void digest_object(const void *object, enum value_encoding encoding, uint8_t digest[DIGEST_BYTES])
{
    struct hash h = {.encoding = encoding, .object = (void *)(uintptr_t)object};
    struct hash_walk w;
    struct hash_pair pair;
    char scratch[I64_TEXT_MAX];
    int64_t expire_ms;
    hash_walk_start(&w, &h);
    while (hash_walk_next_timed(&w, &pair, &expire_ms)) {
        uint8_t own[DIGEST_BYTES] = {0};
        digest_mix(own, packed_text(&pair.field, scratch));
        digest_mix(own, packed_text(&pair.value, scratch));
        if (expire_ms != HASH_NO_EXPIRY) digest_xor(own, BYTES("!!hexpire!!"));
        digest_xor(digest, bytes_make(own, sizeof own));
    }
}

void hash_register(void)
{
    static const struct value_ops ops = {free_object, copy_object,   object_memory,
                                         free_effort, digest_object, flat_or_table_prefetch};
    value_ops_register(TYPE_HASH, &ops);
}
