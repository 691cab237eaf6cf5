/* The clock of a Sentinel, and its actions, one after another. Sentinel process. */
#include "server/sentinel/process.h"

#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/random.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/session/pubsub.h"
#include "server/net/loop.h"
#include "server/sentinel/scripts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int64_t sentinel_process_now_ms(const struct sentinel_process *p)
{
    return p->core ? loop_monotonic_ms(p->core->loop) : clock_monotonic_ms();
}

int sentinel_process_save(struct sentinel_process *p)
{
    char error[512];
    p->unsaved = false;
    if (config_rewrite(p->core->config, false, error) == 0) {
        log_notice("Sentinel new configuration saved on disk");
        return 0;
    }
    log_warning("WARNING: Sentinel was not able to save the new configuration on disk!!!: %s", error + strlen("ERR "));
    return -1;
}

static void say(struct sentinel_process *p, const struct sentinel_action *a)
{
    log_write(a->level, "%s %s", a->type, a->text);
    if (a->level > LOG_DEBUG)
        pubsub_publish(p->core->pubsub, bytes_from_text(a->type), bytes_from_text(a->text), false);
}

static const struct watched_access *access_of(const struct sentinel_process *p, const char *master)
{
    const struct watched *w = master ? sentinel_master(&p->sentinel, master) : NULL;
    return w ? &w->access : NULL;
}

static void notify(struct sentinel_process *p, const struct sentinel_action *a)
{
    const struct watched_access *access = access_of(p, a->master);
    if (a->level != LOG_WARNING || !access || !access->notification_script) return;
    sentinel_scripts_add(p->scripts, 3, (const char *const[]){access->notification_script, a->type, a->text});
}

#define SIMULATED_FAILURE_STATUS 99 /* Redis's */

#define RECONFIG_WORDS 6 /* role, state, and the two addresses */

static void run_reconfig_script(struct sentinel_process *p, const struct sentinel_action *a)
{
    const struct watched_access *access = access_of(p, a->master);
    const char *word[2 + RECONFIG_WORDS];
    char text[SENTINEL_TEXT_MAX], *rest = text;
    int count = 2;
    if (!access || !access->reconfig_script) return;
    memcpy(text, a->text, sizeof text);
    word[0] = access->reconfig_script;
    word[1] = a->master;
    for (char *at; count < 2 + RECONFIG_WORDS && (at = strsep(&rest, " "));) word[count++] = at;
    sentinel_scripts_add(p->scripts, count, word);
}

/* The supervisor sees a status that nothing else has. */
static void die(struct sentinel_process *p)
{
    if (p->unsaved) sentinel_process_save(p);
    log_warning("Sentinel CRASH because of SENTINEL simulate-failure");
    _exit(SIMULATED_FAILURE_STATUS);
}

static void carry_out(struct sentinel_process *p, const struct sentinel_action *a, const struct sentinel_action *next)
{
    switch (a->kind) {
    case SENTINEL_SAVE: p->unsaved = true; break;
    case SENTINEL_CONNECT: sentinel_links_connect(p->links, a); break;
    case SENTINEL_DISCONNECT: sentinel_links_disconnect(p->links, a->instance, a->link); break;
    case SENTINEL_FORGET: sentinel_links_forget(p->links, a->instance); break;
    case SENTINEL_SEND:
        if (p->unsaved) sentinel_process_save(p); /* what is told others has to outlive us */
        sentinel_links_send(p->links, a, !next || next->kind != SENTINEL_SEND || next->instance != a->instance);
        break;
    case SENTINEL_SAY:
        say(p, a);
        notify(p, a);
        break;
    case SENTINEL_NOTE: log_write(a->level, "%s", a->text); break;
    case SENTINEL_RECONFIGURED: run_reconfig_script(p, a); break;
    case SENTINEL_DIE: die(p); break;
    }
}

/* Of hundreds of masters each is spoken to once a second, and its connection is in no cache by then. */
#define AHEAD_FAR  6
#define AHEAD_NEAR 3

static void prefetch_send(const struct sentinel_process *p, int at, bool near)
{
    if (at >= p->actions.count || p->actions.list[at].kind != SENTINEL_SEND) return;
    sentinel_links_prefetch(p->links, p->actions.list[at].instance, near);
}

void sentinel_process_carry_out(struct sentinel_process *p)
{
    for (int i = 0; i < AHEAD_FAR && i < p->actions.count; i++) prefetch_send(p, i, false);
    for (int i = 0; i < p->actions.count; i++) {
        prefetch_send(p, i + AHEAD_FAR, false);
        prefetch_send(p, i + AHEAD_NEAR, true);
        carry_out(p, &p->actions.list[i], i + 1 < p->actions.count ? &p->actions.list[i + 1] : NULL);
    }
    p->actions.count = 0;
    if (p->unsaved) sentinel_process_save(p);
}

static int64_t tick(void *arg);

/* What has just come up may not wait for the tick that was to be the next. */
static void bring_tick_forward(struct sentinel_process *p)
{
    int64_t now_ms = sentinel_process_now_ms(p), due_ms = sentinel_deadline_ms(&p->sentinel, now_ms);
    if (!p->tick || due_ms >= p->tick_ms) return;
    loop_timer_cancel(p->tick);
    p->tick_ms = due_ms;
    p->tick = loop_timer_start(p->core->loop, due_ms - now_ms, tick, p);
}

void sentinel_process_event(struct sentinel_process *p, const struct sentinel_event *event)
{
    sentinel_step(&p->sentinel, event, sentinel_process_now_ms(p), &p->actions);
    sentinel_process_carry_out(p);
    bring_tick_forward(p);
}

/* Where one tick asks many, an answer that is read by itself costs more to wake up for than to read. None of them is
 * waited for by anybody, but by periods of a second and more. */
#define MANY_ANSWERS      16
#define ANSWERS_GATHER_US 5000

/* Pieces of input that they bring from servers: requests that leave together are answered together, and our own hello
 * comes back. */
static int answers(const struct sentinel *s, const struct sentinel_actions *actions)
{
    int count = 0;
    for (int i = 0; i < actions->count; i++) {
        const struct sentinel_action *a = &actions->list[i];
        const struct instance *to = a->kind == SENTINEL_SEND ? sentinel_instance(s, a->instance) : NULL;
        if (!to || to->kind == INSTANCE_SENTINEL || !instance_is_up(to)) continue;
        bool another = i && actions->list[i - 1].kind == SENTINEL_SEND && actions->list[i - 1].instance == a->instance;
        count += !another + (a->request == REQUEST_HELLO);
    }
    return count;
}

static int64_t tick(void *arg)
{
    struct sentinel_process *p = arg;
    struct loop_timer *timer = p->tick;
    int64_t now_ms = sentinel_process_now_ms(p);
    p->tick = NULL; /* it is no timer to be moved while it fires */
    sentinel_links_tick(p->links, now_ms);
    sentinel_scripts_tick(p->scripts, now_ms);
    sentinel_step(&p->sentinel, &(struct sentinel_event){.kind = SENTINEL_EVENT_TICK}, now_ms, &p->actions);
    int expected = answers(&p->sentinel, &p->actions);
    if (expected >= MANY_ANSWERS) loop_gather(p->core->loop, (unsigned)expected, ANSWERS_GATHER_US);
    sentinel_process_carry_out(p);
    p->tick = timer;
    p->tick_ms = sentinel_deadline_ms(&p->sentinel, now_ms);
    return p->tick_ms - now_ms;
}

struct sentinel_process *sentinel_process_new(struct config *config)
{
    struct sentinel_process *p = mem_calloc(1, sizeof *p);
    struct sentinel_settings settings;
    char run_id[SENTINEL_RUN_ID + 1] = "";
    uint64_t seed;
    random_from_kernel(&seed, sizeof seed);
    random_hex(run_id, SENTINEL_RUN_ID);
    sentinel_settings_init(&settings);
    sentinel_init(&p->sentinel, &settings, run_id, seed);
    p->deny_scripts_reconfig = true;
    p->statements = (struct config_statements){.name = "sentinel",
                                               .read = sentinel_state_read,
                                               .write = sentinel_state_write,
                                               .key = sentinel_state_key,
                                               .arg = p};
    config_use_statements(config, &p->statements);
    return p;
}

int sentinel_process_configure(struct sentinel_process *p, int port)
{
    p->sentinel.settings.port = port;
    return sentinel_state_apply(p, clock_monotonic_ms());
}

int sentinel_process_start(struct sentinel_process *p, struct core *core)
{
    const char *file = config_file(core->config);
    p->core = core;
    if (!file) {
        log_warning("Sentinel needs config file on disk to save state. Exiting...");
        return -1;
    }
    if (access(file, W_OK)) {
        log_warning("Sentinel config file %s is not writable: %s. Exiting...", file, strerror(errno));
        return -1;
    }
    p->links = sentinel_links_new(p);
    p->scripts = sentinel_scripts_new(&p->sentinel.settings.periods);
    if (sentinel_process_save(p)) return -1;
    p->actions.count = 0; /* of the masters as they were read */
    log_warning("Sentinel ID is %s", p->sentinel.run_id);
    for (int i = 0; i < p->sentinel.master_count; i++) {
        const struct watched *w = p->sentinel.masters[i];
        struct sentinel_action *a = sentinel_actions_add(&p->actions, SENTINEL_SAY);
        a->level = LOG_WARNING;
        memcpy(a->type, "+monitor", sizeof "+monitor");
        snprintf(a->text, sizeof a->text, "master %s %s %d quorum %d", w->name, w->master->address.host,
                 w->master->address.port, w->settings.quorum);
    }
    sentinel_process_carry_out(p);
    p->tick = loop_timer_start(core->loop, 0, tick, p);
    return 0;
}
