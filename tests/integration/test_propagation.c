/* What leaves for the replicas: the same commands to ours and to Debian's server, and both streams compared as a
 * replica gets them, but for upper and lower case. Where 7.2 differs from Debian's 7.0, and we with it, a table says
 * so, and why. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(propagation, .fini = server_finish_all, .timeout = 180);

/* --- a replica that only listens --- */

struct follower {
    struct server *server;
    int fd;
    char *buffer;
    size_t len, at, room;
};

static void more(struct follower *f)
{
    struct pollfd entry = {.fd = f->fd, .events = POLLIN};
    if (f->len == f->room) f->buffer = realloc(f->buffer, f->room = f->room ? f->room * 2 : 65536);
    cr_assert_eq(poll(&entry, 1, PATIENCE_MS), 1, "nothing more comes in the stream");
    ssize_t got = recv(f->fd, f->buffer + f->len, f->room - f->len, 0);
    cr_assert_gt(got, 0, "the stream has ended");
    f->len += (size_t)got;
}

/* Without its end; valid until the next call. */
static char *take_line(struct follower *f)
{
    char *end;
    while (f->at == f->len || !(end = memchr(f->buffer + f->at, '\n', f->len - f->at))) more(f);
    char *line = f->buffer + f->at;
    f->at = (size_t)(end + 1 - f->buffer);
    *end = 0;
    if (end > line && end[-1] == '\r') end[-1] = 0;
    return line;
}

static char *take_bytes(struct follower *f, size_t len)
{
    while (f->len - f->at < len) more(f);
    f->at += len;
    return f->buffer + f->at - len;
}

/* What is read stays behind: the buffer begins with what comes next. */
static void forget_read(struct follower *f)
{
    memmove(f->buffer, f->buffer + f->at, f->len - f->at);
    f->len -= f->at;
    f->at = 0;
}

static struct follower *follower_start(struct server *s)
{
    struct follower *f = calloc(1, sizeof *f);
    const char *line;
    *f = (struct follower){.server = s, .fd = raw_connect(s)};
    raw_send_text(f->fd, "PSYNC ? -1\r\n");
    do line = take_line(f);
    while (*line != '$'); /* the answer, and line feeds until the snapshot is there */
    take_bytes(f, strtoul(line + 1, NULL, 10));
    forget_read(f);
    return f;
}

/* --- what it hears, as text --- */

#define WORD_MAX 256

static bool is_time(const char *word, size_t len)
{
    size_t digits = strspn(word, "0123456789");
    return digits == 13 && word[0] == '1' && (len == 13 || word[13] == '-');
}

/* "<now>" for what tells the time of the test. */
static void print_word(FILE *out, const char *word, size_t len)
{
    char text[WORD_MAX] = "";
    memcpy(text, word, len < WORD_MAX ? len : WORD_MAX - 1);
    fputs(is_time(text, len) ? "<now>" : len ? text : "\"\"", out);
}

/* The next command; true: it is the mark. */
static bool print_command(struct follower *f, FILE *out, const char *mark)
{
    char *line = take_line(f);
    if (!*line) return false; /* a sign of life */
    cr_assert_eq(*line, '*', "%s", line);
    size_t words = strtoul(line + 1, NULL, 10);
    bool marked = false;
    for (size_t i = 0; i < words; i++) {
        size_t len = strtoul(take_line(f) + 1, NULL, 10);
        const char *word = take_bytes(f, len + 2);
        marked = len == strlen(mark) && memcmp(word, mark, len) == 0;
        if (i) fputc(' ', out);
        print_word(out, word, len);
    }
    fputs(" ; ", out);
    return marked;
}

/* All that came before the mark; the caller's to free. */
static char *heard(struct follower *f)
{
    static int marks;
    char mark[32], *text = NULL, *command_at;
    size_t len;
    snprintf(mark, sizeof mark, "mark-%d", ++marks);
    command_integer(f->server, "PUBLISH mark %s", mark);
    FILE *out = open_memstream(&text, &len);
    while (!print_command(f, out, mark)) {
    }
    fclose(out);
    forget_read(f);
    if ((command_at = strstr(text, "PUBLISH mark "))) *command_at = 0;
    return text;
}

/* --- what is done to both --- */

/* Blanks part the words; "" is an empty one. */
static int split(char *line, char *words[], int room)
{
    int count = 0;
    for (char *word = strtok(line, " "); word && count < room; word = strtok(NULL, " "))
        words[count++] = strcmp(word, "\"\"") == 0 ? word + 2 : word;
    return count;
}

/* "& COMMAND" is sent by another client, which then waits for something. */
static void do_one(struct server *s, char *line, redisContext *other)
{
    char *words[32];
    bool waits = line[0] == '&';
    int count = split(line + (waits ? 1 : 0), words, 32);
    redisContext *c = waits ? other : connection(s);
    int appended = redisAppendCommandArgv(c, count, (const char **)words, NULL);
    cr_assert_eq(appended, REDIS_OK);
    if (waits) {
        int done = 0;
        while (!done) cr_assert_eq(redisBufferWrite(c, &done), REDIS_OK);
        wait_until(info_number(s, "clients", "blocked_clients") > 0);
        return;
    }
    freeReplyObject(receive(s));
}

static char *propagated(struct follower *f, const char *scenario, redisContext *other)
{
    char *copy = strdup(scenario), *next = copy;
    while (next) {
        char *line = next;
        if ((next = strstr(line, " | "))) *next = 0, next += 3;
        do_one(f->server, line, other);
    }
    free(copy);
    return heard(f);
}

/* --- scenarios --- */

/* "!" before one: on empty databases; the others go on from where the one before left them. */
static const char *const strings[] = {
    "! SET a 1",
    "set a 1",
    "SET a 1 EX 100",
    "Set a 1 px 100000",
    "SET a 1 EXAT 9999999999",
    "SET a 1 PXAT 9999999999000",
    "SET a 1 KEEPTTL",
    "SET a 1 KEEPTTL GET",
    "SET a 1 NX",
    "SET a 1 XX GET",
    "SET a 1 GET",
    "set a 1 get keepttl xx",
    "SET a 1 EX 100 GET",
    "SET a 2 NX GET",
    "SET new 2 NX GET",
    "SET gone 0 | SET gone 1 PXAT 1",
    "SETEX b 100 v",
    "PSETEX b 100000 v",
    "SETNX b v",
    "SETNX c v",
    "GETSET b w",
    "GETDEL b",
    "GETDEL b",
    "SET a v | GETEX a",
    "GETEX a EX 100",
    "GETEX a PX 100000",
    "GETEX a EXAT 9999999999",
    "GETEX a PERSIST",
    "GETEX a PERSIST",
    "GETEX a EXAT 1",
    "MSET k1 v1 k2 v2",
    "MSETNX k1 v1 k3 v3",
    "MSETNX k4 v1 k5 v3",
    "APPEND k1 x",
    "APPEND k1 \"\"",
    "SETRANGE k1 5 x",
    "SETRANGE k1 0 \"\"",
    "SETRANGE none 0 \"\"",
    "INCR n",
    "DECR n",
    "INCRBY n 5",
    "DECRBY n 3",
    "INCRBYFLOAT n 1.5",
    "SETBIT bits 7 1",
    "SETBIT bits 7 1",
    "BITFIELD bits SET u8 0 255",
    "BITFIELD bits GET u8 0",
    "BITFIELD bits INCRBY u8 0 1 OVERFLOW FAIL INCRBY u8 0 255",
    "BITOP AND d k1 k2",
    "BITOP AND d none",
    "BITOP AND d none",
    "PFADD h a b",
    "PFADD h a b",
    "PFADD h2",
    "PFMERGE h3 h h2",
    "PFCOUNT h",
    "PFCOUNT h",
    "PFCOUNT h h2",
};

static const char *const keys[] = {
    "! SET k1 v | SET k2 v | EXPIRE k1 100",
    "PEXPIRE k1 100000",
    "EXPIREAT k1 9999999999",
    "PEXPIREAT k1 9999999999000",
    "EXPIRE k1 100 NX",
    "EXPIRE k1 10000 LT",
    "EXPIRE k1 1 GT",
    "EXPIRE k1 -1",
    "EXPIREAT k2 1",
    "SET k1 v | PERSIST k1",
    "SET k1 v EX 100 | PERSIST k1",
    "EXPIRE none 100",
    "RENAME k1 k2",
    "RENAME k2 k2",
    "RENAMENX k2 k9",
    "RENAMENX k9 k9",
    "COPY k9 k10",
    "COPY k9 k10",
    "COPY k9 k10 REPLACE",
    "COPY k9 k11 DB 3",
    "MOVE k10 3",
    "MOVE none 3",
    "SELECT 3 | SET k v | SELECT 0 | SET k v",
    "DEL k9 none",
    "DEL none",
    "UNLINK k none",
    "TOUCH k | RANDOMKEY | TTL k",
    "SWAPDB 0 5 | SWAPDB 0 5",
    "SWAPDB 3 3",
    "FLUSHDB",
    "FLUSHDB SYNC",
    "FLUSHALL",
    "FLUSHALL ASYNC",
    "PUBLISH ch m",
    "SPUBLISH ch m",
};

static const char *const lists[] = {
    "! LPUSH l a b c",
    "RPUSH l d",
    "LPUSHX l e",
    "RPUSHX none e",
    "LINSERT l BEFORE a x",
    "LINSERT l BEFORE none x",
    "LSET l 0 q",
    "LREM l 0 q",
    "LREM l 0 none",
    "LTRIM l 0 100",
    "LTRIM l 5 1",
    "RPUSH l a b c d e f g h",
    "LPOP l",
    "LPOP l 2",
    "LPOP l 0",
    "RPOP l 1",
    "LPOP none 3",
    "LMPOP 2 none l LEFT COUNT 2",
    "LMPOP 1 none LEFT",
    "RPOPLPUSH l l2",
    "LMOVE l l2 LEFT RIGHT",
    "LMOVE l2 l2 LEFT RIGHT",
    "DEL l | RPUSH l a b c d e f | BLPOP none l 1",
    "BRPOP l 1",
    "BLMOVE l l2 LEFT LEFT 1",
    "BRPOPLPUSH l l2 1",
    "BLMPOP 1 2 none l LEFT COUNT 2",
    "BLPOP none 0.01",
    "SORT l2 ALPHA STORE sorted",
    "SORT none STORE sorted",
    "SORT none STORE sorted",
    "&BLPOP wait 0 | RPUSH wait x",
    "&BLMOVE wait to LEFT RIGHT 0 | RPUSH wait x y",
    "&BRPOPLPUSH wait2 to 0 | RPUSH wait2 x",
    "&BLMPOP 0 1 wait3 RIGHT COUNT 2 | RPUSH wait3 x y z",
    "&BLPOP wait4 0 | MULTI | RPUSH wait4 x | SET a 1 | EXEC",
};

static const char *const sets_and_hashes[] = {
    "! SADD s a b c",
    "SADD s a",
    "SREM s a none",
    "SREM s none",
    "SMOVE s s2 b",
    "SMOVE s s2 none",
    "SMOVE s s c",
    "SADD one x | SPOP one",
    "SADD one x | SPOP one 1",
    "SADD one x | SPOP one 5",
    "SADD one x | SPOP one 0",
    "SADD many 1 2 3 | SPOP many 3",
    "SPOP none",
    "SINTERSTORE d s s2",
    "SUNIONSTORE d s s2",
    "SDIFFSTORE d s s2",
    "SDIFFSTORE d none",
    "SDIFFSTORE d none",
    "HSET h a 1 b 2",
    "HSET h a 1",
    "HMSET h c 3",
    "HSETNX h d 1",
    "HSETNX h d 1",
    "HINCRBY h a 1",
    "HINCRBYFLOAT h a 1.5",
    "HDEL h a none",
    "HDEL h none",
    "HDEL h b c d",
};

static const char *const sorted_sets[] = {
    "! ZADD z 1 a 2 b 3 c",
    "ZADD z 1 a",
    "ZADD z XX CH 5 a",
    "ZADD z INCR 1.5 a",
    "ZADD z NX 9 a",
    "ZADD z GT 1 a",
    "ZINCRBY z 2 b",
    "ZREM z none",
    "ZREM z c",
    "ZPOPMIN z",
    "ZPOPMAX z 0",
    "ZADD z 1 a 2 b 3 c 4 d | ZPOPMIN z 2",
    "ZPOPMAX none",
    "ZMPOP 2 none z MIN COUNT 1",
    "ZADD z 1 a 2 b 3 c 4 d | BZPOPMIN none z 1",
    "BZPOPMAX z 1",
    "BZMPOP 1 1 z MIN",
    "&BZPOPMIN wait 0 | ZADD wait 1 a",
    "&BZMPOP 0 1 wait MAX COUNT 2 | ZADD wait 1 a 2 b 3 c",
    "ZADD z 1 a 2 b 3 c 4 d | ZREMRANGEBYRANK z 0 0",
    "ZREMRANGEBYSCORE z 2 2",
    "ZREMRANGEBYLEX z [c [c",
    "ZREMRANGEBYRANK z 10 20",
    "ZRANGESTORE zd z 0 1",
    "ZRANGESTORE zd z 10 11",
    "ZRANGESTORE zd z 10 11",
    "ZUNIONSTORE zd 2 z zd",
    "ZINTERSTORE zd 2 z none",
    "ZDIFFSTORE zd 1 z",
    "GEOADD g 13 38 P 15 37 Q",
    "GEOADD g 13 38 P",
    "GEOADD g XX CH 13 39 P",
    "GEOSEARCHSTORE gd g FROMLONLAT 15 37 BYRADIUS 500 km",
    "GEORADIUS g 15 37 500 km STORE gd2",
    "GEORADIUS g 15 37 1 m STORE gd2",
    "GEORADIUSBYMEMBER g P 500 km STOREDIST gd2",
};

static const char *const streams[] = {
    "! XADD x 1-1 a b",
    "XADD x * a b",
    "XADD x 9999999999999-* a b",
    "XADD y MAXLEN 2 1-1 a b",
    "XADD y MAXLEN ~ 2 2-1 a b",
    "XADD y MAXLEN = 2 3-1 a b | XADD y MAXLEN 2 4-1 a b",
    "XADD y MINID 3-1 5-1 a b",
    "XADD y MINID ~ 3-1 6-1 a b",
    "XADD y MAXLEN ~ 2 LIMIT 10 7-1 a b",
    "XADD none NOMKSTREAM 1-1 a b",
    "XDEL x 1-1",
    "XDEL x 1-1",
    "XTRIM y MAXLEN 1",
    "XTRIM y MAXLEN 1",
    "XTRIM y MAXLEN ~ 1",
    "XTRIM y MINID 7-1",
    "XSETID y 8-1",
    "XSETID y 9-1 ENTRIESADDED 100 MAXDELETEDID 8-1",
};

static const char *const groups[] = {
    "! XGROUP CREATE y g $ MKSTREAM",
    "XGROUP CREATE y g 0",
    "XGROUP CREATE y g2 $ ENTRIESREAD 5",
    "XGROUP SETID y g 0",
    "XGROUP SETID y g 0 ENTRIESREAD 0",
    "XGROUP CREATECONSUMER y g c1",
    "XGROUP CREATECONSUMER y g c1",
    "XGROUP DELCONSUMER y g c1",
    "XGROUP DELCONSUMER y g c1",
    "XGROUP DESTROY y g2",
    "XGROUP DESTROY y g2",
    "XADD y 1-1 a b | XADD y 2-1 a b | XADD y 3-1 a b | XADD y 4-1 a b",
    "XREADGROUP GROUP g new COUNT 1 STREAMS y >",
    "XREADGROUP GROUP g new COUNT 1 STREAMS y >",
    "XREADGROUP GROUP g new2 COUNT 1 NOACK STREAMS y >",
    "XREADGROUP GROUP g new2 COUNT 1 NOACK STREAMS y >",
    "XREADGROUP GROUP g new3 STREAMS y >",
    "XREADGROUP GROUP g new3 STREAMS y >",
    "XREADGROUP GROUP g new STREAMS y 0",
    "XREADGROUP GROUP g new4 STREAMS y 0",
    "XADD y 5-1 a b | XADD y 6-1 a b | XREADGROUP GROUP g new5 STREAMS y >",
    "XACK y g 1-1",
    "XACK y g 1-1",
    "XCLAIM y g c5 0 2-1",
    "XCLAIM y g c6 0 2-1 5-1 JUSTID",
    "XCLAIM y g c7 100000000 2-1",
    "XCLAIM y g c6 0 2-1 IDLE 100",
    "XCLAIM y g c6 0 2-1 TIME 1000000000000 RETRYCOUNT 7",
    "XCLAIM y g c8 0 99-1 FORCE",
    "XCLAIM y g c8 0 3-1 FORCE",
    "XCLAIM y g c8 0 3-1 LASTID 6-1",
    "XCLAIM y g c8 0 99-1 LASTID 9-1",
    "XAUTOCLAIM y g c9 0 0",
    "XAUTOCLAIM y g c9 0 0 COUNT 1 JUSTID",
    "XAUTOCLAIM y g c10 0 99-1",
    "XADD y 10-1 a b | XREADGROUP GROUP g c9 STREAMS y > | XDEL y 10-1 | XAUTOCLAIM y g c9 0 0",
    "XADD y 11-1 a b | XREADGROUP GROUP g c9 STREAMS y > | XDEL y 11-1 | XCLAIM y g c9 0 11-1",
    "XADD y 12-1 a b | XREADGROUP GROUP g c9 STREAMS y > | XDEL y 12-1 | XCLAIM y g c12 0 12-1",
    "XADD v 1-1 a b | XGROUP CREATE v g 0 | XADD w 1-1 a b | XGROUP CREATE w g 0",
    "XREADGROUP GROUP g c STREAMS v w > >",
    "XGROUP CREATECONSUMER y g waits",
    "&XREADGROUP GROUP g waits BLOCK 0 STREAMS y > | XADD y 20-1 a b",
    "&XREAD BLOCK 0 STREAMS y $ | XADD y 21-1 a b",
};

static const char *const transactions[] = {
    "! MULTI | SET a 1 | INCR b | EXEC",
    "MULTI | GET a | EXEC",
    "MULTI | SET a 1 | EXEC",
    "MULTI | SET a 1 GET | EXEC",
    "MULTI | SET a 1 | SELECT 3 | SET b 2 | SELECT 0 | EXEC",
    "MULTI | SET a 1 | PUBLISH x y | EXEC",
    "MULTI | PUBLISH x y | EXEC",
    "MULTI | SADD s a | SPOP s | EXEC",
    "MULTI | EXEC",
    "MULTI | SET a 1 PX 100000 | EXEC",
    "MULTI | SET a 1 | FLUSHALL | EXEC",
    "MULTI | DEL none | EXEC",
    "XADD x 1-1 a b | MULTI | XGROUP CREATE x g 0 | XREADGROUP GROUP g c STREAMS x > | EXEC",
    "WATCH a | MULTI | SET a 1 | EXEC",
};

/* Each begins with a key that has run out. */
static const char *const expired[] = {
    "GET v",
    "SET v w",
    "SET v w KEEPTTL",
    "SET v w KEEPTTL GET",
    "SET v w GET",
    "SET v w XX",
    "SET v w NX",
    "SETNX v w",
    "SETEX v 100 w",
    "GETSET v w",
    "GETDEL v",
    "GETEX v PERSIST",
    "SETRANGE v 1 x",
    "APPEND v x",
    "INCR v",
    "INCRBYFLOAT v 1.5",
    "SETBIT v 1 1",
    "BITFIELD v SET u8 0 1",
    "MSET v 1 q 2",
    "MSETNX v 1 q2 2",
    "SET q 3 | RENAME q v",
    "SET q 3 | RENAMENX q v",
    "SET q 3 | COPY q v",
    "COPY q v REPLACE",
    "SADD s a | SUNIONSTORE v s",
    "SINTERSTORE v none",
    "RPUSH l 1 | SORT l STORE v",
    "SORT none STORE v",
    "ZADD z 1 a | ZRANGESTORE v z 0 -1",
    "ZADD z 1 a | ZUNIONSTORE v 1 z",
    "ZUNIONSTORE v 1 none",
    "SET q 3 | BITOP NOT v q",
    "BITOP NOT v none",
    "PFMERGE v none",
    "GEOADD g 13 38 P | GEOSEARCHSTORE v g FROMLONLAT 15 37 BYRADIUS 500 km",
    "LPUSH v a",
    "LPUSHX v a",
    "HSET v a b",
    "HSETNX v a b",
    "HINCRBYFLOAT v f 1.5",
    "SADD v a",
    "ZADD v 1 a",
    "XADD v 1-1 a b",
    "XGROUP CREATE v g 0 MKSTREAM",
    "PERSIST v",
    "EXPIRE v 100",
    "DEL v",
    "UNLINK v",
    "TOUCH v",
    "EXISTS v",
    "TTL v",
    "OBJECT ENCODING v",
    "MOVE v 3",
    "SPOP v",
    "RPUSH l 1 | RPOPLPUSH l v",
    "BLPOP v 0.01",
    "DUMP v",
    "XREAD STREAMS v 0",
    "XACK v g 1-1",
    "LMPOP 1 v LEFT",
    "SINTERCARD 1 v",
    "MULTI | GET v | GET w | EXEC",
};

/* --- what differs --- */

struct difference {
    const char *scenario, *ours, *why;
};

static const char expired_key[] = "SET v v PXAT <now> ; ";
static const char goes_at_once[] = "a time that has passed deletes at once; Debian's keeps the key until it is met";
static const char overwritten[] = "what overwrites an expired key says all, and a DEL before it nothing more";
static const char destination[] = "an expired destination that gets nothing is deleted, as one that is there";
static const char entries_read[] =
    "as Redis 8 we say behind a reading how far the group has read, to whoever knows such words: replicas know its lag";
static const char new_consumer[] =
    "7.2 makes the consumer even when there is nothing for it, and replicas are to have it";

/* The scenario's text; with expired_key before it, one of `expired`. */
static const struct difference differences[] = {
    {"SET gone 0 | SET gone 1 PXAT 1", "SET gone 0 ; DEL gone ; ", goes_at_once},
    {"EXPIRE k1 10000 LT", "PEXPIREAT k1 <now> ; ",
     "what was decided need not be decided again, least of all by a 6.2, which does not know the option"},
    {"XADD y MINID ~ 3-1 6-1 a b", "XADD y MINID = 3-1 6-1 a b ; ",
     "the first entry that is left; Debian's names its node, whose first may have gone"},
    {"XREADGROUP GROUP g new3 STREAMS y >", "XGROUP CREATECONSUMER y g new3 ; ", new_consumer},
    {"XREADGROUP GROUP g new4 STREAMS y 0", "XGROUP CREATECONSUMER y g new4 ; ", new_consumer},
    {"XCLAIM y g c7 100000000 2-1", "XGROUP CREATECONSUMER y g c7 ; ", new_consumer},
    {"XCLAIM y g c8 0 99-1 FORCE", "XGROUP CREATECONSUMER y g c8 ; ", new_consumer},
    {"XAUTOCLAIM y g c10 0 99-1", "XGROUP CREATECONSUMER y g c10 ; ", new_consumer},
    {"XREADGROUP GROUP g new COUNT 1 STREAMS y >",
     "MULTI ; XCLAIM y g new 0 1-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1 ; XGROUP SETID y g 1-1 "
     "ENTRIESREAD 1 ; EXEC ; ",
     entries_read},
    {"XREADGROUP GROUP g new COUNT 1 STREAMS y >",
     "MULTI ; XCLAIM y g new 0 2-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 2-1 ; XGROUP SETID y g 2-1 "
     "ENTRIESREAD 2 ; EXEC ; ",
     entries_read},
    {"XADD y 5-1 a b | XADD y 6-1 a b | XREADGROUP GROUP g new5 STREAMS y >",
     "XADD y 5-1 a b ; XADD y 6-1 a b ; MULTI ; XCLAIM y g new5 0 5-1 TIME <now> RETRYCOUNT 1 FORCE "
     "JUSTID LASTID 5-1 ; XCLAIM y g new5 0 6-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 6-1 ; XGROUP "
     "SETID y g 6-1 ENTRIESREAD 6 ; EXEC ; ",
     entries_read},
    {"XADD y 10-1 a b | XREADGROUP GROUP g c9 STREAMS y > | XDEL y 10-1 | XAUTOCLAIM y g c9 0 0",
     "XADD y 10-1 a b ; MULTI ; XCLAIM y g c9 0 10-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 10-1 ; "
     "XGROUP SETID y g 10-1 ENTRIESREAD 7 ; EXEC ; XDEL y 10-1 ; MULTI ; XCLAIM y g c9 0 2-1 TIME <now> "
     "RETRYCOUNT 9 FORCE JUSTID LASTID 10-1 ; XCLAIM y g c9 0 3-1 TIME <now> RETRYCOUNT 5 FORCE JUSTID "
     "LASTID 10-1 ; XCLAIM y g c9 0 5-1 TIME <now> RETRYCOUNT 3 FORCE JUSTID LASTID 10-1 ; XCLAIM y g c9 "
     "0 6-1 TIME <now> RETRYCOUNT 3 FORCE JUSTID LASTID 10-1 ; XCLAIM y g c9 0 10-1 TIME <now> RETRYCOUNT "
     "1 FORCE JUSTID LASTID 10-1 ; EXEC ; ",
     entries_read},
    {"XADD y 11-1 a b | XREADGROUP GROUP g c9 STREAMS y > | XDEL y 11-1 | XCLAIM y g c9 0 11-1",
     "XADD y 11-1 a b ; MULTI ; XCLAIM y g c9 0 11-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 11-1 ; "
     "XGROUP SETID y g 11-1 ENTRIESREAD 8 ; EXEC ; XDEL y 11-1 ; XCLAIM y g c9 0 11-1 TIME <now> "
     "RETRYCOUNT 1 FORCE JUSTID LASTID 11-1 ; ",
     entries_read},
    {"XADD y 12-1 a b | XREADGROUP GROUP g c9 STREAMS y > | XDEL y 12-1 | XCLAIM y g c12 0 12-1",
     "XADD y 12-1 a b ; MULTI ; XCLAIM y g c9 0 12-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 12-1 ; "
     "XGROUP SETID y g 12-1 ENTRIESREAD 9 ; EXEC ; XDEL y 12-1 ; MULTI ; XCLAIM y g c9 0 12-1 TIME <now> "
     "RETRYCOUNT 1 FORCE JUSTID LASTID 12-1 ; XGROUP CREATECONSUMER y g c12 ; EXEC ; ",
     new_consumer},
    {"XREADGROUP GROUP g c STREAMS v w > >",
     "MULTI ; XCLAIM v g c 0 1-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1 ; XGROUP SETID v g 1-1 "
     "ENTRIESREAD 1 ; XCLAIM w g c 0 1-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1 ; XGROUP SETID w "
     "g 1-1 ENTRIESREAD 1 ; EXEC ; ",
     entries_read},
    {"&XREADGROUP GROUP g waits BLOCK 0 STREAMS y > | XADD y 20-1 a b",
     "XADD y 20-1 a b ; MULTI ; XCLAIM y g waits 0 20-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID LASTID 20-1 "
     "; XGROUP SETID y g 20-1 ENTRIESREAD 10 ; EXEC ; ",
     entries_read},
    {"XADD x 1-1 a b | MULTI | XGROUP CREATE x g 0 | XREADGROUP GROUP g c STREAMS x > | EXEC",
     "XADD x 1-1 a b ; MULTI ; XGROUP CREATE x g 0 ; XCLAIM x g c 0 1-1 TIME <now> RETRYCOUNT 1 FORCE JUSTID "
     "LASTID 1-1 ; XGROUP SETID x g 1-1 ENTRIESREAD 1 ; EXEC ; ",
     entries_read},
    {"SET v w", "SET v w ; ", overwritten},
    {"SETEX v 100 w", "SET v w PXAT <now> ; ", overwritten},
    {"MSET v 1 q 2", "MSET v 1 q 2 ; ", overwritten},
    {"SADD s a | SUNIONSTORE v s", "SADD s a ; SUNIONSTORE v s ; ", overwritten},
    {"RPUSH l 1 | SORT l STORE v", "RPUSH l 1 ; SORT l STORE v ; ", overwritten},
    {"ZADD z 1 a | ZRANGESTORE v z 0 -1", "ZADD z 1 a ; ZRANGESTORE v z 0 -1 ; ", overwritten},
    {"ZADD z 1 a | ZUNIONSTORE v 1 z", "ZADD z 1 a ; ZUNIONSTORE v 1 z ; ", overwritten},
    {"SET q 3 | BITOP NOT v q", "SET q 3 ; BITOP NOT v q ; ", overwritten},
    {"GEOADD g 13 38 P | GEOSEARCHSTORE v g FROMLONLAT 15 37 BYRADIUS 500 km",
     "ZADD g 3479065152021743 P ; GEOSEARCHSTORE v g FROMLONLAT 15 37 BYRADIUS 500 km ; ", overwritten},
    {"SINTERSTORE v none", "DEL v ; ", destination},
    {"SORT none STORE v", "DEL v ; ", destination},
    {"ZUNIONSTORE v 1 none", "DEL v ; ", destination},
    {"BITOP NOT v none", "DEL v ; ", destination},
};

static bool is_expected(const char *scenario, const char *ours)
{
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
        if (strcmp(scenario, differences[i].scenario) == 0 && strcasecmp(ours, differences[i].ours) == 0) return true;
    return false;
}

/* --- the comparison --- */

struct both {
    struct follower *ours, *theirs;
    redisContext *our_other, *their_other;
};

static struct both start_both(void)
{
    /* What follows does not say who it is: as Debian's, ours is to speak to it as to a 7.0. */
    static const char config[] = "repl-ping-replica-period 3600\nrepl-diskless-sync no",
                      for_7[] = "\nrdb-write-for 7.0";
    struct server *ours = server_start(OURS, "%s%s", config, for_7), *theirs = server_start(DEBIAN, "%s", config);
    expect_ok(ours, "DEBUG SET-ACTIVE-EXPIRE 0");
    expect_ok(theirs, "DEBUG SET-ACTIVE-EXPIRE 0");
    return (struct both){follower_start(ours), follower_start(theirs), server_connect(ours), server_connect(theirs)};
}

static void flush(struct follower *f)
{
    expect_ok(f->server, "FLUSHALL");
    free(heard(f));
}

/* false: told what differs. `after` is left out of what was heard. */
static bool same_stream(struct both *b, const char *scenario, const char *before, const char *after)
{
    char line[512];
    snprintf(line, sizeof line, "%s%s", before, scenario);
    char *theirs = propagated(b->theirs, line, b->their_other), *ours = propagated(b->ours, line, b->our_other);
    size_t skip = strlen(after);
    bool begins = strncmp(ours, after, skip) == 0;
    bool same = strcasecmp(ours, theirs) == 0 || (begins && is_expected(scenario, ours + skip));
    if (!same) fprintf(stderr, "%s\n  ours:   %s\n  theirs: %s\n", line, ours, theirs);
    free(ours);
    free(theirs);
    return same;
}

static void expect_same_streams(const char *const *scenarios, size_t count)
{
    struct both b = start_both();
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) {
        bool fresh = scenarios[i][0] == '!';
        if (fresh) flush(b.ours), flush(b.theirs);
        differ += !same_stream(&b, scenarios[i] + (fresh ? 2 : 0), "", "");
    }
    cr_assert_eq(differ, 0, "%zu of %zu scenarios differ", differ, count);
}

#define EXPECT_SAME_STREAMS(list) expect_same_streams(list, sizeof(list) / sizeof *(list))

Test(propagation, of_strings)
{
    EXPECT_SAME_STREAMS(strings);
}

Test(propagation, of_keys)
{
    EXPECT_SAME_STREAMS(keys);
}

Test(propagation, of_lists)
{
    EXPECT_SAME_STREAMS(lists);
}

Test(propagation, of_sets_and_hashes)
{
    EXPECT_SAME_STREAMS(sets_and_hashes);
}

Test(propagation, of_sorted_sets)
{
    EXPECT_SAME_STREAMS(sorted_sets);
}

Test(propagation, of_streams)
{
    EXPECT_SAME_STREAMS(streams);
}

Test(propagation, of_groups)
{
    EXPECT_SAME_STREAMS(groups);
}

Test(propagation, of_transactions)
{
    EXPECT_SAME_STREAMS(transactions);
}

Test(propagation, of_what_meets_an_expired_key)
{
    struct both b = start_both();
    size_t differ = 0, count = sizeof expired / sizeof *expired;
    for (size_t i = 0; i < count; i++) {
        flush(b.ours);
        flush(b.theirs);
        differ += !same_stream(&b, expired[i], "SET v v PX 1 | DEBUG SLEEP 0.003 | ", expired_key);
    }
    cr_assert_eq(differ, 0, "%zu of %zu scenarios differ", differ, count);
}
