/* The state machine's driver: events go in with the time, actions come out by a hook, and its clock is wound. Server
 * process of the replica. */
#include "repl/replica_side.h"

#include <stdarg.h>
#include <stdio.h>

enum log_level replica_log_level(const struct replica_side *s)
{
    return s->machine.quiet ? LOG_VERBOSE : LOG_NOTICE;
}

static int64_t tick(void *arg)
{
    struct replica_side *s = arg;
    s->in_timer = true;
    s->machine_settings.timeout_ms = (int64_t)s->r->settings->timeout_s * 1000;
    replica_step(s, &(struct replica_event){.kind = EVENT_TICK});
    s->in_timer = false;
    int64_t deadline_ms = replica_machine_deadline_ms(&s->machine), delay_ms = deadline_ms - replication_now_ms(s->r);
    if (deadline_ms == INT64_MAX) {
        s->timer = NULL;
        return LOOP_TIMER_DONE;
    }
    s->timer_ms = deadline_ms;
    return delay_ms > 0 ? delay_ms : 0;
}

/* A deadline that moves away needs nothing: the timer fires early and looks again. */
static void wind_timer(struct replica_side *s)
{
    int64_t deadline_ms = replica_machine_deadline_ms(&s->machine);
    if (s->in_timer || deadline_ms == INT64_MAX || (s->timer && s->timer_ms <= deadline_ms)) return;
    if (s->timer) loop_timer_cancel(s->timer);
    int64_t delay_ms = deadline_ms - replication_now_ms(s->r);
    s->timer = loop_timer_start(s->r->loop, delay_ms > 0 ? delay_ms : 0, tick, s);
    s->timer_ms = deadline_ms;
}

/* For INFO: a full resync that fails again and again has a reason that should not have to be looked for. */
static void note_sync_error(struct replica_side *s, const struct replica_event *event)
{
    bool syncs = s->machine.state == REPLICA_TRANSFER || s->machine.state == REPLICA_LOADING;
    if (event->kind == EVENT_FAILED && syncs && event->text[0])
        snprintf(s->sync_error, sizeof s->sync_error, "%s", event->text);
    if (event->kind == EVENT_FOLLOW || event->kind == EVENT_STOP || s->machine.state == REPLICA_CONNECTED)
        s->sync_error[0] = '\0';
}

void replica_step(struct replica_side *s, const struct replica_event *event)
{
    struct replica_actions actions;
    note_sync_error(s, event);
    replica_machine_step(&s->machine, event, replication_now_ms(s->r), &actions);
    for (int i = 0; i < actions.count; i++) s->hooks.act(s, &actions.list[i]);
    wind_timer(s);
}

void replica_failed(struct replica_side *s, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    replica_step(s, &(struct replica_event){.kind = EVENT_FAILED, .text = why});
}
