/* The propagation funnel, in the server process.
 *
 * The usual unit is one command whose request bytes serve as they are: they go to the sinks straight from the client's
 * buffer. Only a unit of several commands is gathered in a buffer first, since MULTI has to stand in front. */
#include "server/core/dataset/propagate.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/resp/writer.h"

#include <stdio.h>

#define SINKS_MAX 4

struct propagation {
    struct propagation_sink sinks[SINKS_MAX];
    int sink_count;
    int depth;
    int stream_db;       /* -1: the next command needs a SELECT */
    uint32_t commands;   /* in the unit so far */
    struct bytes single; /* the unit's only command, not copied; empty once it was gathered */
    int single_db;
    struct outq gathered; /* commands with their SELECTs, without MULTI and EXEC */
    size_t lead_bytes;    /* the SELECT at the head of gathered: MULTI goes behind it */
};

struct propagation *propagation_new(void)
{
    struct propagation *p = mem_calloc(1, sizeof *p);
    p->stream_db = -1;
    return p;
}

void propagation_add_sink(struct propagation *p, const struct propagation_sink *sink)
{
    CHECK(p->sink_count < SINKS_MAX);
    p->sinks[p->sink_count++] = *sink;
}

/* The sinks that want what leaves now: a bit each. */
static unsigned listeners(const struct propagation *p)
{
    unsigned set = 0;
    for (int i = 0; i < p->sink_count; i++)
        if (p->sinks[i].wanted(p->sinks[i].context)) set |= 1u << i;
    return set;
}

static void feed(struct propagation *p, unsigned to, struct bytes unit)
{
    for (int i = 0; i < p->sink_count; i++)
        if (to & 1u << i) p->sinks[i].feed(p->sinks[i].context, unit);
}

static size_t select_command(struct propagation *p, int db, char out[64])
{
    if (db < 0 || db == p->stream_db) return 0;
    char number[16];
    int digits = snprintf(number, sizeof number, "%d", db);
    p->stream_db = db;
    return (size_t)snprintf(out, 64, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", digits, number);
}

static void gather_select(struct propagation *p, int db)
{
    char text[64];
    size_t len = select_command(p, db, text);
    if (outq_empty(&p->gathered)) p->lead_bytes = len;
    outq_append(&p->gathered, text, len);
}

static void gather_single(struct propagation *p)
{
    if (!p->single.len) return;
    gather_select(p, p->single_db);
    outq_append(&p->gathered, p->single.ptr, p->single.len);
    p->single = (struct bytes){0};
}

void propagate_begin(struct propagation *p)
{
    p->depth++;
}

static uint8_t *take_gathered(struct propagation *p, uint8_t *at, size_t len)
{
    while (len) {
        struct bytes run = outq_front(&p->gathered);
        size_t n = run.len < len ? run.len : len;
        at = (uint8_t *)memcpy(at, run.ptr, n) + n;
        outq_consume(&p->gathered, n);
        len -= n;
    }
    return at;
}

static void feed_gathered(struct propagation *p, unsigned to)
{
    static const char multi[] = "*1\r\n$5\r\nMULTI\r\n", exec[] = "*1\r\n$4\r\nEXEC\r\n";
    bool wrap = p->commands > 1;
    size_t body = outq_pending(&p->gathered);
    uint8_t *unit = mem_alloc(body + sizeof multi + sizeof exec), *at = take_gathered(p, unit, p->lead_bytes);
    if (wrap) at = (uint8_t *)memcpy(at, multi, sizeof multi - 1) + sizeof multi - 1;
    at = take_gathered(p, at, body - p->lead_bytes);
    if (wrap) at = (uint8_t *)memcpy(at, exec, sizeof exec - 1) + sizeof exec - 1;
    feed(p, to, bytes_make(unit, (size_t)(at - unit)));
    mem_free(unit);
}

static void feed_single(struct propagation *p, unsigned to)
{
    char text[64];
    size_t len = select_command(p, p->single_db, text);
    if (len) feed(p, to, bytes_make(text, len));
    feed(p, to, p->single);
}

static void flush_unit(struct propagation *p)
{
    unsigned to = listeners(p);
    if (to && p->single.len)
        feed_single(p, to);
    else if (to)
        feed_gathered(p, to);
    else
        outq_clear(&p->gathered);
    p->single = (struct bytes){0};
    p->commands = 0;
}

void propagate_end(struct propagation *p)
{
    CHECK(p->depth > 0);
    if (--p->depth == 0 && p->commands) flush_unit(p);
}

void propagate_abandon(struct propagation *p)
{
    outq_clear(&p->gathered);
    p->single = (struct bytes){0};
    p->commands = 0;
}

void propagate_raw(struct propagation *p, int db, struct bytes request)
{
    if (p->commands && !listeners(p)) return; /* of the first, this is asked when the unit leaves */
    if (p->commands++ == 0) {
        p->single = request;
        p->single_db = db;
    } else {
        gather_single(p);
        gather_select(p, db);
        outq_append(&p->gathered, request.ptr, request.len);
    }
    if (!p->depth) flush_unit(p);
}

void propagate_command(struct propagation *p, int db, uint32_t argc, const struct bytes *argv)
{
    if (!listeners(p)) return;
    gather_single(p);
    gather_select(p, db);
    resp_write_request(&p->gathered, argc, argv);
    p->commands++;
    if (!p->depth) flush_unit(p);
}

struct bytes propagate_removal_name(bool aside)
{
    return aside ? BYTES("UNLINK") : BYTES("DEL");
}

void propagate_removal(struct propagation *p, int db, struct bytes key, bool aside)
{
    struct bytes argv[2] = {propagate_removal_name(aside), key};
    propagate_command(p, db, 2, argv);
}

bool propagation_in_unit(const struct propagation *p)
{
    return p->depth > 0;
}

bool propagation_owes(const struct propagation *p)
{
    return p->commands > 0;
}

size_t propagation_gathered_bytes(const struct propagation *p)
{
    return outq_memory(&p->gathered);
}

void propagate_forget_db(struct propagation *p)
{
    p->stream_db = -1;
}

int propagation_db(const struct propagation *p)
{
    return p->stream_db;
}
