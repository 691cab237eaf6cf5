/* See log.h. Server process. */
#include "server/acl/log.h"

#include "server/base/alloc.h"

#define SAME_WITHIN_MS     60000
#define LOOKED_AT_FOR_SAME 10

static struct bytes copied(struct bytes text)
{
    uint8_t *copy = mem_alloc(text.len + 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    return bytes_make(copy, text.len);
}

struct acl_log *acl_log_new(void)
{
    struct acl_log *log = mem_calloc(1, sizeof *log);
    list_init(&log->entries);
    return log;
}

static bool is_same(const struct acl_log_entry *e, const struct acl_refusal *r, int64_t now_ms)
{
    const struct acl_refusal *old = &e->refusal;
    return old->reason == r->reason && old->context == r->context && now_ms - e->updated_ms <= SAME_WITHIN_MS &&
           bytes_equal(old->object, r->object) && bytes_equal(old->username, r->username);
}

static struct acl_log_entry *find_same(const struct acl_log *log, const struct acl_refusal *r, int64_t now_ms)
{
    int looked_at = 0;
    list_each(&log->entries, node)
    {
        struct acl_log_entry *e = list_entry(node, struct acl_log_entry, node);
        if (looked_at++ == LOOKED_AT_FOR_SAME) break;
        if (is_same(e, r, now_ms)) return e;
    }
    return NULL;
}

static void drop(struct acl_log *log, struct acl_log_entry *e)
{
    list_remove(&log->entries, &e->node);
    mem_free((void *)e->refusal.object.ptr);
    mem_free((void *)e->refusal.username.ptr);
    mem_free((void *)e->refusal.client.ptr);
    mem_free(e);
}

static struct acl_log_entry *make(struct acl_log *log, const struct acl_refusal *r, int64_t now_ms)
{
    struct acl_log_entry *e = mem_calloc(1, sizeof *e);
    e->refusal = *r;
    e->refusal.object = copied(r->object);
    e->refusal.username = copied(r->username);
    e->refusal.client = copied(r->client);
    e->id = log->next_id++;
    e->created_ms = now_ms;
    return e;
}

void acl_log_add(struct acl_log *log, const struct acl_refusal *refusal, int64_t now_ms, uint64_t max_len)
{
    if (!max_len) return;
    struct acl_log_entry *e = find_same(log, refusal, now_ms);
    if (e) {
        list_remove(&log->entries, &e->node);
        mem_free((void *)e->refusal.client.ptr);
        e->refusal.client = copied(refusal->client);
    } else {
        e = make(log, refusal, now_ms);
    }
    e->count++;
    e->updated_ms = now_ms;
    list_push_front(&log->entries, &e->node);
    while (log->entries.count > max_len) drop(log, list_entry(log->entries.head.prev, struct acl_log_entry, node));
}

void acl_log_clear(struct acl_log *log)
{
    list_each(&log->entries, node) drop(log, list_entry(node, struct acl_log_entry, node));
}

const char *acl_reason_name(enum acl_reason reason)
{
    static const char *const names[] = {"", "command", "key", "auth", "channel"};
    return names[reason];
}

const char *acl_context_name(enum acl_context context)
{
    static const char *const names[] = {"toplevel", "lua", "multi", "module"};
    return names[context];
}
