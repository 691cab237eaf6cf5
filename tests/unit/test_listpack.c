/* Packed bytes: listpacks against a model and against Redis's own bytes, old formats read, broken bytes refused. */
#include <criterion/criterion.h>

#include "server/data/listpack.h"
#include "server/data/ziplist.h"
#include "server/data/zipmap.h"
#include "tests/unit/test_list_model.h"

TestSuite(listpack, .timeout = 60);
TestSuite(ziplist, .timeout = 60);
TestSuite(zipmap, .timeout = 60);

#define ROOM 20000

static void expect_element(const uint8_t *element, struct bytes text)
{
    char scratch[I64_TEXT_MAX];
    struct packed_value v = listpack_get(element);
    cr_assert(bytes_equal(packed_text(&v, scratch), text));
}

static void expect_same(const uint8_t *lp, const struct model *m)
{
    cr_assert(listpack_validate(bytes_make(lp, listpack_bytes(lp)), NULL, NULL));
    cr_assert_eq(listpack_length(lp), m->count);
    const uint8_t *p = listpack_first(lp), *q = listpack_last(lp);
    for (size_t i = 0; i < m->count; i++) {
        expect_element(p, m->items[i]);
        expect_element(q, m->items[m->count - 1 - i]);
        p = listpack_next(lp, p);
        q = listpack_prev(lp, q);
    }
    cr_assert(!p && !q);
}

/* Elements as a real Redis wrote them (DUMP of a hash with field "a" and this value). */
Test(listpack, elements_have_redis_bytes)
{
    static const struct {
        struct bytes text, bytes;
    } cases[] = {
        {BYTES("0"), BYTES("\x00\x01")},
        {BYTES("127"), BYTES("\x7f\x01")},
        {BYTES("128"), BYTES("\xc0\x80\x02")},
        {BYTES("4095"), BYTES("\xcf\xff\x02")},
        {BYTES("4096"), BYTES("\xf1\x00\x10\x03")},
        {BYTES("-1"), BYTES("\xdf\xff\x02")},
        {BYTES("-4096"), BYTES("\xd0\x00\x02")},
        {BYTES("-4097"), BYTES("\xf1\xff\xef\x03")},
        {BYTES("32768"), BYTES("\xf2\x00\x80\x00\x04")},
        {BYTES("8388608"), BYTES("\xf3\x00\x00\x80\x00\x05")},
        {BYTES("-8388608"), BYTES("\xf2\x00\x00\x80\x04")},
        {BYTES("2147483648"), BYTES("\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09")},
        {BYTES("9223372036854775808"), BYTES("\x93"
                                             "9223372036854775808\x14")},
        {BYTES(""), BYTES("\x80\x01")},
        {BYTES("-0"), BYTES("\x82\x2d\x30\x03")},
        {BYTES("01"), BYTES("\x82\x30\x31\x03")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *lp = listpack_append(listpack_new(0), packed_from(cases[i].text));
        size_t element = listpack_bytes(lp) - LISTPACK_EMPTY_BYTES;
        cr_assert(bytes_equal(bytes_make(lp + LISTPACK_HEADER_BYTES, element), cases[i].bytes), "%s",
                  (const char *)cases[i].text.ptr);
        cr_assert_eq(listpack_element_bytes(packed_from(cases[i].text)), element);
        listpack_free(lp);
    }
}

/* Written in one go: the bytes that appending makes, and the pairs from the last to the first. */
Test(listpack, written_from_front_to_back)
{
    static uint8_t room[ROOM];
    struct random_state r;
    random_seed(&r, 7);
    for (int round = 0; round < 200; round++) {
        static struct model m;
        struct listpack_writer forward, backward;
        uint8_t *appended = listpack_new(0), *prepended = listpack_new(0);
        size_t pairs = random_below(&r, 40);
        listpack_write_begin(&forward, random_below(&r, 300));
        listpack_write_begin(&backward, 0);
        for (size_t i = 0; i < 2 * pairs; i++) model_insert(&m, i, random_text(&r, room, ROOM));
        for (size_t i = 0; i < 2 * pairs; i++) {
            struct packed_value v = packed_from(m.items[i]);
            appended = listpack_append(appended, v);
            prepended = listpack_prepend(prepended, packed_from(m.items[i ^ 1]));
            listpack_write(&forward, v);
            cr_assert_eq(listpack_written_bytes(&forward), listpack_bytes(appended));
            listpack_write(&backward, v);
        }
        uint8_t *written = listpack_write_end(&forward), *reversed = listpack_write_end_reversed(&backward);
        cr_assert(
            bytes_equal(bytes_make(written, listpack_bytes(written)), bytes_make(appended, listpack_bytes(appended))));
        cr_assert(bytes_equal(bytes_make(reversed, listpack_bytes(reversed)),
                              bytes_make(prepended, listpack_bytes(prepended))));
        listpack_free(written);
        listpack_free(reversed);
        listpack_free(appended);
        listpack_free(prepended);
        model_clear(&m);
    }
}

/* Where Redis's back length takes a byte more than it would have to. */
Test(listpack, back_lengths_grow_where_redis_lets_them_grow)
{
    static const struct {
        size_t text, back;
    } cases[] = {{125, 1}, {126, 2}, {16377, 2}, {16378, 3}, {2097145, 3}, {2097146, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *text = mem_calloc(1, cases[i].text);
        size_t head = cases[i].text < 4096 ? 2 : 5;
        cr_assert_eq(listpack_element_bytes(packed_string(text, cases[i].text)), head + cases[i].text + cases[i].back);
        mem_free(text);
    }
}

static uint8_t *change_one(uint8_t *lp, size_t at, struct model *m, struct random_state *r, struct bytes text)
{
    struct packed_value v = packed_from(text);
    uint8_t *element = listpack_seek(lp, (int64_t)at);
    switch (random_below(r, 4)) {
    case 0:
        lp = listpack_insert_before(lp, &element, v);
        expect_element(element, m->items[at]);
        model_insert(m, at, text);
        return lp;
    case 1:
        lp = listpack_insert_after(lp, &element, v);
        expect_element(element, m->items[at]);
        model_insert(m, at + 1, text);
        return lp;
    case 2:
        lp = listpack_replace(lp, &element, v);
        model_remove(m, at, 1);
        model_insert(m, at, text);
        expect_element(element, text);
        return lp;
    default:
        lp = listpack_delete(lp, &element);
        model_remove(m, at, 1);
        cr_assert_eq(element == NULL, at == m->count);
        if (element) expect_element(element, m->items[at]);
        return lp;
    }
}

static uint8_t *cut_and_paste(uint8_t *lp, const struct model *m, size_t at)
{
    uint8_t *tail = listpack_split(&lp, listpack_seek(lp, (int64_t)at));
    cr_assert_eq(listpack_length(lp), at);
    cr_assert_eq(listpack_length(tail), m->count - at);
    lp = listpack_append_all(lp, tail);
    listpack_free(tail);
    return lp;
}

Test(listpack, every_change_agrees_with_a_model)
{
    static struct model m;
    static uint8_t room[ROOM];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random_state r;
        random_seed(&r, seed);
        uint8_t *lp = listpack_new(0);
        for (int step = 0; step < 400; step++) {
            struct bytes text = random_text(&r, room, ROOM);
            uint64_t kind = random_below(&r, 12);
            size_t at = m.count ? random_below(&r, m.count) : 0;
            if (m.count == 0 || kind == 0) {
                lp = listpack_prepend(lp, packed_from(text));
                model_insert(&m, 0, text);
            } else if (kind == 1) {
                struct packed_value pair[] = {packed_from(text), packed_from(BYTES("-70000"))};
                lp = listpack_append_several(lp, pair, 2);
                model_insert(&m, m.count, text);
                model_insert(&m, m.count, BYTES("-70000"));
            } else if (kind < 4) {
                lp = listpack_append(lp, packed_from(text));
                model_insert(&m, m.count, text);
            } else if (kind < 9) {
                lp = change_one(lp, at, &m, &r, text);
            } else if (kind == 9) {
                size_t count = random_below(&r, 4), there = m.count - at;
                lp = listpack_delete_range(lp, random_below(&r, 2) ? (int64_t)at : -(int64_t)there, count);
                model_remove(&m, at, count < there ? count : there);
            } else {
                lp = cut_and_paste(lp, &m, at);
            }
            expect_same(lp, &m);
        }
        listpack_free(lp);
        model_clear(&m);
    }
}

Test(listpack, find_looks_at_every_second_element_when_told_so)
{
    uint8_t *lp = listpack_new(0);
    struct bytes texts[] = {BYTES("a"), BYTES("b"), BYTES("b"), BYTES("a"), BYTES("12"), BYTES("x")};
    for (size_t i = 0; i < 6; i++) lp = listpack_append(lp, packed_from(texts[i]));
    const uint8_t *first = listpack_first(lp);
    cr_assert_eq(listpack_find(lp, first, packed_from(BYTES("b")), 0), listpack_seek(lp, 1));
    cr_assert_eq(listpack_find(lp, first, packed_from(BYTES("b")), 1), listpack_seek(lp, 2));
    cr_assert_eq(listpack_find(lp, first, packed_integer(12), 1), listpack_seek(lp, 4));
    cr_assert_null(listpack_find(lp, first, packed_from(BYTES("x")), 1));
    cr_assert_null(listpack_find(lp, NULL, packed_from(BYTES("x")), 1));
    listpack_free(lp);
}

Test(listpack, more_elements_than_the_header_can_count)
{
    enum { COUNT = 70000 };
    uint8_t *lp = listpack_new(COUNT * 4);
    for (int i = 0; i < COUNT; i++) lp = listpack_append(lp, packed_integer(i % 100));
    cr_assert_eq(lp[4], 0xff);
    cr_assert_eq(lp[5], 0xff);
    cr_assert_eq(listpack_length(lp), COUNT);
    expect_element(listpack_seek(lp, 69998), BYTES("98"));
    expect_element(listpack_seek(lp, -3), BYTES("97"));
    cr_assert_null(listpack_seek(lp, COUNT));
    cr_assert_null(listpack_seek(lp, -COUNT - 1));
    lp = listpack_delete_range(lp, 5, COUNT - 10);
    cr_assert_eq(listpack_length(lp), 10);
    cr_assert(listpack_validate(bytes_make(lp, listpack_bytes(lp)), NULL, NULL));
    listpack_free(lp);
}

/* --- broken bytes --- each try is a heap block of its very size, so that a sanitizer sees any step outside --- */

static bool count_visit(void *context, struct packed_value value)
{
    char scratch[I64_TEXT_MAX];
    size_t *sum = context;
    struct bytes text = packed_text(&value, scratch);
    for (size_t i = 0; i < text.len; i++) *sum += text.ptr[i];
    return true;
}

static void walk_if_accepted(struct bytes bytes)
{
    size_t sum = 0, again = 0;
    if (!listpack_validate(bytes, count_visit, &sum)) return;
    for (const uint8_t *p = listpack_last(bytes.ptr); p; p = listpack_prev(bytes.ptr, p))
        count_visit(&again, listpack_get(p));
    cr_assert_eq(sum, again);
}

static bool append_element(void *context, struct packed_value value)
{
    uint8_t **lp = context;
    *lp = listpack_append(*lp, value);
    return true;
}

/* NULL: the bytes are no ziplist. */
static uint8_t *listpack_of_ziplist(struct bytes bytes)
{
    uint8_t *lp = listpack_new(0);
    if (ziplist_walk(bytes, append_element, &lp)) return lp;
    listpack_free(lp);
    return NULL;
}

static void read_ziplist(struct bytes bytes)
{
    size_t sum = 0;
    ziplist_walk(bytes, count_visit, &sum);
    uint8_t *lp = listpack_of_ziplist(bytes);
    if (lp) listpack_free(lp);
}

static bool add_pair(void *context, struct bytes field, struct bytes value)
{
    return count_visit(context, packed_string(field.ptr, field.len)) &&
           count_visit(context, packed_string(value.ptr, value.len));
}

static void read_zipmap(struct bytes bytes)
{
    size_t sum = 0;
    zipmap_walk(bytes, add_pair, &sum);
}

static void try_broken(struct bytes good, void (*read)(struct bytes bytes), uint64_t seed)
{
    struct random_state r;
    random_seed(&r, seed);
    for (int i = 0; i < 20000; i++) {
        size_t len = random_below(&r, 8) ? good.len : random_below(&r, good.len + 1);
        uint8_t *copy = mem_alloc(len);
        memcpy(copy, good.ptr, len);
        for (uint64_t flips = random_below(&r, 4); flips > 0 && len; flips--)
            copy[random_below(&r, len)] = random_below(&r, 2) ? (uint8_t)random_u64(&r) : 0xff;
        read(bytes_make(copy, len));
        mem_free(copy);
    }
}

Test(listpack, broken_bytes_are_refused_or_harmless)
{
    static uint8_t room[ROOM];
    struct random_state r;
    random_seed(&r, 99);
    uint8_t *lp = listpack_new(0);
    for (int i = 0; i < 40; i++) lp = listpack_append(lp, packed_from(random_text(&r, room, 200)));
    walk_if_accepted(bytes_make(lp, listpack_bytes(lp)));
    try_broken(bytes_make(lp, listpack_bytes(lp)), walk_if_accepted, 5);
    listpack_free(lp);
}

Test(listpack, a_wrong_count_or_size_is_refused)
{
    uint8_t *lp = listpack_append(listpack_new(0), packed_from(BYTES("abc")));
    size_t len = listpack_bytes(lp);
    cr_assert(listpack_validate(bytes_make(lp, len), NULL, NULL));
    cr_assert_not(listpack_validate(bytes_make(lp, len - 1), NULL, NULL));
    lp[4] = 2;
    cr_assert_not(listpack_validate(bytes_make(lp, len), NULL, NULL));
    lp[4] = lp[5] = 0xff;
    cr_assert(listpack_validate(bytes_make(lp, len), NULL, NULL));
    listpack_free(lp);
}

/* One element of each encoding, the sixth longer than a byte can say. */
static struct bytes sample_ziplist(uint8_t out[512])
{
    static const uint8_t before[] = {0,    0,    0,    0,    0,    0,    0,    0,    0x0a, 0,
                                     0x00, 0x02, 'h',  'i',  0x04, 0xf1, 0x02, 0xfd, 0x02, 0xfe,
                                     0x80, 0x03, 0xc0, 0xff, 0x7f, 0x04, 0x41, 0x2c};
    static const uint8_t behind[] = {0xfe, 0x2f, 0x01, 0,    0,    0xf0, 0x00, 0x00, 0x80, 0x09, 0xd0,
                                     0x00, 0x00, 0x00, 0x80, 0x06, 0xe0, 0,    0,    0,    0,    0,
                                     0,    0,    0x80, 0x0a, 0x80, 0,    0,    0,    0x01, 'z',  0xff};
    memcpy(out, before, sizeof before);
    memset(out + sizeof before, 'q', 300);
    memcpy(out + sizeof before + 300, behind, sizeof behind);
    size_t len = sizeof before + 300 + sizeof behind;
    out[0] = (uint8_t)len;
    out[1] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)(len - 8);
    out[5] = (uint8_t)((len - 8) >> 8);
    return bytes_make(out, len);
}

Test(ziplist, every_encoding_is_read)
{
    uint8_t room[512], text[300];
    memset(text, 'q', sizeof text);
    struct bytes expected[] = {BYTES("hi"),       BYTES("0"),           BYTES("12"),
                               BYTES("-128"),     BYTES("32767"),       bytes_make(text, sizeof text),
                               BYTES("-8388608"), BYTES("-2147483648"), BYTES("-9223372036854775808"),
                               BYTES("z")};
    uint8_t *lp = listpack_of_ziplist(sample_ziplist(room));
    cr_assert_not_null(lp);
    cr_assert_eq(listpack_length(lp), 10);
    for (int i = 0; i < 10; i++) expect_element(listpack_seek(lp, i), expected[i]);
    listpack_free(lp);
}

Test(ziplist, broken_bytes_are_refused_or_harmless)
{
    uint8_t room[512];
    try_broken(sample_ziplist(room), read_ziplist, 6);
}

static const uint8_t sample_zipmap[] = {2,   3,    'f', 'o', 'o', 3, 2,   'b', 'a', 'r', 'x',
                                        'x', 0xfe, 2,   0,   0,   0, 'h', 'i', 0,   0,   0xff};

static bool note_pair(void *context, struct bytes field, struct bytes value)
{
    struct bytes *pairs = context;
    size_t i = pairs[0].ptr ? 2 : 0;
    pairs[i] = field;
    pairs[i + 1] = value;
    return true;
}

Test(zipmap, pairs_are_read_past_spare_bytes)
{
    struct bytes pairs[4] = {0};
    cr_assert(zipmap_walk(bytes_make(sample_zipmap, sizeof sample_zipmap), note_pair, pairs));
    cr_assert(bytes_equal_text(pairs[0], "foo"));
    cr_assert(bytes_equal_text(pairs[1], "bar"));
    cr_assert(bytes_equal_text(pairs[2], "hi"));
    cr_assert_eq(pairs[3].len, 0);
}

Test(zipmap, broken_bytes_are_refused_or_harmless)
{
    try_broken(bytes_make(sample_zipmap, sizeof sample_zipmap), read_zipmap, 7);
}
