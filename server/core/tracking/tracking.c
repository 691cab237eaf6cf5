/* See tracking.h. Server process.
 *
 * The parts below know ids and names alone (key_table.h, prefix_table.h); here they meet sessions, and the watcher that
 * hears of changed keys. It listens only while somebody tracks or has left keys behind. */
#include "server/core/tracking/tracking.h"

#include "server/base/alloc.h"
#include "server/core/command/command_table.h"
#include "server/core/session/key_watchers.h"
#include "server/core/tracking/invalidation.h"
#include "server/core/tracking/key_table.h"
#include "server/core/tracking/prefix_table.h"

#include <stdlib.h>

#define KEYS_ON_STACK 32
/* A table that was within its limit goes back to it at once; one whose limit has come down does so by and by. */
#define TRIM_WITH_COMMAND 100

struct tracking {
    struct key_watcher watcher;
    struct key_watchers *watchers;
    struct tracking_host host;
    const uint64_t *max_keys;
    struct list trackers; /* struct tracker.node */
    struct key_table keys;
    struct prefix_table prefixes;
    uint64_t round;                            /* of telling of prefixes: struct tracker.changed_in */
    const struct command_entry *client_family; /* of CLIENT CACHING; NULL until it is first said */
};

/* What a tracking session has beside its flags. */
struct tracker {
    struct list_node node;
    struct session *session;
    uint64_t redirect;
    struct list prefixes; /* struct prefix_member.of_member */
    uint64_t changed_in;  /* the round in which it last changed a key itself */
};

static void listen_if_needed(struct tracking *t)
{
    key_watcher_listen(t->watchers, &t->watcher, t->trackers.count > 0 || t->keys.keys > 0);
}

/* --- on and off --- */

void tracking_start(struct tracking *t, struct session *s, uint8_t modes, uint64_t redirect,
                    const struct bytes *prefixes, size_t prefix_count)
{
    if (!s->tracker) {
        s->tracker = mem_calloc(1, sizeof *s->tracker);
        s->tracker->session = s;
        list_init(&s->tracker->prefixes);
        list_push_back(&t->trackers, &s->tracker->node);
    }
    s->tracking = modes | TRACKING_ON;
    s->tracker->redirect = redirect;
    if (modes & TRACKING_BCAST) {
        for (size_t i = 0; i < prefix_count; i++)
            prefix_table_join(&t->prefixes, &s->tracker->prefixes, s->tracker, prefixes[i]);
        if (!prefix_count) prefix_table_join(&t->prefixes, &s->tracker->prefixes, s->tracker, BYTES(""));
    } else {
        s->after_run |= AFTER_RUN_KEYS;
    }
    listen_if_needed(t);
}

void tracking_stop(struct tracking *t, struct session *s)
{
    struct tracker *mine = s->tracker;
    if (!mine) return;
    prefix_table_leave_all(&t->prefixes, &mine->prefixes);
    list_remove(&t->trackers, &mine->node);
    mem_free(mine);
    s->tracker = NULL;
    s->tracking = 0;
    s->caching_said = false;
    s->after_run &= (uint8_t)~AFTER_RUN_KEYS;
    listen_if_needed(t);
}

uint64_t tracking_redirect(const struct session *s)
{
    return s->tracker ? s->tracker->redirect : 0;
}

struct bytes tracking_overlapping_prefix(const struct session *s, struct bytes prefix)
{
    if (s->tracker) {
        list_each(&s->tracker->prefixes, node)
        {
            struct bytes mine = list_entry(node, struct prefix_member, of_member)->prefix->text;
            if (prefixes_overlap(mine, prefix)) return mine;
        }
    }
    return (struct bytes){0};
}

size_t tracking_prefix_count(const struct session *s)
{
    return s->tracker ? s->tracker->prefixes.count : 0;
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

void tracking_list_prefixes(const struct session *s, struct bytes *out)
{
    size_t count = 0;
    if (!s->tracker) return;
    list_each(&s->tracker->prefixes, node) out[count++] =
        list_entry(node, struct prefix_member, of_member)->prefix->text;
    qsort(out, count, sizeof *out, by_bytes);
}

size_t tracking_memory(const struct session *s)
{
    if (!s->tracker) return 0;
    return sizeof *s->tracker + s->tracker->prefixes.count *
                                    (sizeof(struct prefix_member) + sizeof(struct prefix) + sizeof(struct map_entry));
}

/* --- keys that are read --- */

static bool still_tracks(void *context, uint64_t id)
{
    const struct tracking *t = context;
    const struct session *s = t->host.find(t->host.context, id);
    return s && s->tracker && !(s->tracking & TRACKING_BCAST);
}

void tracking_say_caching(struct tracking *t, struct session *s, const struct command_entry *command)
{
    s->caching_said = true;
    t->client_family = command->container;
}

/* The commands of a script, not the script, read keys. */
static bool reads_keys(const struct command_entry *command)
{
    return (command->row->flags & CMD_READONLY) && !(command->row->categories & CAT_SCRIPTING);
}

static bool wants_keys(const struct session *s)
{
    if (s->tracking & TRACKING_OPTIN) return s->caching_said;
    if (s->tracking & TRACKING_OPTOUT) return !s->caching_said;
    return !(s->tracking & TRACKING_BCAST);
}

static void remember(struct tracking *t, uint64_t id, const struct command_entry *command, uint32_t argc,
                     const struct bytes *argv)
{
    const struct key_table_filter filter = {still_tracks, t};
    struct found_key on_stack[KEYS_ON_STACK], *keys = on_stack;
    if (argc > KEYS_ON_STACK) keys = mem_alloc(argc * sizeof *keys);
    int count = command_find_keys(command, argc, argv, keys);
    for (int i = 0; i < count; i++) key_table_add(&t->keys, argv[keys[i].index], id, &filter);
    if (keys != on_stack) mem_free(keys);
    if (count > 0) tracking_trim(t, (size_t)count + TRIM_WITH_COMMAND);
}

void tracking_note_command(struct tracking *t, const struct session *s, const struct command_entry *command,
                           uint32_t argc, const struct bytes *argv)
{
    struct session *speaker = s->caller ? s->caller : (struct session *)s;
    speaker->caching_kept = command->container && command->container == t->client_family;
    if (reads_keys(command) && wants_keys(speaker)) remember(t, speaker->id, command, argc, argv);
}

/* --- keys that change --- */

static void tell(struct tracking *t, const struct tracker *tracker, const struct bytes *keys, size_t count)
{
    invalidation_send(&t->host, tracker->session, tracker->redirect, keys, count);
}

static void tell_reader(struct tracking *t, uint64_t id, const struct session *by, struct bytes key)
{
    struct session *s = t->host.find(t->host.context, id);
    if (!s || !s->tracker || (s->tracking & TRACKING_BCAST)) return;
    if (s == by && (s->tracking & TRACKING_NOLOOP)) return;
    tell(t, s->tracker, &key, 1);
}

static void tell_readers(struct tracking *t, struct bytes key, const struct session *by, const struct key_readers *r)
{
    for (size_t i = 0; i < r->count; i++) tell_reader(t, r->ids[i], by, key);
}

static void key_touched(void *context, const struct key_change *change)
{
    struct tracking *t = context;
    const struct session *by = change->by ? session_speaker(change->by) : NULL;
    struct key_readers readers;
    if (t->prefixes.prefixes.count) {
        prefix_table_changed(&t->prefixes, change->key, by ? by->id : 0);
        if (by && by->tracker) by->tracker->changed_in = t->round;
    }
    if (!key_table_take(&t->keys, change->key, &readers)) return;
    tell_readers(t, change->key, by, &readers);
    key_readers_free(&readers);
    listen_if_needed(t);
}

/* Emptied, be it one of them or all, for no invalidation names its database. Databases that change places are not told
 * of, as Redis has it: a cache that knows several databases must look out for that itself. */
static void database_changing(void *context, const struct database_change *change)
{
    struct tracking *t = context;
    if (change->replaced_by) return;
    list_each(&t->trackers, node) tell(t, list_entry(node, struct tracker, node), NULL, 0);
    key_table_clear(&t->keys);
    listen_if_needed(t);
}

/* --- what has gathered under prefixes --- */

static void tell_prefix(struct tracking *t, struct prefix *p)
{
    struct bytes *all = mem_alloc(p->changed_count * 2 * sizeof *all), *by_others = all + p->changed_count;
    for (size_t i = 0; i < p->changed_count; i++) all[i] = p->changed[i].key;
    list_each(&p->members, node)
    {
        const struct tracker *m = list_entry(node, struct prefix_member, in_prefix)->member;
        struct session *s = m->session;
        if (!(s->tracking & TRACKING_NOLOOP) || m->changed_in != t->round) {
            tell(t, m, all, p->changed_count);
            continue;
        }
        size_t count = 0;
        for (size_t i = 0; i < p->changed_count; i++)
            if (p->changed[i].by != s->id) by_others[count++] = all[i];
        if (count) tell(t, m, by_others, count);
    }
    mem_free(all);
}

static int by_text(const void *a, const void *b)
{
    return bytes_compare((*(struct prefix *const *)a)->text, (*(struct prefix *const *)b)->text);
}

/* Who has several prefixes hears of them in their order. */
static void tell_prefixes(struct tracking *t)
{
    size_t count = 0;
    struct prefix **waiting = mem_alloc(t->prefixes.waiting.count * sizeof *waiting);
    list_each(&t->prefixes.waiting, node) waiting[count++] = list_entry(node, struct prefix, waiting);
    qsort(waiting, count, sizeof *waiting, by_text);
    for (size_t i = 0; i < count; i++) {
        tell_prefix(t, waiting[i]);
        prefix_forget_changed(&t->prefixes, waiting[i]);
    }
    mem_free(waiting);
    t->round++;
}

void tracking_before_send(struct tracking *t)
{
    if (t->prefixes.waiting.count) tell_prefixes(t);
}

/* --- the limit --- */

static void forget_key(void *arg, struct bytes key, const struct key_readers *readers)
{
    tell_readers(arg, key, NULL, readers);
}

static bool is_over_limit(const struct tracking *t)
{
    if (!t->trackers.count) return t->keys.keys > 0;
    return *t->max_keys && t->keys.keys > *t->max_keys;
}

bool tracking_trim(struct tracking *t, size_t most)
{
    while (is_over_limit(t) && most-- > 0) key_table_take_random(&t->keys, forget_key, t);
    listen_if_needed(t);
    return is_over_limit(t);
}

/* --- made, and looked at --- */

struct tracking *tracking_new(struct key_watchers *watchers, const struct tracking_host *host, const uint64_t *max_keys)
{
    struct tracking *t = mem_calloc(1, sizeof *t);
    t->watchers = watchers;
    t->host = *host;
    t->max_keys = max_keys;
    t->round = 1;
    list_init(&t->trackers);
    key_table_init(&t->keys);
    prefix_table_init(&t->prefixes);
    t->watcher.context = t;
    t->watcher.touched = key_touched;
    t->watcher.database_changing = database_changing;
    return t;
}

struct tracking_figures tracking_figures(const struct tracking *t)
{
    return (struct tracking_figures){
        .sessions = t->trackers.count,
        .keys = t->keys.keys,
        .items = t->keys.items,
        .prefixes = t->prefixes.prefixes.count,
    };
}
