/* Reading and resolving ranges of sorted sets. Server process. */
#include "server/commands/zset_interval.h"

#include <ctype.h>

/* A number as strtod takes it, "(" before it excluding it. Blanks before a number are let pass, and nothing at all is
 * 0: that is how it has always been. */
static bool read_score_end(struct bytes text, bool is_high, struct zset_end *out)
{
    bool excluded = text.len > 0 && text.ptr[0] == '(';
    size_t skipped = excluded;
    while (skipped < text.len && isspace(text.ptr[skipped])) skipped++;
    struct bytes number = bytes_make(text.ptr + skipped, text.len - skipped);
    double score = 0;
    bool blank = !number.len && skipped > excluded;
    if (blank || (number.len && parse_double(number, &score))) return false;
    *out = (struct zset_end){.bound = {.order = SKIPLIST_BY_SCORE, .after = is_high != excluded, .score = score}};
    return true;
}

/* "-", "+", "[bytes" or "(bytes". */
static bool read_lex_end(struct bytes text, bool is_high, struct zset_end *out)
{
    char form = text.len ? (char)text.ptr[0] : 0;
    if ((form == '-' || form == '+') && text.len == 1) {
        out->where = form == '-' ? END_BEFORE_ALL : END_AFTER_ALL;
        return true;
    }
    if (form != '[' && form != '(') return false;
    *out = (struct zset_end){.bound = {.order = SKIPLIST_BY_KEY,
                                       .after = is_high != (form == '('),
                                       .key = bytes_make(text.ptr + 1, text.len - 1)}};
    return true;
}

bool zset_range_read(struct call *call, enum zset_range_kind kind, uint32_t low_arg, uint32_t high_arg,
                     struct zset_range *out)
{
    struct bytes low = call->argv[low_arg], high = call->argv[high_arg];
    out->kind = kind;
    switch (kind) {
    case RANGE_BY_RANK:
        return call_arg_i64(call, low_arg, &out->start, NULL) && call_arg_i64(call, high_arg, &out->stop, NULL);
    case RANGE_BY_SCORE:
        if (read_score_end(low, false, &out->low) && read_score_end(high, true, &out->high)) return true;
        reply_error(call->reply, "ERR min or max is not a float");
        return false;
    case RANGE_BY_LEX:
        if (read_lex_end(low, false, &out->low) && read_lex_end(high, true, &out->high)) return true;
        reply_error(call->reply, "ERR min or max not valid string range item");
        return false;
    }
    return false;
}

static size_t rank_of_end(const struct zset *z, const struct zset_end *end, size_t from)
{
    if (end->where == END_BEFORE_ALL) return from;
    return end->where == END_AFTER_ALL ? zset_count(z) : zset_rank_of(z, &end->bound, from);
}

struct zset_interval zset_range_resolve(const struct zset_range *range, const struct zset *z, bool reverse)
{
    size_t count = zset_count(z);
    if (range->kind != RANGE_BY_RANK) {
        size_t first = rank_of_end(z, &range->low, 0), last = rank_of_end(z, &range->high, first);
        return (struct zset_interval){first, last - first};
    }
    int64_t all = (int64_t)count, start = range->start, stop = range->stop;
    if (start < 0) start = start + all < 0 ? 0 : start + all;
    if (stop < 0) stop += all;
    if (stop >= all) stop = all - 1;
    if (start > stop) return (struct zset_interval){0};
    return (struct zset_interval){(size_t)(reverse ? all - 1 - stop : start), (size_t)(stop - start + 1)};
}
