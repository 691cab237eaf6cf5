/* The harness's processes: on which processors they run. */
#include "tests/harness/process.h"
#include "tests/unit/test_harness_alone.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many processors a program that was started so may use, by its own word. */
static int processors_of(int cpu)
{
    const char *argv[] = {"/usr/bin/nproc", NULL};
    char path[] = "/tmp/slipstream-test-nproc-XXXXXX", text[16] = "";
    int fd = mkstemp(path);
    pid_t pid = process_spawn(&(struct process_options){.argv = argv, .log = path, .cpu = cpu});
    cr_assert(fd >= 0 && pid > 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_assert_gt(read(fd, text, sizeof text - 1), 0);
    close(fd);
    unlink(path);
    return atoi(text);
}

Test(harness_process, who_has_taken_a_processor_for_himself_binds_nobody_else, .timeout = 60)
{
    int all = processors_of(0);
    if (all < 2) cr_skip_test("there is one processor");
    cr_expect_eq(processors_of(1), 1);
    cr_assert_eq(process_pin_self(2), 0);
    cr_expect_eq(processors_of(0), all);
    cr_expect_eq(processors_of(1), 1);
}
