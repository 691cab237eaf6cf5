/* Servers under test: prepared, launched, watched by their logs, ended. */
#include "tests/harness/server.h"

#include "tests/harness/fail.h"
#include "tests/harness/port.h"
#include "tests/harness/wait.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVERS_MAX       512
#define ARGUMENTS_MAX     32
#define STOP_BOUND_MS     60000
#define REPLY_BOUND_S     60
#define LOG_TAIL_BYTES    3000
#define SWEEP_DESCRIPTORS 16

static struct server *servers[SERVERS_MAX];
static int server_count;

const char *server_program(enum server_kind kind, const char *name)
{
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8], given[4000];
    if (kind == OURS || kind == OUR_SENTINEL) {
        const char *server = getenv("SLIPSTREAM_SERVER");
        snprintf(given, sizeof given, "%s", server ? server : "build/redis-server");
        char *slash = strrchr(given, '/');
        if (slash) *slash = '\0';
        snprintf(path, 4096, "%s/%s", slash ? given : ".", name);
    } else {
        const char *peers = getenv("SLIPSTREAM_PEERS");
        snprintf(path, 4096, "%s/usr/bin/%s", peers ? peers : "build/peers", name);
    }
    if (path[0] != '/') { /* servers run in directories of their own */
        char here[2048], relative[4096];
        snprintf(relative, sizeof relative, "%s", path);
        if (!getcwd(here, sizeof here)) harness_fail("getcwd: %s", strerror(errno));
        snprintf(path, 4096, "%s/%.2000s", here, relative);
    }
    if (access(path, X_OK) < 0) harness_fail("%s: %s", path, strerror(errno));
    return path;
}

static const char *kind_name(enum server_kind kind)
{
    static const char *const names[] = {[OURS] = "ours",
                                        [DEBIAN] = "debian",
                                        [OUR_SENTINEL] = "our-sentinel",
                                        [DEBIAN_SENTINEL] = "debian-sentinel",
                                        [ANY] = "any",
                                        [ANY_SENTINEL] = "sentinel"};
    return names[kind];
}

static bool watches(enum server_kind kind)
{
    return kind == OUR_SENTINEL || kind == DEBIAN_SENTINEL || kind == ANY_SENTINEL;
}

void server_add_config(struct server *s, const char *line, ...)
{
    FILE *file = fopen(s->config_file, "a");
    if (!file) harness_fail("%s: %s", s->config_file, strerror(errno));
    va_list args;
    va_start(args, line);
    vfprintf(file, line, args);
    va_end(args);
    fputc('\n', file);
    fclose(file);
}

static struct server *prepare(enum server_kind kind, const char *config, va_list args)
{
    if (server_count == SERVERS_MAX) harness_fail("more than %d servers in one test", SERVERS_MAX);
    struct server *s = calloc(1, sizeof *s);
    s->kind = kind;
    s->port = port_reserve();
    char parent[256];
    snprintf(parent, sizeof parent, "%.128s/%.100s", harness_root(), harness_case());
    mkdir(parent, 0755);
    snprintf(s->dir, sizeof s->dir, "%s/%d-%s-%d", parent, server_count, kind_name(kind), s->port);
    if (mkdir(s->dir, 0755) < 0) harness_fail("%s: %s", s->dir, strerror(errno));
    snprintf(s->log, sizeof s->log, "%s/log", s->dir);
    snprintf(s->config_file, sizeof s->config_file, "%s/redis.conf", s->dir);
    server_add_config(s, "port %d\nbind 127.0.0.1\ndir %s", s->port, s->dir);
    if (!watches(kind)) server_add_config(s, "save \"\"\nrepl-diskless-sync-delay 0");
    if (kind == OURS || kind == DEBIAN) server_add_config(s, "enable-debug-command yes");
    char *text;
    if (vasprintf(&text, config, args) < 0) harness_fail("out of memory");
    server_add_config(s, "%s", text);
    free(text);
    servers[server_count++] = s;
    return s;
}

struct server *server_prepare(enum server_kind kind, const char *config, ...)
{
    va_list args;
    va_start(args, config);
    struct server *s = prepare(kind, config, args);
    va_end(args);
    return s;
}

struct server *server_start(enum server_kind kind, const char *config, ...)
{
    va_list args;
    va_start(args, config);
    struct server *s = prepare(kind, config, args);
    va_end(args);
    server_launch(s);
    return s;
}

static void disconnect(struct server *s)
{
    if (s->client) redisFree(s->client);
    s->client = NULL;
}

static void spawn(struct server *s)
{
    const char *argv[ARGUMENTS_MAX + 3] = {s->program, s->config_file};
    if (!argv[0]) argv[0] = server_program(s->kind, watches(s->kind) ? "redis-sentinel" : "redis-server");
    for (int i = 0; s->arguments && s->arguments[i]; i++) {
        if (i == ARGUMENTS_MAX) harness_fail("more than %d arguments", ARGUMENTS_MAX);
        argv[2 + i] = s->arguments[i];
    }
    struct process_options options = s->limits;
    options.argv = argv;
    options.dir = s->dir;
    options.log = s->log;
    s->pid = process_spawn(&options);
    if (s->pid < 0) harness_fail("fork: %s", strerror(errno));
}

redisContext *server_connect(const struct server *s)
{
    struct timeval bound = {.tv_sec = REPLY_BOUND_S};
    redisContext *c = s->unix_socket ? redisConnectUnixWithTimeout(s->unix_socket, bound)
                                     : redisConnectWithTimeout("127.0.0.1", s->port, bound);
    if (!c) harness_fail("out of memory");
    if (!c->err) redisSetTimeout(c, bound);
    return c;
}

/* A server that loads a file answers PING with an error: that counts, it is there. */
static bool answers(const struct server *s)
{
    redisContext *c = server_connect(s);
    redisReply *reply = c->err ? NULL : redisCommand(c, "PING");
    bool answered = reply != NULL;
    if (reply) freeReplyObject(reply);
    redisFree(c);
    return answered;
}

void server_launch(struct server *s)
{
    spawn(s);
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    while (!answers(s)) {
        int status;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            server_print_log_tail(s->log);
            harness_fail("%s ended at its start with wait status %d", kind_name(s->kind), status);
        }
        if (clock_ms() > deadline_ms) harness_fail("%s does not answer on port %d", kind_name(s->kind), s->port);
        sleep_us(3000);
    }
}

int server_launch_in_vain(struct server *s)
{
    spawn(s);
    int status = process_wait(s->pid, PATIENCE_MS);
    if (status == -1) harness_fail("the server should have ended by itself and still runs");
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int server_wait_end(struct server *s)
{
    disconnect(s);
    int status = process_wait(s->pid, STOP_BOUND_MS);
    if (status == -1) harness_fail("%s on port %d does not end by itself", kind_name(s->kind), s->port);
    s->pid = 0;
    return status;
}

void server_stop(struct server *s)
{
    disconnect(s);
    kill(s->pid, SIGTERM);
    int status = process_wait(s->pid, STOP_BOUND_MS);
    if (status == -1) harness_fail("%s on port %d does not end at SIGTERM", kind_name(s->kind), s->port);
    s->pid = 0;
    if (status != 0) harness_fail("%s on port %d ended with wait status %d", kind_name(s->kind), s->port, status);
}

void server_kill(struct server *s)
{
    disconnect(s);
    if (!s->pid) return;
    kill(s->pid, SIGKILL);
    process_wait(s->pid, STOP_BOUND_MS);
    s->pid = 0;
}

void server_restart(struct server *s)
{
    server_kill(s);
    server_launch(s);
}

void server_freeze(struct server *s)
{
    kill(s->pid, SIGSTOP);
    int status;
    if (waitpid(s->pid, &status, WUNTRACED) != s->pid || !WIFSTOPPED(status)) harness_fail("SIGSTOP did not stop it");
}

void server_thaw(struct server *s)
{
    kill(s->pid, SIGCONT);
}

static void expect_no_complaint(const struct server *s)
{
    static const char *const complaints[] = {"Sanitizer:", "runtime error:", "BUG REPORT"};
    size_t count = sizeof complaints / sizeof *complaints - s->may_crash;
    for (size_t i = 0; i < count; i++)
        if (server_log_has(s, 0, complaints[i])) harness_fail("%s: %s", s->log, complaints[i]);
}

void server_finish_all(void)
{
    for (int i = 0; i < server_count; i++) server_kill(servers[i]);
    for (int i = 0; i < server_count; i++) expect_no_complaint(servers[i]);
}

/* A region's name begins with the port (ARCHITECTURE.md), which stands at the end of a server's directory's name:
 * NUMBER-NAME-PORT. Whose server it was does not matter: the port was ours alone. */
static int remove_regions(const char *path, const struct stat *st, int type, struct FTW *where)
{
    int number, port, end = 0;
    char pattern[64];
    glob_t found;
    const char *last = strrchr(path + where->base, '-');
    (void)st;
    if (type != FTW_D || !last || sscanf(path + where->base, "%d-", &number) != 1) return 0;
    if (sscanf(last, "-%d%n", &port, &end) != 1 || last[end]) return 0;
    snprintf(pattern, sizeof pattern, "/dev/shm/slipstream-%d-*", port);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) unlink(found.gl_pathv[i]);
    globfree(&found);
    return 0;
}

void server_sweep(const char *path)
{
    process_kill_all_in(path);
    nftw(path, remove_regions, SWEEP_DESCRIPTORS, FTW_PHYS);
}

pid_t server_link_pid(const struct server *s)
{
    return process_child_with(s->pid, "link");
}
pid_t server_journal_pid(const struct server *s)
{
    return process_child_with(s->pid, "journal");
}

pid_t server_wait_journal(const struct server *s)
{
    pid_t pid;
    wait_until((pid = server_journal_pid(s)) > 0);
    return pid;
}

pid_t server_snapshot_pid(const struct server *s)
{
    return process_child_without(s->pid, (const char *const[]){"link", "journal", NULL});
}

long server_log_end(const struct server *s)
{
    struct stat st;
    return stat(s->log, &st) == 0 ? st.st_size : 0;
}

bool server_log_has(const struct server *s, long from, const char *text)
{
    FILE *file = fopen(s->log, "r");
    char line[4096];
    bool found = false;
    if (!file) return false;
    fseek(file, from, SEEK_SET);
    while (!found && fgets(line, sizeof line, file)) found = strstr(line, text) != NULL;
    fclose(file);
    return found;
}

void server_wait_log(const struct server *s, long from, const char *text)
{
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    while (!server_log_has(s, from, text)) {
        if (clock_ms() > deadline_ms) harness_fail("%s: no line with '%s' in %d ms", s->log, text, PATIENCE_MS);
        sleep_us(3000);
    }
}

void server_print_log_tail(const char *log)
{
    FILE *file = fopen(log, "r");
    if (!file) return;
    char line[1024];
    fseek(file, 0, SEEK_END);
    long end = ftell(file), start = end > LOG_TAIL_BYTES ? end - LOG_TAIL_BYTES : 0;
    fseek(file, start, SEEK_SET);
    fprintf(stderr, "--- %s\n", log);
    if (start && !fgets(line, sizeof line, file)) line[0] = '\0'; /* a line cut in two */
    while (fgets(line, sizeof line, file)) fputs(line, stderr);
    fclose(file);
}

void server_path(const struct server *s, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", s->dir, name);
}

void server_copy_file(const struct server *from, const struct server *to, const char *name)
{
    char source[512], target[512], part[65536];
    server_path(from, name, source);
    server_path(to, name, target);
    FILE *in = fopen(source, "r"), *out = fopen(target, "w");
    if (!in || !out) harness_fail("copying %s to %s: %s", source, target, strerror(errno));
    for (size_t n; (n = fread(part, 1, sizeof part, in)) > 0;) fwrite(part, 1, n, out);
    fclose(in);
    fclose(out);
}
