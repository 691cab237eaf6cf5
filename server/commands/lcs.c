/* LCS: the longest common subsequence of two strings, by the usual table of lengths. Server process. */
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/commands/lcs.h"
#include "server/core/core.h"
#include "server/core/settings.h"

struct lcs_options {
    bool idx, len, with_match_len;
    int64_t min_match_len;
};

struct lcs {
    struct bytes a, b;
    uint32_t *lengths; /* (a.len + 1) rows of (b.len + 1): length of the LCS of the first i and j bytes */
};

static uint32_t length_at(const struct lcs *l, size_t i, size_t j)
{
    return l->lengths[i * (l->b.len + 1) + j];
}

static void fill_table(struct lcs *l)
{
    size_t width = l->b.len + 1;
    for (size_t i = 1; i <= l->a.len; i++)
        for (size_t j = 1; j <= l->b.len; j++) {
            uint32_t up = length_at(l, i - 1, j), left = length_at(l, i, j - 1);
            uint32_t best = up > left ? up : left;
            l->lengths[i * width + j] = l->a.ptr[i - 1] == l->b.ptr[j - 1] ? length_at(l, i - 1, j - 1) + 1 : best;
        }
}

struct match {
    size_t a_first, a_last, b_first, b_last;
};

static void reply_match(struct call *call, const struct match *m, const struct lcs_options *o)
{
    reply_array(call->reply, o->with_match_len ? 3 : 2);
    reply_array(call->reply, 2);
    reply_integer(call->reply, (int64_t)m->a_first);
    reply_integer(call->reply, (int64_t)m->a_last);
    reply_array(call->reply, 2);
    reply_integer(call->reply, (int64_t)m->b_first);
    reply_integer(call->reply, (int64_t)m->b_last);
    if (o->with_match_len) reply_integer(call->reply, (int64_t)(m->a_last - m->a_first + 1));
}

/* Walks the table back from its end. Fills text (when not NULL) from its end; counts and replies runs (when asked). */
static size_t walk_back(struct call *call, const struct lcs *l, const struct lcs_options *o, uint8_t *text, bool runs)
{
    size_t i = l->a.len, j = l->b.len, at = length_at(l, i, j), found = 0;
    bool open = false;
    struct match m = {0};
    while (i > 0 && j > 0) {
        bool same = l->a.ptr[i - 1] == l->b.ptr[j - 1];
        if (same) {
            if (text) text[--at] = l->a.ptr[i - 1];
            if (!open) m = (struct match){i - 1, i - 1, j - 1, j - 1};
            open = true;
            m.a_first = --i;
            m.b_first = --j;
        } else if (length_at(l, i - 1, j) > length_at(l, i, j - 1)) {
            i--;
        } else {
            j--;
        }
        bool ends = open && (!same || i == 0 || j == 0);
        if (!ends) continue;
        open = false;
        if (!runs || (int64_t)(m.a_last - m.a_first + 1) < o->min_match_len) continue;
        reply_match(call, &m, o);
        found++;
    }
    return found;
}

static void reply_result(struct call *call, const struct lcs *l, const struct lcs_options *o)
{
    uint32_t length = length_at(l, l->a.len, l->b.len);
    if (o->len) {
        reply_integer(call->reply, length);
    } else if (o->idx) {
        struct reply_deferred d;
        reply_map(call->reply, 2);
        reply_bulk_text(call->reply, "matches");
        reply_deferred_begin(call->reply, &d);
        size_t runs = walk_back(call, l, o, NULL, true);
        reply_deferred_array(call->reply, &d, runs);
        reply_bulk_text(call->reply, "len");
        reply_integer(call->reply, length);
    } else {
        uint8_t *text = mem_alloc(length + 1);
        walk_back(call, l, o, text, false);
        reply_bulk(call->reply, bytes_make(text, length));
        mem_free(text);
    }
}

static bool read_options(struct call *call, struct lcs_options *o)
{
    *o = (struct lcs_options){0};
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "idx")) {
            o->idx = true;
        } else if (call_arg_is(call, i, "len")) {
            o->len = true;
        } else if (call_arg_is(call, i, "withmatchlen")) {
            o->with_match_len = true;
        } else if (call_arg_is(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!call_arg_i64(call, ++i, &o->min_match_len, NULL)) return false;
            if (o->min_match_len < 0) o->min_match_len = 0;
        } else {
            return call_syntax_error(call), false;
        }
    }
    if (!o->idx || !o->len) return true;
    reply_error(call->reply, "ERR If you want both the length and indexes, please just use IDX.");
    return false;
}

/* The table grows with the product of both lengths, and so does the time: what a string may have, it may have, too.
 * false: answered. */
static bool table_new(struct call *call, struct lcs *l)
{
    size_t cells, bytes;
    bool countable = !__builtin_mul_overflow(l->a.len + 1, l->b.len + 1, &cells) &&
                     !__builtin_mul_overflow(cells, sizeof *l->lengths, &bytes);
    if (countable && bytes > call->core->settings->net.max_bulk_bytes) {
        reply_error(call->reply, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return false;
    }
    l->lengths = countable ? mem_try_alloc(bytes) : NULL;
    if (!l->lengths) {
        reply_error(call->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
        return false;
    }
    memset(l->lengths, 0, bytes);
    return true;
}

void lcs_command(struct call *call)
{
    struct lcs_options o;
    char scratch_a[I64_TEXT_MAX], scratch_b[I64_TEXT_MAX];
    struct record *a = call_find_read(call, 1);
    struct bytes text_a = a && record_type(a) == TYPE_STRING ? record_string(a, scratch_a) : BYTES("");
    bool wrong = a && record_type(a) != TYPE_STRING;
    /* The first look-up's record stays put: a read removes at most the key it looks for. */
    struct record *b = call_find_read(call, 2);
    if (wrong || (b && record_type(b) != TYPE_STRING))
        return reply_error(call->reply, "ERR The specified keys must contain string values");
    if (!read_options(call, &o)) return;
    struct lcs l = {text_a, b ? record_string(b, scratch_b) : BYTES(""), NULL};
    if (!table_new(call, &l)) return;
    fill_table(&l);
    reply_result(call, &l, &o);
    mem_free(l.lengths);
}
