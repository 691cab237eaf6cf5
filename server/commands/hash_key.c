/* The hash at a key: where it is one whose fields expire, and how what has become of it is kept and told. Server
 * process. */
#include "server/commands/hash_key.h"

bool hash_look_closer(struct call *call, struct record **r)
{
    if (call_wrong_type(call, *r, TYPE_HASH)) return false;
    if (call->from_master) return true;
    *r = database_reap_fields(call->db, *r, call_key_hash(call, 1), call->now_ms);
    if (!*r) return true;
    struct hash h = hash_at(call, *r);
    int64_t next_ms = hash_next_expiry(&h);
    bool any_dead = next_ms != HASH_NO_EXPIRY && next_ms < call->now_ms;
    if (!any_dead || hash_lives(&h)) return true;
    /* Who writes makes a new key: the old one must not be left to those who follow. */
    database_remove_dead_hash(call->db, *r, call_key_hash(call, 1));
    *r = NULL;
    return true;
}

void hash_bury_named(struct call *call, struct record **r, uint32_t first, uint32_t step)
{
    if (!*r || !record_is_timed_hash(*r) || call->from_master) return;
    *r = database_reap_named(call->db, *r, call_key_hash(call, 1), call->now_ms, call->argv + first, call->argc - first,
                             step);
}

void keep_hash(struct call *call, struct open_hash *o)
{
    uint64_t hash = call_key_hash(call, 1);
    int64_t next_ms = next_expiry_of(&o->hash);
    o->record =
        database_keep_object(call->db, o->record, call->argv[1], hash, TYPE_HASH, o->hash.encoding, o->hash.object);
    if (unlikely(next_ms != o->was_ms)) database_fields_changed(call->db, o->record, hash, o->was_ms);
    o->was_ms = next_ms;
    o->hash = hash_at(call, o->record);
}

void hash_written(struct call *call, const char *event, uint64_t changes)
{
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_HASH, event, call->db, call->argv[1]);
    call_changed(call, changes);
}
