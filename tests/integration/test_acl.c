/* Users: who may log in, what each may do, where the rules come from and what becomes of clients when they change. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(acl, .fini = server_finish_all, .timeout = 120);

/* A connection of its own that has said who it is. */
static int log_in(struct server *s, const char *user)
{
    char line[128];
    int fd = raw_connect(s);
    snprintf(line, sizeof line, "AUTH %s secret\r\n", user);
    raw_send_text(fd, line);
    raw_expect(fd, "+OK\r\n");
    return fd;
}

static void ask(int fd, const char *command, const char *reply)
{
    raw_send_text(fd, command);
    raw_send_text(fd, "\r\n");
    raw_expect(fd, reply);
}

static void expect_cut_off(int fd)
{
    char byte;
    cr_expect_leq(read(fd, &byte, 1), 0); /* less: what it had sent was not read any more */
    close(fd);
}

static void write_file(const struct server *s, const char *name, const char *text)
{
    char path[512];
    server_path(s, name, path);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

static void expect_file_has(const struct server *s, const char *name, const char *wanted)
{
    char path[512], text[8192] = "";
    server_path(s, name, path);
    FILE *file = fopen(path, "r");
    cr_assert(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    cr_expect(strstr(text, wanted), "'%s' is not in\n%s", wanted, text);
}

static void expect_list_has(struct server *s, const char *wanted)
{
    redisReply *list = command(s, "ACL LIST");
    bool found = false;
    for (size_t i = 0; i < list->elements; i++) found |= strcmp(list->element[i]->str, wanted) == 0;
    cr_expect(found, "ACL LIST has no line '%s'", wanted);
    freeReplyObject(list);
}

/* The value of a field of ACL LOG's entry; "" where there is none. */
static const char *logged(struct server *s, size_t entry, const char *field)
{
    static char text[512];
    redisReply *log = command(s, "ACL LOG");
    *text = 0;
    for (size_t i = 0; entry < log->elements && i + 1 < log->element[entry]->elements; i += 2) {
        const redisReply *value = log->element[entry]->element[i + 1];
        if (strcmp(log->element[entry]->element[i]->str, field) != 0) continue;
        if (value->type == REDIS_REPLY_INTEGER)
            snprintf(text, sizeof text, "%lld", value->integer);
        else
            snprintf(text, sizeof text, "%s", value->str);
    }
    freeReplyObject(log);
    return text;
}

/* --- what is refused, and how --- */

Test(acl, refusals_have_the_words_of_redis)
{
    struct server *s =
        server_start(OURS, "user app on >secret ~app:* %%R~log:* &news resetchannels &app:* +@all -@admin");
    int fd = log_in(s, "app");
    ask(fd, "SET app:1 x", "+OK\r\n");
    ask(fd, "SET other x", "-NOPERM No permissions to access a key\r\n");
    ask(fd, "GET log:1", "$-1\r\n");
    ask(fd, "SET log:1 x", "-NOPERM No permissions to access a key\r\n");
    ask(fd, "MGET app:1 log:1 other", "-NOPERM No permissions to access a key\r\n");
    ask(fd, "CONFIG GET port", "-NOPERM User app has no permissions to run the 'config|get' command\r\n");
    ask(fd, "PUBLISH app:x y", ":0\r\n");
    ask(fd, "PUBLISH news y", "-NOPERM No permissions to access a channel\r\n");
    ask(fd, "PSUBSCRIBE app:?", "-NOPERM No permissions to access a channel\r\n");
    ask(fd, "PSUBSCRIBE app:*", "*3\r\n$10\r\npsubscribe\r\n$5\r\napp:*\r\n:1\r\n");
    close(fd);
    cr_expect(info_is(s, "stats", "acl_access_denied_cmd", "1"));
    cr_expect(info_is(s, "stats", "acl_access_denied_key", "3"));
    cr_expect(info_is(s, "stats", "acl_access_denied_channel", "2"));
    cr_expect_str_eq(logged(s, 0, "object"), "app:?");
    cr_expect_str_eq(logged(s, 0, "reason"), "channel");
    cr_expect_str_eq(logged(s, 0, "username"), "app");
    cr_expect_str_eq(logged(s, 0, "context"), "toplevel");
    cr_expect(strstr(logged(s, 0, "client-info"), " cmd=psubscribe user=app "));
}

Test(acl, a_log_in_needs_a_user_who_is_on_and_his_password)
{
    struct server *s = server_start(OURS, "user on on >secret\nuser off off >secret\nuser open on nopass +acl|whoami");
    static const char wrong[] = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    int fd = raw_connect(s);
    ask(fd, "AUTH off secret", wrong);
    ask(fd, "AUTH nobody secret", wrong);
    ask(fd, "AUTH on wrong", wrong);
    ask(fd, "HELLO 2 AUTH on wrong SETNAME me", wrong);
    ask(fd, "CLIENT GETNAME", "$-1\r\n");
    ask(fd, "AUTH open anything", "+OK\r\n");
    ask(fd, "ACL WHOAMI", "$4\r\nopen\r\n");
    ask(fd, "AUTH secret",
        "-ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?\r\n");
    ask(fd, "RESET", "+RESET\r\n");
    ask(fd, "ACL WHOAMI", "$7\r\ndefault\r\n");
    close(fd);
    cr_expect(info_is(s, "stats", "acl_access_denied_auth", "4"));
    cr_expect_str_eq(logged(s, 0, "object"), "HELLO");
    cr_expect_str_eq(logged(s, 1, "object"), "AUTH");
    cr_expect_str_eq(logged(s, 1, "username"), "on");
    cr_expect_str_eq(logged(s, 1, "reason"), "auth");
}

Test(acl, who_is_not_logged_in_is_the_default_user_only_while_he_needs_no_password)
{
    struct server *s = server_start(OURS, "requirepass secret");
    expect_ok(s, "AUTH secret");
    int stranger = raw_connect(s);
    ask(stranger, "PING", "-NOAUTH Authentication required.\r\n");
    expect_ok(s, "ACL SETUSER default nopass");
    ask(stranger, "PING", "+PONG\r\n");
    expect_ok(s, "ACL SETUSER default >again");
    ask(stranger, "PING", "-NOAUTH Authentication required.\r\n");
    ask(stranger, "AUTH again", "+OK\r\n");
    expect_ok(s, "ACL SETUSER default off");
    ask(stranger, "PING", "+PONG\r\n");
    close(stranger);
    cr_expect_str_eq(config_get(s, "requirepass"), "secret");
    expect_ok(s, "CONFIG SET requirepass new");
    expect_ok(s, "ACL SETUSER default on");
    expect_ok(s, "AUTH new");
    expect_error(s, "WRONGPASS", "AUTH again");
    expect_ok(s, "CONFIG SET requirepass %s", "");
    expect_list_has(s, "user default on nopass sanitize-payload ~* &* +@all");
}

/* --- transactions, waits --- */

Test(acl, exec_asks_again_about_each_command)
{
    struct server *s = server_start(OURS, "user app on >secret ~* +@all");
    int fd = log_in(s, "app");
    ask(fd, "MULTI", "+OK\r\n");
    ask(fd, "INCR n", "+QUEUED\r\n");
    ask(fd, "PING", "+QUEUED\r\n");
    expect_ok(s, "ACL SETUSER app -incr");
    ask(fd, "EXEC",
        "*2\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
        "command is no longer allowed for the following reason: no permission to execute the command or "
        "subcommand\r\n+PONG\r\n");
    cr_expect_str_eq(logged(s, 0, "context"), "multi");
    cr_expect_str_eq(logged(s, 0, "object"), "incr");
    cr_expect(strstr(logged(s, 0, "client-info"), " cmd=exec "));
    ask(fd, "MULTI", "+OK\r\n");
    ask(fd, "INCR n", "-NOPERM User app has no permissions to run the 'incr' command\r\n");
    ask(fd, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    close(fd);
}

Test(acl, a_command_that_waits_is_asked_about_when_it_goes_on)
{
    struct server *s = server_start(OURS, "user app on >secret ~* +@all");
    int fd = log_in(s, "app");
    raw_send_text(fd, "BLPOP list 0\r\n");
    wait_until(info_is(s, "clients", "blocked_clients", "1"));
    expect_ok(s, "ACL SETUSER app resetkeys");
    expect_integer(s, 1, "RPUSH list x");
    raw_expect(fd, "-NOPERM No permissions to access a key\r\n");
    ask(fd, "PING", "+PONG\r\n");
    close(fd);
    expect_integer(s, 1, "LLEN list");
    cr_expect(strstr(info_text(s, "commandstats", "cmdstat_blpop"), "calls=0,usec=0,"));
    cr_expect(strstr(info_text(s, "commandstats", "cmdstat_blpop"), "rejected_calls=1,"));
}

/* --- clients of users who change --- */

Test(acl, who_listens_to_what_he_may_not_hear_any_more_is_cut_off)
{
    struct server *s = server_start(OURS, "user app on >secret +@all &a &b:*");
    int stays = log_in(s, "app"), goes = log_in(s, "app"), by_pattern = log_in(s, "app");
    ask(stays, "SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    ask(goes, "SSUBSCRIBE b:1", "*3\r\n$10\r\nssubscribe\r\n$3\r\nb:1\r\n:1\r\n");
    ask(by_pattern, "PSUBSCRIBE b:*", "*3\r\n$10\r\npsubscribe\r\n$3\r\nb:*\r\n:1\r\n");
    expect_ok(s, "ACL SETUSER app resetchannels &a &b:* &c");
    expect_integer(s, 1, "PUBLISH a x");
    raw_expect(stays, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    expect_ok(s, "ACL SETUSER app resetchannels &a");
    expect_cut_off(goes);
    expect_cut_off(by_pattern);
    expect_integer(s, 1, "PUBLISH a y");
    raw_expect(stays, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\ny\r\n");
    close(stays);
}

Test(acl, clients_of_a_deleted_user_are_cut_off)
{
    struct server *s = server_start(OURS, "user app on >secret ~* +@all\nuser other on >secret +@all");
    int one = log_in(s, "app"), two = log_in(s, "app"), other = log_in(s, "other");
    raw_send_text(two, "BLPOP list 0\r\n");
    wait_until(info_is(s, "clients", "blocked_clients", "1"));
    ask(one, "ACL DELUSER app nobody", ":1\r\n");
    expect_cut_off(one);
    expect_cut_off(two);
    ask(other, "PING", "+PONG\r\n");
    close(other);
    expect_error(s, "ERR The 'default' user cannot be removed", "ACL DELUSER other default");
    expect_integer(s, 1, "ACL DELUSER other");
    expect_error(s, "ERR No such user 'app'", "CLIENT KILL USER app");
}

/* --- where the rules come from --- */

Test(acl, lines_of_the_configuration_survive_a_rewrite)
{
    struct server *s =
        server_start(OURS, "user app on >secret (~a +get)\nuser old off\nuser default on nopass ~* &* +@all");
    expect_list_has(s, "user app on sanitize-payload "
                       "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b resetchannels -@all (~a "
                       "resetchannels -@all +get)");
    expect_integer(s, 1, "ACL DELUSER old");
    expect_ok(s, "ACL SETUSER new on nopass %s %%RW~* ~x +@all -@dangerous", "~quoted\"'");
    expect_ok(s, "CONFIG REWRITE");
    server_restart(s);
    expect_list_has(s, "user new on nopass sanitize-payload ~quoted\"' %RW~* ~x resetchannels +@all -@dangerous");
    redisReply *names = command(s, "ACL USERS");
    cr_expect_eq(names->elements, 3);
    freeReplyObject(names);
}

Test(acl, requirepass_follows_the_configuration)
{
    struct server *s = server_start(OURS, "requirepass secret");
    expect_error(s, "NOAUTH", "PING");
    expect_ok(s, "AUTH secret");
    expect_ok(s, "CONFIG SET requirepass another");
    expect_ok(s, "CONFIG REWRITE");
    server_restart(s);
    expect_error(s, "NOAUTH", "PING");
    expect_ok(s, "AUTH another");
}

static void expect_end(struct server *s, const char *complaint)
{
    cr_expect_eq(server_launch_in_vain(s), 1, "%s", complaint);
    cr_expect(server_log_has(s, 0, complaint), "%s", complaint);
}

Test(acl, what_is_not_understood_stops_the_start)
{
    static const char *const refused[][2] = {
        {"user a on\nuser a off", "Error in user declaration 'a': Duplicate user found. A user can only be defined "
                                  "once in config files"},
        {"user a foo", "Error in user declaration 'a': Syntax error"},
        {"user a +nosuch", "Error loading ACL rule '+nosuch' for the user named 'a': Unknown command or category name "
                           "in ACL"},
        {"user 'a b' on", "Spaces not allowed in ACL usernames"},
        {"user", "Bad directive or wrong number of arguments"},
        {"aclfile nowhere.acl",
         "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file 'nowhere.acl'"},
        {"aclfile users.acl\nuser a on",
         "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid."},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_end(server_prepare(OURS, "%s", refused[i][0]), refused[i][1]);
}

Test(acl, a_file_is_loaded_whole_or_not_at_all)
{
    struct server *s = server_prepare(OURS, "aclfile users.acl");
    write_file(s, "users.acl", "user app on >secret +@all\n\nuser default on nopass ~* &* +@all\n");
    server_launch(s);
    int app = log_in(s, "app");
    write_file(s, "users.acl", "user app off\nuser new +nosuch\n");
    expect_error(s,
                 "ERR users.acl:2: Error in applying operation '+nosuch': Unknown command or category name in ACL. "
                 "WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
                 "ACL LOAD");
    ask(app, "PING", "+PONG\r\n");
    write_file(s, "users.acl", "user new on >secret +@all\n");
    expect_ok(s, "ACL LOAD");
    expect_cut_off(app);
    expect_string(s, "default", "ACL WHOAMI");
    int new = log_in(s, "new");
    expect_ok(s, "ACL SETUSER new -flushall");
    expect_ok(s, "ACL SAVE");
    expect_file_has(s, "users.acl", "user default on nopass sanitize-payload ~* &* +@all\nuser new on ");
    expect_file_has(s, "users.acl", " resetchannels +@all -flushall\n");
    expect_ok(s, "CONFIG REWRITE");
    ask(new, "ACL LOAD", "+OK\r\n");
    expect_cut_off(new);
    server_restart(s);
    new = log_in(s, "new");
    ask(new, "FLUSHALL", "-NOPERM User new has no permissions to run the 'flushall' command\r\n");
    close(new);
}

Test(acl, a_file_that_cannot_be_written_stays_as_it_is)
{
    struct server *s = server_prepare(OURS, "aclfile nowhere/users.acl");
    char directory[512], moved[512];
    server_path(s, "nowhere", directory);
    server_path(s, "moved", moved);
    cr_assert_eq(mkdir(directory, 0755), 0);
    write_file(s, "nowhere/users.acl", "user a on\n");
    server_launch(s);
    cr_assert_eq(rename(directory, moved), 0);
    expect_error(s, "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
                 "ACL SAVE");
    expect_error(s, "ERR Error loading ACLs, opening file 'nowhere/users.acl'", "ACL LOAD");
    expect_file_has(s, "moved/users.acl", "user a on\n");
    server_wait_log(s, 0, "Saving ACL file: ");
}

Test(acl, renamed_commands_keep_their_names_in_rules)
{
    struct server *s = server_start(OURS, "rename-command GET FETCH\nrename-command CONFIG \"\"\n"
                                          "user app on >secret ~* +get +config|get");
    int fd = log_in(s, "app");
    ask(fd, "FETCH x", "$-1\r\n");
    ask(fd, "SET x y", "-NOPERM User app has no permissions to run the 'set' command\r\n");
    close(fd);
    expect_error(s, "ERR Error in ACL SETUSER modifier '+fetch': Unknown command or category name in ACL",
                 "ACL SETUSER app +fetch");
    expect_ok(s, "ACL SETUSER app -config|set");
}

/* --- other parts --- */

/* The rules that Redis's documentation gives to a replica and to Sentinel, but for what belongs to scripts. */
Test(acl, a_replica_needs_few_rules)
{
    struct server *master = server_start(OURS, "user replica on >secret +psync +replconf +ping\nuser default off");
    struct server *replica =
        server_start(OURS, "replicaof 127.0.0.1 %d\nmasteruser replica\nmasterauth secret", master->port);
    wait_until(info_is(replica, "replication", "master_link_status", "up"));
    expect_error(master, "NOAUTH", "PING");
}

Test(acl, a_replica_goes_with_its_user)
{
    struct server *master = server_start(OURS, "user replica on >secret +psync +replconf");
    struct server *replica =
        server_start(OURS, "replicaof 127.0.0.1 %d\nmasteruser replica\nmasterauth secret", master->port);
    wait_until(info_is(replica, "replication", "master_link_status", "up"));
    expect_integer(master, 1, "ACL DELUSER replica");
    wait_until(info_is(replica, "replication", "master_link_status", "down"));
    wait_until(info_is(master, "replication", "connected_slaves", "0"));
    expect_ok(master, "ACL SETUSER replica on >secret +psync +replconf");
    wait_until(info_is(replica, "replication", "master_link_status", "up"));
}

Test(acl, our_masters_stream_is_bound_by_nobodys_rules)
{
    struct server *master = server_start(OURS, "repl-diskless-sync-delay 0");
    struct server *replica =
        server_start(OURS, "replicaof 127.0.0.1 %d\nuser default on nopass ~x +@read +info", master->port);
    wait_until(info_is(replica, "replication", "master_link_status", "up"));
    expect_ok(master, "SET written 1");
    expect_ok(master, "SET x 1");
    wait_until(strcmp(info_text(replica, "keyspace", "db0"), "") != 0);
    expect_error(replica, "NOPERM No permissions to access a key", "GET written");
    wait_until(strncmp(info_text(replica, "keyspace", "db0"), "keys=2,", 7) == 0);
}

Test(acl, sentinel_needs_few_rules)
{
    struct server *s = server_start(OURS, "user sentinel on >secret allchannels +multi +slaveof +ping +exec +subscribe "
                                          "+config|rewrite +role +publish +info +client|setname +client|kill");
    int fd = log_in(s, "sentinel");
    ask(fd, "CLIENT SETNAME sentinel-1-cmd", "+OK\r\n");
    ask(fd, "PING", "+PONG\r\n");
    ask(fd, "PUBLISH __sentinel__:hello x", ":0\r\n");
    ask(fd, "MULTI", "+OK\r\n");
    ask(fd, "SLAVEOF NO ONE", "+QUEUED\r\n");
    ask(fd, "CONFIG REWRITE", "+QUEUED\r\n");
    ask(fd, "CLIENT KILL TYPE pubsub", "+QUEUED\r\n");
    ask(fd, "EXEC", "*3\r\n+OK\r\n+OK\r\n:0\r\n");
    ask(fd, "GET x", "-NOPERM User sentinel has no permissions to run the 'get' command\r\n");
    close(fd);
}

Test(acl, passwords_are_shown_to_nobody)
{
    struct server *s = server_start(OURS, "hz 10");
    int monitor = raw_connect(s);
    ask(monitor, "MONITOR", "+OK\r\n");
    expect_ok(s, "ACL SETUSER app on >hidden-password +@all");
    expect_ok(s, "AUTH app hidden-password");
    expect_error(s, "WRONGPASS", "AUTH app other-password");
    redisReply *hello = command(s, "HELLO 2 AUTH app hidden-password");
    freeReplyObject(hello);
    expect_string(s, "end", "ECHO end");
    char seen[4096] = "";
    size_t len = 0;
    while (!strstr(seen, "\"end\"") && len < sizeof seen - 1) {
        ssize_t got = read(monitor, seen + len, sizeof seen - 1 - len);
        cr_assert_gt(got, 0);
        len += (size_t)got;
        seen[len] = 0;
    }
    cr_expect_null(strstr(seen, "password"), "%s", seen);
    cr_expect(strstr(seen, "\"AUTH\" \"(redacted)\" \"(redacted)\""), "%s", seen);
    close(monitor);
    cr_expect_null(strstr(logged(s, 0, "client-info"), "password"));
}

Test(acl, payloads_of_a_trusted_user_are_not_sanitized)
{
    struct server *s = server_start(OURS, "sanitize-dump-payload clients\nuser app on >secret ~* +@all");
    expect_integer(s, 2, "SADD numbers 1 2");
    redisReply *dump = command(s, "DUMP numbers");
    for (int trusted = 0; trusted < 2; trusted++) {
        expect_ok(s, "AUTH app secret");
        long long before = info_number(s, "stats", "dump_payload_sanitizations");
        expect_ok(s, "RESTORE copy 0 %b REPLACE", dump->str, dump->len);
        long long after = info_number(s, "stats", "dump_payload_sanitizations");
        cr_expect_eq(after > before, !trusted);
        expect_ok(s, "ACL SETUSER app skip-sanitize-payload");
    }
    freeReplyObject(dump);
}
