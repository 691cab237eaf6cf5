/* The kinds of arguments, read from their file, and words picked from them. */
#include "tests/differential/kinds.h"

#include "tests/harness/fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_PERCENT   5
#define GARBAGE_PERCENT 3

enum pool { USUAL, LIMITS, GARBAGE, POOLS };

struct kind {
    struct words pool[POOLS];
    char *name;
};

struct kinds {
    struct kind *at;
    int count;
};

static bool read_kind(const char *line, struct kind *out)
{
    struct words w;
    int pool = USUAL;
    if (!words_split(line, &w)) return false;
    *out = (struct kind){.name = strdup(w.at[0].bytes)};
    for (int i = 1; i < w.count; i++) {
        if (words_have(&w, i, "/") && ++pool < POOLS) continue;
        if (pool == POOLS) break;
        words_append(&out->pool[pool], w.at[i].bytes, w.at[i].len);
    }
    words_free(&w);
    return pool < POOLS && out->pool[USUAL].count > 0;
}

struct kinds *kinds_load(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) harness_fail("%s: %s", path, strerror(errno));
    struct kinds *k = calloc(1, sizeof *k);
    char *line = NULL;
    size_t room = 0;
    for (int number = 1; getline(&line, &room, file) >= 0; number++) {
        if (line[0] == '#' || line[0] == '\n') continue;
        k->at = realloc(k->at, (k->count + 1) * sizeof *k->at);
        if (!read_kind(line, &k->at[k->count++])) harness_fail("%s:%d: no kind: %s", path, number, line);
    }
    free(line);
    fclose(file);
    return k;
}

void kinds_free(struct kinds *k)
{
    for (int i = 0; i < k->count; i++) {
        for (int pool = 0; pool < POOLS; pool++) words_free(&k->at[i].pool[pool]);
        free(k->at[i].name);
    }
    free(k->at);
    free(k);
}

const struct kind *kinds_find(const struct kinds *k, const char *name)
{
    for (int i = 0; i < k->count; i++)
        if (strcmp(k->at[i].name, name) == 0) return &k->at[i];
    return NULL;
}

/* Writes what stands for {...} at the start of text; the bytes that it took, 0 when it is nothing special. */
static int expand(const char *text, struct dice *dice, FILE *out)
{
    int low, high, times, took = 0;
    char c;
    if (sscanf(text, "{%d..%d}%n", &low, &high, &took) == 2 && took > 0) {
        fprintf(out, "%d", low + dice_below(dice, high - low + 1));
        return took;
    }
    if (sscanf(text, "{%c*%d}%n", &c, &times, &took) == 2 && took > 0) {
        while (times-- > 0) fputc(c, out);
        return took;
    }
    return 0;
}

static void append_expanded(const struct word *w, struct dice *dice, struct words *out)
{
    if (!memchr(w->bytes, '{', w->len)) {
        words_append(out, w->bytes, w->len);
        return;
    }
    char *bytes;
    size_t len;
    FILE *expanded = open_memstream(&bytes, &len);
    for (size_t i = 0; i < w->len;) {
        int took = w->bytes[i] == '{' ? expand(w->bytes + i, dice, expanded) : 0;
        if (!took) fputc(w->bytes[i], expanded);
        i += took ? took : 1;
    }
    fclose(expanded);
    words_append(out, bytes, len);
    free(bytes);
}

void kind_pick(const struct kind *kind, struct dice *dice, bool tame, struct words *out)
{
    int of_hundred = tame ? 100 : dice_below(dice, 100);
    enum pool pool = of_hundred < GARBAGE_PERCENT                   ? GARBAGE
                     : of_hundred < GARBAGE_PERCENT + LIMIT_PERCENT ? LIMITS
                                                                    : USUAL;
    if (kind->pool[pool].count == 0) pool = USUAL;
    append_expanded(&kind->pool[pool].at[dice_below(dice, kind->pool[pool].count)], dice, out);
}
