/* Following a master: the driver of the state machine, and the replica's public face. Server process.
 *
 * Everything that happens (a byte, a timer, a command) becomes an event; the machine answers with actions; they are
 * done here, in order. An action whose result is known at once makes the next event from within; such an action is
 * always the last of its list. */
#include "repl/replica_side.h"

#include "server/base/check.h"
#include "server/base/log.h"

#include <stdarg.h>
#include <stdio.h>

int64_t replica_now_ms(const struct replica_side *s)
{
    return loop_monotonic_ms(s->r->loop);
}

/* --- the machine's clock --- */

static int64_t tick(void *arg)
{
    struct replica_side *s = arg;
    s->in_timer = true;
    s->machine_settings.timeout_ms = (int64_t)s->r->settings->timeout_s * 1000;
    replica_step(s, &(struct replica_event){.kind = EVENT_TICK});
    s->in_timer = false;
    int64_t deadline_ms = replica_machine_deadline_ms(&s->machine), delay_ms = deadline_ms - replica_now_ms(s);
    if (deadline_ms == INT64_MAX) {
        s->timer = NULL;
        return LOOP_TIMER_DONE;
    }
    s->timer_ms = deadline_ms;
    return delay_ms > 0 ? delay_ms : 0;
}

/* A deadline that moves away needs nothing: the timer fires early and looks again. */
static void wind_timer(struct replica_side *s)
{
    int64_t deadline_ms = replica_machine_deadline_ms(&s->machine);
    if (s->in_timer || deadline_ms == INT64_MAX || (s->timer && s->timer_ms <= deadline_ms)) return;
    if (s->timer) loop_timer_cancel(s->timer);
    int64_t delay_ms = deadline_ms - replica_now_ms(s);
    s->timer = loop_timer_start(s->r->loop, delay_ms > 0 ? delay_ms : 0, tick, s);
    s->timer_ms = deadline_ms;
}

/* --- events and actions --- */

enum log_level replica_log_level(const struct replica_side *s)
{
    return s->machine.quiet ? LOG_VERBOSE : LOG_NOTICE;
}

static void let_go(struct replica_side *s, const char *why)
{
    if (why[0]) log_write(s->machine.quiet ? LOG_VERBOSE : LOG_WARNING, "%s", why);
    s->life++;
    if (s->streaming) {
        s->stream_db = replica_side_stream_db(s->r);
        s->down_since_ms = replica_now_ms(s);
    }
    s->streaming = false;
    replica_disconnect(s);
    replica_abandon_dataset(s);
    inbox_clear(&s->input);
}

static void continue_history(struct replica_side *s, const char *new_id)
{
    struct replication *r = s->r;
    log_notice("Successful partial resynchronization with master.");
    r->host.synchronised(r->host.context, true);
    if (!new_id[0] || strcmp(new_id, r->history.id) == 0) return;
    log_notice("Master replication ID changed to %s", new_id);
    history_continue_as(&r->history, new_id);
    master_side_history_renamed(r, "our master's replication ID changed");
}

static void act(struct replica_side *s, const struct replica_action *a)
{
    switch (a->kind) {
    case ACTION_RESOLVE: replica_resolve(s); break;
    case ACTION_CONNECT: replica_connect(s); break;
    case ACTION_GREET: replica_greet(s); break;
    case ACTION_PSYNC: replica_send_psync(s); break;
    case ACTION_SYNC: replica_send_sync(s); break;
    case ACTION_CONTINUE: continue_history(s, a->id); break;
    case ACTION_TRANSFER: replica_begin_transfer(s, a); break;
    case ACTION_LOAD: replica_load(s); break;
    case ACTION_STREAM: replica_begin_stream(s); break;
    case ACTION_ACK: replica_ack(s); break;
    case ACTION_KEEP_ALIVE: replica_keep_alive(s); break;
    case ACTION_CLOSE: let_go(s, a->text); break;
    case ACTION_NOTE: log_write(replica_log_level(s), "%s", a->text); break;
    case ACTION_WARN: log_warning("%s", a->text); break;
    case ACTION_FAILOVER_END: master_side_failover_ended(s->r, a->good); break;
    }
}

void replica_step(struct replica_side *s, const struct replica_event *event)
{
    struct replica_actions actions;
    replica_machine_step(&s->machine, event, replica_now_ms(s), &actions);
    for (int i = 0; i < actions.count; i++) act(s, &actions.list[i]);
    wind_timer(s);
}

void replica_failed(struct replica_side *s, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    replica_step(s, &(struct replica_event){.kind = EVENT_FAILED, .text = why});
}

/* --- the public face --- */

bool replication_is_replica(const struct replication *r)
{
    return r->replica->host != NULL;
}

bool replication_master_link_up(const struct replication *r)
{
    return r->replica->machine.state == REPLICA_CONNECTED;
}

bool replication_master_address(const struct replication *r, const char **host, int *port)
{
    *host = r->replica->host;
    *port = r->replica->port;
    return r->replica->host != NULL;
}

bool replication_master_link_view(const struct replication *r, struct master_link_view *out)
{
    const struct replica_side *s = r->replica;
    if (!replication_master_link_up(r)) return false;
    conn_peer_address(s->conn, &out->master);
    conn_local_address(s->conn, &out->own);
    out->fd = conn_fd(s->conn);
    out->idle_s = (replica_now_ms(s) - s->last_io_ms) / 1000;
    out->unapplied_bytes = s->input.len;
    out->unsent_bytes = conn_unsent(s->conn);
    return true;
}

int replication_drop_master_link(struct replication *r)
{
    if (!replication_master_link_up(r)) return 0;
    replica_failed(r->replica, "Connection with master lost: killed by a client");
    return 1;
}

const char *replication_role_state(const struct replication *r)
{
    static const char *const names[REPLICA_STATES] = {
        [REPLICA_NONE] = "none",           [REPLICA_WAITING] = "connect",
        [REPLICA_RESOLVING] = "connect",   [REPLICA_CONNECTING] = "connecting",
        [REPLICA_HANDSHAKE] = "handshake", [REPLICA_TRANSFER] = "sync",
        [REPLICA_LOADING] = "sync",        [REPLICA_CONNECTED] = "connected",
    };
    return names[r->replica->machine.state];
}

bool replication_has_dataset(const struct replication *r)
{
    return !r->replica->without_dataset;
}

bool replication_is_applying(const struct replication *r)
{
    return r->replica->applying;
}

/* In the middle of a piece of the stream, the dataset is ahead of what is counted. */
bool replica_side_is_at_offset(const struct replication *r)
{
    const struct replica_side *s = r->replica;
    return (s->streaming || s->can_continue) && !s->applying;
}

int replica_side_stream_db(const struct replication *r)
{
    const struct replica_side *s = r->replica;
    return s->streaming ? r->host.stream_db(r->host.context) : s->stream_db;
}

uint64_t replication_applied_offset(const struct replication *r)
{
    return r->history.offset;
}

static void set_master(struct replica_side *s, const char *host, int port)
{
    char *copy = host ? mem_strdup(host) : NULL; /* host may be the old one */
    mem_free(s->host);
    s->host = copy;
    s->port = port;
}

static void begin_to_follow(struct replication *r)
{
    r->started = true;
    r->host.role_changed(r->host.context, true);
    replica_step(r->replica,
                 &(struct replica_event){.kind = EVENT_FOLLOW, .failover = master_side_failover_under_way(r)});
}

/* A master's data and history belong together, so the new master may be able to continue them: that is how an old
 * master comes back after a fail-over. */
void replication_follow(struct replication *r, const char *host, int port)
{
    struct replica_side *s = r->replica;
    bool was_master = !s->host;
    int own_stream_db = was_master ? r->host.stream_db(r->host.context) : -1;
    set_master(s, host, port);
    if (was_master) {
        log_notice(
            "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be "
            "able to synchronize with the new master with just a partial transfer.");
        log_set_role('S');
        s->can_continue = true;
        s->stream_db = own_stream_db;
        s->down_since_ms = 0;
    }
    begin_to_follow(r);
}

void replication_stop_following(struct replication *r)
{
    struct replica_side *s = r->replica;
    if (!s->host) return;
    replica_step(s, &(struct replica_event){.kind = EVENT_STOP});
    set_master(s, NULL, 0);
    s->without_dataset = false; /* what there is, if only nothing, is ours now */
    log_set_role('M');
    history_shift_id(&r->history);
    log_notice("Setting secondary replication ID to %s, valid up to offset: %lld. New replication ID is %s",
               r->history.second_id, (long long)r->history.second_offset, r->history.id);
    master_side_history_renamed(r, "we are a master now, with a replication ID of our own");
    master_side_promoted(r);
    r->host.role_changed(r->host.context, false);
}

/* A master that comes back from its own snapshot cannot know what it had written after it: it starts a new history, and
 * lets those continue who are not ahead of the snapshot. */
static void restore_as_master(struct replication *r, const struct rdb_aux *aux)
{
    history_adopt(&r->history, aux->repl_id, (uint64_t)aux->repl_offset);
    history_shift_id(&r->history);
    if (master_side_open_backlog(r) != 0) history_new_id(&r->history);
}

void replication_restore_history(struct replication *r, const struct rdb_aux *aux)
{
    struct replica_side *s = r->replica;
    if (r->started || strlen(aux->repl_id) != HISTORY_ID_TEXT - 1 || aux->repl_offset < 0) return;
    if (s->host) {
        history_adopt(&r->history, aux->repl_id, (uint64_t)aux->repl_offset);
        s->can_continue = true;
        s->stream_db = aux->repl_stream_db;
    } else {
        restore_as_master(r, aux);
    }
    log_notice("The dataset's replication history is %s, as of offset %lld", aux->repl_id, (long long)aux->repl_offset);
}

void replication_start(struct replication *r)
{
    if (r->replica->host)
        begin_to_follow(r);
    else
        master_side_promoted(r);
    r->started = true;
}

/* --- INFO --- */

static void transfer_lines(const struct replica_side *s, struct outq *out, int64_t now_ms)
{
    struct transfer_progress p = transfer_progress(s->transfer);
    double percent = p.total_bytes ? (double)p.received_bytes / (double)p.total_bytes * 100 : 0;
    info_field(out, "master_sync_total_bytes:%lld", (long long)p.total_bytes);
    info_field(out, "master_sync_read_bytes:%lld", (long long)p.received_bytes);
    info_field(out, "master_sync_left_bytes:%lld", (long long)(p.total_bytes - p.received_bytes));
    info_field(out, "master_sync_perc:%.2f", percent);
    info_field(out, "master_sync_last_io_seconds_ago:%lld", (long long)(now_ms - s->last_io_ms) / 1000);
}

void replica_side_info(const struct replication *r, struct outq *out)
{
    const struct replica_side *s = r->replica;
    const struct repl_settings *settings = r->settings;
    int64_t now_ms = replica_now_ms(s);
    bool up = replication_master_link_up(r);
    long long applied = (long long)r->history.offset, read = applied + (up ? (long long)s->input.len : 0);
    info_field(out, "master_host:%s", s->host);
    info_field(out, "master_port:%d", s->port);
    info_field(out, "master_link_status:%s", up ? "up" : "down");
    info_field(out, "master_last_io_seconds_ago:%lld", up ? (long long)(now_ms - s->last_io_ms) / 1000 : -1);
    info_field(out, "master_sync_in_progress:%d", s->transfer != NULL);
    info_field(out, "slave_read_repl_offset:%lld", read);
    info_field(out, "slave_repl_offset:%lld", applied);
    if (s->transfer) transfer_lines(s, out, now_ms);
    if (!up)
        info_field(out, "master_link_down_since_seconds:%lld",
                   s->down_since_ms ? (long long)(now_ms - s->down_since_ms) / 1000 : -1);
    info_field(out, "slave_priority:%d", settings->priority);
    info_field(out, "slave_read_only:%d", settings->read_only);
    info_field(out, "replica_announced:%d", settings->announced);
}

/* --- life --- */

struct replica_side *replica_side_new(struct replication *r)
{
    struct replica_side *s = mem_calloc(1, sizeof *s);
    uint64_t seed;
    s->r = r;
    s->held_fd = -1;
    s->stream_db = -1;
    random_from_kernel(&seed, sizeof seed);
    replica_machine_init(&s->machine, &s->machine_settings, seed);
    if (r->settings->master_host) {
        set_master(s, r->settings->master_host, r->settings->master_port);
        log_set_role('S');
    }
    return s;
}

void replica_side_free(struct replication *r)
{
    struct replica_side *s = r->replica;
    replica_step(s, &(struct replica_event){.kind = EVENT_STOP});
    if (s->timer) loop_timer_cancel(s->timer);
    mem_free(s->host);
    mem_free(s);
}
