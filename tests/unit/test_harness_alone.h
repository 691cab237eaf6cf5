/* For a unit test that takes a file or two of the harness, and no servers: what those ask of the rest of it. */
#ifndef SLIPSTREAM_TEST_HARNESS_ALONE_H
#define SLIPSTREAM_TEST_HARNESS_ALONE_H

#include "tests/harness/fail.h"

#include <criterion/criterion.h>
#include <stdlib.h>

void harness_fail_at(const char *file, int line, const char *format, ...)
{
    cr_assert_fail("%s:%d: %s", file, line, format);
    abort();
}

const char *harness_root(void)
{
    return "/tmp";
}

#endif
