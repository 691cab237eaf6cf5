/* repl/stream.h: history, backlog and listeners never disagree. */
#include "repl/stream.h"

#include "server/base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* What a listener was told, and what the stream looked like at that moment. */
struct ear {
    struct repl_stream *stream;
    int opened, renamed, replaced, closing;
    uint64_t window_end;
    char id[HISTORY_ID_TEXT], why[64];
    int order, *clock;
};

static void heard(struct ear *e)
{
    e->window_end = repl_stream_window(e->stream).end;
    memcpy(e->id, repl_stream_history(e->stream)->id, sizeof e->id);
    if (e->clock) e->order = ++*e->clock;
}

static void opened(void *context)
{
    struct ear *e = context;
    e->opened++;
    heard(e);
}

static void renamed(void *context, const char *why)
{
    struct ear *e = context;
    e->renamed++;
    snprintf(e->why, sizeof e->why, "%s", why);
    heard(e);
}

static void replaced(void *context)
{
    struct ear *e = context;
    e->replaced++;
    heard(e);
}

static void closing(void *context)
{
    struct ear *e = context;
    e->closing++;
    cr_assert_not_null(repl_stream_backlog(e->stream));
    heard(e);
}

static const struct repl_stream_listener all_ears = {
    .opened = opened, .renamed = renamed, .replaced = replaced, .closing = closing};

static struct repl_settings settings = {.backlog_bytes = 64 * 1024};

static struct repl_stream *new_stream(struct ear *ear, struct repl_stream_listener *listener)
{
    log_open("/dev/null", LOG_WARNING);
    struct repl_stream *s = repl_stream_new(&settings, 22199);
    *ear = (struct ear){.stream = s};
    *listener = all_ears;
    listener->context = ear;
    repl_stream_listen(s, listener);
    return s;
}

Test(repl_stream, counts_without_a_backlog)
{
    struct repl_stream_listener listener;
    struct ear ear;
    struct repl_stream *s = new_stream(&ear, &listener);
    repl_stream_append(s, "abc", 3);
    cr_assert_eq(repl_stream_history(s)->offset, 3);
    cr_assert_not(repl_stream_window(s).present);
    cr_assert(repl_stream_can_be_shared(s));
    repl_stream_free(s);
    cr_assert_eq(ear.closing, 0);
}

Test(repl_stream, a_backlog_begins_with_the_next_byte)
{
    struct repl_stream_listener listener;
    struct ear ear;
    struct repl_stream *s = new_stream(&ear, &listener);
    repl_stream_append(s, "abc", 3);
    cr_assert_eq(repl_stream_open(s), 0);
    cr_assert_eq(repl_stream_open(s), 0);
    cr_assert_eq(ear.opened, 1);
    repl_stream_append(s, "defg", 4);
    struct resync_window window = repl_stream_window(s);
    cr_assert(window.present);
    cr_assert_eq(window.first, 4);
    cr_assert_eq(window.end, 8);
    cr_assert_eq(window.end, repl_stream_history(s)->offset + 1);
    repl_stream_free(s);
    cr_assert_eq(ear.closing, 1);
}

Test(repl_stream, a_branch_keeps_the_window_and_the_old_id)
{
    struct repl_stream_listener listener;
    struct ear ear;
    char before[HISTORY_ID_TEXT];
    struct repl_stream *s = new_stream(&ear, &listener);
    repl_stream_open(s);
    repl_stream_append(s, "abc", 3);
    memcpy(before, repl_stream_history(s)->id, sizeof before);
    repl_stream_branch(s, "promoted");
    cr_assert_str_eq(repl_stream_history(s)->second_id, before);
    cr_assert_eq(repl_stream_history(s)->second_offset, 4);
    cr_assert_eq(repl_stream_window(s).first, 1);
    cr_assert_eq(ear.renamed, 1);
    cr_assert_str_eq(ear.why, "promoted");
    cr_assert_str_eq(ear.id, repl_stream_history(s)->id, "the listener sees the new id");
    repl_stream_continue_as(s, "0123456789012345678901234567890123456789", "renamed by the master");
    cr_assert_eq(ear.renamed, 2);
    cr_assert_str_eq(repl_stream_history(s)->id, "0123456789012345678901234567890123456789");
    cr_assert_eq(repl_stream_window(s).end, 4);
    repl_stream_free(s);
}

Test(repl_stream, replacing_empties_the_window_after_the_listeners)
{
    struct repl_stream_listener listener;
    struct ear ear;
    struct repl_stream *s = new_stream(&ear, &listener);
    repl_stream_open(s);
    repl_stream_append(s, "abc", 3);
    repl_stream_replace(s, "0123456789012345678901234567890123456789", 1000);
    cr_assert_eq(ear.replaced, 1);
    cr_assert_eq(ear.renamed, 0);
    cr_assert_eq(ear.window_end, 4, "its peers are still of the old window");
    struct resync_window window = repl_stream_window(s);
    cr_assert_eq(window.first, 1001);
    cr_assert_eq(window.end, 1001);
    cr_assert_eq(repl_stream_history(s)->second_offset, -1);
    repl_stream_replace(s, NULL, 0);
    cr_assert_eq(repl_stream_history(s)->offset, 0);
    cr_assert_str_neq(repl_stream_history(s)->id, "0123456789012345678901234567890123456789");
    cr_assert_eq(repl_stream_window(s).first, 1);
    repl_stream_free(s);
}

Test(repl_stream, what_has_expired_cannot_be_continued)
{
    struct repl_stream_listener listener;
    struct ear ear;
    char before[HISTORY_ID_TEXT];
    struct repl_stream *s = new_stream(&ear, &listener);
    repl_stream_open(s);
    repl_stream_append(s, "abc", 3);
    memcpy(before, repl_stream_history(s)->id, sizeof before);
    repl_stream_expire(s);
    cr_assert_eq(ear.closing, 1);
    cr_assert_str_neq(repl_stream_history(s)->id, before);
    cr_assert_str_neq(repl_stream_history(s)->second_id, before);
    cr_assert_eq(repl_stream_history(s)->offset, 3);
    cr_assert_not(repl_stream_window(s).present);
    cr_assert_eq(repl_stream_open(s), 0);
    cr_assert_eq(ear.opened, 2);
    cr_assert_eq(repl_stream_window(s).first, 4);
    repl_stream_free(s);
}

Test(repl_stream, listeners_are_told_in_their_order_and_may_lack_members)
{
    struct repl_stream_listener first, second = {.renamed = renamed}, deaf = {.context = NULL};
    struct ear ear, other;
    int clock = 0;
    struct repl_stream *s = new_stream(&ear, &first);
    other = (struct ear){.stream = s, .clock = &clock};
    ear.clock = &clock;
    second.context = &other;
    repl_stream_listen(s, &deaf);
    repl_stream_listen(s, &second);
    repl_stream_open(s);
    clock = 0;
    repl_stream_branch(s, "promoted");
    cr_assert_eq(ear.order, 1);
    cr_assert_eq(other.order, 2);
    repl_stream_replace(s, NULL, 0);
    cr_assert_eq(other.renamed, 1);
    repl_stream_free(s);
}
