/* Whose a named backlog is: the lock, the process id where there is none, and what is removed when. */
#include "shm/control.h"
#include "shm/owner.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char name[64], ring[80];

static void set_up(void)
{
    snprintf(name, sizeof(name), "/slipstream-test-owner-%d", getpid());
    snprintf(ring, sizeof(ring), "%s.1", name);
}

static void tear_down(void)
{
    shm_unlink(name);
    shm_unlink(ring);
}

TestSuite(owner, .init = set_up, .fini = tear_down, .timeout = 60);

static void make_ring(void)
{
    struct region r;
    if (region_create(&r, REGION_NAMED, ring, 65536, 65536) == 0) region_unmap(&r);
}

/* A process that has made the control object and a ring, and lives until it is killed. */
static pid_t start_writer(void)
{
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct region r;
        if (control_create(&r, REGION_NAMED, name) != 0) _exit(1);
        make_ring();
        if (write(ready[1], "", 1) != 1) _exit(1);
        for (;;) pause();
    }
    char byte;
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool exists(const char *object)
{
    int fd = shm_open(object, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static struct shm_control *map_writable(void)
{
    int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    void *base = mmap(NULL, sizeof(struct shm_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(base, MAP_FAILED);
    close(fd);
    return base;
}

/* What a container sees of a neighbour's objects: a process id that is nobody's here, or somebody else's. */
Test(owner, a_writer_of_another_pid_namespace_is_seen_by_its_lock)
{
    pid_t writer = start_writer();
    struct shm_control *c = map_writable();
    const int ids[] = {1, 0, -1, 4194304, getpid()};
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        c->writer_pid = ids[i];
        c->writer_start_ticks = 1;
        cr_assert_eq(owner_of_name(name).state, OWNER_LIVING);
        cr_assert_eq(owner_remove_dead(name), 0);
    }
    cr_assert(exists(name) && exists(ring));
    end(writer);
    cr_assert_eq(owner_of_name(name).state, OWNER_DEAD);
    cr_assert_geq(owner_remove_dead(name), sizeof(struct shm_control) + 65536);
    cr_assert(!exists(name) && !exists(ring));
    cr_assert_eq(owner_of_name(name).state, OWNER_NONE);
}

Test(owner, nobody_has_waited_for_the_dead_writer)
{
    pid_t writer = start_writer();
    siginfo_t info;
    kill(writer, SIGKILL);
    cr_assert_eq(waitid(P_PID, (id_t)writer, &info, WEXITED | WNOWAIT), 0);
    cr_assert_eq(owner_start_ticks(writer), 0);
    cr_assert_eq(owner_of_name(name).state, OWNER_DEAD);
    end(writer);
}

/* Writers of before the lock. */
Test(owner, without_a_lock_the_process_decides)
{
    end(start_writer());
    struct shm_control *c = map_writable();
    c->writer_pid = getpid();
    cr_assert_eq(owner_of_name(name).state, OWNER_DEAD, "the id is used again");
    c->writer_start_ticks = owner_start_ticks(getpid());
    cr_assert_eq(owner_of_name(name).state, OWNER_LIVING);
    c->version++;
    cr_assert_eq(owner_of_name(name).state, OWNER_LIVING, "a layout that we do not know is its owner's all the same");
}

Test(owner, rings_without_a_control_object_are_remains)
{
    make_ring();
    cr_assert_eq(owner_of_name(name).state, OWNER_NONE);
    cr_assert_geq(owner_remove_dead(name), 65536);
    cr_assert(!exists(ring));
}

Test(owner, what_another_backlog_is_called_is_not_touched)
{
    char other[80];
    snprintf(other, sizeof(other), "%s0", name);
    struct region r;
    cr_assert_eq(region_create(&r, REGION_NAMED, other, 4096, 4096), 0);
    owner_remove_dead(name);
    cr_assert(exists(other));
    region_close(&r, other);
}

Test(owner, a_name_that_is_taken_is_not_taken_away)
{
    pid_t writer = start_writer();
    struct region r;
    cr_assert_eq(control_create(&r, REGION_NAMED, name), -1);
    cr_assert(exists(name));
    end(writer);
}
