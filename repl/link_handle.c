/* The server's end of the link process. Runs in the server.
 *
 * The process is made by server/net/role_process.h. It is reaped here and nowhere else, and never waited for by the
 * loop: a process may take its time to die (its exit closes large files) or be unable to (a disk that hangs), so the
 * dying are kept in a list until they are gone. */
#include "repl/link_handle.h"

#include "repl/link/messages.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/crash.h"
#include "server/base/list.h"
#include "server/base/log.h"
#include "server/net/process_watch.h"
#include "server/net/role_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAST_WORDS_MS  200  /* what had been published may still leave */
#define KILLED_MOST_MS 1000 /* at our own end: a killed process that does not die is left to init */
#define REAP_EVERY_MS  20

/* A process that has been let go of. */
struct dying {
    struct list_node node;
    pid_t pid;
    int64_t kill_at_ms; /* INT64_MAX: it is killed */
    bool mourned;       /* nobody wanted its end: the log tells it */
};

struct link_handle {
    struct loop *loop;
    char *executable;
    struct link_events events;
    struct backlog *backlog; /* bound to, while the process runs */
    pid_t pid;               /* 0: not running */
    struct channel *channel;
    struct process_watch watch;
    struct list dying; /* struct dying */
    struct loop_timer *reaper;
    int ping_period_s;
    int pipe_fd[BACKLOG_SPOOLS_MAX]; /* pipes to be given in the next turn, -1: none */
    struct loop_timer *pipe_timer;
};

struct link_handle *link_handle_new(struct loop *loop, const char *executable, const struct link_events *events)
{
    struct link_handle *l = mem_calloc(1, sizeof(*l));
    l->loop = loop;
    l->executable = mem_strdup(executable);
    l->events = *events;
    list_init(&l->dying);
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++) l->pipe_fd[spool] = -1;
    return l;
}

pid_t link_handle_pid(const struct link_handle *l)
{
    return l->pid;
}

/* --- the end --- */

static void forget_pipe(struct link_handle *l, int spool)
{
    if (l->pipe_fd[spool] >= 0) close(l->pipe_fd[spool]);
    l->pipe_fd[spool] = -1;
}

static void forget(struct link_handle *l)
{
    channel_close(l->channel);
    l->channel = NULL;
    l->pid = 0;
    backlog_on_ring(l->backlog, SHM_LINK, NULL, NULL);
    l->backlog = NULL;
    if (l->pipe_timer) loop_timer_cancel(l->pipe_timer);
    l->pipe_timer = NULL;
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++) forget_pipe(l, spool);
}

static void tell_end(pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_warning("The replication link (pid %d) was killed by signal %d: its replicas have to reconnect", (int)pid,
                    WTERMSIG(status));
    else
        log_warning("The replication link (pid %d) ended with code %d: its replicas have to reconnect", (int)pid,
                    WEXITSTATUS(status));
}

/* Takes from the list who is gone; kills whose time is up. */
static void reap_dying(struct link_handle *l)
{
    list_each(&l->dying, node)
    {
        struct dying *d = list_entry(node, struct dying, node);
        int status = 0;
        pid_t gone = waitpid(d->pid, &status, WNOHANG);
        if (gone == d->pid || (gone < 0 && errno == ECHILD)) {
            if (d->mourned) tell_end(d->pid, status);
            list_remove(&l->dying, node);
            mem_free(d);
        } else if (clock_monotonic_ms() >= d->kill_at_ms) {
            kill(d->pid, SIGKILL);
            d->kill_at_ms = INT64_MAX;
        }
    }
}

static int64_t reap_on(void *arg)
{
    struct link_handle *l = arg;
    reap_dying(l);
    if (l->dying.count) return REAP_EVERY_MS;
    l->reaper = NULL;
    return LOOP_TIMER_DONE;
}

/* The process is ours no more: it is killed, and its end told; or (wanted) it ends by itself, since its channel has. */
static void let_die(struct link_handle *l, bool wanted)
{
    struct dying *d = mem_alloc(sizeof(*d));
    *d = (struct dying){.pid = l->pid, .kill_at_ms = INT64_MAX, .mourned = !wanted};
    if (wanted)
        d->kill_at_ms = clock_monotonic_ms() + LAST_WORDS_MS;
    else
        kill(d->pid, SIGKILL);
    list_push_back(&l->dying, &d->node);
    forget(l);
    reap_dying(l);
    if (l->dying.count && !l->reaper) l->reaper = loop_timer_start(l->loop, REAP_EVERY_MS, reap_on, l);
}

static void failed(struct link_handle *l)
{
    int64_t delay_ms = process_watch_failed(&l->watch, clock_monotonic_ms());
    if (delay_ms) log_warning("Another replication link is started in %lld ms at the earliest", (long long)delay_ms);
}

/* It closes its channel by dying; if it ever did otherwise, it must not go on without one. */
static void ended(void *context)
{
    struct link_handle *l = context;
    failed(l);
    let_die(l, false);
    l->events.died(l->events.context);
}

void link_handle_cron(struct link_handle *l)
{
    if (!l->pid || !process_watch_hangs(&l->watch, backlog_beats(l->backlog, SHM_LINK), clock_monotonic_ms())) return;
    log_warning("The replication link (pid %d) has stopped: no sign of life for %lld ms. It is killed", (int)l->pid,
                (long long)process_watch_silence_ms(&l->watch));
    ended(l);
}

/* Wanted by us: it may send what had been published, for a moment, and is not mourned. */
static void end_process(struct link_handle *l)
{
    if (l->pid) let_die(l, true);
}

void link_handle_detach_backlog(struct link_handle *l)
{
    end_process(l);
}

/* At our own end the last words are waited for. */
static void wait_for_dying(struct link_handle *l)
{
    int64_t until_ms = clock_monotonic_ms() + LAST_WORDS_MS + KILLED_MOST_MS;
    for (reap_dying(l); l->dying.count && clock_monotonic_ms() < until_ms; reap_dying(l))
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    list_each(&l->dying, node) mem_free(list_entry(node, struct dying, node));
}

void link_handle_free(struct link_handle *l)
{
    end_process(l);
    wait_for_dying(l);
    if (l->reaper) loop_timer_cancel(l->reaper);
    mem_free(l->executable);
    mem_free(l);
}

/* --- the beginning --- */

/* A link that says what it cannot mean is ended, and found dead in the next turn; no replica is worth the server. */
static void received(void *context, struct bytes message, const int *fds, int fd_count)
{
    struct link_handle *l = context;
    struct bytes body = {0};
    char reason[256];
    const struct message *m = message_read(message, &body);
    for (int i = 0; i < fd_count; i++) close(fds[i]);
    if (m && fd_count == 0 && m->kind == MESSAGE_ONLINE) {
        l->events.peer_online(l->events.context, m->index);
    } else if (m && fd_count == 0 && m->kind == MESSAGE_GONE) {
        snprintf(reason, sizeof(reason), "%.*s", (int)body.len, (const char *)body.ptr);
        l->events.peer_gone(l->events.context, m->index, reason);
    } else {
        log_warning("The replication link sent a message that it cannot mean (kind %d, %d descriptors)",
                    m ? (int)m->kind : -1, fd_count);
        kill(l->pid, SIGKILL);
    }
}

/* 0 and our end of its channel, or -1 with errno. */
static int start(struct link_handle *l, int *channel_fd)
{
    char protocol[LINK_PROTOCOL_BYTES];
    struct role role = link_role(protocol);
    return role_process_start(&role, l->loop, l->executable, &l->pid, channel_fd);
}

/* A link without one of its rings cannot serve anybody: it is ended, and found dead in the next turn. */
static void ring_opened(void *context, int ring, int fd, uint64_t size)
{
    struct link_handle *l = context;
    struct message m = {.kind = MESSAGE_RING, .index = ring, .ring.size = size};
    if (message_send(l->channel, &m, bytes_make(NULL, 0), &fd, 1) == 0) return;
    log_warning("The replication link cannot be given a ring: %s", strerror(errno));
    kill(l->pid, SIGKILL);
}

static void send_ping_period(struct link_handle *l)
{
    struct message m = {.kind = MESSAGE_PING_PERIOD, .ping_period = {l->ping_period_s}};
    message_send(l->channel, &m, bytes_make(NULL, 0), NULL, 0);
}

static int introduce(struct link_handle *l, struct backlog *b)
{
    int fds[] = {backlog_control_fd(b), backlog_bell(b, SHM_LINK), backlog_server_bell(b)};
    struct message m = {.kind = MESSAGE_ATTACH};
    if (message_send(l->channel, &m, bytes_make(NULL, 0), fds, 3) != 0) return -1;
    backlog_on_ring(b, SHM_LINK, ring_opened, l);
    send_ping_period(l);
    return 0;
}

bool link_handle_is_ready(const struct link_handle *l)
{
    return l->pid || process_watch_may_start(&l->watch, clock_monotonic_ms());
}

int link_handle_ensure(struct link_handle *l, struct backlog *b)
{
    int channel_fd, error;
    if (l->pid && l->backlog == b) return 0;
    end_process(l);
    if (!link_handle_is_ready(l)) {
        errno = EAGAIN;
        return -1;
    }
    if (start(l, &channel_fd) != 0) {
        error = errno;
        log_warning("The replication link cannot be started: %s", strerror(error));
        failed(l);
        errno = error;
        return -1;
    }
    l->backlog = b;
    process_watch_started(&l->watch, backlog_beats(b, SHM_LINK), clock_monotonic_ms());
    l->channel =
        channel_open(l->loop, channel_fd, &(struct channel_events){.context = l, .received = received, .ended = ended});
    if (introduce(l, b) == 0) {
        log_verbose("Replication link started by pid %d", (int)l->pid);
        return 0;
    }
    error = errno;
    failed(l);
    end_process(l);
    errno = error;
    return -1;
}

/* --- what it is told --- */

int link_give_peer(struct link_handle *l, const struct link_peer *peer, int fd)
{
    uint8_t body[MESSAGE_BODY_MAX];
    size_t len = peer->preamble.len + peer->rest.len;
    struct message m = {.kind = MESSAGE_PEER,
                        .index = peer->slot,
                        .peer = {.from = peer->from,
                                 .spool = peer->mode == LINK_FULL ? peer->spool : -1,
                                 .preamble_bytes = (uint32_t)peer->preamble.len,
                                 .eof_framing = peer->eof_framing,
                                 .lz4 = peer->lz4,
                                 .rdb_only = peer->rdb_only,
                                 .nodelay = peer->nodelay}};
    int result = -1;
    errno = !l->pid ? ENOTCONN : EMSGSIZE;
    if (l->pid && len <= sizeof(body)) {
        if (peer->preamble.len > 0) memcpy(body, peer->preamble.ptr, peer->preamble.len);
        if (peer->rest.len > 0) memcpy(body + peer->preamble.len, peer->rest.ptr, peer->rest.len);
        result = message_send(l->channel, &m, bytes_make(body, len), &fd, 1);
    }
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static int give_spool(struct link_handle *l, int spool, int fd, bool is_pipe)
{
    struct message m = {.kind = MESSAGE_SPOOL, .index = spool, .spool.is_pipe = is_pipe};
    return message_send(l->channel, &m, bytes_make(NULL, 0), &fd, 1);
}

/* The next turn: every peer given together with the pipe is in the channel before it. */
static int64_t give_pipes(void *arg)
{
    struct link_handle *l = arg;
    l->pipe_timer = NULL;
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++) {
        if (l->pipe_fd[spool] < 0) continue;
        if (give_spool(l, spool, l->pipe_fd[spool], true) != 0)
            log_warning("The replication link cannot be given the snapshot's pipe: %s", strerror(errno));
        forget_pipe(l, spool);
    }
    return LOOP_TIMER_DONE;
}

int link_give_spool(struct link_handle *l, int spool, int fd, bool is_pipe)
{
    CHECK(spool >= 0 && spool < BACKLOG_SPOOLS_MAX);
    if (!l->pid) {
        errno = ENOTCONN;
        return -1;
    }
    if (!is_pipe) return give_spool(l, spool, fd, false);
    forget_pipe(l, spool);
    l->pipe_fd[spool] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (l->pipe_fd[spool] < 0) return -1;
    if (!l->pipe_timer) l->pipe_timer = loop_timer_start(l->loop, 0, give_pipes, l);
    return 0;
}

void link_free_spool(struct link_handle *l, int spool)
{
    if (!l->pid) return;
    forget_pipe(l, spool);
    struct message m = {.kind = MESSAGE_SPOOL_FREE, .index = spool};
    message_send(l->channel, &m, bytes_make(NULL, 0), NULL, 0);
}

void link_set_ping_period(struct link_handle *l, int seconds)
{
    l->ping_period_s = seconds;
    if (l->pid) send_ping_period(l);
}
