/* The simulator: clusters of our servers and Sentinels live through bad days, one after another, each from its seed.
 *
 * usage: simulation [--seed S | --from S] [--seeds N] [--seconds T] [--jobs J] [--verbose]
 *                   [--keep FAULTS] [--shrink no] [--mistake NAME]
 *        simulation --suite WORLDS [--jobs J]
 *
 * --seed S        one world; --verbose shows its trace, --keep leaves out all faults but these (as a failure prints
 *                 them)
 * --from S        one after another from there on, until --seeds or --seconds are over
 * --mistake NAME  the model does something wrong (plan.h), which the checks are to notice
 * --suite         what a test run asks: mistakes are noticed, and worlds go well: most of them always the same, a part
 *                 from SLIPSTREAM_SEED on
 *
 * 0: all went well; 1: a failure, which is printed with the shortest schedule found. */
#include "server/base/log.h"
#include "tests/simulation/campaign.h"
#include "tests/simulation/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct campaign campaign;
    uint64_t suite; /* worlds; 0: no suite */
};

static bool read_mistake(const char *text, enum mistake *out)
{
    for (int i = 0; i < MISTAKES; i++)
        if (strcmp(text, mistake_name((enum mistake)i)) == 0) {
            *out = (enum mistake)i;
            return true;
        }
    return false;
}

static bool read_option(const char *name, const char *value, struct options *o)
{
    struct campaign *c = &o->campaign;
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "--seed") == 0) {
        c->from = number;
        c->worlds = 1;
    } else if (strcmp(name, "--from") == 0)
        c->from = number;
    else if (strcmp(name, "--seeds") == 0)
        c->worlds = number;
    else if (strcmp(name, "--seconds") == 0)
        c->seconds = (int64_t)number;
    else if (strcmp(name, "--jobs") == 0)
        c->jobs = number > 0 && number < 1000 ? (int)number : 1;
    else if (strcmp(name, "--keep") == 0)
        c->keep = value;
    else if (strcmp(name, "--shrink") == 0)
        c->shrink = strcmp(value, "no") != 0;
    else if (strcmp(name, "--suite") == 0)
        o->suite = number;
    else
        return strcmp(name, "--mistake") == 0 && read_mistake(value, &c->mistake);
    return true;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            o->campaign.verbose = true;
        else if (i + 1 == argc || !read_option(argv[i], argv[i + 1], o))
            return false;
        else
            i++;
    }
    if (!o->campaign.worlds) o->campaign.worlds = o->campaign.seconds ? UINT64_MAX : 100;
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.campaign = {.from = 1, .jobs = 1, .shrink = true}};
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: simulation [--seed S | --from S] [--seeds N] [--seconds T] [--jobs J] [--verbose] "
                        "[--keep FAULTS] [--shrink no] [--mistake NAME]\n"
                        "       simulation --suite WORLDS [--jobs J]\n");
        return 2;
    }
    log_set_level((enum log_level)(LOG_WARNING + 1)); /* what the real parts say of themselves is not the trace */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (o.suite) return suite_run(o.suite, o.campaign.jobs) > 0;
    struct sum sum = campaign_run(&o.campaign);
    sum_print(&sum);
    return sum.failed > 0;
}
