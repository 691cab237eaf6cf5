/* Every form in which RDBs have held a collection, byte by byte from the format's description: what is read is told as
 * text. Debian's redis-server 7.0.15 restores the same bytes to the same values, but for a set's listpack, which came
 * with 7.2. */
#include "tests/unit/test_rdb_bytes.h"

#include <stdio.h>

#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/zset.h"

static void set_up(void)
{
    list_register();
    set_register();
    zset_register();
    hash_register();
}

TestSuite(rdb_forms, .init = set_up, .timeout = 60);

/* --- a value as text: its elements in their order, each with a comma behind it --- */

struct text {
    size_t len;
    char text[1024];
};

static void say(struct text *t, const struct packed_value *value, char end)
{
    char scratch[I64_TEXT_MAX];
    struct bytes bytes = packed_text(value, scratch);
    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%.*s%c", (int)bytes.len,
                               (const char *)bytes.ptr, end);
}

static void say_element(void *text, struct packed_value value)
{
    say(text, &value, ',');
}

static void say_list(struct text *t, const struct record *r)
{
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    list_walk(&l, 0, list_length(&l), say_element, t);
}

static void say_set(struct text *t, const struct record *r)
{
    struct set s = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct set_walk w;
    struct packed_value member;
    set_walk_start(&w, &s);
    while (set_walk_next(&w, &member)) say(t, &member, ',');
}

static void say_hash(struct text *t, const struct record *r)
{
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct hash_walk w;
    struct hash_pair pair;
    hash_walk_start(&w, &h);
    while (hash_walk_next(&w, &pair)) {
        say(t, &pair.field, '=');
        say(t, &pair.value, ',');
    }
}

static void say_zset(struct text *t, const struct record *r)
{
    struct zset z = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct zset_walk w;
    struct zset_entry e;
    for (zset_walk_start(&w, &z, 0, false); zset_walk_next(&w, &e);) {
        say(t, &e.member, '=');
        t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%g,", e.score);
    }
}

static void say_value(struct text *t, const struct record *r)
{
    switch (record_type(r)) {
    case TYPE_LIST: say_list(t, r); break;
    case TYPE_SET: say_set(t, r); break;
    case TYPE_HASH: say_hash(t, r); break;
    case TYPE_ZSET: say_zset(t, r); break;
    default: cr_assert_fail("type %d", record_type(r));
    }
}

/* --- the forms --- */

static const struct form {
    const char *name, *text;
    const char *bytes; /* type and value, without the key between them */
    size_t len;
} forms[] = {
#define FORM(name, text, bytes)                                                                                        \
    {                                                                                                                  \
        name, text, bytes, sizeof(bytes) - 1                                                                           \
    }
    FORM("hash: ziplist, integers of every width", "a=12,bb=-100,ccc=300,d=-70000,e=2000000000,f=-5000000000,",
         "\x0d\x40GG\x00\x00\x00\x3c\x00\x00\x00\x0c\x00\x00\x01"
         "a\x03\xfd\x02\x40\x02"
         "bb\xfe\x05\x00\x00\x00\xfe\x9c\x07\x80\x00\x00\x00\x03"
         "ccc\x09\xc0\x2c\x01\x04\x01"
         "d\x03\xf0\x90\xee\xfe\x05\x01"
         "e\x03\xd0\x00\x94"
         "5w\x06\x01"
         "f\x03\xe0\x00\x0e\xfa\xd5\xfe\xff\xff\xff\xff"),
    FORM("hash: listpack, every head", "a=127,bb=-4096,ccc=-30000,d=-70000,e=2000000000,f=-5000000000,",
         "\x10\x3f\x3f\x00\x00\x00\x0c\x00\x81"
         "a\x02\x7f\x01\xe0\x02"
         "bb\x04\xd0\x00\x02\xf0\x03\x00\x00\x00"
         "ccc\x08\xf1\xd0\x8a\x03\x81"
         "d\x02\xf2\x90\xee\xfe\x04\x81"
         "e\x02\xf3\x00\x94"
         "5w\x05\x81"
         "f\x02\xf4\x00\x0e\xfa\xd5\xfe\xff\xff\xff\x09\xff"),
    FORM("hash: zipmap, with spare bytes", "a=1,bb=ccc,",
         "\x09\x11\x02\x01"
         "a\x01\x00"
         "1\x02"
         "bb\x03\x02"
         "ccc..\xff"),
    FORM("hash: zipmap of unknown count", "a=1,",
         "\x09\x07\xfe\x01"
         "a\x01\x00"
         "1\xff"),
    FORM("hash: listpack, packed by LZF", "a=1,bb=text,",
         "\x10\xc3\x17\x16\x15\x16\x00\x00\x00\x04\x00\x81"
         "a\x02\x01\x01\x82"
         "bb\x03\x84text\x05\xff"),
    FORM("hash: field by field", "a=-1,bbb=text,",
         "\x04\x02\x01"
         "a\xc0\xff\xc3\x04\x03\x02"
         "bbb\x04text"),
    FORM("set: member by member", "a,300,,",
         "\x02\x03\x01"
         "a\xc1\x2c\x01\x00"),
    FORM("set: intset of 2 bytes", "-300,0,32767,", "\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\xd4\xfe\x00\x00\xff\x7f"),
    FORM("set: intset of 4 bytes", "-70000,1,2000000000,",
         "\x0b\x14\x04\x00\x00\x00\x03\x00\x00\x00\x90\xee\xfe\xff\x01\x00\x00\x00\x00\x94"
         "5w"),
    FORM("set: intset of 8 bytes", "-5000000000,1,2,",
         "\x0b \x08\x00\x00\x00\x03\x00\x00\x00\x00\x0e\xfa\xd5\xfe\xff\xff\xff"
         "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"),
    FORM("set: listpack", "a,1,,",
         "\x14\x0e\x0e\x00\x00\x00\x03\x00\x81"
         "a\x02\x01\x01\x80\x01\xff"),
    FORM("set: listpack, a longer head than needed", "abc,",
         "\x14\x0d\x0d\x00\x00\x00\x01\x00\xe0\x03"
         "abc\x05\xff"),
    FORM("sorted set: scores as text", "a=-inf,b=-1.5,7=17,d=inf,",
         "\x03\x04\x01"
         "a\xff\x01"
         "b\x04-1.5\xc0\x07\x02"
         "17\x01"
         "d\xfe"),
    FORM("sorted set: scores as doubles", "a=-1,b=2.5,",
         "\x05\x02\x01"
         "b\x00\x00\x00\x00\x00\x00\x04\x40\x01"
         "a\x00\x00\x00\x00\x00\x00\xf0\xbf"),
    FORM("sorted set: ziplist", "a=-100,b=2.5,",
         "\x0c\x19\x19\x00\x00\x00\x13\x00\x00\x00\x04\x00\x00\x01"
         "a\x03\xfe\x9c\x03\x01"
         "b\x03\x03"
         "2.5\xff"),
    FORM("sorted set: listpack", "a=-100,b=2.5,",
         "\x11\x15\x15\x00\x00\x00\x04\x00\x81"
         "a\x02\xdf\x9c\x02\x81"
         "b\x02\x83"
         "2.5\x04\xff"),
    FORM("list: ziplist", "a,0,,-300,",
         "\x0a\x16\x16\x00\x00\x00\x11\x00\x00\x00\x04\x00\x00\x01"
         "a\x03\xf1\x02\x00\x02\xc0\xd4\xfe\xff"),
    FORM("list: ziplists, one packed by LZF", "a,1,2,",
         "\x0e\x02\x0e\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x01"
         "a\xff\xc3\x10\x0f\x0e\x0f\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf2\x02\xf3\xff"),
    FORM("list: listpacks and an element of its own", "a,1,alone,300,",
         "\x12\x03\x02\x0c\x0c\x00\x00\x00\x02\x00\x81"
         "a\x02\x01\x01\xff\x01\x05"
         "alone\x02\xc3\x0c\x0b\x0a\x0b\x00\x00\x00\x01\x00\xf1\x2c\x01\x03\xff"),
#undef FORM
};

static struct rdb_bytes file_of(const struct form *form)
{
    struct rdb_bytes b = rdb_begin("REDIS0012");
    add(&b, form->bytes, 1);
    ADD(&b, "\001k");
    add(&b, form->bytes + 1, form->len - 1);
    rdb_end(&b);
    return b;
}

/* What stands under "k" after loading in windows that grow by `step` bytes. */
static void expect_form(const struct form *form, struct rdb_bytes file, size_t step)
{
    struct rdb_read_options options = {.now_ms = NOW_MS};
    struct text text = {0};
    struct fed fed = feed_with(file, step, &options);
    cr_assert_eq(fed.status, RDB_DONE, "%s: %s", form->name, fed.error);
    const struct record *r = find(fed.ks, 0, "k");
    cr_assert(r, "%s", form->name);
    say_value(&text, r);
    cr_assert_str_eq(text.text, form->text, "%s: %s", form->name, text.text);
    feed_free(&fed);
}

Test(rdb_forms, every_form_is_read)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct rdb_bytes file = file_of(&forms[i]);
        expect_form(&forms[i], file, 1);
        expect_form(&forms[i], file, file.len);
        free(file.data);
    }
}

/* Whatever single bit is wrong: read or refused, never a step outside. */
Test(rdb_forms, no_damage_does_harm)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct rdb_bytes file = file_of(&forms[i]);
        struct rdb_read_options options = {.now_ms = NOW_MS};
        size_t first = 8 * 9, behind = 8 * (file.len - 9);
        memset(file.data + file.len - 8, 0, 8); /* without a checksum */
        for (size_t bit = first; bit < behind; bit++) {
            file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct fed fed = feed_with(file, file.len, &options);
            feed_free(&fed);
            file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        free(file.data);
    }
}

/* Lengths from 254 on take five bytes. */
Test(rdb_forms, zipmap_with_a_long_value)
{
    static const char head[] = "\x09\001k\x41\x36\001\001a\xfe\x2c\001\0\0\0";
    char text[300];
    memset(text, 'x', sizeof text);
    struct rdb_bytes b = rdb_begin("REDIS0004");
    add(&b, head, sizeof head - 1);
    add(&b, text, sizeof text);
    ADD(&b, "\xff\xff");
    struct fed fed = feed(b);
    cr_assert_eq(fed.status, RDB_DONE, "%s", fed.error);
    const struct record *r = find(fed.ks, 0, "k");
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct packed_value value;
    cr_assert(hash_get(&h, BYTES("a"), &value));
    cr_assert(value.len == sizeof text && memcmp(value.ptr, text, sizeof text) == 0);
    feed_free(&fed);
    free(b.data);
}
