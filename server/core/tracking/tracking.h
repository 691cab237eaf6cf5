/* Client-side caching: sessions that hear when a key changes that they may hold a copy of. Server process.
 *
 * The keys a session reads are known from the rows of the commands that it runs (tracking_note_command), or it has
 * asked for all keys with certain prefixes (BCAST). Changes are heard of as a key watcher. What goes out is a push in
 * RESP3, and in RESP2 a message to the session that the first one named, by REDIRECT. */
#ifndef SLIPSTREAM_CORE_TRACKING_TRACKING_H
#define SLIPSTREAM_CORE_TRACKING_TRACKING_H

#include "server/core/session/session.h"

struct key_watchers;
struct tracking;

/* What is asked of who knows all sessions. */
struct tracking_host {
    void *context;
    struct session *(*find)(void *context, uint64_t id); /* NULL: gone, or going */
};

/* max_keys: tracking-table-max-keys, read whenever keys are added; 0: no limit. */
struct tracking *tracking_new(struct key_watchers *watchers, const struct tracking_host *host,
                              const uint64_t *max_keys);

/* modes: enum session_tracking. redirect: the id of whoever hears of it instead, 0: nobody. Prefixes join those that
 * there are. A session that tracks already keeps what it has read. */
void tracking_start(struct tracking *t, struct session *s, uint8_t modes, uint64_t redirect,
                    const struct bytes *prefixes, size_t prefix_count);
void tracking_stop(struct tracking *t, struct session *s); /* also of a session that does not track */
uint64_t tracking_redirect(const struct session *s);       /* 0: it hears itself */
/* Of its prefixes one that overlaps `prefix`; ptr NULL: none does. */
struct bytes tracking_overlapping_prefix(const struct session *s, struct bytes prefix);
size_t tracking_prefix_count(const struct session *s);
void tracking_list_prefixes(const struct session *s, struct bytes *out); /* in byte order; room for all of them */
size_t tracking_memory(const struct session *s);                         /* bytes, about, of what it has asked for */

/* CLIENT CACHING, which `command` is, is about the next command of s that does not belong to CLIENT. */
void tracking_say_caching(struct tracking *t, struct session *s, const struct command_entry *command);
/* A command of s has run. What it reads is remembered. */
void tracking_note_command(struct tracking *t, const struct session *s, const struct command_entry *command,
                           uint32_t argc, const struct bytes *argv);

/* Once a turn: what has changed under prefixes is told. */
void tracking_before_send(struct tracking *t);
/* Takes up to `most` keys off a table that is over its limit, or that nobody is left to hear of. true:
 * there are more. */
bool tracking_trim(struct tracking *t, size_t most);

struct tracking_figures {
    size_t sessions, keys, items, prefixes;
};
struct tracking_figures tracking_figures(const struct tracking *t);

#endif
