/* Users' rules as text, what they allow, the ACL file, ACL LOG: all that needs no server. */
#include "server/acl/category.h"
#include "server/acl/log.h"
#include "server/acl/permit.h"
#include "server/acl/users.h"
#include "server/base/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct acl_vocabulary *vocabulary;
static struct acl_settings settings;
static struct users *users;

enum { GET, SET, HGET, HSET, SELECT, PING, CONFIG, CONFIG_GET, CONFIG_SET, AUTH, PUBLISH, COMMANDS };

static const struct acl_command commands[] = {
    {"get", CAT_READ | CAT_STRING | CAT_FAST, GET, 0, false},
    {"set", CAT_WRITE | CAT_STRING | CAT_SLOW, SET, 0, false},
    {"hget", CAT_READ | CAT_HASH | CAT_FAST, HGET, 0, false},
    {"hset", CAT_WRITE | CAT_HASH | CAT_FAST, HSET, 0, false},
    {"select", CAT_CONNECTION | CAT_FAST, SELECT, 0, false},
    {"ping", CAT_CONNECTION | CAT_FAST, PING, 0, false},
    {"config", CAT_SLOW, CONFIG, 2, false},
    {"config|get", CAT_ADMIN | CAT_DANGEROUS | CAT_SLOW, CONFIG_GET, 0, true},
    {"config|set", CAT_ADMIN | CAT_DANGEROUS | CAT_SLOW, CONFIG_SET, 0, true},
    {"auth", CAT_CONNECTION | CAT_FAST, AUTH, 0, false},
    {"publish", CAT_PUBSUB | CAT_FAST, PUBLISH, 0, false},
};

static void set_up(void)
{
    settings = (struct acl_settings){.file = "", .log_max_len = 128};
    vocabulary = acl_vocabulary_new();
    for (size_t i = 0; i < COMMANDS; i++) acl_vocabulary_add(vocabulary, &commands[i]);
    users = users_new(vocabulary, &settings);
}

TestSuite(acl, .init = set_up);

/* --- rules in, rules out --- */

static struct user *new_user(void)
{
    return users_draft(users, BYTES("u"));
}

/* Blanks part the words; the first error. */
static enum acl_error apply(struct user *u, const char *text)
{
    struct bytes words[32];
    struct acl_rules rules;
    uint32_t count = 0, culprit;
    while (*text) {
        size_t len = strcspn(text, " ");
        words[count++] = bytes_make(text, len);
        text += len + (text[len] == ' ');
    }
    cr_assert_eq(acl_rules_join(&rules, count, words, &culprit), 0);
    enum acl_error error = ACL_NO_ERROR;
    for (uint32_t i = 0; i < rules.count && !error; i++) error = users_apply(users, u, rules.rule[i]);
    acl_rules_free(&rules);
    return error;
}

static const char *described(const struct user *u)
{
    static char text[4096];
    struct acl_text line = {0};
    user_describe(u, &line);
    snprintf(text, sizeof text, "%.*s", (int)line.len, (const char *)line.ptr);
    acl_text_free(&line);
    return text;
}

#define EMPTY_HASH "#e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_HASH   "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* What is shown after these rules, behind "user u ". The forms of commands are those of Redis 7.2's own tests. */
static const char *const shown[][2] = {
    {"", "off sanitize-payload resetchannels -@all"},
    {"on nopass allkeys allchannels allcommands", "on nopass sanitize-payload ~* &* +@all"},
    {"ON >abc >", "on sanitize-payload " ABC_HASH " " EMPTY_HASH " resetchannels -@all"},
    {">abc > <abc", "off sanitize-payload " EMPTY_HASH " resetchannels -@all"},
    {">abc nopass", "off nopass sanitize-payload resetchannels -@all"},
    {"nopass >abc", "off sanitize-payload " ABC_HASH " resetchannels -@all"},
    {">abc resetpass skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
    {"~a %R~b %W~c %RW~d %w~b &x &y &x", "off sanitize-payload ~a ~b %W~c ~d resetchannels &x &y -@all"},
    {"%R", "off sanitize-payload %R~ resetchannels -@all"},
    {"%RW~* ~a", "off sanitize-payload %RW~* ~a resetchannels -@all"},
    {"~a ~* resetkeys ~b", "off sanitize-payload ~b resetchannels -@all"},
    {"+@all -@hash -@slow +hget", "off sanitize-payload resetchannels +@all -@hash -@slow +hget"},
    {"+@all -@hash -@slow +hget -@hash", "off sanitize-payload resetchannels +@all -@slow +hget -@hash"},
    {"-@string -@slow +@all", "off sanitize-payload resetchannels +@all"},
    {"+@HASH +@hash +@HaSh", "off sanitize-payload resetchannels -@all +@hash"},
    {"+HGET -hset +hset -hget", "off sanitize-payload resetchannels -@all +hset -hget"},
    {"+config|get +config -config|set", "off sanitize-payload resetchannels -@all +config -config|set"},
    {"+config +config|get -config|set +config", "off sanitize-payload resetchannels -@all +config"},
    {"+select|0 +SELECT|0 +select|B", "off sanitize-payload resetchannels -@all +select|0 +select|B"},
    {"+select|0 +select", "off sanitize-payload resetchannels -@all +select"},
    {"-@dangerous", "off sanitize-payload resetchannels -@all -@dangerous"},
    {"( +get  ~x ) (&y)",
     "off sanitize-payload resetchannels -@all (~x resetchannels -@all +get) (resetchannels &y -@all)"},
    {"(~\"x\")", "off sanitize-payload resetchannels -@all (~x resetchannels -@all)"},
    {"(~\"\\\"x\" \"~a'b\" \"~c)\" ~d)",
     "off sanitize-payload resetchannels -@all (\"~\\\"x\" \"~a'b\" \"~c)\" ~d resetchannels -@all)"},
    {"(+get) clearselectors", "off sanitize-payload resetchannels -@all"},
    {"on >abc ~* &* +@all (+get) reset", "off sanitize-payload resetchannels -@all"},
};

Test(acl, rules_are_shown_as_redis_shows_them)
{
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct user *u = new_user();
        cr_expect_eq(apply(u, shown[i][0]), ACL_NO_ERROR, "%s", shown[i][0]);
        cr_expect_str_eq(described(u) + strlen("user u "), shown[i][1], "%s", shown[i][0]);
        user_free(u);
    }
}

Test(acl, what_is_shown_says_the_same_when_it_is_applied)
{
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct user *u = new_user();
        cr_expect_eq(apply(u, shown[i][1]), ACL_NO_ERROR, "%s", shown[i][1]);
        cr_expect_str_eq(described(u) + strlen("user u "), shown[i][1]);
        struct user *copy = user_copy(u);
        cr_expect_str_eq(described(copy) + strlen("user u "), shown[i][1]);
        user_free(copy);
        user_free(u);
    }
}

Test(acl, faults_are_named)
{
    static const struct {
        const char *rules;
        enum acl_error error;
    } faults[] = {
        {"foo", ACL_SYNTAX},
        {")", ACL_SYNTAX},
        {"(foo)", ACL_SYNTAX},
        {"(on)", ACL_SYNTAX},
        {"(~\"x)", ACL_SYNTAX},
        {"%~x", ACL_SYNTAX},
        {"%X~x", ACL_SYNTAX},
        {"%RR~x", ACL_SYNTAX},
        {"~a\tb", ACL_SYNTAX},
        {"&a\tb", ACL_SYNTAX},
        {"+get|", ACL_SYNTAX},
        {"+get|a\tb", ACL_SYNTAX},
        {"+config|", ACL_SYNTAX},
        {"+nosuch", ACL_UNKNOWN_COMMAND},
        {"-nosuch", ACL_UNKNOWN_COMMAND},
        {"+", ACL_UNKNOWN_COMMAND},
        {"+@nosuch", ACL_UNKNOWN_COMMAND},
        {"+@", ACL_UNKNOWN_COMMAND},
        {"+get|a|b", ACL_UNKNOWN_COMMAND},
        {"-get|a", ACL_UNKNOWN_COMMAND},
        {"+config|nosuch", ACL_UNKNOWN_COMMAND},
        {"-config|get|x", ACL_UNKNOWN_COMMAND},
        {"(+nosuch)", ACL_UNKNOWN_COMMAND},
        {"+config|get|x", ACL_ARGUMENT_OF_SUBCOMMAND},
        {"~* ~a", ACL_BEHIND_ALL_KEYS},
        {"~* %X~a", ACL_BEHIND_ALL_KEYS},
        {"&* &a", ACL_BEHIND_ALL_CHANNELS},
        {"<abc", ACL_NO_SUCH_PASSWORD},
        {"!aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ACL_NO_SUCH_PASSWORD},
        {"#abc", ACL_BAD_HASH},
        {"#Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ACL_BAD_HASH},
        {"!gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ACL_BAD_HASH},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct user *u = new_user();
        cr_expect_eq(apply(u, faults[i].rules), faults[i].error, "%s", faults[i].rules);
        cr_expect(*acl_error_text(faults[i].error));
        user_free(u);
    }
}

Test(acl, a_selector_that_does_not_end_is_found)
{
    struct acl_rules rules;
    uint32_t culprit = 9;
    struct bytes words[] = {BYTES("on"), BYTES("(+get"), BYTES("~x")};
    cr_expect_eq(acl_rules_join(&rules, 3, words, &culprit), -1);
    cr_expect_eq(culprit, 1);
    acl_rules_free(&rules);
}

/* --- decisions --- */

struct question {
    const char *rules;
    uint16_t command;
    const char *argument;
    uint8_t access; /* of the argument, where it is a key */
    enum { NO_KEY, IS_KEY, IS_CHANNEL, IS_PATTERN } is;
    enum acl_reason answer;
};

#define BOTH (KEY_READS | KEY_WRITES)

static const struct question questions[] = {
    {"", GET, "k", KEY_READS, IS_KEY, ACL_DENIED_COMMAND},
    {"+get", GET, "k", KEY_READS, IS_KEY, ACL_DENIED_KEY},
    {"+get ~k", GET, "k", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+get ~k", GET, "kk", KEY_READS, IS_KEY, ACL_DENIED_KEY},
    {"+get ~k*", GET, "kk", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+get ~k*", GET, "k", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+get ~k*", GET, "", KEY_READS, IS_KEY, ACL_DENIED_KEY},
    {"+get ~[a-c]?", GET, "bx", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+get ~[a-c]?", GET, "dx", KEY_READS, IS_KEY, ACL_DENIED_KEY},
    {"+get ~\\*", GET, "*", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+get ~\\*", GET, "x", KEY_READS, IS_KEY, ACL_DENIED_KEY},
    {"+get %RW~*", GET, "", KEY_READS, IS_KEY, ACL_DENIED_KEY}, /* no glob matches an empty text but the empty one */
    {"+get allkeys", GET, "", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+get %R~k", GET, "k", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"+set %R~k", SET, "k", KEY_WRITES, IS_KEY, ACL_DENIED_KEY},
    {"+set %W~k", SET, "k", KEY_WRITES, IS_KEY, ACL_ALLOWED},
    {"+set %W~k", SET, "k", BOTH, IS_KEY, ACL_DENIED_KEY},
    {"+set %W~k %R~k*", SET, "k", BOTH, IS_KEY, ACL_DENIED_KEY}, /* one pattern must allow both */
    {"+set %W~k %R~k", SET, "k", BOTH, IS_KEY, ACL_ALLOWED},
    {"+set %W~k", SET, "k", 0, IS_KEY, ACL_ALLOWED}, /* asks no more than whether it is there */
    {"+@all -get ~*", GET, "k", KEY_READS, IS_KEY, ACL_DENIED_COMMAND},
    {"+@string ~*", SET, "k", KEY_WRITES, IS_KEY, ACL_ALLOWED},
    {"+@all -@string ~*", SET, "k", KEY_WRITES, IS_KEY, ACL_DENIED_COMMAND},
    {"+select|0", SELECT, "0", 0, NO_KEY, ACL_ALLOWED},
    {"+select|A", SELECT, "a", 0, NO_KEY, ACL_ALLOWED},
    {"+select|0", SELECT, "1", 0, NO_KEY, ACL_DENIED_COMMAND},
    {"+select|0 -select", SELECT, "0", 0, NO_KEY, ACL_DENIED_COMMAND},
    {"+config", CONFIG_SET, "x", 0, NO_KEY, ACL_ALLOWED},
    {"+config -config|set", CONFIG_SET, "x", 0, NO_KEY, ACL_DENIED_COMMAND},
    {"+config|get", CONFIG_GET, "x", 0, NO_KEY, ACL_ALLOWED},
    {"+config|get", CONFIG_SET, "x", 0, NO_KEY, ACL_DENIED_COMMAND},
    {"+@slow", CONFIG_SET, "x", 0, NO_KEY, ACL_ALLOWED},
    {"+@admin -@slow", CONFIG_SET, "x", 0, NO_KEY, ACL_DENIED_COMMAND},
    {"+publish", PUBLISH, "c", 0, IS_CHANNEL, ACL_DENIED_CHANNEL},
    {"+publish &c*", PUBLISH, "cc", 0, IS_CHANNEL, ACL_ALLOWED},
    {"+publish &c*", PUBLISH, "cc", 0, IS_PATTERN, ACL_DENIED_CHANNEL},
    {"+publish &c*", PUBLISH, "c*", 0, IS_PATTERN, ACL_ALLOWED},
    {"+publish allchannels", PUBLISH, "x*", 0, IS_PATTERN, ACL_ALLOWED},
    {"(+get ~a) (+set ~b)", GET, "a", KEY_READS, IS_KEY, ACL_ALLOWED},
    {"(+get ~a) (+set ~b)", SET, "b", KEY_WRITES, IS_KEY, ACL_ALLOWED},
    {"(+get ~a) (+set ~b)", SET, "a", KEY_WRITES, IS_KEY, ACL_DENIED_KEY},
    {"(+get ~a) (+set ~b)", HGET, "a", KEY_READS, IS_KEY, ACL_DENIED_COMMAND},
    {"", AUTH, "x", 0, NO_KEY, ACL_ALLOWED},
};

static struct acl_denial ask(const struct user *u, const struct question *q)
{
    struct bytes argv[2] = {BYTES("x"), bytes_from_text(q->argument)};
    struct acl_key key = {1, q->access};
    return acl_permit(u, &(struct acl_request){
                             .command = q->command,
                             .for_everyone = q->command == AUTH,
                             .patterns = q->is == IS_PATTERN,
                             .argc = 2,
                             .argv = argv,
                             .keys = &key,
                             .key_count = q->is == IS_KEY,
                             .first_channel = 1,
                             .channels_end = q->is == IS_CHANNEL || q->is == IS_PATTERN ? 2 : 1,
                         });
}

Test(acl, a_request_needs_its_command_its_keys_and_its_channels)
{
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const struct question *q = &questions[i];
        struct user *u = new_user();
        cr_assert_eq(apply(u, q->rules), ACL_NO_ERROR, "%s", q->rules);
        struct acl_denial denial = ask(u, q);
        cr_expect_eq(denial.reason, q->answer, "'%s' asked for %s with %s", q->rules, commands[q->command].name,
                     q->argument);
        if (q->answer > ACL_DENIED_COMMAND) cr_expect_eq(denial.arg, 1);
        user_free(u);
    }
}

Test(acl, the_selector_that_came_furthest_says_why)
{
    struct user *u = new_user();
    struct bytes argv[3] = {BYTES("x"), BYTES("a"), BYTES("b")};
    struct acl_key keys[2] = {{1, KEY_READS}, {2, KEY_READS}};
    struct acl_request r = {.command = GET, .argc = 3, .argv = argv, .keys = keys, .key_count = 2};
    cr_assert_eq(apply(u, "+get ~b (+get ~a) (+set ~*)"), ACL_NO_ERROR);
    struct acl_denial denial = acl_permit(u, &r);
    cr_expect_eq(denial.reason, ACL_DENIED_KEY);
    cr_expect_eq(denial.arg, 2);
    user_free(u);
}

Test(acl, keys_that_nobody_can_name_need_every_key_to_be_open)
{
    static const struct {
        const char *rules;
        enum acl_reason answer;
    } cases[] = {{"+get allkeys", ACL_ALLOWED},     {"+get %R~*", ACL_ALLOWED},
                 {"+get ~a*", ACL_DENIED_KEY},      {"+get ~a %W~*", ACL_DENIED_KEY},
                 {"+get ~a ~**", ACL_DENIED_KEY},   {"+get ~a (+set ~*)", ACL_DENIED_KEY},
                 {"+get ~a (+get ~*)", ACL_ALLOWED}};
    struct bytes argv[2] = {BYTES("get"), BYTES("a")};
    struct acl_key key = {1, KEY_READS};
    struct acl_request r = {.command = GET, .any_key = true, .argc = 2, .argv = argv, .keys = &key, .key_count = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct user *u = new_user();
        cr_assert_eq(apply(u, cases[i].rules), ACL_NO_ERROR);
        cr_expect_eq(acl_permit(u, &r).reason, cases[i].answer, "%s", cases[i].rules);
        user_free(u);
    }
}

Test(acl, only_who_may_do_everything_is_unrestricted)
{
    static const struct {
        const char *rules;
        bool unrestricted, minds_keys;
    } cases[] = {{"+@all ~* &*", true, false},
                 {"+@all ~*", false, false},
                 {"+@all &* ~a", false, true},
                 {"~* &* -@all", false, false},
                 {"+@all ~* &* -get +get", false, false},
                 {"(+@all ~* &*)", true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct user *u = new_user();
        cr_assert_eq(apply(u, cases[i].rules), ACL_NO_ERROR);
        cr_expect_eq(u->unrestricted, cases[i].unrestricted, "%s", cases[i].rules);
        cr_expect_eq(u->minds_keys, cases[i].minds_keys, "%s", cases[i].rules);
        user_free(u);
    }
}

Test(acl, a_password_opens_only_for_who_is_on)
{
    struct user *u = new_user();
    cr_expect_not(user_admits(u, BYTES("")));
    cr_assert_eq(apply(u, ">abc >d"), ACL_NO_ERROR);
    cr_expect_not(user_admits(u, BYTES("abc")));
    cr_assert_eq(apply(u, "on"), ACL_NO_ERROR);
    cr_expect(user_admits(u, BYTES("abc")));
    cr_expect(user_admits(u, BYTES("d")));
    cr_expect_not(user_admits(u, BYTES("ab")));
    cr_expect_not(user_admits(u, BYTES("")));
    cr_expect_not(user_is_open(u));
    user_set_password(u, BYTES("new"));
    cr_expect(user_admits(u, BYTES("new")));
    cr_expect_not(user_admits(u, BYTES("abc")));
    user_set_password(u, BYTES(""));
    cr_expect(user_is_open(u));
    user_free(u);
}

/* --- the file --- */

static int gone;

static void count_gone(void *arg, struct user *u)
{
    (void)arg;
    cr_expect(users_find(users, u->name) == u);
    gone++;
}

static int load(const char *text, struct acl_text *errors)
{
    return users_load_text(users, "f", bytes_from_text(text), count_gone, NULL, errors);
}

Test(acl, a_file_replaces_all_users_or_none)
{
    struct acl_text errors = {0};
    gone = 0;
    struct user *default_user = users->default_user;
    cr_expect_eq(load("user a on +get\r\n\n  user b off ~x  \n", &errors), 0);
    cr_expect_eq(gone, 0);
    cr_expect(user_is_open(users->default_user));
    struct user *a = users_find(users, BYTES("a"));
    cr_assert(a);
    cr_expect_eq(load("user a +nosuch\n", &errors), -1);
    cr_expect_eq(users_find(users, BYTES("a")), a);
    acl_text_clear(&errors);
    cr_expect_eq(load("user default off\nuser c on", &errors), 0);
    cr_expect_eq(gone, 2);
    cr_expect_null(users_find(users, BYTES("a")));
    cr_expect_eq(users->default_user, default_user);
    cr_expect_not(users->default_user->enabled);
    acl_text_free(&errors);
}

Test(acl, faults_of_a_file_have_their_lines)
{
    static const char warning[] =
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    static const char *const faults[][2] = {
        {"foo", "f:1 should start with user keyword followed by the username. "},
        {"\nuser", "f:2 should start with user keyword followed by the username. "},
        {"# a remark", "f:1 should start with user keyword followed by the username. "},
        {"user a on\nuser a off", "WARNING: Duplicate user 'a' found on line 2. "},
        {"user a +nosuch foo -@no #x bar\nuser b foo",
         "f:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. f:1: Syntax error. "
         "f:1: Error in applying operation '-@no': Unknown command or category name in ACL. f:2: Syntax error. "},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct acl_text errors = {0};
        char wanted[512];
        snprintf(wanted, sizeof wanted, "%s%s", faults[i][1], warning);
        cr_expect_eq(load(faults[i][0], &errors), -1);
        cr_expect(bytes_equal_text(acl_text_bytes(&errors), wanted), "%.*s", (int)errors.len, errors.ptr);
        acl_text_free(&errors);
    }
}

/* --- ACL LOG --- */

static void refuse(struct acl_log *log, const char *object, int64_t now_ms)
{
    struct acl_refusal r = {
        .reason = ACL_DENIED_KEY, .object = bytes_from_text(object), .username = BYTES("u"), .client = BYTES("id=1")};
    acl_log_add(log, &r, now_ms, settings.log_max_len);
}

static const struct acl_log_entry *newest(const struct acl_log *log)
{
    return list_entry(list_first(&log->entries), struct acl_log_entry, node);
}

Test(acl, the_same_refusal_counts_on_its_entry_for_a_minute)
{
    struct acl_log *log = acl_log_new();
    refuse(log, "a", 1000);
    refuse(log, "b", 1001);
    refuse(log, "a", 61000);
    cr_expect_eq(log->entries.count, 2);
    cr_expect_eq(newest(log)->count, 2);
    cr_expect_eq(newest(log)->id, 0);
    cr_expect_eq(newest(log)->created_ms, 1000);
    cr_expect_eq(newest(log)->updated_ms, 61000);
    refuse(log, "a", 121001);
    cr_expect_eq(log->entries.count, 3);
    cr_expect_eq(newest(log)->count, 1);
    cr_expect_eq(newest(log)->id, 2);
}

Test(acl, the_log_looks_at_ten_entries_and_keeps_as_many_as_it_may)
{
    struct acl_log *log = acl_log_new();
    settings.log_max_len = 12;
    for (char c = 'a'; c <= 'k'; c++) refuse(log, (char[]){c, 0}, 1);
    refuse(log, "b", 1);
    cr_expect_eq(newest(log)->count, 2);
    refuse(log, "a", 1);
    cr_expect_eq(newest(log)->count, 1);
    cr_expect_eq(log->entries.count, 12);
    refuse(log, "new", 1);
    cr_expect_eq(log->entries.count, 12);
    settings.log_max_len = 0;
    refuse(log, "unheard", 1);
    cr_expect(bytes_equal_text(newest(log)->refusal.object, "new"));
    acl_log_clear(log);
    cr_expect_eq(log->entries.count, 0);
}
