/* See base_commands.h. Snapshot child, and the server process at its start. */
#include "server/aof/base_commands.h"

#include "rdb/delay.h"
#include "rdb/encode.h"
#include "rdb/form.h"
#include "server/base/check.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/stream.h"
#include "server/data/stream_group.h"
#include "server/data/zset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define ELEMENTS_EACH     64 /* of a collection in one command, as in Redis */
#define KEYS_PER_PROGRESS 1024
#define WRITE_BACK_BYTES  ((uint64_t)4 * 1024 * 1024)

struct file {
    int fd;
    uint64_t written, write_back_from;
    bool incremental_fsync;
};

struct base {
    struct file file;
    struct rdb_encoder out; /* its buffer alone: nothing is encoded */
    const struct rdb_write_options *options;
    uint64_t keys;
    bool stopped;
};

static int take(void *context, const uint8_t *data, size_t len)
{
    struct file *f = context;
    if (file_write_all(f->fd, data, len) != 0) return -1;
    f->written += len;
    if (f->incremental_fsync && f->written - f->write_back_from >= WRITE_BACK_BYTES) {
        sync_file_range(f->fd, (off64_t)f->write_back_from, (off64_t)(f->written - f->write_back_from),
                        SYNC_FILE_RANGE_WRITE); /* only a hint: what goes wrong is told by fsync */
        f->write_back_from = f->written;
    }
    return 0;
}

/* --- words --- */

static void put_number_line(struct base *b, char prefix, uint64_t number)
{
    char text[I64_TEXT_MAX + 3];
    size_t len = 1;
    text[0] = prefix;
    len += format_u64(text + 1, number);
    text[len++] = '\r';
    text[len++] = '\n';
    rdb_put_raw(&b->out, text, len);
}

static void put_count(struct base *b, uint64_t words)
{
    put_number_line(b, '*', words);
}

static void put_word(struct base *b, struct bytes word)
{
    put_number_line(b, '$', word.len);
    rdb_put_raw(&b->out, word.ptr, word.len);
    rdb_put_raw(&b->out, "\r\n", 2);
}

static void put_text(struct base *b, const char *text)
{
    put_word(b, bytes_from_text(text));
}

static void put_packed(struct base *b, const struct packed_value *value)
{
    char scratch[I64_TEXT_MAX];
    put_word(b, packed_text(value, scratch));
}

static void put_integer(struct base *b, int64_t number)
{
    char text[I64_TEXT_MAX];
    put_word(b, bytes_make(text, format_i64(text, number)));
}

static void put_unsigned(struct base *b, uint64_t number)
{
    char text[I64_TEXT_MAX];
    put_word(b, bytes_make(text, format_u64(text, number)));
}

static void put_id(struct base *b, struct stream_id id)
{
    char text[STREAM_ID_TEXT_MAX];
    put_word(b, bytes_make(text, stream_id_format(text, id)));
}

/* --- collections --- */

/* The head of the next command, when the one before has as many elements as it may. */
struct pieces {
    struct base *base;
    const char *command;
    struct bytes key;
    size_t words_each, left, in_piece; /* elements */
};

static struct pieces pieces_of(struct base *b, const char *command, const struct record *r, size_t count, size_t words)
{
    return (struct pieces){.base = b, .command = command, .key = record_key(r), .words_each = words, .left = count};
}

static void next_element(struct pieces *p)
{
    if (p->in_piece == 0) {
        p->in_piece = p->left < ELEMENTS_EACH ? p->left : ELEMENTS_EACH;
        put_count(p->base, 2 + p->in_piece * p->words_each);
        put_text(p->base, p->command);
        put_word(p->base, p->key);
    }
    p->in_piece--;
    p->left--;
}

static void put_list_element(void *context, struct packed_value value)
{
    struct pieces *p = context;
    next_element(p);
    put_packed(p->base, &value);
}

static void put_list(struct base *b, const struct record *r)
{
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    size_t length = list_length(&l);
    struct pieces p = pieces_of(b, "RPUSH", r, length, 1);
    list_walk(&l, 0, length, put_list_element, &p);
}

static void put_set(struct base *b, const struct record *r)
{
    struct set s = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct pieces p = pieces_of(b, "SADD", r, set_count(&s), 1);
    struct set_walk w;
    struct packed_value member;
    set_walk_start(&w, &s);
    while (set_walk_next(&w, &member)) {
        next_element(&p);
        put_packed(b, &member);
    }
}

static void put_zset(struct base *b, const struct record *r)
{
    struct zset z = {record_encoding(r), record_object(r), record_object_inside(r)};
    struct pieces p = pieces_of(b, "ZADD", r, zset_count(&z), 2);
    struct zset_walk w;
    struct zset_entry e;
    for (zset_walk_start(&w, &z, 0, false); zset_walk_next(&w, &e);) {
        char score[DOUBLE_TEXT_MAX];
        next_element(&p);
        put_word(b, bytes_make(score, format_double(score, e.score)));
        put_packed(b, &e.member);
    }
}

/* One command a field: two seldom have the same time. The fields are there by now. */
static void put_field_expiries(struct base *b, const struct record *r, const struct hash *h)
{
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    hash_walk_start(&w, h);
    while (hash_walk_next_timed(&w, &pair, &expire_ms)) {
        char text[I64_TEXT_MAX];
        if (expire_ms == HASH_NO_EXPIRY) continue;
        put_count(b, 6);
        put_text(b, "HPEXPIREAT");
        put_word(b, record_key(r));
        put_word(b, bytes_make(text, format_i64(text, expire_ms)));
        put_text(b, "FIELDS");
        put_text(b, "1");
        put_packed(b, &pair.field);
    }
}

static void put_hash(struct base *b, const struct record *r)
{
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    struct pieces p = pieces_of(b, "HMSET", r, hash_length(&h), 2);
    struct hash_walk w;
    struct hash_pair pair;
    hash_walk_start(&w, &h);
    while (hash_walk_next(&w, &pair)) {
        next_element(&p);
        put_packed(b, &pair.field);
        put_packed(b, &pair.value);
    }
    if (hash_is_timed(&h)) put_field_expiries(b, r, &h);
}

static void put_string(struct base *b, const struct record *r)
{
    char scratch[I64_TEXT_MAX];
    put_count(b, 3);
    put_text(b, "SET");
    put_word(b, record_key(r));
    put_word(b, record_string(r, scratch));
}

/* --- streams --- */

static void put_entries(struct base *b, struct bytes key, const struct stream *s)
{
    struct stream_cursor c;
    struct packed_value field, value;
    stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, false);
    while (stream_cursor_next(&c)) {
        put_count(b, 3 + 2 * c.field_count);
        put_text(b, "XADD");
        put_word(b, key);
        put_id(b, c.id);
        while (stream_cursor_pair(&c, &field, &value)) {
            put_packed(b, &field);
            put_packed(b, &value);
        }
    }
    stream_cursor_close(&c);
}

/* A stream without entries: one that goes at once. */
static void put_empty_stream(struct base *b, struct bytes key)
{
    put_count(b, 7);
    put_text(b, "XADD");
    put_word(b, key);
    put_text(b, "MAXLEN");
    put_text(b, "0");
    put_text(b, "0-1");
    put_text(b, "x");
    put_text(b, "y");
}

static void put_stream_facts(struct base *b, struct bytes key, const struct stream *s)
{
    bool all = b->options->write_for != RDB_FOR_6_2;
    put_count(b, all ? 7 : 3);
    put_text(b, "XSETID");
    put_word(b, key);
    put_id(b, s->last_id);
    if (!all) return;
    put_text(b, "ENTRIESADDED");
    put_unsigned(b, s->entries_added);
    put_text(b, "MAXDELETEDID");
    put_id(b, s->max_deleted_id);
}

static void put_pending(struct base *b, struct bytes key, struct bytes group, struct bytes consumer,
                        const struct radix_cursor *at)
{
    const struct stream_pending *pending = at->value;
    put_count(b, 12);
    put_text(b, "XCLAIM");
    put_word(b, key);
    put_word(b, group);
    put_word(b, consumer);
    put_text(b, "0");
    put_id(b, stream_id_of_key(at->key.ptr));
    put_text(b, "TIME");
    put_integer(b, pending->delivered_ms);
    put_text(b, "RETRYCOUNT");
    put_unsigned(b, pending->deliveries);
    put_text(b, "JUSTID");
    put_text(b, "FORCE");
}

static void put_consumer(struct base *b, struct bytes key, struct bytes group, const struct stream_consumer *consumer)
{
    struct radix_cursor c;
    struct bytes name = stream_consumer_name(consumer);
    if (consumer->pending.count == 0) {
        put_count(b, 5);
        put_text(b, "XGROUP");
        put_text(b, "CREATECONSUMER");
        put_word(b, key);
        put_word(b, group);
        put_word(b, name);
        return;
    }
    radix_cursor_init(&c, &consumer->pending);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) put_pending(b, key, group, name, &c);
    radix_cursor_close(&c);
}

static void put_group(struct base *b, struct bytes key, struct bytes name, const struct stream_group *g)
{
    bool all = b->options->write_for != RDB_FOR_6_2;
    struct radix_cursor c;
    put_count(b, all ? 7 : 5);
    put_text(b, "XGROUP");
    put_text(b, "CREATE");
    put_word(b, key);
    put_word(b, name);
    put_id(b, g->last_id);
    if (all) put_text(b, "ENTRIESREAD");
    if (all) put_integer(b, g->entries_read);
    radix_cursor_init(&c, &g->consumers);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) put_consumer(b, key, name, c.value);
    radix_cursor_close(&c);
}

static void put_stream(struct base *b, const struct record *r)
{
    const struct stream *s = record_object(r);
    struct bytes key = record_key(r);
    struct radix_cursor c;
    if (s->length)
        put_entries(b, key, s);
    else
        put_empty_stream(b, key);
    put_stream_facts(b, key, s);
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) put_group(b, key, c.key, c.value);
    radix_cursor_close(&c);
}

/* --- the dataset --- */

static void put_value(struct base *b, const struct record *r)
{
    switch (record_type(r)) {
    case TYPE_STRING: put_string(b, r); break;
    case TYPE_LIST: put_list(b, r); break;
    case TYPE_SET: put_set(b, r); break;
    case TYPE_ZSET: put_zset(b, r); break;
    case TYPE_HASH: put_hash(b, r); break;
    case TYPE_STREAM: put_stream(b, r); break;
    default: UNREACHABLE();
    }
}

static void put_expiry(struct base *b, const struct record *r)
{
    if (record_expire_ms(r) == RECORD_NO_EXPIRY) return;
    put_count(b, 3);
    put_text(b, "PEXPIREAT");
    put_word(b, record_key(r));
    put_integer(b, record_expire_ms(r));
}

static int put_record(void *arg, struct record *r)
{
    struct base *b = arg;
    const struct rdb_write_options *options = b->options;
    put_value(b, r);
    put_expiry(b, r);
    b->keys++;
    if (unlikely(options->key_save_delay_us)) rdb_key_delay(options->key_save_delay_us, b->keys);
    bool due = b->keys % KEYS_PER_PROGRESS == 0 || options->key_save_delay_us > 0;
    if (options->progress && due)
        b->stopped = options->progress(options->progress_context, b->keys, rdb_encoder_bytes(&b->out)) != 0;
    return b->out.error != 0 || b->stopped;
}

static void put_libraries(struct base *b, struct keyspace *ks)
{
    const struct libraries *l = keyspace_libraries(ks);
    if (b->options->write_for == RDB_FOR_6_2) return;
    for (size_t i = 0; i < l->count; i++) {
        put_count(b, 3);
        put_text(b, "FUNCTION");
        put_text(b, "LOAD");
        put_word(b, l->sources[i]);
    }
}

static void put_database(struct base *b, struct database *db)
{
    if (database_size(db) == 0) return;
    put_count(b, 2);
    put_text(b, "SELECT");
    put_integer(b, database_index(db));
    database_walk(db, put_record, b);
}

int aof_base_write_commands(struct keyspace *ks, int fd, const struct rdb_write_options *options)
{
    struct base b = {.file = {.fd = fd, .incremental_fsync = options->incremental_fsync}, .options = options};
    char why[RDB_FORM_WHY_BYTES];
    if (!rdb_form_holds(ks, options->write_for, why)) {
        log_warning("No commands for %s are written: %s", rdb_form_reader(options->write_for), why);
        errno = ENOTSUP;
        return -1;
    }
    rdb_encoder_init(&b.out, false, false, take, &b.file);
    put_libraries(&b, ks);
    for (int i = 0; i < keyspace_databases(ks) && !b.out.error && !b.stopped; i++)
        put_database(&b, keyspace_database(ks, i));
    rdb_flush(&b.out);
    if (options->progress && !b.out.error && !b.stopped)
        options->progress(options->progress_context, b.keys, rdb_encoder_bytes(&b.out));
    int error = b.out.error ? b.out.error : b.stopped ? ECANCELED : 0;
    rdb_encoder_free(&b.out);
    if (error == 0) return 0;
    errno = error;
    return -1;
}
