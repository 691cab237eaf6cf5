/* The queue between MULTI and EXEC, in the server process. */
#include "server/core/session/transaction.h"

#include "server/base/alloc.h"
#include "server/core/command/command_table.h"
#include "server/core/session/watch.h"

struct transaction {
    struct queued_command *queue;
    size_t length, capacity;
    size_t queued_bytes;          /* of the requests */
    uint32_t flags, common_flags; /* of any, and of all in the queue */
    bool spoiled;
};

void transaction_begin(struct session *s)
{
    s->transaction = mem_calloc(1, sizeof *s->transaction);
    s->transaction->common_flags = UINT32_MAX;
}

void transaction_queue(struct session *s, struct command_entry *command, uint32_t argc, const struct bytes *argv)
{
    struct transaction *t = s->transaction;
    if (t->spoiled) return; /* EXEC will refuse: nothing to remember */
    size_t bytes = argc * sizeof(struct bytes);
    for (uint32_t i = 0; i < argc; i++) bytes += argv[i].len;
    if (t->length == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 8;
        t->queue = mem_realloc(t->queue, t->capacity * sizeof *t->queue);
    }
    struct queued_command *q = &t->queue[t->length++];
    *q = (struct queued_command){command, argc, mem_alloc(bytes)};
    t->queued_bytes += bytes;
    uint8_t *at = (uint8_t *)(q->argv + argc);
    for (uint32_t i = 0; i < argc; i++) {
        memcpy(at, argv[i].ptr, argv[i].len);
        q->argv[i] = bytes_make(at, argv[i].len);
        at += argv[i].len;
    }
    t->flags |= command->row->flags;
    t->common_flags &= command->row->flags;
}

void transaction_spoil(struct session *s)
{
    s->transaction->spoiled = true;
}

void transaction_free(struct session *s)
{
    struct transaction *t = s->transaction;
    s->transaction = NULL;
    for (size_t i = 0; i < t->length; i++) mem_free(t->queue[i].argv);
    mem_free(t->queue);
    mem_free(t);
}

void transaction_discard(struct watches *w, struct session *s)
{
    transaction_free(s);
    watch_forget_all(w, s);
}

uint32_t transaction_flags(const struct session *s)
{
    const struct transaction *t = s->transaction;
    return (t->flags & ~(uint32_t)CMD_LEAVES) | (t->common_flags & CMD_LEAVES);
}

size_t transaction_length(const struct session *s)
{
    return s->transaction->length;
}

size_t transaction_memory(const struct session *s)
{
    const struct transaction *t = s->transaction;
    return t ? sizeof *t + t->capacity * sizeof *t->queue + t->queued_bytes : 0;
}

bool transaction_is_spoiled(const struct session *s)
{
    return s->transaction->spoiled;
}

const struct queued_command *transaction_queued(const struct transaction *t)
{
    return t->queue;
}
