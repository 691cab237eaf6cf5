/* See browser.h. */
#include "tests/harness/browser.h"

#include "tests/harness/fail.h"
#include "tests/harness/process.h"

#include <stdio.h>
#include <unistd.h>

#define BOUND_MS 60000

const char *browser_program(void)
{
    static const char *const programs[] = {"/usr/bin/chromium-headless-shell", "/usr/bin/chromium"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (access(programs[i], X_OK) == 0) return programs[i];
    return NULL;
}

char *browser_show(const char *page)
{
    char url[600], profile[600];
    snprintf(url, sizeof url, "file://%.500s", page);
    snprintf(profile, sizeof profile, "--user-data-dir=%.500s-profile", page);
    const char *argv[] = {browser_program(),
                          "--headless",
                          "--no-sandbox",
                          "--disable-gpu",
                          "--window-size=390,844",
                          profile,
                          "--dump-dom",
                          url,
                          NULL};
    struct process_result r = process_run_within(argv, NULL, BOUND_MS);
    if (r.exit_code != 0) harness_fail("the browser ended with %d: %s", r.exit_code, r.output);
    return r.output;
}
