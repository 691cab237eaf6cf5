/* The process around the core of a Sentinel: who carries out its actions, and who asks it. Sentinel process.
 *
 *   process.c     the clock, actions in order, events
 *   links.c       connections to servers and other Sentinels
 *   state.c       the `sentinel` lines of the configuration file
 *   scripts.c     what the administrator wants to have run
 *   commands.c    SENTINEL and its kin; show.c what they show
 *
 * Clients, their users, publish and subscribe are the server's own parts (core). */
#ifndef SLIPSTREAM_SENTINEL_PROCESS_H
#define SLIPSTREAM_SENTINEL_PROCESS_H

#include "server/core/config/config.h"
#include "server/sentinel/sentinel.h"

struct sentinel_links;

struct state_line {
    uint32_t count;
    struct bytes *word; /* behind "sentinel"; owned */
};

struct sentinel_process {
    struct core *core; /* NULL until it is put together */
    struct sentinel sentinel;
    struct sentinel_links *links;
    struct sentinel_scripts *scripts; /* scripts.h */
    struct sentinel_actions actions;
    struct loop_timer *tick; /* NULL: it fires just now */
    int64_t tick_ms;         /* when it is due */
    struct config_statements statements;
    bool resolve_hostnames, deny_scripts_reconfig;
    char *peer_user, *peer_pass; /* sentinel-user and sentinel-pass; NULL: none */
    bool unsaved;
    uint32_t line_count;
    struct state_line *lines; /* as read; until they are applied */
};

/* Before the configuration is loaded: its `sentinel` lines come here. */
struct sentinel_process *sentinel_process_new(struct config *config);
/* Once it is loaded: what the lines say; -1: a message was printed. */
int sentinel_process_configure(struct sentinel_process *p, int port);
/* Once the parts of the process are there; the doors are open. -1: the log says why. */
int sentinel_process_start(struct sentinel_process *p, struct core *core);
/* An event into the core, and its actions out. */
void sentinel_process_event(struct sentinel_process *p, const struct sentinel_event *event);
/* The actions that another call into the core has left in p->actions. */
void sentinel_process_carry_out(struct sentinel_process *p);
int64_t sentinel_process_now_ms(const struct sentinel_process *p);
/* 0, or -1: it was logged. */
int sentinel_process_save(struct sentinel_process *p);

/* --- links.c --- */
struct sentinel_links *sentinel_links_new(struct sentinel_process *p);
void sentinel_links_connect(struct sentinel_links *l, const struct sentinel_action *a);
void sentinel_links_disconnect(struct sentinel_links *l, uint64_t instance, enum sentinel_link link);
void sentinel_links_forget(struct sentinel_links *l, uint64_t instance);
/* Something will be sent there soon; near: it is the next but a few, and the first call was some time ago. */
void sentinel_links_prefetch(const struct sentinel_links *l, uint64_t instance, bool near);
/* `alone`: what follows in the list does not go there as well. */
void sentinel_links_send(struct sentinel_links *l, const struct sentinel_action *a, bool alone);
/* Before each tick: tells of what ended without a word, and ends what takes too long. */
void sentinel_links_tick(struct sentinel_links *l, int64_t now_ms);

/* --- state.c --- */
bool sentinel_state_read(void *process, uint32_t argc, const struct bytes *argv, char message[256]);
int sentinel_state_apply(struct sentinel_process *p, int64_t now_ms);
void sentinel_state_write(void *process, struct config_text *out);
void sentinel_state_key(uint32_t argc, const struct bytes *argv, struct config_text *out);
/* One option of a master, as its line or SENTINEL SET says it; NULL: done. `words`: how many of argv it took; at a
 * fault, which of them is at fault, 0: the option itself, or how many there are. */
const char *sentinel_state_option(struct watched *w, uint32_t argc, const struct bytes *argv, uint32_t *words);

#endif
