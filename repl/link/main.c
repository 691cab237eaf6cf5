/* The link process: the server's messages, the bell, and the clock. Everything it does for one replica is in peer.c.
 *
 * It knows nothing of the dataset, and outlives its server: clients have been told that their writes are done, and a
 * replica may be all that is left of them. When the channel ends, however that came, what stands published in the ring
 * still goes to every replica; then the connections are closed, and the process ends (drain.h has the bounds). A server
 * that wants its link's end while it lives kills it after a moment (repl/link_handle.c).
 *
 * What it reads and writes in shared memory meanwhile is nobody else's: the next server of the name works on a control
 * region of its own (shm/adopt.c). */
#include "repl/link/main.h"

#include "repl/link/link.h"
#include "repl/link/peer.h"
#include "server/base/check.h"
#include "server/base/crash.h"
#include "server/base/log.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS       500
#define PACE_MS       1
#define DRAIN_LOOK_MS 5

static _Noreturn void give_up(const char *what)
{
    log_warning("The replication link ends: %s: %s", what, strerror(errno));
    exit(1);
}

/* A stream of writes is followed by the clock: one look in PACE_MS takes all that has gathered, in large sends, and the
 * server rings for none of it. The first write after a pause still rings and leaves at once, and so does everything
 * while somebody waits for acknowledgements (peer.c arms the bell then). */
static int64_t pace(void *arg)
{
    struct link *link = arg;
    uint64_t end = reader_end(link->reader);
    link->pacing = end != link->seen_end;
    link->seen_end = end;
    peers_pump_all(link);
    return link->pacing ? PACE_MS : LOOP_TIMER_DONE;
}

static void bell_rings(void *arg, int events)
{
    (void)events;
    struct link *link = arg;
    reader_answer_bell(link->reader);
    link->seen_end = reader_end(link->reader);
    if (!link->pacing) loop_timer_start(link->loop, PACE_MS, pace, link);
    link->pacing = true;
    peers_pump_all(link);
}

static void attach(struct link *link, const int *fds)
{
    link->reader = reader_attach(SHM_LINK, fds[0], fds[1], fds[2]);
    if (!link->reader) give_up("the backlog's control region cannot be used");
    link->bell = loop_watch_start(link->loop, reader_bell(link->reader), LOOP_READABLE, bell_rings, link);
}

static void add_ring(struct link *link, const struct message *m, int fd)
{
    if (reader_add_ring(link->reader, (uint64_t)m->index, fd, m->ring.size) != 0) give_up("a ring cannot be mapped");
    peers_pump_all(link);
}

static void open_spool(struct link *link, const struct message *m, int fd)
{
    spool_open(&link->spools[m->index], fd, m->spool.is_pipe);
    peers_pump_all(link);
}

static void spool_moved(void *context)
{
    peers_pump_all(context);
}

static void free_spool(struct link *link, int spool)
{
    peers_leave_spool(link, spool, "the snapshot was withdrawn");
    spool_close(&link->spools[spool]);
}

static void received(void *context, struct bytes message, const int *fds, int fd_count)
{
    static const int fds_of[] = {
        [MESSAGE_ATTACH] = 3, [MESSAGE_RING] = 1, [MESSAGE_SPOOL] = 1, [MESSAGE_PEER] = 1, [MESSAGE_GONE] = 0};
    struct link *link = context;
    struct bytes body;
    const struct message *m = message_read(message, &body);
    CHECK(m);
    if (fd_count != fds_of[m->kind]) {
        /* The kernel drops descriptors for which this process has no room. */
        errno = EMFILE;
        give_up("a descriptor did not arrive");
    }
    switch (m->kind) {
    case MESSAGE_ATTACH: attach(link, fds); break;
    case MESSAGE_RING: add_ring(link, m, fds[0]); break;
    case MESSAGE_SPOOL: open_spool(link, m, fds[0]); break;
    case MESSAGE_SPOOL_FREE: free_spool(link, m->index); break;
    case MESSAGE_PEER: peer_open(link, m, body, fds[0]); break;
    case MESSAGE_PING_PERIOD: link->ping_period_s = m->ping_period.seconds; break;
    case MESSAGE_ONLINE:
    case MESSAGE_GONE: UNREACHABLE();
    }
}

static int64_t drain(void *arg)
{
    struct link *link = arg;
    if (peers_drain(link)) return DRAIN_LOOK_MS;
    loop_stop(link->loop);
    return LOOP_TIMER_DONE;
}

static unsigned count_peers(const struct link *link)
{
    unsigned count = 0;
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++) count += link->peers[slot] != NULL;
    return count;
}

static void server_ended(void *context)
{
    struct link *link = context;
    channel_close(link->channel);
    link->channel = NULL;
    link->left_behind = count_peers(link);
    if (link->left_behind == 0) {
        loop_stop(link->loop);
        return;
    }
    link->ended_ms = loop_monotonic_ms(link->loop);
    peers_begin_drain(link);
    loop_timer_start(link->loop, DRAIN_LOOK_MS, drain, link);
}

static int64_t tick(void *arg)
{
    struct link *link = arg;
    if (link->reader) {
        reader_beat(link->reader);
        peers_tick(link);
        if (link->channel) reader_drop_stale_rings(link->reader);
    }
    return TICK_MS;
}

static void tell_drained(const struct link *link)
{
    if (link->left_behind == 0) return;
    log_notice("The replication link ends with its server: %u of %u replicas have got all that was published, up to "
               "offset %llu, in %lld ms",
               link->drained, link->left_behind, (unsigned long long)reader_end(link->reader) - 1,
               (long long)(loop_monotonic_ms(link->loop) - link->ended_ms));
}

static void take_down(struct link *link)
{
    for (int slot = 0; slot < BACKLOG_PEERS_MAX; slot++)
        if (link->peers[slot]) peer_close(link->peers[slot], "");
    for (int i = 0; i < BACKLOG_SPOOLS_MAX; i++) spool_close(&link->spools[i]);
    if (link->bell) loop_watch_stop(link->bell);
    if (link->reader) reader_detach(link->reader);
    packing_free(&link->packing);
    loop_free(link->loop);
}

static bool has_one_processor(void)
{
    cpu_set_t mine;
    return sched_getaffinity(0, sizeof(mine), &mine) == 0 && CPU_COUNT(&mine) == 1;
}

int link_main(int argc, char **argv)
{
    char protocol[LINK_PROTOCOL_BYTES];
    struct role role = link_role(protocol);
    struct link link = {.loop = role_process_begin(&role, argc, argv, BACKLOG_PEERS_MAX),
                        .one_processor = has_one_processor()};
    if (!link.loop) return 1;
    struct spool_events spool_events = {.loop = link.loop, .context = &link, .moved = spool_moved};
    for (int i = 0; i < BACKLOG_SPOOLS_MAX; i++) spool_init(&link.spools[i], &spool_events);
    link.channel =
        channel_open(link.loop, ROLE_CHANNEL_FD,
                     &(struct channel_events){.context = &link, .received = received, .ended = server_ended});
    crash_add_section(&(struct crash_section){.title = "REPLICAS OF THE LINK", .write = peers_report, .arg = &link});
    loop_timer_start(link.loop, TICK_MS, tick, &link);
    loop_run(link.loop);
    tell_drained(&link);
    take_down(&link);
    return 0;
}
