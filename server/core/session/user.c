/* See user.h. Server process. */
#include "server/core/session/user.h"

#include "server/base/alloc.h"

static const struct bytes no_password;

const struct user user_superuser = {.name = {(const uint8_t *)"(superuser)", sizeof "(superuser)" - 1},
                                    .password = &no_password};

struct user *user_default_new(const struct bytes *password)
{
    struct user *u = mem_alloc(sizeof *u);
    *u = (struct user){.name = BYTES("default"), .password = password};
    return u;
}

/* As long in the wrong case as in the right one, whatever matches. */
static bool same_secret(struct bytes given, struct bytes wanted)
{
    unsigned difference = given.len != wanted.len;
    for (size_t i = 0; i < given.len; i++) difference |= given.ptr[i] ^ wanted.ptr[i % wanted.len];
    return difference == 0;
}

bool user_admits(const struct user *u, struct bytes name, struct bytes password)
{
    return bytes_equal(name, u->name) && (user_is_open(u) || same_secret(password, *u->password));
}
