/* Users: who a session speaks for. There is one to log in as, the default user. Server process. */
#ifndef SLIPSTREAM_CORE_SESSION_USER_H
#define SLIPSTREAM_CORE_SESSION_USER_H

#include "server/base/bytes.h"

struct user {
    struct bytes name;
    const struct bytes *password; /* any bytes; empty: none is asked for, whoever comes is this user */
};

/* Our master's stream: it may do everything. Nobody logs in as it. */
extern const struct user user_superuser;

/* Lives as long as the server, as does the setting that its password is. */
struct user *user_default_new(const struct bytes *password);

static inline bool user_is_open(const struct user *u)
{
    return !u->password->len;
}

/* Whether that name and password are this user's. Takes as long for a wrong password as for the right one. */
bool user_admits(const struct user *u, struct bytes name, struct bytes password);

#endif
