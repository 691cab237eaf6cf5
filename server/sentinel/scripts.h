/* The administrator's scripts: notification-script at each warning, client-reconfig-script at a new master. Sentinel
 * process.
 *
 * As documented: one that ends with 1, or by a signal, is tried again, ten times in all and each time after twice the
 * time; with 2 or more it is not. After 60 seconds it is killed. 16 run at once, 256 may wait. */
#ifndef SLIPSTREAM_SENTINEL_SCRIPTS_H
#define SLIPSTREAM_SENTINEL_SCRIPTS_H

#include "server/resp/writer.h"
#include "server/sentinel/sentinel.h"

struct sentinel_scripts;

/* `periods` outlives it. */
struct sentinel_scripts *sentinel_scripts_new(const struct sentinel_periods *periods);
/* `words`: the path, and what follows it; copied. The oldest that waits makes room where there is none. */
void sentinel_scripts_add(struct sentinel_scripts *s, int count, const char *const *words);
/* At each tick: ends, begins, kills. */
void sentinel_scripts_tick(struct sentinel_scripts *s, int64_t now_ms);
int sentinel_scripts_running(const struct sentinel_scripts *s);
int sentinel_scripts_waiting(const struct sentinel_scripts *s); /* those that run included */
void sentinel_scripts_show(const struct sentinel_scripts *s, struct reply *reply, int64_t now_ms); /* PENDING-SCRIPTS */

#endif
