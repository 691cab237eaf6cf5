/* The registry of those who want to hear of changed keys. */
#include "server/base/alloc.h"
#include "server/core/session/key_watchers.h"

#include <criterion/criterion.h>

struct heard {
    struct key_watcher watcher;
    int keys, databases;
    struct key_change last;
};

static void hear_key(void *context, const struct key_change *change)
{
    struct heard *h = context;
    h->keys++;
    h->last = *change;
}

static void hear_database(void *context, const struct database_change *change)
{
    struct heard *h = context;
    (void)change;
    h->databases++;
}

static void heard_init(struct heard *h, bool databases_matter)
{
    *h = (struct heard){.watcher = {.context = h, .touched = hear_key}};
    if (databases_matter) h->watcher.database_changing = hear_database;
}

Test(key_watchers, only_those_who_listen_are_told)
{
    struct key_watchers *w = key_watchers_new();
    struct heard a, b;
    heard_init(&a, true);
    heard_init(&b, false);
    cr_assert_not(key_watchers_any(w));
    key_watcher_listen(w, &a.watcher, true);
    key_watcher_listen(w, &a.watcher, true); /* once is enough */
    key_watcher_listen(w, &b.watcher, true);
    cr_assert(key_watchers_any(w));

    struct key_change change = {.db = 3, .key = BYTES("k"), .expires = true};
    struct database_change whole = {.db = -1};
    key_watchers_tell(w, &change);
    key_watchers_tell_database(w, &whole);
    cr_expect_eq(a.keys, 1);
    cr_expect_eq(b.keys, 1);
    cr_expect_eq(b.last.db, 3);
    cr_expect(b.last.expires);
    cr_expect_eq(a.databases, 1);
    cr_expect_eq(b.databases, 0);

    key_watcher_listen(w, &a.watcher, false);
    key_watcher_listen(w, &a.watcher, false);
    key_watchers_tell(w, &change);
    cr_expect_eq(a.keys, 1);
    cr_expect_eq(b.keys, 2);
    key_watcher_listen(w, &b.watcher, false);
    cr_assert_not(key_watchers_any(w));
    mem_free(w);
}
