/* A document's arguments, read: one pass by recursive descent, into nodes that the caller brings. Server process. */
#include "server/commands/docs/arguments.h"

#include "server/base/check.h"

struct text {
    const char *at;
    struct arguments *into;
};

static struct argument *read_sequence(struct text *t, char separator, char end);

static bool take(struct text *t, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(t->at, word, len) != 0) return false;
    t->at += len;
    return true;
}

/* Up to a byte of `stops`, or the end. */
static struct bytes take_until(struct text *t, const char *stops)
{
    const char *from = t->at;
    t->at += strcspn(t->at, stops);
    return bytes_make(from, (size_t)(t->at - from));
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* An upper-case word: a token, and the argument's own name behind it unless it stands alone. */
static void read_token(struct text *t, struct argument *a)
{
    a->token = take_until(t, " .@!|]>}");
    if (take(t, "... ")) {
        a->multiple = a->multiple_token = true;
    } else if (t->at[0] == ' ' && is_lower(t->at[1])) {
        t->at++;
    } else {
        a->type = ARGUMENT_PURE_TOKEN;
        return;
    }
    a->name = take_until(t, " =<{(.@!|]>}");
}

static void read_type(struct text *t, struct argument *a)
{
    static const struct {
        const char *name;
        enum argument_type type;
    } types[] = {{"string", ARGUMENT_STRING}, {"integer", ARGUMENT_INTEGER},     {"double", ARGUMENT_DOUBLE},
                 {"key", ARGUMENT_KEY},       {"unix-time", ARGUMENT_UNIX_TIME}, {"pattern", ARGUMENT_PATTERN},
                 {NULL, ARGUMENT_STRING}};
    size_t i = 0;
    while (types[i].name && !take(t, types[i].name)) i++;
    CHECK(types[i].name);
    a->type = types[i].type;
    if (a->type == ARGUMENT_KEY) a->key_spec = 0;
    if (*t->at != ')') a->key_spec = *t->at++ - '0';
    CHECK(take(t, ")"));
}

static void read_value(struct text *t, struct argument *a)
{
    if (a->type == ARGUMENT_PURE_TOKEN) return;
    if (take(t, "=")) {
        if (!is_lower(*t->at)) {
            a->type = ARGUMENT_PURE_TOKEN;
            a->token = take_until(t, " .@!|]>}");
            return;
        }
        a->shown = take_until(t, " (.@!|]>}");
    }
    if (take(t, "<")) {
        a->type = ARGUMENT_ONEOF;
        a->parts = read_sequence(t, '|', '>');
    } else if (take(t, "{")) {
        a->type = ARGUMENT_BLOCK;
        a->parts = read_sequence(t, ' ', '}');
    } else if (take(t, "(")) {
        read_type(t, a);
    } else if (bytes_equal_text(a->name, "key")) {
        a->type = ARGUMENT_KEY;
        a->key_spec = 0;
    }
}

static struct argument *read_argument(struct text *t)
{
    CHECK(t->into->used < ARGUMENTS_MAX);
    struct argument *a = &t->into->all[t->into->used++];
    *a = (struct argument){.type = ARGUMENT_STRING, .key_spec = -1};
    a->optional = take(t, "[");
    if (is_lower(*t->at))
        a->name = take_until(t, " =<{(.@!|]>}");
    else
        read_token(t, a);
    read_value(t, a);
    if (take(t, "...")) a->multiple = true;
    if (take(t, "@")) a->since = take_until(t, " !|]>}");
    if (take(t, "!")) a->deprecated_since = take_until(t, " |]>}");
    CHECK(!a->optional || take(t, "]"));
    return a;
}

static struct argument *read_sequence(struct text *t, char separator, char end)
{
    struct argument *first = read_argument(t), *last = first;
    while (*t->at == separator) {
        t->at++;
        last = last->next = read_argument(t);
    }
    CHECK(*t->at == end);
    if (end) t->at++;
    return first;
}

void arguments_read(struct arguments *arguments, const char *text)
{
    arguments->used = 0;
    struct text t = {text, arguments};
    arguments->first = read_sequence(&t, ' ', '\0');
}

size_t arguments_count(const struct argument *first)
{
    size_t count = 0;
    for (; first; first = first->next) count++;
    return count;
}
