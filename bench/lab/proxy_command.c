/* See proxy_command.h. */
#include "bench/lab/proxy_command.h"

#include "bench/lab/grid.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_BYTES   256
#define DELAY_MS_MAX 3600000

/* What main() ends with: 2 on standard error, else 0. */
static int usage(FILE *out)
{
    fputs("slipstream-lab proxy: a line between two servers that fails at a word\n\n"
          "  1  slipstream-lab proxy --listen 6380 --to master:6379 --control /tmp/line &\n"
          "  2  redis-cli -h REPLICA REPLICAOF THIS_HOST 6380      (with --listen 0.0.0.0:6380, if that is elsewhere)\n"
          "  3  slipstream-lab tell /tmp/line cut                  then write something to the master\n"
          "  4  slipstream-lab tell /tmp/line heal                 and see what INFO says: partial or full?\n\n"
          "  slipstream-lab proxy --listen [HOST:]PORT --to [HOST:]PORT [--control SOCKET]\n"
          "  slipstream-lab tell SOCKET WORDS\n\n"
          "The words (the caller is who connects to the proxy: a replica; the target is its master):\n"
          "  cut               connections are closed, and new ones at once, by FIN\n"
          "  reset             the same by RST\n"
          "  stall             they stand, no byte moves, and all of it comes after the healing: a black hole\n"
          "  half-open         the target's side is closed; the caller hears nothing and is never answered\n"
          "  deaf              the caller's side is closed; the target hears nothing and is never answered\n"
          "  slow BYTES        so many a second, 100k or 1m: towards the caller\n"
          "  delay MS [JITTER] each byte comes later by MS, and by up to JITTER more\n"
          "  cut-after BYTES   cut once so many more have gone to the caller\n"
          "  heal, pass        all of that is over\n"
          "  status            what is on, and what has passed\n",
          out);
    return out == stderr ? 2 : 0;
}

/* "[HOST:]PORT" */
static int parse_endpoint(char *text, const char **host, int *port)
{
    char *colon = strrchr(text, ':'), *end;
    if (colon) *colon = '\0';
    *host = colon ? text : NULL;
    long value = strtol(colon ? colon + 1 : text, &end, 10);
    *port = (int)value;
    return *end || value < 1 || value > 65535 ? -1 : 0;
}

static bool mode_named(const char *word, enum proxy_mode *mode)
{
    for (int m = 0; m < PROXY_MODES; m++) {
        if (strcmp(word, proxy_mode_name(m)) != 0) continue;
        *mode = (enum proxy_mode)m;
        return true;
    }
    return false;
}

/* What the proxy was told beside its mode. */
struct line {
    struct proxy *proxy;
    int64_t slow_bytes_per_s; /* 0: not slow */
    int delay_ms, jitter_ms;
};

static void heal(struct line *l)
{
    l->slow_bytes_per_s = l->delay_ms = l->jitter_ms = 0;
    proxy_slow(l->proxy, 0);
    proxy_delay(l->proxy, 0, 0);
    proxy_set_mode(l->proxy, PROXY_PASS);
}

static void status(const struct line *l, char answer[LINE_BYTES])
{
    char size[24], slow[48] = "", delay[64] = "";
    struct proxy *p = l->proxy;
    grid_size_text(l->slow_bytes_per_s, size);
    if (l->slow_bytes_per_s) snprintf(slow, sizeof slow, ", slow %s", size);
    if (l->delay_ms || l->jitter_ms) snprintf(delay, sizeof delay, ", delay %d %d", l->delay_ms, l->jitter_ms);
    snprintf(answer, LINE_BYTES,
             "%s%s%s, %d connections, %" PRIu64 " bytes to callers, %" PRIu64 " bytes to the target",
             proxy_mode_name(proxy_current_mode(p)), slow, delay, proxy_connections(p), proxy_bytes_to_caller(p),
             proxy_bytes_to_target(p));
}

/* "MS", "MS JITTER". */
static bool delay_for(struct line *l, const char *first, const char *second)
{
    char *end;
    long delay = strtol(first, &end, 10), jitter = 0;
    if (end == first || *end || delay < 0 || delay > DELAY_MS_MAX) return false;
    if (second) jitter = strtol(second, &end, 10);
    if (second && (end == second || *end || jitter < 0 || jitter > DELAY_MS_MAX)) return false;
    l->delay_ms = (int)delay;
    l->jitter_ms = (int)jitter;
    proxy_delay(l->proxy, l->delay_ms, l->jitter_ms);
    return true;
}

static void obey(struct line *l, char *text, char answer[LINE_BYTES])
{
    char *rest, *word = strtok_r(text, " \t\r", &rest), *first = strtok_r(NULL, " \t\r", &rest);
    char *second = strtok_r(NULL, " \t\r", &rest);
    enum proxy_mode mode;
    int64_t number = 0;
    bool sized = first && grid_parse_size(first, &number) == 0;
    snprintf(answer, LINE_BYTES, "ok");
    if (!word)
        snprintf(answer, LINE_BYTES, "error: a word is missing; slipstream-lab proxy --help has them");
    else if (strcmp(word, "heal") == 0 || strcmp(word, "pass") == 0)
        heal(l);
    else if (mode_named(word, &mode) && !first)
        proxy_set_mode(l->proxy, mode);
    else if (strcmp(word, "slow") == 0 && sized)
        proxy_slow(l->proxy, (uint64_t)(l->slow_bytes_per_s = number));
    else if (strcmp(word, "cut-after") == 0 && sized)
        proxy_cut_after(l->proxy, (uint64_t)number);
    else if (strcmp(word, "status") == 0)
        status(l, answer);
    else if (strcmp(word, "delay") != 0 || !first || !delay_for(l, first, second))
        snprintf(answer, LINE_BYTES, "error: '%.100s' is not understood; slipstream-lab proxy --help has the words",
                 word);
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat there;
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode)) unlink(path); /* of one that was killed; nothing else */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0) return fd;
    close(fd);
    return -1;
}

/* One controller at a time; a line each. */
static void serve(struct line *l, int client)
{
    FILE *in = fdopen(client, "r+");
    char text[LINE_BYTES], answer[LINE_BYTES];
    while (in && fgets(text, sizeof text, in)) {
        text[strcspn(text, "\n")] = '\0';
        obey(l, text, answer);
        fseek(in, 0, SEEK_CUR); /* from reading to writing, as stdio wants it */
        fprintf(in, "%s\n", answer);
        fflush(in);
    }
    if (in) fclose(in);
}

int tell_command_main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[LINE_BYTES] = "";
    if (argc < 4 || strlen(argv[2]) >= sizeof address.sun_path) return usage(stderr);
    strcpy(address.sun_path, argv[2]);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "slipstream-lab tell: %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    for (int i = 3; i < argc; i++) dprintf(fd, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
    ssize_t got = read(fd, answer, sizeof answer - 1);
    close(fd);
    if (got > 0) fputs(answer, stdout);
    return got > 0 && strncmp(answer, "error", 5) != 0 ? 0 : 1;
}

int proxy_command_main(int argc, char **argv)
{
    struct proxy_settings settings = {0};
    const char *control = NULL;
    char error[256];
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) return usage(stdout);
    for (int i = 2; i + 1 < argc; i += 2) {
        int bad = 0;
        if (strcmp(argv[i], "--listen") == 0)
            bad = parse_endpoint(argv[i + 1], &settings.listen_host, &settings.listen_port);
        else if (strcmp(argv[i], "--to") == 0)
            bad = parse_endpoint(argv[i + 1], &settings.target_host, &settings.target_port);
        else if (strcmp(argv[i], "--control") == 0)
            control = argv[i + 1];
        else
            bad = 1;
        if (bad) return usage(stderr);
    }
    if (argc % 2 || !settings.listen_port || !settings.target_port) return usage(stderr);
    signal(SIGPIPE, SIG_IGN);
    int listener = control ? listen_on(control) : -1;
    struct proxy *p = proxy_open(&settings, error);
    if (!p || (control && listener < 0)) {
        fprintf(stderr, "slipstream-lab proxy: %s\n", p ? strerror(errno) : error);
        return 1;
    }
    printf("passing from port %d to %s:%d\n", settings.listen_port,
           settings.target_host ? settings.target_host : "127.0.0.1", settings.target_port);
    fflush(stdout);
    struct line line = {.proxy = p};
    while (!control) pause();
    for (int client; (client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) serve(&line, client);
    return 1;
}
