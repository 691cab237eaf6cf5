/* The journal process: the server's messages, the bell, and the clock. What it does is in journal.c.
 *
 * It knows nothing of the dataset, and outlives its server: when the channel ends, however that came, what had been
 * published is written and made durable first. Only then the lock on its files is let go, for which the next server
 * waits. */
#include "server/aof/journal/main.h"

#include "server/aof/journal/journal.h"
#include "server/aof/journal/messages.h"
#include "server/base/check.h"
#include "server/base/crash.h"
#include "server/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 500

struct process {
    struct loop *loop;
    struct channel *channel; /* NULL: the server is gone */
    struct reader *reader;
    struct loop_watch *bell;
    struct journal *journal;
};

static _Noreturn void give_up(const char *what)
{
    log_warning("The journal ends: %s: %s", what, strerror(errno));
    exit(1);
}

static void bell_rings(void *arg, int events)
{
    (void)events;
    struct process *p = arg;
    reader_answer_bell(p->reader);
    journal_look(p->journal);
}

static void attach(struct process *p, int slot, const int *fds)
{
    p->reader = reader_attach(SHM_JOURNAL, fds[0], fds[1], fds[2]);
    if (!p->reader) give_up("the backlog's control region cannot be used");
    p->journal = journal_new(p->loop, p->reader, slot);
    if (!p->journal) give_up("there is no way to write");
    crash_add_section(&(struct crash_section){.title = "JOURNAL", .write = journal_report, .arg = p->journal});
    p->bell = loop_watch_start(p->loop, reader_bell(p->reader), LOOP_READABLE, bell_rings, p);
}

static void add_ring(struct process *p, const struct journal_message *m, int fd)
{
    if (reader_add_ring(p->reader, m->number, fd, m->ring.size) != 0) give_up("a ring cannot be mapped");
    journal_look(p->journal);
}

static void set_policy(struct process *p, const struct journal_message *m)
{
    struct journal_policy policy = {
        .fsync = m->settings.fsync, .timestamps = m->settings.timestamps, .fsync_is_held = m->settings.fsync_is_held};
    journal_set_policy(p->journal, &policy, m->settings.was_failing);
}

static void received(void *context, struct bytes message, const int *fds, int fd_count)
{
    static const int fds_of[] = {[JOURNAL_ATTACH] = 3, [JOURNAL_RING] = 1,   [JOURNAL_LOCK] = 1,
                                 [JOURNAL_FILE] = 1,   [JOURNAL_FINISH] = 0, [JOURNAL_SETTLE] = 0};
    struct process *p = context;
    const struct journal_message *m = (const void *)message.ptr;
    CHECK(message.len >= sizeof(*m));
    if (fd_count != fds_of[m->kind]) {
        /* The kernel drops descriptors for which this process has no room. */
        errno = EMFILE;
        give_up("a descriptor did not arrive");
    }
    switch (m->kind) {
    case JOURNAL_ATTACH: attach(p, (int)m->number, fds); break;
    case JOURNAL_RING: add_ring(p, m, fds[0]); break;
    case JOURNAL_LOCK: break;
    case JOURNAL_SETTINGS: set_policy(p, m); break;
    case JOURNAL_FILE:
        journal_add_file(p->journal, fds[0], m->number, m->file.from, m->file.bytes,
                         bytes_make(message.ptr + sizeof(*m), message.len - sizeof(*m)));
        break;
    case JOURNAL_FINISH: journal_asked_to_finish(p->journal, m->number); break;
    case JOURNAL_SETTLE: journal_asked_to_settle(p->journal, m->number); break;
    }
}

static void server_ended(void *context)
{
    struct process *p = context;
    channel_close(p->channel);
    p->channel = NULL;
    if (p->journal)
        journal_end(p->journal);
    else
        loop_stop(p->loop);
}

static int64_t tick(void *arg)
{
    struct process *p = arg;
    if (p->reader) {
        reader_beat(p->reader);
        reader_drop_stale_rings(p->reader);
        journal_look(p->journal);
    }
    return TICK_MS;
}

int journal_main(int argc, char **argv)
{
    char protocol[JOURNAL_PROTOCOL_BYTES];
    struct role role = journal_role(protocol);
    struct process p = {.loop = role_process_begin(&role, argc, argv, 0)};
    if (!p.loop) return 1;
    p.channel = channel_open(p.loop, ROLE_CHANNEL_FD,
                             &(struct channel_events){.context = &p, .received = received, .ended = server_ended});
    loop_timer_start(p.loop, TICK_MS, tick, &p);
    loop_run(p.loop);
    return p.journal && !journal_lost_nothing(p.journal);
}
