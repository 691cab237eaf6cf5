/* See restore_effect.h. Server process.
 *
 * No payload of such a hash is read by all who know them: Redis 8 takes none of Valkey's, Valkey 9 none of Redis's. So
 * it leaves as HSET, HPEXPIREAT and PEXPIREAT in one unit, which both know. */
#include "server/commands/restore_effect.h"

#include "server/base/number.h"
#include "server/data/hash.h"
#include "server/keyspace/keyspace.h"

#define FIELDS_EACH    64 /* in one command */
#define HEAD_OF_VALUES 2  /* words of HSET in front of the first field */

struct effect {
    struct call *call;
    struct bytes key;
    uint32_t argc;
    struct bytes argv[5 + 2 * FIELDS_EACH];
    char text[2 * FIELDS_EACH][I64_TEXT_MAX]; /* of words that are numbers */
};

static void send_command(struct effect *e)
{
    call_rewrite(e->call, e->call->db, e->argc, e->argv);
    e->argc = 0;
}

static void begin(struct effect *e, struct bytes name)
{
    e->argv[0] = name;
    e->argv[1] = e->key;
    e->argc = 2;
}

static void put_word(struct effect *e, const struct packed_value *word, uint32_t place)
{
    e->argv[e->argc++] = packed_text(word, e->text[place]);
}

static void send_values(struct effect *e, const struct hash *h)
{
    struct hash_walk w;
    struct hash_pair pair;
    begin(e, BYTES("HSET"));
    hash_walk_start(&w, h);
    while (hash_walk_next(&w, &pair)) {
        if (e->argc == HEAD_OF_VALUES + 2 * FIELDS_EACH) {
            send_command(e);
            begin(e, BYTES("HSET"));
        }
        put_word(e, &pair.field, e->argc - HEAD_OF_VALUES);
        put_word(e, &pair.value, e->argc - HEAD_OF_VALUES);
    }
    send_command(e);
}

/* Fields that come one behind the other with the same time go together. */
static void send_times(struct effect *e, const struct hash *h)
{
    char ms[I64_TEXT_MAX], count[I64_TEXT_MAX];
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms, at_ms = HASH_NO_EXPIRY;
    uint32_t fields = 0;
    hash_walk_start(&w, h);
    for (bool more = true; more;) {
        more = hash_walk_next_timed(&w, &pair, &expire_ms);
        if (more && expire_ms == HASH_NO_EXPIRY) continue;
        if (fields && (!more || expire_ms != at_ms || fields == FIELDS_EACH)) {
            e->argv[2] = bytes_make(ms, format_i64(ms, at_ms));
            e->argv[3] = BYTES("FIELDS");
            e->argv[4] = bytes_make(count, format_i64(count, fields));
            send_command(e);
            fields = 0;
        }
        if (!more) break;
        if (!fields) {
            begin(e, BYTES("HPEXPIREAT"));
            e->argc = 5;
            at_ms = expire_ms;
        }
        put_word(e, &pair.field, fields++);
    }
}

void restore_effect_propagate(struct call *call, const struct record *r)
{
    struct effect e;
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r), 0};
    if (call->from_master) return;
    call_says(call, WORDS_OF_FIELD_EXPIRY);
    e.call = call;
    e.key = record_key(r);
    send_values(&e, &h);
    send_times(&e, &h);
    if (record_expire_ms(r) == RECORD_NO_EXPIRY) return;
    begin(&e, BYTES("PEXPIREAT"));
    e.argv[e.argc++] = bytes_make(e.text[0], format_i64(e.text[0], record_expire_ms(r)));
    send_command(&e);
}
