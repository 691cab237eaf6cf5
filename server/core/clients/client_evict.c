/* maxmemory-clients: what all clients together may hold, in the server process.
 *
 * With a limit, what a client holds is noted whenever it has been heard or written to, and clients stand in buckets by
 * it, one for each power of two; over the limit the first of the highest bucket goes, and the next, until it is kept.
 * So the largest go first, near enough, and nobody sorts or walks. That is looked at before each request, so that what
 * one turn answers to many clients neither passes the limit nor costs keys under maxmemory. Without a limit there are
 * no buckets, and cron alone notes. Replicas and our master do not count; a client that is not to be evicted counts,
 * and stands in no bucket. */
#include "server/core/clients/clients_parts.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/settings.h"

/* The first bucket holds all below 32 KiB, the last all from 4 GiB on, as in Redis. */
#define FIRST_BUCKET_BITS 15

static struct list *bucket_for(struct clients *all, size_t bytes)
{
    size_t above = bytes >> FIRST_BUCKET_BITS, at = 0;
    while (above && at < CLIENT_BUCKETS - 1) above >>= 1, at++;
    return &all->buckets[at];
}

bool clients_memory_bucket(const struct clients *all, size_t at, struct client_bucket *out)
{
    if (at >= CLIENT_BUCKETS || !all->memory_limit) return false;
    *out = (struct client_bucket){.from = at ? (size_t)1 << (FIRST_BUCKET_BITS + at - 1) : 0,
                                  .below = at < CLIENT_BUCKETS - 1 ? (size_t)1 << (FIRST_BUCKET_BITS + at) : 0,
                                  .clients = all->buckets[at].count};
    list_each(&all->buckets[at], node) out->bytes += list_entry(node, struct client, in_bucket)->memory_noted;
    return true;
}

static bool may_be_evicted(const struct client *c)
{
    return c->core->clients->memory_limit && !c->session.no_evict && !c->follower && !c->handed_over && !c->close_asap;
}

void client_account_now(struct client *c)
{
    if (c->close_asap) return;
    client_note_memory(c);
    struct list *bucket = may_be_evicted(c) ? bucket_for(c->core->clients, c->memory_noted) : NULL;
    if (bucket == c->bucket) return;
    client_leave_bucket(c);
    if (bucket) list_push_back(bucket, &c->in_bucket);
    c->bucket = bucket;
}

static struct client *largest(struct clients *all)
{
    for (size_t i = CLIENT_BUCKETS; i-- > 0;) {
        struct list_node *node = list_first(&all->buckets[i]);
        if (node) return list_entry(node, struct client, in_bucket);
    }
    return NULL;
}

static void evict(struct client *c)
{
    log_notice("Evicting client id=%llu, which holds %zu bytes: clients are over maxmemory-clients, %zu bytes",
               (unsigned long long)c->session.id, c->memory_noted, c->core->clients->memory_limit);
    c->core->stats->evicted_clients++;
    client_close(c);
}

/* What was noted of a client may have left meanwhile, so each one is looked at again before it goes. */
static void keep_limit(struct clients *all)
{
    while (all->memory > all->memory_limit) {
        struct client *c = largest(all);
        if (!c) return;
        size_t noted = c->memory_noted;
        client_account_now(c);
        if (c->bucket && c->memory_noted >= noted) evict(c);
    }
}

void clients_keep_memory(struct clients *all)
{
    if (unlikely(all->memory_limit && all->memory > all->memory_limit)) keep_limit(all);
}

static size_t limit_now(const struct settings *s)
{
    if (!s->net.maxmemory_clients_percent) return s->net.maxmemory_clients_bytes;
    return s->keyspace.maxmemory_bytes / 100 * (size_t)s->net.maxmemory_clients_percent;
}

void clients_limit_changed(struct clients *all)
{
    bool limited = all->memory_limit > 0;
    all->memory_limit = limit_now(all->core->settings);
    if (limited == (all->memory_limit > 0)) return;
    list_each(&all->all, node) client_account_now(list_entry(node, struct client, node));
}

void clients_limit_start(struct clients *all)
{
    for (size_t i = 0; i < CLIENT_BUCKETS; i++) list_init(&all->buckets[i]);
    clients_limit_changed(all);
}
