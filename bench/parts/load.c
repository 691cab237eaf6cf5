/* Load and data for the parts: filling servers, driving them with pipelines, placing them on processors. */
#include "bench/parts/load.h"

#include "bench/load/generator.h"
#include "tests/harness/client.h"
#include "tests/harness/fail.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 512
#define BATCH       5000
#define BOUND_MS    120000 /* for a load */
#define SILENCE_NS  60000000000ll
#define DURATION_NS 600000000000ll /* at the most */
#define SEED        1

static int usable(int cpu)
{
    return cpu <= sysconf(_SC_NPROCESSORS_ONLN) ? cpu : 0;
}

/* The words of its command line stay until the program ends, as the server does. */
static void become(struct server *s, const struct contestant *of)
{
    char(*words)[CONTESTANT_WORD_BYTES] = malloc(CONTESTANT_WORDS * sizeof *words), error[256];
    const char **arguments = calloc(CONTESTANT_WORDS + 2, sizeof *arguments);
    if (!words || !arguments) harness_fail("no memory for a command line");
    int count = contestant_words(of, s->port, s->dir, words, error);
    if (count < 0) harness_fail("%s", error);
    for (int i = 1; i < count; i++) arguments[i - 1] = words[i];
    if (s->kind == ANY_SENTINEL) arguments[count - 1] = "--sentinel";
    s->program = words[0];
    s->arguments = arguments;
}

struct server *start_on(int cpu, const struct contestant *of, const char *config)
{
    struct server *s = server_prepare(ANY, "%s", config);
    s->limits.cpu = usable(cpu);
    for (int i = 0; i < of->directives.count; i++)
        if (!of->directives.left_out[i]) server_add_config(s, "%s", of->directives.lines[i]);
    become(s, of);
    server_launch(s);
    return s;
}

struct server *start_sentinel(const struct contestant *of, const char *config)
{
    struct server *s = server_prepare(ANY_SENTINEL, "%s", config);
    become(s, of);
    server_launch(s);
    return s;
}

/* --- the load --- */

struct work {
    int clients, pipeline;
    char value_bytes[16], command[256];
    long numbers;
};

static struct work parse(const char *words)
{
    struct work w = {.clients = 50, .pipeline = 1, .value_bytes = "3", .numbers = 1};
    char line[512], *rest = line;
    snprintf(line, sizeof line, "%s", words);
    while (rest && rest[0] == '-') {
        char option = rest[1], *value;
        strsep(&rest, " ");
        value = strsep(&rest, " ");
        if (!value) harness_fail("-%c without a value in '%s'", option, words);
        if (option == 'c') w.clients = atoi(value);
        if (option == 'P') w.pipeline = atoi(value);
        if (option == 'd') snprintf(w.value_bytes, sizeof w.value_bytes, "%s", value);
        if (option == 'r') w.numbers = atol(value);
        if (option == 't')
            snprintf(w.command, sizeof w.command, "%s key:__rand_int__%s", value,
                     strcmp(value, "set") == 0 ? " {value}" : "");
    }
    if (rest) snprintf(w.command, sizeof w.command, "%s", rest);
    if (w.clients > CLIENTS_MAX) harness_fail("more than %d clients in '%s'", CLIENTS_MAX, words);
    return w;
}

struct lines {
    int sockets[CLIENTS_MAX];
    SSL *tls[CLIENTS_MAX];
    int count;
};

/* A context: by TLS, at this port. */
static void connect_all(struct lines *l, int count, const struct server *s, int port, SSL_CTX *context)
{
    char error[256];
    for (l->count = 0; l->count < count; l->count++) {
        int fd = context ? raw_try_connect("127.0.0.1", port) : raw_connect(s);
        l->sockets[l->count] = fd;
        l->tls[l->count] = NULL;
        if (fd < 0) harness_fail("port %d: %s", port, strerror(errno));
        if (context && !(l->tls[l->count] = load_tls_connect(context, fd, error)))
            harness_fail("port %d: %s", port, error);
    }
}

static void disconnect_all(struct lines *l)
{
    for (int i = 0; i < l->count; i++) {
        SSL_free(l->tls[i]);
        close(l->sockets[i]);
    }
}

static void drive(const struct lines *l, long requests, const struct work *w, struct load_result *result)
{
    struct request_source source;
    struct keys keys;
    struct sizes sizes;
    struct mix mix = {.count = 0};
    char error[256];
    if (keys_parse(&keys, "uniform", (uint64_t)w->numbers) != 0 || sizes_parse(&sizes, w->value_bytes) != 0 ||
        request_source_init(&source, &keys, &sizes, SEED) != 0 || mix_add(&mix, w->command, &source) != 0)
        harness_fail("'%s' is no load", w->command);
    struct load_plan plan = {.sockets = l->sockets,
                             .tls = l->tls,
                             .connections = l->count,
                             .mix = &mix,
                             .source = &source,
                             .pipeline = w->pipeline,
                             .duration_ns = DURATION_NS,
                             .requests = (uint64_t)requests,
                             .silence_ns = SILENCE_NS};
    if (load_run(&plan, result, error) != 0) harness_fail("%s: %s", w->command, error);
    if (result->errors) harness_fail("%s: %s", w->command, result->first_error);
    mix_free(&mix);
    request_source_free(&source);
}

struct load_figures run_load(const struct server *s, long requests, const char *words)
{
    static struct load_result result;
    struct lines l;
    struct work w = parse(words);
    connect_all(&l, w.clients, s, s->port, NULL);
    drive(&l, requests, &w, &result);
    disconnect_all(&l);
    return (struct load_figures){(double)result.replies * 1e9 / (double)result.elapsed_ns,
                                 (double)histogram_percentile(&result.latency, 99) / 1e6};
}

double cpu_us_per_request(const struct server *s, long requests, const char *words)
{
    int64_t before_us = process_tree_cpu_us(s->pid);
    run_load(s, requests, words);
    return (double)(process_tree_cpu_us(s->pid) - before_us) / (double)requests;
}

/* Handshakes are none of a request's. */
double tls_cpu_us_per_request(const struct server *s, int tls_port, const char *ca_file, long requests,
                              const char *words)
{
    static struct load_result result;
    struct lines l;
    struct work w = parse(words);
    char error[256];
    SSL_CTX *context = load_tls_context(ca_file, error);
    if (!context) harness_fail("%s", error);
    connect_all(&l, w.clients, s, tls_port, context);
    int64_t before_us = process_tree_cpu_us(s->pid);
    drive(&l, requests, &w, &result);
    double us = (double)(process_tree_cpu_us(s->pid) - before_us) / (double)requests;
    disconnect_all(&l);
    SSL_CTX_free(context);
    return us;
}

/* --- data --- */

void fill_each(struct server *s, long first, long end, const char *format)
{
    for (long at = first; at < end;) {
        long batch = end - at < BATCH ? end - at : BATCH;
        for (long i = 0; i < batch; i++, at++) redisAppendCommand(connection(s), format, at, at);
        for (long i = 0; i < batch; i++) {
            redisReply *r = receive(s);
            if (r->type == REDIS_REPLY_ERROR) harness_fail("%s: %s", format, r->str);
            freeReplyObject(r);
        }
    }
}

/* All of them +OK. */
static void take_replies(const struct server *s, int fd, size_t bytes)
{
    char replies[65536];
    while (bytes) {
        ssize_t got = recv(fd, replies, bytes < sizeof replies ? bytes : sizeof replies, 0);
        if (got <= 0) harness_fail("filling port %d: the connection broke", s->port);
        const char *error = memchr(replies, '-', (size_t)got);
        if (error) harness_fail("filling port %d: %.*s", s->port, (int)(replies + got - error), error);
        bytes -= (size_t)got;
    }
}

/* While the server takes one batch the next is made. */
void fill_keys(const struct server *s, long first, long end, int value_bytes)
{
    char *batch = malloc(BATCH * (64 + (size_t)value_bytes)), *value = malloc(value_bytes + 1);
    size_t before = 0, due = 0;
    int fd = raw_connect(s);
    memset(value, 'v', value_bytes);
    value[value_bytes] = '\0';
    for (long at = first; at < end; before = due) {
        size_t len = 0;
        due = 0;
        for (int i = 0; i < BATCH && at < end; i++, at++, due += strlen("+OK\r\n"))
            len +=
                sprintf(batch + len, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012ld\r\n$%d\r\n%s\r\n", at, value_bytes, value);
        raw_send(fd, batch, len);
        take_replies(s, fd, before);
    }
    take_replies(s, fd, due);
    close(fd);
    free(batch);
    free(value);
}

static double seconds_since(int64_t start_us)
{
    return (double)(clock_us() - start_us) / 1e6;
}

double save_seconds(struct server *s)
{
    int64_t start_us = clock_us();
    expect_ok(s, "SAVE");
    return seconds_since(start_us);
}

double load_seconds(struct server *s)
{
    server_kill(s);
    int64_t start_us = clock_us();
    server_launch(s);
    wait_until_within(BOUND_MS, info_is(s, "persistence", "loading", "0"));
    return seconds_since(start_us);
}
