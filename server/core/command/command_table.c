/* The command table of the server process: rows from server/commands/ under their names, found in one probe.
 *
 * Filled once at start, read-only afterwards but for the counters. Open addressing over the lowercase name: nothing is
 * ever taken out of a slot (a renaming fills them anew), so a miss ends at the first empty one. */
#include "server/core/command/command_table.h"

#include "server/acl/vocabulary.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/number.h"

#define SLOTS 2048 /* a power of two, several times the number of commands */

struct command_table {
    struct command_entry *slots[SLOTS];
    struct command_entry **ordered; /* by addition */
    size_t count;
    uint16_t next_id;
};

static uint32_t hash_name(struct bytes name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.len; i++) h = (h ^ (name.ptr[i] | 0x20)) * 16777619u;
    return h ^ (h >> 15);
}

static uint32_t categories_of(const struct command *row)
{
    uint32_t c = row->categories;
    if (row->flags & CMD_WRITE) c |= CAT_WRITE;
    if ((row->flags & CMD_READONLY) && !(c & CAT_SCRIPTING)) c |= CAT_READ;
    if (row->flags & CMD_ADMIN) c |= CAT_ADMIN | CAT_DANGEROUS;
    if (row->flags & CMD_PUBSUB) c |= CAT_PUBSUB;
    if (row->flags & CMD_BLOCKING) c |= CAT_BLOCKING;
    c |= (row->flags & CMD_FAST) ? CAT_FAST : CAT_SLOW;
    return c;
}

static void derive_key_range(struct command_entry *e)
{
    const struct key_spec *spec = &e->row->keys[0];
    if (!spec->flags || spec->begin != BEGIN_INDEX || spec->find != FIND_RANGE) return;
    e->first_key = spec->index;
    e->last_key = spec->last >= 0 ? spec->index + spec->last : spec->last;
    e->key_step = spec->step;
    /* Redis reports one range: a second plain spec right behind the first one widens it. */
    const struct key_spec *second = &e->row->keys[1];
    if (second->flags && second->begin == BEGIN_INDEX && second->find == FIND_RANGE &&
        second->index == e->last_key + e->key_step)
        e->last_key = second->last >= 0 ? second->index + second->last : second->last;
}

static enum key_finding key_finding_of(const struct command *row)
{
    const struct key_spec *first = &row->keys[0];
    if (!command_takes_keys(row)) return KEYS_NONE;
    bool one = KEY_SPECS_MAX == 1 || !row->keys[1].flags;
    bool plain = first->begin == BEGIN_INDEX && first->find == FIND_RANGE && first->limit <= 1 && first->step > 0;
    if (!one || !plain || (row->find_keys && !(first->flags & KEY_VARIABLE))) return KEYS_SEARCHED;
    return row->find_keys ? KEYS_IN_ONE_RANGE_VARIED : KEYS_IN_ONE_RANGE;
}

static void entry_init(struct command_table *t, struct command_entry *e, const struct command *row,
                       struct command_entry *container)
{
    CHECK(t->next_id < ACL_COMMANDS_MAX);
    e->id = t->next_id++;
    e->row = row;
    e->key_finding = key_finding_of(row);
    e->name = row->name;
    e->container = container;
    e->categories = categories_of(row);
    if (container) {
        size_t outer = strlen(container->row->name), inner = strlen(row->name);
        char *full = mem_alloc(outer + inner + 2);
        memcpy(full, container->row->name, outer);
        full[outer] = '|';
        memcpy(full + outer + 1, row->name, inner + 1);
        e->full_name = full;
    } else {
        e->full_name = row->name;
    }
    derive_key_range(e);
    size_t count = 0;
    for (const struct command *sub = row->subcommands; sub && sub->name; sub++) count++;
    if (!count) return;
    e->subcommand_count = count;
    e->subcommands = mem_calloc(count, sizeof *e->subcommands);
    for (size_t i = 0; i < count; i++) entry_init(t, &e->subcommands[i], &row->subcommands[i], e);
}

struct command_table *command_table_new(void)
{
    return mem_calloc(1, sizeof(struct command_table));
}

static void take_slot(struct command_table *t, struct command_entry *e)
{
    uint32_t i = hash_name(bytes_from_text(e->name)) & (SLOTS - 1);
    while (t->slots[i]) i = (i + 1) & (SLOTS - 1);
    t->slots[i] = e;
}

static size_t count_with(const struct command *rows, uint32_t flag)
{
    size_t count = 0;
    for (const struct command *row = rows; row && row->name; row++) count += (row->flags & flag) != 0;
    return count;
}

/* Rows are kept for ever, as those they are copies of. */
static const struct command *copies_with(const struct command *rows, uint32_t flag)
{
    size_t count = 0;
    if (!rows) return NULL;
    struct command *copies = mem_calloc(count_with(rows, flag) + 1, sizeof *copies);
    for (const struct command *row = rows; row->name; row++) {
        if (!(row->flags & flag)) continue;
        copies[count] = *row;
        copies[count++].subcommands = copies_with(row->subcommands, flag);
    }
    return copies;
}

void command_table_add_with(struct command_table *t, const struct command *rows, uint32_t flag)
{
    command_table_add(t, copies_with(rows, flag));
}

void command_table_add(struct command_table *t, const struct command *rows)
{
    for (const struct command *row = rows; row->name; row++) {
        CHECK(!command_table_find(t, bytes_from_text(row->name)));
        CHECK(t->count < SLOTS / 2);
        struct command_entry *e = mem_calloc(1, sizeof *e);
        entry_init(t, e, row, NULL);
        take_slot(t, e);
        t->ordered = mem_realloc(t->ordered, (t->count + 1) * sizeof *t->ordered);
        t->ordered[t->count++] = e;
    }
}

struct command_entry *command_table_find(const struct command_table *t, struct bytes name)
{
    for (uint32_t i = hash_name(name) & (SLOTS - 1); t->slots[i]; i = (i + 1) & (SLOTS - 1))
        if (bytes_equal_nocase(name, t->slots[i]->name)) return t->slots[i];
    return NULL;
}

static void forget(struct command_table *t, const struct command_entry *e)
{
    size_t at = 0;
    while (t->ordered[at] != e) at++;
    t->count--;
    memmove(t->ordered + at, t->ordered + at + 1, (t->count - at) * sizeof *t->ordered);
}

enum command_rename command_table_rename(struct command_table *t, struct bytes from, struct bytes to)
{
    struct command_entry *e = command_table_find(t, from);
    if (!e) return COMMAND_RENAME_UNKNOWN;
    if (to.len && command_table_find(t, to)) return COMMAND_RENAME_TAKEN;
    if (to.len)
        e->name = bytes_to_text(to);
    else
        forget(t, e);
    memset(t->slots, 0, sizeof t->slots);
    for (size_t i = 0; i < t->count; i++) take_slot(t, t->ordered[i]);
    return COMMAND_RENAMED;
}

static struct command_entry *find_sub(const struct command_entry *container, struct bytes name)
{
    for (size_t i = 0; i < container->subcommand_count; i++)
        if (bytes_equal_nocase(name, container->subcommands[i].row->name)) return &container->subcommands[i];
    return NULL;
}

struct command_entry *command_table_resolve(const struct command_table *t, uint32_t argc, const struct bytes *argv)
{
    struct command_entry *e = command_table_find(t, argv[0]);
    if (!e || !e->subcommand_count || argc < 2) return e;
    struct command_entry *sub = find_sub(e, argv[1]);
    return sub ? sub : e;
}

struct command_entry *command_table_find_full(const struct command_table *t, struct bytes name)
{
    const uint8_t *bar = memchr(name.ptr, '|', name.len);
    if (!bar) return command_table_find(t, name);
    size_t outer = (size_t)(bar - name.ptr);
    struct command_entry *container = command_table_find(t, bytes_make(name.ptr, outer));
    return container ? find_sub(container, bytes_make(bar + 1, name.len - outer - 1)) : NULL;
}

static bool is_described(const struct command_entry *e)
{
    for (size_t i = 0; i < e->subcommand_count; i++)
        if (!is_described(&e->subcommands[i])) return false;
    return e->doc;
}

static void describe(struct command_table *t, const struct command_docs *const *groups, size_t count, bool partly)
{
    for (size_t i = 0; i < count; i++)
        for (const struct command_doc *doc = groups[i]->docs; doc->name; doc++) {
            struct command_entry *e = command_table_find_full(t, bytes_from_text(doc->name));
            if (!e && partly) continue;
            CHECK(e && !e->doc);
            e->doc = doc;
            e->group = groups[i]->group;
        }
    for (size_t i = 0; i < t->count; i++) CHECK(is_described(t->ordered[i]));
}

void command_table_describe(struct command_table *t, const struct command_docs *const *groups, size_t count)
{
    describe(t, groups, count, false);
}

void command_table_describe_some(struct command_table *t, const struct command_docs *const *groups, size_t count)
{
    describe(t, groups, count, true);
}

size_t command_table_count(const struct command_table *t)
{
    return t->count;
}

struct command_entry *command_table_next(const struct command_table *t, struct command_entry *previous)
{
    size_t next = 0;
    if (previous)
        while (t->ordered[next++] != previous) CHECK(next < t->count);
    return next < t->count ? t->ordered[next] : NULL;
}

static void add_to_vocabulary(struct acl_vocabulary *v, const struct command_entry *e)
{
    struct acl_command command = {
        .name = e->full_name,
        .categories = e->categories,
        .id = e->id,
        .subcommands = (uint16_t)e->subcommand_count,
        .is_subcommand = e->container != NULL,
    };
    acl_vocabulary_add(v, &command);
    for (size_t i = 0; i < e->subcommand_count; i++) add_to_vocabulary(v, &e->subcommands[i]);
}

struct acl_vocabulary *command_table_vocabulary(const struct command_table *t)
{
    struct acl_vocabulary *v = acl_vocabulary_new();
    for (size_t i = 0; i < t->count; i++) add_to_vocabulary(v, t->ordered[i]);
    return v;
}

static void reset_entry(struct command_entry *e)
{
    e->calls = e->ticks = e->rejected = e->failed = 0;
    mem_free(e->latency_us);
    e->latency_us = NULL;
    for (size_t i = 0; i < e->subcommand_count; i++) reset_entry(&e->subcommands[i]);
}

void command_table_reset_stats(struct command_table *t)
{
    for (size_t i = 0; i < t->count; i++) reset_entry(t->ordered[i]);
}

/* Where a spec's keys begin, or 0 when this request has none of them. */
static int spec_begin(const struct key_spec *spec, uint32_t argc, const struct bytes *argv)
{
    if (spec->begin == BEGIN_INDEX) return spec->index < (int)argc ? spec->index : 0;
    if (spec->begin != BEGIN_KEYWORD) return 0;
    int step = spec->index > 0 ? 1 : -1;
    int from = spec->index > 0 ? spec->index : (int)argc + spec->index;
    for (int i = from; i > 0 && i < (int)argc; i += step)
        if (bytes_equal_nocase(argv[i], spec->keyword)) return i + 1 < (int)argc ? i + 1 : 0;
    return 0;
}

static int spec_find(const struct key_spec *spec, uint32_t argc, const struct bytes *argv, struct found_key *out)
{
    int first = spec_begin(spec, argc, argv), last, found = 0;
    if (!first) return 0;
    int step = spec->step > 0 ? spec->step : 1;
    if (spec->find == FIND_KEYNUM) {
        int64_t count;
        int at = first + spec->keynum_index;
        if (at >= (int)argc || parse_i64(argv[at], &count) || count < 1 || count > argc) return -1;
        first += spec->first_key;
        last = first + ((int)count - 1) * step;
    } else if (spec->find == FIND_RANGE) {
        if (spec->last >= 0)
            last = first + spec->last;
        else if (spec->limit <= 1)
            last = (int)argc + spec->last;
        else
            last = first + ((int)argc - first) / spec->limit + spec->last;
    } else {
        return 0;
    }
    for (int i = first; i <= last; i += step) {
        if (i >= (int)argc) return -1;
        out[found++] = (struct found_key){i, spec->flags};
    }
    return found;
}

bool command_takes_keys(const struct command *row)
{
    if (row->find_keys) return true;
    for (int s = 0; s < KEY_SPECS_MAX && row->keys[s].flags; s++)
        if (!(row->keys[s].flags & KEY_NOT_KEY)) return true;
    return false;
}

int command_find_keys(const struct command_entry *e, uint32_t argc, const struct bytes *argv, struct found_key *keys)
{
    if (e->row->find_keys) return e->row->find_keys(argc, argv, keys);
    int total = 0;
    for (int s = 0; s < KEY_SPECS_MAX && e->row->keys[s].flags; s++) {
        if (e->row->keys[s].flags & KEY_NOT_KEY) continue;
        int found = spec_find(&e->row->keys[s], argc, argv, keys + total);
        if (found < 0) return -1;
        total += found;
    }
    return total;
}
