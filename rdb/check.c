/* redis-check-rdb: reads a file as the server would, inserts nothing, and says in the words of Redis's tool what is in
 * it, or what is wrong and where. The checker, a process of its own. */
#include "rdb/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rdb/file_feed.h"
#include "rdb/format.h"
#include "rdb/type.h"
#include "server/base/clock.h"

static void print_line(void *context, uint64_t offset, const char *line)
{
    (void)context;
    printf("[offset %llu] %s\n", (unsigned long long)offset, line);
}

static void print_counts(const struct rdb_read_result *result)
{
    printf("[info] %llu keys read\n", (unsigned long long)(result->keys_loaded + result->keys_expired));
    printf("[info] %llu expires\n", (unsigned long long)result->keys_with_expiry);
    printf("[info] %llu already expired\n", (unsigned long long)result->keys_expired);
}

static void print_failure(const struct rdb_reader *reader, enum rdb_file_end end)
{
    struct rdb_position position = rdb_reader_position(reader);
    const char *reason = end == RDB_FILE_BAD     ? position.reason
                         : end == RDB_FILE_SHORT ? "Unexpected EOF reading RDB file"
                                                 : strerror(errno);
    printf("--- RDB ERROR DETECTED ---\n");
    print_line(NULL, position.offset, reason);
    printf("[additional info] While doing: %s\n", position.doing);
    if (position.key.ptr) {
        printf("[additional info] Reading key '%.*s'\n", (int)(position.key.len < 1024 ? position.key.len : 1024),
               (const char *)position.key.ptr);
    }
    if (position.type >= 0) {
        printf("[additional info] Reading type %d (%s)\n", rdb_type_byte((uint8_t)position.type),
               rdb_type_name((uint8_t)position.type));
    }
}

bool rdb_check_fd(int fd, uint64_t total, uint64_t *end_offset)
{
    struct rdb_read_options options = {
        .now_ms = clock_wall_ms(),
        .drop_expired = true, /* so that they are counted apart */
        .verify_only = true,
        .sanitize = true, /* as Redis's tool: what loading would make good is told, too */
        .total_bytes = total,
        .trace = print_line,
    };
    struct rdb_reader *reader = rdb_reader_new(NULL, &options);
    enum rdb_file_end end = rdb_feed_file(reader, fd, total, NULL, NULL);
    const struct rdb_read_result *result = rdb_reader_result(reader);
    if (end == RDB_FILE_DONE) {
        print_line(NULL, result->bytes, "\\o/ RDB looks OK! \\o/");
    } else {
        print_failure(reader, end);
    }
    print_counts(result);
    *end_offset = result->bytes;
    rdb_reader_free(reader);
    return end == RDB_FILE_DONE;
}

int rdb_check_main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: %s <rdb-file-name>\n", argc > 0 ? argv[0] : "redis-check-rdb");
        return 1;
    }
    if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("redis-check-rdb %s\n", RDB_WRITER_VERSION);
        return 0;
    }
    printf("[offset 0] Checking RDB file %s\n", argv[1]);
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        fprintf(stderr, "Cannot open %s: %s\n", argv[1], strerror(errno));
        if (fd >= 0) close(fd);
        return 1;
    }
    uint64_t end;
    bool good = rdb_check_fd(fd, (uint64_t)status.st_size, &end);
    close(fd);
    return good ? 0 : 1;
}
