/* Accidents under writes: links are cut, stalled and healed, processes are frozen and killed. In the end everything is
 * healed, and all must hold the same data.
 *
 * What is written, which accident follows it and after how many writes: all of it comes from the seed, and the clock
 * decides nothing. SLIPSTREAM_SEED repeats a run; that it did is told by the sum over its decisions, which is printed.
 * SLIPSTREAM_STRESS_ACCIDENTS changes how many there are. */
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

TestSuite(stress, .fini = server_finish_all, .timeout = 600);

enum { REPLICAS = 4, KEYS = 3000, ACCIDENTS = 150, BATCH = 100, BATCHES_BETWEEN = 100 };

struct world {
    uint64_t random, decisions; /* decisions: a sum over all that were drawn */
    struct server *master, *replicas[REPLICAS];
    struct proxy *proxies[REPLICAS]; /* before each replica's master */
    bool frozen[REPLICAS];
};

static unsigned below(struct world *w, unsigned limit)
{
    w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL;
    unsigned drawn = (unsigned)(w->random >> 33) % limit;
    w->decisions = w->decisions * 31 + drawn;
    return drawn;
}

static int append_write(struct world *w)
{
    redisContext *c = connection(w->master);
    unsigned key = below(w, KEYS), what = below(w, 20);
    if (what < 8)
        redisAppendCommand(c, "SET key:%u %u", key, below(w, 1u << 30));
    else if (what < 10)
        redisAppendCommand(c, "INCRBY number:%u %u", key, below(w, 1000));
    else if (what < 12)
        redisAppendCommand(c, "APPEND text:%u %u", key % 100, below(w, 1000));
    else if (what < 14)
        redisAppendCommand(c, "DEL key:%u number:%u", key, below(w, KEYS));
    else if (what < 15)
        redisAppendCommand(c, "SET ends:%u v PX %u", key, 100 + below(w, 2000));
    else if (what < 16)
        redisAppendCommand(c, "SELECT %u", below(w, 4));
    else if (what < 17)
        redisAppendCommand(c, "SETRANGE big:%u %u x", key % 10, below(w, 30000));
    else if (what < 18)
        redisAppendCommand(c, "RENAME key:%u key:%u", key, below(w, KEYS));
    else {
        redisAppendCommand(c, "MULTI");
        redisAppendCommand(c, "SET pair:a %u", key);
        redisAppendCommand(c, "SET pair:b %u", key);
        redisAppendCommand(c, "EXEC");
        return 4;
    }
    return 1;
}

/* Whatever becomes of its replicas, the master takes all writes. */
static void expect_done(redisReply *r)
{
    if (r->type == REDIS_REPLY_ERROR && strcmp(r->str, "ERR no such key") != 0) cr_assert_fail("%s", r->str);
    freeReplyObject(r);
}

static void write_batch(struct world *w, int count)
{
    int replies = 0;
    for (int i = 0; i < count; i++) replies += append_write(w);
    for (int i = 0; i < replies; i++) expect_done(receive(w->master));
}

static void thaw(struct world *w, int i)
{
    if (w->frozen[i]) server_thaw(w->replicas[i]);
    w->frozen[i] = false;
}

static void kill_child(pid_t pid)
{
    if (pid > 0) kill(pid, SIGKILL);
}

static void have_an_accident(struct world *w)
{
    int i = below(w, REPLICAS);
    switch (below(w, 9)) {
    case 0: proxy_cut(w->proxies[i]); break;
    case 1: proxy_stall(w->proxies[i]); break;
    case 2:
    case 3: proxy_heal(w->proxies[i]); break;
    case 4: proxy_cut_after(w->proxies[i], below(w, 100000)); break;
    case 5:
        thaw(w, i);
        server_restart(w->replicas[i]);
        break;
    case 6:
        if (!w->frozen[i]) server_freeze(w->replicas[i]);
        w->frozen[i] = true;
        break;
    case 7: thaw(w, i); break;
    case 8:
        kill_child(server_link_pid(w->master));
        kill_child(server_snapshot_pid(w->master));
        break;
    }
}

/* The first three follow the master, two of ours and one of Debian's; the last follows the first. */
static void build(struct world *w)
{
    w->master = server_start(OURS, "repl-backlog-size 256kb");
    for (int i = 0; i < REPLICAS; i++) {
        w->proxies[i] = proxy_start(i == REPLICAS - 1 ? w->replicas[0]->port : w->master->port);
        w->replicas[i] = server_start(i == 2 ? DEBIAN : OURS, "replicaof 127.0.0.1 %d", proxy_port(w->proxies[i]));
    }
}

static bool nothing_expires(struct server *s)
{
    redisReply *r = command(s, "INFO keyspace");
    bool none = true;
    for (const char *at = r->str; (at = strstr(at, "expires=")); at++) none &= at[strlen("expires=")] == '0';
    freeReplyObject(r);
    return none;
}

Test(stress, accidents)
{
    const char *seed = getenv("SLIPSTREAM_SEED"), *wanted = getenv("SLIPSTREAM_STRESS_ACCIDENTS");
    int accidents = wanted ? atoi(wanted) : ACCIDENTS;
    struct world w = {.random = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL)};
    fprintf(stderr, "stress: SLIPSTREAM_SEED=%llu repeats this\n", (unsigned long long)w.random);
    build(&w);
    for (int i = 0; i < accidents; i++) {
        for (unsigned batches = 1 + below(&w, BATCHES_BETWEEN); batches > 0; batches--) write_batch(&w, BATCH);
        have_an_accident(&w);
    }
    fprintf(stderr, "stress: %d accidents, the sum over all decisions is %016llx\n", accidents,
            (unsigned long long)w.decisions);
    for (int i = 0; i < REPLICAS; i++) {
        thaw(&w, i);
        proxy_heal(w.proxies[i]);
    }
    for (int i = 0; i < REPLICAS; i++) wait_until_within(60000, in_step(w.replicas[i], w.master));
    wait_until(nothing_expires(w.master)); /* a key may go between the reading of two digests */
    cr_assert_gt(command_integer(w.master, "DBSIZE"), 0, "there is something to be the same");
    for (int i = 0; i < REPLICAS; i++) expect_same_data(w.replicas[i], w.master);
}
