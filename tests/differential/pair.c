/* The two servers that hear the same steps, started, asked and compared. */
#include "tests/differential/pair.h"

#include "tests/differential/channel.h"
#include "tests/differential/events.h"
#include "tests/harness/clock.h"
#include "tests/harness/process.h"
#include "tests/harness/wait.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS     26
#define SILENCE_MS  100
#define SHOWN_BYTES 4000
#define ROUNDED_MS  400 /* so much later a TTL of whole seconds, or of 1.9, is still rounded to the same */

struct variable {
    char *name;
    struct words value; /* one word for each side */
    struct variable *next;
};

/* A client is one channel to each side. */
struct client {
    bool open;
    struct channel side[2];
    enum mode *queued; /* how the replies of what MULTI has queued are to be compared, and to which command */
    const struct words **queued_words;
    int queued_count;
    const struct step *sent; /* what a STEP_READ answers */
};

struct received {
    enum channel_result result;
    const char *bytes;
    size_t len;
};

struct pair {
    struct pair_options o;
    int sides, resp;
    int64_t began_ms;
    struct channel control[2];
    struct events events[2];
    struct client clients[CLIENTS];
    struct variable *variables;
    char *disagreement;
};

static const char *const defaults[] = {
    "hash-max-listpack-entries", "128",       "hash-max-listpack-value",   "64",
    "list-max-listpack-size",    "-2",        "list-compress-depth",       "0",
    "set-max-intset-entries",    "512",       "zset-max-listpack-entries", "128",
    "zset-max-listpack-value",   "64",        "stream-node-max-entries",   "100",
    "stream-node-max-bytes",     "4096",      "hll-sparse-max-bytes",      "3000",
    "proto-max-bulk-len",        "536870912", "maxmemory-policy",          "noeviction",
    "notify-keyspace-events",    KEY_EVENTS,
};

/* Users belong to no database. Those that cases and productions make have these names. */
static const char *const no_users[] = {
    "CONFIG SET acl-pubsub-default resetchannels",
    "CONFIG SET acllog-max-len 128",
    "ACL SETUSER default reset on nopass ~* &* +@all",
    "ACL DELUSER alice bob",
    "ACL SETUSER u reset",
    "ACL SETUSER v reset",
    "ACL LOG RESET",
};

struct pair *pair_make(const struct pair_options *options)
{
    struct pair *p = calloc(1, sizeof *p);
    p->o = *options;
    p->sides = options->server[1] ? 2 : 1;
    for (int side = 0; side < 2; side++) p->control[side].fd = -1;
    return p;
}

static void close_client(struct client *c)
{
    if (!c->open) return;
    for (int side = 0; side < 2; side++) channel_close(&c->side[side]);
    free(c->queued);
    free(c->queued_words);
    *c = (struct client){0};
}

static void forget_variables(struct pair *p)
{
    for (struct variable *v = p->variables; v; v = p->variables) {
        p->variables = v->next;
        words_free(&v->value);
        free(v->name);
        free(v);
    }
}

static void end_clients(struct pair *p)
{
    for (int i = 0; i < CLIENTS; i++) close_client(&p->clients[i]);
    forget_variables(p);
}

void pair_free(struct pair *p)
{
    end_clients(p);
    for (int side = 0; side < 2; side++) {
        channel_close(&p->control[side]);
        events_close(&p->events[side]);
    }
    free(p->disagreement);
    free(p);
}

/* --- what was seen --- */

static FILE *write_disagreement(struct pair *p)
{
    static size_t len;
    free(p->disagreement);
    return open_memstream(&p->disagreement, &len);
}

const char *pair_disagreement(const struct pair *p)
{
    return p->disagreement ? p->disagreement : "";
}

static void show_reply(const struct pair *p, FILE *out, int side, enum channel_result result, const struct reply *r)
{
    fprintf(out, "# %s: ", p->o.name[side]);
    if (result == CHANNEL_NOTHING) fputs("(no reply in time)", out);
    if (result == CHANNEL_CLOSED) fputs("(connection closed)", out);
    if (result == CHANNEL_REPLY) {
        char *text;
        size_t len;
        FILE *printed = open_memstream(&text, &len);
        reply_print(printed, r);
        fclose(printed);
        fprintf(out, "%.*s%s", SHOWN_BYTES, text, len > SHOWN_BYTES ? "..." : "");
        free(text);
    }
    fputc('\n', out);
}

/* --- sending --- */

static void put_request(FILE *out, const struct pair *p, const struct words *w, int side);

static bool ask(struct channel *c, const struct words *w, const struct pair *p, int side, int bound_ms)
{
    char *bytes;
    size_t len;
    FILE *out = open_memstream(&bytes, &len);
    put_request(out, p, w, side);
    fclose(out);
    channel_send(c, bytes, len);
    free(bytes);
    const char *reply;
    return channel_next(c, bound_ms, &reply, &len) == CHANNEL_REPLY;
}

static bool ask_text(struct channel *c, const char *line, const struct pair *p, int side, int bound_ms)
{
    struct words w;
    words_split(line, &w);
    bool answered = ask(c, &w, p, side, bound_ms);
    words_free(&w);
    return answered;
}

static bool refresh(struct pair *p, int side)
{
    struct channel *c = &p->control[side];
    if (c->fd < 0) channel_open(c, p->o.server[side]);
    bool fresh = ask_text(c, "FLUSHALL", p, side, p->o.patience_ms);
    for (size_t i = 0; fresh && i < sizeof defaults / sizeof *defaults; i += 2) {
        char line[128];
        snprintf(line, sizeof line, "CONFIG SET %s \"%s\"", defaults[i], defaults[i + 1]);
        fresh = ask_text(c, line, p, side, p->o.patience_ms);
    }
    for (size_t i = 0; fresh && i < sizeof no_users / sizeof *no_users; i++)
        fresh = ask_text(c, no_users[i], p, side, p->o.patience_ms);
    if (fresh && p->o.server[side]->kind == OURS)
        fresh = ask_text(c, "CONFIG SET set-max-listpack-entries 128", p, side, p->o.patience_ms);
    if (!fresh || p->sides == 1) return fresh;
    events_listen(&p->events[side], p->o.server[side]);
    events_take(&p->events[side], p->o.patience_ms); /* of the case before */
    return true;
}

void pair_begin(struct pair *p, int resp)
{
    end_clients(p);
    p->resp = resp;
    p->began_ms = clock_ms();
    for (int side = 0; side < p->sides; side++) {
        if (refresh(p, side)) continue;
        channel_close(&p->control[side]);
        events_close(&p->events[side]);
        server_print_log_tail(p->o.server[side]->log);
        server_restart(p->o.server[side]);
        if (!refresh(p, side)) harness_fail("%s does not answer after a new start", p->o.name[side]);
    }
}

static struct client *client_of(struct pair *p, const struct step *s)
{
    struct client *c = &p->clients[s->client - 'a'];
    if (c->open) return c;
    c->open = true;
    for (int side = 0; side < 2; side++) {
        c->side[side].fd = -1;
        if (side >= p->sides) continue;
        channel_open(&c->side[side], p->o.server[side]);
        if (p->resp == 3) ask_text(&c->side[side], "HELLO 3", p, side, p->o.patience_ms);
    }
    return c;
}

/* The variable named at the start of text. The longest name wins. */
static const struct variable *variable_at(const struct pair *p, const char *text, size_t len)
{
    const struct variable *best = NULL;
    for (const struct variable *v = p->variables; v; v = v->next) {
        size_t name_len = strlen(v->name);
        if (name_len > len || memcmp(v->name, text, name_len) != 0) continue;
        if (!best || strlen(best->name) < name_len) best = v;
    }
    return best;
}

static void put_word(FILE *out, const struct pair *p, const struct word *w, int side)
{
    char *bytes = NULL;
    size_t len = 0, at = 0;
    FILE *expanded = open_memstream(&bytes, &len);
    while (at < w->len) {
        const struct variable *v = w->bytes[at] == '$' ? variable_at(p, w->bytes + at + 1, w->len - at - 1) : NULL;
        if (!v) {
            fputc(w->bytes[at++], expanded);
            continue;
        }
        fwrite(v->value.at[side].bytes, 1, v->value.at[side].len, expanded);
        at += 1 + strlen(v->name);
    }
    fclose(expanded);
    fprintf(out, "$%zu\r\n", len);
    fwrite(bytes, 1, len, out);
    fputs("\r\n", out);
    free(bytes);
}

static void put_request(FILE *out, const struct pair *p, const struct words *w, int side)
{
    fprintf(out, "*%d\r\n", w->count);
    for (int i = 0; i < w->count; i++) {
        if (p->variables && memchr(w->at[i].bytes, '$', w->at[i].len)) {
            put_word(out, p, &w->at[i], side);
            continue;
        }
        fprintf(out, "$%zu\r\n", w->at[i].len);
        fwrite(w->at[i].bytes, 1, w->at[i].len, out);
        fputs("\r\n", out);
    }
}

static void send_steps(struct pair *p, const struct script *s, int from, int to)
{
    struct client *c = client_of(p, &s->at[from]);
    for (int side = 0; side < p->sides; side++) {
        char *bytes;
        size_t len;
        FILE *out = open_memstream(&bytes, &len);
        for (int i = from; i < to; i++) put_request(out, p, &s->at[i].words, side);
        fclose(out);
        channel_send(&c->side[side], bytes, len);
        free(bytes);
    }
}

/* What other clients have sent so far has been read by the servers: they read all that is there before they answer. */
static void barrier(struct pair *p)
{
    for (int side = 0; side < p->sides; side++) ask_text(&p->control[side], "PING", p, side, p->o.patience_ms);
}

/* --- judging --- */

static const struct reply *first_scalar(const struct reply *r)
{
    while (reply_is_aggregate(r) && r->parts) r = &r->part[0];
    return r;
}

static void set_variable(struct pair *p, const char *name, struct reply replies[2])
{
    struct variable *v = p->variables;
    while (v && strcmp(v->name, name) != 0) v = v->next;
    if (!v) {
        v = calloc(1, sizeof *v);
        v->name = strdup(name);
        v->next = p->variables;
        p->variables = v;
    }
    words_free(&v->value);
    for (int side = 0; side < p->sides; side++) {
        const struct reply *r = first_scalar(&replies[side]);
        words_append(&v->value, r->text, r->len);
    }
}

static long long tolerance_of(const struct words *w)
{
    static const char *const in_seconds[] = {"TTL", "EXPIRETIME", "OBJECT", "TIME", "LASTSAVE"};
    for (size_t i = 0; i < sizeof in_seconds / sizeof *in_seconds; i++)
        if (words_have(w, 0, in_seconds[i])) return 1;
    return 1000;
}

/* Where one server got no processor for a while, a time to live has gone on there. */
static bool judge(struct pair *p, enum mode mode, const struct words *w, struct reply replies[2])
{
    long long tolerance = tolerance_of(w);
    bool slow = clock_ms() - p->began_ms >= ROUNDED_MS;
    if (slow && mode == MODE_EXACT && words_have(w, 0, "TTL")) mode = MODE_NEAR;
    return replies_agree(mode, &replies[0], &replies[1], tolerance) ||
           differences_expect(p->o.differences, w, mode, &replies[0], &replies[1], tolerance);
}

static void remember_queued(struct client *c, const struct step *s)
{
    int count = c->queued_count++;
    c->queued = realloc(c->queued, c->queued_count * sizeof *c->queued);
    c->queued_words = realloc(c->queued_words, c->queued_count * sizeof *c->queued_words);
    c->queued[count] = s->mode;
    c->queued_words[count] = &s->words;
}

/* EXEC's replies are those of the queued commands, each to be compared in its own way. */
static bool judge_exec(struct pair *p, struct client *c, struct reply replies[2])
{
    bool agree = replies[0].parts == replies[1].parts;
    for (int i = 0; agree && i < replies[0].parts; i++) {
        struct reply both[2] = {replies[0].part[i], replies[1].part[i]};
        agree = judge(p, c->queued[i], c->queued_words[i], both);
        for (int side = 0; side < 2; side++) replies[side].part[i] = both[side];
    }
    return agree;
}

/* Whether two replies to step s agree. What they tell about a transaction is noted. */
static bool judge_step(struct pair *p, struct client *c, const struct step *s, struct reply replies[2])
{
    const struct reply *first = &replies[0];
    if (first->type == '+' && first->len == 6 && memcmp(first->text, "QUEUED", 6) == 0) {
        remember_queued(c, s);
        return reply_compare(&replies[0], &replies[1]) == 0;
    }
    bool ends =
        words_have(&s->words, 0, "EXEC") || words_have(&s->words, 0, "DISCARD") || words_have(&s->words, 0, "RESET");
    bool agree;
    if (words_have(&s->words, 0, "EXEC") && reply_is_aggregate(first) && first->parts == c->queued_count)
        agree = judge_exec(p, c, replies);
    else
        agree = judge(p, s->mode, s->kind == STEP_READ && c->sent ? &c->sent->words : &s->words, replies);
    if (ends) c->queued_count = 0;
    return agree;
}

/* The next reply on each side that has none yet; true: no side has one. */
static bool receive_within(struct pair *p, struct client *c, int bound_ms, struct received r[2])
{
    bool silent = true;
    for (int side = 0; side < p->sides; side++) {
        if (r[side].result == CHANNEL_NOTHING)
            r[side].result = channel_next(&c->side[side], bound_ms, &r[side].bytes, &r[side].len);
        silent &= r[side].result == CHANNEL_NOTHING;
    }
    return silent;
}

/* The next reply on each side. Where silence agrees, nobody is waited for once all are silent though they have read
 * what the client sent. */
static bool receive(struct pair *p, struct client *c, struct received r[2])
{
    if (!p->o.silence_agrees) return receive_within(p, c, p->o.patience_ms, r);
    if (receive_within(p, c, SILENCE_MS, r)) {
        barrier(p);
        if (receive_within(p, c, SILENCE_MS, r)) return true;
    }
    return receive_within(p, c, p->o.patience_ms, r);
}

static bool all_are(const struct pair *p, const struct received r[2], enum channel_result result)
{
    return r[0].result == result && (p->sides == 1 || r[1].result == result);
}

/* Reads and judges the next reply of the step's client on each side. */
static bool await(struct pair *p, const struct step *s)
{
    struct client *c = client_of(p, s);
    struct received r[2] = {{.result = CHANNEL_NOTHING}, {.result = CHANNEL_NOTHING}};
    struct reply replies[2] = {{0}};
    bool silent = receive(p, c, r), hung_up = p->sides == 2 && all_are(p, r, CHANNEL_CLOSED);
    if (hung_up || (silent && p->o.silence_agrees)) {
        close_client(c);
        barrier(p);
        return true;
    }
    for (int side = 0; side < p->sides; side++)
        if (r[side].result == CHANNEL_REPLY) replies[side] = reply_read(r[side].bytes, r[side].len);
    bool agree = all_are(p, r, CHANNEL_REPLY) && (p->sides == 1 || judge_step(p, c, s, replies));
    if (agree && s->variable) set_variable(p, s->variable, replies);
    if (!agree) {
        FILE *out = write_disagreement(p);
        for (int side = 0; side < p->sides; side++) show_reply(p, out, side, r[side].result, &replies[side]);
        fclose(out);
    }
    for (int side = 0; side < p->sides; side++) reply_free(&replies[side]);
    return agree;
}

static bool expect_silence(struct pair *p, const struct step *s)
{
    struct client *c = client_of(p, s);
    bool silent = true;
    barrier(p);
    for (int side = 0; side < p->sides; side++) {
        const char *bytes;
        size_t len;
        enum channel_result result = channel_next(&c->side[side], 0, &bytes, &len);
        if (result == CHANNEL_NOTHING) continue;
        struct reply r = result == CHANNEL_REPLY ? reply_read(bytes, len) : (struct reply){0};
        FILE *out = write_disagreement(p);
        show_reply(p, out, side, result, &r);
        fclose(out);
        reply_free(&r);
        silent = false;
    }
    return silent;
}

/* What the steps have told of keys. */
static bool events_agree(struct pair *p, const struct step *steps, int count)
{
    char *heard[2];
    if (p->sides == 1) return true;
    for (int side = 0; side < 2; side++) heard[side] = events_take(&p->events[side], p->o.patience_ms);
    bool agree = strcmp(heard[0], heard[1]) == 0;
    for (int i = 0; i < count && !agree; i++)
        agree = differences_expect_events(p->o.differences, &steps[i].words, heard[0], heard[1]);
    for (int i = 0; i < CLIENTS && !agree; i++) { /* who waits runs behind the command that ends the wait */
        const struct step *sent = p->clients[i].open ? p->clients[i].sent : NULL;
        if (sent) agree = differences_expect_events(p->o.differences, &sent->words, heard[0], heard[1]);
    }
    if (agree) return true;
    FILE *out = write_disagreement(p);
    for (int side = 0; side < 2; side++) fprintf(out, "# %s tells of keys:\n%s", p->o.name[side], heard[side]);
    fclose(out);
    return false;
}

/* Up to which step commands can go out together: one client's, and nothing that waits for a variable's value. */
static int end_of_burst(const struct script *s, int from, int burst)
{
    int to = from;
    while (to < s->count && to - from < burst && s->at[to].kind == STEP_COMMAND &&
           s->at[to].client == s->at[from].client) {
        if (s->at[to++].variable) break;
    }
    return to;
}

/* EXEC's events are those of what has been queued since MULTI. */
static const struct step *start_of_transaction(const struct script *s, const struct step *step)
{
    const struct step *first = step;
    if (!words_have(&step->words, 0, "EXEC")) return step;
    while (first > s->at && !words_have(&first->words, 0, "MULTI")) first--;
    return first;
}

int pair_run(struct pair *p, const struct script *s, int burst)
{
    for (int i = 0; i < s->count;) {
        const struct step *step = &s->at[i];
        if (step->kind == STEP_COMMAND) {
            int to = end_of_burst(s, i, burst);
            send_steps(p, s, i, to);
            for (; i < to; i++)
                if (!await(p, &s->at[i])) return i;
            const struct step *first = start_of_transaction(s, step);
            if (!events_agree(p, first, (int)(&s->at[i] - first))) return i - 1;
            continue;
        }
        if (step->kind == STEP_SEND) {
            send_steps(p, s, i, i + 1);
            client_of(p, step)->sent = step;
            barrier(p);
        } else if (step->kind == STEP_READ ? !await(p, step) : !expect_silence(p, step)) {
            return i;
        }
        i++;
    }
    return -1;
}
