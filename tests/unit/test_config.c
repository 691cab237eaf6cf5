/* The configuration: reading, refusing, showing, changing with rollback, rewriting. */
#include "server/base/alloc.h"
#include "server/base/file.h"
#include "server/acl/users.h"
#include "server/core/config/config_parts.h"
#include "server/core/run/call.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct settings settings;
static struct config *config;
static char scratch[PATH_MAX], start[PATH_MAX];

static struct config *new_config(void)
{
    struct config *c = config_new(&settings);
    config_use_users(c, users_new(acl_vocabulary_new(), &settings.acl));
    return c;
}

static void set_up(void)
{
    settings = (struct settings){0};
    cr_assert(getcwd(start, sizeof start));
    snprintf(scratch, sizeof scratch, "%s/config-test-XXXXXX", P_tmpdir);
    cr_assert(mkdtemp(scratch));
    cr_assert_eq(chdir(scratch), 0);
    config = new_config();
}

static void tear_down(void)
{
    char command[PATH_MAX + 16];
    cr_assert_eq(chdir(start), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    cr_assert_eq(system(command), 0);
}

TestSuite(config, .init = set_up, .fini = tear_down);

static void write_text(const char *path, const char *text)
{
    cr_assert_eq(file_replace(path, text, strlen(text), 0644), 0);
}

static char *read_text(const char *path)
{
    uint8_t *data;
    size_t len;
    cr_assert_eq(file_read_whole(path, &data, &len), 0);
    return (char *)data;
}

static int load_lines(const char *lines)
{
    write_text("test.conf", lines);
    return config_load(config, "test.conf", BYTES(""));
}

struct pairs {
    int count;
    char text[16384]; /* "name=value;" for each */
};

static void take_pair(void *context, struct bytes name, struct bytes value)
{
    struct pairs *p = context;
    size_t len = strlen(p->text);
    p->count++;
    snprintf(p->text + len, sizeof p->text - len, "%.*s=%.*s;", (int)name.len, (const char *)name.ptr, (int)value.len,
             (const char *)value.ptr);
}

static struct pairs get(const char *pattern)
{
    struct pairs p = {0};
    struct bytes one = bytes_from_text(pattern);
    config_get(config, 1, &one, &(struct config_get_sink){take_pair, &p});
    return p;
}

static void expect(const char *name, const char *value)
{
    char wanted[1024];
    snprintf(wanted, sizeof wanted, "%s=%s;", name, value);
    cr_expect_str_eq(get(name).text, wanted);
}

static char set_error[512];

static bool set(uint32_t pairs, const char *const *words)
{
    struct bytes slices[16];
    for (uint32_t i = 0; i < pairs * 2; i++) slices[i] = bytes_from_text(words[i]);
    return config_set(config, NULL, pairs, slices, false, set_error);
}

#define SET(...) set(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *) / 2, (const char *const[]){__VA_ARGS__})

/* --- reading --- */

Test(config, defaults_are_those_of_redis)
{
    expect("port", "6379");
    expect("save", "3600 1 300 100 60 10000");
    expect("maxmemory-policy", "noeviction");
    expect("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    expect("bind", "* -::*");
    expect("latency-tracking-info-percentiles", "50 99 99.9");
    expect("slowlog-log-slower-than", "10000");
    expect("dir", scratch);
    expect("enable-debug-command", "no");
    expect("enable-protected-configs", "no");
    expect("enable-module-command", "no");
    cr_expect_eq(settings.repl.output_hard_bytes, 256u << 20);
    cr_expect_eq(settings.net.requirepass.len, 0);
}

Test(config, every_default_is_read_back_from_its_own_text)
{
    char message[CONFIG_MESSAGE_MAX];
    for (size_t i = 0; i < config_directive_count; i++) {
        const struct directive *d = &config_directives[i];
        struct config_text text = {0};
        directive_format(config, d, &text);
        struct bytes value = config_text_bytes(&text);
        cr_expect(directive_parse(config, d, 1, &value, message), "%s '%s': %s", d->name, text.ptr, message);
        cr_expect(!d->initial || directive_is_initial(config, d), "%s: '%s'", d->name, text.ptr);
        config_text_free(&text);
    }
}

Test(config, names_are_unique)
{
    for (size_t i = 0; i < config_directive_count; i++) {
        const struct directive *d = &config_directives[i];
        cr_expect_eq(directive_find(bytes_from_text(d->name)), d, "%s", d->name);
        if (d->alias) cr_expect_eq(directive_find(bytes_from_text(d->alias)), d, "%s", d->alias);
    }
}

Test(config, units_quotes_and_comments)
{
    cr_assert_eq(load_lines("# port 1\n"
                            "   \t# indented\n"
                            "\n"
                            "PORT 7000\r\n"
                            "  maxmemory \"5MB\"  \n"
                            "repl-backlog-size 1g\n"
                            "requirepass 'it\\'s \"x\"'\n"
                            "masterauth \"\\x41\\n\\\"b\"\n"
                            "unixsocketperm 700\n"
                            "maxmemory-clients 5%\n"
                            "hz 100000"),
                 0);
    cr_expect_eq(settings.net.port, 7000);
    cr_expect_eq(settings.keyspace.maxmemory_bytes, 5u << 20);
    cr_expect_eq(settings.repl.backlog_bytes, 1000000000u);
    cr_expect(bytes_equal_text(settings.net.requirepass, "it's \"x\""));
    cr_expect(bytes_equal_text(settings.repl.master_auth, "A\n\"b"));
    cr_expect_eq(settings.net.unix_socket_mode, 0700u);
    expect("maxmemory-clients", "5%");
    expect("unixsocketperm", "700");
    expect("hz", "500");
}

Test(config, old_names)
{
    cr_assert_eq(load_lines("slaveof 10.0.0.1 7001\n"
                            "slave-priority 7\n"
                            "min-slaves-to-write 2\n"
                            "lua-time-limit 123\n"
                            "list-max-ziplist-size -1\n"
                            "list-max-ziplist-entries 5\n"
                            "client-output-buffer-limit slave 1mb 2kb 3\n"),
                 0);
    cr_expect_str_eq(settings.repl.master_host, "10.0.0.1");
    cr_expect_eq(settings.repl.master_port, 7001);
    cr_expect_eq(settings.repl.priority, 7);
    cr_expect_eq(settings.repl.min_replicas_to_write, 2);
    cr_expect_eq(settings.repl.output_hard_bytes, 1u << 20);
    cr_expect_eq(settings.repl.output_soft_s, 3);
    expect("replicaof", "10.0.0.1 7001");
    expect("slaveof", "10.0.0.1 7001");
    expect("busy-reply-threshold", "123");
    expect("list-max-listpack-size", "-1");
}

Test(config, save_lines_add_up_and_the_first_replaces_the_default)
{
    cr_assert_eq(load_lines("save 60 1\nsave 70 2\n"), 0);
    expect("save", "60 1 70 2");
}

Test(config, empty_save_forgets_what_came_before)
{
    cr_assert_eq(load_lines("save 60 1\nsave \"\"\nsave 5 5\n"), 0);
    expect("save", "5 5");
    cr_assert_eq(load_lines("save \"\"\n"), 0);
    expect("save", "");
}

Test(config, include_reads_other_files)
{
    write_text("a.inc", "port 7002");
    write_text("b.inc", "timeout 9\n");
    cr_assert_eq(load_lines("include *.inc\ninclude none-*.inc\n"), 0);
    cr_expect_eq(settings.net.port, 7002);
    cr_expect_eq(settings.net.timeout_s, 9);
}

Test(config, include_of_itself_ends)
{
    cr_redirect_stderr();
    cr_expect_eq(load_lines("include test.conf\n"), -1);
}

Test(config, arguments_become_lines)
{
    struct {
        char *argv[6];
        const char *lines;
    } cases[] = {
        {{"--port", "7000", "--save", "60", "1"}, "port \"7000\"\nsave \"60\" \"1\"\n"},
        {{"--masterauth", "--secret", "--hz", "5"}, "masterauth \"--secret\"\nhz \"5\"\n"},
        {{"--save", "--hz", "5"}, "save \"\"\nhz \"5\"\n"},
        {{"--sentinel", "--hz", "5"}, "sentinel\nhz \"5\"\n"},
        {{"--sentinel", "resolve-hostnames", "yes"}, "sentinel \"resolve-hostnames\" \"yes\"\n"},
        {{"--port 7000", "--hz", "5"}, "port 7000\nhz \"5\"\n"},
        {{"--bind", "127.0.0.1 ::1"}, "bind \"127.0.0.1 ::1\"\n"},
        {{"--save"}, "save \"\"\n"},
        {{NULL}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int argc = 0;
        while (argc < 6 && cases[i].argv[argc]) argc++;
        struct bytes lines;
        config_lines_from_arguments(argc, cases[i].argv, &lines);
        cr_expect(bytes_equal_text(lines, cases[i].lines), "%.*s", (int)lines.len, (const char *)lines.ptr);
        mem_free((void *)lines.ptr);
    }
}

Test(config, the_command_line_wins_over_the_file)
{
    write_text("test.conf", "port 1\nsave 1 1\n");
    cr_assert_eq(config_load(config, "test.conf", BYTES("port \"2\"\nbind \"127.0.0.1 ::1\"\nsave \"2\" \"2\"\n")), 0);
    cr_expect_eq(settings.net.port, 2);
    cr_expect_eq(settings.net.bind_count, 2);
    cr_expect_str_eq(settings.net.bind[1], "::1");
    expect("save", "1 1 2 2");
}

Test(config, standard_input_comes_between_file_and_command_line)
{
    int ends[2];
    static const char text[] = "timeout 2\nhz 2";
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(ends[1]);
    cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    write_text("test.conf", "port 1\ntimeout 1\n");
    config_want_stdin(config);
    cr_assert_eq(config_load(config, "test.conf", BYTES("hz 3\n")), 0);
    cr_expect_eq(settings.net.port, 1);
    cr_expect_eq(settings.net.timeout_s, 2);
    cr_expect_eq(settings.server.hz, 3);
}

Test(config, what_has_no_effect_is_named)
{
    cr_redirect_stdout();
    cr_assert_eq(load_lines("io-threads-do-reads yes\nactivedefrag no\nuser default on nopass ~* &* +@all\nport 1\n"),
                 0);
    config_warn_without_effect(config);
    fflush(stdout);
    char log[4096] = "";
    size_t len = fread(log, 1, sizeof log - 1, cr_get_redirected_stdout());
    cr_expect(len > 0);
    cr_expect(strstr(log, "# Directive 'io-threads-do-reads' is accepted but has no effect here\n"), "%s", log);
    cr_expect(strstr(log, "at their default: activedefrag\n"), "%s", log);
    cr_expect_null(strstr(log, "port"));
    expect("io-threads-do-reads", "yes");
}

/* --- refusing --- */

struct refusal {
    const char *line, *message;
};

Test(config, refusals_have_the_words_of_redis)
{
    static const struct refusal refusals[] = {
        {"foo bar", "Bad directive or wrong number of arguments"},
        {"port", "wrong number of arguments"},
        {"user", "Bad directive or wrong number of arguments"},
        {"user a on foo", "Error in user declaration 'a': Syntax error"},
        {"port 1 2", "wrong number of arguments"},
        {"port 65536", "argument must be between 0 and 65535 inclusive"},
        {"port 07", "argument couldn't be parsed into an integer"},
        {"daemonize maybe", "argument must be 'yes' or 'no'"},
        {"maxmemory 1xb", "argument must be a memory value"},
        {"repl-backlog-size 0", "argument must be between 1 and 9223372036854775807 inclusive"},
        {"sanitize-dump-payload x", "argument(s) must be one of the following: no, yes, clients"},
        {"unixsocketperm 999", "argument couldn't be parsed as an octal number"},
        {"unixsocketperm 1777", "argument must be between 0 and 777 inclusive"},
        {"save 60", "Invalid save parameters"},
        {"save -1 1", "Invalid save parameters"},
        {"requirepass \"abc", "Unbalanced quotes in configuration line"},
        {"requirepass \"abc\"d", "Unbalanced quotes in configuration line"},
        {"dbfilename a/b", "dbfilename can't be a path, just a filename"},
        {"client-output-buffer-limit normal 0 0", "Wrong number of arguments in buffer limit configuration."},
        {"client-output-buffer-limit x 0 0 0", "Invalid client class specified in buffer limit configuration."},
        {"notify-keyspace-events Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
        {"maxmemory-clients 101%", "percentage argument must be less or equal to 100"},
        {"replicaof a b", "Invalid master port"},
        {"replicaof a", "wrong number of arguments"},
        {"dir /nowhere-at-all", "No such file or directory"},
        {"shutdown-on-sigint", "argument(s) must be one of the following: default, save, nosave, now, force"},
        {"shutdown-on-sigterm save nosave", "shutdown options SAVE and NOSAVE can't be used simultaneously"},
        {"proc-title-template {foo}", "template format is invalid or contains unknown variables"},
        {"oom-score-adj-values 1 2", "wrong number of arguments"},
        {"bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "Too many bind addresses specified."},
        {"rename-command get", "Bad directive or wrong number of arguments"},
    };
    cr_redirect_stderr();
    struct config_text wanted = {0};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct config_text file = {0};
        config_text_printf(&file, "# first\n%s\n", refusals[i].line);
        cr_expect_eq(load_lines(file.ptr), -1, "%s", refusals[i].line);
        config_text_printf(&wanted,
                           "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\n"
                           "Reading the configuration file, at line 2\n>>> '%s'\n%s\n",
                           refusals[i].line, refusals[i].message);
        config_text_free(&file);
    }
    fflush(stderr);
    cr_expect_stderr_eq_str(wanted.ptr);
}

/* --- CONFIG GET and SET --- */

Test(config, get_matches_patterns_once_and_knows_both_names)
{
    cr_expect_eq(get("*slave-priority*").count, 1);
    cr_expect_eq(get("*-priority").count, 2);
    cr_expect_eq(get("REPLICA-priority").count, 1);
    cr_expect_eq(get("nothing*").count, 0);
    cr_expect_eq(get("*key-load-delay").count, 0, "hidden from patterns");
    cr_expect_eq(get("key-load-delay").count, 1, "but not from its name");
    struct bytes patterns[] = {BYTES("max*"), BYTES("maxmemory"), BYTES("maxm*")};
    struct pairs p = {0};
    config_get(config, 3, patterns, &(struct config_get_sink){take_pair, &p});
    cr_expect_eq(p.count, 6);
}

Test(config, set_several)
{
    cr_assert(SET("maxmemory", "1k", "SLAVE-priority", "5", "save", "1 2"), "%s", set_error);
    expect("maxmemory", "1000");
    expect("replica-priority", "5");
    expect("save", "1 2");
}

Test(config, set_refuses_with_the_words_of_redis)
{
    cr_expect_not(SET("maxmemory", "1", "foo", "2"));
    cr_expect_str_eq(set_error, "ERR Unknown option or number of arguments for CONFIG SET - 'foo'");
    cr_expect_not(SET("daemonize", "yes"));
    cr_expect_str_eq(set_error, "ERR CONFIG SET failed (possibly related to argument 'daemonize') - "
                                "can't set immutable config");
    cr_expect_not(SET("dir", "/"));
    cr_expect_str_eq(set_error,
                     "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config");
    cr_expect_not(SET("maxmemory", "1", "maxmemory", "2"));
    cr_expect_str_eq(set_error,
                     "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter");
    expect("maxmemory", "0");
}

Test(config, a_bad_value_rolls_all_back)
{
    cr_assert(SET("requirepass", "old", "notify-keyspace-events", "Ex"));
    cr_expect_not(SET("requirepass", "new", "client-output-buffer-limit", "normal 1 1 1", "notify-keyspace-events",
                      "KEA", "port", "x"));
    cr_expect_str_eq(set_error, "ERR CONFIG SET failed (possibly related to argument 'port') - "
                                "argument couldn't be parsed into an integer");
    cr_expect(bytes_equal_text(settings.net.requirepass, "old"));
    cr_expect_eq(settings.server.notify_classes, (uint32_t)(NOTIFY_KEYEVENT | NOTIFY_EXPIRED));
    cr_expect_eq(settings.net.output_limits[0].hard_bytes, 0u);
}

static int applied;

static int accept_change(struct core *core, char error[256])
{
    (void)core, (void)error;
    applied++;
    return 0;
}

static int refuse_change(struct core *core, char error[256])
{
    (void)core;
    snprintf(error, 256, "not today");
    return -1;
}

Test(config, a_refused_effect_rolls_all_back)
{
    applied = 0;
    config_on_change(config, "timeout", accept_change);
    config_on_change(config, "port", refuse_change);
    cr_expect(SET("timeout", "0"));
    cr_expect_eq(applied, 0, "nothing changed");
    cr_expect(SET("timeout", "5"));
    cr_expect_eq(applied, 1);
    cr_expect_not(SET("timeout", "6", "port", "7"));
    cr_expect_str_eq(set_error, "ERR CONFIG SET failed (possibly related to argument 'port') - not today");
    cr_expect_eq(applied, 3, "done, and undone");
    cr_expect_eq(settings.net.timeout_s, 5);
    cr_expect_eq(settings.net.port, 6379);
}

Test(config, event_classes_are_shown_in_order)
{
    static const char *const cases[][2] = {{"KEA", "AKE"},    {"Ex", "xE"}, {"g$lshzxetdK", "AK"},
                                           {"AKEmn", "AKEm"}, {"", ""},     {"mm", "m"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(SET("notify-keyspace-events", cases[i][0]));
        expect("notify-keyspace-events", cases[i][1]);
    }
}

/* --- CONFIG REWRITE --- */

#define HASH_OF_ABC "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const char original[] = "# my server\n"
                               "port 7000\n"
                               "   # indented comment\n"
                               "\n"
                               "maxmemory   5mb\n"
                               "slave-priority 20\n"
                               "save 60 1\n"
                               "save 70 2\n"
                               "maxmemory 6mb\n"
                               "include other.conf\n"
                               "user default on " HASH_OF_ABC " ~* &* +@all\n"
                               "timeout 0\n"
                               "requirepass abc\n";

static const char rewritten[] = "# my server\n"
                                "port 7000\n"
                                "   # indented comment\n"
                                "\n"
                                "maxmemory 6mb\n"
                                "slave-priority 20\n"
                                "save 9 9\n"
                                "include other.conf\n"
                                "user default on sanitize-payload " HASH_OF_ABC " ~* &* +@all\n"
                                "timeout 0\n"
                                "\n"
                                "# Generated by CONFIG REWRITE\n"
                                "notify-keyspace-events \"AKE\"\n"
                                "dir \"%s\"\n"
                                "repl-backlog-size 3mb\n"
                                "masterauth \"a \\\"b\\\"\"\n";

static char *appended_part(char *text)
{
    char *sign = strstr(text, "# Generated by");
    return sign ? sign : text;
}

Test(config, rewrite_keeps_what_it_does_not_own)
{
    write_text("other.conf", "");
    cr_assert_eq(load_lines(original), 0);
    cr_assert_eq(config_load_users(config), 0);
    cr_assert(SET("save", "9 9", "requirepass", "", "repl-backlog-size", "3mb", "masterauth", "a \"b\"",
                  "notify-keyspace-events", "KEA"));
    cr_assert_eq(config_rewrite(config, false, set_error), 0, "%s", set_error);
    char *text = read_text("test.conf"), wanted[2 * PATH_MAX];
    snprintf(wanted, sizeof wanted, rewritten, scratch);
    /* What is appended comes in the table's order, which is no promise. */
    size_t head = (size_t)(appended_part(wanted) - wanted);
    cr_expect_eq(strncmp(text, wanted, head), 0, "%s", text);
    for (char *line = strtok(appended_part(wanted), "\n"); line; line = strtok(NULL, "\n"))
        cr_expect(strstr(text + head, line), "%s is missing in\n%s", line, text);
    mem_free(text);
}

Test(config, a_rewritten_file_reads_back_and_is_stable)
{
    cr_assert_eq(load_lines("port 7000\n"), 0);
    cr_assert(SET("client-output-buffer-limit", "replica 1gb 1mb 9", "proc-title-template", "{title} \"x\"", "bind",
                  "127.0.0.1 ::1", "shutdown-on-sigterm", "nosave force", "maxmemory-clients", "7%"));
    cr_assert_eq(config_rewrite(config, true, set_error), 0, "%s", set_error);
    char *first = read_text("test.conf");
    struct pairs before = get("*");
    config = new_config();
    cr_assert_eq(config_load(config, "test.conf", BYTES("")), 0);
    cr_expect_str_eq(get("*").text, before.text);
    cr_assert_eq(config_rewrite(config, true, set_error), 0);
    char *second = read_text("test.conf");
    cr_expect_str_eq(second, first);
    mem_free(first);
    mem_free(second);
}

/* A rewritten file of 6.2 starts 6.2 again: it knows the older names alone, and none that has come later. */
Test(config, a_rewritten_file_keeps_the_names_that_it_had)
{
    static const char old[] = "slaveof 127.0.0.1 7001\n"
                              "slave-read-only yes\n"
                              "HASH-MAX-ZIPLIST-ENTRIES 128\n"
                              "list-max-ziplist-size -2\n"
                              "\"zset-max-ziplist-value\" 64\n"
                              "lua-time-limit 5000\n"
                              "user default on nopass sanitize-payload ~* &* +@all\n";
    cr_assert_eq(load_lines(old), 0);
    cr_assert_eq(config_load_users(config), 0);
    cr_assert(SET("replica-read-only", "no", "hash-max-listpack-entries", "200", "list-max-listpack-size", "-3",
                  "busy-reply-threshold", "7000"));
    cr_assert_eq(config_rewrite(config, false, set_error), 0, "%s", set_error);
    char *text = read_text("test.conf");
    char wanted[2 * PATH_MAX];
    snprintf(wanted, sizeof wanted,
             "slaveof 127.0.0.1 7001\n"
             "slave-read-only no\n"
             "HASH-MAX-ZIPLIST-ENTRIES 200\n"
             "list-max-ziplist-size -3\n"
             "zset-max-listpack-value 64\n"
             "lua-time-limit 7000\n"
             "user default on nopass sanitize-payload ~* &* +@all\n"
             "\n"
             "# Generated by CONFIG REWRITE\n"
             "dir \"%s\"\n",
             scratch);
    cr_expect_str_eq(text, wanted);
    mem_free(text);
}

Test(config, a_host_name_cannot_smuggle_a_line_into_the_file)
{
    cr_assert_eq(load_lines("port 7000\n"), 0);
    config_note_replicaof(config, "host\nport 1", 5);
    cr_assert_eq(config_rewrite(config, false, set_error), 0);
    char *text = read_text("test.conf");
    cr_expect(strstr(text, "\nreplicaof \"host\\nport 1\" 5\n"), "%s", text);
    mem_free(text);
    config_note_replicaof(config, NULL, 0);
    cr_assert_eq(config_rewrite(config, false, set_error), 0);
    text = read_text("test.conf");
    cr_expect_null(strstr(text, "replicaof"));
    mem_free(text);
}

/* In a mount namespace of our own, so that nothing is left behind. Mounting is root's. */
static void mount_on_itself(const char *path, unsigned long more_flags)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount(path, path, NULL, MS_BIND, NULL))
        cr_skip("not allowed to mount");
    if (more_flags) cr_assert_eq(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | more_flags, NULL), 0);
}

Test(config, a_file_that_is_a_mount_is_rewritten_in_place)
{
    struct stat before, after;
    cr_assert_eq(load_lines("port 7000\ntimeout 5\nrequirepass a-long-password-that-goes-away\n"), 0);
    mount_on_itself("test.conf", 0);
    cr_assert_eq(stat("test.conf", &before), 0);
    cr_assert(SET("requirepass", ""));
    cr_expect_eq(config_rewrite(config, false, set_error), 0, "%s", set_error);
    cr_assert_eq(stat("test.conf", &after), 0);
    cr_expect_eq(before.st_ino, after.st_ino);
    char *text = read_text("test.conf");
    cr_expect_eq(strncmp(text, "port 7000\ntimeout 5\n\n# Generated", 32), 0, "%s", text);
    mem_free(text);
    umount("test.conf");
}

Test(config, a_read_only_file_system_is_one_clear_error)
{
    cr_assert_eq(load_lines("port 7000\n"), 0);
    mount_on_itself(scratch, MS_RDONLY);
    cr_assert_eq(chdir(scratch), 0); /* into the mount */
    cr_assert(SET("port", "1"));
    cr_expect_eq(config_rewrite(config, false, set_error), -1);
    cr_expect_str_eq(set_error, "ERR Rewriting config file: Read-only file system");
    char *text = read_text("test.conf");
    cr_expect_str_eq(text, "port 7000\n");
    mem_free(text);
    cr_assert_eq(chdir(start), 0);
    umount(scratch);
}

Test(config, a_symbolic_link_stays_one)
{
    struct stat info;
    write_text("real.conf", "port 7000\n");
    cr_assert_eq(symlink("real.conf", "link.conf"), 0);
    cr_assert_eq(config_load(config, "link.conf", BYTES("")), 0);
    cr_assert(SET("port", "1"));
    cr_assert_eq(config_rewrite(config, false, set_error), 0);
    cr_assert_eq(lstat("link.conf", &info), 0);
    cr_expect(S_ISLNK(info.st_mode));
    char *text = read_text("real.conf");
    cr_expect_eq(strncmp(text, "port 1\n", 7), 0);
    mem_free(text);
}

Test(config, without_a_file_there_is_nothing_to_rewrite)
{
    cr_expect_eq(config_rewrite(config, false, set_error), -1);
    cr_expect_str_eq(set_error, "ERR The server is running without a config file");
}
