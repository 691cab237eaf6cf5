/* Our Sentinel beside Debian's, both watching the same master: the same answers, and the same commands in COMMAND. What
 * 7.2 answers otherwise than 7.0 is left out, as is what depends on time and order. */
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(sentinel_peer, .fini = server_finish_all, .timeout = 120);

#define TEXT_MAX 65536

struct text {
    char at[TEXT_MAX];
    size_t len;
};

static void add(struct text *t, const char *word)
{
    int len = snprintf(t->at + t->len, TEXT_MAX - t->len, "%s\n", word);
    t->len += (size_t)len < TEXT_MAX - t->len ? (size_t)len : 0;
}

static bool is_run_id(const char *text)
{
    return strspn(text, "0123456789abcdef") == 40 && strlen(text) == 40;
}

/* Run ids are each one's own; so is the port of a Sentinel. */
static void flatten(const redisReply *r, struct text *out)
{
    char line[64];
    snprintf(line, sizeof line, "%d of %zu: %lld", r->type, r->elements, r->integer);
    add(out, line);
    if (r->str) add(out, is_run_id(r->str) ? "a run id" : r->str);
    for (size_t i = 0; i < r->elements; i++) flatten(r->element[i], out);
}

/* One word after another; "" is an empty one. */
static redisReply *ask(struct server *s, const char *line)
{
    char copy[512], *rest = copy;
    const char *argv[16];
    int argc = 0;
    redisReply *r;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word; (word = strsep(&rest, " ")) && argc < 16;) argv[argc++] = strcmp(word, "\"\"") == 0 ? "" : word;
    cr_assert_eq(redisAppendCommandArgv(connection(s), argc, argv, NULL), REDIS_OK);
    cr_assert_eq(redisGetReply(connection(s), (void **)&r), REDIS_OK, "%s", line);
    return r;
}

static void expect_same(struct server *ours, struct server *debians, const char *line)
{
    static struct text one, other;
    redisReply *a = ask(ours, line), *b = ask(debians, line);
    one.len = other.len = 0;
    flatten(a, &one);
    flatten(b, &other);
    cr_expect_str_eq(one.at, other.at, "%s\n--- ours\n%s--- Debian's\n%s", line, one.at, other.at);
    freeReplyObject(a);
    freeReplyObject(b);
}

static const char *const lines[] = {
    "SENTINEL",
    "SENTINEL nonsense",
    "SENTINEL MYID",
    "SENTINEL MYID x",
    "SENTINEL DEBUG",
    "SENTINEL DEBUG info-period",
    "SENTINEL DEBUG info-period 0",
    "SENTINEL DEBUG nonsense 1",
    "SENTINEL DEBUG tilt-trigger 2000 nonsense",
    "SENTINEL SIMULATE-FAILURE",
    "SENTINEL SIMULATE-FAILURE help",
    "SENTINEL SIMULATE-FAILURE nonsense",
    "SENTINEL SIMULATE-FAILURE crash-after-election CRASH-AFTER-PROMOTION",
    "INFO sentinel",
    "INFO nonsense",
    "ROLE",
    "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
    "SENTINEL GET-MASTER-ADDR-BY-NAME nobody",
    "SENTINEL MASTER nobody",
    "SENTINEL REPLICAS nobody",
    "SENTINEL SENTINELS nobody",
    "SENTINEL CKQUORUM mymaster",
    "SENTINEL CKQUORUM nobody",
    "SENTINEL CONFIG GET announce-ip",
    "SENTINEL CONFIG GET nonsense",
    "SENTINEL CONFIG SET announce-port x",
    "SENTINEL CONFIG SET announce-port 70000",
    "SENTINEL CONFIG SET resolve-hostnames perhaps",
    "SENTINEL CONFIG SET nonsense x",
    "SENTINEL CONFIG SET sentinel-user somebody",
    "SENTINEL CONFIG GET sentinel-user",
    "SENTINEL CONFIG SET sentinel-user \"\"",
    "SENTINEL SET mymaster quorum",
    "SENTINEL SET mymaster nonsense x",
    "SENTINEL SET mymaster quorum 0",
    "SENTINEL SET mymaster quorum 2 quorum",
    "SENTINEL SET mymaster quorum 2 down-after-milliseconds 0",
    "SENTINEL SET mymaster down-after-milliseconds x",
    "SENTINEL SET mymaster rename-command a",
    "SENTINEL SET mymaster rename-command a \"\"",
    "SENTINEL SET mymaster rename-command \"\" b",
    "SENTINEL SET mymaster rename-command a b",
    "SENTINEL SET mymaster rename-command a a",
    "SENTINEL SET mymaster notification-script /bin/true",
    "SENTINEL SET mymaster failover-timeout 0",
    "SENTINEL SET mymaster parallel-syncs 0",
    "SENTINEL SET mymaster master-reboot-down-after-period -1",
    "SENTINEL SET nobody quorum 1",
    "SENTINEL MONITOR",
    "SENTINEL MONITOR mymaster 127.0.0.1 1 1",
    "SENTINEL MONITOR other 127.0.0.1 99999 1",
    "SENTINEL MONITOR other 127.0.0.1 x 1",
    "SENTINEL MONITOR other 127.0.0.1 1 0",
    "SENTINEL MONITOR other 127.0.0.1 1 x",
    "SENTINEL MONITOR other no.such.name 1 1",
    "SENTINEL MONITOR other 127.0.0.1 1 1",
    "SENTINEL REMOVE other",
    "SENTINEL REMOVE other",
    "SENTINEL FAILOVER nobody",
    "SENTINEL FAILOVER mymaster",
    "SENTINEL PENDING-SCRIPTS",
    "SENTINEL INFO-CACHE",
    "SENTINEL INFO-CACHE nobody",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 x *",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *",
    "SENTINEL RESET nobody*",
    "SENTINEL FLUSHCONFIG",
    "PUBLISH channel text",
    "PUBLISH __sentinel__:hello nonsense",
    "GET x",
    "CONFIG GET port",
    "SAVE",
    "MULTI",
    "MONITOR",
    "SHUTDOWN nonsense",
    "AUTH x",
    "PING",
    "PING x",
    "ACL WHOAMI",
    "COMMAND COUNT",
};

Test(sentinel_peer, answers)
{
    char config[256];
    struct server *master = server_start(OURS, "%s", "");
    snprintf(config, sizeof config, "sentinel monitor mymaster 127.0.0.1 %d 2", master->port);
    struct server *ours = server_start(OUR_SENTINEL, "%s", config),
                  *debians = server_start(DEBIAN_SENTINEL, "%s", config);
    wait_until(sentinel_has_quorum(ours) && sentinel_has_quorum(debians));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) expect_same(ours, debians, lines[i]);
}

/* Which fields there are, and in which order. */
Test(sentinel_peer, fields_of_what_is_watched)
{
    static const char *const shows[] = {"SENTINEL MASTERS", "SENTINEL REPLICAS mymaster",
                                        "SENTINEL SENTINELS mymaster"};
    char config[256];
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    snprintf(config, sizeof config, "sentinel monitor mymaster 127.0.0.1 %d 2", master->port);
    struct server *ours = server_start(OUR_SENTINEL, "%s", config),
                  *debians = server_start(DEBIAN_SENTINEL, "%s", config);
    wait_until(sentinel_knows(ours, 1, 1) && sentinel_knows(debians, 1, 1));
    for (size_t i = 0; i < sizeof shows / sizeof *shows; i++) {
        redisReply *a = ask(ours, shows[i]), *b = ask(debians, shows[i]);
        cr_assert(a->elements == 1 && b->elements == 1);
        cr_expect_eq(a->element[0]->elements, b->element[0]->elements, "%s", shows[i]);
        for (size_t k = 0; k < a->element[0]->elements && k < b->element[0]->elements; k += 2)
            cr_expect_str_eq(a->element[0]->element[k]->str, b->element[0]->element[k]->str, "%s", shows[i]);
        freeReplyObject(a);
        freeReplyObject(b);
    }
}

static bool has_word(const redisReply *list, const char *word)
{
    for (size_t i = 0; i < list->elements; i++)
        if (strcmp(list->element[i]->str, word) == 0) return true;
    return false;
}

enum { INFO_NAME, INFO_ARITY, INFO_FLAGS, INFO_CATEGORIES = 6 };

static void expect_same_words(const redisReply *a, const redisReply *b, const char *name)
{
    cr_expect_eq(a->elements, b->elements, "%s", name);
    for (size_t i = 0; i < b->elements; i++)
        cr_expect(has_word(a, b->element[i]->str), "%s: %s", name, b->element[i]->str);
}

Test(sentinel_peer, commands)
{
    struct server *ours = server_start(OUR_SENTINEL, "%s", ""), *debians = server_start(DEBIAN_SENTINEL, "%s", "");
    redisReply *names = ask(debians, "COMMAND LIST");
    cr_assert_gt(names->elements, 40);
    for (size_t i = 0; i < names->elements; i++) {
        char line[128];
        const char *name = names->element[i]->str;
        /* Those of a server are compared where servers are; here they have to be there. */
        bool servers = strchr(name, '|') && strncmp(name, "sentinel", strlen("sentinel")) != 0;
        snprintf(line, sizeof line, "COMMAND INFO %s", name);
        redisReply *a = ask(ours, line), *b = ask(debians, line);
        const redisReply *mine = a->element[0], *theirs = b->element[0];
        cr_assert(mine->elements == theirs->elements && mine->elements > INFO_CATEGORIES, "%s", name);
        if (!servers) {
            cr_expect_eq(mine->element[INFO_ARITY]->integer, theirs->element[INFO_ARITY]->integer, "%s", name);
            expect_same_words(mine->element[INFO_FLAGS], theirs->element[INFO_FLAGS], name);
            expect_same_words(mine->element[INFO_CATEGORIES], theirs->element[INFO_CATEGORIES], name);
        }
        freeReplyObject(a);
        freeReplyObject(b);
    }
    freeReplyObject(names);
}
