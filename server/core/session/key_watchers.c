/* See key_watchers.h. Server process. */
#include "server/core/session/key_watchers.h"

#include "server/base/alloc.h"

struct key_watchers *key_watchers_new(void)
{
    struct key_watchers *w = mem_alloc(sizeof *w);
    list_init(&w->listening);
    return w;
}

void key_watcher_listen(struct key_watchers *w, struct key_watcher *watcher, bool wanted)
{
    if (wanted == list_contains(&watcher->node)) return;
    if (wanted)
        list_push_back(&w->listening, &watcher->node);
    else
        list_remove(&w->listening, &watcher->node);
}

void key_watchers_tell(const struct key_watchers *w, const struct key_change *change)
{
    list_each(&w->listening, node)
    {
        const struct key_watcher *watcher = list_entry(node, struct key_watcher, node);
        watcher->touched(watcher->context, change);
    }
}

void key_watchers_tell_database(const struct key_watchers *w, const struct database_change *change)
{
    list_each(&w->listening, node)
    {
        const struct key_watcher *watcher = list_entry(node, struct key_watcher, node);
        if (watcher->database_changing) watcher->database_changing(watcher->context, change);
    }
}
