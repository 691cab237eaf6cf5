/* MULTI and DISCARD: requests that wait for EXEC (core/run/exec.h). Server process. */
#ifndef SLIPSTREAM_CORE_SESSION_TRANSACTION_H
#define SLIPSTREAM_CORE_SESSION_TRANSACTION_H

#include "server/core/session/session.h"

struct command_entry;
struct watches;

struct queued_command {
    struct command_entry *command;
    uint32_t argc;
    struct bytes *argv; /* one block: the slices, then their bytes */
};

void transaction_begin(struct session *s);
void transaction_queue(struct session *s, struct command_entry *command, uint32_t argc, const struct bytes *argv);
void transaction_spoil(struct session *s); /* a command was refused while queueing: EXEC answers EXECABORT */
void transaction_discard(struct watches *w, struct session *s);
/* What EXEC is judged by: the flags that any queued command has, of CMD_LEAVES those that all of them have. */
uint32_t transaction_flags(const struct session *s);
size_t transaction_length(const struct session *s);
size_t transaction_memory(const struct session *s); /* bytes; 0 outside of one */

/* For EXEC. */
bool transaction_is_spoiled(const struct session *s);
const struct queued_command *transaction_queued(const struct transaction *t); /* transaction_length of them */
void transaction_free(struct session *s);                                     /* without its watched keys */

#endif
