/* See slow_log.h. Server process. */
#include "server/core/observe/slow_log.h"

#include "server/base/alloc.h"
#include "server/core/command/secrets.h"

#include <stdio.h>
#include <string.h>

#define REMARK_BYTES 48 /* "... (18446744073709551615 more bytes)" */

struct slow_log {
    struct list entries; /* newest first */
    uint64_t next_id;
};

struct slow_log *slow_log_new(void)
{
    struct slow_log *l = mem_calloc(1, sizeof *l);
    list_init(&l->entries);
    return l;
}

/* Text that is put into the entry piece by piece. */
static struct bytes place(uint8_t **at, const void *text, size_t len)
{
    struct bytes placed = bytes_make(*at, len);
    if (len) memcpy(*at, text, len);
    *at += len;
    return placed;
}

static struct bytes place_argument(uint8_t **at, struct bytes argument)
{
    size_t shown = argument.len < SLOW_LOG_ARGUMENT_BYTES ? argument.len : SLOW_LOG_ARGUMENT_BYTES;
    struct bytes placed = place(at, argument.ptr, shown);
    if (shown == argument.len) return placed;
    char remark[REMARK_BYTES];
    int len = snprintf(remark, sizeof remark, "... (%zu more bytes)", argument.len - shown);
    placed.len += place(at, remark, (size_t)len).len;
    return placed;
}

static struct bytes place_remainder(uint8_t **at, uint32_t arguments)
{
    char remark[REMARK_BYTES];
    int len = snprintf(remark, sizeof remark, "... (%u more arguments)", arguments);
    return place(at, remark, (size_t)len);
}

static struct bytes shown_argument(const struct slow_command *c, uint32_t i)
{
    return secrets_have(c->secrets, i) ? BYTES("(redacted)") : c->argv[i];
}

static size_t text_bytes(const struct slow_command *c, uint32_t whole)
{
    size_t total = strlen(c->address) + c->client_name.len + REMARK_BYTES;
    for (uint32_t i = 0; i < whole; i++) {
        size_t len = shown_argument(c, i).len;
        total += len <= SLOW_LOG_ARGUMENT_BYTES ? len : SLOW_LOG_ARGUMENT_BYTES + REMARK_BYTES;
    }
    return total;
}

static struct slow_entry *entry_new(const struct slow_command *c)
{
    bool clipped = c->argc > SLOW_LOG_ARGUMENTS;
    uint32_t whole = clipped ? SLOW_LOG_ARGUMENTS - 1 : c->argc;
    struct slow_entry *e = mem_calloc(1, sizeof *e + text_bytes(c, whole));
    uint8_t *at = e->text;
    e->at_s = c->at_s;
    e->took_us = c->took_us;
    e->address = place(&at, c->address, strlen(c->address));
    e->client_name = place(&at, c->client_name.ptr, c->client_name.len);
    for (uint32_t i = 0; i < whole; i++) e->argv[i] = place_argument(&at, shown_argument(c, i));
    if (clipped) e->argv[whole] = place_remainder(&at, c->argc - whole);
    e->argc = whole + clipped;
    return e;
}

static void shorten_to(struct slow_log *l, uint64_t length)
{
    while (l->entries.count > length) {
        struct slow_entry *oldest = list_entry(l->entries.head.prev, struct slow_entry, node);
        list_remove(&l->entries, &oldest->node);
        mem_free(oldest);
    }
}

void slow_log_add(struct slow_log *l, const struct slow_command *command, uint64_t max_len)
{
    struct slow_entry *e = entry_new(command);
    e->id = l->next_id++;
    list_push_front(&l->entries, &e->node);
    shorten_to(l, max_len);
}

size_t slow_log_length(const struct slow_log *l)
{
    return l->entries.count;
}

void slow_log_reset(struct slow_log *l)
{
    shorten_to(l, 0);
}

const struct slow_entry *slow_log_next(const struct slow_log *l, const struct slow_entry *e)
{
    const struct list_node *next = e ? e->node.next : l->entries.head.next;
    return next == &l->entries.head ? NULL : list_entry(next, const struct slow_entry, node);
}
