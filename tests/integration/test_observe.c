/* What the server says of its own work: SLOWLOG, LATENCY, MEMORY, CLIENT LIST's figures, the watchdog. */
#include "shm/layout.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

TestSuite(observe, .fini = server_finish_all, .timeout = 120);

/* --- the slow log --- */

/* The arguments of an entry, with a blank between two; `index` 0: the newest. */
static const char *logged(struct server *s, size_t index)
{
    static char text[16384];
    redisReply *all = command(s, "SLOWLOG GET -1");
    size_t len = 0;
    cr_assert_lt(index, all->elements);
    const redisReply *arguments = all->element[index]->element[3];
    text[0] = 0;
    for (size_t i = 0; i < arguments->elements && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", arguments->element[i]->str);
    freeReplyObject(all);
    return text;
}

static struct server *start_logging(const char *config)
{
    struct server *s = server_start(OURS, "slowlog-log-slower-than 0\n%s", config);
    expect_ok(s, "SLOWLOG RESET");
    return s;
}

Test(observe, a_slow_command_and_its_client)
{
    struct server *s = server_start(OURS, "slowlog-log-slower-than 20000");
    char address[64] = "";
    expect_ok(s, "CLIENT SETNAME somebody");
    sscanf(strstr(command_text(s, "CLIENT INFO"), " addr="), " addr=%63s", address);
    long long before_s = atoll(info_text(s, "server", "server_time_usec")) / 1000000;
    expect_ok(s, "SET key value");
    expect_ok(s, "DEBUG SLEEP 0.03");
    expect_integer(s, 1, "SLOWLOG LEN");
    redisReply *all = command(s, "SLOWLOG GET");
    cr_assert_eq(all->elements, 1);
    const redisReply *entry = all->element[0];
    cr_assert_eq(entry->elements, 6);
    cr_expect_eq(entry->element[0]->integer, 0);
    cr_expect_geq(entry->element[1]->integer, before_s);
    cr_expect_geq(entry->element[2]->integer, 30000);
    cr_expect_eq(entry->element[3]->elements, 3);
    cr_expect_str_eq(entry->element[3]->element[1]->str, "SLEEP");
    cr_expect_str_eq(entry->element[4]->str, address);
    cr_expect_str_eq(entry->element[5]->str, "somebody");
    freeReplyObject(all);
}

Test(observe, a_client_of_the_unix_socket)
{
    char path[512], expected[600];
    struct server *s = server_prepare(OURS, "slowlog-log-slower-than 0");
    server_path(s, "socket", path);
    server_add_config(s, "unixsocket %s", path);
    server_launch(s);
    s->unix_socket = path;
    expect_ok(s, "SLOWLOG RESET");
    redisReply *all = command(s, "SLOWLOG GET 1");
    snprintf(expected, sizeof expected, "%s:0", path);
    cr_expect_str_eq(all->element[0]->element[4]->str, expected);
    freeReplyObject(all);
}

Test(observe, passwords_are_in_no_log)
{
    struct server *s = start_logging("");
    expect_ok(s, "CONFIG SET masterauth secret masteruser secret maxmemory 0");
    cr_expect_str_eq(logged(s, 0), "CONFIG SET masterauth (redacted) masteruser (redacted) maxmemory 0");
    expect_ok(s, "CONFIG SET requirepass secret");
    cr_expect_str_eq(logged(s, 0), "CONFIG SET requirepass (redacted)");
    expect_ok(s, "AUTH secret");
    cr_expect_str_eq(logged(s, 0), "AUTH (redacted)");
    freeReplyObject(command(s, "HELLO 2 AUTH default secret"));
    cr_expect_str_eq(logged(s, 0), "HELLO 2 AUTH (redacted) (redacted)");
    expect_error(s, "ERR", "CONFIG SET requirepass a requirepass b");
    cr_expect_str_eq(logged(s, 0), "CONFIG SET requirepass (redacted) requirepass (redacted)");
}

Test(observe, what_a_master_sends_is_logged_as_its_own)
{
    struct server *master = server_start(OURS, "%s", ""), *s = start_logging("");
    char expected[64];
    follow(s, master);
    wait_in_step(s, master);
    expect_ok(master, "SET key value");
    wait_in_step(s, master);
    bool found = false;
    redisReply *all = command(s, "SLOWLOG GET -1");
    snprintf(expected, sizeof expected, "127.0.0.1:%d", master->port);
    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *entry = all->element[i];
        if (strcmp(entry->element[3]->element[0]->str, "SET") != 0) continue;
        cr_expect_str_eq(entry->element[4]->str, expected);
        found = true;
    }
    cr_expect(found);
    freeReplyObject(all);
}

/* EXEC's commands speak for themselves, and a command that waits does so once it has run. */
Test(observe, each_command_is_logged_once)
{
    struct server *s = start_logging("");
    int waiting = raw_connect(s);
    freeReplyObject(command(s, "MULTI"));
    freeReplyObject(command(s, "SET key value"));
    freeReplyObject(command(s, "EXEC"));
    cr_expect_str_eq(logged(s, 0), "SET key value");
    expect_ok(s, "SLOWLOG RESET");
    raw_send_text(waiting, "BLPOP list 0\r\n");
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    expect_ok(s, "SLOWLOG RESET");
    expect_integer(s, 1, "RPUSH list x");
    raw_expect(waiting, "*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    cr_expect_str_eq(logged(s, 0), "BLPOP list 0");
    cr_expect_str_eq(logged(s, 2), "RPUSH list x", "behind the look at the log itself");
    close(waiting);
}

/* Its time is its own, not that since the last command. */
Test(observe, who_is_served_by_the_clock_was_not_slow)
{
    struct server *s = server_start(OURS, "slowlog-log-slower-than 1000000");
    int waiting = raw_connect(s);
    expect_string(s, "1-1", "XADD stream 1-1 field value");
    expect_ok(s, "XGROUP CREATE stream group 0");
    raw_send_text(waiting, "XREADGROUP GROUP group me BLOCK 0 STREAMS stream >\r\n");
    raw_expect(waiting, "*1\r\n*2\r\n$6\r\nstream\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$5\r\nfield\r\n$5\r\nvalue\r\n");
    raw_send_text(waiting, "XREADGROUP GROUP group me BLOCK 0 STREAMS stream >\r\n");
    wait_until(info_number(s, "clients", "blocked_clients") == 1);
    expect_integer(s, 1, "PEXPIRE stream 1500"); /* nothing runs until then but the clock */
    raw_expect(waiting, "-NOGROUP");
    expect_integer(s, 0, "SLOWLOG LEN");
    close(waiting);
}

/* --- latency --- */

static size_t samples(struct server *s, const char *event)
{
    redisReply *r = command(s, "LATENCY HISTORY %s", event);
    size_t count = r->elements;
    freeReplyObject(r);
    return count;
}

Test(observe, commands_are_latency_events)
{
    struct server *s = server_start(OURS, "latency-monitor-threshold 20");
    expect_ok(s, "DEBUG SLEEP 0.02");
    cr_assert_eq(samples(s, "command"), 1);
    cr_expect_eq(samples(s, "fast-command"), 0);
    redisReply *latest = command(s, "LATENCY LATEST");
    cr_expect_str_eq(latest->element[0]->element[0]->str, "command");
    cr_expect_geq(latest->element[0]->element[3]->integer, 20);
    freeReplyObject(latest);
    cr_expect(strstr(command_text(s, "LATENCY GRAPH command"), "all time high"));
    cr_expect(strstr(command_text(s, "LATENCY DOCTOR"), "1. command: 1 latency spikes"));
    expect_integer(s, 1, "LATENCY RESET");
    cr_expect_eq(samples(s, "command"), 0);
    expect_ok(s, "CONFIG SET latency-monitor-threshold 0");
    expect_ok(s, "DEBUG SLEEP 0.02");
    cr_expect_eq(samples(s, "command"), 0);
}

#define MANY 50000 /* keys that cannot all go within a millisecond */

static void fill_expiring(struct server *s)
{
    redisContext *c = connection(s);
    for (int i = 0; i < MANY; i++) redisAppendCommand(c, "SET key:%d x PX 1", i);
    for (int i = 0; i < MANY; i++) freeReplyObject(receive(s));
}

Test(observe, expiry_is_a_latency_event)
{
    struct server *s = server_start(OURS, "latency-monitor-threshold 1");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 0");
    fill_expiring(s);
    expect_integer(s, MANY, "DBSIZE");
    expect_ok(s, "DEBUG SET-ACTIVE-EXPIRE 1");
    wait_until(samples(s, "expire-cycle") > 0);
}

/* Milliseconds of the event's last sample; 0: there is none. */
static long long latest_of(struct server *s, const char *event)
{
    redisReply *all = command(s, "LATENCY LATEST");
    long long ms = 0;
    for (size_t i = 0; i < all->elements; i++)
        if (strcmp(all->element[i]->element[0]->str, event) == 0) ms = all->element[i]->element[2]->integer;
    freeReplyObject(all);
    return ms;
}

/* What the journal says in shared memory is put there in its place: a slow disk is not to be had. */
static struct shm_control *region_of(const struct server *s)
{
    char pattern[64];
    glob_t found;
    snprintf(pattern, sizeof pattern, "/dev/shm/slipstream-%d-*", s->port);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
    int fd = -1;
    for (size_t i = 0; i < found.gl_pathc && fd < 0; i++) /* a ring's name goes on with a point */
        if (!strchr(found.gl_pathv[i] + strlen("/dev/shm/"), '.')) fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
    globfree(&found);
    cr_assert_geq(fd, 0);
    struct shm_control *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(c, MAP_FAILED);
    close(fd);
    return c;
}

static void put_delay(struct shm_control *c, enum shm_delay kind, uint32_t ms)
{
    uint64_t now_s = (uint64_t)time(NULL);
    c->journal.slowest[kind][now_s & 1] = now_s << 32 | ms * 1000;
}

Test(observe, the_journals_delays_are_latency_events)
{
    struct server *s = server_start(OURS, "appendonly yes\nlatency-monitor-threshold 2000");
    struct shm_control *c = region_of(s);
    server_wait_journal(s);
    put_delay(c, DELAY_WRITE, 7021);
    wait_until(latest_of(s, "aof-write-alone") == 7021);
    cr_expect_eq(latest_of(s, "aof-write"), 7021);
    put_delay(c, DELAY_WRITE_BESIDE_FSYNC, 8033);
    wait_until(latest_of(s, "aof-write-pending-fsync") == 8033);
    cr_expect_eq(latest_of(s, "aof-write"), 8033);
    put_delay(c, DELAY_FSYNC_ALWAYS, 6044);
    wait_until(latest_of(s, "aof-fsync-always") == 6044);
    fill(s, "key:", 100, 10);
    expect_ok(s, "CONFIG SET rdb-key-save-delay 50000");
    expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    wait_until(server_snapshot_pid(s) != 0);
    put_delay(c, DELAY_WRITE, 9055);
    wait_until(latest_of(s, "aof-write-active-child") == 9055);
    munmap(c, sizeof *c);
}

Test(observe, eviction_is_a_latency_event)
{
    struct server *s = server_start(OURS, "latency-monitor-threshold 1\n"
                                          "maxmemory-policy allkeys-random\n"
                                          "maxmemory-eviction-tenacity 100");
    expect_ok(s, "DEBUG POPULATE %d", MANY);
    expect_ok(s, "CONFIG SET maxmemory 1");
    wait_until(command_integer(s, "DBSIZE") == 0);
    cr_expect_gt(samples(s, "eviction-cycle"), 0);
}

/* --- memory --- */

static long long used(struct server *s)
{
    return info_number(s, "memory", "used_memory");
}

#define ELEMENTS 50000

/* What MEMORY USAGE says of a key is about what the server has grown by. */
Test(observe, memory_usage_is_what_a_value_takes)
{
    static const char *const adding[] = {"RPUSH key element:%d", "SADD key member:%d", "HSET key field:%d value",
                                         "ZADD key 1 member:%d", "XADD key * field value:%d"};
    struct server *s = server_start(OURS, "%s", "");
    fill(s, "warm:", 1000, 10);
    for (size_t type = 0; type < sizeof adding / sizeof *adding; type++) {
        long long before = used(s);
        redisContext *c = connection(s);
        for (int i = 0; i < ELEMENTS; i++) redisAppendCommand(c, adding[type], i);
        for (int i = 0; i < ELEMENTS; i++) freeReplyObject(receive(s));
        double grown = (double)(used(s) - before);
        double whole = (double)command_integer(s, "MEMORY USAGE key SAMPLES 0");
        double sampled = (double)command_integer(s, "MEMORY USAGE key");
        cr_expect(whole > grown * 0.8 && whole < grown * 1.1, "%s: %g of %g", adding[type], whole, grown);
        cr_expect(sampled > whole * 0.5 && sampled < whole * 2, "%s: %g of %g", adding[type], sampled, whole);
        expect_integer(s, 1, "DEL key");
        wait_until(info_number(s, "memory", "lazyfree_pending_objects") == 0);
    }
}

/* A named integer of MEMORY STATS. */
static long long stats(struct server *s, const char *name)
{
    redisReply *r = command(s, "MEMORY STATS");
    long long value = -1;
    for (size_t i = 0; i + 1 < r->elements; i += 2)
        if (strcmp(r->element[i]->str, name) == 0) value = r->element[i + 1]->integer;
    freeReplyObject(r);
    return value;
}

Test(observe, memory_stats_has_redis_fields_in_redis_order)
{
    struct server *ours = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    fill(ours, "key:", 100, 10);
    fill(theirs, "key:", 100, 10);
    redisReply *mine = command(ours, "MEMORY STATS"), *wanted = command(theirs, "MEMORY STATS");
    cr_assert_eq(mine->elements, wanted->elements);
    for (size_t i = 0; i < wanted->elements; i += 2) {
        cr_expect_str_eq(mine->element[i]->str, wanted->element[i]->str);
        cr_expect_eq(mine->element[i + 1]->type, wanted->element[i + 1]->type, "%s", wanted->element[i]->str);
    }
    freeReplyObject(mine);
    freeReplyObject(wanted);
    cr_expect_eq(stats(ours, "keys.count"), 100);
    cr_expect_gt(stats(ours, "total.allocated"), stats(ours, "startup.allocated"));
}

Test(observe, memory_doctor_and_purge)
{
    struct server *s = server_start(OURS, "%s", "");
    cr_expect(strstr(command_text(s, "MEMORY DOCTOR"), "empty or is using very little memory"));
    fill(s, "key:", 100000, 200);
    wait_until(info_number(s, "memory", "used_memory_peak") >= used(s));
    fill(s, "other:", 100000, 200);
    wait_until(info_number(s, "memory", "used_memory_peak") > 40000000);
    for (int i = 0; i < 100000; i++) redisAppendCommand(connection(s), "DEL other:%d key:%d", i, i / 4 * 4);
    for (int i = 0; i < 100000; i++) freeReplyObject(receive(s));
    cr_expect(strstr(command_text(s, "MEMORY DOCTOR"), " * Peak memory: "));
    expect_ok(s, "MEMORY PURGE");
    cr_expect_gt(strlen(command_text(s, "MEMORY MALLOC-STATS")), 40);
}

/* --- clients --- */

/* A number in the line of CLIENT LIST that has this name. */
static long long client_number(struct server *s, const char *client_name, const char *field)
{
    char name[64], wanted[64];
    snprintf(name, sizeof name, " name=%s ", client_name);
    snprintf(wanted, sizeof wanted, " %s=", field);
    const char *list = command_text(s, "CLIENT LIST"), *at = strstr(list, name);
    if (!at) return -1;
    const char *value = strstr(at, wanted);
    return value ? atoll(value + strlen(wanted)) : -1;
}

Test(observe, client_list_tells_what_a_client_holds)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "CLIENT SETNAME other\r\n");
    raw_expect(fd, "+OK\r\n");
    long long idle = client_number(s, "other", "tot-mem");
    cr_expect_eq(client_number(s, "other", "multi-mem"), 0);
    cr_expect_eq(client_number(s, "other", "qbuf"), 0);

    raw_send_text(fd, "*2\r\n$3\r\nGET\r\n$1000\r\nhalf a key");
    wait_until(client_number(s, "other", "qbuf") == 10);
    cr_expect_gt(client_number(s, "other", "tot-mem"), idle);
    char rest[991];
    memset(rest, 'x', sizeof rest);
    raw_send(fd, rest, 990);
    raw_send_text(fd, "\r\nWATCH a b c\r\nMULTI\r\nSET key value\r\n");
    raw_expect(fd, "$-1\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
    cr_expect_eq(client_number(s, "other", "multi"), 1);
    cr_expect_gt(client_number(s, "other", "multi-mem"), 10);
    raw_send_text(fd, "DISCARD\r\nSUBSCRIBE channel\r\n");
    raw_expect(fd, "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n");
    cr_expect_eq(client_number(s, "other", "multi-mem"), 0);
    cr_expect_eq(client_number(s, "other", "sub"), 1);
    cr_expect_gt(client_number(s, "other", "tot-mem"), idle);
    close(fd);
}

Test(observe, client_list_tells_what_waits_to_be_read)
{
    struct server *s = server_start(OURS, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "CLIENT SETNAME other\r\nSUBSCRIBE channel\r\n");
    raw_expect(fd, "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n");
    cr_expect_eq(client_number(s, "other", "omem"), 0);
    static char message[1000000];
    memset(message, 'x', sizeof message);
    for (int i = 0; i < 12; i++) expect_integer(s, 1, "PUBLISH channel %b", message, sizeof message);
    wait_until(client_number(s, "other", "omem") > 1000000);
    cr_expect_gt(client_number(s, "other", "oll"), 0);
    cr_expect_gt(client_number(s, "other", "tot-mem"), client_number(s, "other", "omem"));
    wait_until(info_number(s, "memory", "mem_clients_normal") > 1000000);
    close(fd);
    wait_until(info_number(s, "memory", "mem_clients_normal") < 1000000);
}

/* --- DEBUG --- */

Test(observe, cron_can_be_paused)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "DEBUG PAUSE-CRON 1");
    expect_ok(s, "SET key value PX 1");
    expect_ok(s, "DEBUG SLEEP 0.3"); /* three ticks and more */
    expect_integer(s, 1, "DBSIZE");
    expect_ok(s, "DEBUG PAUSE-CRON 0");
    wait_until(command_integer(s, "DBSIZE") == 0);
}

Test(observe, serialized_length_is_that_of_a_dump)
{
    struct server *s = server_start(OURS, "%s", ""), *theirs = server_start(DEBIAN, "%s", "");
    struct server *both[] = {s, theirs};
    long long len[2];
    for (int i = 0; i < 2; i++) {
        expect_ok(both[i], "SET key %s", "a value that is not packed: 0123456789");
        const char *at = strstr(command_text(both[i], "DEBUG OBJECT key"), "serializedlength:");
        len[i] = atoll(at + strlen("serializedlength:"));
    }
    cr_expect_eq(len[0], len[1], "%lld, %lld", len[0], len[1]);
}

/* --- the watchdog --- */

Test(observe, a_stall_is_reported_and_survived)
{
    struct server *s = server_start(OURS, "watchdog-period 1");
    cr_assert_str_eq(config_get(s, "watchdog-period"), "200", "no shorter than two ticks");
    long mark = server_log_end(s);
    expect_ok(s, "DEBUG SLEEP 0.5");
    static const char *const lines[] = {"--- WATCHDOG TIMER EXPIRED ---", "(debug_sleep+", "argv[1]: '\"SLEEP\"'"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) server_wait_log(s, mark, lines[i]);
    expect_ok(s, "CONFIG SET watchdog-period 0");
    mark = server_log_end(s);
    expect_ok(s, "DEBUG SLEEP 0.5");
    cr_expect(!server_log_has(s, mark, "WATCHDOG"));
    expect_ok(s, "CONFIG SET watchdog-period 200");
    expect_ok(s, "DEBUG SLEEP 0.5");
    server_wait_log(s, mark, "--- WATCHDOG TIMER EXPIRED ---");
    kill(s->pid, SIGALRM);
    server_wait_log(s, mark, "Received SIGALRM");
    expect_status(s, "PONG", "PING");
}
