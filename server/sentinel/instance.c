/* What can be said of one instance. Sentinel process; pure. */
#include "server/sentinel/instance.h"

#include "server/sentinel/choice.h"

#include <strings.h>

bool instance_is_at(const struct instance *i, const char *host, int port)
{
    return i->address.port == port &&
           (strcasecmp(i->address.host, host) == 0 || (*i->ip && strcasecmp(i->ip, host) == 0));
}

const char *instance_host(const struct instance *i, bool by_name)
{
    return by_name || !*i->ip ? i->address.host : i->ip;
}

bool instance_is_up(const struct instance *i)
{
    return i->link[LINK_COMMANDS].up && !health_is_down(&i->health);
}

void instance_candidate(const struct instance *i, int64_t now_ms, struct candidate *out)
{
    *out = (struct candidate){
        .host = i->address.host,
        .port = i->address.port,
        .run_id = i->run_id,
        .down = health_is_down(&i->health),
        .linked = i->link[LINK_COMMANDS].up,
        .loading = i->report.loading || i->health.last_answer == ANSWER_LOADING,
        .stranger = i->stranger,
        .is_master = i->report.role == ROLE_MASTER,
        .answered_ago_ms = now_ms - i->health.ok_ms,
        .info_ago_ms = i->info_ms ? now_ms - i->info_ms : -1,
        .master_link_down_ms = i->report.master_link_down_ms,
        .priority = i->report.priority,
        .offset = i->report.role == ROLE_MASTER ? i->report.master_offset : i->report.offset,
    };
    /* An INFO from before its master died says nothing of the time since; what it said then holds. */
    if (out->master_link_down_ms > 0) out->master_link_down_ms += out->info_ago_ms;
}
