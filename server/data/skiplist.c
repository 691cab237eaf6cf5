/* The nodes of a skiplist: searching, splitting, joining. Server process; the snapshot child walks.
 *
 * All nodes are of one size, so a node with more links holds fewer entries. The first node has a link at every level
 * and never goes away: it stands in for the usual empty head. A link passes the entries from the beginning of its node
 * to the beginning of the next one of its level, or to the end of the list. */
#include "server/data/skiplist.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

struct skiplist_link {
    struct skiplist_node *next;
    size_t passed;
};

/* The links, then entries to the end. */
struct skiplist_node {
    struct skiplist_node *previous;
    uint8_t height, count;
    struct skiplist_link links[];
};

#define NODE_ROOM        (SKIPLIST_NODE_BYTES - sizeof(struct skiplist_node))
#define FILL_SPARE       2 /* entries left free in each node when a list is filled at once */
#define RAISE_ONE_IN     4
#define RANDOM_SEED      0x9e3779b97f4a7c15ull
#define JOIN_BELOW(room) ((room)*3 / 4)

_Static_assert(sizeof(struct skiplist_link) == sizeof(struct skiplist_entry), "a link costs a node one entry");

static inline struct skiplist_entry *node_entries(const struct skiplist_node *n)
{
    return (struct skiplist_entry *)(uintptr_t)(n->links + n->height);
}

static inline unsigned node_capacity(const struct skiplist_node *n)
{
    return (unsigned)(NODE_ROOM / sizeof(struct skiplist_entry)) - n->height;
}

static struct skiplist_node *node_new(struct skiplist *l, unsigned height)
{
    struct skiplist_node *n = mem_alloc(SKIPLIST_NODE_BYTES);
    n->previous = NULL;
    n->height = (uint8_t)height;
    n->count = 0;
    l->nodes++;
    return n;
}

/* Levels rise with probability 1/4 each. */
static unsigned random_height(struct skiplist *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    unsigned height = 1;
    for (uint64_t draw = l->random; height < SKIPLIST_LEVELS && draw % RAISE_ONE_IN == 0; draw /= RAISE_ONE_IN)
        height++;
    return height;
}

void skiplist_init(struct skiplist *l)
{
    *l = (struct skiplist){.levels = 1, .random = RANDOM_SEED};
}

void skiplist_free(struct skiplist *l)
{
    for (struct skiplist_node *n = l->first, *next; n; n = next) {
        next = n->links[0].next;
        mem_free(n);
    }
    skiplist_init(l);
}

size_t skiplist_memory(const struct skiplist *l)
{
    return l->first ? l->nodes * mem_size(l->first) : 0;
}

/* --- order --- */

static inline int compare_scores(double a, double b)
{
    return a < b ? -1 : a > b;
}

int skiplist_compare(const struct skiplist_entry *a, const struct skiplist_entry *b)
{
    int order = compare_scores(a->score, b->score);
    return order ? order : bytes_compare(member_key(a->member), member_key(b->member));
}

/* Does the entry stand before the place? */
static inline bool stands_before(const struct skiplist_entry *e, const struct skiplist_bound *b)
{
    int order = b->order == SKIPLIST_BY_KEY ? 0 : compare_scores(e->score, b->score);
    if (order == 0 && b->order != SKIPLIST_BY_SCORE) order = bytes_compare(member_key(e->member), b->key);
    return order < 0 || (order == 0 && b->after);
}

/* How many of the node's entries stand before the place. */
static unsigned node_search(const struct skiplist_node *n, const struct skiplist_bound *b)
{
    const struct skiplist_entry *entries = node_entries(n);
    unsigned low = 0, high = n->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (stands_before(&entries[middle], b))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- paths --- */

/* The way to a node: at each level in use the last node that begins no later than it, and the rank of that beginning.
 * Whatever is added to or taken from the node changes what the links along the path pass. */
struct path {
    struct skiplist_node *nodes[SKIPLIST_LEVELS];
    size_t ranks[SKIPLIST_LEVELS];
};

static inline struct skiplist_node *path_node(const struct path *p)
{
    return p->nodes[0];
}

/* To the last node whose first entry stands before the place; the first node where there is none. */
static void path_to_bound(const struct skiplist *l, const struct skiplist_bound *b, struct path *p)
{
    struct skiplist_node *n = l->first;
    size_t rank = 0;
    for (unsigned level = l->levels; level-- > 0;) {
        for (;;) {
            const struct skiplist_link *link = &n->links[level];
            if (!link->next || !stands_before(node_entries(link->next), b)) break;
            rank += link->passed;
            n = link->next;
        }
        p->nodes[level] = n;
        p->ranks[level] = rank;
    }
}

/* To the node that holds the entry of this rank; the last node when there is none. */
static void path_to_rank(const struct skiplist *l, size_t wanted, struct path *p)
{
    struct skiplist_node *n = l->first;
    size_t rank = 0;
    for (unsigned level = l->levels; level-- > 0;) {
        while (n->links[level].next && rank + n->links[level].passed <= wanted) {
            rank += n->links[level].passed;
            n = n->links[level].next;
        }
        p->nodes[level] = n;
        p->ranks[level] = rank;
    }
}

static void path_count(struct skiplist *l, const struct path *p, size_t more)
{
    for (unsigned level = 0; level < l->levels; level++) p->nodes[level]->links[level].passed += more;
    l->count += more;
}

/* --- nodes come and go --- */

/* A new node behind the path's, which gives it its entries from `keep` on. */
static struct skiplist_node *node_split(struct skiplist *l, struct path *p, unsigned keep)
{
    struct skiplist_node *left = path_node(p), *right = node_new(l, random_height(l));
    for (; l->levels < right->height; l->levels++) {
        l->first->links[l->levels] = (struct skiplist_link){NULL, l->count};
        p->nodes[l->levels] = l->first;
        p->ranks[l->levels] = 0;
    }
    right->count = (uint8_t)(left->count - keep);
    left->count = (uint8_t)keep;
    memcpy(node_entries(right), node_entries(left) + keep, right->count * sizeof(struct skiplist_entry));
    for (unsigned level = 0; level < right->height; level++) {
        struct skiplist_link *link = &p->nodes[level]->links[level];
        size_t before = p->ranks[0] + keep - p->ranks[level];
        right->links[level] = (struct skiplist_link){link->next, link->passed - before};
        *link = (struct skiplist_link){right, before};
    }
    right->previous = left;
    struct skiplist_node *next = right->links[0].next;
    if (next)
        next->previous = right;
    else
        l->last = right;
    return right;
}

/* Takes the node behind the path's out of the list. What it held is already counted as the path's node's. */
static void unlink_next(struct skiplist *l, const struct path *p)
{
    struct skiplist_node *gone = path_node(p)->links[0].next, *next = gone->links[0].next;
    for (unsigned level = 0; level < gone->height; level++) {
        struct skiplist_link *link = &p->nodes[level]->links[level];
        *link = (struct skiplist_link){gone->links[level].next, link->passed + gone->links[level].passed};
    }
    if (next)
        next->previous = path_node(p);
    else
        l->last = path_node(p);
    mem_free(gone);
    l->nodes--;
}

/* Moves entries from the head of the next node to the end of the path's. */
static void pull_from_next(struct skiplist *l, const struct path *p, unsigned moved)
{
    struct skiplist_node *n = path_node(p), *next = n->links[0].next;
    struct skiplist_entry *from = node_entries(next);
    memcpy(node_entries(n) + n->count, from, moved * sizeof *from);
    memmove(from, from + moved, (next->count - moved) * sizeof *from);
    n->count = (uint8_t)(n->count + moved);
    next->count = (uint8_t)(next->count - moved);
    for (unsigned level = 0; level < l->levels; level++) {
        struct skiplist_node *at = p->nodes[level];
        if (level < next->height) {
            at->links[level].passed += moved;
            next->links[level].passed -= moved;
        }
    }
}

/* After entries have left the path's node: no node but an empty list's first may be empty, and two that fit well into
 * one are joined. */
static void mend(struct skiplist *l, const struct path *p)
{
    struct skiplist_node *n = path_node(p), *next = n->links[0].next;
    unsigned room = node_capacity(n);
    if (next && n->count + next->count <= JOIN_BELOW(room)) {
        pull_from_next(l, p, next->count);
        unlink_next(l, p);
    } else if (n->count == 0 && next) {
        pull_from_next(l, p, (next->count < room ? next->count : room) / 2u + 1);
    } else if (n->count == 0 && n != l->first) {
        struct path before;
        path_to_rank(l, p->ranks[0] - 1, &before);
        unlink_next(l, &before);
    }
}

/* --- change --- */

static void node_put(struct skiplist_node *n, unsigned index, double score, struct member *member)
{
    struct skiplist_entry *e = node_entries(n) + index;
    memmove(e + 1, e, (n->count - index) * sizeof *e);
    *e = (struct skiplist_entry){score, member};
    n->count++;
}

/* Splits the path's full node to make room at `index`, and leads path and index to where that is now. Entries that come
 * in ascending order leave full nodes behind, in descending order nodes as full as the first one. */
static void make_room(struct skiplist *l, struct path *p, unsigned *index)
{
    const struct skiplist_node *n = path_node(p);
    unsigned keep = n->count / 2u;
    if (*index == n->count && n == l->last) keep = n->count;
    if (*index == 0) keep = 0;
    size_t begin = p->ranks[0] + keep;
    struct skiplist_node *right = node_split(l, p, keep);
    if (*index == 0 || *index < keep) return;
    *index -= keep;
    for (unsigned level = 0; level < right->height; level++) {
        p->nodes[level] = right;
        p->ranks[level] = begin;
    }
}

void skiplist_insert(struct skiplist *l, double score, struct member *member)
{
    struct skiplist_bound bound = {SKIPLIST_BY_BOTH, false, score, member_key(member)};
    struct path p;
    if (unlikely(!l->first)) {
        l->first = l->last = node_new(l, SKIPLIST_LEVELS);
        l->first->links[0] = (struct skiplist_link){0};
    }
    path_to_bound(l, &bound, &p);
    unsigned index = node_search(path_node(&p), &bound);
    if (path_node(&p)->count == node_capacity(path_node(&p))) make_room(l, &p, &index);
    node_put(path_node(&p), index, score, member);
    path_count(l, &p, 1);
}

/* The path to an entry that is in the list; returns its index in the path's node. */
static unsigned path_to_entry(const struct skiplist *l, double score, struct member *member, struct path *p)
{
    struct skiplist_bound bound = {SKIPLIST_BY_BOTH, true, score, member_key(member)};
    path_to_bound(l, &bound, p);
    unsigned index = node_search(path_node(p), &bound);
    CHECK(index > 0 && node_entries(path_node(p))[index - 1].member == member);
    return index - 1;
}

static void node_take(struct skiplist_node *n, unsigned index, unsigned count)
{
    struct skiplist_entry *e = node_entries(n) + index;
    memmove(e, e + count, (n->count - index - count) * sizeof *e);
    n->count = (uint8_t)(n->count - count);
}

static void remove_at(struct skiplist *l, const struct path *p, unsigned index, unsigned count)
{
    node_take(path_node(p), index, count);
    path_count(l, p, -(size_t)count);
    mend(l, p);
}

void skiplist_remove(struct skiplist *l, double score, struct member *member)
{
    struct path p;
    unsigned index = path_to_entry(l, score, member, &p);
    remove_at(l, &p, index, 1);
}

void skiplist_move(struct skiplist *l, struct member *member, double from, double to)
{
    struct path p;
    unsigned index = path_to_entry(l, from, member, &p);
    struct skiplist_node *n = path_node(&p);
    struct skiplist_entry *e = node_entries(n), moved = {to, member};
    bool after_left = index > 0 && skiplist_compare(&e[index - 1], &moved) < 0;
    bool before_right = index + 1u < n->count && skiplist_compare(&moved, &e[index + 1]) < 0;
    if (after_left && before_right) {
        e[index].score = to;
    } else {
        remove_at(l, &p, index, 1);
        skiplist_insert(l, to, member);
    }
}

void skiplist_remove_ranks(struct skiplist *l, size_t rank, size_t count,
                           void (*removed)(void *arg, struct member *member), void *arg)
{
    while (count > 0) {
        struct path p;
        struct member *members[NODE_ROOM / sizeof(struct skiplist_entry)];
        path_to_rank(l, rank, &p);
        struct skiplist_node *n = path_node(&p);
        unsigned index = (unsigned)(rank - p.ranks[0]), here = n->count - index;
        if (here > count) here = (unsigned)count;
        for (unsigned i = 0; i < here; i++) members[i] = node_entries(n)[index + i].member;
        remove_at(l, &p, index, here);
        for (unsigned i = 0; i < here; i++) removed(arg, members[i]);
        count -= here;
    }
}

void skiplist_fill(struct skiplist *l, const struct skiplist_entry *entries, size_t count)
{
    struct skiplist_node *ends[SKIPLIST_LEVELS];
    size_t begins[SKIPLIST_LEVELS];
    CHECK(l->count == 0 && !l->first);
    for (size_t done = 0; done < count;) {
        struct skiplist_node *n = node_new(l, done ? random_height(l) : SKIPLIST_LEVELS);
        size_t room = node_capacity(n) - FILL_SPARE, taken = count - done < room ? count - done : room;
        memcpy(node_entries(n), entries + done, taken * sizeof *entries);
        n->count = (uint8_t)taken;
        n->previous = l->last;
        for (unsigned level = 0; level < n->height; level++) {
            if (done) ends[level]->links[level] = (struct skiplist_link){n, done - begins[level]};
            ends[level] = n;
            begins[level] = done;
        }
        if (!done)
            l->first = n;
        else if (n->height > l->levels)
            l->levels = n->height;
        l->last = n;
        done += taken;
    }
    for (unsigned level = 0; level < SKIPLIST_LEVELS && count; level++)
        ends[level]->links[level] = (struct skiplist_link){NULL, count - begins[level]};
    l->count = count;
}

/* --- search and walk --- */

size_t skiplist_rank_of(const struct skiplist *l, const struct skiplist_bound *bound)
{
    struct path p;
    if (!l->first) return 0;
    path_to_bound(l, bound, &p);
    return p.ranks[0] + node_search(path_node(&p), bound);
}

static void prefetch_members(const struct skiplist_node *n)
{
    const struct skiplist_entry *e = node_entries(n);
    for (unsigned i = 0; i < n->count; i++) __builtin_prefetch(e[i].member);
}

struct skiplist_position skiplist_at(const struct skiplist *l, size_t rank)
{
    struct path p;
    if (rank >= l->count) return (struct skiplist_position){NULL, 0};
    path_to_rank(l, rank, &p);
    prefetch_members(path_node(&p));
    return (struct skiplist_position){path_node(&p), (unsigned)(rank - p.ranks[0])};
}

const struct skiplist_entry *skiplist_next(struct skiplist_position *p)
{
    if (unlikely(!p->node)) return NULL;
    const struct skiplist_entry *e = node_entries(p->node) + p->index;
    if (++p->index == p->node->count) {
        *p = (struct skiplist_position){p->node->links[0].next, 0};
        if (p->node) prefetch_members(p->node);
    }
    return e;
}

const struct skiplist_entry *skiplist_previous(struct skiplist_position *p)
{
    if (unlikely(!p->node)) return NULL;
    const struct skiplist_entry *e = node_entries(p->node) + p->index;
    if (p->index-- == 0) {
        p->node = p->node->previous;
        p->index = p->node ? p->node->count - 1u : 0;
        if (p->node) prefetch_members(p->node);
    }
    return e;
}
