/* The server's end of the journal. Runs in the server process.
 *
 * What a journal needs is kept here for the one after it: the files that are not durable to their ends yet, the lock,
 * and the slot, which pins the stream. A journal that dies is reaped before the next one is started: two must never
 * write to one file. What it says stands in shared memory; the channel goes one way, and its end tells a death. */
#include "server/aof/journal_handle.h"

#include "server/aof/journal/messages.h"
#include "server/aof/journal_lock.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net/process_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLED_MOST_MS     2000 /* a killed process that does not end in this time hangs in the kernel */
#define TELL_HANG_EVERY_MS 30000

struct kept_file {
    struct kept_file *next;
    uint64_t number;
    struct journal_file file;
    uint8_t head[];
};

struct journal_handle {
    struct loop *loop;
    char *executable;
    const struct aof_settings *settings;
    struct journal_events events;

    struct backlog *backlog; /* NULL: not started */
    int slot;
    uint64_t begin;          /* the last offset that is no business of this start */
    struct kept_file *files; /* oldest first */
    uint64_t last_number;    /* of the files, also over several starts */
    int lock;                /* -1: none */
    bool is_lockless;        /* the files cannot be locked, and that was said */
    int bell;                /* eventfd: the journal has news */
    struct loop_watch *bell_watch;

    pid_t pid;   /* 0: not running */
    pid_t dying; /* dead, or soon, and not reaped */
    struct channel *channel;
    struct process_watch watch;
    int64_t hang_told_ms;

    bool fsync_is_held;
    struct journal_message told; /* settings, as it was told last */
    uint64_t watched_offset, finish_number;
    uint64_t settle_offset; /* to be made durable once, also by the next process; 0: nothing */
    bool failing;           /* the owner was told so */
    uint64_t told_delays[SHM_DELAYS][2];
};

static void news(void *arg, int events);

struct journal_handle *journal_handle_new(struct loop *loop, const char *executable,
                                          const struct aof_settings *settings, const struct journal_events *events)
{
    struct journal_handle *j = mem_calloc(1, sizeof(*j));
    j->loop = loop;
    j->executable = mem_strdup(executable);
    j->settings = settings;
    j->events = *events;
    j->slot = j->lock = -1;
    j->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(j->bell >= 0);
    j->bell_watch = loop_watch_start(loop, j->bell, LOOP_READABLE, news, j);
    return j;
}

pid_t journal_handle_pid(const struct journal_handle *j)
{
    return j->pid;
}

bool journal_is_running(const struct journal_handle *j)
{
    return j->backlog != NULL;
}

/* --- what it says --- */

static struct backlog_peer_view slot_of(const struct journal_handle *j)
{
    struct backlog_peer_view view;
    backlog_peer_view(j->backlog, j->slot, &view);
    return view;
}

/* Before the journal has come to say anything, the beginning: all before it is elsewhere. */
static uint64_t offset_or_begin(const struct journal_handle *j, uint64_t offset)
{
    return offset > j->begin ? offset : j->begin;
}

uint64_t journal_written_offset(const struct journal_handle *j)
{
    return j->backlog ? offset_or_begin(j, slot_of(j).acked_offset) : 0;
}

uint64_t journal_durable_offset(const struct journal_handle *j)
{
    return j->backlog ? offset_or_begin(j, slot_of(j).fack_offset) : 0;
}

/* The journal has opened its slot: what it says besides is of this start. */
static bool has_begun(const struct journal_handle *j)
{
    return j->backlog && slot_of(j).opened;
}

/* The number of the file that it writes; 0: none yet. */
static uint64_t current_file(const struct journal_handle *j)
{
    return has_begun(j) ? atomic_load_explicit(&backlog_journal(j->backlog)->file, memory_order_relaxed) : 0;
}

static uint64_t current_bytes(const struct journal_handle *j)
{
    return atomic_load_explicit(&backlog_journal(j->backlog)->file_bytes, memory_order_relaxed);
}

static const struct kept_file *newest(const struct journal_handle *j)
{
    const struct kept_file *f = j->files;
    while (f && f->next) f = f->next;
    return f;
}

uint64_t journal_file_bytes(const struct journal_handle *j)
{
    const struct kept_file *f = newest(j);
    if (!f) return 0;
    return current_file(j) == f->number ? current_bytes(j) : f->file.file_bytes;
}

int journal_error(const struct journal_handle *j)
{
    return has_begun(j) ? (int)atomic_load_explicit(&backlog_journal(j->backlog)->error, memory_order_acquire) : 0;
}

static void tell_errors(struct journal_handle *j)
{
    int error = journal_error(j);
    if (j->failing == (error != 0)) return;
    j->failing = error != 0;
    if (error && j->events.failed) j->events.failed(j->events.context, error);
    if (!error && j->events.recovered) j->events.recovered(j->events.context);
}

void journal_tell_delays(struct journal_handle *j,
                         void (*note)(void *context, enum shm_delay kind, int64_t took_us, int64_t at_s), void *context)
{
    if (!j->backlog) return;
    const struct shm_journal *said = backlog_journal(j->backlog);
    for (int kind = 0; kind < SHM_DELAYS; kind++) {
        for (int i = 0; i < 2; i++) {
            uint64_t word = atomic_load_explicit(&said->slowest[kind][i], memory_order_relaxed);
            if (word == j->told_delays[kind][i]) continue;
            j->told_delays[kind][i] = word;
            if (word) note(context, (enum shm_delay)kind, (int64_t)(uint32_t)word, (int64_t)(word >> 32));
        }
    }
}

static void tell_moved(struct journal_handle *j)
{
    if (!j->backlog || !j->watched_offset || journal_durable_offset(j) < j->watched_offset) return;
    j->watched_offset = 0;
    backlog_watch_durable(j->backlog, 0);
    if (j->events.moved) j->events.moved(j->events.context);
}

static void news(void *arg, int events)
{
    struct journal_handle *j = arg;
    eventfd_t count;
    (void)events;
    (void)eventfd_read(j->bell, &count);
    tell_errors(j);
    tell_moved(j);
}

void journal_watch(struct journal_handle *j, uint64_t offset)
{
    j->watched_offset = offset;
    if (!j->backlog) return;
    backlog_watch_durable(j->backlog, offset);
    if (offset && journal_durable_offset(j) >= offset) (void)eventfd_write(j->bell, 1);
}

void journal_call(struct journal_handle *j)
{
    if (j->backlog) backlog_call_journal(j->backlog);
}

void journal_free_to_go(struct journal_handle *j)
{
    if (j->backlog) backlog_free_journal(j->backlog);
}

/* --- files --- */

static int keep(struct journal_handle *j, const struct journal_file *file)
{
    CHECK(file->head.len <= JOURNAL_HEAD_MAX_BYTES);
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct kept_file *f = mem_alloc(sizeof(*f) + file->head.len), **tail = &j->files;
    *f = (struct kept_file){.number = ++j->last_number, .file = *file};
    f->file.fd = fd;
    f->file.head = bytes_make(f->head, file->head.len);
    if (file->head.len) memcpy(f->head, file->head.ptr, file->head.len);
    while (*tail) tail = &(*tail)->next;
    *tail = f;
    backlog_journal_give_file(j->backlog, j->last_number);
    return 0;
}

static void drop_first(struct journal_handle *j)
{
    struct kept_file *f = j->files;
    j->files = f->next;
    close(f->file.fd);
    mem_free(f);
}

/* Those that the journal has left: they are durable to their ends. */
static void drop_left_files(struct journal_handle *j)
{
    while (j->files && j->files->next && j->files->number < current_file(j)) drop_first(j);
}

/* --- the process --- */

static int send(struct journal_handle *j, const struct journal_message *m, struct bytes body, const int *fds, int count)
{
    return channel_send(j->channel, bytes_make(m, sizeof(*m)), body, fds, count);
}

static int give_file(struct journal_handle *j, const struct kept_file *f)
{
    struct journal_message m = {.kind = JOURNAL_FILE, .number = f->number, .file = {f->file.from, f->file.file_bytes}};
    return send(j, &m, f->file.head, &f->file.fd, 1);
}

/* A journal without one of its rings cannot go on: it is ended, and another one started. */
static void ring_opened(void *context, int ring, int fd, uint64_t size)
{
    struct journal_handle *j = context;
    struct journal_message m = {.kind = JOURNAL_RING, .number = (uint64_t)ring, .ring.size = size};
    if (send(j, &m, bytes_make(NULL, 0), &fd, 1) == 0) return;
    log_warning("The journal cannot be given a ring: %s", strerror(errno));
    kill(j->pid, SIGKILL);
}

static struct journal_message settings_now(const struct journal_handle *j)
{
    return (struct journal_message){.kind = JOURNAL_SETTINGS,
                                    .settings = {.fsync = j->settings->fsync,
                                                 .timestamps = j->settings->timestamp_enabled,
                                                 .fsync_is_held = j->fsync_is_held,
                                                 .was_failing = j->failing}};
}

static bool same_settings(const struct journal_message *a, const struct journal_message *b)
{
    return a->settings.fsync == b->settings.fsync && a->settings.timestamps == b->settings.timestamps &&
           a->settings.fsync_is_held == b->settings.fsync_is_held;
}

static int send_settings(struct journal_handle *j)
{
    j->told = settings_now(j);
    return send(j, &j->told, bytes_make(NULL, 0), NULL, 0);
}

static void send_changed_settings(struct journal_handle *j)
{
    struct journal_message now = settings_now(j);
    if (j->pid && !same_settings(&now, &j->told)) send_settings(j);
}

void journal_hold_fsync(struct journal_handle *j, bool held)
{
    j->fsync_is_held = held;
    send_changed_settings(j);
}

static int ask_to_settle(struct journal_handle *j)
{
    struct journal_message m = {.kind = JOURNAL_SETTLE, .number = j->settle_offset};
    return send(j, &m, bytes_make(NULL, 0), NULL, 0);
}

static int introduce(struct journal_handle *j)
{
    int fds[] = {backlog_control_fd(j->backlog), backlog_bell(j->backlog, SHM_JOURNAL), j->bell};
    struct journal_message attach = {.kind = JOURNAL_ATTACH, .number = (uint64_t)j->slot};
    struct journal_message lock = {.kind = JOURNAL_LOCK};
    if (send(j, &attach, bytes_make(NULL, 0), fds, 3) != 0) return -1;
    if (j->lock >= 0 && send(j, &lock, bytes_make(NULL, 0), &j->lock, 1) != 0) return -1;
    backlog_on_ring(j->backlog, SHM_JOURNAL, ring_opened, j);
    if (send_settings(j) != 0) return -1;
    for (const struct kept_file *f = j->files; f; f = f->next)
        if (give_file(j, f) != 0) return -1;
    return journal_durable_offset(j) < j->settle_offset ? ask_to_settle(j) : 0;
}

/* It has ended, or is about to. */
static void forget_process(struct journal_handle *j)
{
    channel_close(j->channel);
    j->channel = NULL;
    j->dying = j->pid;
    j->pid = 0;
    backlog_on_ring(j->backlog, SHM_JOURNAL, NULL, NULL);
}

static void tell_end(pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_warning("The journal (pid %d) was killed by signal %d", (int)pid, WTERMSIG(status));
    else
        log_warning("The journal (pid %d) ended with code %d", (int)pid, WEXITSTATUS(status));
}

/* True: there is none any more. */
static bool reap(struct journal_handle *j, bool wanted)
{
    int status = 0;
    if (!j->dying) return true;
    pid_t gone = waitpid(j->dying, &status, WNOHANG);
    if (gone == 0 || (gone < 0 && errno == EINTR)) return false;
    if (gone == j->dying && !wanted) tell_end(gone, status);
    j->dying = 0;
    return true;
}

static void died(struct journal_handle *j)
{
    int64_t delay_ms = process_watch_failed(&j->watch, clock_monotonic_ms());
    kill(j->pid, SIGKILL); /* whatever it is: it closed its channel, and must not go on without one */
    forget_process(j);
    reap(j, false);
    if (delay_ms) log_warning("Another journal is started in %lld ms at the earliest", (long long)delay_ms);
}

static void ended(void *context)
{
    struct journal_handle *j = context;
    died(j);
    if (j->events.died) j->events.died(j->events.context);
}

static void received(void *context, struct bytes message, const int *fds, int fd_count)
{
    struct journal_handle *j = context;
    (void)message;
    for (int i = 0; i < fd_count; i++) close(fds[i]);
    log_warning("The journal sent a message, which none does: it is ended");
    kill(j->pid, SIGKILL);
}

static int start_process(struct journal_handle *j)
{
    char protocol[JOURNAL_PROTOCOL_BYTES];
    int channel_fd;
    struct role role = journal_role(protocol);
    drop_left_files(j);
    if (role_process_start(&role, j->loop, j->executable, &j->pid, &channel_fd) != 0) {
        int error = errno;
        process_watch_failed(&j->watch, clock_monotonic_ms());
        log_warning("The journal cannot be started: %s", strerror(error));
        errno = error;
        return -1;
    }
    process_watch_started(&j->watch, backlog_beats(j->backlog, SHM_JOURNAL), clock_monotonic_ms());
    j->hang_told_ms = 0;
    j->channel =
        channel_open(j->loop, channel_fd, &(struct channel_events){.context = j, .received = received, .ended = ended});
    if (introduce(j) == 0) {
        log_verbose("Journal started by pid %d", (int)j->pid);
        return 0;
    }
    int error = errno;
    died(j);
    errno = error;
    return -1;
}

static void start_again(struct journal_handle *j)
{
    if (j->pid || !reap(j, false) || !process_watch_may_start(&j->watch, clock_monotonic_ms())) return;
    if (start_process(j) == 0) log_notice("Another journal (pid %d) goes on with the append-only file", (int)j->pid);
}

/* It is not killed for that: whatever keeps it from running would keep the next one, too. */
static void watch_for_hanging(struct journal_handle *j, int64_t now_ms)
{
    bool hangs = process_watch_hangs(&j->watch, backlog_beats(j->backlog, SHM_JOURNAL), now_ms);
    if (!hangs && j->hang_told_ms) {
        log_warning("The journal (pid %d) goes on", (int)j->pid);
        j->hang_told_ms = 0;
    }
    if (!hangs || (j->hang_told_ms && now_ms - j->hang_told_ms < TELL_HANG_EVERY_MS)) return;
    j->hang_told_ms = now_ms;
    log_warning("The journal (pid %d) has stopped: no sign of life for %lld ms, and %" PRIu64
                " bytes are not in the append-only file",
                (int)j->pid, (long long)process_watch_silence_ms(&j->watch),
                backlog_end(j->backlog) - 1 - journal_written_offset(j));
}

void journal_cron(struct journal_handle *j, int64_t now_ms)
{
    if (!j->backlog) {
        reap(j, true);
        return;
    }
    start_again(j);
    drop_left_files(j);
    if (!j->pid) return;
    send_changed_settings(j);
    watch_for_hanging(j, now_ms);
}

/* --- the beginning and the end --- */

static bool same_directory(int a, int b)
{
    struct stat x, y;
    return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int journal_own_files(struct journal_handle *j)
{
    int directory = open(j->settings->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_locked = same_directory(directory, j->lock);
    if (directory >= 0) close(directory);
    if (is_locked) return 0;
    int fd = journal_lock_take(j->settings->directory, j->settings->filename);
    if (fd < 0 && errno == EWOULDBLOCK) return -1;
    if (fd < 0 && !j->is_lockless)
        log_warning("The directory %s cannot be locked (%s): see that no other server uses it", j->settings->directory,
                    strerror(errno));
    if (j->lock >= 0) close(j->lock);
    j->lock = fd;
    j->is_lockless = fd < 0;
    return 0;
}

/* The region may be one that a server before us has left: what its journal said must not be taken for ours. */
static void go_on_counting(struct journal_handle *j)
{
    uint64_t files = backlog_journal_files_given(j->backlog);
    uint64_t finished = atomic_load_explicit(&backlog_journal(j->backlog)->finished, memory_order_acquire);
    if (j->last_number < files) j->last_number = files;
    if (j->finish_number < finished) j->finish_number = finished;
}

int journal_start(struct journal_handle *j, struct backlog *b, const struct journal_file *file)
{
    CHECK(!j->backlog);
    if (journal_own_files(j) != 0) {
        log_warning("Another process writes %s in %s: the files are its own", j->settings->filename,
                    j->settings->directory);
        errno = EBUSY;
        return -1;
    }
    if (!reap(j, true)) {
        errno = EAGAIN;
        return -1;
    }
    j->slot = backlog_journal_claim(b, file->from);
    if (j->slot < 0) {
        errno = EUSERS;
        return -1;
    }
    j->backlog = b;
    j->begin = file->from - 1;
    j->failing = false;
    go_on_counting(j);
    backlog_watch_durable(b, j->watched_offset);
    if (keep(j, file) == 0 && start_process(j) == 0) return 0;
    int error = errno;
    journal_stop(j);
    errno = error;
    return -1;
}

int journal_switch(struct journal_handle *j, const struct journal_file *file)
{
    CHECK(j->backlog && file->from >= newest(j)->file.from && file->from > journal_written_offset(j));
    if (keep(j, file) != 0) return -1;
    if (j->pid && give_file(j, newest(j)) != 0) {
        log_warning("The journal cannot be given a file: %s", strerror(errno));
        kill(j->pid, SIGKILL); /* the next one is given all of them */
    }
    return 0;
}

static bool is_finished(const struct journal_handle *j)
{
    const struct shm_journal *said = backlog_journal(j->backlog);
    return atomic_load_explicit(&said->finished, memory_order_acquire) == j->finish_number;
}

static int ask_to_finish(struct journal_handle *j)
{
    struct journal_message m = {.kind = JOURNAL_FINISH, .number = j->finish_number};
    return send(j, &m, bytes_make(NULL, 0), NULL, 0);
}

/* The loop does not turn meanwhile, so a death is seen here. */
static void see_to_process(struct journal_handle *j)
{
    int status = 0;
    if (j->pid && waitpid(j->pid, &status, WNOHANG) == j->pid) {
        tell_end(j->pid, status);
        process_watch_failed(&j->watch, clock_monotonic_ms());
        forget_process(j);
        j->dying = 0;
    }
    if (j->pid) return;
    start_again(j);
    if (j->pid) ask_to_finish(j);
}

int journal_finish(struct journal_handle *j, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    if (!j->backlog) return 0;
    j->finish_number++;
    if (j->pid) ask_to_finish(j);
    while (!is_finished(j)) {
        int64_t left_ms = until_ms - clock_monotonic_ms();
        see_to_process(j);
        if (left_ms <= 0) {
            errno = journal_error(j) ? journal_error(j) : ETIMEDOUT;
            return -1;
        }
        struct pollfd bell = {.fd = j->bell, .events = POLLIN};
        eventfd_t count;
        if (poll(&bell, 1, left_ms < 20 ? (int)left_ms : 20) == 1) (void)eventfd_read(j->bell, &count);
    }
    (void)eventfd_write(j->bell, 1); /* whatever else it had rung for */
    return 0;
}

void journal_settle(struct journal_handle *j, uint64_t offset)
{
    if (!j->backlog) return;
    j->settle_offset = offset;
    if (j->pid) ask_to_settle(j); /* else the next one is told when it starts */
}

static void wait_until_dead(struct journal_handle *j)
{
    int64_t until_ms = clock_monotonic_ms() + KILLED_MOST_MS;
    while (!reap(j, true)) {
        if (clock_monotonic_ms() >= until_ms) {
            log_warning("The journal (pid %d) was killed and does not end: its disk hangs", (int)j->dying);
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
}

/* What was killed in the middle of a write must not stay behind as half a command. */
static void cut_torn_end(const struct journal_handle *j)
{
    for (const struct kept_file *f = j->files; f; f = f->next)
        if (f->number == current_file(j) && ftruncate(f->file.fd, (off_t)current_bytes(j)) != 0)
            log_warning("The append-only file cannot be cut to what the journal said it wrote: %s", strerror(errno));
}

static void end(struct journal_handle *j, bool wait)
{
    if (!j->backlog) return;
    if (j->pid) {
        kill(j->pid, SIGKILL);
        forget_process(j);
    }
    if (wait) wait_until_dead(j);
    if (!j->dying) cut_torn_end(j);
    backlog_peer_free(j->backlog, j->slot);
    while (j->files) drop_first(j);
    j->backlog = NULL;
    j->slot = -1;
    j->failing = false;
    j->settle_offset = 0;
}

void journal_stop(struct journal_handle *j)
{
    end(j, true);
}

void journal_handle_free(struct journal_handle *j)
{
    end(j, true);
    loop_watch_stop(j->bell_watch);
    close(j->bell);
    if (j->lock >= 0) close(j->lock);
    mem_free(j->executable);
    mem_free(j);
}
