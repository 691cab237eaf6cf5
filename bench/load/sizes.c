/* See sizes.h. */
#include "bench/load/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_part(struct size_part *p, const char *text, double *weight)
{
    char *end;
    unsigned long low = strtoul(text, &end, 10), high = low;
    if (end == text || *text == '-') return -1;
    if (*end == '-') high = strtoul(text = end + 1, &end, 10);
    *weight = 1;
    if (*end == '*') *weight = strtod(text = end + 1, &end);
    if (*end || end == text || low > high || high > SIZE_BYTES_MAX || !(*weight > 0)) return -1;
    p->low_bytes = (uint32_t)low;
    p->high_bytes = (uint32_t)high;
    return 0;
}

int sizes_parse(struct sizes *s, const char *text)
{
    char copy[512], *rest = copy;
    double weights[SIZES_MAX], sum = 0, upto = 0;
    s->count = 0;
    if (strlen(text) >= sizeof copy) return -1;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *part; (part = strsep(&rest, ","));) {
        if (s->count == SIZES_MAX || parse_part(&s->parts[s->count], part, &weights[s->count]) != 0) return -1;
        sum += weights[s->count++];
    }
    for (int i = 0; i < s->count; i++) {
        upto += weights[i] / sum * SIZES_WEIGHTS;
        s->parts[i].upto = i + 1 < s->count ? (uint32_t)upto : SIZES_WEIGHTS;
    }
    return 0;
}

uint32_t sizes_next(const struct sizes *s, struct random_state *r)
{
    const struct size_part *p = s->parts;
    if (s->count > 1)
        for (uint32_t at = (uint32_t)(random_u64(r) % SIZES_WEIGHTS); at >= p->upto;) p++;
    if (p->low_bytes == p->high_bytes) return p->low_bytes;
    return p->low_bytes + (uint32_t)random_below(r, p->high_bytes - p->low_bytes + 1);
}

uint32_t sizes_largest(const struct sizes *s)
{
    uint32_t largest = 0;
    for (int i = 0; i < s->count; i++)
        if (s->parts[i].high_bytes > largest) largest = s->parts[i].high_bytes;
    return largest;
}

bool sizes_are_fixed(const struct sizes *s)
{
    return s->count == 1 && s->parts[0].low_bytes == s->parts[0].high_bytes;
}
