/* DEBUG DIGEST over records; the construction is described in data/digest.h. Server process. */
#include "server/data/digest.h"

#include "server/keyspace/database.h"

static void mix_value(const struct record *r, uint8_t digest[DIGEST_BYTES])
{
    enum value_type type = record_type(r);
    digest_mix_type(digest, type);
    if (type == TYPE_STRING) {
        char scratch[I64_TEXT_MAX];
        digest_mix(digest, record_string(r, scratch));
    } else {
        value_ops(type)->digest(record_object(r), record_encoding(r), digest);
    }
    if (record_expire_ms(r) != RECORD_NO_EXPIRY) digest_xor(digest, BYTES("!!expire!!"));
}

void record_digest_value(const struct record *r, uint8_t out[DIGEST_BYTES])
{
    memset(out, 0, DIGEST_BYTES);
    mix_value(r, out);
}

static int add_record(void *arg, struct record *r)
{
    uint8_t digest[DIGEST_BYTES] = {0};
    digest_mix(digest, record_key(r));
    mix_value(r, digest);
    digest_xor(arg, bytes_make(digest, DIGEST_BYTES));
    return 0;
}

void keyspace_digest(struct keyspace *ks, uint8_t out[DIGEST_BYTES])
{
    memset(out, 0, DIGEST_BYTES);
    for (int i = 0; i < ks->count; i++) {
        if (ks->databases[i].table.count == 0) continue;
        digest_mix_u32(out, (uint32_t)i);
        database_walk(&ks->databases[i], add_record, out);
    }
}
