/* The written cases, read and run one after another. */
#include "tests/differential/case_file.h"

#include "tests/harness/fail.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct case_run {
    struct pair *pair;
    const char *path, *only;
    struct tally *tally;
    char *title; /* owned; NULL before the first case */
    struct script script;
};

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), end_len = strlen(end);
    return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

static void run_in(struct case_run *r, int resp)
{
    pair_begin(r->pair, resp);
    int failed = pair_run(r->pair, &r->script, 1);
    r->tally->tested++;
    if (failed < 0) {
        r->tally->passed++;
        return;
    }
    const struct step *s = &r->script.at[failed];
    printf("\n%s:%d: '%s' in RESP%d\n  ", r->path, s->line, r->title, resp);
    step_print(stdout, s);
    printf("\n%s", pair_disagreement(r->pair));
    fflush(stdout);
}

static void close_case(struct case_run *r)
{
    bool chosen = r->title && (!r->only || strstr(r->title, r->only) || strstr(r->path, r->only));
    if (chosen && !ends_with(r->title, " [3]")) run_in(r, 2);
    if (chosen && !ends_with(r->title, " [2]")) run_in(r, 3);
    script_free(&r->script);
    free(r->title);
    r->title = NULL;
}

static void take_line(struct case_run *r, char *line, int number)
{
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[strspn(line, " \t")] == '\0') return;
    if (strncmp(line, "== ", 3) == 0) {
        close_case(r);
        r->title = strdup(line + 3);
        return;
    }
    struct step step;
    const char *wrong = r->title ? step_parse(line, &step) : "no case is open";
    if (wrong) harness_fail("%s:%d: %s: %s", r->path, number, wrong, line);
    step.line = number;
    script_append(&r->script, step);
}

static void run_file(struct case_run *r)
{
    FILE *file = fopen(r->path, "r");
    if (!file) harness_fail("%s: %s", r->path, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    for (int number = 1; getline(&line, &room, file) >= 0; number++) take_line(r, line, number);
    close_case(r);
    free(line);
    fclose(file);
}

void case_files_run(struct pair *p, const char *directory, const char *only, struct tally *tally)
{
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.txt", directory);
    if (glob(pattern, 0, NULL, &found) != 0) harness_fail("no case in %s", directory);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct case_run r = {.pair = p, .path = found.gl_pathv[i], .only = only, .tally = tally};
        run_file(&r);
    }
    globfree(&found);
}
