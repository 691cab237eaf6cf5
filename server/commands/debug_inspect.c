/* DEBUG's subcommands that look inside. Server process.
 *
 * The names are Redis's, and so is the form where tools read it; what is told is of our own structures. */
#include "server/commands/debug_inspect.h"

#include "server/base/alloc.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/listpack.h"
#include "server/data/quicklist.h"
#include "server/data/zset.h"
#include "server/keyspace/keyspace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* NULL: there is none, and this is answered. */
static struct record *record_of_arg(struct call *call)
{
    struct record *r = database_peek(call->db, call->argv[2], key_hash(call->argv[2]));
    if (!r) reply_error(call->reply, "ERR no such key");
    return r;
}

/* --- hash tables --- */

static int print_table(char *out, size_t room, size_t slots, size_t elements, size_t segments, size_t chained)
{
    return snprintf(out, room,
                    "Hash table 0 stats (main hash table):\n"
                    " table size: %zu\n"
                    " number of elements: %zu\n"
                    " segments, each split alone: %zu\n"
                    " buckets beyond a full one: %zu\n",
                    slots, elements, segments, chained);
}

void debug_htstats(struct call *call)
{
    int64_t index;
    char text[1024];
    if (!call_arg_i64(call, 2, &index, NULL)) return;
    if (index < 0 || index >= keyspace_databases(call->core->keyspace))
        return reply_error(call->reply, "ERR Out of range database");
    struct database_table t = database_table(keyspace_database(call->core->keyspace, (int)index));
    int len = snprintf(text, sizeof text, "[Dictionary HT]\n");
    len += print_table(text + len, sizeof text - (size_t)len, t.slots, t.records, t.segments, t.chained);
    len += snprintf(text + len, sizeof text - (size_t)len,
                    "[Expires HT]\n"
                    "No table of its own: %zu of those above have an expiry, and their buckets say which.\n",
                    t.expiring);
    reply_verbatim(call->reply, bytes_make(text, (size_t)len), "txt");
}

static const struct member_table *table_of(const struct record *r)
{
    const void *object = record_object(r);
    switch (record_encoding(r)) {
    case ENCODING_HASHTABLE: return object;
    case ENCODING_SKIPLIST: return &((const struct zset_tree *)object)->table;
    default: return NULL;
    }
}

void debug_htstats_key(struct call *call)
{
    const struct record *r = record_of_arg(call);
    if (!r) return;
    const struct member_table *t = table_of(r);
    if (!t)
        return reply_error(call->reply,
                           "ERR The value stored at the specified key is not represented using an hash table");
    char text[1024];
    size_t slots = (t->segments << t->bucket_bits) * MEMBER_BUCKET_SLOTS;
    int len = print_table(text, sizeof text, slots, t->count, t->segments, t->chained);
    reply_verbatim(call->reply, bytes_make(text, (size_t)len), "txt");
}

/* --- clients --- */

void debug_client_eviction(struct call *call)
{
    struct client_bucket b;
    char text[4096];
    size_t len = 0;
    for (size_t i = 0; clients_memory_bucket(call->core->clients, i, &b); i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "bucket %10zu", b.from);
        if (b.below)
            len += (size_t)snprintf(text + len, sizeof text - len, " - %10zu", b.below - 1);
        else
            len += (size_t)snprintf(text + len, sizeof text - len, "+            ");
        len += (size_t)snprintf(text + len, sizeof text - len, ": tot-mem: %10zu, clients: %zu\n", b.bytes, b.clients);
    }
    if (!len) return reply_error(call->reply, "ERR maxmemory-clients is disabled.");
    reply_verbatim(call->reply, bytes_make(text, len), "txt");
}

/* --- one key --- */

/* Key and value stand in one block of the record store, or outside of it where they are long; neither has spare room
 * but what the allocator gave. */
void debug_sdslen(struct call *call)
{
    const struct record *r = record_of_arg(call);
    char scratch[I64_TEXT_MAX], text[256];
    if (!r) return;
    if (record_type(r) != TYPE_STRING || record_is_integer(r))
        return reply_error(call->reply, "ERR Not an sds encoded string.");
    snprintf(text, sizeof text,
             "key_sds_len:%zu, key_sds_avail:0, key_zmalloc: 0, val_sds_len:%zu, val_sds_avail:0, val_zmalloc: %zu",
             record_key(r).len, record_string(r, scratch).len, record_memory(r));
    reply_simple(call->reply, text);
}

void debug_structsize(struct call *call)
{
    char text[256];
    snprintf(text, sizeof text, "bits:%d table:%zu member_table:%zu member_bucket:%zu zset_tree:%zu",
             (int)sizeof(void *) * 8, sizeof(struct database_table), sizeof(struct member_table),
             sizeof(struct member_bucket), sizeof(struct zset_tree));
    reply_simple(call->reply, text);
}

static void print_element(void *number, struct packed_value v)
{
    size_t *at = number;
    if (v.ptr)
        printf("%zu: %zu bytes \"%.*s\"\n", *at, v.len, (int)(v.len < 64 ? v.len : 64), (const char *)v.ptr);
    else
        printf("%zu: %" PRId64 "\n", *at, v.integer);
    ++*at;
}

void debug_listpack(struct call *call)
{
    const struct record *r = record_of_arg(call);
    size_t number = 0;
    if (!r) return;
    if (record_encoding(r) != ENCODING_LISTPACK) return reply_error(call->reply, "ERR Not a listpack encoded object.");
    uint8_t *pack = record_object(r);
    printf("{total bytes %zu} {num entries %zu}\n", listpack_bytes(pack), listpack_length(pack));
    for (uint8_t *e = listpack_first(pack); e; e = listpack_next(pack, e)) print_element(&number, listpack_get(e));
    fflush(stdout);
    reply_simple(call->reply, "Listpack structure printed on stdout");
}

void debug_quicklist(struct call *call)
{
    struct record *r = record_of_arg(call);
    if (!r) return;
    if (record_encoding(r) != ENCODING_QUICKLIST)
        return reply_error(call->reply, "ERR Not a quicklist encoded object.");
    const struct quicklist *ql = record_object(r);
    printf("{count: %zu}\n{size: %zu}\n{bytes: %zu}\n", quicklist_count(ql), quicklist_nodes(ql),
           quicklist_memory(ql, 0));
    fflush(stdout);
    reply_simple(call->reply, "Quicklist structure printed on stdout");
}

/* --- the allocator --- */

void debug_mallctl(struct call *call)
{
    int64_t value, wanted = 0;
    if (call->argc > 3 && !call_arg_i64(call, 3, &wanted, NULL)) return;
    char *name = bytes_to_text(call->argv[2]);
    if (mem_control(name, &value, call->argc > 3 ? &wanted : NULL))
        reply_errorf(call->reply, "ERR %s", strerror(errno));
    else
        reply_integer(call->reply, value);
    mem_free(name);
}

/* VOID as a value: the name is one to act, which takes none and has none. */
void debug_mallctl_str(struct call *call)
{
    char *name = bytes_to_text(call->argv[2]);
    char *wanted = call->argc > 3 ? bytes_to_text(call->argv[3]) : NULL;
    const char *value = NULL;
    if (mem_control_text(name, &value, wanted))
        reply_errorf(call->reply, "ERR %s", strerror(errno));
    else if (value)
        reply_bulk_text(call->reply, value);
    else
        reply_ok(call->reply);
    mem_free(wanted);
    mem_free(name);
}
