/* See refusals.h. Server process of the master; pure. */
#include "repl/refusals.h"

#include <stdio.h>
#include <string.h>

#define LEAST_DELAY_MS 100
#define MOST_DELAY_MS  10000
#define KNOWN_MS       ((int64_t)24 * 60 * 60 * 1000) /* by then it may be another program at that address */
#define TELL_AGAIN_MS  60000
#define FORGET_MS      60000 /* so long after its wait has ended, a replica begins anew */

static struct refusal *find(const struct refusals *r, const char *name)
{
    for (int i = 0; i < REFUSALS_MAX; i++)
        if (strncmp(r->list[i].name, name, REFUSALS_NAME_BYTES - 1) == 0) return (struct refusal *)&r->list[i];
    return NULL;
}

static bool has_refused(const struct refusal *one)
{
    return one->times || one->version || one->strayings;
}

/* Of whom nothing is known but what it reads: it is noted all the time, and only takes longer to
 * be known without that. */
static bool makes_room_before(const struct refusal *one, const struct refusal *other)
{
    if (has_refused(one) != has_refused(other)) return has_refused(other);
    return one->noted_ms < other->noted_ms;
}

static struct refusal *least_needed(struct refusals *r)
{
    struct refusal *found = &r->list[0];
    for (int i = 1; i < REFUSALS_MAX; i++)
        if (makes_room_before(&r->list[i], found)) found = &r->list[i];
    return found;
}

static int64_t delay_ms(unsigned times)
{
    if (times < 2) return 0;
    int64_t delay_ms = LEAST_DELAY_MS;
    for (unsigned i = 2; i < times && delay_ms < MOST_DELAY_MS; i++) delay_ms *= 2;
    return delay_ms < MOST_DELAY_MS ? delay_ms : MOST_DELAY_MS;
}

static struct refusal *find_or_make(struct refusals *r, const char *name)
{
    struct refusal *one = find(r, name);
    if (one) return one;
    one = least_needed(r);
    *one = (struct refusal){.times = 0};
    snprintf(one->name, sizeof one->name, "%s", name);
    return one;
}

unsigned refusals_note(struct refusals *r, const char *name, int version, bool whole, int64_t now_ms)
{
    struct refusal *one = find_or_make(r, name);
    if (now_ms - one->again_ms > FORGET_MS) one->times = 0;
    one->noted_ms = now_ms;
    one->again_ms = now_ms + delay_ms(++one->times);
    if (version && (whole || one->times >= 2)) {
        one->version = version;
        one->version_ms = now_ms;
        if (one->read >= version) one->read = 0;
    }
    return one->times;
}

void refusals_forget(struct refusals *r, const char *name)
{
    struct refusal *one = find(r, name);
    if (!one) return;
    one->times = 0;
    one->again_ms = 0;
    one->astray = false;
}

void refusals_note_unproven(struct refusals *r, const char *name, int64_t now_ms)
{
    struct refusal *one = find_or_make(r, name);
    one->noted_ms = one->unproven_ms = now_ms;
}

void refusals_note_read(struct refusals *r, const char *name, int version, uint64_t from, int64_t now_ms)
{
    struct refusal *one = find_or_make(r, name);
    one->noted_ms = now_ms;
    if (from) {
        one->read = version;
        one->read_from = from;
        one->unproven_ms = 0;
    } else if (version != one->read) { /* another's was noted since */
        one->unproven_ms = now_ms;
        return;
    }
    one->read_ms = now_ms;
}

void refusals_forget_reads(struct refusals *r)
{
    for (int i = 0; i < REFUSALS_MAX; i++) r->list[i].read = 0;
}

static bool was_lately(int64_t then_ms, int64_t now_ms)
{
    return then_ms && now_ms - then_ms <= KNOWN_MS;
}

int refusals_read(const struct refusals *r, const char *name, int64_t asked_offset, int64_t now_ms)
{
    const struct refusal *one = find(r, name);
    if (!one || !was_lately(one->read_ms, now_ms) || was_lately(one->unproven_ms, now_ms)) return 0;
    return asked_offset > 0 && (uint64_t)asked_offset > one->read_from ? one->read : 0;
}

void refusals_note_astray(struct refusals *r, const char *name, int64_t now_ms)
{
    struct refusal *one = find_or_make(r, name);
    if (now_ms - one->back_ms > FORGET_MS) one->strayings = 0;
    one->noted_ms = now_ms;
    one->back_ms = now_ms + delay_ms(++one->strayings);
    one->astray = true;
}

bool refusals_is_astray(const struct refusals *r, const char *name)
{
    const struct refusal *one = find(r, name);
    return one && one->astray;
}

int refusals_version(const struct refusals *r, const char *name, int64_t now_ms)
{
    const struct refusal *one = find(r, name);
    return one && was_lately(one->version_ms, now_ms) ? one->version : 0;
}

bool refusals_tell(struct refusals *r, const char *name, int64_t now_ms)
{
    struct refusal *one = find_or_make(r, name);
    bool due = !one->told_ms || now_ms - one->told_ms >= TELL_AGAIN_MS;
    one->noted_ms = now_ms;
    if (due) one->told_ms = now_ms;
    return due;
}

int64_t refusals_again_ms(const struct refusals *r, const char *name)
{
    const struct refusal *one = find(r, name);
    if (!one) return 0;
    return one->again_ms > one->back_ms ? one->again_ms : one->back_ms;
}
