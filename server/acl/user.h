/* A user: who a session speaks for, with what he may do. Server process.
 *
 * Sessions point to their user for as long as it stands in the set of users (users.h); a change of his rules swaps what
 * is behind that pointer. What every request asks for stands first. */
#ifndef SLIPSTREAM_ACL_USER_H
#define SLIPSTREAM_ACL_USER_H

#include "server/acl/selector.h"

#define ACL_HASH_DIGITS 64 /* SHA-256, in lower case hexadecimal digits */

struct user {
    bool unrestricted;     /* one selector allows everything: nothing has to be looked at */
    bool minds_keys;       /* some selector asks which keys a request names */
    bool enabled;          /* may log in */
    bool no_password;      /* any password will do */
    bool skips_sanitizing; /* RESTORE takes his payloads as they are, with sanitize-dump-payload clients */
    struct bytes name;     /* owned */
    struct acl_password {
        uint8_t hash[ACL_HASH_DIGITS];
    } * passwords;
    size_t password_count;
    struct selector *selectors; /* the first is his root */
    size_t selector_count;
};

/* Our master's stream, a file being loaded: they may do everything. Nobody logs in as it. */
extern const struct user user_superuser;

/* A new user may do nothing; all_channels: but use channels (acl-pubsub-default). */
struct user *user_new(struct bytes name, bool all_channels);
struct user *user_copy(const struct user *u);
void user_free(struct user *u);
void user_swap(struct user *a, struct user *b); /* all but their names */

/* One rule, a selector in parentheses as one word among them; on an error nothing has changed. */
enum acl_error user_apply(struct user *u, const struct acl_vocabulary *v, bool all_channels, struct bytes rule);
void user_reset(struct user *u, bool all_channels); /* as a new one */
/* One password and no other; empty: none is asked for. */
void user_set_password(struct user *u, struct bytes password);

/* Whether he may log in with that password. Takes as long for a wrong password as for a right one. */
bool user_admits(const struct user *u, struct bytes password);
/* "user NAME on #hash ~* &* +@all" */
void user_describe(const struct user *u, struct acl_text *out);

/* Whoever comes is this user. */
static inline bool user_is_open(const struct user *u)
{
    return u->enabled && u->no_password;
}

bool user_name_is_valid(struct bytes name); /* no blanks, no zeros */

/* The words of rules with each selector put together, "(+get" "~x)" as "(+get ~x)". */
struct acl_rules {
    uint32_t count;
    struct bytes *rule; /* some are slices of the words, the others of `joined` */
    struct acl_text joined;
};
/* -1: the selector that begins with word *culprit does not end. Free it in both cases. */
int acl_rules_join(struct acl_rules *rules, uint32_t count, const struct bytes *word, uint32_t *culprit);
void acl_rules_free(struct acl_rules *rules);

#endif
