/* Starting, asking and ending the servers of a tool. See contestant.h. */
#include "bench/servers/contestant.h"

#include "tests/harness/clock.h"
#include "tests/harness/directory.h"
#include "tests/harness/fail.h"
#include "tests/harness/port.h"
#include "tests/harness/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX       CONTESTANT_WORDS
#define WORD_BYTES      CONTESTANT_WORD_BYTES
#define START_BOUND_MS  20000
#define ANSWER_BOUND_MS 15000
#define END_BOUND_MS    20000

int contestant_parse(struct contestant *c, const char *text, char error[256])
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1] || (size_t)(equals - text) >= sizeof c->name) {
        snprintf(error, 256, "--server wants NAME='COMMAND with {port} and {dir}', not '%.100s'", text);
        return -1;
    }
    if (!strstr(equals, "{port}")) {
        snprintf(error, 256, "the command of server '%.*s' does not say {port}", (int)(equals - text), text);
        return -1;
    }
    snprintf(c->name, sizeof c->name, "%.*s", (int)(equals - text), text);
    snprintf(c->command, sizeof c->command, "%s", equals + 1);
    return 0;
}

int contestant_attach(struct contestant *c, const char *role, const char *address, char error[256])
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == address || *end || port < 1 || port > 65535 || (size_t)(colon - address) >= sizeof c->host) {
        snprintf(error, 256, "'%.100s' is no HOST:PORT", address);
        return -1;
    }
    *c = (struct contestant){.port = (int)port};
    snprintf(c->name, sizeof c->name, "%s", role);
    snprintf(c->host, sizeof c->host, "%.*s", (int)(colon - address), address);
    return 0;
}

redisContext *contestant_connect(const char *host, int port, struct timeval bound)
{
    const char *password = getenv("REDISCLI_AUTH");
    redisContext *c = redisConnectWithTimeout(host, port, bound);
    if (!c) harness_fail("no memory for a connection");
    if (c->err || redisSetTimeout(c, bound) != REDIS_OK || !password) return c;
    freeReplyObject(redisCommand(c, "AUTH %s", password));
    return c;
}

/* --- the command line --- */

static size_t put(char *out, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (at + len >= WORD_BYTES) len = WORD_BYTES - 1 - at;
    memcpy(out + at, text, len);
    return at + len;
}

/* The next word, quotes taken away and placeholders filled in; NULL: no more. */
static const char *next_word(const char *at, int of_port, const char *dir, char out[WORD_BYTES])
{
    char quote = 0, port[16];
    size_t len = 0;
    while (*at == ' ') at++;
    if (!*at) return NULL;
    snprintf(port, sizeof port, "%d", of_port);
    for (; *at && (quote || *at != ' '); at++) {
        if (quote ? *at == quote : *at == '\'' || *at == '"') {
            quote = quote ? 0 : *at;
        } else if (strncmp(at, "{port}", 6) == 0) {
            len = put(out, len, port);
            at += 5;
        } else if (strncmp(at, "{dir}", 5) == 0) {
            len = put(out, len, dir);
            at += 4;
        } else if (len + 1 < WORD_BYTES) {
            out[len++] = *at;
        }
    }
    out[len] = '\0';
    return at;
}

/* A name without a slash is looked for in PATH; a relative path is ours, not that of its directory. Links are left
 * alone: many servers are one program that goes by its name. */
static int find_program(const char *name, char out[WORD_BYTES])
{
    char path[4096], *rest = path;
    if (strchr(name, '/')) {
        char here[WORD_BYTES / 2] = "";
        if (name[0] != '/' && !getcwd(here, sizeof here)) return -1;
        snprintf(out, WORD_BYTES, "%s%s%.200s", here, *here ? "/" : "", name);
        return access(out, X_OK);
    }
    snprintf(path, sizeof path, "%s", getenv("PATH") ? getenv("PATH") : "/usr/bin");
    for (char *dir; (dir = strsep(&rest, ":"));) {
        snprintf(out, WORD_BYTES, "%.400s/%.100s", dir, name);
        if (access(out, X_OK) == 0) return 0;
    }
    return -1;
}

int contestant_words(const struct contestant *c, int port, const char *dir, char words[WORDS_MAX][WORD_BYTES],
                     char error[256])
{
    char program[WORD_BYTES];
    const char *at = c->command;
    int argc = 0;
    while (argc < WORDS_MAX && (at = next_word(at, port, dir, words[argc]))) argc++;
    if (!argc || find_program(words[0], program) != 0) {
        snprintf(error, 256, "server '%s': '%s' is no program", c->name, argc ? words[0] : "");
        return -1;
    }
    memcpy(words[0], program, sizeof program);
    return argc;
}

/* --- life --- */

void instance_init(struct instance *i, const struct contestant *of, const char *role)
{
    static int number;
    *i = (struct instance){.of = of, .port = of->port};
    snprintf(i->host, sizeof i->host, "%s", of->host[0] ? of->host : "127.0.0.1");
    snprintf(i->role, sizeof i->role, "%s", role);
    if (of->host[0]) return;
    i->port = port_reserve();
    snprintf(i->dir, sizeof i->dir, "%.200s/%d-%s-%s-%d", harness_root(), ++number, of->name, role, i->port);
    snprintf(i->log, sizeof i->log, "%s/log", i->dir);
    if (mkdir(i->dir, 0755) < 0) harness_fail("%s: %s", i->dir, strerror(errno));
}

static void disconnect(struct instance *i)
{
    if (i->client) redisFree(i->client);
    i->client = NULL;
}

static bool answers(struct instance *i)
{
    redisReply *r = instance_command(i, "PING");
    bool pong = r && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return pong;
}

static void last_line(const char *path, char out[128])
{
    char line[512];
    FILE *file = fopen(path, "r");
    snprintf(out, 128, "none");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line) snprintf(out, 128, "%.120s", line);
    }
    if (file) fclose(file);
}

/* Its command line, run until it answers. 1: it has ended, or been silent for too long. */
static int start_once(struct instance *i, char error[256])
{
    char words[WORDS_MAX][WORD_BYTES], follows[16];
    const char *argv[WORDS_MAX + 4] = {NULL};
    int argc = contestant_words(i->of, i->port, i->dir, words, error);
    if (argc < 0) return -1;
    for (int k = 0; k < argc; k++) argv[k] = words[k];
    if (i->directives) argc = directives_put(i->directives, argv, argc, WORDS_MAX, words);
    snprintf(follows, sizeof follows, "%d", i->follows_port);
    const char *const more[] = {"--replicaof", "127.0.0.1", follows};
    for (int k = 0; k < 3 && i->follows_port; k++) argv[argc++] = more[k];
    i->pid = process_spawn(&(struct process_options){.argv = argv, .dir = i->dir, .log = i->log, .cpu = i->cpu});
    for (int64_t until_ms = clock_ms() + START_BOUND_MS; clock_ms() < until_ms && process_alive(i->pid);) {
        if (answers(i)) return 0;
        sleep_us(2000);
    }
    return 1;
}

int instance_start(struct instance *i, char error[256])
{
    char last[128];
    int status;
    snprintf(error, 256, "no server answers at %.200s:%d", i->host, i->port);
    if (i->of->host[0]) return answers(i) ? 0 : -1;
    while ((status = start_once(i, error)) == 1 && i->directives && directives_learn(i->directives, i->log))
        instance_kill(i);
    if (status <= 0) return status;
    last_line(i->log, last);
    snprintf(error, 256, "server '%s' does not answer on port %d; its last word: %s", i->of->name, i->port, last);
    return -1;
}

void instance_kill_alone(struct instance *i)
{
    disconnect(i);
    if (!i->pid) return;
    kill(i->pid, SIGCONT);
    kill(i->pid, SIGKILL);
    process_wait(i->pid, END_BOUND_MS);
    i->pid = 0;
}

void instance_kill(struct instance *i)
{
    bool ran = i->pid != 0;
    instance_kill_alone(i);
    if (ran) process_kill_all_in(i->dir);
}

int instance_shutdown(struct instance *i, bool save)
{
    freeReplyObject(instance_command(i, "SHUTDOWN %s", save ? "SAVE" : "NOSAVE"));
    disconnect(i);
    bool ended = process_wait(i->pid, END_BOUND_MS) != -1;
    if (!ended) {
        instance_kill(i);
        return -1;
    }
    i->pid = 0;
    return 0;
}

void instance_free(struct instance *i)
{
    if (!i->of) return;
    instance_kill(i);
    i->of = i->of->host[0] ? NULL : i->of;
    if (!i->of) return;
    server_sweep(i->dir); /* what it left in shared memory, too */
    directory_remove(i->dir);
    i->of = NULL;
}

/* --- questions --- */

static redisContext *connected(struct instance *i, int bound_ms)
{
    struct timeval bound = {bound_ms / 1000, bound_ms % 1000 * 1000};
    if (i->client && i->client->err) disconnect(i);
    if (!i->client) i->client = contestant_connect(i->host, i->port, bound);
    if (i->client && !i->client->err) redisSetTimeout(i->client, bound);
    return i->client && !i->client->err ? i->client : NULL;
}

redisReply *instance_command(struct instance *i, const char *format, ...)
{
    va_list args;
    if (!connected(i, ANSWER_BOUND_MS)) return NULL;
    va_start(args, format);
    redisReply *r = redisvCommand(i->client, format, args);
    va_end(args);
    return r;
}

bool instance_set(struct instance *i, const char *directive, const char *value)
{
    redisReply *r = instance_command(i, "CONFIG SET %s %s", directive, value);
    bool good = r && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return good;
}

char *instance_info(struct instance *i, const char *section, int bound_ms)
{
    redisReply *r = connected(i, bound_ms) ? redisCommand(i->client, "INFO %s", section) : NULL;
    char *text = r && r->type == REDIS_REPLY_STRING ? strdup(r->str) : NULL;
    freeReplyObject(r);
    return text;
}

bool info_text_of(const char *info, const char *field, char *out, size_t size)
{
    size_t len = strlen(field);
    for (const char *at = info; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (strncmp(at, field, len) != 0 || at[len] != ':') continue;
        snprintf(out, size, "%.*s", (int)strcspn(at + len + 1, "\r\n"), at + len + 1);
        return true;
    }
    return false;
}

long long info_number_of(const char *info, const char *field)
{
    char text[64];
    return info_text_of(info, field, text, sizeof text) ? atoll(text) : -1;
}

void instance_version(struct instance *i, char out[64])
{
    static const char *const kinds[][2] = {{"valkey_version", "Valkey"}, {"redis_version", "Redis"}};
    char *info = instance_info(i, "server", ANSWER_BOUND_MS), version[40];
    snprintf(out, 64, "?");
    for (size_t k = 0; info && k < sizeof kinds / sizeof *kinds; k++) {
        if (!info_text_of(info, kinds[k][0], version, sizeof version)) continue;
        snprintf(out, 64, "%s %s", kinds[k][1], version);
        break;
    }
    free(info);
}
