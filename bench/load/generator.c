/* See generator.h. Sockets are registered once, edge-triggered: a turn is one epoll call, and a receive, a clock read
 * and a send for each connection with replies. Requests are written into a connection's buffer only when the socket can
 * take them, so a server that stalls costs no memory here: what is due is a number. */
#include "bench/load/generator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX    128
#define RECEIVE_BYTES (256 << 10)
#define SEND_BYTES    (256 << 10) /* of a pipeline that is longer, a part at a time */
#define IDLE_NS       100000000   /* a turn waits no longer */

struct link {
    int fd, number;
    SSL *tls;                     /* the caller's; NULL: plain */
    uint64_t due, built, replied; /* requests so far: to be sent, written into the buffer, answered */
    int64_t sent_ns;              /* closed loop: when the pipeline began */
    char *out;                    /* owned */
    size_t out_at, out_len;
    struct counter counter;
};

struct generator {
    const struct load_plan *plan;
    struct load_result *result;
    struct link *links; /* owned */
    struct histogram slice;
    char *received; /* owned */
    char *error;
    size_t out_room;
    int epoll;
    int64_t now_ns, first_ns, measure_ns, end_ns, slice_end_ns, last_reply_ns;
    int64_t cpu_begin_ns;
    double batch_ns; /* open loop: from one batch, over all connections, to the next */
    uint64_t next_batch, sent, unanswered;
    int next_event;
    bool measuring, stopped;
};

static int64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int fail(struct generator *g, const struct link *l, const char *what)
{
    snprintf(g->error, 256, "connection %d: %.200s", l->number, what);
    return -1;
}

/* --- sending --- */

static int64_t batch_due_ns(const struct generator *g, uint64_t batch)
{
    return g->first_ns + (int64_t)((double)batch * g->batch_ns);
}

static bool is_blocked(const struct link *l)
{
    return l->out_at < l->out_len;
}

static ssize_t put(struct link *l, const char *bytes, size_t len)
{
    return l->tls ? load_tls_send(l->tls, bytes, len) : send(l->fd, bytes, len, MSG_NOSIGNAL);
}

static int flush(struct generator *g, struct link *l)
{
    while (is_blocked(l)) {
        ssize_t n = put(l, l->out + l->out_at, l->out_len - l->out_at);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n < 0) return fail(g, l, strerror(errno));
        l->out_at += (size_t)n;
    }
    l->out_at = l->out_len = 0;
    return 0;
}

/* What is due and not sent, as far as the socket takes it. */
static int send_due(struct generator *g, struct link *l)
{
    const struct load_plan *p = g->plan;
    if (is_blocked(l) && flush(g, l) != 0) return -1;
    while (l->built < l->due && !is_blocked(l)) {
        for (; l->built < l->due && l->out_len + p->mix->room <= g->out_room; l->built++)
            l->out_len += mix_put(p->mix, p->source, l->out + l->out_len);
        if (flush(g, l) != 0) return -1;
    }
    return 0;
}

static void count_due(struct generator *g, struct link *l)
{
    l->due += (uint64_t)g->plan->pipeline;
    g->unanswered += (uint64_t)g->plan->pipeline;
    if (g->measuring) g->sent += (uint64_t)g->plan->pipeline;
    if (g->plan->requests && g->sent >= g->plan->requests) g->stopped = true;
}

static int send_pipeline(struct generator *g, struct link *l)
{
    if (g->stopped) return 0;
    l->sent_ns = g->now_ns;
    count_due(g, l);
    return send_due(g, l);
}

static int send_all_due(struct generator *g)
{
    for (int64_t due_ns; !g->stopped && (due_ns = batch_due_ns(g, g->next_batch)) <= g->now_ns; g->next_batch++) {
        struct link *l = &g->links[g->next_batch % (uint64_t)g->plan->connections];
        if (due_ns >= g->end_ns) {
            g->stopped = true;
            return 0;
        }
        if (due_ns >= g->measure_ns && !is_blocked(l))
            histogram_record(&g->result->late, (uint64_t)(g->now_ns - due_ns));
        count_due(g, l);
        if (send_due(g, l) != 0) return -1;
    }
    return 0;
}

/* --- receiving --- */

static void record(struct generator *g, int64_t since_ns, uint64_t count)
{
    if (!g->measuring || since_ns < g->measure_ns) return;
    histogram_record_many(&g->slice, (uint64_t)(g->now_ns - since_ns), count);
    if (g->plan->phase)
        histogram_record_many(&g->result->phases[*g->plan->phase], (uint64_t)(g->now_ns - since_ns), count);
    g->result->replies += count;
}

static int take_replies(struct generator *g, struct link *l, uint64_t count)
{
    const struct load_plan *p = g->plan;
    if (l->replied + count > l->built) return fail(g, l, "more replies than requests");
    g->unanswered -= count;
    g->last_reply_ns = g->now_ns;
    if (p->rate_per_s == 0) {
        record(g, l->sent_ns, count);
        l->replied += count;
        return l->replied == l->due ? send_pipeline(g, l) : 0;
    }
    for (; count--; l->replied++) {
        uint64_t batch = l->replied / (uint64_t)p->pipeline * (uint64_t)p->connections + (uint64_t)l->number;
        record(g, batch_due_ns(g, batch), 1);
    }
    return 0;
}

static ssize_t get(struct link *l, char *bytes, size_t room)
{
    return l->tls ? load_tls_recv(l->tls, bytes, room) : recv(l->fd, bytes, room, 0);
}

static int serve(struct generator *g, struct link *l)
{
    for (;;) {
        ssize_t n = get(l, g->received, RECEIVE_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) return fail(g, l, n ? strerror(errno) : "closed by the server");
        g->now_ns = clock_of(CLOCK_MONOTONIC);
        long values = counter_take(&l->counter, g->received, (size_t)n);
        if (values < 0) return fail(g, l, "what came is not RESP");
        if (values && take_replies(g, l, (uint64_t)values) != 0) return -1;
        if (n < RECEIVE_BYTES && !l->tls) break; /* all that there was; more is a new edge */
    }
    return l->built < l->due || is_blocked(l) ? send_due(g, l) : 0;
}

/* --- time --- */

static void end_slice(struct generator *g)
{
    struct load_result *r = g->result;
    if (g->plan->slice_ns && r->slice_count < LOAD_SLICES_MAX)
        r->slices[r->slice_count++] = (struct load_slice){g->slice.total, histogram_percentile(&g->slice, 50),
                                                          histogram_percentile(&g->slice, 99), g->slice.max};
    histogram_add(&r->latency, &g->slice);
    memset(&g->slice, 0, sizeof g->slice);
}

static void begin_measuring(struct generator *g)
{
    g->measuring = true;
    g->cpu_begin_ns = clock_of(CLOCK_THREAD_CPUTIME_ID);
    g->slice_end_ns = g->measure_ns + g->plan->slice_ns;
}

/* A busy machine may leave this thread no time before an event. */
static bool is_due(const struct generator *g, const struct load_event *e)
{
    return g->measure_ns + e->at_ns <= g->now_ns && (!e->at_ns || g->result->replies);
}

/* What the clock brings: measuring, events, slices, the end. */
static void pass_time(struct generator *g)
{
    const struct load_plan *p = g->plan;
    if (!g->measuring && g->now_ns >= g->measure_ns) begin_measuring(g);
    if (!g->measuring) return;
    for (; g->next_event < p->event_count; g->next_event++) {
        const struct load_event *e = &p->events[g->next_event];
        if (!is_due(g, e)) break;
        e->strike(e->context);
    }
    for (; p->slice_ns && g->now_ns >= g->slice_end_ns; g->slice_end_ns += p->slice_ns) end_slice(g);
    /* A machine that has left this thread no time goes on until there is something to tell. */
    if (p->rate_per_s == 0 && g->now_ns >= g->end_ns && g->result->replies) g->stopped = true;
}

static int64_t wait_ns(const struct generator *g)
{
    const struct load_plan *p = g->plan;
    int64_t until = g->now_ns + IDLE_NS;
    if (!g->measuring && g->measure_ns < until) until = g->measure_ns;
    if (p->rate_per_s > 0 && !g->stopped) {
        int64_t due_ns = batch_due_ns(g, g->next_batch);
        if (due_ns < until) until = due_ns;
    }
    if (g->measuring && g->next_event < p->event_count && g->result->replies &&
        g->measure_ns + p->events[g->next_event].at_ns < until)
        until = g->measure_ns + p->events[g->next_event].at_ns;
    return until > g->now_ns ? until - g->now_ns : 0;
}

static int turn(struct generator *g)
{
    struct epoll_event ready[EVENTS_MAX];
    int64_t wait = wait_ns(g);
    struct timespec bound = {wait / 1000000000, wait % 1000000000};
    int count = epoll_pwait2(g->epoll, ready, EVENTS_MAX, &bound, NULL);
    if (count < 0 && errno != EINTR) {
        snprintf(g->error, 256, "epoll: %s", strerror(errno));
        return -1;
    }
    for (int i = 0; i < count; i++)
        if (serve(g, ready[i].data.ptr) != 0) return -1;
    if (count <= 0) g->now_ns = clock_of(CLOCK_MONOTONIC);
    if (g->plan->rate_per_s > 0 && send_all_due(g) != 0) return -1;
    pass_time(g);
    if (g->unanswered && g->now_ns - g->last_reply_ns > g->plan->silence_ns && g->plan->silence_ns) {
        snprintf(g->error, 256, "no reply for %lld ms", (long long)((g->now_ns - g->last_reply_ns) / 1000000));
        return -1;
    }
    if (!g->unanswered) g->last_reply_ns = g->now_ns;
    return 0;
}

/* --- a run --- */

static int open_links(struct generator *g)
{
    const struct load_plan *p = g->plan;
    size_t batch = p->mix->room * (size_t)p->pipeline, room = batch < SEND_BYTES ? batch : SEND_BYTES;
    g->out_room = room < p->mix->room ? p->mix->room : room;
    for (int i = 0; i < p->connections; i++) {
        struct link *l = &g->links[i];
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = l};
        *l = (struct link){
            .fd = p->sockets[i], .number = i, .tls = p->tls ? p->tls[i] : NULL, .out = malloc(g->out_room)};
        if (!l->out) return fail(g, l, "no memory");
        if (fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK) < 0 ||
            epoll_ctl(g->epoll, EPOLL_CTL_ADD, l->fd, &wanted) < 0)
            return fail(g, l, strerror(errno));
    }
    return 0;
}

static void begin(struct generator *g)
{
    const struct load_plan *p = g->plan;
    prctl(PR_SET_TIMERSLACK, 1ul); /* a wait ends when it is due, not 50 us later */
    g->first_ns = g->now_ns = g->last_reply_ns = clock_of(CLOCK_MONOTONIC);
    g->measure_ns = g->first_ns + p->warm_up_ns;
    g->end_ns = g->measure_ns + p->duration_ns;
    if (p->rate_per_s > 0) g->batch_ns = 1e9 * p->pipeline / p->rate_per_s;
    pass_time(g);
}

static int drive(struct generator *g)
{
    if (open_links(g) != 0) return -1;
    begin(g);
    for (int i = 0; i < g->plan->connections && g->plan->rate_per_s == 0; i++)
        if (send_pipeline(g, &g->links[i]) != 0) return -1;
    while (!g->stopped || g->unanswered)
        if (turn(g) != 0) return -1;
    end_slice(g);
    g->result->elapsed_ns = g->last_reply_ns - g->measure_ns;
    g->result->cpu_ns = clock_of(CLOCK_THREAD_CPUTIME_ID) - g->cpu_begin_ns;
    return 0;
}

static void sum_errors(struct generator *g)
{
    struct load_result *r = g->result;
    for (int i = 0; i < g->plan->connections; i++) {
        const struct counter *c = &g->links[i].counter;
        if (c->errors && !r->errors) snprintf(r->first_error, sizeof r->first_error, "%s", c->first_error);
        r->errors += c->errors;
    }
}

int load_run(const struct load_plan *plan, struct load_result *result, char error[256])
{
    struct generator *g = calloc(1, sizeof *g);
    int status = -1;
    memset(result, 0, sizeof *result);
    snprintf(error, 256, "no memory for the load");
    if (!g) return -1;
    *g = (struct generator){.plan = plan, .result = result, .error = error, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    g->links = calloc((size_t)plan->connections, sizeof *g->links);
    g->received = malloc(RECEIVE_BYTES);
    if (g->links && g->received && g->epoll >= 0) {
        status = drive(g);
        sum_errors(g);
        for (int i = 0; i < plan->connections; i++) free(g->links[i].out);
    }
    if (g->epoll >= 0) close(g->epoll);
    free(g->received);
    free(g->links);
    free(g);
    return status;
}
