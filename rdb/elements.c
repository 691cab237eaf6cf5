/* Packed strings taken apart. Server process and redis-check-rdb; every byte here may be hostile. */
#include "rdb/elements.h"

#include "server/data/listpack.h"

/* More would be no gain: a table that has grown this far grows on cheaply. */
#define BELIEVED_MOST ((uint64_t)64 * 1024)

bool rdb_read_count(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t count;
    if (!rdb_read_length(in, &count)) return false;
    builder->remaining = count;
    builder->empty = count == 0;
    return true;
}

size_t rdb_believed_count(const struct rdb_cursor *in, uint64_t announced)
{
    uint64_t at_hand = (uint64_t)(in->end - in->at); /* each takes a byte at least */
    uint64_t most = at_hand < BELIEVED_MOST ? at_hand : BELIEVED_MOST;
    return announced < most ? announced : most;
}

struct walk {
    rdb_take_element *take_element;
    rdb_take_pair *take_pair; /* NULL: elements are taken one by one */
    void *context;
    struct packed_value first;
    size_t elements;
    bool half; /* of a pair has come */
    bool canonical;
    bool refused; /* by the taker */
};

static bool visit(void *arg, struct packed_value element)
{
    struct walk *w = arg;
    if (element.ptr) {
        if (!listpack_string_is_shortest(&element)) w->canonical = false;
        element = packed_from(bytes_make(element.ptr, element.len));
        if (!element.ptr) w->canonical = false;
    }
    w->elements++;
    if (!w->take_pair) {
        w->refused = w->take_element && !w->take_element(w->context, element);
        return !w->refused;
    }
    w->half = !w->half;
    if (!w->half) w->refused = !w->take_pair(w->context, &w->first, &element);
    w->first = element;
    return !w->refused;
}

static bool read_walked(struct rdb_cursor *in, rdb_walk *walk, struct walk w, const char *what,
                        struct rdb_elements *out)
{
    uint64_t offset = rdb_cursor_offset(in);
    if (!rdb_read_bytes(in, &out->packed)) return false;
    w.canonical = true;
    in->payloads_checked++;
    bool whole = walk(out->packed, visit, &w);
    bool can_be_mended = walk == listpack_validate && listpack_is_framed(out->packed) && !w.refused;
    if (!whole && !can_be_mended) return rdb_bad(in, offset, "%s is broken", what);
    if (!whole && !rdb_flaw(in, offset, "%s is broken: %zu elements can be read", what, w.elements)) return false;
    if (w.half && !can_be_mended) return rdb_bad(in, offset, "%s ends in half a pair", what);
    if (w.half && !rdb_flaw(in, offset, "%s ends in half a pair", what)) return false;
    out->canonical = w.canonical;
    return true;
}

bool rdb_read_elements(struct rdb_cursor *in, rdb_walk *walk, rdb_take_element *take, void *context, const char *what,
                       struct rdb_elements *out)
{
    return read_walked(in, walk, (struct walk){.take_element = take, .context = context}, what, out);
}

bool rdb_read_pairs(struct rdb_cursor *in, rdb_walk *walk, rdb_take_pair *take, void *context, const char *what,
                    struct rdb_elements *out)
{
    return read_walked(in, walk, (struct walk){.take_pair = take, .context = context}, what, out);
}

static bool append_element(void *listpack, struct packed_value element)
{
    uint8_t **lp = listpack;
    *lp = listpack_append(*lp, element);
    return true;
}

uint8_t *rdb_listpack_of(const struct rdb_elements *elements)
{
    if (elements->canonical) return listpack_copy(elements->packed.ptr);
    uint8_t *lp = listpack_new(elements->packed.len);
    rdb_take_elements_again(elements->packed, append_element, &lp);
    return lp;
}

void rdb_take_elements_again(struct bytes listpack, rdb_take_element *take, void *context)
{
    struct walk w = {.take_element = take, .context = context};
    listpack_validate(listpack, visit, &w);
}

void rdb_take_pairs_again(struct bytes listpack, rdb_take_pair *take, void *context)
{
    struct walk w = {.take_pair = take, .context = context};
    listpack_validate(listpack, visit, &w);
}
