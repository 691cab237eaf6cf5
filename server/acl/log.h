/* ACL LOG: who was refused what, the newest first. Server process.
 *
 * The same refusal again, among the ten newest and within a minute, counts on its entry, which becomes the newest. */
#ifndef SLIPSTREAM_ACL_LOG_H
#define SLIPSTREAM_ACL_LOG_H

#include "server/acl/permit.h"
#include "server/base/list.h"

enum acl_context { ACL_TOPLEVEL, ACL_LUA, ACL_MULTI, ACL_MODULE };

struct acl_refusal {
    enum acl_reason reason;
    enum acl_context context;
    struct bytes object;   /* what was refused: a command's full name, a key, a channel; of AUTH the command's name */
    struct bytes username; /* who wanted it */
    struct bytes client;   /* CLIENT LIST's line, without its line feed */
};

struct acl_log_entry {
    struct list_node node;
    struct acl_refusal refusal; /* its slices are owned */
    uint64_t id, count;
    int64_t created_ms, updated_ms; /* wall clock */
};

struct acl_log {
    struct list entries; /* struct acl_log_entry.node */
    uint64_t next_id;
};

struct acl_log *acl_log_new(void);
/* Copies what it keeps; at most `max_len` entries are left. */
void acl_log_add(struct acl_log *log, const struct acl_refusal *refusal, int64_t now_ms, uint64_t max_len);
void acl_log_clear(struct acl_log *log);

const char *acl_reason_name(enum acl_reason reason);    /* "command" */
const char *acl_context_name(enum acl_context context); /* "toplevel" */

#endif
