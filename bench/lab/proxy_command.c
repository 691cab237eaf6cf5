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
#include <sys/un.h>
#include <unistd.h>

#define LINE_BYTES 256

static int usage(void)
{
    fprintf(stderr,
            "usage: slipstream-lab proxy --listen [HOST:]PORT --to [HOST:]PORT [--control SOCKET]\n"
            "       slipstream-lab tell SOCKET WORDS\n"
            "words on the socket: pass, heal, cut, reset, stall, half-open, deaf, slow BYTES, delay MS [JITTER],\n"
            "cut-after BYTES, status\n");
    return 2;
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

static void heal(struct proxy *p)
{
    proxy_slow(p, 0);
    proxy_delay(p, 0, 0);
    proxy_set_mode(p, PROXY_PASS);
}

static void status(struct proxy *p, char answer[LINE_BYTES])
{
    snprintf(answer, LINE_BYTES, "%s, %d connections, %" PRIu64 " bytes to callers, %" PRIu64 " bytes to the target",
             proxy_mode_name(proxy_current_mode(p)), proxy_connections(p), proxy_bytes_to_caller(p),
             proxy_bytes_to_target(p));
}

static void obey(struct proxy *p, char *line, char answer[LINE_BYTES])
{
    char *rest, *word = strtok_r(line, " \t\r", &rest), *first = strtok_r(NULL, " \t\r", &rest);
    char *second = strtok_r(NULL, " \t\r", &rest);
    enum proxy_mode mode;
    int64_t number = 0;
    bool sized = first && grid_parse_size(first, &number) == 0;
    snprintf(answer, LINE_BYTES, "ok");
    if (!word)
        snprintf(answer, LINE_BYTES, "error: a word is missing");
    else if (strcmp(word, "heal") == 0 || strcmp(word, "pass") == 0)
        heal(p);
    else if (mode_named(word, &mode) && !first)
        proxy_set_mode(p, mode);
    else if (strcmp(word, "slow") == 0 && sized)
        proxy_slow(p, (uint64_t)number);
    else if (strcmp(word, "cut-after") == 0 && sized)
        proxy_cut_after(p, (uint64_t)number);
    else if (strcmp(word, "delay") == 0 && first)
        proxy_delay(p, atoi(first), second ? atoi(second) : 0);
    else if (strcmp(word, "status") == 0)
        status(p, answer);
    else
        snprintf(answer, LINE_BYTES, "error: '%.100s' is not understood", word);
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0) return fd;
    close(fd);
    return -1;
}

/* One controller at a time; a line each. */
static void serve(struct proxy *p, int client)
{
    FILE *in = fdopen(client, "r+");
    char line[LINE_BYTES], answer[LINE_BYTES];
    while (in && fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        obey(p, line, answer);
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
    if (argc < 4 || strlen(argv[2]) >= sizeof address.sun_path) return usage();
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
        if (bad) return usage();
    }
    if (argc % 2 || !settings.listen_port || !settings.target_port) return usage();
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
    while (!control) pause();
    for (int client; (client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) serve(p, client);
    return 1;
}
