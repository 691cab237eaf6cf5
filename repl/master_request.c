/* A replica's request for synchronization (PSYNC, SYNC): refused, continued, or answered with a snapshot. Server
 * process of the master.
 *
 * Nothing is sent here: the answer goes with the socket, once the client's connection has let go of it
 * (replication_take_follower). */
#include "repl/master_side.h"

#include "rdb/form.h"
#include "repl/snapshot_form.h"
#include "repl/wire.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct follower *new_follower(struct replication *r, const struct resync_decision *d,
                                     const struct follower_hello *hello, const struct address *peer, void *client)
{
    struct follower *f = mem_calloc(1, sizeof *f);
    f->r = r;
    f->client = client;
    f->hello = *hello;
    f->slot = f->fd = -1;
    follower_machine_init(&f->machine, &r->master->follower_settings, f->name, replication_now_ms(r));
    address_ip_text(peer, f->ip);
    if (hello->announced_ip[0]) snprintf(f->ip, sizeof f->ip, "%.*s", (int)sizeof f->ip - 1, hello->announced_ip);
    snprintf(f->name, sizeof f->name, "%s:%d", f->ip,
             hello->listening_port ? hello->listening_port : address_port(peer));
    f->form = snapshot_form(&f->hello, (enum rdb_write_for)r->rdb_settings->write_for,
                            refusals_version(&r->master->refusals, f->name, replication_now_ms(r)));
    reads_meet(f, d->reason == RESYNC_CONTINUE ? (int64_t)d->from : -1);
    return f;
}

static void turn_away(struct follower *f)
{
    reads_part(f);
    mem_free(f);
}

static const char *refusal(const struct replication *r)
{
    if (r->master->failover.state != FAILOVER_NONE) return "NOMASTERLINK Can't SYNC while failing over";
    if (replication_is_replica(r) && !replication_master_link_up(r))
        return "NOMASTERLINK Can't SYNC while not connected with my master";
    if (r->master->followers.count >= BACKLOG_PEERS_MAX) return "ERR max number of replicas reached";
    if (!followers_can_be_served(r)) return "NOMASTERLINK Can't SYNC while replicas cannot be served, the log says why";
    return NULL;
}

/* It could not read what we hold, neither in a snapshot nor in the stream. False: *error says why. */
static bool can_hold(const struct follower *f, char error[256])
{
    struct refusals *refusals = &f->r->master->refusals;
    char why[RDB_FORM_WHY_BYTES];
    if (f->hello.functions_only || rdb_form_holds(f->r->keyspace, f->form, why)) return true;
    snprintf(error, 256, "NOMASTERLINK Can't SYNC what is served as %s: %s", rdb_form_reader(f->form), why);
    if (refusals_tell(refusals, f->name, replication_now_ms(f->r)))
        log_warning("Replica %s is not synchronized, it is served as %s: %s", f->name, rdb_form_reader(f->form), why);
    return false;
}

/* We have come back with less than it has. True: *error says so. */
static bool is_held_back(const struct follower *f, enum resync_reason reason, int64_t asked_offset, char error[256])
{
    struct replication *r = f->r;
    const struct history *h = repl_stream_history(r->stream);
    struct comeback *c = &r->master->comeback;
    int64_t now_ms = replication_now_ms(r);
    bool watched = r->host.has_sentinels(r->host.context);
    if (replication_is_replica(r) || f->hello.rdb_only) return false;
    if (!comeback_holds_back(c, h, reason, asked_offset, watched, now_ms)) return false;
    snprintf(error, 256, "NOMASTERLINK Can't SYNC yet: I have restarted with less than you have");
    if (refusals_tell(&r->master->refusals, f->name, now_ms))
        log_warning("Replica %s has %llu bytes of our history that we have lost: we came back with offset %llu. It is "
                    "not synchronized for a moment, so that Sentinels can make it the master",
                    f->name, (unsigned long long)comeback_ahead_bytes(c, watched, now_ms),
                    (unsigned long long)(h->second_offset > 0 ? h->second_offset - 1 : 0));
    return true;
}

static void accept_partial(struct follower *f, const struct resync_decision *d, const char *why, char answer[256])
{
    struct replication *r = f->r;
    f->from = d->from;
    f->slot = backlog_peer_claim(repl_stream_backlog(r->stream), d->from);
    CHECK(f->slot >= 0);
    ++*r->stats.sync_partial_ok;
    log_notice(
        "Partial resynchronization request from %s accepted. Sending %lld bytes of backlog starting from offset %lld. "
        "(%s)",
        f->name, (long long)(backlog_end(repl_stream_backlog(r->stream)) - d->from), (long long)d->from, why);
    if (f->hello.psync2)
        snprintf(answer, 256, WIRE_CONTINUE_AS, repl_stream_history(r->stream)->id);
    else
        snprintf(answer, 256, WIRE_CONTINUE_ANSWER);
}

/* A backlog that starts with this replica starts a history too: what was written before has left no trace. */
static int open_first_backlog(struct replication *r)
{
    if (repl_stream_window(r->stream).present) return 0;
    if (!repl_stream_backlog(r->stream) && !replication_is_replica(r)) repl_stream_new_id(r->stream);
    if (repl_stream_open(r->stream) != 0) return -1;
    repl_stream_offer(r->stream);
    log_notice("Replication backlog created, my new replication IDs are '%s' and '%s'",
               repl_stream_history(r->stream)->id, repl_stream_history(r->stream)->second_id);
    return 0;
}

static int accept_full(struct follower *f, enum resync_reason reason, const char *why, char answer[256],
                       char error[256])
{
    struct replication *r = f->r;
    f->machine.wish = f->hello.rdb_only ? FOLLOWER_COPIES : FOLLOWER_FULL;
    f->machine.by_mark = f->hello.eof;
    f->request = ++r->master->requests;
    f->not_before_ms = refusals_again_ms(&r->master->refusals, f->name);
    f->psync = reason != RESYNC_NO_PSYNC;
    if (f->psync && reason != RESYNC_FIRST_TIME) ++*r->stats.sync_partial_err;
    log_notice("Full resync requested by replica %s: %s", f->name, why);
    if (open_first_backlog(r) != 0) {
        snprintf(error, 256, "ERR Can't create the replication backlog: %s", strerror(errno));
        return -1;
    }
    if (queue_attach(f) == 0) {
        follower_answer(f, answer);
    } else if (errno != EAGAIN) {
        snprintf(error, 256, "ERR BGSAVE failed, replication can't continue: %s", strerror(errno));
        return -1;
    }
    ++*r->stats.sync_full;
    return 0;
}

struct follower *replication_accept(struct replication *r, const char *asked_id, int64_t asked_offset,
                                    bool sync_command, const struct follower_hello *hello, const struct address *peer,
                                    void *client, char answer[256], char error[256])
{
    answer[0] = error[0] = '\0';
    const char *refused = refusal(r);
    if (refused) {
        snprintf(error, 256, "%s", refused);
        return NULL;
    }
    char why[512];
    const char *asked = sync_command ? NULL : asked_id;
    struct resync_window window = repl_stream_window(r->stream);
    struct resync_decision d = resync_decide(repl_stream_history(r->stream), &window, asked, asked_offset);
    struct follower *f = new_follower(r, &d, hello, peer, client);
    if (!can_hold(f, error) || is_held_back(f, d.reason, asked_offset, error)) {
        turn_away(f);
        return NULL;
    }
    if (d.reason == RESYNC_CONTINUE && !words_may_continue(f, d.from)) d.reason = RESYNC_UNKNOWN_WORDS;
    resync_explain(&d, repl_stream_history(r->stream), &window, asked, asked_offset, why);
    log_notice("Replica %s asks for synchronization", f->name);
    if (d.reason == RESYNC_CONTINUE) {
        accept_partial(f, &d, why, answer);
    } else if (accept_full(f, d.reason, why, answer, error) != 0) {
        turn_away(f);
        return NULL;
    }
    list_push_back(&r->master->followers, &f->node);
    return f;
}
