/* The replica's state machine. Server process; pure. Every change of state goes through enter(), which knows the legal
 * ones; every failure goes through fail(), so that there is one back-off and one way to let go of a connection. */
#include "repl/replica_machine.h"

#include "repl/wire.h"
#include "server/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LEAST_DELAY_MS        10
#define MOST_DELAY_MS         1000
#define OUTAGE_PARTS          16   /* an attempt comes at most this fraction of the outage later than it could have */
#define TELL_FIRST            3    /* attempts of an outage that are told ... */
#define TELL_EVERY_MS         1000 /* ... and then one in so long */
#define BEAT_MS               1000
#define FIRST_BEAT_MS         10
#define CONNECT_MOST_MS       5000 /* nobody may have the address any more: the name may stand for another by now */
#define STABLE_MS             1000 /* a link that held so long was a good one */
#define REFUSED_DELAY_MS      1000 /* after a snapshot or stream that was no good; doubles with each in a row ... */
#define RIGHTS_DELAY_MS       1000 /* after a refusal of who we are */
#define REFUSED_DOUBLINGS     4    /* ... so often, for a snapshot ... */
#define UNFOLLOWED_MOST_MS    (5 * 60 * 1000)  /* ... and up to this, for a stream */
#define UNFOLLOWED_FORGIVE_MS (10 * 60 * 1000) /* behind its wait */
#define SHORT_LINKS_PATIENCE  16               /* after so many that did not, the least delay doubles */

#define TO(state)  (1u << REPLICA_##state)
#define GIVE_UP    (TO(NONE) | TO(WAITING))
#define ANSWERED   (TO(TRANSFER) | TO(CONNECTED))
#define UNREACHED  "Timeout connecting to the MASTER..."
#define UNRESOLVED "Timeout resolving the MASTER's name..."
#define SILENT     "MASTER timeout: no data nor PING received..."
#define UNRECEIVED                                                                                                     \
    "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' parameter in "   \
    "redis.conf to a larger value."

/* clang-format off */
static const struct replica_row rows[REPLICA_STATES] = {
    /*                      name          ROLE's word   conn.  beat               time-out    successors, patience */
    [REPLICA_NONE]       = {"none",       "none",       false, ACTION_NONE,       NULL,       TO(RESOLVING)},
    [REPLICA_WAITING]    = {"waiting",    "connect",    false, ACTION_NONE,       NULL,       TO(NONE) | TO(RESOLVING)},
    [REPLICA_RESOLVING]  = {"resolving",  "connect",    true,  ACTION_NONE,       UNRESOLVED, GIVE_UP | TO(CONNECTING)},
    [REPLICA_CONNECTING] = {"connecting", "connecting", true,  ACTION_NONE,       UNREACHED,  GIVE_UP | TO(HANDSHAKE),
                            .patience_most_ms = CONNECT_MOST_MS},
    [REPLICA_HANDSHAKE]  = {"handshake",  "handshake",  true,  ACTION_NONE,       UNREACHED,  GIVE_UP | ANSWERED},
    [REPLICA_TRANSFER]   = {"transfer",   "sync",       true,  ACTION_KEEP_ALIVE, UNRECEIVED, GIVE_UP | TO(LOADING)},
    [REPLICA_LOADING]    = {"loading",    "sync",       true,  ACTION_KEEP_ALIVE, NULL,       GIVE_UP | TO(CONNECTED)},
    [REPLICA_CONNECTED]  = {"connected",  "connected",  true,  ACTION_ACK,        SILENT,     GIVE_UP},
};
/* clang-format on */

const struct replica_row *replica_row(enum replica_state state)
{
    return &rows[state];
}

bool replica_transition_legal(enum replica_state from, enum replica_state to)
{
    return rows[from].successors & (1u << to);
}

const char *replica_state_name(enum replica_state state)
{
    return rows[state].name;
}

void replica_machine_init(struct replica_machine *m, const struct replica_machine_settings *settings, uint64_t seed)
{
    *m = (struct replica_machine){.settings = settings, .state = REPLICA_NONE};
    random_seed(&m->random, seed);
}

/* Once a second, but sooner while the link is young: Redis sends a new replica no stream before it has heard an
 * acknowledgement, and forgets one that came before it had noticed the end of the child that wrote the snapshot. */
static int64_t next_beat_ms(const struct replica_machine *m, int64_t now_ms)
{
    int64_t age_ms = now_ms - m->since_ms;
    if (m->state != REPLICA_CONNECTED || age_ms >= BEAT_MS) return now_ms + BEAT_MS;
    return now_ms + (age_ms < FIRST_BEAT_MS ? FIRST_BEAT_MS : age_ms);
}

static void enter(struct replica_machine *m, enum replica_state state, int64_t now_ms)
{
    CHECK(replica_transition_legal(m->state, state));
    m->state = state;
    m->since_ms = m->heard_ms = now_ms;
    m->beat_ms = next_beat_ms(m, now_ms);
}

static struct replica_action *add(struct replica_actions *out, enum replica_action_kind kind)
{
    CHECK(out->count < REPLICA_ACTIONS_MAX);
    struct replica_action *a = &out->list[out->count++];
    *a = (struct replica_action){.kind = kind};
    return a;
}

static void __attribute__((format(printf, 3, 4)))
say(struct replica_actions *out, enum replica_action_kind kind, const char *format, ...)
{
    struct replica_action *a = add(out, kind);
    va_list args;
    va_start(args, format);
    vsnprintf(a->text, sizeof a->text, format, args);
    va_end(args);
}

static void attempt(struct replica_machine *m, int64_t now_ms, struct replica_actions *out)
{
    enter(m, REPLICA_RESOLVING, now_ms);
    m->quiet = m->failures > TELL_FIRST && now_ms - m->told_ms < TELL_EVERY_MS;
    if (!m->quiet) m->told_ms = now_ms;
    add(out, ACTION_RESOLVE);
}

/* The delay grows with the outage, not with the attempts: whatever it lasted, coming back adds a small part of it, and
 * a master that is long gone is asked once a second. Links that break as soon as they are up, again and again, are
 * retried less and less often. Half of the delay is fixed, half is drawn: replicas that lost the same master do not
 * return in step. */
static int64_t draw_delay_ms(struct replica_machine *m, int64_t now_ms)
{
    if (m->failures <= 1 && !m->short_links) return 0;
    unsigned doublings = m->short_links / SHORT_LINKS_PATIENCE;
    int64_t most = (now_ms - m->down_ms) / OUTAGE_PARTS;
    int64_t least = (int64_t)LEAST_DELAY_MS << (doublings < 8 ? doublings : 8);
    if (most < least) most = least;
    if (most > MOST_DELAY_MS) most = MOST_DELAY_MS;
    return most / 2 + (int64_t)random_below(&m->random, (uint64_t)(most / 2) + 1);
}

static void fail(struct replica_machine *m, int64_t now_ms, const char *why, struct replica_actions *out)
{
    if (m->state == REPLICA_CONNECTED) {
        m->failures = 0;
        bool stable = now_ms - m->since_ms >= STABLE_MS;
        m->short_links = stable ? 0 : m->short_links + 1;
        if (stable) m->refusals = 0;
    }
    if (m->failures++ == 0) m->down_ms = now_ms;
    say(out, ACTION_CLOSE, "%s", why);
    enter(m, REPLICA_WAITING, now_ms);
    m->retry_ms = now_ms + draw_delay_ms(m, now_ms);
}

/* Not a fault of the network, which may be well again in a moment. Replicas do not come back in step. */
static void wait_up_to(struct replica_machine *m, int64_t now_ms, int64_t most)
{
    m->retry_ms = now_ms + most / 2 + (int64_t)random_below(&m->random, (uint64_t)(most / 2) + 1);
}

static void refuse(struct replica_machine *m, int64_t now_ms)
{
    unsigned doublings = m->refusals++;
    wait_up_to(m, now_ms, (int64_t)REFUSED_DELAY_MS << (doublings < REFUSED_DOUBLINGS ? doublings : REFUSED_DOUBLINGS));
}

static void refuse_stream(struct replica_machine *m, int64_t now_ms)
{
    if (now_ms >= m->forgive_ms) m->unfollowed = 0;
    int64_t most = REFUSED_DELAY_MS;
    for (unsigned i = 0; i < m->unfollowed && most < UNFOLLOWED_MOST_MS; i++) most *= 2;
    m->unfollowed++;
    wait_up_to(m, now_ms, most < UNFOLLOWED_MOST_MS ? most : UNFOLLOWED_MOST_MS);
    m->forgive_ms = m->retry_ms + UNFOLLOWED_FORGIVE_MS;
}

static void leave(struct replica_machine *m, int64_t now_ms, struct replica_actions *out)
{
    if (m->state == REPLICA_NONE) return;
    if (rows[m->state].connection) add(out, ACTION_CLOSE);
    enter(m, REPLICA_NONE, now_ms);
}

/* --- the handshake --- */

static enum handshake_step next_step(const struct replica_machine *m, enum handshake_step step)
{
    step++;
    if (step == STEP_ADDRESS && !m->settings->announce_ip) step++;
    return step;
}

static void greet(struct replica_machine *m, int64_t now_ms, struct replica_actions *out)
{
    enter(m, REPLICA_HANDSHAKE, now_ms);
    m->step = m->settings->auth ? STEP_AUTH : STEP_PING;
    add(out, ACTION_GREET);
}

static bool starts_with(struct bytes line, const char *text)
{
    size_t len = strlen(text);
    return line.len >= len && memcmp(line.ptr, text, len) == 0;
}

static bool is_id(struct bytes word)
{
    if (word.len != HISTORY_ID_TEXT - 1) return false;
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] <= ' ' || word.ptr[i] > '~') return false;
    return true;
}

/* Cuts the first word off the line. */
static struct bytes take_word(struct bytes *line)
{
    while (line->len && *line->ptr == ' ') line->ptr++, line->len--;
    struct bytes word = {line->ptr, 0};
    while (word.len < line->len && line->ptr[word.len] != ' ') word.len++;
    line->ptr += word.len;
    line->len -= word.len;
    return word;
}

static bool parse_offset(struct bytes word, uint64_t *out)
{
    char text[24];
    if (!word.len || word.len >= sizeof text) return false;
    memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*end || value < 0) return false;
    *out = (uint64_t)value;
    return true;
}

static void full_resync(struct replica_machine *m, struct bytes rest, int64_t now_ms, struct replica_actions *out)
{
    struct bytes id = take_word(&rest), offset_word = take_word(&rest), reach_word = take_word(&rest);
    uint64_t offset, reach;
    if (!is_id(id) || !parse_offset(offset_word, &offset)) {
        fail(m, now_ms, "Master replied with wrong +FULLRESYNC syntax.", out);
        return;
    }
    enter(m, REPLICA_TRANSFER, now_ms);
    struct replica_action *a = add(out, ACTION_TRANSFER);
    memcpy(a->id, id.ptr, id.len);
    a->offset = offset;
    a->reach = parse_offset(reach_word, &reach) && reach > offset ? reach : offset;
}

static void stream(struct replica_machine *m, int64_t now_ms, struct replica_actions *out)
{
    enter(m, REPLICA_CONNECTED, now_ms);
    add(out, ACTION_STREAM);
}

static void partial_resync(struct replica_machine *m, struct bytes rest, int64_t now_ms, struct replica_actions *out)
{
    struct bytes id = take_word(&rest);
    if (id.len && !is_id(id)) {
        fail(m, now_ms, "Master replied with wrong +CONTINUE syntax.", out);
        return;
    }
    struct replica_action *a = add(out, ACTION_CONTINUE);
    memcpy(a->id, id.ptr, id.len);
    stream(m, now_ms, out);
}

/* Whether the master refuses us for who we are: somebody has to give us a password, or the rights to the commands. */
static bool is_about_rights(struct bytes line)
{
    static const char *const words[] = {WIRE_NOT_LOGGED_IN, WIRE_NOT_PERMITTED, WIRE_NOT_PERMITTED_OLD,
                                        WIRE_WRONG_PASSWORD, WIRE_PROTECTED};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (starts_with(line, words[i])) return true;
    return false;
}

/* The handshake ends here. The wait is never longer than the second between two attempts of Redis's: as soon as the
 * rights are given, they are used. */
static void fail_refused(struct replica_machine *m, bool about_rights, int64_t now_ms, const char *why,
                         struct replica_actions *out)
{
    fail(m, now_ms, why, out);
    if (about_rights) wait_up_to(m, now_ms, RIGHTS_DELAY_MS);
}

/* A master that knows no PSYNC says so by "unknown command"; any other refusal is a matter of time. */
static void psync_refused(struct replica_machine *m, struct bytes line, int64_t now_ms, struct replica_actions *out)
{
    int shown = (int)(line.len < 160 ? line.len : 160);
    const char *text = (const char *)line.ptr;
    if (m->failover) {
        m->failover = false;
        say(out, ACTION_WARN, "The failover's target answers: %.*s", shown, text);
        fail(m, now_ms, "", out);
        add(out, ACTION_FAILOVER_END);
    } else if (starts_with(line, WIRE_UNKNOWN_COMMAND)) {
        say(out, ACTION_NOTE, "Master does not support PSYNC (reply: %.*s). Retrying with SYNC...", shown, text);
        enter(m, REPLICA_TRANSFER, now_ms);
        add(out, ACTION_SYNC);
        add(out, ACTION_TRANSFER);
    } else {
        char why[224];
        snprintf(why, sizeof why, "Master is currently unable to PSYNC, it should be possible later: %.*s", shown,
                 text);
        fail_refused(m, is_about_rights(line), now_ms, why, out);
    }
}

static void psync_answered(struct replica_machine *m, struct bytes line, int64_t now_ms, struct replica_actions *out)
{
    bool failover = m->failover;
    struct bytes rest = line;
    struct bytes word = take_word(&rest);
    if (bytes_equal_text(word, WIRE_FULLRESYNC))
        full_resync(m, rest, now_ms, out);
    else if (bytes_equal_text(word, WIRE_CONTINUE))
        partial_resync(m, rest, now_ms, out);
    else if (starts_with(line, "-"))
        psync_refused(m, line, now_ms, out);
    else
        fail(m, now_ms, "Unexpected reply to PSYNC from master", out);
    if (failover && m->failover && m->state != REPLICA_WAITING) {
        m->failover = false;
        add(out, ACTION_FAILOVER_END)->good = true;
    }
}

/* NULL: the reply lets us go on. */
static const char *judge_reply(enum handshake_step step, struct bytes line, char why[256], struct replica_actions *out)
{
    static const char *const options[] = {
        [STEP_PORT] = WIRE_LISTENING_PORT, [STEP_ADDRESS] = WIRE_IP_ADDRESS, [STEP_CAPA] = WIRE_CAPA};
    bool refused = line.ptr[0] == '-';
    int shown = (int)(line.len < 160 ? line.len : 160);
    const char *text = (const char *)line.ptr;
    if (line.ptr[0] != '+' && !refused) {
        snprintf(why, 256, "Unexpected reply from master during the handshake: '%.*s'", shown, text);
        return why;
    }
    switch (step) {
    case STEP_AUTH:
        if (!refused) return NULL;
        snprintf(why, 256, "Unable to AUTH to MASTER: %.*s", shown, text);
        return why;
    case STEP_PING:
        /* A master that wants a password we do not have says so here; it may still let a replica in. */
        if (refused && !starts_with(line, WIRE_NOT_LOGGED_IN) && !starts_with(line, WIRE_NOT_PERMITTED) &&
            !starts_with(line, WIRE_NOT_PERMITTED_OLD)) {
            snprintf(why, 256, "Error reply to PING from master: '%.*s'", shown, text);
            return why;
        }
        say(out, ACTION_NOTE, "Master replied to PING, replication can continue...");
        return NULL;
    case STEP_VERSION: return NULL; /* no Redis knows it: its refusal is nothing to tell */
    default:
        if (refused)
            say(out, ACTION_NOTE, "(Non critical) Master does not understand REPLCONF %s: %.*s", options[step], shown,
                text);
        return NULL;
    }
}

static void handshake_line(struct replica_machine *m, struct bytes line, int64_t now_ms, struct replica_actions *out)
{
    m->heard_ms = now_ms;
    if (!line.len) return; /* a newline keeps the link alive while the master prepares its answer */
    if (m->step == STEP_PSYNC) {
        psync_answered(m, line, now_ms, out);
        return;
    }
    char why[256];
    const char *refusal = judge_reply(m->step, line, why, out);
    if (refusal) {
        fail_refused(m, m->step == STEP_AUTH || is_about_rights(line), now_ms, refusal, out);
        return;
    }
    m->step = next_step(m, m->step);
    if (m->step == STEP_PSYNC) add(out, ACTION_PSYNC);
}

/* --- time --- */

static int64_t patience_ms(const struct replica_machine *m)
{
    int64_t timeout_ms = m->settings->timeout_ms, most_ms = rows[m->state].patience_most_ms;
    return most_ms && timeout_ms > most_ms ? most_ms : timeout_ms;
}

int64_t replica_machine_deadline_ms(const struct replica_machine *m)
{
    int64_t deadline = INT64_MAX;
    if (m->state == REPLICA_WAITING) return m->retry_ms;
    if (rows[m->state].timeout) deadline = m->heard_ms + patience_ms(m);
    if (rows[m->state].beat && m->beat_ms < deadline) deadline = m->beat_ms;
    return deadline;
}

static void tick(struct replica_machine *m, int64_t now_ms, struct replica_actions *out)
{
    if (m->state == REPLICA_WAITING) {
        if (now_ms >= m->retry_ms) attempt(m, now_ms, out);
        return;
    }
    if (rows[m->state].timeout && now_ms - m->heard_ms >= patience_ms(m)) {
        fail(m, now_ms, rows[m->state].timeout, out);
        return;
    }
    if (rows[m->state].beat && now_ms >= m->beat_ms) {
        m->beat_ms = next_beat_ms(m, now_ms);
        add(out, rows[m->state].beat);
    }
}

void replica_machine_step(struct replica_machine *m, const struct replica_event *event, int64_t now_ms,
                          struct replica_actions *out)
{
    out->count = 0;
    switch (event->kind) {
    case EVENT_FOLLOW:
        leave(m, now_ms, out);
        m->failures = m->refusals = m->unfollowed = 0;
        m->failover = event->failover;
        attempt(m, now_ms, out);
        break;
    case EVENT_STOP:
        m->failover = false;
        leave(m, now_ms, out);
        break;
    case EVENT_RESOLVED:
        if (m->state != REPLICA_RESOLVING) break;
        enter(m, REPLICA_CONNECTING, now_ms);
        add(out, ACTION_CONNECT);
        break;
    case EVENT_CONNECTED:
        if (m->state == REPLICA_CONNECTING) greet(m, now_ms, out);
        break;
    case EVENT_LINE:
        if (m->state == REPLICA_HANDSHAKE) handshake_line(m, event->line, now_ms, out);
        break;
    case EVENT_HEARD: m->heard_ms = now_ms; break;
    case EVENT_TRANSFERRED:
        if (m->state != REPLICA_TRANSFER) break;
        enter(m, REPLICA_LOADING, now_ms);
        add(out, ACTION_LOAD);
        break;
    case EVENT_LOADED:
        if (m->state == REPLICA_LOADING) stream(m, now_ms, out);
        break;
    case EVENT_FAILED:
        if (!rows[m->state].connection) break;
        fail(m, now_ms, event->text, out);
        if (event->refused) refuse(m, now_ms);
        if (event->unfollowable) refuse_stream(m, now_ms);
        break;
    case EVENT_TICK: tick(m, now_ms, out); break;
    }
}
