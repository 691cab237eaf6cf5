/* Following a master: what the state machine decides, done. Server process of the replica.
 *
 * Everything that happens (a byte, a timer, a command) becomes an event; the machine answers with actions; they are
 * done here, in order. An action whose result is known at once makes the next event from within; such an action is
 * always the last of its list. */
#include "repl/replica_side.h"

#include "server/base/check.h"
#include "server/base/log.h"

#include <stdarg.h>
#include <stdio.h>

/* --- events and actions --- */

static void let_go(struct replica_side *s, const char *why)
{
    if (why[0]) log_write(s->machine.quiet ? LOG_VERBOSE : LOG_WARNING, "%s", why);
    s->life++;
    if (s->streaming) {
        s->stream_db = replica_side_stream_db(s->r);
        s->down_since_ms = replication_now_ms(s->r);
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
    if (!new_id[0] || strcmp(new_id, repl_stream_history(r->stream)->id) == 0) return;
    log_notice("Master replication ID changed to %s", new_id);
    repl_stream_continue_as(r->stream, new_id, "our master's replication ID changed");
}

static void act(struct replica_side *s, const struct replica_action *a)
{
    switch (a->kind) {
    case ACTION_NONE: break;
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
    case ACTION_FAILOVER_END: s->hooks.failover_ended(s->r, a->good); break;
    }
}

/* What has come over the wire goes to whom the state is about. */
static void deliver(struct replica_side *s, const uint8_t *data, size_t len)
{
    unsigned life = s->life;
    if (s->load_timer) return inbox_append(&s->input, data, len); /* behind what waits already */
    while (len && s->life == life) {
        size_t taken = len;
        switch (s->machine.state) {
        case REPLICA_TRANSFER: taken = replica_receive_snapshot(s, data, len); break;
        case REPLICA_LOADING: inbox_append(&s->input, data, len); break;
        case REPLICA_CONNECTED: replica_apply(s, data, len); break;
        default: return;
        }
        data += taken;
        len -= taken;
    }
}

void replica_side_before_send(struct replication *r)
{
    replica_load_waiting(r->replica);
    replica_apply_held_back(r->replica);
}

/* --- whom we follow --- */

int replication_drop_master_link(struct replication *r)
{
    if (!replication_master_link_up(r)) return 0;
    replica_failed(r->replica, "Connection with master lost: killed by a client");
    return 1;
}

static void set_master(struct replica_side *s, const char *host, int port)
{
    char *copy = host ? mem_strdup(host) : NULL; /* host may be the old one */
    mem_free(s->host);
    s->host = copy;
    s->port = port;
}

static void begin_to_follow(struct replication *r, bool failover)
{
    r->replica->ask_anew = false;
    r->started = true;
    repl_stream_set_relayed(r->stream, true);
    r->host.role_changed(r->host.context, true);
    replica_step(r->replica, &(struct replica_event){.kind = EVENT_FOLLOW, .failover = failover});
}

/* A master's data and history belong together, so the new master may be able to continue them: that is how an old
 * master comes back after a fail-over. */
void replica_side_follow(struct replication *r, const char *host, int port, bool failover)
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
    begin_to_follow(r, failover);
}

void replication_follow(struct replication *r, const char *host, int port)
{
    replica_side_follow(r, host, port, false);
}

void replication_policy_changed(struct replication *r)
{
    struct replica_side *s = r->replica;
    if (!s->ask_anew || r->settings->unknown_command != UNKNOWN_COMMAND_IGNORE) return;
    s->ask_anew = false;
    if (s->machine.state == REPLICA_WAITING) replica_step(s, &(struct replica_event){.kind = EVENT_FOLLOW});
}

bool replica_side_follows_others(const struct replication *r)
{
    return r->replica->streaming && r->replica->wire == WIRE_PLAIN;
}

void replication_stop_following(struct replication *r)
{
    struct replica_side *s = r->replica;
    if (!s->host) return;
    s->refusal[0] = '\0';
    s->ask_anew = false;
    replica_step(s, &(struct replica_event){.kind = EVENT_STOP});
    set_master(s, NULL, 0);
    s->without_dataset = false; /* what there is, if only nothing, is ours now */
    log_set_role('M');
    repl_stream_branch(r->stream, "we are a master now, with a replication ID of our own");
    repl_stream_set_relayed(r->stream, false);
    const struct history *h = repl_stream_history(r->stream);
    log_notice("Setting secondary replication ID to %s, valid up to offset: %lld. New replication ID is %s",
               h->second_id, (long long)h->second_offset, h->id);
    r->host.role_changed(r->host.context, false);
}

/* A master that comes back from its own snapshot cannot know what it had written after it: it starts a new history, and
 * lets those continue who are not ahead of the snapshot. */
static void restore_as_master(struct replication *r)
{
    r->restored = true;
    repl_stream_branch(r->stream, "a master's history begins anew with each start");
    if (repl_stream_open(r->stream) != 0) repl_stream_new_id(r->stream);
}

void replication_restore_history(struct replication *r, const struct rdb_aux *aux)
{
    struct replica_side *s = r->replica;
    if (r->started || strlen(aux->repl_id) != HISTORY_ID_TEXT - 1 || aux->repl_offset < 0) return;
    if (aux->repl_stream_db >= keyspace_databases(r->keyspace)) {
        log_warning(
            "The dataset's replication history is not continued: its stream stands in DB %d, and there are only "
            "%d databases here",
            aux->repl_stream_db, keyspace_databases(r->keyspace));
        return;
    }
    repl_stream_replace(r->stream, aux->repl_id, (uint64_t)aux->repl_offset);
    if (s->host) {
        s->can_continue = true;
        s->stream_db = aux->repl_stream_db;
    } else {
        restore_as_master(r);
    }
    log_notice("The dataset's replication history is %s, as of offset %lld", aux->repl_id, (long long)aux->repl_offset);
}

void replica_side_start(struct replication *r)
{
    r->started = true;
    if (r->replica->host)
        begin_to_follow(r, false);
    else if (r->settings->adopt_backlog)
        repl_stream_open_withheld(r->stream); /* best effort: without it our heir has the file alone */
}

/* --- life --- */

struct replica_side *replica_side_new(struct replication *r, void (*failover_ended)(struct replication *r, bool good))
{
    struct replica_side *s = mem_calloc(1, sizeof *s);
    uint64_t seed;
    s->r = r;
    s->hooks = (struct replica_hooks){.act = act, .deliver = deliver, .failover_ended = failover_ended};
    s->held_fd = -1;
    s->stream_db = -1;
    random_from_kernel(&seed, sizeof seed);
    replica_machine_init(&s->machine, &s->machine_settings, seed);
    if (r->settings->master_host) {
        set_master(s, r->settings->master_host, r->settings->master_port);
        repl_stream_set_relayed(r->stream, true);
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
