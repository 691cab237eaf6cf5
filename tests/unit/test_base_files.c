/* server/base: files, the log, and the workers that do aside what takes long: jobs, and files that are let go of. */
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/discard.h"
#include "server/base/file.h"
#include "server/base/file_window.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "server/base/workers.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- file and log --- */

static void make_directory(char path[64])
{
    strcpy(path, "/tmp/slipstream-base-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
}

Test(file, replaced_whole_and_read_whole)
{
    char directory[64], path[96];
    uint8_t *data;
    size_t len;
    make_directory(directory);
    snprintf(path, sizeof(path), "%s/file", directory);
    cr_assert_eq(file_read_whole(path, &data, &len), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(file_replace(path, "one", 3, 0600), 0);
    cr_assert_eq(file_replace(path, "second", 6, 0600), 0);
    cr_assert_eq(file_read_whole(path, &data, &len), 0);
    cr_assert_eq(len, 6);
    cr_assert_str_eq((char *)data, "second");
    mem_free(data);
    unlink(path);
    cr_assert_eq(rmdir(directory), 0, "a temporary file was left");
    cr_assert_eq(file_replace(path, "x", 1, 0600), -1);
    cr_assert_eq(file_read_whole("/proc/self/stat", &data, &len), 0, "a file without a size");
    cr_assert_gt(len, 0);
    mem_free(data);
}

/* Root may rename a file over any of them; a terminal stands for /dev/null, which the machine needs. */
Test(file, takes_the_place_of_files_only)
{
    char directory[64], path[96], other[96], heard[8] = {0};
    struct stat info;
    make_directory(directory);
    snprintf(path, sizeof(path), "%s/pipe", directory);
    cr_assert(file_is_ordinary(directory) && file_is_ordinary(path));
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert(!file_is_ordinary(path));
    cr_assert_eq(file_replace(path, "one", 3, 0600), -1);
    cr_assert_eq(errno, EINVAL);
    cr_assert(stat(path, &info) == 0 && S_ISFIFO(info.st_mode));
    snprintf(other, sizeof(other), "%s/file", directory);
    cr_assert_eq(file_replace(other, "one", 3, 0600), 0);
    cr_assert_eq(file_rename(other, path), -1);
    cr_assert_eq(errno, EINVAL);
    cr_assert(stat(path, &info) == 0 && S_ISFIFO(info.st_mode));
    unlink(path);
    cr_assert_eq(file_rename(other, path), 0, "over nothing");
    cr_assert_eq(file_replace(other, "two", 3, 0600), 0);
    cr_assert_eq(file_rename(other, path), 0, "over a file");
    unlink(path);
    cr_assert_eq(rmdir(directory), 0, "a temporary file was left");

    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    cr_assert_eq(file_replace(ptsname(terminal), "second\n", 7, 0600), 0);
    cr_assert_eq(read(terminal, heard, 6), 6);
    cr_assert_str_eq(heard, "second");
    cr_assert(stat(ptsname(terminal), &info) == 0 && S_ISCHR(info.st_mode));
    close(terminal);
}

/* The kernel copies into no file that is open for appending: that is done by hand. */
Test(file, copied_by_the_kernel_or_by_hand)
{
    static const int modes[] = {0, O_APPEND};
    enum { LEN = 200001 };
    char directory[64], from_path[96], to_path[96];
    uint8_t *written = mem_alloc(LEN), *data;
    size_t len;
    for (size_t i = 0; i < LEN; i++) written[i] = (uint8_t)(i * 31 + i / 251);
    make_directory(directory);
    snprintf(from_path, sizeof(from_path), "%s/from", directory);
    snprintf(to_path, sizeof(to_path), "%s/to", directory);
    int from = open(from_path, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(file_write_all(from, written, LEN), 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | modes[i], 0600);
        cr_assert_eq(file_copy_all(from, to), 0);
        cr_assert_eq(file_copy_all(to, from), -1, "what cannot be read");
        close(to);
        cr_assert_eq(file_read_whole(to_path, &data, &len), 0);
        cr_assert_eq(len, LEN);
        cr_assert_eq(memcmp(data, written, LEN), 0);
        mem_free(data);
    }
    close(from);
    unlink(from_path);
    unlink(to_path);
    rmdir(directory);
    mem_free(written);
}

Test(file, a_window_gives_what_is_asked_for_in_one_piece)
{
    enum { LEN = 1000000 };
    int fd = open("/tmp", O_RDWR | O_TMPFILE, 0600);
    cr_assert_geq(fd, 0);
    uint8_t *written = mem_alloc(LEN);
    for (size_t i = 0; i < LEN; i++) written[i] = (uint8_t)(i * 7 + i / 253);
    cr_assert_eq(pwrite(fd, written, LEN, 0), LEN);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    struct file_window w;
    file_window_init(&w);
    size_t at = 0;
    static const size_t pieces[] = {1, 100000, 300000, 7, 500000}; /* some larger than what it begins with */
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        cr_assert_eq(file_window_fill(&w, fd, pieces[i]), 0);
        struct bytes unread = file_window_unread(&w);
        cr_assert_geq(unread.len, pieces[i]);
        cr_assert_eq(memcmp(unread.ptr, written + at, pieces[i]), 0);
        file_window_consume(&w, pieces[i]);
        at += pieces[i];
    }
    cr_assert_eq(file_window_fill(&w, fd, LEN - at + 1), -1);
    cr_assert_eq(errno, ENODATA);
    cr_assert_eq(file_window_unread(&w).len, LEN - at, "what there is stands there all the same");
    cr_assert_eq(file_window_fill(&w, fd, UINT64_MAX), -1);
    cr_assert_eq(errno, ENOMEM);
    file_window_restart(&w);
    cr_assert_eq(lseek(fd, 10, SEEK_SET), 10);
    cr_assert_eq(file_window_fill(&w, fd, 1), 0);
    cr_assert_eq(file_window_unread(&w).ptr[0], written[10]);
    file_window_free(&w);
    mem_free(written);
    close(fd);
}

Test(log, lines_have_redis_form)
{
    char directory[64], path[96], mark;
    uint8_t *data;
    size_t len;
    int pid, day, year, hour, minute, second, ms;
    char role, month[4], message[64];
    make_directory(directory);
    snprintf(path, sizeof(path), "%s/log", directory);
    log_open(path, LOG_VERBOSE);
    log_set_role('S');
    log_debug("not seen");
    log_notice("Ready to accept %s", "connections");
    cr_assert_eq(file_read_whole(path, &data, &len), 0);
    cr_assert_eq(sscanf((char *)data, "%d:%c %d %3s %d %d:%d:%d.%3d %c %63[^\n]", &pid, &role, &day, month, &year,
                        &hour, &minute, &second, &ms, &mark, message),
                 11, "%s", (char *)data);
    cr_assert_eq(pid, getpid());
    cr_assert_eq(role, 'S');
    cr_assert_eq(mark, '*');
    cr_assert_str_eq(message, "Ready to accept connections");
    cr_assert_eq(data[len - 1], '\n');
    mem_free(data);
    unlink(path);
    rmdir(directory);
}

/* --- workers --- */

struct counting_job {
    struct worker_job job; /* first: the queue hands back its address */
    pthread_t ran_on;
    int *done;
};

static void run_counting(struct worker_job *job)
{
    ((struct counting_job *)job)->ran_on = pthread_self();
}

static void finish_counting(struct worker_job *job)
{
    struct counting_job *c = (struct counting_job *)job;
    cr_assert_not(pthread_equal(c->ran_on, pthread_self()));
    ++*c->done;
    mem_free(c);
}

static void submit_counting(enum worker_kind kind, int *done)
{
    struct counting_job *c = mem_calloc(1, sizeof(*c));
    c->job.run = run_counting;
    c->job.done = finish_counting;
    c->done = done;
    workers_submit(kind, &c->job);
}

static void collect_until(int event_fd, const int *done, int wanted)
{
    while (*done < wanted) {
        struct pollfd p = {.fd = event_fd, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, 10000), 1, "no wake-up");
        workers_collect();
    }
}

Test(workers, jobs_run_elsewhere_and_finish_here)
{
    int fd = workers_start(), done = 0;
    cr_assert_geq(fd, 0);
    for (int i = 0; i < 3000; i++) submit_counting((enum worker_kind)(i % WORKER_KINDS), &done);
    collect_until(fd, &done, 3000);
    for (int kind = 0; kind < WORKER_KINDS; kind++) {
        workers_drain((enum worker_kind)kind);
        cr_assert_eq(workers_pending((enum worker_kind)kind), 0);
    }
}

static void free_job(struct worker_job *job)
{
    mem_free(job);
}

/* --- files let go of --- */

struct busy_job {
    struct worker_job job;
    pthread_mutex_t *mutex;
};

static void wait_for_mutex(struct worker_job *job)
{
    pthread_mutex_t *mutex = ((struct busy_job *)job)->mutex;
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    mem_free(job);
}

static int open_scratch(char path[64])
{
    strcpy(path, "/tmp/slipstream-discard-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(file_write_all(fd, "content", 7), 0);
    return fd;
}

static off_t size_of(int fd)
{
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    return status.st_size;
}

/* The worker is busy: whoever discards a file goes on all the same, and the worker does it later. */
Test(discard, large_files_are_closed_elsewhere)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct busy_job *busy = mem_calloc(1, sizeof *busy);
    char path[64], other[64];
    cr_assert_geq(workers_start(), 0);
    int nameless = open_scratch(path), link_end = dup(nameless);
    close(open_scratch(other));
    *busy = (struct busy_job){.job.run = wait_for_mutex, .mutex = &mutex};
    pthread_mutex_lock(&mutex);
    workers_submit(WORKER_CLOSE, &busy->job);
    cr_assert_eq(discard_path(path), 0);
    cr_assert_eq(access(path, F_OK), -1, "the name goes at once");
    discard_file(nameless);
    cr_assert_eq(size_of(nameless), 7, "not yet");
    pthread_mutex_unlock(&mutex);
    workers_drain(WORKER_CLOSE);
    cr_assert_eq(fcntl(nameless, F_GETFD), -1);
    cr_assert_eq(size_of(link_end), 0, "another holder's close has nothing left to free");
    close(link_end);
    cr_assert_eq(discard_path("/no/such/file"), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(discard_path(other), 0);
}

Test(discard, without_workers_the_caller_does_it)
{
    char path[64];
    int fd = open_scratch(path), second = dup(fd);
    cr_assert_eq(discard_path(path), 0);
    cr_assert_eq(size_of(fd), 7);
    discard_file(fd);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
    cr_assert_eq(size_of(second), 0);
    close(second);
}

Test(workers, a_job_without_done_belongs_to_its_run)
{
    cr_assert_geq(workers_start(), 0);
    size_t before = mem_used();
    for (int i = 0; i < 100; i++) {
        struct worker_job *job = mem_calloc(1, sizeof(*job));
        job->run = free_job;
        workers_submit(WORKER_FREE, job);
    }
    workers_drain(WORKER_FREE);
    cr_assert_eq(mem_used(), before);
}

Test(workers, a_forked_child_may_have_its_own)
{
    int done = 0, status;
    collect_until(workers_start(), &done, 0);
    submit_counting(WORKER_FSYNC, &done);
    pid_t child = fork();
    if (child == 0) {
        int own = 0, fd = workers_start();
        submit_counting(WORKER_FSYNC, &own);
        collect_until(fd, &own, 1);
        _exit(own);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    collect_until(workers_start(), &done, 1);
}
