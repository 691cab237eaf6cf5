/* The grammar's files, read into productions. */
#include "tests/differential/grammar.h"

#include "tests/harness/fail.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

/* Where a line is being read; a fault ends the run with its place. */
struct reading {
    struct grammar *grammar;
    struct family *family;
    const char *path;
    int number;
    const char *at;
};

static void fault(const struct reading *r, const char *what)
{
    harness_fail("%s:%d: %s at '%s'", r->path, r->number, what, r->at);
}

static void skip_spaces(struct reading *r)
{
    while (isspace((unsigned char)*r->at)) r->at++;
}

static bool take(struct reading *r, const char *text)
{
    skip_spaces(r);
    if (strncmp(r->at, text, strlen(text)) != 0) return false;
    r->at += strlen(text);
    return true;
}

static struct node parent_of(enum node_type type, struct node child)
{
    struct node n = {.type = type, .child = malloc(sizeof child), .children = 1};
    n.child[0] = child;
    return n;
}

static void add_child(struct node *n, struct node child)
{
    n->child = realloc(n->child, (n->children + 1) * sizeof child);
    n->child[n->children++] = child;
}

static struct node named(struct reading *r, const char *name)
{
    char kind[64];
    struct node n = {.type = NODE_KIND};
    size_t len = strcspn(name, "@");
    if (len >= sizeof kind) fault(r, "too long a name");
    memcpy(kind, name, len);
    kind[len] = '\0';
    if (strcmp(name, "numkeys") == 0) {
        n.type = NODE_NUMKEYS;
        return n;
    }
    if (strcmp(name, "key") == 0) {
        n.type = NODE_KEY;
        n.kind = r->family->keys;
    } else {
        n.type = strchr(name, '@') ? NODE_PER_KEY : strncmp(name, "key:", 4) == 0 ? NODE_KEY : NODE_KIND;
        n.kind = kinds_find(r->grammar->kinds, kind);
    }
    if (!n.kind) fault(r, "no such kind");
    return n;
}

static struct node read_word(struct reading *r)
{
    size_t len = *r->at == '\'' ? strcspn(r->at + 1, "'") + 2 : strcspn(r->at, " \t\n[]<>|");
    if (len == 0) fault(r, "a word is missing");
    char *text = strndup(r->at, len);
    struct node n = {.type = NODE_LITERAL};
    if (text[0] == '\'')
        n.text = strndup(text + 1, len - 2);
    else if (text[0] == '@') {
        n.type = NODE_BACK;
        n.number = atoi(text + 1);
    } else if (islower((unsigned char)text[0]))
        n = named(r, text);
    else
        n.text = strdup(text);
    free(text);
    r->at += len;
    return n;
}

static struct node read_choice(struct reading *r, const char *closing, bool *repeats);

static struct node read_item(struct reading *r)
{
    bool repeats;
    if (take(r, "<")) return read_choice(r, ">", &repeats);
    if (!take(r, "[")) return read_word(r);
    struct node inner = read_choice(r, "]", &repeats);
    return parent_of(NODE_OPTIONAL, repeats ? parent_of(NODE_REPEAT, inner) : inner);
}

/* Up to the closing bracket ("": the end), which is taken. *repeats: "..." stood before it. */
static struct node read_choice(struct reading *r, const char *closing, bool *repeats)
{
    struct node choice = {.type = NODE_CHOICE}, sequence = {.type = NODE_SEQUENCE};
    *repeats = false;
    for (;;) {
        skip_spaces(r);
        if (*closing ? take(r, closing) : !*r->at) break;
        if (!*r->at || strchr("]>", *r->at)) fault(r, "brackets do not match");
        if (*closing && take(r, "|")) {
            add_child(&choice, sequence);
            sequence = (struct node){.type = NODE_SEQUENCE};
        } else if (take(r, "...")) {
            *repeats = true;
        } else {
            add_child(&sequence, read_item(r));
        }
    }
    if (choice.children == 0) return sequence;
    add_child(&choice, sequence);
    return choice;
}

static void read_step(struct reading *r, char *text, struct production *p)
{
    p->steps = realloc(p->steps, (p->count + 1) * sizeof *p->steps);
    struct production_step *s = &p->steps[p->count++];
    bool repeats;
    text += strspn(text, " \t");
    r->at = step_parse_head(text, &s->head);
    const char *sign = strpbrk(text, "><");
    s->names_client = sign && sign < r->at;
    s->syntax = read_choice(r, "", &repeats);
}

static bool take_flag(char **line, const char *flag)
{
    *line += strspn(*line, " \t");
    if (strncmp(*line, flag, strlen(flag)) != 0) return false;
    *line += strlen(flag);
    return true;
}

static void read_production(struct reading *r, char *line)
{
    struct family *f = r->family;
    struct production p = {.weight = 1};
    if (isdigit((unsigned char)line[0])) p.weight = (int)strtol(line, &line, 10);
    for (bool more = true; more;) {
        more = false;
        if (take_flag(&line, "together|")) more = p.together = true;
        if (take_flag(&line, "alone|")) more = p.alone = true;
        if (take_flag(&line, "whole|")) more = p.whole = true;
        if (take_flag(&line, "multi|")) more = p.multi = true;
        if (take_flag(&line, "outside|")) more = p.outside = true;
    }
    for (char *end; (end = strstr(line, " ; ")); line = end + 3) {
        *end = '\0';
        read_step(r, line, &p);
    }
    read_step(r, line, &p);
    f->productions = realloc(f->productions, (f->count + 1) * sizeof p);
    f->productions[f->count++] = p;
    f->weight += p.weight;
}

static void read_family(struct grammar *g, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) harness_fail("%s: %s", path, strerror(errno));
    g->families = realloc(g->families, (g->count + 1) * sizeof *g->families);
    struct family *f = &g->families[g->count++];
    *f = (struct family){0};
    const char *name = strrchr(path, '/') + 1;
    snprintf(f->name, sizeof f->name, "%.*s", (int)strcspn(name, "."), name);
    struct reading r = {.grammar = g, .family = f, .path = path};
    char *line = NULL, type[32];
    size_t room = 0;
    for (r.number = 1; getline(&line, &room, file) >= 0; r.number++) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0') continue;
        if (sscanf(line, "keys %20s", type) == 1) {
            char kind[64];
            snprintf(kind, sizeof kind, "key:%s", type);
            f->keys = kinds_find(g->kinds, kind);
            r.at = type;
            if (!f->keys) fault(&r, "no such type");
        } else {
            read_production(&r, line);
        }
    }
    free(line);
    fclose(file);
}

struct grammar *grammar_load(const char *directory)
{
    struct grammar *g = calloc(1, sizeof *g);
    char path[4096];
    glob_t found;
    snprintf(path, sizeof path, "%s/kinds.txt", directory);
    g->kinds = kinds_load(path);
    snprintf(path, sizeof path, "%s/*.txt", directory);
    if (glob(path, 0, NULL, &found) != 0) harness_fail("no grammar in %s", directory);
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (!strstr(found.gl_pathv[i], "/kinds.txt")) read_family(g, found.gl_pathv[i]);
    globfree(&found);
    return g;
}

static void free_node(struct node *n)
{
    for (int i = 0; i < n->children; i++) free_node(&n->child[i]);
    free(n->child);
    free(n->text);
}

void grammar_free(struct grammar *g)
{
    for (int i = 0; i < g->count; i++) {
        struct family *f = &g->families[i];
        for (int k = 0; k < f->count; k++) {
            for (int s = 0; s < f->productions[k].count; s++) {
                free_node(&f->productions[k].steps[s].syntax);
                free(f->productions[k].steps[s].head.variable);
            }
            free(f->productions[k].steps);
        }
        free(f->productions);
    }
    free(g->families);
    kinds_free(g->kinds);
    free(g);
}
