/* How long another client has to wait while a set of ten million members goes: by DEL, and with all else by FLUSHALL.
 * The servers may use any processor, for what frees memory aside needs one. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MEMBERS      10000000L
#define MEMBERS_EACH 1000 /* by one SADD */
#define MEMBER_ROOM  24
#define BETWEEN_US   100
#define BOUND_MS     120000
#define NOTHING_US   2000000

struct watch {
    struct server *server;
    atomic_bool stopping;
    double longest_ms;
};

static void *probe(void *arg)
{
    struct watch *w = arg;
    int fd = raw_connect(w->server);
    while (!w->stopping) {
        int64_t start_us = clock_us();
        raw_send_text(fd, "GET x\r\n");
        raw_expect(fd, "$-1\r\n");
        double ms = (double)(clock_us() - start_us) / 1000;
        if (ms > w->longest_ms) w->longest_ms = ms;
        sleep_us(BETWEEN_US);
    }
    close(fd);
    return NULL;
}

static void fill_set(const struct server *s)
{
    char line[MEMBERS_EACH * MEMBER_ROOM], expected[32];
    int fd = raw_connect(s);
    snprintf(expected, sizeof expected, ":%d\r\n", MEMBERS_EACH);
    for (long i = 0; i < MEMBERS;) {
        size_t len = (size_t)sprintf(line, "SADD set");
        for (int k = 0; k < MEMBERS_EACH; k++) len += (size_t)sprintf(line + len, " member:%08ld", i++);
        len += (size_t)sprintf(line + len, "\r\n");
        raw_send(fd, line, len);
        raw_expect(fd, expected);
    }
    close(fd);
}

/* NULL: nothing is done, for about as long as freeing takes. */
static double longest_pause_ms(struct server *s, const char *command_line)
{
    struct watch w = {.server = s};
    pthread_t thread;
    pthread_create(&thread, NULL, probe, &w);
    if (command_line) {
        freeReplyObject(command(s, command_line));
        wait_until_within(BOUND_MS, info_is(s, "memory", "lazyfree_pending_objects", "0"));
    } else {
        sleep_us(NOTHING_US);
    }
    w.stopping = true;
    pthread_join(thread, NULL);
    return w.longest_ms;
}

/* The longest of some thousand probes; "nothing" is what the machine itself does. */
void bench_pause(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) {
        struct server *s = start_on(0, &b->servers[i], "");
        fill_set(s);
        bench_add(b, i, "nothing.longest", "ms", longest_pause_ms(s, NULL));
        bench_add(b, i, "del.longest", "ms", longest_pause_ms(s, "DEL set"));
        fill_set(s);
        bench_add(b, i, "flushall.longest", "ms", longest_pause_ms(s, "FLUSHALL"));
        server_kill(s);
    }
}
