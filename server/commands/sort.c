/* SORT and SORT_RO: the elements of a list, set or sorted set, ordered by themselves or by what other keys say of them.
 * Server process.
 *
 * The elements are gathered first, as slices where the value keeps still and copies where it does not. Then each gets a
 * key, a number that orders nearly all pairs: its score, or the first bytes of its text. Entries of key and place are
 * merged by keys alone, without a branch or a call; whatever has equal keys is ordered by comparing in full. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/commands/sort_options.h"
#include "server/commands/tables.h"
#include "server/core/session/session.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/zset.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct element {
    struct packed_value value;
    struct bytes weight; /* BY with ALPHA; ptr NULL: the key is missing */
};

struct entry {
    uint64_t key;
    size_t place; /* in elements, which are in the value's own order */
};

struct sorting {
    struct call *call;
    struct sort_options options;
    struct element *elements;
    struct entry *entries;
    size_t count, capacity;
    size_t first, end;    /* what LIMIT leaves of the entries */
    struct chunk *copies; /* of elements and weights that do not keep still; the newest first */
};

#define CHUNK_BYTES ((size_t)16 * 1024)

struct chunk {
    struct chunk *next;
    size_t used, capacity;
    uint8_t data[];
};

static struct bytes keep(struct sorting *s, struct bytes text)
{
    struct chunk *chunk = s->copies;
    if (!chunk || chunk->capacity - chunk->used < text.len) {
        size_t capacity = text.len > CHUNK_BYTES ? text.len : CHUNK_BYTES;
        chunk = mem_alloc(sizeof *chunk + capacity);
        *chunk = (struct chunk){.next = s->copies, .capacity = capacity};
        s->copies = chunk;
    }
    uint8_t *copy = chunk->data + chunk->used;
    memcpy(copy, text.ptr, text.len);
    chunk->used += text.len;
    return bytes_make(copy, text.len);
}

static void release(struct sorting *s)
{
    while (s->copies) {
        struct chunk *chunk = s->copies;
        s->copies = chunk->next;
        mem_free(chunk);
    }
    mem_free(s->elements);
    mem_free(s->entries);
    sort_options_release(&s->options);
}

/* --- elements --- */

static void add(struct sorting *s, struct packed_value value)
{
    CHECK(s->count < s->capacity);
    s->elements[s->count++] = (struct element){.value = value};
}

static void make_room(struct sorting *s, size_t count)
{
    s->capacity = count;
    s->elements = mem_alloc((count ? count : 1) * sizeof *s->elements);
    s->entries = mem_alloc((count ? count : 1) * sizeof *s->entries);
}

static void add_still(void *arg, struct packed_value value)
{
    add(arg, value);
}

/* An element of a compressed node is there for a moment only. */
static void add_moving(void *arg, struct packed_value value)
{
    if (value.ptr) {
        struct bytes copy = keep(arg, bytes_make(value.ptr, value.len));
        value = packed_string(copy.ptr, copy.len);
    }
    add(arg, value);
}

/* What there is to gather of `total` elements: where the order stays, no more than LIMIT leaves. */
struct span {
    size_t first, count;
};

static struct span span_wanted(struct sorting *s, size_t total)
{
    struct sort_options *o = &s->options;
    if (!o->keeps_order) return (struct span){0, total};
    size_t first = o->skip < 0 ? 0 : (uint64_t)o->skip;
    if (first > total) first = total;
    size_t count = o->count < 0 || (uint64_t)o->count > total - first ? total - first : (uint64_t)o->count;
    o->skip = 0;
    o->count = -1;
    return (struct span){first, count};
}

static bool is_reversed(const struct sorting *s)
{
    return s->options.keeps_order && s->options.descending;
}

static void gather_list(struct sorting *s, const struct record *r)
{
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    size_t total = list_length(&l);
    struct span span = span_wanted(s, total);
    if (is_reversed(s)) span.first = total - span.first - span.count;
    make_room(s, span.count);
    list_walk(&l, span.first, span.count, l.encoding == ENCODING_LISTPACK ? add_still : add_moving, s);
    if (!is_reversed(s)) return;
    for (size_t i = 0, k = s->count; i + 1 < k--; i++) {
        struct element swapped = s->elements[i];
        s->elements[i] = s->elements[k];
        s->elements[k] = swapped;
    }
}

static void gather_set(struct sorting *s, const struct record *r)
{
    struct set set = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct set_walk w;
    struct packed_value value;
    make_room(s, set_count(&set));
    set_walk_start(&w, &set);
    while (set_walk_next(&w, &value)) add(s, value);
}

static void gather_zset(struct sorting *s, const struct record *r)
{
    struct zset zset = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct zset_walk w;
    struct zset_entry entry;
    size_t total = zset_count(&zset);
    struct span span = span_wanted(s, total);
    make_room(s, span.count);
    zset_walk_start(&w, &zset, is_reversed(s) ? total - 1 - span.first : span.first, is_reversed(s));
    while (s->count < span.count && zset_walk_next(&w, &entry)) add(s, entry.member);
}

static void gather(struct sorting *s, const struct record *r)
{
    switch (r ? record_type(r) : VALUE_TYPES) {
    case TYPE_LIST: gather_list(s, r); break;
    case TYPE_SET: gather_set(s, r); break;
    case TYPE_ZSET: gather_zset(s, r); break;
    default: make_room(s, 0);
    }
}

/* --- weights --- */

/* false: it is no number. */
static bool parse_score(struct bytes text, double *out)
{
    char room[64], *end, *digits = room;
    if (text.len >= sizeof room) digits = mem_alloc(text.len + 1);
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = 0;
    errno = 0;
    *out = strtod(digits, &end);
    bool good = end == digits + text.len && errno != ERANGE && !isnan(*out);
    if (digits != room) mem_free(digits);
    return good;
}

/* Numbers in the same order; -0 equals 0. */
static uint64_t key_of_score(double score)
{
    uint64_t bits;
    score += 0.0;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t key_of_text(struct bytes text)
{
    uint64_t first = 0;
    memcpy(&first, text.ptr, text.len < sizeof first ? text.len : sizeof first);
    return be64toh(first);
}

/* A number ends where a C string would: Redis does not see what stands behind a zero byte. */
static bool score_key(struct bytes text, uint64_t *key)
{
    double score;
    const uint8_t *zero = text.len ? memchr(text.ptr, 0, text.len) : NULL;
    if (zero) text.len = (size_t)(zero - text.ptr);
    bool good = parse_score(text, &score);
    if (good) *key = key_of_score(score);
    return good;
}

static bool weigh(struct sorting *s, size_t place)
{
    const struct sort_options *o = &s->options;
    struct element *e = &s->elements[place];
    struct entry *entry = &s->entries[place];
    char element_scratch[I64_TEXT_MAX], scratch[I64_TEXT_MAX];
    *entry = (struct entry){.key = o->alphabetic ? 0 : key_of_score(0), .place = place};
    if (o->keeps_order) return true;
    if (!o->by.ptr && !o->alphabetic && !e->value.ptr) {
        entry->key = key_of_score((double)e->value.integer);
        return true;
    }
    struct bytes text = packed_text(&e->value, element_scratch);
    if (o->by.ptr && !sort_look_up(s->call, o->by, text, scratch, &text)) return true;
    if (!o->alphabetic) return score_key(text, &entry->key);
    entry->key = key_of_text(text);
    if (o->by.ptr) e->weight = keep(s, text);
    return true;
}

/* false: one is no number, answered. */
static bool weigh_all(struct sorting *s)
{
    bool good = true;
    for (size_t i = 0; i < s->count; i++) good &= weigh(s, i);
    if (!good) reply_error(s->call->reply, "ERR One or more scores can't be converted into double");
    return good;
}

/* --- order --- */

static int compare_elements(const struct element *a, const struct element *b)
{
    char scratch_a[I64_TEXT_MAX], scratch_b[I64_TEXT_MAX];
    return bytes_compare(packed_text(&a->value, scratch_a), packed_text(&b->value, scratch_b));
}

static int compare_weights(const struct element *a, const struct element *b)
{
    if (!a->weight.ptr || !b->weight.ptr) return (a->weight.ptr != NULL) - (b->weight.ptr != NULL);
    return bytes_compare(a->weight, b->weight);
}

/* Of entries with equal keys. */
static int compare_entries(const void *left, const void *right, void *arg)
{
    const struct entry *a = left, *b = right;
    const struct sorting *s = arg;
    const struct element *x = &s->elements[a->place], *y = &s->elements[b->place];
    bool by_weight = s->options.alphabetic && s->options.by.ptr;
    int order = by_weight ? compare_weights(x, y) : compare_elements(x, y);
    if (order == 0) return a->place < b->place ? -1 : a->place > b->place;
    return s->options.descending ? -order : order;
}

/* Merges each two neighbouring runs of `width` entries. */
static void merge_runs(const struct entry *from, struct entry *to, size_t count, size_t width)
{
    for (size_t start = 0; start < count; start += 2 * width) {
        size_t middle = count - start < width ? count : start + width;
        size_t end = count - middle < width ? count : middle + width;
        const struct entry *a = from + start, *b = from + middle;
        while (a < from + middle && b < from + end) {
            bool second = b->key < a->key;
            *to++ = *(second ? b : a);
            a += !second;
            b += second;
        }
        while (a < from + middle) *to++ = *a++;
        while (b < from + end) *to++ = *b++;
    }
}

static void sort_by_keys(struct sorting *s)
{
    struct entry *other = mem_alloc((s->count + 1) * sizeof *other);
    for (size_t width = 1; width < s->count; width *= 2) {
        merge_runs(s->entries, other, s->count, width);
        struct entry *merged = other;
        other = s->entries;
        s->entries = merged;
    }
    mem_free(other);
}

static void sort_entries(struct sorting *s)
{
    if (s->options.descending)
        for (size_t i = 0; i < s->count; i++) s->entries[i].key = ~s->entries[i].key;
    sort_by_keys(s);
    for (size_t first = 0, end; first < s->count; first = end) {
        for (end = first + 1; end < s->count && s->entries[end].key == s->entries[first].key;) end++;
        if (end - first > 1) qsort_r(s->entries + first, end - first, sizeof *s->entries, compare_entries, s);
    }
}

static void limit(struct sorting *s)
{
    size_t skip = s->options.skip < 0 ? 0 : (uint64_t)s->options.skip;
    size_t most = s->options.count < 0 ? SIZE_MAX : (uint64_t)s->options.count;
    s->first = skip < s->count ? skip : s->count;
    s->end = most < s->count - s->first ? s->first + most : s->count;
}

/* --- results --- */

typedef void give_result(void *arg, const struct bytes *text); /* NULL: GET found nothing */

static void give_results(struct sorting *s, give_result *give, void *arg)
{
    char element_scratch[I64_TEXT_MAX], scratch[I64_TEXT_MAX];
    for (size_t i = s->first; i < s->end; i++) {
        struct bytes text = packed_text(&s->elements[s->entries[i].place].value, element_scratch), got;
        if (!s->options.gets) give(arg, &text);
        for (uint32_t k = 0; k < s->options.get_count; k++) {
            bool found = sort_look_up(s->call, s->call->argv[s->options.gets[k]], text, scratch, &got);
            give(arg, found ? &got : NULL);
        }
    }
}

static size_t result_count(const struct sorting *s)
{
    return (s->end - s->first) * (s->options.gets ? s->options.get_count : 1);
}

static void reply_result(void *reply, const struct bytes *text)
{
    if (text)
        reply_bulk(reply, *text);
    else
        reply_null(reply);
}

static void push_result(void *list, const struct bytes *text)
{
    struct bytes one = text ? *text : BYTES("");
    list_prepare_growth(list, &one, 1);
    list_push(list, LIST_TAIL, one);
}

static void store_results(struct sorting *s)
{
    struct call *call = s->call;
    struct bytes key = call->argv[s->options.store];
    uint64_t hash = call_key_hash(call, s->options.store);
    size_t count = result_count(s);
    if (count) {
        struct list_value list = list_new();
        give_results(s, push_result, &list);
        database_set_object(call->db, key, hash, TYPE_LIST, list.encoding, list.object, false);
        call_key_modified(call, call->db, key);
        call_event(call, NOTIFY_LIST, "sortstore", call->db, key);
        call_changed(call, count);
    } else if (call_find_write(call, s->options.store)) {
        call_delete_key(call, key, hash, false);
        call_changed(call, 1);
    }
    reply_integer(call->reply, (int64_t)count);
}

/* --- commands --- */

/* A set has no order that could be kept, and what is stored or goes on in a script must be the same everywhere. */
static void settle_order(struct sorting *s, const struct record *r)
{
    bool must_agree = s->options.store || s->call->session->kind == SESSION_SCRIPT;
    if (!s->options.keeps_order || !r || record_type(r) != TYPE_SET || !must_agree) return;
    s->options.keeps_order = false;
    s->options.alphabetic = true;
    s->options.by = (struct bytes){0};
}

static void sort_record(struct sorting *s, const struct record *r)
{
    settle_order(s, r);
    gather(s, r);
    if (!weigh_all(s)) return;
    if (!s->options.keeps_order) sort_entries(s);
    limit(s);
    if (s->options.store) return store_results(s);
    reply_array(s->call->reply, result_count(s));
    give_results(s, reply_result, s->call->reply);
}

static bool is_sortable(const struct record *r)
{
    return !r || record_type(r) == TYPE_LIST || record_type(r) == TYPE_SET || record_type(r) == TYPE_ZSET;
}

static void sort_key(struct call *call, bool may_store)
{
    struct sorting s = {.call = call};
    if (sort_options_read(call, may_store, &s.options)) {
        struct record *r = call_find_read(call, 1);
        if (is_sortable(r))
            sort_record(&s, r);
        else
            call_wrong_type(call, r, TYPE_LIST);
    }
    release(&s);
}

static void sort_command(struct call *call)
{
    sort_key(call, true);
}

static void sort_ro_command(struct call *call)
{
    sort_key(call, false);
}

#define KEYS_OF_PATTERNS                                                                                               \
    KEYS_UNKNOWN(KEY_RO | KEY_ACCESS, "For the optional BY/GET keyword. It is marked 'unknown' because the key names " \
                                      "derive from the content of the key we sort")
#define KEY_OF_STORE                                                                                                   \
    KEYS_UNKNOWN(KEY_OW | KEY_UPDATE,                                                                                  \
                 "For the optional STORE keyword. It is marked 'unknown' because the keyword can "                     \
                 "appear anywhere in the argument array")

const struct command sort_commands[] = {
    {"sort", sort_command, -2, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     CAT_SET | CAT_SORTEDSET | CAT_LIST | CAT_DANGEROUS,
     KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEYS_OF_PATTERNS, KEY_OF_STORE), .find_keys = sort_find_keys},
    {"sort_ro", sort_ro_command, -2, CMD_READONLY | CMD_MOVABLE_KEYS,
     CAT_SET | CAT_SORTEDSET | CAT_LIST | CAT_DANGEROUS, KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEYS_OF_PATTERNS)},
    {.name = NULL},
};
