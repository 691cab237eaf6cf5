/* Two replies compared, in the way that their command's mode asks for. */
#include "tests/differential/compare.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    [MODE_EXACT] = "",    [MODE_UNORDERED] = "unordered", [MODE_UNORDERED_PAIRS] = "unordered2",
    [MODE_SCAN] = "scan", [MODE_SHAPE] = "shape",         [MODE_SCAN_PAIRS] = "scan2",
    [MODE_ANY] = "any",   [MODE_NEAR] = "near",
};
#define MODES (int)(sizeof names / sizeof *names)

const char *mode_name(enum mode mode)
{
    return names[mode];
}

bool mode_named(const char *name, size_t len, enum mode *out)
{
    for (int i = MODE_EXACT + 1; i < MODES; i++) {
        if (strlen(names[i]) != len || memcmp(names[i], name, len) != 0) continue;
        *out = i;
        return true;
    }
    return false;
}

static int by_first(const void *a, const void *b)
{
    return reply_compare(a, b);
}

static int by_pair(const void *a, const void *b)
{
    const struct reply *x = a, *y = b;
    int first = reply_compare(&x[0], &y[0]);
    return first ? first : reply_compare(&x[1], &y[1]);
}

static void sort_parts(struct reply *r, bool pairs)
{
    if (r->parts == 0) return;
    bool nested = reply_is_aggregate(&r->part[0]);
    if (r->type == '%' || (pairs && !nested && r->parts % 2 == 0))
        qsort(r->part, r->parts / 2, 2 * sizeof *r->part, by_pair);
    else
        qsort(r->part, r->parts, sizeof *r->part, by_first);
}

static bool same_shape(const struct reply *a, const struct reply *b)
{
    if (a->type != b->type || a->null != b->null || a->parts != b->parts) return false;
    for (int i = 0; i < a->parts; i++)
        if (!same_shape(&a->part[i], &b->part[i])) return false;
    return true;
}

static bool is_named(const struct reply *r, const char *name)
{
    return r->type == '$' && r->len == strlen(name) && memcmp(r->text, name, r->len) == 0;
}

static bool names_a_time(const struct reply *r)
{
    return is_named(r, "idle") || is_named(r, "inactive") || is_named(r, "seen-time") || is_named(r, "active-time");
}

static bool is_stream_id(const struct reply *r)
{
    size_t digits = 0;
    while (digits < r->len && isdigit((unsigned char)r->text[digits])) digits++;
    return r->type == '$' && digits > 0 && digits < r->len && r->text[digits] == '-';
}

static bool tells_a_time(const struct reply *r, int i)
{
    if (i > 0 && names_a_time(&r->part[i - 1])) return true;
    if (r->parts < 3 || !is_stream_id(&r->part[0])) return false;
    for (int k = 0; k < i; k++)
        if (r->part[k].type == ':') return false;
    return i + 1 < r->parts && r->part[i + 1].type == ':';
}

static bool agree_nearly(const struct reply *a, const struct reply *b, bool is_time, long long tolerance)
{
    if (is_time && a->type == ':' && b->type == ':') {
        long long x = strtoll(a->text, NULL, 10), y = strtoll(b->text, NULL, 10);
        return x == y || (x >= 0 && y >= 0 && llabs(x - y) <= tolerance);
    }
    if (!reply_is_aggregate(a) || !reply_is_aggregate(b)) return reply_compare(a, b) == 0;
    if (a->type != b->type || a->parts != b->parts) return false;
    for (int i = 0; i < a->parts; i++)
        if (!agree_nearly(&a->part[i], &b->part[i], tells_a_time(a, i), tolerance)) return false;
    return true;
}

/* The cursor must agree and the parts behind it are sorted. */
static void sort_scan(struct reply *r, bool pairs)
{
    if (r->parts == 2 && reply_is_aggregate(&r->part[1])) sort_parts(&r->part[1], pairs);
}

bool replies_agree(enum mode mode, struct reply *a, struct reply *b, long long tolerance)
{
    switch (mode) {
    case MODE_UNORDERED:
    case MODE_UNORDERED_PAIRS:
        sort_parts(a, mode == MODE_UNORDERED_PAIRS);
        sort_parts(b, mode == MODE_UNORDERED_PAIRS);
        break;
    case MODE_SCAN:
    case MODE_SCAN_PAIRS:
        sort_scan(a, mode == MODE_SCAN_PAIRS);
        sort_scan(b, mode == MODE_SCAN_PAIRS);
        break;
    case MODE_SHAPE:
        if (reply_is_error(a)) break;
        return same_shape(a, b);
    case MODE_ANY: return reply_is_error(a) == reply_is_error(b);
    case MODE_NEAR: return agree_nearly(a, b, true, tolerance);
    case MODE_EXACT: break;
    }
    return reply_compare(a, b) == 0;
}
