/* --check-upgrade of a running server: it is asked as a client asks, by commands that only read. The checker, a process
 * of its own.
 *
 * A reply's strings are all that is wanted of it, so they come as one flat list, whatever they stand in. */
#include "server/core/process/check_upgrade.h"

#include "server/base/alloc.h"
#include "server/core/command/command_table.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S    10
#define STRING_MAX    (64 << 20)
#define REPLY_STRINGS 100000

struct answer {
    FILE *stream;
    char **string;
    size_t count;
    bool error; /* the reply is one: its text is the only string */
};

static FILE *reach(const char *host, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    int error = getaddrinfo(host, service, &hints, &found), fd = -1;
    for (const struct addrinfo *a = error ? NULL : found; a && fd < 0; a = a->ai_next) {
        struct timeval patience = {.tv_sec = PATIENCE_S};
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) continue;
        close(fd);
        fd = -1;
    }
    if (!error) freeaddrinfo(found);
    return fd < 0 ? NULL : fdopen(fd, "r+");
}

/* --- replies --- */

static void keep(struct answer *a, char *text)
{
    if (a->count == REPLY_STRINGS) {
        mem_free(text);
        return;
    }
    a->string = mem_realloc(a->string, (a->count + 1) * sizeof *a->string);
    a->string[a->count++] = text;
}

static void forget(struct answer *a)
{
    for (size_t i = 0; i < a->count; i++) mem_free(a->string[i]);
    mem_free(a->string);
    a->string = NULL;
    a->count = 0;
}

static int read_string(struct answer *a, long long len)
{
    if (len > STRING_MAX) return -1;
    char *text = mem_alloc((size_t)len + 3);
    if (fread(text, 1, (size_t)len + 2, a->stream) != (size_t)len + 2) {
        mem_free(text);
        return -1;
    }
    text[len] = '\0';
    keep(a, text);
    return 0;
}

/* Without depth: an array's elements follow it, and only their number counts. 0; -1: no reply. */
static int read_reply(struct answer *a)
{
    char line[1024];
    a->error = false;
    for (long long left = 1; left > 0; left--) {
        if (!fgets(line, sizeof line, a->stream)) return -1;
        long long number = atoll(line + 1);
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '$' && number >= 0 && read_string(a, number) != 0) return -1;
        if (line[0] == '*' && number > 0) left += number;
        if (line[0] == '+' || line[0] == '-') keep(a, mem_strdup(line + 1));
        if (line[0] == '-') a->error = true;
    }
    return 0;
}

/* Asks, with one word or two. 0; -1: it does not answer. */
static int ask(struct answer *a, const char *first, const char *second)
{
    forget(a);
    fseek(a->stream, 0, SEEK_CUR);
    fprintf(a->stream, "*%d\r\n$%zu\r\n%s\r\n", second ? 2 : 1, strlen(first), first);
    if (second) fprintf(a->stream, "$%zu\r\n%s\r\n", strlen(second), second);
    return fflush(a->stream) == 0 && read_reply(a) == 0 ? 0 : -1;
}

/* --- INFO --- */

static bool field(const char *info, const char *name, char *out, size_t size)
{
    char start[64];
    snprintf(start, sizeof start, "\n%s:", name);
    const char *at = strstr(info, start);
    out[0] = '\0';
    if (!at) return false;
    at += strlen(start);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\r\n"), at);
    return true;
}

static void tell_version(const char *info, bool functions)
{
    char version[64], valkey[64], mode[64];
    field(info, "redis_version", version, sizeof version);
    field(info, "redis_mode", mode, sizeof mode);
    if (field(info, "valkey_version", valkey, sizeof valkey))
        check_upgrade_say("Valkey %s, %s", valkey, mode);
    else
        check_upgrade_say("Redis %s, %s", version, mode);
    if (atoi(version) < 7)
        check_upgrade_say(
            "the way back: 6.2 reads no file with streams as 7.0 writes them, and knows no functions: set "
            "rdb-write-for 6.2 before the first save");
    else if (functions)
        check_upgrade_say("the way back to 6.2 would lose the function libraries");
}

/* Commands that its clients have used since it started, or since CONFIG RESETSTAT. */
static int check_used_commands(const char *info, const struct command_table *commands)
{
    int lacks = 0;
    for (const char *at = info; (at = strstr(at, "\ncmdstat_"));) {
        char name[128];
        at += strlen("\ncmdstat_");
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ":\r\n"), at);
        const char *calls = strstr(at, "calls=");
        if (calls && atoll(calls + 6) == 0) continue; /* only refused: nobody got anything by it */
        if (!command_table_find_full(commands, bytes_from_text(name)))
            lacks += check_upgrade_lacks("its clients use the command %s (%.*s)", name,
                                         (int)strcspn(calls ? calls : "", ",\r\n"), calls ? calls : "");
    }
    return lacks;
}

static int check_keyspace(const char *info, const struct command_table *commands)
{
    int lacks = 0;
    for (const char *at = info; (at = strstr(at, "\ndb"));) {
        at += 3;
        size_t len = strcspn(at, "\r\n");
        const char *fields = strstr(at, "subexpiry=");
        if (!fields) fields = strstr(at, "keys_with_volatile_items=");
        if (!fields || fields > at + len || atoll(strchr(fields, '=') + 1) == 0) continue;
        if (!command_table_find(commands, BYTES("hpexpire")))
            lacks += check_upgrade_lacks("db%d has hashes whose fields expire", atoi(at));
        else
            check_upgrade_say("db%d has hashes whose fields expire: a Redis before 7.4 cannot take them", atoi(at));
    }
    return lacks;
}

/* Valkey 9.1's scripts, which are here, too; and Redis 8's vector sets, which may be there and never used: their
 * commands are seen among those that were. */
static bool is_built_in(const char *module)
{
    return strcmp(module, "lua") == 0 || strcmp(module, "vectorset") == 0;
}

static int check_modules(struct answer *a)
{
    int lacks = 0;
    if (ask(a, "MODULE", "LIST") != 0) return 0;
    for (size_t i = 0; !a->error && i + 1 < a->count; i++)
        if (strcmp(a->string[i], "name") == 0 && !is_built_in(a->string[i + 1]))
            lacks += check_upgrade_lacks("the module %s is loaded", a->string[i + 1]);
    return lacks;
}

static int look_at(struct answer *a, const struct command_table *commands)
{
    const char *password = getenv("REDISCLI_AUTH");
    char cluster[8];
    if (password && ask(a, "AUTH", password) != 0) return -1;
    bool functions = ask(a, "FUNCTION", "LIST") == 0 && !a->error && a->count > 0;
    int lacks = check_modules(a);
    if (ask(a, "INFO", "all") != 0) return -1;
    if (a->error || !a->count) {
        fprintf(stderr, "INFO is answered by: %s\n", a->count ? a->string[0] : "nothing");
        return -1;
    }
    const char *info = a->string[0];
    tell_version(info, functions);
    if (field(info, "cluster_enabled", cluster, sizeof cluster) && cluster[0] == '1')
        lacks += check_upgrade_lacks("it is a node of a cluster");
    return lacks + check_used_commands(info, commands) + check_keyspace(info, commands);
}

int check_upgrade_server(const char *host, int port, const struct command_table *commands)
{
    struct answer a = {.stream = reach(host, port)};
    if (!a.stream) {
        fprintf(stderr, "%s:%d cannot be reached: %s\n", host, port, strerror(errno));
        return -1;
    }
    int lacks = look_at(&a, commands);
    if (lacks < 0) fprintf(stderr, "%s:%d does not answer\n", host, port);
    forget(&a);
    fclose(a.stream);
    return lacks;
}
