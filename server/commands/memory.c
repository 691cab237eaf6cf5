/* MEMORY: what keys and the server take of it. Server process. */
#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/commands/tables.h"
#include "server/commands/text_reply.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/info/memory_usage.h"
#include "server/core/run/call.h"

#include <stdio.h>

static void memory_usage_command(struct call *call)
{
    int64_t samples = VALUE_MEMORY_SAMPLES;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (!call_arg_is(call, i, "samples") || i + 1 == call->argc) return call_syntax_error(call);
        if (!call_arg_i64(call, i + 1, &samples, NULL)) return;
        if (samples < 0) return call_syntax_error(call);
    }
    struct record *r = call_find(call, call->db, call->argv[2], LOOKUP_NO_TOUCH | LOOKUP_NO_STATS | LOOKUP_NO_NOTIFY);
    if (r)
        reply_integer(call->reply, (int64_t)record_memory_sampled(r, (size_t)samples));
    else
        reply_null(call->reply);
}

/* --- MEMORY STATS --- */

/* A reply that is a map, and how much of it there is. */
struct stats_reply {
    struct reply *to;
    size_t fields;
};

static void bytes_field(struct stats_reply *r, const char *name, size_t bytes)
{
    reply_bulk_text(r->to, name);
    reply_integer(r->to, (int64_t)bytes);
    r->fields++;
}

static void ratio_field(struct stats_reply *r, const char *name, double ratio)
{
    reply_bulk_text(r->to, name);
    reply_double(r->to, ratio);
    r->fields++;
}

static void gap_fields(struct stats_reply *r, const char *ratio_name, const char *bytes_name, size_t outer,
                       size_t inner)
{
    ratio_field(r, ratio_name, memory_ratio(outer, inner));
    reply_bulk_text(r->to, bytes_name);
    reply_integer(r->to, (int64_t)outer - (int64_t)inner);
    r->fields++;
}

/* A key's expiry stands in its record, and which keys have one is a part of the table itself. */
static void database_fields(struct stats_reply *r, struct keyspace *ks)
{
    for (int i = 0; i < keyspace_databases(ks); i++) {
        const struct database *db = keyspace_database(ks, i);
        char name[32];
        if (!database_size(db)) continue;
        snprintf(name, sizeof name, "db.%d", i);
        reply_bulk_text(r->to, name);
        reply_map(r->to, 3);
        struct stats_reply inner = {r->to, 0};
        bytes_field(&inner, "overhead.hashtable.main", database_table_bytes(db));
        bytes_field(&inner, "overhead.hashtable.expires", 0);
        bytes_field(&inner, "overhead.hashtable.slot-to-keys", 0);
        r->fields++;
    }
}

static void usage_fields(struct stats_reply *r, const struct memory_usage *u)
{
    size_t net = u->used > u->at_start ? u->used - u->at_start : 0;
    bytes_field(r, "overhead.total", u->overhead);
    bytes_field(r, "keys.count", u->keys);
    bytes_field(r, "keys.bytes-per-key", u->keys ? net / u->keys : 0);
    bytes_field(r, "dataset.bytes", u->dataset);
    ratio_field(r, "dataset.percentage", memory_ratio(u->dataset, net) * 100);
    ratio_field(r, "peak.percentage", memory_ratio(u->used, u->peak) * 100);
    bytes_field(r, "allocator.allocated", u->allocator.allocated);
    bytes_field(r, "allocator.active", u->allocator.active);
    bytes_field(r, "allocator.resident", u->allocator.resident);
    gap_fields(r, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes", u->allocator.active,
               u->allocator.allocated);
    gap_fields(r, "allocator-rss.ratio", "allocator-rss.bytes", u->allocator.resident, u->allocator.active);
    gap_fields(r, "rss-overhead.ratio", "rss-overhead.bytes", u->resident, u->allocator.resident);
    gap_fields(r, "fragmentation", "fragmentation.bytes", u->resident, u->used);
}

static void memory_stats(struct call *call)
{
    struct memory_usage u = memory_usage(call->core);
    struct reply_deferred all;
    struct stats_reply r = {call->reply, 0};
    reply_deferred_begin(call->reply, &all);
    bytes_field(&r, "peak.allocated", u.peak);
    bytes_field(&r, "total.allocated", u.used);
    bytes_field(&r, "startup.allocated", u.at_start);
    bytes_field(&r, "replication.backlog", u.shared - u.for_replicas);
    bytes_field(&r, "clients.slaves", u.for_replicas + u.replica_clients);
    bytes_field(&r, "clients.normal", u.clients);
    bytes_field(&r, "cluster.links", 0);
    bytes_field(&r, "aof.buffer", 0);
    bytes_field(&r, "lua.caches", 0);
    bytes_field(&r, "functions.caches", 0);
    database_fields(&r, call->core->keyspace);
    usage_fields(&r, &u);
    reply_deferred_map(call->reply, &all, r.fields);
}

/* --- the allocator --- */

static void memory_doctor_command(struct call *call)
{
    struct memory_usage u = memory_usage(call->core);
    const struct clients *all = call->core->clients;
    size_t replicas = clients_count_handed_over(all);
    struct outq text = {0};
    memory_doctor(&u, clients_count(all) - replicas, replicas, &text);
    reply_text_of(call->reply, &text);
}

static void memory_purge(struct call *call)
{
    if (mem_purge())
        reply_error(call->reply, "ERR Error purging dirty pages");
    else
        reply_ok(call->reply);
}

static void add_text(void *out, const char *text)
{
    outq_append(out, text, strlen(text));
}

static void memory_malloc_stats(struct call *call)
{
    struct outq text = {0};
    mem_report(add_text, &text);
    reply_text_of(call->reply, &text);
}

static void memory_help(struct call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
        NULL,
    };
    call_help(call, lines);
}

#define EACH (TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_SPECIAL)

static const struct command memory_subcommands[] = {
    {"doctor", memory_doctor_command, 2, 0, 0, .tips = EACH},
    {"help", memory_help, 2, CMD_LOADING | CMD_STALE, 0},
    {"malloc-stats", memory_malloc_stats, 2, 0, 0, .tips = EACH},
    {"purge", memory_purge, 2, 0, 0, .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ALL_SUCCEEDED},
    {"stats", memory_stats, 2, 0, 0, .tips = EACH},
    {"usage", memory_usage_command, -3, CMD_READONLY, 0, KEYS(KEY_AT(2, KEY_RO))},
    {.name = NULL},
};

const struct command memory_commands[] = {
    {"memory", call_unknown_subcommand, -2, 0, 0, .subcommands = memory_subcommands},
    {.name = NULL},
};
