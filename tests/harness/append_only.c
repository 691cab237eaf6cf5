/* Rewrites, appendonlydir, and Debian's server as their judge: see append_only.h. */
#include "tests/harness/append_only.h"

#include "tests/harness/wait.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool aof_is_idle(struct server *s)
{
    return info_is(s, "persistence", "aof_rewrite_in_progress", "0") &&
           info_is(s, "persistence", "aof_rewrite_scheduled", "0");
}

void aof_rewrite(struct server *s)
{
    long long before = info_number(s, "persistence", "aof_rewrites");
    expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
    wait_until(info_number(s, "persistence", "aof_rewrites") == before + 1 && aof_is_idle(s));
}

void expect_aof_manifest(const struct server *s, const char *text)
{
    char path[512], found[4096] = "";
    server_path(s, "appendonlydir/appendonly.aof.manifest", path);
    FILE *in = fopen(path, "re");
    if (!in) harness_fail("%s: %s", path, strerror(errno));
    found[fread(found, 1, sizeof found - 1, in)] = 0;
    fclose(in);
    if (strcmp(found, text) != 0) harness_fail("%s has\n%sand should have\n%s", path, found, text);
}

bool server_has_file(const struct server *s, const char *name)
{
    char path[512];
    server_path(s, name, path);
    return access(path, F_OK) == 0;
}

int server_count_files(const struct server *s, const char *directory)
{
    char path[512];
    int count = 0;
    server_path(s, directory, path);
    DIR *d = opendir(path);
    if (!d) harness_fail("%s: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void copy_append_only_directory(const struct server *from, const struct server *to)
{
    char source[512], target[512];
    server_path(from, "appendonlydir", source);
    server_path(to, "", target);
    const char *argv[] = {"/bin/cp", "-r", source, target, NULL};
    struct process_result result = process_run(argv, NULL);
    if (result.exit_code != 0) harness_fail("%s", result.output);
    free(result.output);
}

struct server *loaded_by_debian(const struct server *s)
{
    struct server *debian = server_prepare(DEBIAN, "appendonly yes");
    copy_append_only_directory(s, debian);
    server_launch(debian);
    wait_until(info_is_if_there(debian, "persistence", "loading", "0"));
    return debian;
}

void expect_debian_loads_the_same(struct server *s)
{
    char digest[64];
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    server_stop(s);
    struct server *debian = loaded_by_debian(s);
    const char *found = command_text(debian, "DEBUG DIGEST");
    if (strcmp(found, digest) != 0) harness_fail("Debian's has digest %s, and ours had %s", found, digest);
    server_stop(debian);
}
