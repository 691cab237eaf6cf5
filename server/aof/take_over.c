/* See take_over.h. Server process.
 *
 *   directory made -> manifest with the old file's name stored -> old file renamed into the directory
 *
 * In this order the data is always found: by its old place while there is no manifest, or one whose only file is not
 * where it should be. */
#include "server/aof/take_over.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/aof/manifest_file.h"
#include "server/base/file.h"
#include "server/base/log.h"

static bool is_regular_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static bool has_no_files(const struct aof_manifest *m)
{
    return !aof_manifest_base(m) && aof_manifest_incrementals(m).count == 0 && aof_manifest_history(m).count == 0;
}

/* It was being taken over when the machine or the server died. */
static bool was_interrupted(const struct aof_settings *settings, const struct aof_manifest *m)
{
    const struct aof_file *base = aof_manifest_base(m);
    char path[PATH_MAX];
    return base && strcmp(base->name, settings->filename) == 0 && aof_manifest_incrementals(m).count == 0 &&
           aof_file_path(settings->directory, base->name, path) == 0 && access(path, F_OK) != 0 && errno == ENOENT;
}

static int failed(const char *what, const char *path)
{
    log_warning("Can't take over the append only file of an older version: %s %s: %s", what, path, strerror(errno));
    return -1;
}

static int store_manifest(const struct aof_settings *settings, struct aof_manifest **manifest)
{
    if (mkdir(settings->directory, 0755) != 0 && errno != EEXIST) return failed("creating", settings->directory);
    if (file_fsync_parent(settings->directory) != 0) return failed("fsync of what holds", settings->directory);
    struct aof_manifest *m = aof_manifest_new();
    aof_manifest_adopt(m, settings->filename);
    if (aof_manifest_store(m, settings->directory, settings->filename) != 0) {
        aof_manifest_free(m);
        return -1;
    }
    aof_manifest_free(*manifest);
    *manifest = m;
    return 0;
}

static int move_file(const struct aof_settings *settings)
{
    char path[PATH_MAX];
    if (aof_file_path(settings->directory, settings->filename, path) != 0) return failed("naming", settings->filename);
    if (file_rename(settings->filename, path) != 0) return failed("moving", settings->filename);
    if (file_fsync_parent(path) != 0) return failed("fsync of what holds", path);
    if (file_fsync_parent(settings->filename) != 0) return failed("fsync of what held", settings->filename);
    return 0;
}

int aof_take_over_old_file(const struct aof_settings *settings, struct aof_manifest **manifest)
{
    if (!is_regular_file(settings->filename)) return 0;
    bool fresh = !*manifest || has_no_files(*manifest);
    if (!fresh && !was_interrupted(settings, *manifest)) return 0;
    if (fresh && store_manifest(settings, manifest) != 0) return -1;
    if (move_file(settings) != 0) return -1;
    log_notice("Successfully migrated an old-style AOF file (%s) into the AOF directory (%s).", settings->filename,
               settings->directory);
    return 0;
}
