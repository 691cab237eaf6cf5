/* See hold.h. Any process with a loop. */
#include "server/net/hold.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/engine.h"

/* Of a connection's output, from its head: bytes that may leave, bytes that wait for the mark, bytes without one. */
struct conn_hold {
    struct conn *conn;
    struct list_node node; /* in loop->unmarked, or in loop->marked */
    size_t open_bytes, marked_bytes;
    uint64_t mark;
    uint32_t answered_in; /* as loop->hold_counts.answers */
    bool waits;           /* in loop->marked */
};

static struct conn_hold *hold_of(struct conn *conn)
{
    if (conn->hold) return conn->hold;
    struct conn_hold *h = mem_calloc(1, sizeof *h);
    h->conn = conn;
    h->open_bytes = conn->tls ? 0 : conn->sending; /* the kernel has them */
    return conn->hold = h;
}

size_t hold_open_bytes(const struct conn_hold *hold)
{
    return hold->open_bytes;
}

void hold_given_back(struct conn *conn, size_t n)
{
    if (conn->endpoint.loop->holding) hold_of(conn)->open_bytes += n;
}

void hold_consumed(struct conn_hold *hold, size_t n)
{
    hold->open_bytes -= n < hold->open_bytes ? n : hold->open_bytes;
}

static size_t unmarked_bytes(const struct conn_hold *h)
{
    size_t all = outq_pending(&h->conn->output), known = h->open_bytes + h->marked_bytes;
    return all > known ? all - known : 0;
}

static void start_sending(struct conn *conn)
{
    if (list_contains(&conn->send_node) || conn->send_waiting) return;
    list_push_back(conn->sends, &conn->send_node);
}

void hold_flush(struct conn *conn)
{
    if (conn->state == CONN_CONNECTING || conn->state == CONN_CLOSED) return;
    struct conn_hold *h = hold_of(conn);
    if (!list_contains(&h->node) && unmarked_bytes(h)) list_push_back(&conn->endpoint.loop->unmarked, &h->node);
    if (h->open_bytes) start_sending(conn);
}

static void leave_list(struct loop *loop, struct conn_hold *h)
{
    if (list_contains(&h->node)) list_remove(h->waits ? &loop->marked : &loop->unmarked, &h->node);
    h->waits = false;
}

static void open_all(struct loop *loop, struct conn_hold *h)
{
    leave_list(loop, h);
    h->open_bytes = outq_pending(&h->conn->output);
    h->marked_bytes = 0;
    if (h->open_bytes) start_sending(h->conn);
}

static void set_mark(struct loop *loop, struct conn_hold *h, uint64_t mark)
{
    leave_list(loop, h);
    h->marked_bytes = unmarked_bytes(h);
    h->mark = mark;
    h->waits = true;
    loop->hold_counts.returned += h->answered_in == loop->hold_counts.answers && h->answered_in > 0;
    h->answered_in = 0;
    list_push_back(&loop->marked, &h->node);
}

/* What was written behind the marked bytes has no mark yet. */
static void mark_has_passed(struct loop *loop, struct conn_hold *h)
{
    leave_list(loop, h);
    h->answered_in = loop->hold_counts.answers;
    loop->hold_counts.answered++;
    h->open_bytes += h->marked_bytes;
    h->marked_bytes = 0;
    if (unmarked_bytes(h)) list_push_back(&loop->unmarked, &h->node);
    start_sending(h->conn);
}

uint64_t loop_hold_next_mark(const struct loop *loop)
{
    struct list_node *first = list_first(&loop->marked);
    return first ? list_entry(first, struct conn_hold, node)->mark : 0;
}

void loop_hold_mark(struct loop *loop, uint64_t mark, uint64_t passed)
{
    if (!loop->holding) return;
    uint64_t next = loop_hold_next_mark(loop);
    if (next && next <= passed) {
        uint32_t answers = loop->hold_counts.answers + 1;
        loop->hold_counts = (struct hold_counts){.answers = answers ? answers : 1}; /* 0 is nobody's */
    }
    for (; next && next <= passed; next = loop_hold_next_mark(loop))
        mark_has_passed(loop, list_entry(list_first(&loop->marked), struct conn_hold, node));
    list_each(&loop->unmarked, node)
    {
        struct conn_hold *h = list_entry(node, struct conn_hold, node);
        if (mark <= passed)
            open_all(loop, h);
        else
            set_mark(loop, h, mark);
    }
}

struct hold_counts loop_hold_counts(const struct loop *loop)
{
    struct hold_counts counts = loop->hold_counts;
    counts.waiting = (unsigned)loop->marked.count;
    return counts;
}

void loop_hold_let_pass(struct loop *loop)
{
    list_each(&loop->unmarked, node) open_all(loop, list_entry(node, struct conn_hold, node));
}

bool loop_holds_output(const struct loop *loop)
{
    return loop->holding;
}

void hold_forget(struct conn *conn)
{
    leave_list(conn->endpoint.loop, conn->hold);
    mem_free(conn->hold);
    conn->hold = NULL;
}

/* A walk over all connections, at a change of the configuration. */
void loop_hold_output(struct loop *loop, bool held)
{
    if (loop->holding == held) return;
    loop->holding = held;
    if (held) return;
    list_each(&loop->live[ENDPOINT_CONN], node)
    {
        struct conn *conn = (struct conn *)list_entry(node, struct endpoint, node);
        if (!conn->hold) continue;
        hold_forget(conn);
        if (conn_has_unsent(conn)) conn_flush(conn);
    }
}
