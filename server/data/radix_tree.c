/* Radix tree. Server process; the snapshot child reads.
 *
 * A node's block, in this order so that everything is aligned: header, value (when a key ends here), child addresses,
 * the children's first bytes, and the bytes passed over on the way to this node behind its own first byte, which stands
 * in its parent. A node without value has at least two children, but for the root. */
#include "server/data/radix_tree.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

struct radix_node {
    uint32_t prefix_len;
    uint16_t child_count;
    bool has_value;
    void *slots[]; /* value, children */
};

/* --- a node's parts --- */

static void **value_slot(const struct radix_node *n)
{
    return (void **)(uintptr_t)n->slots;
}

static struct radix_node **children(const struct radix_node *n)
{
    return (struct radix_node **)(uintptr_t)n->slots + n->has_value;
}

static uint8_t *first_bytes(const struct radix_node *n)
{
    return (uint8_t *)(children(n) + n->child_count);
}

static uint8_t *prefix(const struct radix_node *n)
{
    return first_bytes(n) + n->child_count;
}

static size_t node_bytes(const struct radix_node *n)
{
    return sizeof *n + (n->has_value + (size_t)n->child_count) * sizeof(void *) + n->child_count + n->prefix_len;
}

/* A new node with these parts, each of which may be of another node. */
static struct radix_node *node_new(struct radix_tree *t, void *value, const struct radix_node *family,
                                   struct bytes passed)
{
    struct radix_node shape = {(uint32_t)passed.len, family ? family->child_count : 0, value != NULL};
    struct radix_node *n = mem_alloc(node_bytes(&shape));
    *n = shape;
    if (value) *value_slot(n) = value;
    if (n->child_count) {
        memcpy(children(n), children(family), n->child_count * sizeof(void *));
        memcpy(first_bytes(n), first_bytes(family), n->child_count);
    }
    if (passed.len) memcpy(prefix(n), passed.ptr, passed.len);
    t->bytes += mem_size(n);
    return n;
}

static void node_free(struct radix_tree *t, struct radix_node *n)
{
    t->bytes -= mem_size(n);
    mem_free(n);
}

static void *value_of(const struct radix_node *n)
{
    return n->has_value ? *value_slot(n) : NULL;
}

/* The first child whose byte is not below `byte`. */
static uint32_t child_position(const struct radix_node *n, uint8_t byte)
{
    const uint8_t *bytes = first_bytes(n);
    uint32_t low = 0, high = n->child_count;
    if (high && bytes[high - 1] < byte) return high;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (bytes[middle] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_child_at(const struct radix_node *n, uint32_t position, uint8_t byte)
{
    return position < n->child_count && first_bytes(n)[position] == byte;
}

static size_t common_len(struct bytes a, struct bytes b)
{
    size_t most = a.len < b.len ? a.len : b.len, n = 0;
    while (n < most && a.ptr[n] == b.ptr[n]) n++;
    return n;
}

static struct bytes from(struct bytes b, size_t start)
{
    return bytes_make(b.ptr + start, b.len - start);
}

static struct bytes passed_over(const struct radix_node *n)
{
    return bytes_make(prefix(n), n->prefix_len);
}

/* --- the whole --- */

void radix_tree_init(struct radix_tree *t)
{
    *t = (struct radix_tree){0};
}

static void free_below(struct radix_node *n, void (*free_value)(void *value))
{
    for (uint32_t i = 0; i < n->child_count; i++) free_below(children(n)[i], free_value);
    if (n->has_value && free_value) free_value(*value_slot(n));
    mem_free(n);
}

void radix_tree_clear(struct radix_tree *t, void (*free_value)(void *value))
{
    if (t->root) free_below(t->root, free_value);
    *t = (struct radix_tree){0};
}

void *radix_tree_find(const struct radix_tree *t, struct bytes key)
{
    const struct radix_node *n = t->root;
    while (n) {
        if (key.len < n->prefix_len || (n->prefix_len && memcmp(key.ptr, prefix(n), n->prefix_len) != 0)) return NULL;
        if (key.len == n->prefix_len) return value_of(n);
        key = from(key, n->prefix_len);
        uint32_t i = child_position(n, key.ptr[0]);
        if (!has_child_at(n, i, key.ptr[0])) return NULL;
        n = children(n)[i];
        key = from(key, 1);
    }
    return NULL;
}

/* --- changing --- */

/* Moves the parts of a node that lie behind a part that grows or shrinks, within its block. */
static struct radix_node *node_resize(struct radix_tree *t, struct radix_node *n, size_t bytes)
{
    size_t before = mem_size(n);
    if (bytes <= before && bytes * 2 > before) return n;
    n = mem_realloc(n, bytes);
    t->bytes += mem_size(n) - before;
    return n;
}

static struct radix_node *add_value(struct radix_tree *t, struct radix_node *n, void *value)
{
    size_t old_bytes = node_bytes(n);
    n = node_resize(t, n, old_bytes + sizeof(void *));
    memmove(n->slots + 1, n->slots, old_bytes - sizeof *n);
    n->has_value = true;
    *value_slot(n) = value;
    return n;
}

static struct radix_node *add_child(struct radix_tree *t, struct radix_node *n, uint32_t at, uint8_t byte,
                                    struct radix_node *child)
{
    size_t tail = n->child_count - at;
    n = node_resize(t, n, node_bytes(n) + sizeof(void *) + 1);
    uint8_t *bytes = first_bytes(n);
    memmove(bytes + at + 1 + sizeof(void *), bytes + at, tail + n->prefix_len);
    memmove(bytes + sizeof(void *), bytes, at);
    memmove(children(n) + at + 1, children(n) + at, tail * sizeof(void *));
    n->child_count++;
    children(n)[at] = child;
    first_bytes(n)[at] = byte;
    return n;
}

static struct radix_node *remove_child(struct radix_tree *t, struct radix_node *n, uint32_t at)
{
    size_t tail = n->child_count - at - 1u;
    uint8_t *bytes = first_bytes(n);
    memmove(children(n) + at, children(n) + at + 1, tail * sizeof(void *));
    memmove(bytes - sizeof(void *), bytes, at);
    memmove(bytes - sizeof(void *) + at, bytes + at + 1, tail + n->prefix_len);
    n->child_count--;
    return node_resize(t, n, node_bytes(n));
}

/* n, cut at `shared` bytes of what it passes over: a new node there has n's rest as its only child yet. */
static struct radix_node *split(struct radix_tree *t, struct radix_node *n, size_t shared, void *value)
{
    struct bytes whole = passed_over(n);
    struct radix_node *upper = node_new(t, value, NULL, bytes_make(whole.ptr, shared));
    struct radix_node *lower = node_new(t, value_of(n), n, from(whole, shared + 1));
    upper = add_child(t, upper, 0, whole.ptr[shared], lower);
    node_free(t, n);
    return upper;
}

void *radix_tree_set(struct radix_tree *t, struct bytes key, void *value)
{
    struct radix_node **at = &t->root, *n;
    CHECK(value);
    while ((n = *at)) {
        size_t shared = common_len(key, passed_over(n));
        if (shared < n->prefix_len) {
            n = *at = split(t, n, shared, shared == key.len ? value : NULL);
            if (shared == key.len) break;
        } else if (shared == key.len) {
            void *before = value_of(n);
            if (before) {
                *value_slot(n) = value;
                return before;
            }
            *at = add_value(t, n, value);
            break;
        }
        key = from(key, shared);
        uint32_t i = child_position(n, key.ptr[0]);
        if (!has_child_at(n, i, key.ptr[0])) {
            *at = add_child(t, n, i, key.ptr[0], node_new(t, value, NULL, from(key, 1)));
            break;
        }
        at = &children(n)[i];
        key = from(key, 1);
    }
    if (!t->root) t->root = node_new(t, value, NULL, key);
    t->count++;
    return NULL;
}

/* A node that only leads on to its one child becomes one with it. */
static struct radix_node *join_only_child(struct radix_tree *t, struct radix_node *n)
{
    if (n->has_value || n->child_count != 1) return n;
    struct radix_node *child = children(n)[0];
    size_t len = (size_t)n->prefix_len + 1 + child->prefix_len;
    uint8_t room[64], *joined = len > sizeof room ? mem_alloc(len) : room;
    memcpy(joined, prefix(n), n->prefix_len);
    joined[n->prefix_len] = first_bytes(n)[0];
    memcpy(joined + n->prefix_len + 1, prefix(child), child->prefix_len);
    struct radix_node *one = node_new(t, value_of(child), child, bytes_make(joined, len));
    if (joined != room) mem_free(joined);
    node_free(t, child);
    node_free(t, n);
    return one;
}

static struct radix_node *drop_value(struct radix_tree *t, struct radix_node *n)
{
    size_t bytes = node_bytes(n) - sizeof(void *);
    memmove(n->slots, n->slots + 1, bytes - sizeof *n);
    n->has_value = false;
    return join_only_child(t, node_resize(t, n, bytes));
}

void *radix_tree_remove(struct radix_tree *t, struct bytes key)
{
    struct radix_node **at = &t->root, **parent = NULL, *n;
    uint32_t position = 0;
    while ((n = *at)) {
        if (key.len < n->prefix_len || (n->prefix_len && memcmp(key.ptr, prefix(n), n->prefix_len) != 0)) return NULL;
        if (key.len == n->prefix_len) break;
        key = from(key, n->prefix_len);
        uint32_t i = child_position(n, key.ptr[0]);
        if (!has_child_at(n, i, key.ptr[0])) return NULL;
        parent = at;
        position = i;
        at = &children(n)[i];
        key = from(key, 1);
    }
    if (!n || !n->has_value) return NULL;
    void *value = *value_slot(n);
    t->count--;
    if (n->child_count) {
        *at = drop_value(t, n);
    } else {
        node_free(t, n);
        if (parent)
            *parent = join_only_child(t, remove_child(t, *parent, position));
        else
            t->root = NULL;
    }
    return value;
}

/* Redis's nodes hold either a run of bytes or a choice between them, so a child behind a choice that passes over bytes
 * of its own takes another node. Its root always is one. */
static size_t redis_nodes_below(const struct radix_node *n)
{
    size_t nodes = 1;
    for (uint32_t i = 0; i < n->child_count; i++) {
        const struct radix_node *child = children(n)[i];
        if (n->child_count > 1 && child->prefix_len) nodes++;
        nodes += redis_nodes_below(child);
    }
    return nodes;
}

size_t radix_tree_redis_nodes(const struct radix_tree *t)
{
    if (!t->root) return 1;
    return redis_nodes_below(t->root) + (t->root->prefix_len > 0);
}

/* --- cursor --- */

void radix_cursor_init(struct radix_cursor *c, const struct radix_tree *t)
{
    c->tree = t;
    c->value = NULL;
    c->key = (struct bytes){0};
    c->depth = 0;
    c->path = c->path_room;
    c->path_capacity = sizeof c->path_room;
    c->frames = c->frame_room;
    c->frame_capacity = sizeof c->frame_room / sizeof *c->frame_room;
}

void radix_cursor_close(struct radix_cursor *c)
{
    if (c->path != c->path_room) mem_free(c->path);
    if (c->frames != c->frame_room) mem_free(c->frames);
}

static void *grown(void *block, const void *room, size_t used, size_t wanted)
{
    if (block != room) return mem_realloc(block, wanted);
    return memcpy(mem_alloc(wanted), room, used);
}

static const struct radix_frame *top(const struct radix_cursor *c)
{
    return c->frames + c->depth - 1;
}

static void push(struct radix_cursor *c, const struct radix_node *n, uint32_t child)
{
    size_t above = c->depth ? top(c)->key_len : 0, len = above + (c->depth ? 1 : 0) + n->prefix_len;
    if (len > c->path_capacity) {
        c->path = grown(c->path, c->path_room, above, len * 2);
        c->path_capacity = len * 2;
    }
    if (c->depth == c->frame_capacity) {
        size_t bytes = c->depth * sizeof *c->frames;
        c->frames = grown(c->frames, c->frame_room, bytes, bytes * 2);
        c->frame_capacity *= 2;
    }
    uint8_t *to = c->path + above;
    if (c->depth) *to++ = first_bytes(top(c)->node)[child];
    if (n->prefix_len) memcpy(to, prefix(n), n->prefix_len);
    c->frames[c->depth++] = (struct radix_frame){n, child, (uint32_t)len};
}

static void push_child(struct radix_cursor *c, uint32_t child)
{
    push(c, children(top(c)->node)[child], child);
}

static bool stand(struct radix_cursor *c)
{
    c->value = c->depth ? *value_slot(top(c)->node) : NULL;
    c->key = bytes_make(c->path, c->depth ? top(c)->key_len : 0);
    return c->value != NULL;
}

static bool down_to_least(struct radix_cursor *c)
{
    while (!top(c)->node->has_value) push_child(c, 0);
    return stand(c);
}

static bool down_to_greatest(struct radix_cursor *c)
{
    while (top(c)->node->child_count) push_child(c, top(c)->node->child_count - 1u);
    return stand(c);
}

/* To what follows everything below the node on top. */
static bool leave_forwards(struct radix_cursor *c)
{
    while (c->depth) {
        uint32_t next = top(c)->child + 1;
        c->depth--;
        if (c->depth && next < top(c)->node->child_count) {
            push_child(c, next);
            return down_to_least(c);
        }
    }
    return stand(c);
}

bool radix_cursor_first(struct radix_cursor *c)
{
    c->depth = 0;
    if (!c->tree->root) return stand(c);
    push(c, c->tree->root, 0);
    return down_to_least(c);
}

bool radix_cursor_last(struct radix_cursor *c)
{
    c->depth = 0;
    if (!c->tree->root) return stand(c);
    push(c, c->tree->root, 0);
    return down_to_greatest(c);
}

bool radix_cursor_next(struct radix_cursor *c)
{
    if (!c->depth) return false;
    if (!top(c)->node->child_count) return leave_forwards(c);
    push_child(c, 0);
    return down_to_least(c);
}

bool radix_cursor_prev(struct radix_cursor *c)
{
    while (c->depth) {
        uint32_t child = top(c)->child;
        c->depth--;
        if (!c->depth) break;
        if (child) {
            push_child(c, child - 1);
            return down_to_greatest(c);
        }
        if (top(c)->node->has_value) return stand(c);
    }
    return stand(c);
}

static bool seek_at_least(struct radix_cursor *c, struct bytes key)
{
    c->depth = 0;
    if (!c->tree->root) return stand(c);
    push(c, c->tree->root, 0);
    for (;;) {
        const struct radix_node *n = top(c)->node;
        size_t shared = common_len(key, passed_over(n));
        if (shared == key.len) return down_to_least(c);
        if (shared < n->prefix_len) return key.ptr[shared] < prefix(n)[shared] ? down_to_least(c) : leave_forwards(c);
        key = from(key, shared);
        uint32_t i = child_position(n, key.ptr[0]);
        if (i == n->child_count) return leave_forwards(c);
        push_child(c, i);
        if (first_bytes(n)[i] != key.ptr[0]) return down_to_least(c);
        key = from(key, 1);
    }
}

bool radix_cursor_seek(struct radix_cursor *c, enum radix_seek where, struct bytes key)
{
    bool found = seek_at_least(c, key), exact = found && bytes_equal(c->key, key);
    if (where == RADIX_AT_LEAST || (where == RADIX_AT_MOST && exact)) return found;
    if (where == RADIX_GREATER) return exact ? radix_cursor_next(c) : found;
    return found ? radix_cursor_prev(c) : radix_cursor_last(c);
}
