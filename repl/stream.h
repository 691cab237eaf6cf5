/* The stream: one history of bytes, and the backlog that keeps its end for those who follow it. Server process, whether
 * it is a master, which feeds the stream, or a replica, which relays its master's.
 *
 * Exactly one exists. Whoever appends to it or changes its history does so here, so that ids, offset and backlog never
 * disagree; whoever builds on it listens, and is told in the same moment. It knows no sockets and nobody who listens.
 *
 * Without a backlog the stream only counts: a master's offset stands still until its first replica opens one.
 *
 * (`struct stream` alone is the data type.) */
#ifndef SLIPSTREAM_REPL_STREAM_H
#define SLIPSTREAM_REPL_STREAM_H

#include "repl/history.h"
#include "repl/settings.h"
#include "server/base/bytes.h"
#include "server/base/list.h"
#include "shm/adopt.h"

struct repl_stream;

/* A member may be NULL. What it is told has happened to the history already, and not yet to the backlog: its peers,
 * spools and bells are still there. */
struct repl_stream_listener {
    struct list_node node; /* the stream's */
    void *context;
    void (*opened)(void *context);                   /* a backlog exists from now on */
    void (*renamed)(void *context, const char *why); /* the same bytes under another id; the window stays */
    void (*replaced)(void *context);                 /* other bytes: the window is emptied after this call */
    void (*closing)(void *context);                  /* the backlog goes after this call: nothing may point into it */
    /* A peer is too far behind. limit_bytes 0: it had to go for want of memory or descriptors. */
    void (*peer_doomed)(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes);
};

/* `settings` is looked at again in repl_stream_cron(). What a dead server of the same port and working directory has
 * left in shared memory is removed, or with adopt-backlog kept until repl_stream_adopt(), _leave() or _open(). */
struct repl_stream *repl_stream_new(const struct repl_settings *settings, int listening_port);
void repl_stream_free(struct repl_stream *s); /* closes the backlog */
/* Until repl_stream_free(). Listeners are told in the order in which they came. */
void repl_stream_listen(struct repl_stream *s, struct repl_stream_listener *listener);

/* Makes sure that a backlog exists whose first byte is the next one. 0, or -1 with errno (and a line in the log). */
int repl_stream_open(struct repl_stream *s);
/* Closes the backlog. What is appended from now on leaves no trace, so the history gets a new id: the old one must not
 * promise that it could be continued. */
void repl_stream_expire(struct repl_stream *s);

/* The backlog stays for other readers' sake, and no follower may continue from what it has: the window is not there
 * until it is offered again, from then on. */
void repl_stream_withhold(struct repl_stream *s);
int repl_stream_open_withheld(struct repl_stream *s); /* repl_stream_open(), and withheld where there was none */
void repl_stream_offer(struct repl_stream *s);        /* where it is withheld */

/* --- a dead predecessor's --- */
const struct adopt_view *repl_stream_predecessor(const struct repl_stream *s);     /* NULL: nothing is there */
struct bytes repl_stream_left_bytes(const struct repl_stream *s, uint64_t offset); /* adopt_run() */
bool repl_stream_try(struct repl_stream *s);                                       /* adopt_try() */
void repl_stream_leave(struct repl_stream *s); /* it is removed; fine where nothing is there */
/* Its history and its window are ours. 0; -1, logged: nothing has changed. */
int repl_stream_adopt(struct repl_stream *s);
void repl_stream_note_empty(struct repl_stream *s); /* the dataset is empty at the offset reached: for our own heirs */
void repl_stream_set_relayed(struct repl_stream *s, bool relayed); /* it is our master's: for them, too */

void repl_stream_append(struct repl_stream *s, const void *data, size_t len); /* whole commands */
void repl_stream_publish(struct repl_stream *s);              /* once a turn; free when nothing is new */
void repl_stream_cron(struct repl_stream *s, int64_t now_ms); /* some times a second; monotonic */

/* --- changes of history --- */
/* Other bytes: the history `id` as of `offset`; id NULL: one of our own. */
void repl_stream_replace(struct repl_stream *s, const char *id, uint64_t offset);
/* The same bytes under our master's new id; the old one stays as the second. */
void repl_stream_continue_as(struct repl_stream *s, const char *id, const char *why);
/* The same bytes under an id of our own from here on; the old one stays as the second. */
void repl_stream_branch(struct repl_stream *s, const char *why);
/* A fresh id, and nobody is told: what was appended so far cannot be continued by those who do not know it yet. */
void repl_stream_new_id(struct repl_stream *s);

/* --- what there is --- */
const struct history *repl_stream_history(const struct repl_stream *s);
struct resync_window repl_stream_window(const struct repl_stream *s); /* what followers may continue from */
struct backlog *repl_stream_backlog(const struct repl_stream *s); /* for peers, spools and bells alone; NULL: none */
/* Others can read the backlog, or could read it if it were opened. */
bool repl_stream_can_be_shared(const struct repl_stream *s);

#endif
