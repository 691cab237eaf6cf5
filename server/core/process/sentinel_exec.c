/* `redis-server FILE --sentinel`, or our binary under the name redis-sentinel. The process that was started becomes
 * Debian's redis-sentinel: it watches our servers as it watches its own, and whoever started us need not know. Server
 * process, before it is one.
 *
 * It is looked for beside our executable and then along PATH, and must not be a name of ourselves. */
#include "server/core/process/sentinel_exec.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "redis-sentinel"
#define OURSELF "/proc/self/exe"

bool sentinel_asked(int argc, char **argv)
{
    if (strstr(basename(argv[0]), PROGRAM)) return true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sentinel") == 0) return true;
    }
    return false;
}

static bool is_another_program(const char *path)
{
    struct stat own, other;
    if (access(path, X_OK) || stat(path, &other) || stat(OURSELF, &own)) return false;
    return S_ISREG(other.st_mode) && (own.st_ino != other.st_ino || own.st_dev != other.st_dev);
}

/* Returns where there is no such program in the folder. */
static void exec_in(const char *folder, size_t len, char **argv)
{
    char path[PATH_MAX];
    int written = snprintf(path, sizeof path, "%.*s/" PROGRAM, (int)len, folder);
    if (!len || written >= (int)sizeof path || !is_another_program(path)) return;
    argv[0] = path;
    execv(path, argv);
}

void sentinel_exec(int argc, char **argv)
{
    char own[PATH_MAX] = "", *name = argv[0];
    char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
    if (!arguments) return;
    memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
    if (readlink(OURSELF, own, sizeof own - 1) > 0) exec_in(dirname(own), strlen(own), arguments);
    for (const char *at = getenv("PATH"); at && *at;) {
        size_t len = strcspn(at, ":");
        exec_in(at, len, arguments);
        at += len + (at[len] == ':');
    }
    free(arguments);
    fprintf(stderr,
            "%s: Slipstream has no Sentinel of its own yet. Debian's watches it as well: install the package "
            "redis-sentinel, and this same command will start that.\n",
            name);
}
