/* See process_watch.h. Server process; pure. */
#include "server/net/process_watch.h"

#define SILENCE_MS       5000  /* ten beats */
#define LISTENED_MOST_MS 500   /* of the time between two looks counts so much: the rest we slept ourselves */
#define STABLE_MS        10000 /* one that lived so long was a good one */
#define LEAST_DELAY_MS   100
#define DOUBLINGS_MOST   5

void process_watch_started(struct process_watch *w, uint64_t beats, int64_t now_ms)
{
    w->beats = beats;
    w->looked_ms = w->started_ms = now_ms;
    w->silent_ms = 0;
}

bool process_watch_hangs(struct process_watch *w, uint64_t beats, int64_t now_ms)
{
    int64_t passed_ms = now_ms - w->looked_ms;
    w->looked_ms = now_ms;
    if (beats != w->beats) {
        w->beats = beats;
        w->silent_ms = 0;
        return false;
    }
    w->silent_ms += passed_ms < LISTENED_MOST_MS ? passed_ms : LISTENED_MOST_MS;
    return w->silent_ms >= SILENCE_MS;
}

int64_t process_watch_silence_ms(const struct process_watch *w)
{
    return w->silent_ms;
}

/* The first failure is an accident: whoever is waiting is served at once. */
int64_t process_watch_failed(struct process_watch *w, int64_t now_ms)
{
    if (w->started_ms && now_ms - w->started_ms >= STABLE_MS) w->failures = 0;
    w->started_ms = 0;
    unsigned doublings = w->failures++;
    if (!doublings--) return 0;
    int64_t delay_ms = (int64_t)LEAST_DELAY_MS << (doublings < DOUBLINGS_MOST ? doublings : DOUBLINGS_MOST);
    w->start_again_ms = now_ms + delay_ms;
    return delay_ms;
}

bool process_watch_may_start(const struct process_watch *w, int64_t now_ms)
{
    return now_ms >= w->start_again_ms;
}
