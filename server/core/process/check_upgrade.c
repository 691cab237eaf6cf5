/* --check-upgrade of a directory: every file in it is read to its end as at a start, and nothing is kept or written.
 * The checker, a process of its own; a running server is asked in check_upgrade_server.c.
 *
 * A name that holds a colon and a port is a server's; all else is a directory. */
#include "server/core/process/check_upgrade.h"

#include "rdb/file_feed.h"
#include "rdb/snapshot.h"
#include "server/aof/scan.h"
#include "server/base/clock.h"
#include "server/core/command/command_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_TOLD 20

/* --- an RDB --- */

/* Redis's magic and version: "REDIS0011"; Valkey's from 9.0 on: "VALKEY080". */
static void tell_version(const char *name, const uint8_t *head, size_t len)
{
    if (len < 9) return;
    int version = atoi((const char[]){(char)head[6], (char)head[7], (char)head[8], 0});
    if (memcmp(head, "REDIS", 5) == 0)
        check_upgrade_say("%s: RDB version %.4s%s", name, (const char *)head + 5,
                          version > 9 ? ". 6.2 reads 9 at most: the way back there needs rdb-write-for 6.2" : "");
    else
        check_upgrade_say("%s: begins with %.9s%s", name, (const char *)head,
                          memcmp(head, "VALKEY", 6) == 0 ? ". Valkey from 9.0 on reads it, and no Redis does" : "");
}

/* Where an RDB ends, in *end. How much is lacking. */
static int check_rdb(const char *name, int fd, uint64_t size, uint64_t *end)
{
    struct rdb_read_options options = {
        .now_ms = clock_wall_ms(), .drop_expired = true, .verify_only = true, .total_bytes = size};
    struct rdb_reader *reader = rdb_reader_new(NULL, &options);
    enum rdb_file_end how = rdb_feed_file(reader, fd, size, NULL, NULL);
    const struct rdb_read_result *result = rdb_reader_result(reader);
    int lacks = 0;
    *end = result->bytes;
    if (how == RDB_FILE_DONE) {
        check_upgrade_say("%s: %llu keys, %llu with an expiry: loads", name,
                          (unsigned long long)(result->keys_loaded + result->keys_expired),
                          (unsigned long long)result->keys_with_expiry);
        if (result->keys_with_field_expiry)
            check_upgrade_say("%s: %llu hashes have fields that expire: the way back to a Redis before 7.4 has no room "
                              "for that",
                              name, (unsigned long long)result->keys_with_field_expiry);
    } else {
        struct rdb_position at = rdb_reader_position(reader);
        lacks = check_upgrade_lacks("%s does not load: %s, at offset %llu%s%.*s", name,
                                    how == RDB_FILE_BAD     ? at.reason
                                    : how == RDB_FILE_SHORT ? "it ends too early"
                                                            : strerror(errno),
                                    (unsigned long long)at.offset, at.key.ptr ? ", key " : "",
                                    (int)(at.key.len < 200 ? at.key.len : 200), (const char *)at.key.ptr);
    }
    rdb_reader_free(reader);
    return lacks;
}

/* --- records of an append-only file --- */

struct names {
    char name[NAMES_TOLD][64];
    int count;
};

static bool is_new(struct names *u, struct bytes name)
{
    for (int i = 0; i < u->count; i++)
        if (bytes_equal_nocase(name, u->name[i])) return false;
    if (u->count == NAMES_TOLD) return false;
    snprintf(u->name[u->count++], sizeof u->name[0], "%.*s", (int)(name.len < 63 ? name.len : 63),
             (const char *)name.ptr);
    return true;
}

/* A command that came behind 7.2, the Redis that this server follows. */
static bool is_later(const struct command_entry *e)
{
    int major = 0, minor = 0;
    if (e->doc) sscanf(e->doc->since, "%d.%d", &major, &minor);
    return major > 7 || (major == 7 && minor > 2);
}

/* How much is lacking. */
static int check_command(const char *name, const struct aof_record *r, const struct command_table *commands,
                         struct names *unknown, struct names *later)
{
    const struct command_entry *e = command_table_resolve(commands, (uint32_t)r->argc, r->argv);
    if (!e && is_new(unknown, r->argv[0]))
        return check_upgrade_lacks("%s has the command %s, which this server does not know", name,
                                   unknown->name[unknown->count - 1]);
    if (e && is_later(e) && is_new(later, r->argv[0]))
        check_upgrade_say("%s has the command %s, of version %s: the way back to an earlier one would lose what it did",
                          name, later->name[later->count - 1], e->doc->since);
    return 0;
}

static int check_records(const char *name, const uint8_t *data, uint64_t size, uint64_t from,
                         const struct command_table *commands)
{
    struct aof_scan *scan =
        aof_scan_new(&(struct aof_scan_options){.offset = from, .size = size, .arguments = true, .as_server = true});
    struct names unknown = {.count = 0}, later = {.count = 0};
    uint64_t count = 0;
    int lacks = 0;
    for (;;) {
        size_t consumed;
        enum aof_scan_status status = aof_scan_feed(scan, data + from, size - from, &consumed);
        from += consumed;
        if (status == AOF_SCAN_COMMAND) {
            count++;
            lacks += check_command(name, aof_scan_record(scan), commands, &unknown, &later);
        } else if (status != AOF_SCAN_ANNOTATION) {
            if (status != AOF_SCAN_END)
                lacks += check_upgrade_lacks("%s is cut or damaged behind offset %llu", name,
                                             (unsigned long long)aof_scan_valid_offset(scan));
            break;
        }
    }
    check_upgrade_say("%s: %llu commands", name, (unsigned long long)count);
    aof_scan_free(scan);
    return lacks;
}

/* --- the directory --- */

static int check_file(const char *name, const struct command_table *commands)
{
    struct stat status;
    uint64_t end = 0;
    int fd = open(name, O_RDONLY | O_CLOEXEC), lacks = 0;
    if (fd < 0 || fstat(fd, &status) != 0) {
        if (fd >= 0) close(fd);
        return check_upgrade_lacks("%s cannot be read: %s", name, strerror(errno));
    }
    uint64_t size = (uint64_t)status.st_size;
    uint8_t *data = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    bool is_rdb = strstr(name, ".rdb") != NULL;
    if (data != MAP_FAILED) {
        is_rdb |= aof_begins_with_rdb(bytes_make(data, size < AOF_HEAD_BYTES ? size : AOF_HEAD_BYTES));
        if (is_rdb) tell_version(name, data, size);
        if (is_rdb) lacks = check_rdb(name, fd, size, &end);
        if (!lacks && !strstr(name, ".rdb")) lacks = check_records(name, data, size, end, commands);
        munmap(data, size);
    } else {
        check_upgrade_say("%s is empty", name);
    }
    close(fd);
    return lacks;
}

static bool is_data(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && (strcmp(name + len - 4, ".rdb") == 0 || strcmp(name + len - 4, ".aof") == 0);
}

/* Files found; -1: no directory. */
static int check_folder(const char *path, bool folders_too, const struct command_table *commands, int *lacks)
{
    DIR *folder = opendir(path);
    int found = 0;
    if (!folder) return -1;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        struct stat status;
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (stat(name, &status) != 0) continue;
        if (S_ISDIR(status.st_mode) && folders_too) {
            int inside = check_folder(name, false, commands, lacks);
            found += inside > 0 ? inside : 0;
        } else if (S_ISREG(status.st_mode) && is_data(entry->d_name)) {
            *lacks += check_file(name, commands);
            found++;
        }
    }
    closedir(folder);
    return found;
}

static int check_directory(const char *path, const struct command_table *commands)
{
    int lacks = 0, found = check_folder(path, true, commands, &lacks);
    if (found < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (!found) check_upgrade_say("%s holds no data: a server starts there with nothing", path);
    return lacks;
}

int check_upgrade_main(int argc, char **argv, const struct command_table *commands)
{
    if (argc != 3) {
        fprintf(stderr,
                "Usage: %s --check-upgrade DIR|HOST:PORT\n"
                "       a password in REDISCLI_AUTH, as redis-cli has it\n",
                argv[0]);
        return 2;
    }
    char host[256];
    const char *colon = strrchr(argv[2], ':');
    int port = colon ? atoi(colon + 1) : 0, lacks;
    if (port > 0 && port < 65536) {
        snprintf(host, sizeof host, "%.*s", (int)(colon - argv[2]), argv[2]);
        lacks = check_upgrade_server(host, port, commands);
    } else {
        lacks = check_directory(argv[2], commands);
    }
    if (lacks < 0) return 2;
    printf(lacks ? "%d of these things are lacking here\n" : "Nothing is lacking here\n", lacks);
    return lacks ? 1 : 0;
}
