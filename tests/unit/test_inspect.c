/* The inspecting tool's picture and page: what a writer and a link have said is what is seen, whole, and no bytes of a
 * region do any harm. */
#include "server/base/random.h"
#include "shm/backlog.h"
#include "shm/control.h"
#include "shm/inspect.h"
#include "shm/reader.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID     "0123456789abcdef0123456789abcdef01234567"
#define OTHER  "fedcba9876543210fedcba9876543210fedcba98"
#define ROUNDS 20000

struct bench {
    char name[64];
    struct backlog *b;
    struct reader *r;
    struct region seen; /* read-only, as the tool has it */
};

static void set_up(struct bench *t)
{
    *t = (struct bench){0};
    snprintf(t->name, sizeof(t->name), "/slipstream-test-inspect-%d", getpid());
    t->b = backlog_open(t->name, 1001, &(struct backlog_limits){.rest_bytes = 1000}, &(struct backlog_events){0});
    cr_assert_not_null(t->b);
    t->r = reader_attach(SHM_LINK, dup(backlog_control_fd(t->b)), dup(backlog_bell(t->b, SHM_LINK)),
                         dup(backlog_server_bell(t->b)));
    cr_assert_not_null(t->r);
    cr_assert_eq(region_open(&t->seen, t->name), 0);
}

static void tear_down(struct bench *t)
{
    region_unmap(&t->seen);
    reader_detach(t->r);
    backlog_close(t->b);
}

static struct shm_control *map_writable(const struct bench *t, struct region *r)
{
    cr_assert_eq(control_map(r, dup(backlog_control_fd(t->b))), 0);
    return control_of(r);
}

/* The caller frees it. */
static char *page_of(const struct inspection *i)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    inspect_print(i, &(struct inspect_surroundings){.name = "/some-name", .owner = {OWNER_LIVING, 42}}, out);
    fclose(out);
    return text;
}

static void expect_on_page(const struct inspection *i, const char *text)
{
    char *page = page_of(i);
    cr_expect(strstr(page, text), "no '%s' in:\n%s", text, page);
    free(page);
}

Test(inspect, shows_what_writer_and_link_have_said)
{
    struct bench t;
    struct inspection i;
    set_up(&t);
    backlog_set_history(t.b, ID, OTHER, 900);
    int online = backlog_peer_claim(t.b, 1001), unknown = backlog_peer_claim(t.b, 1001);
    int file = backlog_peer_claim_unpinned(t.b), doomed = backlog_peer_claim(t.b, 1001);
    reader_peer_open(t.r, online);
    reader_peer_open(t.r, file);
    reader_peer_set_state(t.r, file, PEER_SENDING_SNAPSHOT);
    backlog_append(t.b, ID, 40);
    backlog_publish(t.b);
    reader_peer_set_state(t.r, online, PEER_ONLINE);
    reader_peer_moved(t.r, online, 1031);
    reader_peer_acked(t.r, online, 1020, 1010, 5000);
    backlog_peer_doom(t.b, doomed);
    int spool = backlog_spool_claim(t.b);
    backlog_spool_advance(t.b, spool, 77);

    cr_assert_eq(inspect_read(&t.seen, &i), INSPECT_UNDERSTOOD);
    cr_assert(i.ids_known);
    cr_assert_str_eq(i.id, ID);
    cr_assert_str_eq(i.second_id, OTHER);
    cr_assert_eq(i.second_offset, 900);
    cr_assert_eq(i.first, 1001);
    cr_assert_eq(i.end, 1041);
    cr_assert_eq(i.ring_count, 1);
    cr_assert_eq(i.rings[0].size, 1000);
    cr_assert_eq(i.rings[0].object, 1);
    cr_assert_eq(i.spool_count, 1);
    cr_assert_eq(i.spools[0].bytes, 77);
    cr_assert_eq(i.peer_count, 4);
    cr_assert(i.peers[0].opened && i.peers[0].phase == PEER_ONLINE && i.peers[0].slot == online);
    cr_assert(i.peers[0].needs == 1031 && i.peers[0].acked_offset == 1020 && i.peers[0].durable_offset == 1010);
    cr_assert(!i.peers[1].opened && i.peers[1].slot == unknown && i.peers[1].needs == 1001);
    cr_assert(i.peers[2].takes_file_alone && i.peers[2].needs == SHM_NEEDS_NONE);
    cr_assert_eq(i.peers[3].state, SLOT_DOOMED);
    static const char *const parts[] = {"/some-name",
                                        "pid 42, running",
                                        ID " at offset 1040",
                                        OTHER ", up to offset 900",
                                        "40 bytes",
                                        "growing",
                                        "the slowest is slot",
                                        " doomed ",
                                        " online ",
                                        " snapshot ",
                                        " claimed "};
    for (size_t n = 0; n < sizeof(parts) / sizeof(*parts); n++) expect_on_page(&i, parts[n]);
    tear_down(&t);
}

Test(inspect, shows_the_journal_and_its_file)
{
    struct bench t;
    struct inspection i;
    set_up(&t);
    int slot = backlog_journal_claim(t.b, 1001);
    reader_peer_open(t.r, slot);
    backlog_append(t.b, ID, 40);
    backlog_publish(t.b);
    backlog_watch_durable(t.b, 1040);
    struct journal_mark mark = {
        .file = 7, .written_offset = 1031, .written_bytes = 12345, .durable_offset = 1021, .durable_bytes = 12300};
    reader_journal_moved(t.r, slot, &mark, 1021);
    reader_journal_error(t.r, 28);
    cr_assert_eq(inspect_read(&t.seen, &i), INSPECT_UNDERSTOOD);
    cr_assert_eq(i.peer_count, 1);
    cr_assert_eq(i.peers[0].kind, SHM_JOURNAL);
    cr_assert(i.peers[0].needs == 1021 && i.peers[0].acked_offset == 1030 && i.peers[0].durable_offset == 1020);
    static const char *const parts[] = {" journal ", "number 7, 12345 bytes", "(error 28)", "1040 on disk"};
    for (size_t n = 0; n < sizeof(parts) / sizeof(*parts); n++) expect_on_page(&i, parts[n]);
    tear_down(&t);
}

/* --- while they go on --- */

struct changes {
    struct bench *t;
    _Atomic bool stop;
};

static void *change_ids(void *arg)
{
    struct changes *c = arg;
    for (int64_t n = 0; !c->stop; n++) backlog_set_history(c->t->b, n % 2 ? ID : OTHER, n % 2 ? ID : OTHER, n % 2);
    return NULL;
}

/* Writer and link in one: each claim's numbers are all the same. */
static void *change_peers(void *arg)
{
    struct changes *c = arg;
    for (uint64_t n = 0; !c->stop; n++) {
        uint64_t mine = 1001 + n % 2;
        int slot = backlog_peer_claim(c->t->b, mine);
        reader_peer_open(c->t->r, slot);
        reader_peer_acked(c->t->r, slot, mine, mine, (int64_t)mine);
        backlog_peer_free(c->t->b, slot);
    }
    return NULL;
}

static void look_while(struct bench *t, void *(*change)(void *), void (*look)(const struct inspection *))
{
    struct changes c = {.t = t};
    struct inspection i;
    pthread_t thread;
    pthread_create(&thread, NULL, change, &c);
    for (int round = 0; round < ROUNDS; round++) {
        cr_assert_eq(inspect_read(&t->seen, &i), INSPECT_UNDERSTOOD);
        look(&i);
    }
    c.stop = true;
    pthread_join(thread, NULL);
}

static void expect_whole_ids(const struct inspection *i)
{
    if (!i->ids_known) return;
    cr_assert_str_eq(i->id, i->second_id);
    cr_assert_eq(i->second_offset, strcmp(i->id, ID) == 0);
}

static void expect_whole_peer(const struct inspection *i)
{
    if (i->peer_count == 0 || !i->peers[0].opened) return;
    const struct inspected_peer *peer = &i->peers[0];
    cr_assert(peer->acked_offset == 0 || peer->acked_offset == peer->needs, "%llu of one that needs %llu",
              (unsigned long long)peer->acked_offset, (unsigned long long)peer->needs);
}

Test(inspect, ids_are_seen_whole_or_not_at_all)
{
    struct bench t;
    set_up(&t);
    backlog_set_history(t.b, OTHER, OTHER, 0);
    look_while(&t, change_ids, expect_whole_ids);
    tear_down(&t);
}

Test(inspect, a_slot_is_seen_as_one_peers)
{
    struct bench t;
    set_up(&t);
    backlog_append(t.b, ID, 40);
    backlog_publish(t.b);
    look_while(&t, change_peers, expect_whole_peer);
    tear_down(&t);
}

/* --- what cannot be understood --- */

Test(inspect, a_writer_killed_in_a_change_leaves_ids_unknown)
{
    struct bench t;
    struct region r;
    struct inspection i;
    set_up(&t);
    backlog_set_history(t.b, ID, ID, 1);
    atomic_fetch_add(&map_writable(&t, &r)->history_turn, 1);
    cr_assert_eq(inspect_read(&t.seen, &i), INSPECT_UNDERSTOOD);
    cr_assert_not(i.ids_known);
    expect_on_page(&i, "ids were being changed");
    region_unmap(&r);
    tear_down(&t);
}

Test(inspect, another_version_is_told_and_no_more)
{
    struct bench t;
    struct region r;
    struct inspection i;
    set_up(&t);
    map_writable(&t, &r)->version = 77;
    cr_assert_eq(inspect_read(&t.seen, &i), INSPECT_OTHER_VERSION);
    cr_assert_eq(i.version, 77);
    control_of(&r)->version = SHM_VERSION;
    control_of(&r)->control_bytes++;
    cr_assert_eq(inspect_read(&t.seen, &i), INSPECT_NO_BACKLOG);
    control_of(&r)->control_bytes--;
    struct region shorter = t.seen;
    for (shorter.bytes = 0; shorter.bytes < sizeof(struct shm_control); shorter.bytes += 13)
        cr_assert_eq(inspect_read(&shorter, &i), INSPECT_NO_BACKLOG);
    region_unmap(&r);
    tear_down(&t);
}

Test(inspect, any_bytes_make_a_page)
{
    struct random_state random;
    struct inspection i;
    struct shm_control *c = malloc(sizeof(*c));
    random_seed(&random, (uint64_t)getpid());
    for (int round = 0; round < 200; round++) {
        for (size_t at = 0; at < sizeof(*c); at++)
            ((uint8_t *)c)[at] = round == 0 ? 0xff : (uint8_t)random_below(&random, round % 2 ? 256 : 4);
        c->magic = SHM_MAGIC;
        c->version = SHM_VERSION;
        c->control_bytes = sizeof(*c);
        cr_assert_eq(inspect_read(&(struct region){.fd = -1, .base = (uint8_t *)c, .bytes = sizeof(*c)}, &i),
                     INSPECT_UNDERSTOOD);
        expect_on_page(&i, "Readers: ");
    }
    free(c);
}
