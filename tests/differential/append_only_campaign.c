/* The campaign of the append-only file: generated writes to a server that ends, and what is loaded from its files
 * against a witness, a replica that has left the writer before its end. */
#include "tests/differential/campaign.h"

#include "tests/differential/round.h"
#include "tests/differential/settle.h"
#include "tests/differential/words.h"
#include "tests/harness/directory.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <stdlib.h>
#include <string.h>

#define DIRECTORY "appendonlydir"
#define DATABASES 16

/* What is compared over a restart must not expire meanwhile. */
static const char let_nothing_expire[] = "for db = 0, 15 do redis.call('SELECT', db) "
                                         "for _, key in ipairs(redis.call('KEYS', '*')) do "
                                         "local ttl = redis.call('PTTL', key) "
                                         "if ttl >= 0 and ttl < 600000 then redis.call('PERSIST', key) end end end";

enum end { STOPPED, KILLED };
enum rewriting { NOT_REWRITTEN, REWRITTEN, BEING_REWRITTEN, EVERY_SECOND_ROUND };

/* One way from a dataset to files and back. */
struct way {
    const char *name;
    enum server_kind writer, reader; /* of one kind: the same server, started again */
    enum end end;
    enum rewriting rewriting;
};

static const struct way ways[] = {
    {"ours, stopped", OURS, OURS, STOPPED, NOT_REWRITTEN},
    {"ours, killed", OURS, OURS, KILLED, NOT_REWRITTEN},
    {"ours, rewritten and killed", OURS, OURS, KILLED, REWRITTEN},
    {"ours, killed while it rewrites", OURS, OURS, KILLED, BEING_REWRITTEN},
    {"ours to Debian's", OURS, DEBIAN, STOPPED, EVERY_SECOND_ROUND},
    {"Debian's to ours", DEBIAN, OURS, STOPPED, EVERY_SECOND_ROUND},
};

struct trip {
    const struct way *way;
    struct differences *differences;
    struct server *writer, *reader, *witness;
    int round;
    char *why; /* owned */
};

static void explain(struct trip *t, const char *why)
{
    free(t->why);
    t->why = strdup(why);
}

static bool rewrites(const struct trip *t)
{
    return t->way->rewriting == EVERY_SECOND_ROUND ? t->round % 2 : t->way->rewriting != NOT_REWRITTEN;
}

static bool is_rewriting(struct server *s)
{
    return !info_is(s, "persistence", "aof_rewrite_in_progress", "0") ||
           !info_is(s, "persistence", "aof_rewrite_scheduled", "0");
}

/* Where the second half begins: not in the midst of a production. */
static int middle_of(const struct script *s)
{
    int at = s->count / 2;
    while (at < s->count && s->at[at].glued) at++;
    return at;
}

/* The round's commands, and a rewrite that begins between two of them. */
static bool write_round(struct trip *t, struct pair *p, const struct script *s)
{
    int middle = middle_of(s);
    struct script first = script_without(s, middle, s->count), second = script_without(s, 0, middle);
    bool done = pair_run(p, &first, ROUND_BURST) < 0;
    if (done && rewrites(t)) freeReplyObject(command(t->writer, "BGREWRITEAOF"));
    done = done && pair_run(p, &second, ROUND_BURST) < 0;
    if (!done) explain(t, pair_disagreement(p));
    script_free(&first);
    script_free(&second);
    return done;
}

static bool write_all(struct trip *t, const struct script *s)
{
    struct pair *p = pair_make(&(struct pair_options){.server = {t->writer},
                                                      .name = {"writer"},
                                                      .differences = t->differences,
                                                      .patience_ms = PATIENCE_MS,
                                                      .silence_agrees = true});
    pair_begin(p, 2);
    expect_ok(t->writer, "CONFIG SET aof-use-rdb-preamble %s", t->round / 2 % 2 ? "no" : "yes");
    follow(t->witness, t->writer);
    wait_in_step(t->witness, t->writer);
    bool done = write_round(t, p, s);
    pair_free(p);
    expect_nil(t->writer, "EVAL %s 0", let_nothing_expire);
    return done;
}

/* The witness has everything, and hears no more: a writer that comes back with less must not take it along. */
static bool witness_leaves(struct trip *t)
{
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    while (!in_step(t->witness, t->writer)) {
        if (clock_ms() > deadline_ms) {
            explain(t, "# the witness does not catch up\n");
            return false;
        }
        sleep_us(1000);
    }
    promote(t->witness);
    return true;
}

static void end_writer(struct trip *t)
{
    if (t->way->rewriting != BEING_REWRITTEN) wait_until(!is_rewriting(t->writer));
    if (t->way->end == KILLED)
        server_kill(t->writer);
    else
        server_stop(t->writer);
}

static void carry_files(const struct trip *t)
{
    char source[512], target[512];
    server_path(t->writer, DIRECTORY, source);
    server_path(t->reader, DIRECTORY, target);
    directory_remove(target);
    const char *argv[] = {"/bin/cp", "-r", source, target, NULL};
    struct process_result copied = process_run(argv, NULL);
    if (copied.exit_code != 0) harness_fail("%s: %s", source, copied.output);
    free(copied.output);
}

static void start_reader(struct trip *t)
{
    if (t->reader != t->writer) carry_files(t);
    server_launch(t->reader);
    wait_until(info_is_if_there(t->reader, "persistence", "loading", "0"));
}

/* The bytes of both sides' values: what does not fail again cannot be looked at later. */
static void explain_value(struct server *const sides[2], FILE *out, int database, const redisReply *key)
{
    static const char *const names[2] = {"witness", "reader"};
    fprintf(out, "# the value of %s in database %d\n", key->str, database);
    for (int i = 0; i < 2; i++) {
        redisReply *dump = command(sides[i], "DUMP %b", key->str, key->len);
        if (dump->type == REDIS_REPLY_STRING) {
            struct words payload = {0};
            words_append(&payload, dump->str, dump->len);
            fprintf(out, "# %s's payload: ", names[i]);
            words_print(out, &payload);
            words_free(&payload);
            fputc('\n', out);
        }
        freeReplyObject(dump);
    }
}

static void compare_key(struct trip *t, FILE *out, int database, const redisReply *key)
{
    struct server *sides[2] = {t->witness, t->reader};
    redisReply *digest[2], *expires[2];
    for (int i = 0; i < 2; i++) {
        digest[i] = command(sides[i], "DEBUG DIGEST-VALUE %b", key->str, key->len);
        expires[i] = command(sides[i], "PEXPIRETIME %b", key->str, key->len);
    }
    if (strcmp(digest[0]->element[0]->str, digest[1]->element[0]->str) != 0)
        explain_value(sides, out, database, key);
    else if (expires[0]->integer != expires[1]->integer)
        fprintf(out, "# the expiry of %s in database %d: %lld and %lld\n", key->str, database, expires[0]->integer,
                expires[1]->integer);
    for (int i = 0; i < 2; i++) {
        freeReplyObject(digest[i]);
        freeReplyObject(expires[i]);
    }
}

/* Which keys differ: what the reader of a digest wants to know next. A key that one side lacks is named, too. */
static void compare_keys(struct trip *t, FILE *out, int database)
{
    struct server *sides[2] = {t->witness, t->reader};
    for (int i = 0; i < 2; i++) expect_ok(sides[i], "SELECT %d", database);
    for (int i = 0; i < 2; i++) {
        redisReply *keys = command(sides[i], "KEYS *");
        for (size_t k = 0; k < keys->elements; k++) compare_key(t, out, database, keys->element[k]);
        freeReplyObject(keys);
    }
    for (int i = 0; i < 2; i++) expect_ok(sides[i], "SELECT 0");
}

static void explain_difference(struct trip *t, const char *disagreement)
{
    size_t len;
    free(t->why);
    FILE *out = open_memstream(&t->why, &len);
    fputs(disagreement, out);
    for (int database = 0; database < DATABASES; database++) compare_keys(t, out, database);
    fclose(out);
}

static bool reads_the_same(struct trip *t)
{
    bool reader_first = t->reader->kind == OURS;
    struct pair *p = pair_make(
        &(struct pair_options){.server = {reader_first ? t->reader : t->witness, reader_first ? t->witness : t->reader},
                               .name = {reader_first ? "reader" : "witness", reader_first ? "witness" : "reader"},
                               .differences = t->differences,
                               .patience_ms = PATIENCE_MS});
    struct script audit = {0};
    round_append_audit(&audit, t->writer->kind == OURS);
    bool same = settles(t->witness, PATIENCE_MS) && settles(t->reader, PATIENCE_MS) && pair_run(p, &audit, 1) < 0;
    if (!same) explain_difference(t, pair_disagreement(p));
    script_free(&audit);
    pair_free(p);
    return same;
}

static bool diverges(void *context, const struct script *s)
{
    struct trip *t = context;
    if (!t->writer->pid) server_launch(t->writer);
    if (!write_all(t, s) || !witness_leaves(t)) return true;
    end_writer(t);
    start_reader(t);
    bool same = reads_the_same(t);
    if (t->reader != t->writer) server_stop(t->reader);
    return !same;
}

static const char *why(void *context)
{
    const struct trip *t = context;
    return t->why ? t->why : "";
}

/* What the backlog of a dead server has would hide what its files lack. And one that has restarted knows nothing of who
 * had followed: unless told, it leaves out of the stream what a 6.2 among them would not know. */
static const char *config_of(enum server_kind kind)
{
    return kind == OURS ? "appendonly yes\nadopt-backlog no\nrdb-write-for 7.0" : "appendonly yes";
}

static void campaign_one_way(const struct way *way, struct differences *d, const struct grammar *g,
                             const struct campaign_options *o, struct tally *tally)
{
    struct trip t = {.way = way, .differences = d};
    t.writer = server_start(way->writer, "%s", config_of(way->writer));
    t.reader = way->reader == way->writer ? t.writer : server_prepare(way->reader, "%s", config_of(way->reader));
    t.witness = server_start(way->writer, "%s", "");
    struct generator generator = {.grammar = g};
    long commands = 0;
    int failures = 0;
    for (; commands < o->commands && failures < o->failures_max; t.round++) {
        struct script s = round_generate(&generator, o->seed, t.round, false);
        commands += round_commands(&s);
        if (!diverges(&t, &s)) {
            script_free(&s);
            continue;
        }
        char title[96];
        snprintf(title, sizeof title, "seed %llu, round %d, %s", (unsigned long long)o->seed, t.round, way->name);
        round_report(s, title, diverges, why, &t);
        failures++;
    }
    printf("append-only file, %s: %ld commands in %d rounds, %d failed\n", way->name, commands, t.round, failures);
    if (t.writer->pid) server_stop(t.writer);
    server_stop(t.witness);
    free(t.why);
    tally->tested++;
    tally->passed += failures == 0;
}

void campaign_append_only(struct differences *d, const struct grammar *g, const struct campaign_options *o,
                          struct tally *tally)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) campaign_one_way(&ways[i], d, g, o, tally);
}
