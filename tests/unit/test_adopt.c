/* Going on with what a dead server left in /dev/shm: the copy of its control region, and what is under the name when
 * that copy cannot be had. */
#include "shm/adopt.h"
#include "shm/control.h"
#include "shm/owner.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REST_BYTES 65536
#define TEXT       "what was published"

static char name[64], copy[80], copy_path[96];

/* A process that publishes TEXT, and is gone without a word. */
static void set_up(void)
{
    snprintf(name, sizeof(name), "/slipstream-test-adopt-%d", getpid());
    snprintf(copy, sizeof(copy), "%s.adopting", name);
    snprintf(copy_path, sizeof(copy_path), "/dev/shm%s", copy);
    pid_t pid = fork();
    if (pid == 0) {
        struct backlog *b =
            backlog_open(name, 1, &(struct backlog_limits){.rest_bytes = REST_BYTES}, &(struct backlog_events){0});
        if (!b) _exit(1);
        backlog_append(b, TEXT, strlen(TEXT));
        backlog_publish(b);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}

static void tear_down(void)
{
    rmdir(copy_path);
    region_unlink_family(name);
}

TestSuite(adopt, .init = set_up, .fini = tear_down, .timeout = 60);

static struct adoption *find(void)
{
    char reason[ADOPT_REASON_BYTES];
    struct adoption *a = adopt_find(name, reason);
    cr_assert_not_null(a, "%s", reason);
    return a;
}

static struct backlog *adopt(struct adoption *a)
{
    return backlog_adopt(a, &(struct backlog_limits){.rest_bytes = REST_BYTES}, &(struct backlog_events){0});
}

static bool exists(const char *object)
{
    int fd = shm_open(object, O_RDONLY, 0);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void expect_window(const struct backlog *b)
{
    cr_assert_eq(backlog_first(b), 1);
    cr_assert_eq(backlog_end(b), strlen(TEXT) + 1);
    cr_assert(backlog_is_shared(b));
}

static void expect_nothing_left(void)
{
    unsigned count;
    region_family_memory(name, &count);
    cr_assert_eq(count, 0);
}

Test(adopt, the_copy_takes_the_name)
{
    struct backlog *b = adopt(find());
    cr_assert_not_null(b);
    expect_window(b);
    cr_assert_not(exists(copy));
    cr_assert_eq(owner_of_name(name).pid, getpid());
    backlog_close(b);
    expect_nothing_left();
}

/* The next server died behind the copy, and in front of the rename. */
Test(adopt, a_copy_that_was_left_behind_is_replaced)
{
    struct region left;
    cr_assert_eq(region_create(&left, REGION_NAMED, copy, 4096, 4096), 0);
    region_unmap(&left);
    struct backlog *b = adopt(find());
    cr_assert_not_null(b);
    expect_window(b);
    cr_assert_not(exists(copy));
    backlog_close(b);
    expect_nothing_left();
}

/* As in a /dev/shm that is full: a directory has the copy's name. */
Test(adopt, without_room_for_the_copy_it_goes_on_without_a_name)
{
    cr_assert_eq(mkdir(copy_path, 0700), 0);
    struct backlog *b = adopt(find());
    cr_assert_not_null(b);
    expect_window(b);
    cr_assert_not(exists(name), "the next start would take it for the stream's end");
    backlog_append(b, TEXT, strlen(TEXT));
    backlog_publish(b);
    cr_assert_eq(backlog_end(b), 2 * strlen(TEXT) + 1);
    backlog_close(b);
    cr_assert_eq(rmdir(copy_path), 0);
    expect_nothing_left();
}

static void limit_file_size(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = bytes, .rlim_max = RLIM_INFINITY}), 0);
}

static void fail(struct adoption *a, rlim_t most_bytes)
{
    limit_file_size(most_bytes);
    cr_assert_null(adopt(a));
    cr_assert_eq(errno, EFBIG);
    limit_file_size(RLIM_INFINITY);
    cr_assert(exists(name));
    cr_assert_not(exists(copy));
}

Test(adopt, a_failure_leaves_all_as_it_was)
{
    struct adoption *a = find();
    fail(a, 4096);                       /* no control region */
    fail(a, sizeof(struct shm_control)); /* no ring */
    struct bytes run = adopt_run(a, 1);
    cr_assert_eq(run.len, strlen(TEXT));
    cr_assert_eq(memcmp(run.ptr, TEXT, run.len), 0);
    struct backlog *b = adopt(a);
    cr_assert_not_null(b);
    expect_window(b);
    backlog_close(b);
    expect_nothing_left();
}
