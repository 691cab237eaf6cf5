/* See append_only_parts.h: what stands on the disk. Server process, on the loop's thread at the start and on a worker's
 * later: everything here may block.
 *
 * Order is what protects the data: a file exists before the manifest names it, and is deleted after the manifest has
 * forgotten it, or calls it history. Whoever loads the directory at any moment finds all of the dataset. */
#include "server/core/dataset/append_only_parts.h"

#include "repl/replication.h"
#include "server/aof/manifest_file.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE_PREFIX "temp-rewriteaof-"

/* --- names --- */

/* Names of Redis: what a dead server of either kind has left is found by the other. */
void append_only_temporary_base(pid_t pid, bool complete, char out[64])
{
    snprintf(out, 64, BASE_PREFIX "%s%d.aof", complete ? "bg-" : "", (int)pid);
}

int append_only_temporary_incremental(const struct aof_settings *s, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/temp-%s.incr", s->directory, s->filename) < PATH_MAX) return 0;
    errno = ENAMETOOLONG;
    return -1;
}

int append_only_make_directory(const struct aof_settings *s)
{
    if (mkdir(s->directory, 0755) == 0 || errno == EEXIST) return 0;
    int error = errno;
    log_warning("Can't open or create append-only dir %s: %s", s->directory, strerror(error));
    errno = error;
    return -1;
}

static int create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), error = errno;
    if (fd < 0) log_warning("Can't open the append-only file %s: %s", path, strerror(error));
    errno = error;
    return fd;
}

int append_only_create(const struct aof_settings *s, const char *name)
{
    char path[PATH_MAX];
    return aof_file_path(s->directory, name, path) == 0 ? create(path) : -1;
}

/* What stands at the beginning of an incremental and is not of the stream. A master's stream brings its own SELECT; a
 * relayed one goes on in the database that its master had selected long ago. */
struct bytes append_only_format_head(const struct core *core, uint8_t room[APPEND_ONLY_HEAD_BYTES])
{
    struct rdb_aux aux = {0};
    if (replication_is_replica(core->replication)) replication_describe(core->replication, &aux);
    return aux.repl_id[0] ? append_only_format_select(aux.repl_stream_db, room) : (struct bytes){0};
}

struct bytes append_only_format_select(int db_index, uint8_t room[APPEND_ONLY_HEAD_BYTES])
{
    char db[16];
    int digits = snprintf(db, sizeof db, "%d", db_index);
    int len = snprintf((char *)room, APPEND_ONLY_HEAD_BYTES, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", digits, db);
    return bytes_make(room, (size_t)len);
}

/* --- what goes --- */

void append_only_delete_history(const struct aof_settings *s, struct aof_manifest *m)
{
    struct aof_files history = aof_manifest_history(m);
    if (!history.count) return;
    for (size_t i = 0; i < history.count; i++) {
        char path[PATH_MAX];
        log_notice("Removing the history file %s in the background", history.file[i].name);
        if (aof_file_path(s->directory, history.file[i].name, path) == 0 && unlink(path) != 0 && errno != ENOENT)
            log_warning("Can't remove %s: %s", path, strerror(errno));
    }
    aof_manifest_forget_history(m);
    aof_manifest_store(m, s->directory, s->filename); /* best effort: what it still names is only history */
}

/* A number behind the prefix is a process; while that lives the file is its own. */
static bool is_left_behind(const char *name)
{
    long pid;
    char rest[8];
    if (strncmp(name, BASE_PREFIX, strlen(BASE_PREFIX)) != 0) return false;
    name += strlen(BASE_PREFIX);
    if (strncmp(name, "bg-", 3) == 0) name += 3;
    if (sscanf(name, "%ld%7s", &pid, rest) != 2 || strcmp(rest, ".aof") != 0 || pid <= 0) return false;
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

void append_only_sweep(const struct aof_settings *s)
{
    char incremental[PATH_MAX];
    DIR *here = opendir(".");
    for (const struct dirent *e; here && (e = readdir(here));) {
        if (!is_left_behind(e->d_name) || unlink(e->d_name) != 0) continue;
        log_notice("Removed %s, which an unfinished rewrite had left", e->d_name);
    }
    if (here) closedir(here);
    if (append_only_temporary_incremental(s, incremental) == 0 && unlink(incremental) == 0)
        log_notice("Removed %s, which an unfinished rewrite had left", incremental);
}

/* --- the steps of a rewrite --- */

static void fail(struct append_only_job *job)
{
    job->error = errno ? errno : EIO;
}

/* The stream goes to a file of its own from the fork on. The manifest names it before the first byte is there. */
void append_only_open_incremental(struct append_only_job *job)
{
    const struct aof_settings *s = job->settings;
    char temporary[PATH_MAX];
    if (append_only_make_directory(s) != 0) return fail(job);
    if (!job->with_incremental) return;
    if (job->first) {
        if (append_only_temporary_incremental(s, temporary) != 0) return fail(job);
        log_notice("Creating AOF incr file temp-%s.incr on background rewrite", s->filename);
        job->fd = create(temporary);
        if (job->fd < 0) fail(job);
        return;
    }
    const struct aof_file *file = aof_manifest_add_incremental(job->manifest, s->filename);
    log_notice("Creating AOF incr file %s on background rewrite", file->name);
    job->fd = append_only_create(s, file->name);
    if (job->fd < 0 || aof_manifest_store(job->manifest, s->directory, s->filename) != 0) fail(job);
}

static int move(const char *what, const char *from, const struct aof_settings *s, const char *name, char to[PATH_MAX])
{
    if (aof_file_path(s->directory, name, to) != 0) return -1;
    if (file_rename(from, to) != 0) {
        int error = errno;
        log_warning("Error trying to rename the temporary AOF %s file %s into %s: %s", what, from, to, strerror(error));
        errno = error;
        return -1;
    }
    const char *last = strrchr(from, '/');
    log_notice("Successfully renamed the temporary AOF %s file %s into %s", what, last ? last + 1 : from, name);
    return 0;
}

/* What a failure leaves is not removed: the manifest may name it, though the disk would not promise that. The next
 * rewrite writes files of the same names. */
void append_only_take_base(struct append_only_job *job)
{
    const struct aof_settings *s = job->settings;
    char temporary[PATH_MAX], base[PATH_MAX], incremental[PATH_MAX];
    struct stat found;
    size_t kept = job->first || !job->with_incremental ? 0 : 1;
    const struct aof_file *file =
        aof_manifest_replace_base(job->manifest, s->filename, job->commands ? AOF_BASE_COMMANDS : AOF_BASE_RDB, kept);
    append_only_temporary_base(job->child, true, temporary);
    int64_t started_us = clock_monotonic_us();
    if (move("base", temporary, s, file->name, base) != 0) return fail(job);
    job->rename_us = clock_monotonic_us() - started_us;
    job->base_bytes = stat(base, &found) == 0 ? (uint64_t)found.st_size : 0;
    int status = 0;
    if (job->first) {
        file = aof_manifest_add_incremental(job->manifest, s->filename);
        status = append_only_temporary_incremental(s, temporary);
        if (status == 0) status = move("incr", temporary, s, file->name, incremental);
    }
    if (status == 0) status = aof_manifest_store(job->manifest, s->directory, s->filename);
    if (status != 0) return fail(job);
    if (!job->keep_history) append_only_delete_history(s, job->manifest);
}
