/* The slow log: the last commands that took longer than `slowlog-log-slower-than`. Pure: who runs commands says which
 * were slow, and when.
 *
 * An entry keeps the request clipped to what a person reads of it (SLOWLOG GET documents the bounds): 32 arguments, the
 * last of which then says how many more there were, and 128 bytes of each. */
#ifndef SLIPSTREAM_CORE_OBSERVE_SLOW_LOG_H
#define SLIPSTREAM_CORE_OBSERVE_SLOW_LOG_H

#include "server/base/bytes.h"
#include "server/base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define SLOW_LOG_ARGUMENTS      32
#define SLOW_LOG_ARGUMENT_BYTES 128

struct slow_log;

/* A command as it ran; nothing of it is kept but copies. */
struct slow_command {
    int64_t at_s; /* since the epoch, when it ended */
    int64_t took_us;
    uint32_t argc;
    const struct bytes *argv;
    uint64_t secrets; /* core/command/secrets.h: shown as (redacted) */
    const char *address;
    struct bytes client_name;
};

struct slow_entry {
    struct list_node node;
    uint64_t id; /* never given twice, SLOWLOG RESET or not */
    int64_t at_s, took_us;
    struct bytes address, client_name;
    uint32_t argc; /* SLOW_LOG_ARGUMENTS at most */
    struct bytes argv[SLOW_LOG_ARGUMENTS];
    uint8_t text[]; /* what all of these point into */
};

struct slow_log *slow_log_new(void);
/* The oldest entries beyond max_len go; 0: nothing is kept, and the id is used up all the same. */
void slow_log_add(struct slow_log *l, const struct slow_command *command, uint64_t max_len);
size_t slow_log_length(const struct slow_log *l);
void slow_log_reset(struct slow_log *l);
/* Newest first: for (e = slow_log_next(l, NULL); e; e = slow_log_next(l, e)) */
const struct slow_entry *slow_log_next(const struct slow_log *l, const struct slow_entry *e);

#endif
