/* The list of a core's actions. Sentinel process; pure. */
#include "server/sentinel/action.h"

#include "server/base/alloc.h"

struct sentinel_action *sentinel_actions_add(struct sentinel_actions *actions, enum sentinel_action_kind kind)
{
    if (actions->count == actions->room) {
        actions->room = actions->room ? 2 * actions->room : 8;
        actions->list = mem_realloc(actions->list, (size_t)actions->room * sizeof *actions->list);
    }
    struct sentinel_action *a = &actions->list[actions->count++];
    a->kind = kind; /* most of it is room for texts: what an action does not use is not cleared */
    a->link = LINK_COMMANDS;
    a->request = REQUEST_PING;
    a->level = LOG_NOTICE;
    a->instance = a->epoch = 0;
    a->timeout_ms = 0;
    a->master = NULL;
    a->address.host[0] = a->run_id[0] = a->type[0] = a->text[0] = '\0';
    a->address.port = 0;
    return a;
}

void sentinel_actions_free(struct sentinel_actions *actions)
{
    mem_free(actions->list);
    *actions = (struct sentinel_actions){0};
}
