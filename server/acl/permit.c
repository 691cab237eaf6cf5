/* See permit.h. Pure. Server process. */
#include "server/acl/permit.h"

static bool allows_key(const struct selector *s, struct bytes key, uint8_t access)
{
    if (s->flags & SELECTOR_ALL_KEYS) return true;
    for (size_t i = 0; i < s->keys.count; i++) {
        const struct acl_pattern *p = &s->keys.list[i];
        if ((p->access & access) == access && acl_pattern_matches(p, key)) return true;
    }
    return false;
}

static bool allows_reading_any_key(const struct selector *s)
{
    if (s->flags & SELECTOR_ALL_KEYS) return true;
    for (size_t i = 0; i < s->keys.count; i++)
        if ((s->keys.list[i].access & KEY_READS) && bytes_equal_text(s->keys.list[i].text, "*")) return true;
    return false;
}

static bool allows_channel(const struct selector *s, struct bytes channel, bool is_pattern)
{
    if (s->flags & SELECTOR_ALL_CHANNELS) return true;
    for (size_t i = 0; i < s->channels.count; i++) {
        const struct acl_pattern *p = &s->channels.list[i];
        if (is_pattern ? bytes_equal(p->text, channel) : acl_pattern_matches(p, channel)) return true;
    }
    return false;
}

static bool allows_first_argument(const struct selector *s, const struct acl_request *r)
{
    for (size_t i = 0; i < s->first_argument_count && r->argc > 1; i++) {
        const struct first_argument *a = &s->first_arguments[i];
        if (a->command == r->command && bytes_equal_nocase(r->argv[1], (const char *)a->text.ptr)) return true;
    }
    return false;
}

static bool allows_command(const struct selector *s, const struct acl_request *r)
{
    return selector_has_command(s, r->command) || r->for_everyone || allows_first_argument(s, r);
}

static struct acl_denial ask(const struct selector *s, const struct acl_request *r)
{
    if (!allows_command(s, r)) return (struct acl_denial){ACL_DENIED_COMMAND, 0};
    for (size_t i = 0; i < r->key_count; i++)
        if (!allows_key(s, r->argv[r->keys[i].arg], r->keys[i].access))
            return (struct acl_denial){ACL_DENIED_KEY, r->keys[i].arg};
    if (r->any_key && !allows_reading_any_key(s)) return (struct acl_denial){ACL_DENIED_KEY, 0};
    for (uint32_t i = r->first_channel; i < r->channels_end; i++)
        if (!allows_channel(s, r->argv[i], r->patterns)) return (struct acl_denial){ACL_DENIED_CHANNEL, i};
    return (struct acl_denial){ACL_ALLOWED, 0};
}

static bool came_further(struct acl_denial a, struct acl_denial b)
{
    return a.reason > b.reason || (a.reason == b.reason && a.arg > b.arg);
}

struct acl_denial acl_permit(const struct user *u, const struct acl_request *r)
{
    struct acl_denial furthest = {ACL_ALLOWED, 0};
    for (size_t i = 0; i < u->selector_count; i++) {
        struct acl_denial denial = ask(&u->selectors[i], r);
        if (denial.reason == ACL_ALLOWED) return denial;
        if (came_further(denial, furthest)) furthest = denial;
    }
    return furthest;
}

bool acl_permits_channel(const struct user *u, struct bytes channel, bool is_pattern)
{
    for (size_t i = 0; i < u->selector_count; i++)
        if (allows_channel(&u->selectors[i], channel, is_pattern)) return true;
    return false;
}
