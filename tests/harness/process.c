/* Processes of tests and benchmarks. Children are found by their parent's id in /proc/<pid>/stat: the list in
 * /proc/<pid>/task is an option of the kernel's. */
#include "tests/harness/process.h"

#include "tests/harness/clock.h"
#include "tests/harness/fail.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 64
#define RUN_BOUND_MS  30000

static int input_of(const char *text)
{
    if (!text) return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("input", MFD_CLOEXEC);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0) return -1;
    return fd;
}

static int own_shm(uint64_t bytes)
{
    char size[64];
    snprintf(size, sizeof size, "size=%llu", (unsigned long long)bytes);
    if (unshare(CLONE_NEWNS) < 0) return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -1;
    return mount("tmpfs", "/dev/shm", "tmpfs", 0, size);
}

bool process_can_have_own_shm(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(own_shm(65536) == 0 ? 0 : 1);
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Where this program began, once it has taken a processor for itself. */
static struct {
    bool known;
    cpu_set_t set;
} beginning;

static int pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu - 1, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

int process_pin_self(int cpu)
{
    if (!beginning.known) beginning.known = sched_getaffinity(0, sizeof beginning.set, &beginning.set) == 0;
    return pin(cpu);
}

static int constrain(const struct process_options *o)
{
    if (o->cpu && pin(o->cpu) < 0) return -1;
    if (!o->cpu && beginning.known && sched_setaffinity(0, sizeof beginning.set, &beginning.set) < 0) return -1;
    if (o->descriptors) {
        struct rlimit limit = {o->descriptors, o->descriptors};
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    }
    if (o->shm_bytes && own_shm(o->shm_bytes) < 0) return -1;
    return o->dir ? chdir(o->dir) : 0;
}

/* Whatever ours are: a shell that runs us in the background has some of them ignored. */
static void set_signals(bool ignored)
{
    sigset_t blocked;
    if (ignored)
        sigfillset(&blocked);
    else
        sigemptyset(&blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    for (int number = 1; number < NSIG; number++) signal(number, ignored ? SIG_IGN : SIG_DFL);
}

static _Noreturn void become(const struct process_options *o, pid_t parent, int input)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    if (o->log) {
        int fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) _exit(127);
        close(fd);
    }
    if (dup2(input, STDIN_FILENO) < 0 || constrain(o) < 0) {
        perror("cannot set up the process");
        _exit(127);
    }
    /* Criterion's and our own descriptors are none of the child's business. */
    close_range(STDERR_FILENO + 1, ~0U, 0);
    set_signals(o->signals_ignored);
    execv(o->argv[0], (char *const *)(uintptr_t)o->argv);
    perror(o->argv[0]);
    _exit(127);
}

pid_t process_spawn(const struct process_options *options)
{
    int input = input_of(options->input);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) become(options, parent, input);
    close(input);
    return pid;
}

int process_wait(pid_t pid, int bound_ms)
{
    int64_t deadline_ms = clock_ms() + bound_ms;
    int status;
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid) return status;
        if (ended < 0) harness_fail("waiting for process %d: %s", pid, strerror(errno));
        if (clock_ms() > deadline_ms) return -1;
        sleep_us(1000);
    }
}

static char *whole_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    char *text = NULL;
    FILE *copy = open_memstream(&text, len);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) fwrite(part, 1, n, copy);
    fclose(copy);
    fclose(file);
    return text;
}

struct process_result process_run(const char *const *argv, const char *input)
{
    return process_run_within(argv, input, RUN_BOUND_MS);
}

struct process_result process_run_within(const char *const *argv, const char *input, int bound_ms)
{
    char log[512];
    snprintf(log, sizeof log, "%s/run.XXXXXX", harness_root());
    int fd = mkstemp(log);
    if (fd < 0) harness_fail("%s: %s", log, strerror(errno));
    close(fd);
    pid_t pid = process_spawn(&(struct process_options){.argv = argv, .log = log, .input = input});
    int status = process_wait(pid, bound_ms);
    struct process_result result = {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    if (status == -1) {
        kill(pid, SIGKILL);
        process_wait(pid, RUN_BOUND_MS);
        result.exit_code = -1;
    }
    size_t len;
    result.output = whole_file(log, &len);
    unlink(log);
    return result;
}

struct stat_line {
    char state;
    pid_t parent;
};

static bool read_stat(pid_t pid, struct stat_line *out)
{
    char path[64];
    size_t len;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    char *text = whole_file(path, &len);
    if (!text) return false;
    /* The name in parentheses may hold anything; the fields follow its last parenthesis. */
    char *fields = strrchr(text, ')');
    int got = fields ? sscanf(fields + 1, " %c %d", &out->state, &out->parent) : 0;
    free(text);
    return got == 2;
}

bool process_alive(pid_t pid)
{
    struct stat_line line;
    return pid > 0 && read_stat(pid, &line) && line.state != 'Z' && line.state != 'X';
}

bool process_is_stopped(pid_t pid)
{
    struct stat_line line;
    return read_stat(pid, &line) && line.state == 'T';
}

int process_children(pid_t pid, pid_t *out, int room)
{
    DIR *proc = opendir("/proc");
    int found = 0;
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
        struct stat_line line;
        pid_t child = atoi(entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]) || !read_stat(child, &line)) continue;
        if (line.parent != pid || line.state == 'Z') continue;
        if (found < room) out[found] = child;
        found++;
    }
    if (proc) closedir(proc);
    return found;
}

void process_command_line(pid_t pid, char *out, size_t size)
{
    char path[64];
    size_t len = 0;
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    char *text = whole_file(path, &len);
    for (size_t i = 0; i + 1 < len; i++)
        if (text[i] == '\0') text[i] = ' ';
    snprintf(out, size, "%s", text ? text : "");
    free(text);
}

static bool has_word(const char *line, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = line; (at = strstr(at, word)); at += len) {
        bool starts = at == line || !isalnum((unsigned char)at[-1]);
        if (starts && !isalnum((unsigned char)at[len])) return true;
    }
    return false;
}

static bool has_any_word(const char *line, const char *const *words)
{
    while (*words && !has_word(line, *words)) words++;
    return *words;
}

static pid_t find_child(pid_t pid, const char *const *words, bool wanted)
{
    pid_t children[PROCESSES_MAX];
    char line[1024];
    int count = process_children(pid, children, PROCESSES_MAX);
    for (int i = 0; i < count && i < PROCESSES_MAX; i++) {
        process_command_line(children[i], line, sizeof line);
        if (has_any_word(line, words) == wanted) return children[i];
    }
    return 0;
}

pid_t process_child_with(pid_t pid, const char *word)
{
    return find_child(pid, (const char *const[]){word, NULL}, true);
}
pid_t process_child_without(pid_t pid, const char *const *words)
{
    return find_child(pid, words, false);
}

int64_t process_cpu_us(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) return 0;
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t process_tree_cpu_us(pid_t pid)
{
    pid_t children[PROCESSES_MAX];
    int64_t sum = process_cpu_us(pid);
    int count = process_children(pid, children, PROCESSES_MAX);
    for (int i = 0; i < count && i < PROCESSES_MAX; i++) sum += process_tree_cpu_us(children[i]);
    return sum;
}

static uint64_t kilobytes_after(pid_t pid, const char *file, const char *label)
{
    char path[64];
    size_t len;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    char *text = whole_file(path, &len);
    char *line = text ? strstr(text, label) : NULL;
    uint64_t value = line ? strtoull(line + strlen(label), NULL, 10) : 0;
    free(text);
    return value * 1024;
}

uint64_t process_rss_bytes(pid_t pid)
{
    return kilobytes_after(pid, "status", "VmRSS:");
}

uint64_t process_tree_pss_bytes(pid_t pid)
{
    pid_t children[PROCESSES_MAX];
    uint64_t sum = kilobytes_after(pid, "smaps_rollup", "\nPss:");
    int count = process_children(pid, children, PROCESSES_MAX);
    for (int i = 0; i < count && i < PROCESSES_MAX; i++) sum += process_tree_pss_bytes(children[i]);
    return sum;
}

void process_kill_all_in(const char *dir)
{
    DIR *proc = opendir("/proc");
    size_t len = strlen(dir);
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
        char path[300], cwd[4096];
        pid_t pid = atoi(entry->d_name);
        if (pid <= 0 || pid == getpid()) continue;
        snprintf(path, sizeof path, "/proc/%s/cwd", entry->d_name);
        ssize_t got = readlink(path, cwd, sizeof cwd - 1);
        if (got < (ssize_t)len) continue;
        cwd[got] = '\0';
        if (memcmp(cwd, dir, len) == 0 && (cwd[len] == '/' || cwd[len] == '\0')) kill(pid, SIGKILL);
    }
    if (proc) closedir(proc);
}
