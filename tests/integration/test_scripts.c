/* Scripts from outside: what they leave in the stream and in the counters, how they are stopped, what they are refused,
 * and that none of them takes the server along. What each answers is compared with Debian's server in
 * tests/differential/cases/scripts.txt. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(scripts, .fini = server_finish_all, .timeout = 120);

#define BUSY "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."

/* --- stopping --- */

/* A socket on which a script has been sent; its reply is the caller's to read. */
static int send_script(struct server *s, const char *script)
{
    char request[1024];
    int fd = raw_connect(s);
    snprintf(request, sizeof request, "*3\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n0\r\n", strlen(script), script);
    raw_send_text(fd, request);
    return fd;
}

static bool is_error(struct server *s, const char *prefix, const char *line)
{
    redisReply *r = command(s, line);
    bool so = r->type == REDIS_REPLY_ERROR && strncmp(r->str, prefix, strlen(prefix)) == 0;
    freeReplyObject(r);
    return so;
}

static struct server *start_impatient(void)
{
    return server_start(OURS, "busy-reply-threshold 5");
}

static void expect_killed(struct server *s, const char *script)
{
    int fd = send_script(s, script);
    wait_until(is_error(s, BUSY, "PING"));
    expect_ok(s, "SCRIPT KILL");
    raw_expect(fd, "-ERR Script killed by user with SCRIPT KILL... script: ");
    close(fd);
    wait_until(!is_error(s, "BUSY", "PING"));
    expect_error(s, "NOTBUSY No scripts in execution right now.", "SCRIPT KILL");
}

Test(scripts, every_endless_loop_can_be_stopped)
{
    static const char *const endless[] = {
        "while true do end",
        "repeat until false",
        "for i = 1, 1/0 do end",
        "while true do redis.call('ping') end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local co = coroutine.wrap(function() while true do end end) co()",
        "while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end",
        "local t = setmetatable({}, {__index = function() while true do end end}) "
        "while true do pcall(function() return t.x end) end",
        "while true do string.gsub('x', '.', function() while true do end end) end",
        "local t = {3, 2, 1} while true do pcall(table.sort, t, function() while true do end end) end",
        "while true do loadstring('while true do end')() end",
        "while true do load(function() return ' ' end) end",
    };
    struct server *s = start_impatient();
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) expect_killed(s, endless[i]);
}

Test(scripts, others_are_told_while_one_runs_long)
{
    struct server *s = start_impatient();
    int fd = send_script(s, "while true do end"), other;
    wait_until(is_error(s, BUSY, "GET k"));
    expect_error(s, BUSY, "INFO");
    expect_error(s, BUSY, "SHUTDOWN");
    expect_error(s, BUSY, "SCRIPT EXISTS x");
    expect_error(s, BUSY, "EVAL %s 0", "return 1");
    expect_ok(s, "MULTI");
    expect_error(s, BUSY, "PING");
    expect_error(s, "EXECABORT Transaction discarded because of: BUSY", "EXEC");
    other = raw_connect(s);
    raw_send_text(other, "HELLO 3\r\n");
    raw_expect(other, "%7\r\n");
    close(other);
    expect_ok(s, "SCRIPT KILL");
    raw_expect(fd, "-ERR Script killed by user");
    close(fd);
    expect_status(s, "PONG", "PING");
}

Test(scripts, what_it_has_written_is_not_taken_back)
{
    struct server *s = start_impatient();
    int fd = send_script(s, "redis.call('set', 'k', 'v') while redis.call('get', 'stop') == false do local i = 0 end");
    wait_until(is_error(s, BUSY, "PING"));
    expect_error(s, "UNKILLABLE Sorry the script already executed write commands against the dataset.", "SCRIPT KILL");
    expect_error(s, BUSY, "SHUTDOWN SAVE");
    redisReply *r = try_command(s, "SHUTDOWN NOSAVE");
    freeReplyObject(r);
    cr_assert_eq(server_wait_end(s), 0);
    close(fd);
}

/* No half of a script's work is heard of by a replica. */
Test(scripts, a_server_that_ends_in_a_script_leaves_none_of_it)
{
    struct server *s = start_impatient(), *replica = server_start(OURS, "%s", "");
    follow(replica, s);
    wait_in_step(replica, s);
    expect_ok(s, "SET before 1");
    wait_in_step(replica, s);
    int fd = send_script(s, "redis.call('set', 'k', 'v') redis.call('set', 'l', 'v') while true do end");
    wait_until(is_error(s, BUSY, "PING"));
    freeReplyObject(try_command(s, "SHUTDOWN NOSAVE"));
    cr_assert_eq(server_wait_end(s), 0);
    close(fd);
    wait_until(!link_is_up(replica));
    expect_string(replica, "1", "GET before");
    expect_nil(replica, "GET k");
}

Test(scripts, a_threshold_of_zero_lets_them_run)
{
    struct server *s = server_start(OURS, "busy-reply-threshold 0");
    expect_integer(s, 3000000, "EVAL %s 0", "local n = 0 for i = 1, 3000000 do n = n + 1 end return n");
    cr_assert_str_eq(config_get(s, "lua-time-limit"), "0");
}

Test(scripts, a_client_that_leaves_its_script_behind)
{
    struct server *s = start_impatient();
    int fd = send_script(s, "while true do end");
    wait_until(is_error(s, BUSY, "PING"));
    close(fd);
    expect_error(s, BUSY, "PING");
    expect_ok(s, "SCRIPT KILL");
    wait_until(!is_error(s, "BUSY", "PING"));
    expect_status(s, "PONG", "PING");
}

/* --- hostile --- */

Test(scripts, none_takes_the_server_along)
{
    static const struct {
        const char *script, *error;
    } hostile[] = {
        {"local function f() return f() + 1 end return f()", "ERR stack overflow"},
        {"local function f() return (string.gsub('x', '.', f)) end return f()", "ERR user_script:1: C stack overflow"},
        {"local function f() return coroutine.wrap(f)() end return f()", "ERR C stack overflow"},
        {"local function f() pcall(f) error('x') end f()", "ERR user_script:1: x"},
        {"return string.rep('x', 1e9)", "ERR not enough memory"},
        {"local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end", "ERR not enough memory"},
        {"local t = {} for i = 1, 1e9 do t[i] = i end", "ERR not enough memory"},
        {"local s = 'x' while true do s = s .. s end", "ERR not enough memory"},
        {"error(setmetatable({}, {__index = function() error('x') end, __newindex = error}))", "ERR unknown error"},
        {"local e = {} e.err = e error(e)", "ERR unknown error"},
        {"return unpack({}, 1, 1e7)", "ERR too many results to unpack"},
        {"return os.execute('true')", "ERR user_script:1: attempt to call field 'execute'"},
        {"return io.open('/etc/passwd')",
         "ERR user_script:1: Script attempted to access nonexistent global variable 'io'"},
        {"return require('ffi')",
         "ERR user_script:1: Script attempted to access nonexistent global variable 'require'"},
        {"return debug.getregistry()",
         "ERR user_script:1: Script attempted to access nonexistent global variable 'debug'"},
        {"return loadstring(string.dump(function() return 1 end))()", "ERR user_script:1: attempt to call a nil value"},
        {"return redis.call('set', 'k', 1LL)", "ERR Lua redis lib command arguments must be strings or integers"},
    };
    struct server *s = server_start(OURS, "maxmemory 50mb");
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        expect_error(s, hostile[i].error, "EVAL %s 0", hostile[i].script);
        expect_integer(s, 7, "EVAL %s 0", "return 3 + 4");
    }
    cr_assert_lt(info_number(s, "memory", "used_memory_vm_eval"), 60 << 20);
}

Test(scripts, what_one_leaves_behind_no_other_finds)
{
    static const char *const tricks[] = {
        "x = 1",
        "_G.x = 1",
        "rawset(_G, 'x', 1)",
        "redis.call = nil",
        "rawset(redis, 'call', nil)",
        "string.rep = nil",
        "table.insert(redis, 'x')",
        "table.insert(_G, 1, 'x')",
        "setmetatable(_G, {})",
        "setmetatable(string, nil)",
        "getmetatable('').__index = {}",
        "getmetatable(_G).__index = nil",
        "getmetatable(redis).__newindex = nil",
        "getmetatable(getmetatable(_G)).__index = nil",
        "local n, t = pairs(_G) t.x = 1",
        "local n, t = pairs(redis) rawset(t, 'x', 1)",
        "for k, v in pairs(_G) do if type(v) == 'table' then v.x = 1 end end",
        "KEYS = 1",
        "cjson.encode = nil",
    };
    struct server *s = server_start(OURS, "%s", "");
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        redisReply *r = command(s, "EVAL %s 0", tricks[i]);
        cr_expect_eq(r->type, REDIS_REPLY_ERROR, "%s", tricks[i]);
        freeReplyObject(r);
    }
    expect_error(s, "ERR user_script:1: Script attempted to access nonexistent global variable 'x'", "EVAL %s 0",
                 "return x");
    expect_string(s, "xx", "EVAL %s 0", "return ('x'):rep(2)");
    expect_integer(
        s, 1, "EVAL %s 0",
        "return rawget(_G, 'x') == nil and rawget(redis, 1) == nil and redis.x == nil and #redis == 0 and 1 or 0");
    expect_status(s, "PONG", "EVAL %s 0", "return redis.call('ping')");
}

/* --- what others see --- */

Test(scripts, effects_leave_as_one_unit)
{
    struct server *s = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    struct server *debian = server_start(DEBIAN, "%s", "");
    follow(replica, s);
    follow(debian, s);
    wait_in_step(replica, s);
    wait_in_step(debian, s);
    freeReplyObject(command(s, "EVAL %s 1 k 100",
                            "for i = 1, 10 do redis.call('rpush', KEYS[1], math.random(1000)) end "
                            "redis.call('select', 3) redis.call('set', 'x', ARGV[1], 'ex', 1000) "
                            "redis.call('incrbyfloat', 'f', '0.1') redis.call('spop', 'none')"));
    freeReplyObject(command(s, "EVAL %s 0", "redis.call('set', 'half', 1) redis.call('nosuch')"));
    freeReplyObject(command(s, "EVAL %s 0",
                            "redis.set_repl(redis.REPL_NONE) redis.call('set', 'here', 1) "
                            "redis.set_repl(redis.REPL_ALL) redis.call('set', 'there', 1) "
                            "redis.set_repl(redis.REPL_NONE) redis.call('del', 'here')"));
    expect_same_data(replica, s);
    expect_same_data(debian, s);
    expect_string(replica, "1", "GET there");
}

/* Masters before Redis 5 sent the script itself. */
Test(scripts, one_in_the_masters_stream_is_run)
{
    struct server *master = server_start(DEBIAN, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SET k v");
    freeReplyObject(command(master, "EVAL %s 0", "redis.call('set', 'k', 'w') return redis.call('incr', 'n')"));
    wait_in_step(replica, master);
    expect_string(replica, "w", "GET k");
    expect_same_data(replica, master);
}

Test(scripts, a_replica_applies_nothing_in_the_middle_of_one)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = start_impatient();
    follow(replica, master);
    wait_in_step(replica, master);
    int fd = send_script(replica, "while redis.call('get', 'k') == false do end return 1");
    wait_until(is_error(replica, BUSY, "PING"));
    expect_ok(master, "SET k v");
    expect_error(replica, BUSY, "PING");
    expect_ok(replica, "SCRIPT KILL");
    raw_expect(fd, "-ERR Script killed by user");
    close(fd);
    wait_in_step(replica, master);
    expect_string(replica, "v", "GET k");
}

static void expect_line_ends(int fd, const char *end)
{
    char line[512];
    size_t len = 0, wanted = strlen(end);
    while (len < sizeof line && recv(fd, line + len, 1, 0) == 1 && line[len++] != '\n') continue;
    cr_assert(len >= wanted + 2 && memcmp(line + len - wanted - 2, end, wanted) == 0, "got %.*s", (int)len, line);
}

Test(scripts, monitors_see_what_runs_inside)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "MONITOR\r\n");
    raw_expect(fd, "+OK\r\n");
    freeReplyObject(command(s, "EVAL %s 0", "redis.call('set', 'k', 1) return redis.pcall('incr', 'k')"));
    expect_line_ends(fd, "\"0\"");
    expect_line_ends(fd, "[0 lua] \"set\" \"k\" \"1\"");
    expect_line_ends(fd, "[0 lua] \"incr\" \"k\"");
    close(fd);
}

Test(scripts, commands_inside_are_counted_and_an_error_once)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "SET k v");
    expect_ok(s, "CONFIG RESETSTAT");
    expect_error(s, "WRONGTYPE", "EVAL %s 0", "redis.call('get', 'k') return redis.call('lpush', 'k', 1)");
    expect_error(s, "ERR Unknown", "EVAL %s 0", "return redis.call('nosuch')");
    expect_error(s, "ERR Wrong number", "EVAL %s 0", "return redis.call('get')");
    expect_error(s, "MINE", "EVAL %s 0", "return redis.error_reply('MINE x')");
    expect_nil(s, "EVAL %s 0", "redis.pcall('lpush', 'k', 1)");
    cr_assert(strstr(info_text(s, "errorstats", "errorstat_WRONGTYPE"), "count=2"));
    cr_assert(strstr(info_text(s, "errorstats", "errorstat_ERR"), "count=2"));
    cr_assert(strstr(info_text(s, "errorstats", "errorstat_MINE"), "count=1"));
    cr_assert(strstr(info_text(s, "commandstats", "cmdstat_get"), "calls=1,"));
    cr_assert(strstr(info_text(s, "commandstats", "cmdstat_get"), "rejected_calls=1,failed_calls=0"));
    cr_assert(strstr(info_text(s, "commandstats", "cmdstat_lpush"), "calls=2,"));
    cr_assert(strstr(info_text(s, "commandstats", "cmdstat_lpush"), "failed_calls=2"));
    cr_assert(strstr(info_text(s, "commandstats", "cmdstat_eval"), "calls=5,"));
    cr_assert(strstr(info_text(s, "commandstats", "cmdstat_eval"), "failed_calls=4"));
}

Test(scripts, the_cache_is_counted_and_flushed)
{
    struct server *s = server_start(OURS, "%s", "");
    long long machine = info_number(s, "memory", "used_memory_vm_eval");
    cr_assert_gt(machine, 0);
    for (int i = 0; i < 100; i++) {
        char script[32];
        snprintf(script, sizeof script, "return %d", i);
        expect_integer(s, i, "EVAL %s 0", script);
        expect_integer(s, i, "EVAL %s 0", script);
    }
    cr_assert_eq(info_number(s, "memory", "number_of_cached_scripts"), 100);
    cr_assert_gt(info_number(s, "memory", "used_memory_scripts_eval"), 100 * (long long)sizeof "return 99");
    cr_assert_gt(info_number(s, "memory", "used_memory_vm_eval"), machine);
    cr_assert_eq(info_number(s, "memory", "used_memory_lua"), info_number(s, "memory", "used_memory_vm_eval"));
    expect_ok(s, "SCRIPT FLUSH ASYNC");
    cr_assert_eq(info_number(s, "memory", "number_of_cached_scripts"), 0);
    expect_integer(s, 1, "EVAL %s 0", "return 1");
    expect_ok(s, "SCRIPT FLUSH SYNC");
    cr_assert_eq(info_number(s, "memory", "number_of_cached_scripts"), 0);
}

/* --- the states of the server --- */

static const char writes[] = "return redis.call('set', 'k', 1)", reads[] = "return redis.call('get', 'k')";

Test(scripts, a_pause_of_writes_holds_those_that_may_write)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "CLIENT PAUSE 100000 WRITE");
    int held = send_script(s, writes);
    expect_nil(s, "EVAL %s 0", "#!lua flags=no-writes\nreturn redis.call('get', 'k')");
    expect_nil(s, "EVAL_RO %s 0", reads);
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    expect_ok(s, "CLIENT UNPAUSE");
    raw_expect(held, "+OK\r\n");
    close(held);
}

Test(scripts, memory_above_its_limit)
{
    struct server *s = server_start(OURS, "maxmemory-policy noeviction");
    expect_ok(s, "CONFIG SET maxmemory 1");
    expect_error(s, "OOM command not allowed when used memory > 'maxmemory'. script: ", "EVAL %s 0", writes);
    expect_nil(s, "EVAL %s 0", reads);
    expect_ok(s, "EVAL %s 0", "redis.call('del', 'x') return redis.call('set', 'k', 1)"); /* it has begun to write */
    expect_error(s, "OOM command not allowed when used memory > 'maxmemory'.", "EVAL %s 0",
                 "#!lua\nreturn redis.call('set', 'k', 1)");
    expect_ok(s, "EVAL %s 0", "#!lua flags=allow-oom\nreturn redis.call('set', 'k', 1)");
}

Test(scripts, on_a_replica)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "REPLICAOF 127.0.0.1 1");
    expect_error(s, "READONLY You can't write against a read only replica. script: ", "EVAL %s 0", writes);
    expect_nil(s, "EVAL %s 0", reads);
    expect_error(s, "READONLY You can't write against a read only replica.", "EVAL %s 0",
                 "#!lua\nreturn redis.call('get', 'k')");
    expect_ok(s, "CONFIG SET replica-serve-stale-data no");
    expect_error(s, "MASTERDOWN", "EVAL %s 0", reads);
    expect_error(s, "ERR Can not execute the command on a stale replica", "EVAL %s 0",
                 "#!lua flags=no-writes,allow-stale\nreturn redis.call('get', 'k')");
    expect_string(s, "x", "EVAL %s 0", "#!lua flags=no-writes,allow-stale\nreturn redis.call('echo', 'x')");
}

/* --- time inside --- */

Test(scripts, time_stands_still)
{
    static const char twice[] = "local a, n = redis.call('time'), 0 for i = 1, 200000 do n = n + i end "
                                "local b = redis.call('time') return a[1] == b[1] and a[2] == b[2] and 1 or 0";
    struct server *s = server_start(OURS, "%s", "");
    expect_integer(s, 1, "EVAL %s 0", twice);
    redisReply *r = command(s, "EVAL %s 0", "return redis.call('time')");
    char first[32];
    snprintf(first, sizeof first, "%.31s", r->element[1]->str);
    freeReplyObject(r);
    r = command(s, "EVAL %s 0", "return redis.call('time')");
    cr_assert_str_neq(first, r->element[1]->str, "the next script's time is its own");
    freeReplyObject(r);
}

/* --- waiting inside --- */

Test(scripts, what_would_wait_is_as_if_its_time_were_over)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_nil(s, "EVAL %s 0", "return redis.call('blpop', 'l', 0)");
    expect_error(s, "ERR xread command is not allowed with BLOCK option from scripts", "EVAL %s 0",
                 "return redis.call('xread', 'block', 0, 'streams', 's', '$')");
    expect_error(s, "ERR xreadgroup command is not allowed with BLOCK option from scripts", "EVAL %s 0",
                 "return redis.call('xreadgroup', 'group', 'g', 'c', 'count', 1, 'block', 0, 'streams', 's', '>')");
    expect_nil(s, "EVAL %s 0", "return redis.call('xread', 'streams', 'block', '0')");
    expect_integer(s, 0, "EVAL %s 0", "return redis.call('wait', 1, 0)");
    expect_nil(s, "EVAL %s 0", "return redis.call('brpoplpush', 'l', 'm', 0)");
}

/* Who waits for a key is served once the script has ended, not in its middle. */
Test(scripts, a_key_that_somebody_waits_for)
{
    struct server *s = start_impatient();
    int fd = raw_connect(s);
    raw_send_text(fd, "BLPOP l 0\r\n");
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    expect_integer(s, 2, "EVAL %s 0",
                   "redis.call('rpush', 'l', 'a', 'b') for i = 1, 20000000 do end return redis.call('llen', 'l')");
    raw_expect(fd, "*2\r\n$1\r\nl\r\n$1\r\na\r\n");
    close(fd);
}

Test(scripts, time_stands_still_inside)
{
    struct server *s = server_start(OURS, "busy-reply-threshold 1");
    expect_string(s, "v", "EVAL %s 0",
                  "redis.call('set', 'k', 'v', 'px', 1) for i = 1, 20000000 do end return redis.call('get', 'k')");
    wait_until(command_integer(s, "EXISTS k") == 0);
}
