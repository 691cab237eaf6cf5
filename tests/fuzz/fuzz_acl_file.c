/* Fuzzes the ACL file, and with it users' rules and the decision. An input is the file's text. What is accepted must be
 * accepted again as it is shown, and be shown in the same way from then on. */
#include <stdint.h>

#include "server/acl/category.h"
#include "server/acl/permit.h"
#include "server/acl/users.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct acl_command commands[] = {
    {"get", CAT_READ | CAT_STRING | CAT_FAST, 0, 0, false},
    {"set", CAT_WRITE | CAT_STRING | CAT_SLOW, 1, 0, false},
    {"hget", CAT_READ | CAT_HASH | CAT_FAST, 2, 0, false},
    {"select", CAT_CONNECTION | CAT_FAST, 3, 0, false},
    {"config", CAT_SLOW, 4, 2, false},
    {"config|get", CAT_ADMIN | CAT_DANGEROUS | CAT_SLOW, 5, 0, true},
    {"config|set", CAT_ADMIN | CAT_DANGEROUS | CAT_SLOW, 6, 0, true},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static struct acl_vocabulary *vocabulary;
static const struct acl_settings settings = {.file = ""};

static void prepare(void)
{
    if (vocabulary) return;
    log_set_level(LOG_NOTHING);
    hash_init();
    vocabulary = acl_vocabulary_new();
    for (size_t i = 0; i < COMMANDS; i++) acl_vocabulary_add(vocabulary, &commands[i]);
}

static void free_users(struct users *users)
{
    struct user **all = users_sorted(users);
    for (size_t count = users->by_name.count; count-- > 0;)
        if (all[count] != users->default_user) users_remove(users, all[count]);
    mem_free(all);
    user_free(users->default_user);
    map_clear(&users->by_name);
    mem_free(users);
}

/* NULL: refused, with words. */
static struct users *load(struct bytes text)
{
    struct acl_text errors = {0};
    struct users *users = users_new(vocabulary, &settings);
    bool good = users_load_text(users, "file", text, NULL, NULL, &errors) == 0;
    CHECK(good == !errors.len);
    acl_text_free(&errors);
    if (good) return users;
    free_users(users);
    return NULL;
}

static struct acl_text show(const struct users *users)
{
    struct acl_text text = {0}, line = {0};
    struct user **all = users_sorted(users);
    for (size_t i = 0; i < users->by_name.count; i++) {
        acl_text_clear(&line);
        user_describe(all[i], &line);
        acl_text_add(&text, acl_text_bytes(&line));
        acl_text_add(&text, BYTES("\n"));
    }
    mem_free(all);
    acl_text_free(&line);
    return text;
}

static void check_user(const struct user *u)
{
    struct bytes argv[3] = {BYTES("get"), BYTES("app:1"), u->name};
    struct acl_key keys[2] = {{1, KEY_READS}, {2, KEY_READS | KEY_WRITES}};
    struct user *copy = user_copy(u);
    for (uint16_t id = 0; id < COMMANDS; id++) {
        struct acl_request r = {.command = id, .argc = 3, .argv = argv, .keys = keys, .key_count = 2};
        r.first_channel = 1;
        r.channels_end = id % 2 ? 3 : 1;
        r.patterns = id % 3 == 0;
        struct acl_denial mine = acl_permit(u, &r), its = acl_permit(copy, &r);
        CHECK(mine.reason == its.reason && mine.arg == its.arg && mine.arg < r.argc);
        CHECK(!u->unrestricted || mine.reason == ACL_ALLOWED);
    }
    CHECK(!user_admits(u, BYTES("app:1")) || u->enabled);
    user_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    uint8_t *text = mem_alloc(size + 1);
    if (size) memcpy(text + 1, data, size); /* its end is where the memory ends */
    struct users *users = load(bytes_make(text + 1, size));
    mem_free(text);
    if (!users) return 0;
    struct user **all = users_sorted(users);
    for (size_t i = 0; i < users->by_name.count; i++) check_user(all[i]);
    mem_free(all);
    struct acl_text shown = show(users);
    struct users *again = load(acl_text_bytes(&shown));
    CHECK(again);
    struct acl_text second = show(again);
    struct users *third = load(acl_text_bytes(&second));
    CHECK(third);
    struct acl_text same = show(third);
    CHECK(bytes_equal(acl_text_bytes(&second), acl_text_bytes(&same)));
    acl_text_free(&shown);
    acl_text_free(&second);
    acl_text_free(&same);
    free_users(users);
    free_users(again);
    free_users(third);
    return 0;
}
