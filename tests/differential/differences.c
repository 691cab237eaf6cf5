/* A line of the table: COMMAND | OURS | THEIRS | REASON. The first three are patterns (as of fnmatch) for the command
 * and the replies as they are printed. Instead of a pattern OURS may be an allowance, after which the rest is compared:
 *   field NAME   the pair of that name is left out
 *   event LINE   keyspace events like that are left out, behind this command or others sent together with it, or while
 *                it waits
 *   same double  texts that are the same double agree
 *   same behind TEXT  of texts that have this in them, only what follows it is compared */
#include "tests/differential/differences.h"

#include "tests/harness/fail.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS       4
#define FIELD_PREFIX  "field "
#define EVENT_PREFIX  "event "
#define BEHIND_PREFIX "same behind "

struct rule {
    char *line; /* owned; the columns point into it */
    const char *command, *ours, *theirs, *reason;
    int number;
    bool used;
};

struct differences {
    struct rule *rules;
    int count;
};

static char *trimmed(char *s)
{
    s += strspn(s, " \t");
    size_t len = strlen(s);
    while (len > 0 && strchr(" \t\n", s[len - 1])) s[--len] = '\0';
    return s;
}

static bool read_rule(char *line, struct rule *out)
{
    char *column[COLUMNS], *rest = line;
    for (int i = 0; i < COLUMNS; i++) {
        char *text = i + 1 < COLUMNS ? strsep(&rest, "|") : rest;
        if (!text) return false;
        column[i] = trimmed(text);
    }
    *out = (struct rule){line, column[0], column[1], column[2], column[3], 0, false};
    return *out->command && *out->ours && *out->reason;
}

struct differences *differences_load(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) harness_fail("%s: %s", path, strerror(errno));
    struct differences *d = calloc(1, sizeof *d);
    char *line = NULL;
    size_t room = 0;
    for (int number = 1; getline(&line, &room, file) >= 0; number++) {
        if (line[0] == '#' || *trimmed(line) == '\0') continue;
        d->rules = realloc(d->rules, (d->count + 1) * sizeof *d->rules);
        if (!read_rule(strdup(line), &d->rules[d->count])) harness_fail("%s:%d: no rule: %s", path, number, line);
        d->rules[d->count++].number = number;
    }
    free(line);
    fclose(file);
    return d;
}

void differences_free(struct differences *d)
{
    for (int i = 0; i < d->count; i++) free(d->rules[i].line);
    free(d->rules);
    free(d);
}

static bool read_double(const struct reply *r, double *out)
{
    char text[64], *end;
    if ((r->type != '$' && r->type != ',') || r->len == 0 || r->len >= sizeof text) return false;
    memcpy(text, r->text, r->len);
    text[r->len] = '\0';
    *out = strtod(text, &end);
    return *end == '\0';
}

/* Gives theirs our text wherever both are the same number, in whatever form. */
static void adopt_doubles(const struct reply *ours, struct reply *theirs)
{
    double mine, peers;
    if (read_double(ours, &mine) && read_double(theirs, &peers) && mine == peers && signbit(mine) == signbit(peers)) {
        theirs->text = ours->text;
        theirs->len = ours->len;
    }
    for (int i = 0; i < ours->parts && i < theirs->parts; i++) adopt_doubles(&ours->part[i], &theirs->part[i]);
}

static void cut_up_to(struct reply *r, const char *text)
{
    for (int i = 0; i < r->parts; i++) cut_up_to(&r->part[i], text);
    const char *found = r->parts || !r->text ? NULL : memmem(r->text, r->len, text, strlen(text));
    if (!found) return;
    found += strlen(text);
    r->len -= (size_t)(found - r->text);
    r->text = found;
}

/* Carries out the rule's allowance; false: it has none, but patterns. */
static bool allow(struct rule *rule, struct reply *ours, struct reply *theirs)
{
    bool field = strncmp(rule->ours, FIELD_PREFIX, strlen(FIELD_PREFIX)) == 0;
    bool behind = strncmp(rule->ours, BEHIND_PREFIX, strlen(BEHIND_PREFIX)) == 0;
    bool doubles = strcmp(rule->ours, "same double") == 0;
    if (field) {
        bool mine = reply_drop_field(ours, rule->ours + strlen(FIELD_PREFIX));
        bool peers = reply_drop_field(theirs, rule->ours + strlen(FIELD_PREFIX));
        rule->used |= mine || peers; /* though others may have to be left out, too */
    }
    if (behind) {
        cut_up_to(ours, rule->ours + strlen(BEHIND_PREFIX));
        cut_up_to(theirs, rule->ours + strlen(BEHIND_PREFIX));
    }
    if (doubles) adopt_doubles(ours, theirs);
    return field || behind || doubles;
}

static char *printed_reply(const struct reply *r)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    reply_print(out, r);
    fclose(out);
    return text;
}

static char *printed_command(const struct words *w)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    words_print(out, w);
    fclose(out);
    return text;
}

bool differences_expect(struct differences *d, const struct words *command, enum mode mode, struct reply *ours,
                        struct reply *theirs, long long tolerance)
{
    char *said = printed_command(command), *mine = printed_reply(ours), *peers = printed_reply(theirs);
    bool expected = false;
    for (int i = 0; i < d->count && !expected; i++) {
        struct rule *rule = &d->rules[i];
        if (fnmatch(rule->command, said, FNM_CASEFOLD) != 0) continue;
        if (allow(rule, ours, theirs))
            expected = replies_agree(mode, ours, theirs, tolerance);
        else
            expected = fnmatch(rule->ours, mine, 0) == 0 && fnmatch(rule->theirs, peers, 0) == 0;
        if (expected) rule->used = true;
    }
    free(said);
    free(mine);
    free(peers);
    return expected;
}

static void drop_lines_like(char *lines, const char *pattern)
{
    char *to = lines;
    for (char *line = lines, *next; *line; line = next) {
        size_t len = strcspn(line, "\n");
        next = line + len + (line[len] == '\n');
        line[len] = '\0';
        if (fnmatch(pattern, line, 0) == 0) continue;
        memmove(to, line, len);
        to[len] = '\n';
        to += len + 1;
    }
    *to = '\0';
}

bool differences_expect_events(struct differences *d, const struct words *command, char *ours, char *theirs)
{
    char *said = printed_command(command);
    for (int i = 0; i < d->count; i++) {
        struct rule *rule = &d->rules[i];
        if (strncmp(rule->ours, EVENT_PREFIX, strlen(EVENT_PREFIX)) != 0) continue;
        if (fnmatch(rule->command, said, FNM_CASEFOLD) != 0) continue;
        drop_lines_like(ours, rule->ours + strlen(EVENT_PREFIX));
        drop_lines_like(theirs, rule->ours + strlen(EVENT_PREFIX));
        rule->used = true;
    }
    free(said);
    return strcmp(ours, theirs) == 0;
}

int differences_report_unused(const struct differences *d, FILE *out)
{
    int unused = 0;
    for (int i = 0; i < d->count; i++) {
        if (d->rules[i].used) continue;
        unused++;
        fprintf(out, "warning: no written case needs the expected difference in line %d: %s (%s)\n", d->rules[i].number,
                d->rules[i].command, d->rules[i].reason);
    }
    return unused;
}
