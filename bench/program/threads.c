/* See threads.h. */
#include "bench/program/threads.h"

#include "tests/harness/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHILDREN_MAX 64

/* name[16], and the user and system time in ticks, its own and of children that ended. 0, or -1: it is gone. */
static int read_stat(const char *path, char name[16], unsigned long long *ticks, unsigned long long *ended)
{
    char line[1024];
    unsigned long long user, system, ended_user, ended_system;
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file) fclose(file);
    line[len] = '\0';
    char *open = strchr(line, '('), *close = strrchr(line, ')'); /* a name may hold anything */
    if (!open || !close) return -1;
    if (sscanf(close + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu", &user, &system,
               &ended_user, &ended_system) != 4)
        return -1;
    snprintf(name, 16, "%.*s", (int)(close - open - 1), open + 1);
    *ticks = user + system;
    *ended = ended_user + ended_system;
    return 0;
}

static int64_t us_of(unsigned long long ticks)
{
    return (int64_t)(ticks * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

static void read_process(struct threads *t, pid_t pid)
{
    char path[300], process[16], name[16];
    unsigned long long ticks, ended;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_stat(path, process, &ticks, &ended) != 0 || t->count == THREADS_MAX) return;
    t->list[t->count] = (struct thread_cpu){.pid = pid, .cpu_us = us_of(ended)};
    snprintf(t->list[t->count].name, sizeof t->list->name, "%s/ended", process);
    t->count++;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks && t->count < THREADS_MAX && (e = readdir(tasks));) {
        struct thread_cpu *c = &t->list[t->count];
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", pid, e->d_name);
        if (e->d_name[0] == '.' || read_stat(path, name, &ticks, &ended) != 0) continue;
        *c = (struct thread_cpu){.pid = pid, .tid = atoi(e->d_name)};
        c->cpu_us = us_of(ticks);
        snprintf(c->name, sizeof c->name, "%s/%s", process, name);
        t->count++;
    }
    if (tasks) closedir(tasks);
}

static void read_tree(struct threads *t, pid_t pid)
{
    pid_t children[CHILDREN_MAX];
    read_process(t, pid);
    int count = process_children(pid, children, CHILDREN_MAX);
    for (int i = 0; i < count && i < CHILDREN_MAX; i++) read_tree(t, children[i]);
}

void threads_read(struct threads *t, pid_t pid)
{
    t->count = 0;
    read_tree(t, pid);
}

static int64_t cpu_before(const struct threads *before, const struct thread_cpu *c)
{
    for (int i = 0; i < before->count; i++)
        if (before->list[i].pid == c->pid && before->list[i].tid == c->tid) return before->list[i].cpu_us;
    return 0;
}

void threads_since(struct threads *now, const struct threads *before)
{
    int kept = 0;
    for (int i = 0; i < now->count; i++) {
        struct thread_cpu c = now->list[i];
        int same = 0;
        c.cpu_us -= cpu_before(before, &c);
        while (same < kept && strcmp(now->list[same].name, c.name) != 0) same++;
        if (same == kept)
            now->list[kept++] = c;
        else
            now->list[same].cpu_us += c.cpu_us;
    }
    now->count = kept;
}

int64_t process_ended_children_cpu_us(pid_t pid)
{
    char path[64], name[16];
    unsigned long long ticks, ended;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    return read_stat(path, name, &ticks, &ended) == 0 ? us_of(ended) : 0;
}
