/* Searching for positions around a point. The grid's cells that cover the shape are ranges of the sorted set; what lies
 * in them is measured, and what lies in the shape is a hit. Server process. */
#include "server/commands/geo_search.h"

#include "server/base/alloc.h"
#include "server/data/zset_builder.h"

#include <stdlib.h>

/* --- arguments --- */

enum geo_order { UNORDERED, NEAREST_FIRST, FARTHEST_FIRST };

struct search {
    struct call *call;
    uint32_t source; /* argument with the sorted set */
    uint32_t store;  /* argument with the destination; 0: none */
    struct geo_shape shape;
    double unit_m;
    bool with_distance, with_hash, with_point;
    bool store_distance;
    bool any;      /* COUNT hits, whichever come first */
    int64_t count; /* 0: all */
    enum geo_order order;
};

/* Which of the commands it is: what it takes besides the options of all. */
enum search_kind { BY_POINT = 1, BY_MEMBER = 2, SEARCH = 4, READ_ONLY = 8, STORES = 16 };

static bool circle_arguments(struct search *s, uint32_t arg)
{
    double radius;
    if (!call_arg_double(s->call, arg, &radius, "ERR need numeric radius")) return false;
    if (radius < 0) {
        reply_error(s->call->reply, "ERR radius cannot be negative");
        return false;
    }
    if (!geo_unit_argument(s->call, arg + 1, &s->unit_m)) return false;
    s->shape.is_box = false;
    s->shape.radius_m = radius * s->unit_m;
    return true;
}

static bool box_arguments(struct search *s, uint32_t arg)
{
    double width, height;
    if (!call_arg_double(s->call, arg, &width, "ERR need numeric width") ||
        !call_arg_double(s->call, arg + 1, &height, "ERR need numeric height"))
        return false;
    if (width < 0 || height < 0) {
        reply_error(s->call->reply, "ERR height or width cannot be negative");
        return false;
    }
    if (!geo_unit_argument(s->call, arg + 2, &s->unit_m)) return false;
    s->shape.is_box = true;
    s->shape.width_m = width * s->unit_m;
    s->shape.height_m = height * s->unit_m;
    return true;
}

/* Where there is no sorted set, any member will do: nothing will be found. */
static bool centre_member(struct search *s, uint32_t arg, const struct zset *zset)
{
    struct packed_value member = packed_from(s->call->argv[arg]);
    double score;
    if (!zset) return true;
    if (!zset_score(zset, &member, &score)) {
        reply_error(s->call->reply, "ERR could not decode requested zset member");
        return false;
    }
    s->shape.centre = geo_decode(score);
    return true;
}

static bool count_argument(struct search *s, uint32_t arg)
{
    if (!call_arg_i64(s->call, arg, &s->count, NULL)) return false;
    if (s->count > 0) return true;
    reply_error(s->call->reply, "ERR COUNT must be > 0");
    return false;
}

enum taken { TAKEN, UNKNOWN, REFUSED };

/* The options that stand alone. */
static enum taken take_word(struct search *s, uint32_t i)
{
    struct call *call = s->call;
    if (call_arg_is(call, i, "withdist"))
        s->with_distance = true;
    else if (call_arg_is(call, i, "withhash"))
        s->with_hash = true;
    else if (call_arg_is(call, i, "withcoord"))
        s->with_point = true;
    else if (call_arg_is(call, i, "any"))
        s->any = true;
    else if (call_arg_is(call, i, "asc"))
        s->order = NEAREST_FIRST;
    else if (call_arg_is(call, i, "desc"))
        s->order = FARTHEST_FIRST;
    else
        return UNKNOWN;
    return TAKEN;
}

/* An option may be repeated, and the last one counts; but not two ways to say the same thing. */
struct search_given {
    bool member, point, circle, box;
};

/* GEOSEARCH's own, with their arguments; *i moves to the last one. */
static enum taken take_search_option(struct search *s, uint32_t *i, const struct zset *zset, unsigned kind,
                                     struct search_given *given)
{
    struct call *call = s->call;
    uint32_t at = *i, rest = call->argc - at - 1;
    bool good;
    if (call_arg_is(call, at, "frommember") && rest >= 1 && !given->point) {
        given->member = true;
        *i += 1;
        good = centre_member(s, at + 1, zset);
    } else if (call_arg_is(call, at, "fromlonlat") && rest >= 2 && !given->member) {
        given->point = true;
        *i += 2;
        good = geo_point_argument(call, at + 1, &s->shape.centre);
    } else if (call_arg_is(call, at, "byradius") && rest >= 2 && !given->box) {
        given->circle = true;
        *i += 2;
        good = circle_arguments(s, at + 1);
    } else if (call_arg_is(call, at, "bybox") && rest >= 3 && !given->circle) {
        given->box = true;
        *i += 3;
        good = box_arguments(s, at + 1);
    } else if (call_arg_is(call, at, "storedist") && kind & STORES) {
        s->store_distance = good = true;
    } else {
        return UNKNOWN;
    }
    return good ? TAKEN : REFUSED;
}

/* GEORADIUS's destination. */
static enum taken take_destination(struct search *s, uint32_t *i)
{
    bool distance = call_arg_is(s->call, *i, "storedist");
    if ((!distance && !call_arg_is(s->call, *i, "store")) || *i + 1 >= s->call->argc) return UNKNOWN;
    s->store = ++*i;
    s->store_distance = distance;
    return TAKEN;
}

static enum taken take_option(struct search *s, uint32_t *i, const struct zset *zset, unsigned kind,
                              struct search_given *given)
{
    enum taken taken = take_word(s, *i);
    if (taken == UNKNOWN && call_arg_is(s->call, *i, "count") && *i + 1 < s->call->argc)
        taken = count_argument(s, ++*i) ? TAKEN : REFUSED;
    if (taken == UNKNOWN && kind & SEARCH)
        taken = take_search_option(s, i, zset, kind, given);
    else if (taken == UNKNOWN && !(kind & READ_ONLY))
        taken = take_destination(s, i);
    return taken;
}

/* What the options have to be together. */
static bool check_options(const struct search *s, unsigned kind, struct search_given given)
{
    struct reply *reply = s->call->reply;
    struct bytes name = s->call->argv[0];
    if (s->store && (s->with_distance || s->with_hash || s->with_point))
        reply_errorf(reply, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     kind & STORES ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (kind & SEARCH && !given.member && !given.point)
        reply_errorf(reply, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s", (int)name.len,
                     (const char *)name.ptr);
    else if (kind & SEARCH && !given.circle && !given.box)
        reply_errorf(reply, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", (int)name.len,
                     (const char *)name.ptr);
    else if (s->any && !s->count)
        reply_error(reply, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

/* zset NULL: there is no such key. false: answered. */
static bool read_search(struct search *s, unsigned kind, const struct zset *zset)
{
    struct search_given given = {0};
    uint32_t at = s->source + 1;
    if (kind & BY_POINT) {
        if (!geo_point_argument(s->call, at, &s->shape.centre) || !circle_arguments(s, at + 2)) return false;
        at += 4;
    } else if (kind & BY_MEMBER) {
        if (zset && (!centre_member(s, at, zset) || !circle_arguments(s, at + 1))) return false;
        at += 3;
    }
    for (; at < s->call->argc; at++) {
        enum taken taken = take_option(s, &at, zset, kind, &given);
        if (taken == UNKNOWN) call_syntax_error(s->call);
        if (taken != TAKEN) return false;
    }
    if (!check_options(s, kind, given)) return false;
    if (s->count && s->order == UNORDERED && !s->any) s->order = NEAREST_FIRST;
    return true;
}

/* --- hits --- */

struct hit {
    struct packed_value member; /* a slice of the sorted set */
    double score, distance_m;
    struct geo_point point;
    size_t found; /* as the so-many-th */
};

struct hits {
    struct hit *all;
    size_t count, capacity;
};

static void add_hit(struct hits *hits, const struct hit *hit)
{
    if (hits->count == hits->capacity) {
        hits->capacity = hits->capacity ? 2 * hits->capacity : 16;
        hits->all = mem_realloc(hits->all, hits->capacity * sizeof *hits->all);
    }
    hits->all[hits->count] = *hit;
    hits->all[hits->count].found = hits->count;
    hits->count++;
}

/* false: there are enough. */
static bool search_cell(const struct search *s, const struct zset *zset, struct geo_range range, struct hits *hits)
{
    struct skiplist_bound least = {.order = SKIPLIST_BY_SCORE, .score = (double)range.least};
    struct zset_walk w;
    struct zset_entry entry;
    zset_walk_start(&w, zset, zset_rank_of(zset, &least, 0), false);
    while (zset_walk_next(&w, &entry) && entry.score < (double)range.bound) {
        struct hit hit = {.member = entry.member, .score = entry.score, .point = geo_decode(entry.score)};
        if (!geo_shape_contains(&s->shape, hit.point, &hit.distance_m)) continue;
        add_hit(hits, &hit);
        if (s->any && hits->count >= (uint64_t)s->count) return false;
    }
    return true;
}

static int compare_hits(const void *left, const void *right, void *arg)
{
    const struct hit *a = left, *b = right;
    const struct search *s = arg;
    if (a->distance_m == b->distance_m) return a->found < b->found ? -1 : a->found > b->found;
    int order = a->distance_m < b->distance_m ? -1 : 1;
    return s->order == FARTHEST_FIRST ? -order : order;
}

static void find_hits(struct search *s, const struct zset *zset, struct hits *hits)
{
    struct geo_range cells[GEO_CELLS_MAX];
    size_t count = geo_cover(&s->shape, cells);
    for (size_t i = 0; i < count; i++)
        if (!search_cell(s, zset, cells[i], hits)) break;
    if (s->order != UNORDERED && hits->count) qsort_r(hits->all, hits->count, sizeof *hits->all, compare_hits, s);
    if (s->count && hits->count > (uint64_t)s->count) hits->count = (uint64_t)s->count;
}

/* --- answers --- */

static void reply_hit(const struct search *s, const struct hit *hit)
{
    struct reply *reply = s->call->reply;
    char scratch[I64_TEXT_MAX];
    int extras = s->with_distance + s->with_hash + s->with_point;
    if (extras) reply_array(reply, 1 + (size_t)extras);
    reply_bulk(reply, packed_text(&hit->member, scratch));
    if (s->with_distance) geo_reply_distance(reply, hit->distance_m / s->unit_m);
    if (s->with_hash) reply_integer(reply, (int64_t)hit->score);
    if (s->with_point) geo_reply_point(reply, hit->point);
}

static void delete_destination(const struct search *s)
{
    struct call *call = s->call;
    if (!call_find_write(call, s->store)) return;
    call_delete_key(call, call->argv[s->store], call_key_hash(call, s->store), false);
    call_changed(call, 1);
}

static void store_hits(const struct search *s, const struct hits *hits, const char *event)
{
    struct call *call = s->call;
    struct bytes key = call->argv[s->store];
    if (hits->count) {
        struct zset_builder builder;
        zset_builder_init(&builder, hits->count);
        for (size_t i = 0; i < hits->count; i++) {
            const struct hit *hit = &hits->all[i];
            zset_builder_add(&builder, &hit->member, s->store_distance ? hit->distance_m / s->unit_m : hit->score);
        }
        struct zset stored = zset_builder_finish(&builder);
        database_set_object(call->db, key, call_key_hash(call, s->store), TYPE_ZSET, stored.encoding, stored.object,
                            false);
        call_key_modified(call, call->db, key);
        call_event(call, NOTIFY_ZSET, event, call->db, key);
        call_changed(call, hits->count);
    } else {
        delete_destination(s);
    }
    reply_integer(call->reply, (int64_t)hits->count);
}

static void search_in(struct search *s, const struct zset *zset, unsigned kind)
{
    struct hits hits = {0};
    if (zset) find_hits(s, zset, &hits);
    if (s->store) {
        store_hits(s, &hits, kind & SEARCH ? "geosearchstore" : "georadiusstore");
    } else {
        reply_array(s->call->reply, hits.count);
        for (size_t i = 0; i < hits.count; i++) reply_hit(s, &hits.all[i]);
    }
    mem_free(hits.all);
}

static void search(struct call *call, unsigned kind)
{
    struct search s = {.call = call, .source = kind & STORES ? 2 : 1, .store = kind & STORES ? 1 : 0};
    struct record *r = call_find_read(call, s.source);
    if (call_wrong_type(call, r, TYPE_ZSET)) return;
    struct zset zset;
    if (r) zset = (struct zset){record_encoding(r), record_object(r), record_object_inside(r)};
    if (read_search(&s, kind, r ? &zset : NULL)) search_in(&s, r ? &zset : NULL, kind);
}

void georadius_command(struct call *call)
{
    search(call, BY_POINT);
}

void georadius_ro_command(struct call *call)
{
    search(call, BY_POINT | READ_ONLY);
}

void georadiusbymember_command(struct call *call)
{
    search(call, BY_MEMBER);
}

void georadiusbymember_ro_command(struct call *call)
{
    search(call, BY_MEMBER | READ_ONLY);
}

void geosearch_command(struct call *call)
{
    search(call, SEARCH | READ_ONLY);
}

void geosearchstore_command(struct call *call)
{
    search(call, SEARCH | STORES);
}
