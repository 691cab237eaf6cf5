/* Histories and the partial-or-full decision, as a table of cases. */
#include "repl/history.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define OURS   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BEFORE "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OTHER  "cccccccccccccccccccccccccccccccccccccccc"
#define NONE   "0000000000000000000000000000000000000000"

/* Ours since offset 501; the backlog holds 301 to 1000. */
static struct history promoted(void)
{
    struct history h = {.second_offset = 501, .offset = 1000};
    strcpy(h.id, OURS);
    strcpy(h.second_id, BEFORE);
    return h;
}

static const struct resync_window window = {true, 301, 1001};
static const struct resync_window no_window = {false, 0, 0};

static const struct resync_case {
    const char *name, *id;
    int64_t offset;
    const struct resync_window *window;
    enum resync_reason reason;
    bool id_changed;
} cases[] = {
    {"nothing missing", OURS, 1001, &window, RESYNC_CONTINUE, false},
    {"oldest byte kept", OURS, 301, &window, RESYNC_CONTINUE, false},
    {"one byte too old", OURS, 300, &window, RESYNC_TOO_OLD, false},
    {"one byte ahead of us", OURS, 1002, &window, RESYNC_FROM_THE_FUTURE, false},
    {"upper case id", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, &window, RESYNC_CONTINUE, false},
    {"sibling, in step", BEFORE, 501, &window, RESYNC_CONTINUE, true},
    {"sibling, behind", BEFORE, 301, &window, RESYNC_CONTINUE, true},
    {"sibling, ahead of the change", BEFORE, 502, &window, RESYNC_PAST_SECOND_ID, false},
    {"sibling, too old", BEFORE, 300, &window, RESYNC_TOO_OLD, false},
    {"stranger", OTHER, 500, &window, RESYNC_UNKNOWN_ID, false},
    {"first time", "?", -1, &window, RESYNC_FIRST_TIME, false},
    {"SYNC", NULL, -1, &window, RESYNC_NO_PSYNC, false},
    {"no backlog", OURS, 500, &no_window, RESYNC_NO_BACKLOG, false},
    {"negative offset", OURS, -5, &window, RESYNC_TOO_OLD, false},
    {"smallest offset", OURS, INT64_MIN, &window, RESYNC_TOO_OLD, false},
    {"largest offset", OURS, INT64_MAX, &window, RESYNC_FROM_THE_FUTURE, false},
    {"empty id", "", 500, &window, RESYNC_UNKNOWN_ID, false},
};

Test(history, decides_each_case)
{
    struct history h = promoted();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct resync_case *c = &cases[i];
        struct resync_decision d = resync_decide(&h, c->window, c->id, c->offset);
        cr_expect_eq(d.reason, c->reason, "%s: reason %d", c->name, d.reason);
        cr_expect_eq(d.id_changed, c->id_changed, "%s", c->name);
        if (c->reason == RESYNC_CONTINUE) cr_expect_eq(d.from, (uint64_t)c->offset, "%s", c->name);
    }
}

Test(history, explains_each_case_with_its_numbers)
{
    struct history h = promoted();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct resync_case *c = &cases[i];
        char text[512] = "", asked[32];
        struct resync_decision d = resync_decide(&h, c->window, c->id, c->offset);
        resync_explain(&d, &h, c->window, c->id, c->offset, text);
        cr_expect_gt(strlen(text), 0, "%s", c->name);
        cr_expect_null(strchr(text, '\n'), "%s", c->name);
        if (c->reason == RESYNC_FIRST_TIME || c->reason == RESYNC_NO_PSYNC) continue;
        snprintf(asked, sizeof asked, "%lld", (long long)c->offset);
        cr_expect_not_null(strstr(text, asked), "%s: %s", c->name, text);
    }
}

Test(history, an_absent_second_id_matches_nobody)
{
    struct history h;
    history_init(&h);
    cr_expect_str_eq(h.second_id, NONE);
    cr_expect_eq(h.second_offset, -1);
    struct resync_window from_one = {true, 1, 1};
    cr_expect_eq(resync_decide(&h, &from_one, NONE, 1).reason, RESYNC_UNKNOWN_ID);
    cr_expect_eq(resync_decide(&h, &from_one, h.id, 1).reason, RESYNC_CONTINUE);
}

Test(history, ids_are_fresh_and_well_formed)
{
    struct history a, b;
    history_init(&a);
    history_init(&b);
    cr_expect_str_neq(a.id, b.id);
    cr_expect_eq(strlen(a.id), 40);
    cr_expect_eq(strspn(a.id, "0123456789abcdef"), 40);
}

Test(history, promotion_lets_siblings_continue_up_to_where_it_happened)
{
    struct history h = promoted();
    history_shift_id(&h);
    cr_expect_str_eq(h.second_id, OURS);
    cr_expect_eq(h.second_offset, 1001);
    cr_expect_str_neq(h.id, OURS);
    cr_expect_eq(resync_decide(&h, &window, OURS, 1001).reason, RESYNC_CONTINUE);
    cr_expect_eq(resync_decide(&h, &window, OURS, 1002).reason, RESYNC_PAST_SECOND_ID);
    cr_expect_eq(resync_decide(&h, &window, BEFORE, 400).reason, RESYNC_UNKNOWN_ID);
}

Test(history, following_a_renamed_history_remembers_the_old_name)
{
    struct history h = promoted();
    history_continue_as(&h, OURS); /* the same name: nothing to remember */
    cr_expect_str_eq(h.second_id, BEFORE);
    history_continue_as(&h, OTHER);
    cr_expect_str_eq(h.id, OTHER);
    cr_expect_str_eq(h.second_id, OURS);
    cr_expect_eq(h.second_offset, 1001);
}

Test(history, a_full_sync_replaces_everything)
{
    struct history h = promoted();
    history_adopt(&h, OTHER, 77);
    cr_expect_str_eq(h.id, OTHER);
    cr_expect_str_eq(h.second_id, NONE);
    cr_expect_eq(h.second_offset, -1);
    cr_expect_eq(h.offset, 77);
    history_new_id(&h);
    cr_expect_str_neq(h.id, OTHER);
    cr_expect_eq(h.offset, 77);
}
