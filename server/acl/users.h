/* The set of users, by name. The user "default" always stands in it. Server process.
 *
 * A user's address stays the same until he is deleted, whatever happens to his rules: sessions point to it. Who deletes
 * one has to take him from his sessions first. */
#ifndef SLIPSTREAM_ACL_USERS_H
#define SLIPSTREAM_ACL_USERS_H

#include "server/acl/settings.h"
#include "server/acl/user.h"

struct users {
    const struct acl_vocabulary *vocabulary;
    const struct acl_settings *settings;
    struct map by_name; /* struct user */
    struct user *default_user;
};

/* With "default", who may do everything and needs no password. */
struct users *users_new(const struct acl_vocabulary *v, const struct acl_settings *settings);
struct user *users_find(const struct users *users, struct bytes name); /* NULL: none */
/* All of them in the order of their names; mem_free it. Valid until one comes or goes. */
struct user **users_sorted(const struct users *users);
/* The user of that name becomes as `u` is, or `u` joins the set. Takes `u`; the user as it stands in the set. */
struct user *users_put(struct users *users, struct user *u);
void users_remove(struct users *users, struct user *u); /* and frees it; not the default user */

/* A user to change and to put, or to free: a copy of the one by that name, or a new one. */
struct user *users_draft(const struct users *users, struct bytes name);
/* Applies one rule as this set's settings ask for. */
enum acl_error users_apply(const struct users *users, struct user *u, struct bytes rule);
void users_reset(const struct users *users, struct user *u);

/* --- the ACL file: a line "user NAME rule..." for each user --- */

/* All users of the file in place of those that are here, or -1: nothing has changed, and `errors` says why, as Redis
 * words it. Before a user goes, `gone` is called with him. */
int users_load_file(struct users *users, const char *path, void (*gone)(void *arg, struct user *u), void *arg,
                    struct acl_text *errors);
/* The same from the file's bytes. `path` is for the errors alone. */
int users_load_text(struct users *users, const char *path, struct bytes text, void (*gone)(void *arg, struct user *u),
                    void *arg, struct acl_text *errors);
int users_save_file(const struct users *users, const char *path); /* whole or not at all; -1 with errno */

#endif
