/* See dialect.h. Server process.
 *
 * LuaJIT's tail calls leave no trace of the caller, even where C is called; those of PUC Lua do then. Scripts like to end
 * with `return redis.call(...)`, and an error there has to say in which line it stands. Parentheses make a tail call a
 * plain one. They also cut what it returns to one value, so only functions that return one are treated so.
 *
 * In a string a backslash before a character that has no meaning with it stands for that character alone: "a\.b" is how
 * many write a pattern. LuaJIT refuses to compile that.
 *
 * The text is read as Lua's lexer reads it, as far as needed to see where strings, comments and parentheses end. */
#include "server/script/dialect.h"

#include "server/base/alloc.h"

#include <ctype.h>

#define DEPTH_MAX 200 /* of parentheses: LuaJIT takes no more */

struct rewriting {
    const uint8_t *at, *end;
    uint8_t *out; /* at most twice as long as the text: the shortest call has more characters than what is put in */
    size_t written;
    const uint8_t *copied; /* the text up to here is written */
    bool wrapped[DEPTH_MAX];
    int depth, line, return_line;
    bool changed, wrap_next;
};

static bool is_name(uint8_t c)
{
    return isalnum(c) || c == '_';
}

static void copy_up_to(struct rewriting *r, const uint8_t *end)
{
    size_t len = (size_t)(end - r->copied);
    memcpy(r->out + r->written, r->copied, len);
    r->written += len;
    r->copied = end;
    r->changed = true;
}

static void put_in(struct rewriting *r, const uint8_t *before, char c)
{
    copy_up_to(r, before);
    r->out[r->written++] = (uint8_t)c;
}

static void leave_out(struct rewriting *r, const uint8_t *at)
{
    copy_up_to(r, at);
    r->copied++;
}

/* --- what is skipped --- */

static void advance(struct rewriting *r)
{
    if (*r->at++ == '\n') r->line++;
}

/* "[==[": the number of its equals signs; -1: it is none. */
static int long_bracket(const struct rewriting *r)
{
    const uint8_t *p = r->at + 1;
    while (p < r->end && *p == '=') p++;
    return p < r->end && *p == '[' ? (int)(p - r->at - 1) : -1;
}

static void skip_long(struct rewriting *r, int level)
{
    r->at += level + 2;
    for (; r->at < r->end; advance(r)) {
        if (*r->at != ']' || r->end - r->at < level + 2) continue;
        int signs = 0;
        while (signs < level && r->at[1 + signs] == '=') signs++;
        if (signs == level && r->at[1 + level] == ']') {
            r->at += level + 2;
            return;
        }
    }
}

/* Behind a backslash; x, z and u are LuaJIT's own. */
static bool has_meaning(uint8_t c)
{
    return isdigit(c) || strchr("abfnrtvxzu\\\"'\n\r", c); /* a zero byte, too: it stays as it is */
}

static void skip_string(struct rewriting *r)
{
    uint8_t quote = *r->at++;
    while (r->at < r->end && *r->at != quote) {
        if (*r->at == '\\' && r->at + 1 < r->end) {
            if (!has_meaning(r->at[1])) leave_out(r, r->at);
            r->at++;
        }
        advance(r);
    }
    if (r->at < r->end) r->at++;
}

static void skip_comment(struct rewriting *r)
{
    r->at += 2;
    int level = r->at < r->end && *r->at == '[' ? long_bracket(r) : -1;
    if (level >= 0) return skip_long(r, level);
    while (r->at < r->end && *r->at != '\n') r->at++;
}

/* --- calls --- */

static bool returns_one_value(struct bytes name)
{
    static const char *const names[] = {
        "tonumber",   "tostring",   "type",         "error",        "table.concat",  "string.format",
        "string.rep", "string.sub", "string.len",   "string.lower", "string.upper",  "math.random",
        "math.floor", "math.ceil",  "cjson.encode", "cjson.decode", "cmsgpack.pack", "struct.pack",
    };
    if (name.len > 6 && memcmp(name.ptr, "redis.", 6) == 0) return true;
    if (name.len > 7 && memcmp(name.ptr, "server.", 7) == 0) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bytes_equal(name, bytes_from_text(names[i]))) return true;
    return false;
}

/* Behind `return`: a name that is called, maybe one of a library's. */
static void look_at_call(struct rewriting *r)
{
    while (r->at < r->end && isspace(*r->at)) advance(r);
    const uint8_t *name = r->at, *p = name;
    while (p < r->end && (is_name(*p) || *p == '.')) p++;
    if (p == name || p == r->end || *p != '(') return;
    if (!returns_one_value(bytes_make(name, (size_t)(p - name)))) return;
    put_in(r, name, '(');
    r->at = p;
    r->wrap_next = true;
}

static void read_word(struct rewriting *r)
{
    const uint8_t *word = r->at;
    while (r->at < r->end && is_name(*r->at)) r->at++;
    if (!bytes_equal(bytes_make(word, (size_t)(r->at - word)), BYTES("return"))) return;
    r->return_line = r->line;
    look_at_call(r);
}

/* false: this is no Lua that compiles. */
static bool read_parenthesis(struct rewriting *r)
{
    if (*r->at++ == '(') {
        if (r->depth == DEPTH_MAX) return false;
        r->wrapped[r->depth++] = r->wrap_next;
        r->wrap_next = false;
        return true;
    }
    if (!r->depth) return false;
    if (r->wrapped[--r->depth]) put_in(r, r->at, ')');
    return true;
}

static bool read_token(struct rewriting *r)
{
    uint8_t c = *r->at;
    if (c == '(' || c == ')') return read_parenthesis(r);
    if (c == '"' || c == '\'')
        skip_string(r);
    else if (c == '-' && r->at + 1 < r->end && r->at[1] == '-')
        skip_comment(r);
    else if (c == '[' && long_bracket(r) >= 0)
        skip_long(r, long_bracket(r));
    else if (is_name(c))
        read_word(r);
    else
        advance(r);
    return true;
}

struct bytes script_translate(struct bytes text, int first_line, int *return_line)
{
    struct rewriting r = {
        .at = text.ptr, .end = text.ptr + text.len, .copied = text.ptr, .line = first_line, .return_line = first_line};
    r.out = mem_alloc(text.len * 2 + 1);
    bool is_lua = true;
    while (is_lua && r.at < r.end) is_lua = read_token(&r);
    *return_line = r.return_line;
    if (!is_lua || r.depth || !r.changed) {
        mem_free(r.out);
        return (struct bytes){0};
    }
    size_t rest = (size_t)(r.end - r.copied);
    memcpy(r.out + r.written, r.copied, rest);
    return bytes_make(r.out, r.written + rest);
}
