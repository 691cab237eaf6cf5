/* Scripts that are run at events: a queue, and a child for each that runs. Sentinel process, on the loop's thread. */
#include "server/sentinel/scripts.h"

#include "server/base/alloc.h"
#include "server/base/list.h"
#include "server/base/log.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define WORDS_MAX   12
#define WAITING_MAX 256
#define RUNNING_MAX 16
#define TRIES_MAX   10

extern char **environ;

struct script {
    struct list_node node;
    char *word[WORDS_MAX + 1];
    int tries;
    pid_t pid;        /* 0: it does not run */
    int64_t since_ms; /* it runs since */
    int64_t next_ms;  /* not before */
};

struct sentinel_scripts {
    const struct sentinel_periods *periods;
    struct list all;
    int waiting, running;
};

struct sentinel_scripts *sentinel_scripts_new(const struct sentinel_periods *periods)
{
    struct sentinel_scripts *s = mem_calloc(1, sizeof *s);
    s->periods = periods;
    list_init(&s->all);
    return s;
}

static void remove_script(struct sentinel_scripts *s, struct script *script)
{
    list_remove(&s->all, &script->node);
    s->waiting--;
    for (int i = 0; script->word[i]; i++) mem_free(script->word[i]);
    mem_free(script);
}

static void make_room(struct sentinel_scripts *s)
{
    list_each(&s->all, node)
    {
        struct script *script = list_entry(node, struct script, node);
        if (script->pid) continue;
        log_warning("Script %s is left out: %d wait already", script->word[0], s->waiting);
        remove_script(s, script);
        return;
    }
}

void sentinel_scripts_add(struct sentinel_scripts *s, int count, const char *const *words)
{
    if (s->waiting == WAITING_MAX) make_room(s);
    struct script *script = mem_calloc(1, sizeof *script);
    for (int i = 0; i < count && i < WORDS_MAX; i++) script->word[i] = mem_strdup(words[i]);
    list_push_back(&s->all, &script->node);
    s->waiting++;
}

static void again_or_never(struct sentinel_scripts *s, struct script *script, bool retry, int64_t now_ms)
{
    script->pid = 0;
    s->running--;
    if (retry && script->tries < TRIES_MAX) {
        script->next_ms = now_ms + (s->periods->script_waits << (script->tries - 1));
        return;
    }
    remove_script(s, script);
}

static void ended(struct sentinel_scripts *s, struct script *script, int status, int64_t now_ms)
{
    bool by_signal = WIFSIGNALED(status);
    int code = by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
    bool retry = by_signal || code == 1;
    if (by_signal || code)
        log_warning("-script-error %s %s %d, try %d of %d%s", script->word[0], by_signal ? "signal" : "exit status",
                    code, script->tries, TRIES_MAX, retry ? "" : ": it is not tried again");
    again_or_never(s, script, retry, now_ms);
}

/* A script gets no signal that we block or ignore, and no descriptor but the first three. */
static void begin(struct sentinel_scripts *s, struct script *script, int64_t now_ms)
{
    posix_spawnattr_t how;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(&script->pid, script->word[0], NULL, &how, script->word, environ);
    posix_spawnattr_destroy(&how);
    script->tries++;
    script->since_ms = now_ms;
    s->running++;
    if (!error) return;
    log_warning("-script-error %s cannot be run: %s", script->word[0], strerror(error));
    again_or_never(s, script, error == EAGAIN || error == ENOMEM, now_ms);
}

void sentinel_scripts_tick(struct sentinel_scripts *s, int64_t now_ms)
{
    if (!s->waiting) return;
    list_each(&s->all, node)
    {
        struct script *script = list_entry(node, struct script, node);
        int status;
        if (script->pid && waitpid(script->pid, &status, WNOHANG) == script->pid) {
            ended(s, script, status, now_ms);
            continue;
        }
        if (script->pid && now_ms - script->since_ms > s->periods->script_runs) {
            log_warning("-script-timeout %s %d", script->word[0], (int)script->pid);
            script->since_ms = now_ms;
            kill(script->pid, SIGKILL);
        }
        if (!script->pid && s->running < RUNNING_MAX && now_ms >= script->next_ms) begin(s, script, now_ms);
    }
}

int sentinel_scripts_running(const struct sentinel_scripts *s)
{
    return s->running;
}

int sentinel_scripts_waiting(const struct sentinel_scripts *s)
{
    return s->waiting;
}

static void show(const struct script *script, struct reply *reply, int64_t now_ms)
{
    size_t words = 0;
    while (script->word[words]) words++;
    reply_map(reply, 5);
    reply_bulk_text(reply, "argv");
    reply_array(reply, words);
    for (size_t i = 0; i < words; i++) reply_bulk_text(reply, script->word[i]);
    reply_bulk_text(reply, "flags");
    reply_bulk_text(reply, script->pid ? "running" : "scheduled");
    reply_bulk_text(reply, "pid");
    reply_bulk_integer(reply, script->pid);
    reply_bulk_text(reply, script->pid ? "run-time" : "run-delay");
    int64_t left_ms = script->next_ms > now_ms ? script->next_ms - now_ms : 0;
    reply_bulk_integer(reply, script->pid ? now_ms - script->since_ms : left_ms);
    reply_bulk_text(reply, "retry-num");
    reply_bulk_integer(reply, script->tries);
}

void sentinel_scripts_show(const struct sentinel_scripts *s, struct reply *reply, int64_t now_ms)
{
    reply_array(reply, (size_t)s->waiting);
    list_each(&s->all, node) show(list_entry(node, struct script, node), reply, now_ms);
}
