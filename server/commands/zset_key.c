/* Opening and saving the sorted set at a key. Server process. */
#include "server/commands/zset_key.h"

#include "server/commands/packed_reply.h"

bool zset_key_find(struct call *call, uint32_t arg, struct record **r, struct zset *z)
{
    *r = call_find_read(call, arg);
    if (call_wrong_type(call, *r, TYPE_ZSET)) return false;
    if (*r) *z = zset_at(*r);
    return true;
}

bool zset_key_open(struct zset_key *k, struct call *call, uint32_t arg)
{
    *k = (struct zset_key){.call = call, .key = call->argv[arg], .hash = call_key_hash(call, arg)};
    struct record *r = call_find_write(call, arg);
    if (call_wrong_type(call, r, TYPE_ZSET)) return false;
    k->record = r;
    if (r) k->zset = zset_at(r);
    return true;
}

void zset_key_save(struct zset_key *k, const char *event)
{
    struct database *db = k->call->db;
    k->record = database_keep_object(db, k->record, k->key, k->hash, TYPE_ZSET, k->zset.encoding, k->zset.object);
    k->zset = zset_at(k->record);
    call_key_modified(k->call, db, k->key);
    call_event(k->call, NOTIFY_ZSET, event, db, k->key);
    if (zset_count(&k->zset) > 0) return;
    call_delete_key(k->call, k->key, k->hash, true);
    k->record = NULL;
}

void zset_key_replace(struct call *call, uint32_t arg, const struct zset *result, const char *event)
{
    struct bytes key = call->argv[arg];
    uint64_t hash = call_key_hash(call, arg);
    if (result) {
        database_set_object(call->db, key, hash, TYPE_ZSET, result->encoding, result->object, false);
        call_key_modified(call, call->db, key);
        call_event(call, NOTIFY_ZSET, event, call->db, key);
        call_changed(call, 1);
    } else if (call_find(call, call->db, key, LOOKUP_WRITE)) {
        call_delete_key(call, key, hash, true);
        call_changed(call, 1);
    }
}

void reply_zset_entries(struct reply *r, size_t count, bool with_scores)
{
    reply_array(r, with_scores && r->protocol == 2 ? count * 2 : count);
}

void reply_zset_entry(struct reply *r, const struct zset_entry *entry, bool with_scores)
{
    if (with_scores && r->protocol == 3) reply_array(r, 2);
    reply_packed(r, &entry->member);
    if (with_scores) reply_double(r, entry->score);
}
