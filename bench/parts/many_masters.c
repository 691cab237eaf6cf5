/* A thread with one listening socket and an epoll: the address that a connection came to says which master is meant. It
 * knows what a Sentinel asks: PING, INFO, SUBSCRIBE and PUBLISH of its channel; all else is answered with OK. */
#include "bench/parts/many_masters.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PER_NET     200
#define WORDS_MAX   8
#define INPUT_BYTES 4096
#define OUT_BYTES   32768
#define EVENTS      64
#define RUN_ID      40

struct caller {
    int fd, master;
    bool listens;
    size_t len;
    char input[INPUT_BYTES];
    struct caller *next; /* another one of this master */
};

struct many_masters {
    int count, port, listener, poll;
    char *info;
    size_t run_id_at;
    struct caller **callers; /* by master */
    atomic_bool *asked, *listened;
};

struct word {
    const char *text;
    size_t len;
};

void many_masters_host(int number, char out[16])
{
    snprintf(out, 16, "127.9.%d.%d", number / PER_NET % 256, number % PER_NET + 1);
}

static int number_of(const struct sockaddr_in *at)
{
    unsigned long host = ntohl(at->sin_addr.s_addr);
    return (int)(host >> 8 & 0xff) * PER_NET + (int)(host & 0xff) - 1;
}

/* --- requests --- */

/* "$5" or "*3" and its line's end; NULL: it is not all there. */
static const char *read_head(const char *at, const char *end, long *value)
{
    const char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line) return NULL;
    *value = strtol(at + 1, NULL, 10);
    return line + 1;
}

/* The length of one whole request, 0: not yet. */
static size_t read_request(const struct caller *c, struct word word[WORDS_MAX], long *count)
{
    const char *end = c->input + c->len, *at = read_head(c->input, end, count);
    for (long i = 0; at && i < *count && i < WORDS_MAX; i++) {
        long len;
        at = at < end ? read_head(at, end, &len) : NULL;
        if (!at || end - at < len + 2) return 0;
        word[i] = (struct word){at, (size_t)len};
        at += len + 2;
    }
    return at ? (size_t)(at - c->input) : 0;
}

static bool is(struct word w, const char *text)
{
    return w.len == strlen(text) && strncasecmp(w.text, text, w.len) == 0;
}

static void send_all(int fd, const char *text, size_t len)
{
    if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) shutdown(fd, SHUT_RDWR);
}

static void send_info(struct many_masters *m, const struct caller *c)
{
    char out[OUT_BYTES], run_id[RUN_ID + 1];
    size_t len = strlen(m->info);
    snprintf(run_id, sizeof run_id, "%040x", (unsigned)c->master + 1);
    memcpy(m->info + m->run_id_at, run_id, RUN_ID);
    int wanted = snprintf(out, sizeof out, "$%zu\r\n%s\r\n", len, m->info);
    send_all(c->fd, out, wanted < OUT_BYTES ? (size_t)wanted : 0);
    m->asked[c->master] = true;
}

static void publish(const struct many_masters *m, const struct caller *from, struct word channel, struct word text)
{
    char out[OUT_BYTES];
    int len = snprintf(out, sizeof out, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%.*s\r\n$%zu\r\n%.*s\r\n", channel.len,
                       (int)channel.len, channel.text, text.len, (int)text.len, text.text);
    for (const struct caller *c = m->callers[from->master]; c; c = c->next)
        if (c->listens) send_all(c->fd, out, (size_t)len);
    send_all(from->fd, ":1\r\n", 4);
}

static void answer(struct many_masters *m, struct caller *c, const struct word *word, long count)
{
    char out[256];
    if (count && is(word[0], "PING")) {
        send_all(c->fd, "+PONG\r\n", 7);
    } else if (count && is(word[0], "INFO")) {
        send_info(m, c);
    } else if (count == 3 && is(word[0], "PUBLISH")) {
        publish(m, c, word[1], word[2]);
    } else if (count == 2 && is(word[0], "SUBSCRIBE")) {
        int len = snprintf(out, sizeof out, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%.*s\r\n:1\r\n", word[1].len,
                           (int)word[1].len, word[1].text);
        send_all(c->fd, out, (size_t)len);
        c->listens = true;
        m->listened[c->master] = true;
    } else {
        send_all(c->fd, "+OK\r\n", 5);
    }
}

/* --- connections --- */

static void take(struct many_masters *m)
{
    int fd = accept(m->listener, NULL, NULL), one = 1;
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    if (fd < 0) return;
    getsockname(fd, (struct sockaddr *)&at, &size);
    int number = number_of(&at);
    struct caller *c = number < m->count ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->fd = fd;
    c->master = number;
    c->next = m->callers[number];
    m->callers[number] = c;
    epoll_ctl(m->poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

static void drop(struct many_masters *m, struct caller *c)
{
    struct caller **at = &m->callers[c->master];
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    close(c->fd);
    free(c);
}

static void serve(struct many_masters *m, struct caller *c)
{
    struct word word[WORDS_MAX];
    long count;
    ssize_t got = recv(c->fd, c->input + c->len, sizeof c->input - c->len, 0);
    if (got <= 0) {
        drop(m, c);
        return;
    }
    c->len += (size_t)got;
    for (size_t used; c->len && (used = read_request(c, word, &count));) {
        answer(m, c, word, count);
        memmove(c->input, c->input + used, c->len -= used);
    }
}

static void *run(void *arg)
{
    struct many_masters *m = arg;
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(m->poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                serve(m, events[i].data.ptr);
            else
                take(m);
    }
    return NULL;
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

struct many_masters *many_masters_start(int count, const char *info)
{
    struct many_masters *m = calloc(1, sizeof *m);
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t size = sizeof any;
    pthread_t thread;
    allow_descriptors();
    m->count = count;
    m->info = strdup(info);
    m->run_id_at = (size_t)(strstr(m->info, "run_id:") - m->info) + strlen("run_id:");
    m->callers = calloc((size_t)count, sizeof(struct caller *));
    m->asked = calloc((size_t)count, sizeof *m->asked);
    m->listened = calloc((size_t)count, sizeof *m->listened);
    m->listener = socket(AF_INET, SOCK_STREAM, 0);
    m->poll = epoll_create1(0);
    if (bind(m->listener, (struct sockaddr *)&any, sizeof any) || listen(m->listener, 2 * count)) abort();
    getsockname(m->listener, (struct sockaddr *)&any, &size);
    m->port = ntohs(any.sin_port);
    epoll_ctl(m->poll, EPOLL_CTL_ADD, m->listener, &(struct epoll_event){.events = EPOLLIN});
    pthread_create(&thread, NULL, run, m);
    pthread_detach(thread);
    return m;
}

int many_masters_port(const struct many_masters *m)
{
    return m->port;
}

int many_masters_seen(const struct many_masters *m)
{
    int seen = 0;
    for (int i = 0; i < m->count; i++) seen += m->asked[i] && m->listened[i];
    return seen;
}

void many_masters_forget(struct many_masters *m)
{
    for (int i = 0; i < m->count; i++) m->asked[i] = m->listened[i] = false;
}
