/* See stream.h. Server process. */
#include "repl/stream.h"

#include "server/base/alloc.h"
#include "server/base/crc64.h"
#include "server/base/log.h"
#include "shm/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OBJECT_NAME_BYTES 64
#define TIDY_EVERY_MS     1000 /* the backlog returns memory */

struct repl_stream {
    struct history history;
    struct backlog *backlog; /* NULL: none */
    const struct repl_settings *settings;
    struct backlog_limits limits; /* as last told to the backlog */
    int listening_port;
    int64_t tidied_ms;
    bool relayed;
    bool withheld;         /* followers are not offered what the backlog has */
    uint64_t offered_from; /* ... or nothing before this */
    struct adoption *left; /* by a dead predecessor; NULL: nothing, or it is settled */
    struct list listeners; /* struct repl_stream_listener */
};

/* Calls a member of each listener that has it. */
#define TELL(s, member, ...)                                                                                           \
    list_each(&(s)->listeners, node_)                                                                                  \
    {                                                                                                                  \
        struct repl_stream_listener *listener_ = list_entry(node_, struct repl_stream_listener, node);                 \
        if (listener_->member) listener_->member(listener_->context, ##__VA_ARGS__);                                   \
    }

/* --- the backlog --- */

/* The next server of this port and directory finds what we leave behind if we are killed. */
static void object_name(const struct repl_stream *s, char out[OBJECT_NAME_BYTES])
{
    char directory[4096] = "";
    if (!getcwd(directory, sizeof directory)) directory[0] = '\0';
    snprintf(out, OBJECT_NAME_BYTES, SHM_NAME_PREFIX "%d-%016llx", s->listening_port,
             (unsigned long long)crc64(0, directory, strlen(directory)));
}

static struct backlog_limits wanted_limits(const struct repl_stream *s)
{
    return (struct backlog_limits){s->settings->backlog_bytes, s->settings->output_hard_bytes};
}

static void write_history(struct repl_stream *s)
{
    const struct history *h = &s->history;
    if (s->backlog) backlog_set_history(s->backlog, h->id, h->second_id, h->second_offset);
}

static void peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes)
{
    struct repl_stream *s = context;
    TELL(s, peer_doomed, slot, lag_bytes, limit_bytes);
}

int repl_stream_open(struct repl_stream *s)
{
    if (s->backlog) return 0;
    char name[OBJECT_NAME_BYTES];
    repl_stream_leave(s);
    object_name(s, name);
    struct backlog_events events = {s, peer_doomed};
    s->limits = wanted_limits(s);
    s->backlog = backlog_open(name, s->history.offset + 1, &s->limits, &events);
    if (!s->backlog) {
        log_warning("Can't create the replication backlog of %llu bytes: %s", (unsigned long long)s->limits.rest_bytes,
                    strerror(errno));
        return -1;
    }
    write_history(s);
    backlog_set_relayed(s->backlog, s->relayed);
    TELL(s, opened);
    return 0;
}

static void close_backlog(struct repl_stream *s)
{
    if (!s->backlog) return;
    TELL(s, closing);
    backlog_close(s->backlog);
    s->backlog = NULL;
    s->withheld = false;
    s->offered_from = 0;
}

void repl_stream_withhold(struct repl_stream *s)
{
    s->withheld = s->backlog != NULL;
}

int repl_stream_open_withheld(struct repl_stream *s)
{
    if (s->backlog) return 0;
    if (repl_stream_open(s) != 0) return -1;
    repl_stream_withhold(s);
    return 0;
}

void repl_stream_offer(struct repl_stream *s)
{
    if (!s->withheld) return;
    s->withheld = false;
    s->offered_from = s->history.offset + 1;
}

void repl_stream_expire(struct repl_stream *s)
{
    history_new_id(&s->history);
    close_backlog(s);
}

void repl_stream_append(struct repl_stream *s, const void *data, size_t len)
{
    if (s->backlog) backlog_append(s->backlog, data, len);
    s->history.offset += len;
}

void repl_stream_publish(struct repl_stream *s)
{
    if (s->backlog) backlog_publish(s->backlog);
}

static void follow_settings(struct repl_stream *s)
{
    struct backlog_limits limits = wanted_limits(s);
    if (limits.rest_bytes == s->limits.rest_bytes && limits.hard_bytes == s->limits.hard_bytes) return;
    s->limits = limits;
    if (s->backlog) backlog_set_limits(s->backlog, &limits);
}

void repl_stream_cron(struct repl_stream *s, int64_t now_ms)
{
    follow_settings(s);
    if (now_ms - s->tidied_ms < TIDY_EVERY_MS) return;
    s->tidied_ms = now_ms;
    if (s->backlog) backlog_cron(s->backlog);
}

/* --- a dead predecessor's --- */

static void find_predecessor(struct repl_stream *s)
{
    char name[OBJECT_NAME_BYTES], reason[ADOPT_REASON_BYTES] = "";
    object_name(s, name);
    if (s->settings->adopt_backlog) s->left = adopt_find(name, reason);
    if (*reason) log_warning("%s was left behind by a server that was killed, and is not adopted: %s", name, reason);
    if (!s->left) owner_remove_dead(name);
}

const struct adopt_view *repl_stream_predecessor(const struct repl_stream *s)
{
    return s->left ? adopt_view(s->left) : NULL;
}

struct bytes repl_stream_left_bytes(const struct repl_stream *s, uint64_t offset)
{
    return adopt_run(s->left, offset);
}

bool repl_stream_try(struct repl_stream *s)
{
    return adopt_try(s->left);
}

void repl_stream_leave(struct repl_stream *s)
{
    if (s->left) adopt_drop(s->left);
    s->left = NULL;
}

int repl_stream_adopt(struct repl_stream *s)
{
    struct adopt_view v = *adopt_view(s->left);
    struct backlog_events events = {s, peer_doomed};
    s->limits = wanted_limits(s);
    struct backlog *b = backlog_adopt(s->left, &s->limits, &events);
    if (!b) {
        log_warning("Can't go on with the replication backlog of a server that was killed: %s", strerror(errno));
        return -1;
    }
    s->left = NULL;
    s->backlog = b;
    struct history *h = &s->history;
    snprintf(h->id, sizeof h->id, "%.40s", v.id);
    snprintf(h->second_id, sizeof h->second_id, "%.40s", v.second_id);
    h->second_offset = v.second_offset;
    h->offset = v.end - 1;
    if (v.relayed && !s->relayed) { /* what was our master's goes on without us, and we without it */
        history_shift_id(h);
        write_history(s);
    }
    backlog_set_relayed(b, s->relayed);
    TELL(s, opened);
    return 0;
}

void repl_stream_note_empty(struct repl_stream *s)
{
    if (s->backlog) backlog_set_empty(s->backlog, s->history.offset);
}

void repl_stream_set_relayed(struct repl_stream *s, bool relayed)
{
    s->relayed = relayed;
    if (s->backlog) backlog_set_relayed(s->backlog, relayed);
}

/* --- changes of history --- */

static void renamed(struct repl_stream *s, const char *why)
{
    TELL(s, renamed, why);
    write_history(s);
}

void repl_stream_replace(struct repl_stream *s, const char *id, uint64_t offset)
{
    if (id)
        history_adopt(&s->history, id, offset);
    else
        history_new_id(&s->history);
    s->history.offset = offset;
    s->withheld = false;
    s->offered_from = 0;
    TELL(s, replaced);
    if (s->backlog) backlog_restart(s->backlog, offset + 1);
    write_history(s);
}

void repl_stream_continue_as(struct repl_stream *s, const char *id, const char *why)
{
    history_continue_as(&s->history, id);
    renamed(s, why);
}

void repl_stream_branch(struct repl_stream *s, const char *why)
{
    history_shift_id(&s->history);
    renamed(s, why);
}

void repl_stream_new_id(struct repl_stream *s)
{
    history_new_id(&s->history);
    write_history(s);
}

/* --- what there is --- */

const struct history *repl_stream_history(const struct repl_stream *s)
{
    return &s->history;
}

struct resync_window repl_stream_window(const struct repl_stream *s)
{
    if (!s->backlog || s->withheld) return (struct resync_window){false, 0, 0};
    uint64_t first = backlog_first(s->backlog);
    return (struct resync_window){true, first > s->offered_from ? first : s->offered_from, backlog_end(s->backlog)};
}

struct backlog *repl_stream_backlog(const struct repl_stream *s)
{
    return s->backlog;
}

bool repl_stream_can_be_shared(const struct repl_stream *s)
{
    return !s->backlog || backlog_is_shared(s->backlog);
}

/* --- life --- */

struct repl_stream *repl_stream_new(const struct repl_settings *settings, int listening_port)
{
    struct repl_stream *s = mem_calloc(1, sizeof *s);
    s->settings = settings;
    s->listening_port = listening_port;
    s->limits = wanted_limits(s);
    list_init(&s->listeners);
    history_init(&s->history);
    find_predecessor(s);
    return s;
}

void repl_stream_listen(struct repl_stream *s, struct repl_stream_listener *listener)
{
    list_push_back(&s->listeners, &listener->node);
}

void repl_stream_free(struct repl_stream *s)
{
    close_backlog(s);
    mem_free(s->left); /* the region itself is left to the next start */
    mem_free(s);
}
