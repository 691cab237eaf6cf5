/* For the test of a process of ours (link, journal) that is driven as the server drives it: the test's program is that
 * process, too, started through /proc/self/exe with the process's own argument. Every test runs on both engines; where
 * the kernel refuses io_uring its half says so and is skipped. */
#ifndef SLIPSTREAM_TEST_OWN_PROCESS_H
#define SLIPSTREAM_TEST_OWN_PROCESS_H

#include "server/net/loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* main() of such a program. */
static inline int run_process_or_tests(int argc, char **argv, const char *argument, int (*process)(int, char **))
{
    if (argc > 1 && strcmp(argv[1], argument) == 0) return process(argc, argv);
    struct criterion_test_set *tests = criterion_initialize();
    int result = criterion_handle_args(argc, argv, true) ? !criterion_run_all_tests(tests) : 0;
    criterion_finalize(tests);
    return result;
}

/* Else the test library takes the process for one of its own workers. */
static inline void hide_from_test_library(void)
{
    unsetenv("BXFI_MAP");
}

static inline struct loop *loop_or_skip(enum loop_engine engine)
{
    struct loop *loop = loop_new(&(struct loop_settings){.engine = engine});
    if (!loop) cr_skip_test("the engine is refused here");
    return loop;
}

#define ON_BOTH_ENGINES(suite, name, timeout_s)                                                                        \
    static void name(enum loop_engine engine);                                                                         \
    Test(suite, name##_uring, .timeout = timeout_s)                                                                    \
    {                                                                                                                  \
        name(LOOP_ENGINE_URING);                                                                                       \
    }                                                                                                                  \
    Test(suite, name##_epoll, .timeout = timeout_s)                                                                    \
    {                                                                                                                  \
        name(LOOP_ENGINE_EPOLL);                                                                                       \
    }                                                                                                                  \
    static void name(enum loop_engine engine)

#endif
