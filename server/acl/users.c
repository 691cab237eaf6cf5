/* See users.h. Server process. */
#include "server/acl/users.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

#include <stdlib.h>

static bool channels_of(const struct users *users)
{
    return users->settings->channels_of_new_user != 0;
}

struct users *users_new(const struct acl_vocabulary *v, const struct acl_settings *settings)
{
    struct users *users = mem_calloc(1, sizeof *users);
    *users = (struct users){.vocabulary = v, .settings = settings};
    static const char *const rules[] = {"on", "nopass", "~*", "&*", "+@all"};
    struct user *u = user_new(BYTES("default"), true);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        CHECK(user_apply(u, v, true, bytes_from_text(rules[i])) == ACL_NO_ERROR);
    users->default_user = users_put(users, u);
    return users;
}

struct user *users_find(const struct users *users, struct bytes name)
{
    return map_get(&users->by_name, name);
}

static int by_name(const void *a, const void *b)
{
    return bytes_compare((*(struct user *const *)a)->name, (*(struct user *const *)b)->name);
}

struct user **users_sorted(const struct users *users)
{
    struct user **sorted = mem_alloc((users->by_name.count + 1) * sizeof *sorted);
    size_t count = 0;
    for (struct map_entry *e = map_next(&users->by_name, NULL); e; e = map_next(&users->by_name, e))
        sorted[count++] = e->value;
    qsort(sorted, count, sizeof *sorted, by_name);
    return sorted;
}

struct user *users_put(struct users *users, struct user *u)
{
    struct user **place = (struct user **)map_slot(&users->by_name, u->name);
    if (!*place) return *place = u;
    user_swap(*place, u);
    user_free(u);
    return *place;
}

void users_remove(struct users *users, struct user *u)
{
    CHECK(u != users->default_user);
    map_remove(&users->by_name, u->name);
    user_free(u);
}

struct user *users_draft(const struct users *users, struct bytes name)
{
    struct user *u = users_find(users, name);
    return u ? user_copy(u) : user_new(name, channels_of(users));
}

enum acl_error users_apply(const struct users *users, struct user *u, struct bytes rule)
{
    return user_apply(u, users->vocabulary, channels_of(users), rule);
}

void users_reset(const struct users *users, struct user *u)
{
    user_reset(u, channels_of(users));
}
