/* Glob matching as Redis's users know it. Any process.
 *
 * A star is tried with the shortest text first; on a mismatch only the last star is widened by one byte and matching
 * goes on from there. Going back to an earlier star could not find anything new, so no recursion and no exponential
 * time. An empty text is matched by an empty pattern alone. */
#include "server/base/glob.h"

static uint8_t fold(uint8_t c, bool ignore_case)
{
    return ignore_case ? byte_lower(c) : c;
}

/* Matches c against the class that starts behind the '[' at p; moves *p behind it. A class that the pattern's end cuts
 * off ends there. */
static bool class_match(const uint8_t **p, const uint8_t *end, uint8_t c, bool ignore_case)
{
    const uint8_t *at = *p;
    bool negated = at < end && *at == '^', matched = false;
    if (negated) at++;
    for (; at < end && *at != ']'; at++) {
        if (*at == '\\' && end - at >= 2) {
            at++;
            matched |= fold(*at, ignore_case) == c;
        } else if (end - at >= 3 && at[1] == '-') {
            uint8_t low = fold(at[0], ignore_case), high = fold(at[2], ignore_case);
            matched |= low <= high ? low <= c && c <= high : high <= c && c <= low;
            at += 2;
        } else {
            matched |= fold(*at, ignore_case) == c;
        }
    }
    *p = at < end ? at + 1 : at;
    return matched != negated;
}

/* Matches one byte of text against the element at *p, which is not a star; moves *p behind it. */
static bool element_match(const uint8_t **p, const uint8_t *end, uint8_t text, bool ignore_case)
{
    const uint8_t *at = *p;
    uint8_t c = fold(text, ignore_case);
    *p = at + 1;
    if (*at == '?') return true;
    if (*at == '[') return class_match(p, end, c, ignore_case);
    if (*at == '\\' && end - at >= 2) at++;
    *p = at + 1;
    return fold(*at, ignore_case) == c;
}

bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case)
{
    const uint8_t *p = pattern.ptr, *p_end = p + pattern.len;
    const uint8_t *t = text.ptr, *t_end = t + text.len;
    const uint8_t *after_star = NULL, *star_text = NULL; /* where the last star's rest begins, in pattern and text */
    while (t < t_end) {
        if (p < p_end && *p == '*') {
            after_star = ++p;
            star_text = t;
            if (p == p_end) return true;
        } else if (p < p_end && element_match(&p, p_end, *t, ignore_case)) {
            t++;
        } else if (after_star) {
            p = after_star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (text.len && p < p_end && *p == '*') p++;
    return p == p_end;
}
