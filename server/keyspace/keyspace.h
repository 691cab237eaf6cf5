/* The data: numbered databases of records, with expiry, in the server process. Knows no clients and no replication.
 *
 * Keys are looked up by hash. The caller computes the hash once (key_hash) and may use it to prefetch: first the
 * bucket, later the record, then find; a pipeline of commands overlaps its cache misses that way.
 *
 * Time is the caller's: every function that judges expiry takes now_ms. What must become known outside (a key expired
 * or evicted, so that DEL is propagated) is told through the hooks. Large values are freed by a worker, so the owner
 * calls workers_start() first. */
#ifndef SLIPSTREAM_KEYSPACE_KEYSPACE_H
#define SLIPSTREAM_KEYSPACE_KEYSPACE_H

#include "server/base/hash.h"
#include "server/base/random.h"
#include "server/keyspace/libraries.h"
#include "server/keyspace/record.h"
#include "server/keyspace/settings.h"
#include "server/keyspace/store.h"

struct keyspace;
struct database;

enum keyspace_removal { KEY_EXPIRED, KEY_EVICTED };

struct keyspace_hooks {
    void *context;
    /* A key is about to be removed by time or memory pressure; `key` is valid for the call. */
    void (*removing)(void *context, struct database *db, struct bytes key, enum keyspace_removal why);
    /* It is gone, and its value with it if it was not left to the worker. Told while keyspace_time_removals() is on. */
    void (*removed)(void *context, enum keyspace_removal why, int64_t took_us);
    /* Fields of a hash have run out and are gone, so many at most as FIELDS_REAPED_AT_ONCE; `gone`: they were the last,
     * and the key goes behind them. None are named where the key goes with all that are left. */
    void (*fields_expired)(void *context, struct database *db, struct bytes key, const struct bytes *fields,
                           size_t count, bool gone);
    /* A key that was not there has come, by whatever way. */
    void (*added)(void *context, struct database *db, struct bytes key);
    /* The time by which a key that is overwritten without a look is judged: one that has run out goes first. NULL: it
     * is never asked for. */
    int64_t (*now_ms)(void *context);
};

struct keyspace_stats {
    uint64_t hits, misses, expired, evicted;
    uint64_t expired_stale_perc_x100, expired_time_cap_reached, expire_cycle_us;
    uint64_t lazyfree_pending, lazyfreed;
    uint64_t expired_fields;
};

struct keyspace *keyspace_new(int databases, const struct keyspace_settings *settings,
                              const struct keyspace_hooks *hooks);
void keyspace_free(struct keyspace *ks);
int keyspace_databases(const struct keyspace *ks);
struct database *keyspace_database(struct keyspace *ks, int index);
struct keyspace_stats *keyspace_stats(struct keyspace *ks);
struct random_state *keyspace_random(struct keyspace *ks);
/* Of the whole dataset; no flush and no swap of databases changes them. */
struct libraries *keyspace_libraries(struct keyspace *ks);
/* Said before a reader begins, for the whole of what it reads; at first DATASET_GIVES_WAY. */
void keyspace_set_meeting(struct keyspace *ks, enum dataset_meeting meeting);
/* Who compiles them, before there are any; `host` lives as long. A keyspace made beside this one has the same. */
void keyspace_set_library_host(struct keyspace *ks, const struct library_host *host);
int database_index(const struct database *db);
struct keyspace *database_keyspace(const struct database *db);

/* --- modes the owner switches --- */
/* A replica never removes an expired key by itself: it only hides it until its master's DEL arrives. */
void keyspace_set_replica(struct keyspace *ks, bool replica);
/* While writes are paused: what has expired is only hidden, and nothing is evicted. */
void keyspace_set_held(struct keyspace *ks, bool held);
/* While a file's commands are run again: what has expired since was there when they ran, with its expiry. */
void keyspace_set_replaying(struct keyspace *ks, bool replaying);
/* A snapshot child shares our pages: no access-clock updates, no table splits that can wait. */
void keyspace_set_snapshot_running(struct keyspace *ks, bool running);
void keyspace_set_active_expiry(struct keyspace *ks, bool on); /* DEBUG SET-ACTIVE-EXPIRE */
bool keyspace_active_expiry(const struct keyspace *ks);
/* LRU seconds or LFU; cron refreshes it. Monotonic: only differences count, and a step of the wall clock is no use. */
void keyspace_set_access_clock(struct keyspace *ks, int64_t steady_ms);

void keyspace_time_removals(struct keyspace *ks, bool on); /* for the latency monitor: each reads the clock twice */

void keyspace_policy_changed(struct keyspace *ks); /* maxmemory-policy: at its change, before the next command */

/* --- look up --- */
static inline uint64_t key_hash(struct bytes key)
{
    return hash_bytes(key);
}
void database_prefetch_bucket(const struct database *db, uint64_t hash);
void database_prefetch_record(const struct database *db, uint64_t hash); /* after the bucket has had time to arrive */

enum lookup_flags {
    LOOKUP_READ = 0,
    LOOKUP_WRITE = 1,
    LOOKUP_NO_TOUCH = 2,
    LOOKUP_NO_STATS = 4,
    LOOKUP_KEEP_EXPIRED = 8,
    LOOKUP_TOUCH = 16,    /* for core/run/call.h: under NO-TOUCH, too */
    LOOKUP_NO_NOTIFY = 32 /* for core/run/call.h: a miss is no event */
};
/* NULL when absent or expired. READ counts hit or miss. A master removes an expired key; a replica only hides it.
 * LOOKUP_KEEP_EXPIRED: the raw record whatever its expiry (a replica applying its master's stream). */
struct record *database_find(struct database *db, struct bytes key, uint64_t hash, int64_t now_ms, unsigned flags);

/* Who has met an expired record during a walk gives it here afterwards: it goes, unless such keys are only hidden. */
void database_met_expired(struct database *db, struct record *r);

/* Removes the key if it has expired and a replica only hides it; its owner wants to write under that name. */
void database_remove_hidden(struct database *db, struct bytes key, uint64_t hash, int64_t now_ms);

/* The record as it is, expired or not, and without a trace: for looking ahead. */
struct record *database_peek(const struct database *db, struct bytes key, uint64_t hash);

size_t database_size(const struct database *db);
bool database_is_exhausted(const struct database *db); /* one key more, and the server aborts: its record store ends */
/* Beyond what any client may fill: who cannot be refused (a master's stream) had better stop. */
bool database_reserve_is_low(const struct database *db);
size_t database_expiring(const struct database *db);
int64_t database_average_ttl_ms(const struct database *db); /* estimate, kept by the active cycle */
struct record *database_random(struct database *db, int64_t now_ms, bool only_expiring); /* NULL: none */

/* --- change. Each returns the record's new address. ---
 * `keep_expiry` false clears an expiry. An existing value of any type is freed (aside when large). */
struct record *database_set_string(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                   bool keep_expiry);
/* No integer detection: what INCRBYFLOAT wants. */
struct record *database_set_text(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                 bool keep_expiry);
/* The value is stored as given, no integer detection: what APPEND, SETRANGE and a raw load want. */
struct record *database_set_string_raw(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                       bool keep_expiry);
struct record *database_set_integer(struct database *db, struct bytes key, uint64_t hash, int64_t value,
                                    bool keep_expiry);
/* Takes the object. */
struct record *database_set_object(struct database *db, struct bytes key, uint64_t hash, enum value_type type,
                                   enum value_encoding encoding, void *object, bool keep_expiry);
/* Stores the object that a command has made of the one of r, which it has freed or reused unless that stands inside; or
 * a new one, where the key had none: r is NULL. Does nothing when it is still the same. The object is taken, and may
 * end inside: what there is now is record_object's. */
struct record *database_keep_object(struct database *db, struct record *r, struct bytes key, uint64_t hash,
                                    enum value_type type, enum value_encoding encoding, void *object);
/* RECORD_NO_EXPIRY clears. */
struct record *database_set_expiry(struct database *db, struct record *r, int64_t expire_ms);
/* Makes the string raw, `len` bytes long (zero-filled when grown), with room to grow further unless it was empty; *data
 * is writable until the next mutation. APPEND, SETRANGE, SETBIT. */
struct record *database_string_resize(struct database *db, struct record *r, size_t len, uint8_t **data);
/* A hash whose fields expire, or did: after every change of it. was_ms: hash_next_expiry() before the change. */
void database_fields_changed(struct database *db, const struct record *r, uint64_t hash, int64_t was_ms);
/* A hash that is met: some of its dead fields go, unless what is dead is only hidden. Returns where the record is now;
 * NULL: it had no others, and is gone. */
#define FIELDS_REAPED_AT_ONCE 64
struct record *database_reap_fields(struct database *db, struct record *r, uint64_t hash, int64_t now_ms);
/* The dead among the fields that a command is about to set, every step-th of `count` words: they go first, as whoever
 * follows sees them as living, and a change that keeps what a field has would be another one there. */
struct record *database_reap_named(struct database *db, struct record *r, uint64_t hash, int64_t now_ms,
                                   const struct bytes *fields, size_t count, size_t step);
/* A hash whose fields are all dead, however many. False: it is only hidden. */
bool database_remove_dead_hash(struct database *db, struct record *r, uint64_t hash);
size_t database_timed_hashes(const struct database *db);                  /* hashes whose fields expire */
const struct record *database_next_timed_hash(const struct database *db); /* the next that is due; NULL: none */
/* For RESTORE; -1 leaves it. Which of the two counts depends on the eviction policy. */
void database_set_access(struct database *db, struct record *r, int64_t idle_s, int lfu_counter);

/* False: there was none. aside: the value is freed by a worker when large. */
bool database_delete(struct database *db, struct bytes key, uint64_t hash, bool aside);
/* Moves the whole record (value, expiry) under another key or database without copying an object. The destination must
 * not exist. RENAME, MOVE. */
struct record *database_move(struct database *from, struct record *r, struct database *to, struct bytes key,
                             uint64_t hash);
/* COPY: a deep copy with its expiry; the destination must not exist. */
struct record *database_copy(struct record *r, struct database *to, struct bytes key, uint64_t hash);

/* aside: a worker frees the data, in a time that the caller does not notice however much it is. */
void database_flush(struct database *db, bool aside);
void keyspace_flush(struct keyspace *ks, bool aside);
void keyspace_swap(struct keyspace *ks, int a, int b); /* SWAPDB: contents change places, `struct database *` stay */
/* All contents of two keyspaces with as many databases change places, libraries, too; `struct database *`, modes and
 * statistics stay. */
void keyspace_exchange(struct keyspace *a, struct keyspace *b);
/* An empty one with the same number of databases and settings, of which nobody is told. */
struct keyspace *keyspace_new_beside(const struct keyspace *ks);
/* A loader announces how many keys will come. A hint: heeded for an empty database, and within bounds. */
void database_reserve(struct database *db, size_t keys);

/* --- walk --- */
/* SCAN: visits about `count` records and returns the next cursor, 0 at the end. Every record present during the whole
 * scan is visited at least once, through any growth or shrinking; expired ones, too. Nothing may change during the
 * call. A cursor is the leading 48 bits of the next hash to visit: it stays below 2^63, and any number is valid. */
uint64_t database_scan(struct database *db, uint64_t cursor, size_t count, void (*visit)(void *arg, struct record *r),
                       void *arg);
/* Every record once, nothing may change meanwhile (a snapshot child, DEBUG DIGEST): the fastest walk, prefetching.
 * Stops when visit does not return 0. */
void database_walk(struct database *db, int (*visit)(void *arg, struct record *r), void *arg);

/* --- time and memory --- */
/* The active expiry cycle: removes expired keys for at most budget_us, oldest position first. Returns keys removed. */
size_t keyspace_expire_cycle(struct keyspace *ks, int64_t now_ms, int64_t budget_us);
/* Removes the key if its time has come, also where expired keys are only hidden. false: it still has its time; true:
 * there is nothing (more) to wait for. */
bool database_expire_key(struct database *db, struct bytes key, uint64_t hash, int64_t now_ms);
/* The same for fields of hashes, in the order of their time. */
void keyspace_expire_fields(struct keyspace *ks, int64_t now_ms, int64_t budget_us);
/* Evicts until memory is under maxmemory or the time that maxmemory-eviction-tenacity allows is over: 0 fine, 1 more to
 * do, -1 nothing to evict (OOM). used_bytes: what counts against maxmemory. */
int keyspace_evict(struct keyspace *ks, int64_t steady_ms, size_t used_bytes);
/* A database's record store can hold 32 GiB. When one nears its end: the same for that store, as keyspace_evict
 * answers; -1 is not OOM, but full. */
static inline bool keyspace_pressed(void)
{
    return stores_any_pressed();
}
int keyspace_relieve_stores(struct keyspace *ks, int64_t steady_ms);
size_t keyspace_lazyfree_pending(void); /* objects */

struct keyspace_memory {
    size_t store_reserved, store_resident, store_used; /* record store: mapped, touched, in live records */
    size_t table_bytes;                                /* directories and segments */
};
void keyspace_memory(const struct keyspace *ks, struct keyspace_memory *out);
size_t database_table_bytes(const struct database *db); /* its part of table_bytes */

/* DEBUG HTSTATS: the shape of a database's hash table. */
struct database_table {
    size_t records, expiring;
    size_t slots; /* of all buckets, those beyond a full one aside */
    size_t segments, chained;
};
struct database_table database_table(const struct database *db);

/* OBJECT FREQ / IDLETIME */
/* What eviction goes by under the present maxmemory-policy. */
enum access_kind { ACCESS_NONE, ACCESS_IDLE, ACCESS_FREQUENCY };
enum access_kind keyspace_access_kind(const struct keyspace *ks);
int64_t keyspace_idle_s(const struct keyspace *ks, const struct record *r);
int keyspace_lfu(const struct keyspace *ks, const struct record *r);

/* DEBUG DIGEST: the 20 bytes a real Redis would answer for the same data (data/digest.h has the construction). */
void keyspace_digest(struct keyspace *ks, uint8_t out[20]);
void record_digest_value(const struct record *r, uint8_t out[20]); /* DEBUG DIGEST-VALUE */

#endif
