/* `user` lines while there are no ACLs: one is accepted that says nothing but what holds anyway. Server process, at
 * start.
 *
 * Redis writes such a line into every file that it rewrites, so many files have it: the user "default", allowed
 * everything, without a password or with the one that `requirepass` names as well. Anything else restricts somebody,
 * and whoever ignored it would leave a door open. */
#include "server/core/config/config_parts.h"

#include "server/base/alloc.h"

#include <ctype.h>

enum user_rule {
    RULE_ON = 1 << 0,
    RULE_KEYS = 1 << 1,
    RULE_CHANNELS = 1 << 2,
    RULE_COMMANDS = 1 << 3,
    RULE_NO_PASSWORD = 1 << 4,
    RULE_PASSWORD = 1 << 5,
    RULE_NOTHING_NEW = 1 << 6, /* how we are anyway */
};
#define RULES_OF_ALL (RULE_ON | RULE_KEYS | RULE_CHANNELS | RULE_COMMANDS)

static const struct enum_name rule_words[] = {
    {"on", RULE_ON},
    {"~*", RULE_KEYS},
    {"allkeys", RULE_KEYS},
    {"&*", RULE_CHANNELS},
    {"allchannels", RULE_CHANNELS},
    {"+@all", RULE_COMMANDS},
    {"allcommands", RULE_COMMANDS},
    {"nopass", RULE_NO_PASSWORD},
    {"sanitize-payload", RULE_NOTHING_NEW},
    {0},
};

static void hash_password(struct bytes password, char out[PASSWORD_HASH_MAX])
{
    SHA256Data(password.ptr, password.len, out);
}

/* "#hash" or ">password"; 0: neither. */
static int password_rule(struct config_user *user, struct bytes word)
{
    if (!word.len) return 0;
    struct bytes rest = bytes_make(word.ptr + 1, word.len - 1);
    if (word.ptr[0] == '>') {
        hash_password(rest, user->hash);
        return RULE_PASSWORD;
    }
    if (word.ptr[0] != '#' || rest.len != PASSWORD_HASH_MAX - 1) return 0;
    memcpy(user->hash, rest.ptr, rest.len);
    return RULE_PASSWORD;
}

bool config_user_is_default(struct config *c, uint32_t argc, const struct bytes *argv)
{
    struct config_user user = {.given = true};
    int rules = 0;
    if (argc < 1 || !bytes_equal_text(argv[0], "default")) return false;
    for (uint32_t i = 1; i < argc; i++) {
        int rule = config_enum_value(rule_words, argv[i], 0);
        if (!rule) rule = password_rule(&user, argv[i]);
        if (!rule) return false;
        rules |= rule;
    }
    bool open = rules & RULE_NO_PASSWORD, closed = rules & RULE_PASSWORD;
    if ((rules & RULES_OF_ALL) != RULES_OF_ALL || open == closed) return false;
    c->default_user = user;
    return true;
}

bool config_user_agrees(const struct config *c)
{
    char hash[PASSWORD_HASH_MAX] = "";
    struct bytes password = c->settings->net.requirepass;
    if (!c->default_user.given) return true;
    if (password.len) hash_password(password, hash);
    return strcmp(hash, c->default_user.hash) == 0;
}
