/* Snapshots as files: saving, for SAVE, BGSAVE and a full sync, and loading one whole. Server process and snapshot
 * child. */
#include "rdb/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rdb/file_feed.h"
#include "server/base/discard.h"
#include "server/base/file.h"
#include "server/base/log.h"

/* What may be dirty before writing back is started, so that the fsync at the end does not have it all to do. */
#define WRITE_BACK_BYTES ((uint64_t)4 * 1024 * 1024)

/* --- save --- */

struct file_sink {
    int fd;
    uint64_t written;
    uint64_t write_back_from; /* UINT64_MAX: not asked for */
    void (*advanced)(void *context, uint64_t total);
    void *context;
};

static int file_sink_take(void *context, const uint8_t *data, size_t len)
{
    struct file_sink *sink = context;
    if (file_write_all(sink->fd, data, len) != 0) return -1;
    sink->written += len;
    if (sink->write_back_from < sink->written && sink->written - sink->write_back_from >= WRITE_BACK_BYTES) {
        /* Only a hint: what goes wrong here is told by fsync. */
        sync_file_range(sink->fd, (off64_t)sink->write_back_from, (off64_t)(sink->written - sink->write_back_from),
                        SYNC_FILE_RANGE_WRITE);
        sink->write_back_from = sink->written;
    }
    if (sink->advanced) sink->advanced(sink->context, sink->written);
    return 0;
}

int rdb_save_fd(struct keyspace *ks, int fd, const struct rdb_aux *aux, const struct rdb_write_options *options,
                void (*advanced)(void *context, uint64_t total), void *context)
{
    struct file_sink sink = {
        .fd = fd,
        .write_back_from = options->incremental_fsync ? 0 : UINT64_MAX,
        .advanced = advanced,
        .context = context,
    };
    return rdb_write_keyspace(ks, aux, options, file_sink_take, &sink);
}

int rdb_temporary_path(const char *path, pid_t pid, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int directory_len = slash ? (int)(slash - path) + 1 : 0;
    int len = snprintf(out, PATH_MAX, "%.*stemp-%d.rdb", directory_len, path, (int)pid);
    if (len < PATH_MAX) return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static const char *working_directory(char out[PATH_MAX])
{
    return getcwd(out, PATH_MAX) ? out : "unknown";
}

/* What a file is to hold: a keyspace, or without one the bytes of another file. */
struct content {
    struct keyspace *ks;
    const struct rdb_aux *aux;
    int copied_fd;
};

/* Writes and closes fd whatever happens. */
static int write_and_close(const struct content *content, int fd, const struct rdb_write_options *options)
{
    int result = content->ks
                     ? rdb_save_fd(content->ks, fd, content->aux, options, options->advanced, options->progress_context)
                     : file_copy_all(content->copied_fd, fd);
    if (result == 0) result = fsync(fd);
    int error = errno;
    if (close(fd) != 0 && result == 0) return -1;
    errno = error;
    return result;
}

static int save(const struct content *content, const char *path, const struct rdb_write_options *options)
{
    char temporary[PATH_MAX], directory[PATH_MAX];
    int fd = -1;
    if (!file_is_ordinary(path)) { /* told before all is written in vain */
        log_warning("Can't save DB on disk: %s (in server root dir %s) is no file, and stays what it is", path,
                    working_directory(directory));
        errno = EINVAL;
        return -1;
    }
    if (rdb_temporary_path(path, getpid(), temporary) == 0) {
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
    int error = errno;
    if (fd < 0) {
        log_warning("Failed opening the temp RDB file %s (in server root dir %s) for saving: %s", temporary,
                    working_directory(directory), strerror(error));
        errno = error;
        return -1;
    }
    if (write_and_close(content, fd, options) != 0) {
        error = errno;
        log_warning("Write error saving DB on disk: %s", strerror(error));
    } else if (options->may_publish && !options->may_publish(options->progress_context)) {
        error = ECANCELED;
    } else if (file_rename(temporary, path) != 0) {
        error = errno;
        log_warning("Error moving temp DB file %s on the final destination %s (in server root dir %s): %s", temporary,
                    path, working_directory(directory), strerror(error));
    } else if (file_fsync_parent(path) != 0) {
        error = errno;
        log_warning("Failed to fsync directory while saving DB: %s", strerror(error));
        errno = error;
        return -1;
    } else {
        return 0;
    }
    discard_path(temporary);
    errno = error;
    return -1;
}

int rdb_save_file(struct keyspace *ks, const char *path, const struct rdb_aux *aux,
                  const struct rdb_write_options *options)
{
    return save(&(struct content){.ks = ks, .aux = aux}, path, options);
}

int rdb_save_copy(int fd, const char *path, const struct rdb_write_options *options)
{
    return save(&(struct content){.copied_fd = fd}, path, options);
}

/* --- load --- */

/* Says why a load ended as it did. */
static void log_failed_load(const char *path, const struct rdb_reader *reader, enum rdb_file_end end, uint64_t total)
{
    uint64_t offset = rdb_reader_position(reader).offset;
    switch (end) {
    case RDB_FILE_DONE:
    case RDB_FILE_STOPPED: break;
    case RDB_FILE_BAD: log_warning("The RDB file %s cannot be loaded: %s", path, rdb_reader_error(reader)); break;
    case RDB_FILE_SHORT:
        log_warning("The RDB file %s ends at %llu bytes, in the middle of what begins at offset %llu", path,
                    (unsigned long long)total, (unsigned long long)offset);
        log_warning("Short read or OOM loading DB. Unrecoverable error, aborting now.");
        break;
    case RDB_FILE_FAILED:
        log_warning("Error reading the RDB file %s at offset %llu: %s", path, (unsigned long long)offset,
                    strerror(errno));
        log_warning("Short read or OOM loading DB. Unrecoverable error, aborting now.");
        break;
    }
}

int rdb_load_fd(struct keyspace *ks, int fd, const char *name, uint64_t file_bytes,
                const struct rdb_read_options *options, int (*turn)(void *context, uint64_t loaded, uint64_t total),
                void *context, struct rdb_read_result *result)
{
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    struct rdb_read_options sized = *options;
    sized.total_bytes = file_bytes;
    struct rdb_reader *reader = rdb_reader_new(ks, &sized);
    enum rdb_file_end end = rdb_feed_file(reader, fd, file_bytes, turn, context);
    int error = end == RDB_FILE_FAILED ? errno : end == RDB_FILE_STOPPED ? ECANCELED : EBADMSG;
    log_failed_load(name, reader, end, file_bytes);
    *result = *rdb_reader_result(reader);
    rdb_reader_free(reader);
    if (end == RDB_FILE_DONE) return 0;
    errno = error;
    return -1;
}

int rdb_load_file(struct keyspace *ks, const char *path, const struct rdb_read_options *options,
                  int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context,
                  struct rdb_read_result *result, bool *out_missing)
{
    *out_missing = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe in its place is not waited for */
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        int error = errno;
        if (fd >= 0) close(fd);
        *out_missing = error == ENOENT;
        if (!*out_missing) {
            log_warning("Fatal error: can't open the RDB file %s for reading: %s", path, strerror(error));
        }
        errno = error;
        return -1;
    }
    int loaded = rdb_load_fd(ks, fd, path, (uint64_t)status.st_size, options, turn, context, result);
    int error = errno;
    close(fd);
    errno = error;
    return loaded;
}
