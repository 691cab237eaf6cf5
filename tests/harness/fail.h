/* How the harness gives up. Implemented once for Criterion (under_criterion.c) and once for programs without
 * it (standalone.c): the benchmark and the differential driver. */
#ifndef HARNESS_FAIL_H
#define HARNESS_FAIL_H

/* Ends the test (or the program) with this message; servers die with the process that started them. */
void harness_fail_at(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#define harness_fail(...) harness_fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* Directory for everything this run leaves behind, and a name for what is running now. */
const char *harness_root(void);
const char *harness_case(void);

#endif
