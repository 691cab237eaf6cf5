/* What the stream says that not every replica knows (repl/stream_words.h), and who hears it. Server process of the
 * master, or of a replica that passes its master's stream on.
 *
 * Ours, Redis 8 and Valkey say who they are. Of others, which may be anything from 6.2 to 7.4, is known what
 * rdb-write-for says, and which RDB version they have taken over: of one that reads 10 that it is no 6.2, of one that
 * reads 12 that fields may expire. As long as a 6.2 may be here, statistics do not leave in words of 7.0. Whoever may
 * not know what has to leave is let go in front of it, and does not continue from there: it gets a snapshot, or, where
 * that has no form for the data either, a refusal with its reason. */
#include "repl/master_side.h"

#include "rdb/form.h"
#include "rdb/format.h"

#include <assert.h>

#define VALKEY_9          (9 << 16)                      /* as struct follower_hello has versions */
#define STRANGER_KNOWN_MS ((int64_t)24 * 60 * 60 * 1000) /* it may come back, and continue */
#define EXPECTED_MS       60000                          /* by then (repl-timeout) replicas have missed their master */

static enum rdb_write_for configured(const struct replication *r)
{
    return (enum rdb_write_for)r->rdb_settings->write_for;
}

/* Whether it knows them, once it has taken over a snapshot of this RDB version. */
static bool would_know(const struct follower *f, enum stream_words words, int reads)
{
    switch (words) {
    case WORDS_OF_7_0:
        if (!follower_is_stranger(f)) return true;
        return configured(f->r) == RDB_FOR_AUTO ? reads >= RDB_VERSION_FUNCTION : configured(f->r) > RDB_FOR_6_2;
    case WORDS_OF_FIELD_EXPIRY:
        if (!rdb_form_has_field_expiry(f->form)) return false;
        return !follower_is_stranger(f) || configured(f->r) != RDB_FOR_AUTO || reads >= RDB_VERSION_FIELD_EXPIRY;
    case WORDS_OF_REDIS_8:
        if (f->hello.lz4 || f->hello.rdb_channel) return true;
        return follower_is_stranger(f) && would_know(f, WORDS_OF_FIELD_EXPIRY, reads);
    case WORDS_OF_VALKEY_9: return f->hello.lz4 || f->hello.version >= VALKEY_9;
    case STREAM_WORDS: break;
    }
    return true;
}

static bool knows(const struct follower *f, enum stream_words words)
{
    return would_know(f, words, f->reads);
}

/* What is appended now will be sent to it. */
static bool hears(const struct follower *f)
{
    return f->slot >= 0 && !f->hello.rdb_only && f->machine.state < FOLLOWER_REJECTED;
}

/* For the log: what it is let go for. */
static const char *reason(const struct follower *f, enum stream_words words)
{
    switch (words) {
    case WORDS_OF_7_0: return "our master's stream has options of Redis 7.0, which it does not know";
    case WORDS_OF_REDIS_8: return "our master's stream has words of Redis 8, which it may not know";
    case WORDS_OF_VALKEY_9: return "our master's stream has words of Valkey 9 or Redis 8.2, which it may not know";
    case WORDS_OF_FIELD_EXPIRY:
    case STREAM_WORDS: break;
    }
    return rdb_form_has_field_expiry(f->form)
               ? "fields of hashes expire now: whether it knows that, a snapshot has to show"
               : "fields of hashes expire now, which it does not know";
}

static void let_go(struct follower *f, enum stream_words words)
{
    refusals_note_astray(&f->r->master->refusals, f->name, replication_now_ms(f->r));
    follower_end(f, reason(f, words));
}

static_assert(STREAM_WORDS <= SHM_WORDS, "the backlog has a place for each");

/* Our heir, if we are killed, goes on with what we said. */
static void note_said(struct replication *r, enum stream_words words, uint64_t offset)
{
    struct backlog *b = repl_stream_backlog(r->stream);
    r->master->said_at[words] = offset;
    if (b) backlog_set_words_at(b, (int)words, offset);
}

void replication_says(struct replication *r, enum stream_words words)
{
    /* A master's are taken to be known by its whole chain, unless it is said otherwise;
     * ours leave where all know them. */
    if (words == WORDS_OF_7_0 && replication_is_replica(r) && configured(r) != RDB_FOR_6_2) return;
    note_said(r, words, repl_stream_history(r->stream)->offset + 1);
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (hears(f) && !knows(f, words)) let_go(f, words);
    }
}

bool replication_may_say_7_0(const struct replication *r)
{
    int64_t seen_ms = r->master->stranger_ms;
    if (configured(r) != RDB_FOR_AUTO) return configured(r) != RDB_FOR_6_2;
    int64_t expecting_ms = r->master->expecting_ms, now_ms = replication_now_ms(r);
    if (expecting_ms && now_ms - expecting_ms < EXPECTED_MS) return false;
    if (seen_ms && now_ms - seen_ms <= STRANGER_KNOWN_MS) return false;
    list_each(&r->master->followers, node)
    {
        if (follower_may_be_6_2(list_entry(node, struct follower, node))) return false;
    }
    return true;
}

bool words_may_continue(const struct follower *f, uint64_t from)
{
    const struct master_side *m = f->r->master;
    if (refusals_is_astray(&m->refusals, f->name)) return false;
    for (enum stream_words w = 0; w < STREAM_WORDS; w++)
        if (m->said_at[w] >= from && !knows(f, w)) return false;
    return knows(f, WORDS_OF_FIELD_EXPIRY) || rdb_hashes_with_expiry(f->r->keyspace) == 0;
}

bool words_may_take(const struct follower *f, const struct snapshot *s)
{
    if (f->hello.rdb_only) return true;
    int version = snapshot_version_least(s), reads = version > f->reads ? version : f->reads;
    for (enum stream_words w = 0; w < STREAM_WORDS; w++)
        if (f->r->master->said_at[w] > s->offset && !would_know(f, w, reads)) return false;
    return true;
}

void words_expect(struct replication *r)
{
    r->master->expecting_ms = replication_now_ms(r);
}

void words_cron(struct replication *r)
{
    bool fields_expire = rdb_hashes_with_expiry(r->keyspace) > 0;
    /* Who leads us, and its other replicas, follow us after a promotion, and continue. */
    if (replica_side_follows_others(r)) r->master->stranger_ms = replication_now_ms(r);
    list_each(&r->master->followers, node)
    {
        struct follower *f = list_entry(node, struct follower, node);
        if (f->machine.state == FOLLOWER_ONLINE) reads_here(f);
        if (fields_expire && hears(f) && !knows(f, WORDS_OF_FIELD_EXPIRY)) let_go(f, WORDS_OF_FIELD_EXPIRY);
    }
}

void words_forgotten(struct replication *r)
{
    for (enum stream_words w = 0; w < STREAM_WORDS; w++) note_said(r, w, 0);
}

void words_opened(struct replication *r)
{
    const struct backlog *b = repl_stream_backlog(r->stream);
    for (enum stream_words w = 0; w < STREAM_WORDS; w++) r->master->said_at[w] = backlog_words_at(b, (int)w);
}
