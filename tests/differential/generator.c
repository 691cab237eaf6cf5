/* Random commands out of the grammar's productions, most of them valid, some broken on purpose. */
#include "tests/differential/generator.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define OTHER_KEY_PERCENT    9
#define OPTION_PERCENT       40
#define REPEATS_MAX          3
#define WRONG_COUNT_PERCENT  4
#define LOWER_CASE_PERCENT   3
#define BROKEN_PERCENT       6
#define FOCUS_PERCENT        60
#define SMALL_LIMITS_PERCENT 50
#define VISIBLE_LIMITS       3
#define MULTI_PERCENT        2
#define END_PERCENT          12
#define DISCARD_PERCENT      10
#define OTHER_CLIENT_PERCENT 2

/* One command while it is put together. */
struct building {
    struct generator *g;
    const struct words *first; /* the production's first command */
    struct words words;
    bool tame;
    int keys;       /* so far, since numkeys */
    int numkeys_at; /* the word to be filled in; 0: none */
};

static void build(struct building *b, const struct node *n);

static void append_number(struct words *w, int number)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d", number);
    words_append(w, text, len);
}

/* Any family's type of keys. */
static const struct kind *any_keys(struct generator *g)
{
    const struct kind *keys = NULL;
    while (!keys) keys = g->grammar->families[dice_below(&g->dice, g->grammar->count)].keys;
    return keys;
}

static void build_key(struct building *b, const struct node *n)
{
    bool other = dice_percent(&b->g->dice, OTHER_KEY_PERCENT);
    kind_pick(other ? any_keys(b->g) : n->kind, &b->g->dice, b->tame, &b->words);
    b->keys++;
}

static int off_by_one(struct generator *g, int count)
{
    if (!dice_percent(&g->dice, WRONG_COUNT_PERCENT)) return count;
    return dice_percent(&g->dice, 50) ? count + 1 : count - 1;
}

static void build_per_key(struct building *b, const struct node *n)
{
    for (int i = off_by_one(b->g, b->keys); i > 0; i--) kind_pick(n->kind, &b->g->dice, b->tame, &b->words);
}

static void build_literal(struct building *b, const char *text)
{
    words_append(&b->words, text, strlen(text));
    struct word *w = &b->words.at[b->words.count - 1];
    if (!dice_percent(&b->g->dice, LOWER_CASE_PERCENT)) return;
    for (size_t i = 0; i < w->len; i++) w->bytes[i] = (char)tolower((unsigned char)w->bytes[i]);
}

static void build_back(struct building *b, int number)
{
    if (number < b->first->count) words_append(&b->words, b->first->at[number].bytes, b->first->at[number].len);
}

static void build(struct building *b, const struct node *n)
{
    int times;
    switch (n->type) {
    case NODE_LITERAL: build_literal(b, n->text); break;
    case NODE_KIND: kind_pick(n->kind, &b->g->dice, b->tame, &b->words); break;
    case NODE_KEY: build_key(b, n); break;
    case NODE_NUMKEYS:
        b->numkeys_at = b->words.count;
        b->keys = 0;
        append_number(&b->words, 0);
        break;
    case NODE_PER_KEY: build_per_key(b, n); break;
    case NODE_BACK: build_back(b, n->number); break;
    case NODE_SEQUENCE:
        for (int i = 0; i < n->children; i++) build(b, &n->child[i]);
        break;
    case NODE_CHOICE: build(b, &n->child[dice_below(&b->g->dice, n->children)]); break;
    case NODE_OPTIONAL:
        if (dice_percent(&b->g->dice, OPTION_PERCENT)) build(b, &n->child[0]);
        break;
    case NODE_REPEAT:
        times = 1 + dice_below(&b->g->dice, REPEATS_MAX);
        while (times-- > 0) build(b, &n->child[0]);
        break;
    }
}

/* One argument missing, twice there, in its neighbour's place, or something that nobody expects. */
static void break_words(struct generator *g, struct words *w)
{
    static const char *const strange[] = {"abc", "", "-1", "0", "1.5", "nan", "COUNT", "WITHSCORES", "LIMIT", "\n"};
    if (w->count < 2) {
        words_append(w, "extra", 5);
        return;
    }
    int at = 1 + dice_below(&g->dice, w->count - 1);
    const char *text = strange[dice_below(&g->dice, sizeof strange / sizeof *strange)];
    switch (dice_below(&g->dice, 4)) {
    case 0: words_remove(w, at); break;
    case 1: words_insert(w, at, w->at[at].bytes, w->at[at].len); break;
    case 2: words_replace(w, at, text, strlen(text)); break;
    default: words_insert(w, at, text, strlen(text)); break;
    }
}

static struct words build_command(struct generator *g, const struct node *syntax, const struct words *first, bool tame)
{
    struct building b = {.g = g, .first = first, .tame = tame};
    build(&b, syntax);
    if (b.numkeys_at) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", off_by_one(g, b.keys));
        words_replace(&b.words, b.numkeys_at, text, len);
    }
    return b.words;
}

static void build_production(struct generator *g, const struct production *p, struct script *out)
{
    int first = out->count;
    char client = !p->multi && dice_percent(&g->dice, OTHER_CLIENT_PERCENT) ? 'b' : 'a';
    for (int i = 0; i < p->count; i++) {
        const struct production_step *ps = &p->steps[i];
        struct step s = ps->head;
        const struct words none = {0}, *words = i ? &out->at[first].words : &none;
        if (!ps->names_client) s.client = client;
        if (s.variable) s.variable = strdup(s.variable);
        s.glued = i > 0;
        s.words = build_command(g, &ps->syntax, words, i > 0 || s.kind == STEP_SEND);
        bool may_break = i == 0 && !p->whole && s.kind == STEP_COMMAND;
        if (may_break && dice_percent(&g->dice, BROKEN_PERCENT)) break_words(g, &s.words);
        script_append(out, s);
    }
}

static void append_line(struct script *out, const char *line)
{
    struct step s;
    step_parse(line, &s);
    script_append(out, s);
}

static bool fits(const struct generator *g, const struct production *p)
{
    if (g->compared ? p->alone : p->together) return false;
    return g->in_transaction ? !p->outside : !p->multi;
}

static const struct production *choose(struct generator *g)
{
    for (;;) {
        const struct family *f = g->focus;
        if (!dice_percent(&g->dice, FOCUS_PERCENT)) f = &g->grammar->families[dice_below(&g->dice, g->grammar->count)];
        int at = dice_below(&g->dice, f->weight);
        const struct production *p = f->productions;
        while (at >= p->weight) at -= p++->weight;
        if (fits(g, p)) return p;
    }
}

void generator_begin(struct generator *g, struct script *out)
{
    /* The last ones can be seen in a digest: a HyperLogLog's form, and -0, which a listpack does not know. A master
     * would have them, and its replica not. */
    static const char *const small_limits[] = {
        "hash-max-listpack-entries 4", "hash-max-listpack-value 20",  "list-max-listpack-size 3",
        "list-compress-depth 1",       "set-max-intset-entries 4",    "set-max-listpack-entries 3",
        "stream-node-max-entries 3",   "zset-max-listpack-entries 4", "zset-max-listpack-value 20",
        "hll-sparse-max-bytes 60",
    };
    size_t limits = sizeof small_limits / sizeof *small_limits - (g->compared ? 0 : VISIBLE_LIMITS);
    g->in_transaction = false;
    g->focus = &g->grammar->families[dice_below(&g->dice, g->grammar->count)];
    if (!dice_percent(&g->dice, SMALL_LIMITS_PERCENT)) return;
    for (size_t i = 0; i < limits; i++) {
        char line[128];
        snprintf(line, sizeof line, "CONFIG SET %s", small_limits[i]);
        append_line(out, line);
    }
}

void generator_step(struct generator *g, struct script *out)
{
    if (!dice_percent(&g->dice, g->in_transaction ? END_PERCENT : MULTI_PERCENT)) {
        build_production(g, choose(g), out);
        return;
    }
    if (g->in_transaction)
        append_line(out, dice_percent(&g->dice, DISCARD_PERCENT) ? "DISCARD" : "EXEC");
    else
        append_line(out, "MULTI");
    g->in_transaction = !g->in_transaction;
}

void generator_end(struct generator *g, struct script *out)
{
    if (g->in_transaction) append_line(out, "EXEC");
    g->in_transaction = false;
}
