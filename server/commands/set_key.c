/* Opening and saving the set at a key. Server process. */
#include "server/commands/set_key.h"

bool set_key_open(struct set_key *k, struct call *call, uint32_t arg)
{
    *k = (struct set_key){.call = call, .key = call->argv[arg], .hash = call_key_hash(call, arg)};
    struct record *r = call_find_write(call, arg);
    if (call_wrong_type(call, r, TYPE_SET)) return false;
    k->record = r;
    if (r) k->set = set_at(r);
    return true;
}

void set_key_save(struct set_key *k, const char *event)
{
    struct database *db = k->call->db;
    k->record = database_keep_object(db, k->record, k->key, k->hash, TYPE_SET, k->set.encoding, k->set.object);
    k->set = set_at(k->record);
    call_key_modified(k->call, db, k->key);
    call_event(k->call, NOTIFY_SET, event, db, k->key);
    if (set_count(&k->set) > 0) return;
    call_delete_key(k->call, k->key, k->hash, true);
    k->record = NULL;
}

void set_key_replace(struct call *call, uint32_t arg, struct set *result, const char *event)
{
    struct bytes key = call->argv[arg];
    uint64_t hash = call_key_hash(call, arg);
    if (result && set_count(result) > 0) {
        database_set_object(call->db, key, hash, TYPE_SET, result->encoding, result->object, false);
        call_key_modified(call, call->db, key);
        call_event(call, NOTIFY_SET, event, call->db, key);
        call_changed(call, 1);
        return;
    }
    if (result) set_free(result);
    if (!call_find(call, call->db, key, LOOKUP_WRITE)) return;
    call_delete_key(call, key, hash, true);
    call_changed(call, 1);
}
