/* Delta debugging: chunks of half the script are tried, then of a quarter, down to single productions. */
#include "tests/differential/shrink.h"

#include "tests/harness/clock.h"

#include <stdlib.h>
#include <string.h>

struct shrinking {
    bool (*fails)(void *context, const struct script *s);
    void *context;
    int64_t deadline_ms;
};

/* Where the next `units` productions that begin at step `from` end. */
static int end_of_units(const struct script *s, int from, int units)
{
    int to = from;
    while (to < s->count && units-- > 0) {
        to++;
        while (to < s->count && s->at[to].glued) to++;
    }
    return to;
}

static int count_units(const struct script *s)
{
    int units = 0;
    for (int i = 0; i < s->count; i++) units += !s->at[i].glued;
    return units;
}

/* Replaces *s if the candidate, which is consumed, still fails. */
static bool adopt(const struct shrinking *k, struct script *s, struct script candidate)
{
    if (clock_ms() < k->deadline_ms && candidate.count > 0 && k->fails(k->context, &candidate)) {
        script_free(s);
        *s = candidate;
        return true;
    }
    script_free(&candidate);
    return false;
}

static bool drop_chunks(const struct shrinking *k, struct script *s, int units)
{
    bool dropped = false;
    for (int from = 0; from < s->count;) {
        int to = end_of_units(s, from, units);
        if (adopt(k, s, script_without(s, from, to)))
            dropped = true;
        else
            from = to;
    }
    return dropped;
}

static void drop_words(const struct shrinking *k, struct script *s)
{
    for (int i = 0; i < s->count; i++) {
        bool alone = !s->at[i].glued && (i + 1 == s->count || !s->at[i + 1].glued);
        for (int word = s->at[i].words.count - 1; alone && word > 0; word--) {
            struct script candidate = script_without(s, 0, 0);
            words_remove(&candidate.at[i].words, word);
            adopt(k, s, candidate);
        }
    }
}

void shrink(struct script *s, bool (*fails)(void *context, const struct script *s), void *context, int bound_ms)
{
    struct shrinking k = {fails, context, clock_ms() + bound_ms};
    for (int units = count_units(s) / 2; units > 1; units /= 2) drop_chunks(&k, s, units);
    while (drop_chunks(&k, s, 1)) continue;
    drop_words(&k, s);
}
