/* Loading and storing the manifest. Server process; redis-check-aof loads only. Blocks: what is stored waits for the
 * disk twice.
 *
 * The temporary file has the name that Redis gives it, so that either of the two sweeps up after the other. */
#include "server/aof/manifest_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/file.h"
#include "server/base/log.h"

static int join_path(const char *directory, const char *before, const char *name, const char *after, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s%s%s", directory, before, name, after) < PATH_MAX) return 0;
    errno = ENAMETOOLONG;
    return -1;
}

int aof_manifest_path(const char *directory, const char *prefix, char out[PATH_MAX])
{
    return join_path(directory, "", prefix, ".manifest", out);
}

int aof_file_path(const char *directory, const char *name, char out[PATH_MAX])
{
    return join_path(directory, "", name, "", out);
}

/* --- load --- */

int aof_manifest_load(const char *path, struct aof_manifest **out, struct aof_manifest_fault *fault)
{
    uint8_t *text;
    size_t len;
    if (file_read_whole(path, &text, &len) != 0) return -1;
    *out = aof_manifest_parse(bytes_make(text, len), fault);
    mem_free(text);
    errno = 0;
    return *out ? 0 : -1;
}

void aof_manifest_log_fault(const struct aof_manifest_fault *fault)
{
    log_warning("\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
    if (fault->line) {
        log_warning("Reading the manifest file, at line %u\n", fault->line);
        log_warning(">>> '%s'\n", fault->text);
    }
    log_warning("%s\n", fault->reason);
}

/* --- store --- */

static int failed(const char *step, const char *path)
{
    int error = errno;
    log_warning("%s the AOF manifest %s failed: %s", step, path, strerror(error));
    errno = error;
    return -1;
}

static int write_temporary(const char *path, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return failed("Creating", path);
    int result = 0;
    if (file_write_all(fd, text.ptr, text.len) != 0) result = failed("Writing", path);
    if (result == 0 && fsync(fd) != 0) result = failed("Syncing", path);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static int replace(const char *temporary, const char *path, struct bytes text)
{
    int result = write_temporary(temporary, text);
    if (result == 0 && file_rename(temporary, path) != 0) result = failed("Renaming a file to", path);
    if (result == 0) return file_fsync_parent(path) == 0 ? 0 : failed("Syncing the directory of", path);
    int error = errno;
    unlink(temporary);
    errno = error;
    return -1;
}

/* Many bytes of a name that cannot be printed may make a line too long to be read, and numbers may come to an end. */
static bool can_be_read(struct bytes text)
{
    struct aof_manifest_fault fault;
    struct aof_manifest *m = aof_manifest_parse(text, &fault);
    aof_manifest_free(m);
    return m != NULL;
}

int aof_manifest_store(const struct aof_manifest *m, const char *directory, const char *prefix)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    if (aof_manifest_path(directory, prefix, path) != 0 ||
        join_path(directory, "temp-", prefix, ".manifest", temporary) != 0)
        return failed("Naming", prefix);
    struct bytes text = aof_manifest_format(m);
    CHECK(text.len > 0);
    errno = EOVERFLOW;
    int result = can_be_read(text) ? replace(temporary, path, text) : failed("Reading back", path);
    int error = errno;
    mem_free((void *)text.ptr);
    errno = error;
    return result;
}
