/* repl/comeback.h: who is held back from a master that has come back with less, and for how long. */
#include "repl/comeback.h"

#include <criterion/criterion.h>

#define ID      "0123456789abcdef0123456789abcdef01234567"
#define OTHER   "fedcba9876543210fedcba9876543210fedcba98"
#define WAIT_MS 3000

static struct history h;

/* From a file whose last byte was the 50th; "": from nothing. */
static void come_back(struct comeback *c, const char *id, int64_t wait_ms)
{
    history_init(&h);
    if (*id) {
        history_adopt(&h, id, 50);
        history_shift_id(&h);
    }
    comeback_begin(c, !*id, wait_ms, 1000);
}

static bool holds_back(struct comeback *c, const char *asked_id, int64_t asked_offset, bool watched, int64_t now_ms)
{
    struct resync_window window = {.present = true, .first = 1, .end = h.offset + 1};
    struct resync_decision d = resync_decide(&h, &window, asked_id, asked_offset);
    return comeback_holds_back(c, &h, d.reason, asked_offset, watched, now_ms);
}

Test(comeback, who_is_ahead_in_our_history_waits)
{
    struct comeback c = {0};
    history_init(&h);
    cr_expect(!holds_back(&c, ID, 100, true, 1000), "we have not come back at all");
    come_back(&c, ID, WAIT_MS);
    cr_expect(!holds_back(&c, ID, 51, true, 1001), "it has just what we have");
    cr_expect(!holds_back(&c, OTHER, 900, true, 1001), "another history says nothing");
    cr_expect(!holds_back(&c, "?", -1, true, 1001));
    cr_expect(!holds_back(&c, NULL, 0, true, 1001), "SYNC");
    cr_expect_eq(comeback_ahead_bytes(&c, true, 1001), 0);
    cr_expect(holds_back(&c, ID, 61, true, 1002));
    cr_expect(holds_back(&c, ID, 52, true, 1003));
    cr_expect_eq(comeback_ahead_bytes(&c, true, 1003), 10, "of the one that has most");
}

Test(comeback, nobody_waits_for_ever)
{
    struct comeback c;
    come_back(&c, ID, WAIT_MS);
    cr_expect(holds_back(&c, ID, 61, false, 1000 + WAIT_MS - 1));
    cr_expect(!holds_back(&c, ID, 61, false, 1000 + WAIT_MS));
    cr_expect_eq(comeback_ahead_bytes(&c, false, 1000 + WAIT_MS), 0);
    cr_expect(holds_back(&c, ID, 61, true, 1000 + WAIT_MS), "Sentinels are there");
    cr_expect(!holds_back(&c, ID, 61, true, 1000 + COMEBACK_WATCHED_PATIENCE_MS));
    comeback_end(&c);
    cr_expect(!holds_back(&c, ID, 61, true, 1001));
}

Test(comeback, with_nothing_everybody_who_has_something_is_ahead)
{
    struct comeback c;
    come_back(&c, "", WAIT_MS);
    cr_expect(!holds_back(&c, OTHER, 1, true, 1001), "its history is empty");
    cr_expect(!holds_back(&c, "?", -1, true, 1001));
    cr_expect(!holds_back(&c, h.id, 8, true, 1001), "what we have said since then");
    cr_expect(holds_back(&c, OTHER, 8, true, 1001));
    cr_expect_eq(comeback_ahead_bytes(&c, true, 1001), 7);
    cr_expect(!holds_back(&c, OTHER, 8, false, 1000 + WAIT_MS));
}

Test(comeback, nobody_is_held_back_where_nobody_is_to_be)
{
    struct comeback c;
    come_back(&c, ID, 0);
    cr_expect(!holds_back(&c, ID, 61, true, 1000));
    cr_expect_eq(comeback_ahead_bytes(&c, true, 1000), 0);
    come_back(&c, ID, 60000);
    cr_expect(holds_back(&c, ID, 61, true, 60999), "who asks for more than Sentinels need has it with them, too");
}
