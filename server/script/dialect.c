/* See dialect.h. Server process.
 *
 * LuaJIT's tail calls leave no trace of the caller, even where C is called; those of PUC Lua do then. Scripts like to
 * end with `return redis.call(...)`, and an error there has to say in which line it stands. Parentheses make a tail
 * call a plain one. They also cut what it returns to one value, so only functions that return one are treated so.
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
    /* where names are bound */
    uint32_t *uses;    /* enum script_use */
    uint8_t before[2]; /* the last two characters that are neither blanks nor in comments */
    bool has_functions, unclear;
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

static bool starts_with(struct bytes name, const char *text)
{
    size_t len = strlen(text);
    return name.len > len && memcmp(name.ptr, text, len) == 0;
}

static bool returns_one_value(struct bytes name)
{
    static const char *const libraries[] = {"redis.", "server.", "bit.", "cjson."};
    static const char *const names[] = {
        "tonumber",     "tostring",     "type",          "error",        "rawget",      "rawset",         "rawequal",
        "getmetatable", "setmetatable", "table.concat",  "table.getn",   "table.maxn",  "string.format",  "string.rep",
        "string.sub",   "string.len",   "string.lower",  "string.upper", "string.char", "string.reverse", "math.abs",
        "math.ceil",    "math.floor",   "math.fmod",     "math.log",     "math.max",    "math.min",       "math.pow",
        "math.random",  "math.sqrt",    "cmsgpack.pack", "struct.pack",  "struct.size",
    };
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (starts_with(name, libraries[i])) return true;
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

static void bind_word(struct rewriting *r, const uint8_t *word);

static void read_word(struct rewriting *r)
{
    const uint8_t *word = r->at;
    while (r->at < r->end && is_name(*r->at)) r->at++;
    if (r->uses) return bind_word(r, word);
    if (!bytes_equal(bytes_make(word, (size_t)(r->at - word)), BYTES("return"))) return;
    r->return_line = r->line;
    look_at_call(r);
}

/* --- names that are bound --- */

/* Two dots put texts together. */
static bool is_field(const struct rewriting *r)
{
    return r->before[1] == ':' || (r->before[1] == '.' && r->before[0] != '.');
}

/* Behind `redis`: one of its two functions that is called here. Any other use than of a field may be one of a variable
 * of the script's own by that name. */
static void bind_redis(struct rewriting *r)
{
    static const struct {
        const char *text;
        uint32_t use;
    } functions[] = {{".call(", SCRIPT_USES_CALL}, {".pcall(", SCRIPT_USES_PCALL}};
    size_t left = (size_t)(r->end - r->at);
    if (!left || *r->at != '.' || is_field(r)) {
        r->unclear = true;
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        size_t len = strlen(functions[i].text);
        if (left < len || memcmp(r->at, functions[i].text, len) != 0) continue;
        leave_out(r, r->at);
        r->out[r->written++] = '_';
        r->at += len - 1;
        *r->uses |= functions[i].use;
        return;
    }
    r->at++; /* its field is no word of its own */
    while (r->at < r->end && is_name(*r->at)) r->at++;
    *r->uses |= SCRIPT_USES_REDIS;
}

/* The end of "[...]" where nothing but a plain expression stands in it; NULL: not so plain. */
static const uint8_t *plain_index_end(const uint8_t *at, const uint8_t *end)
{
    int depth = 0;
    for (; at < end; at++) {
        if (*at == '[') depth++;
        if (*at == ']' && --depth == 0) return at + 1;
        bool comment = *at == '-' && end - at > 1 && at[1] == '-';
        if (comment || !*at || (!is_name(*at) && !strchr("[]#+-* ()", *at))) return NULL;
    }
    return NULL;
}

/* Behind KEYS or ARGV: whether an element is read. A list of values looks like one of variables that are assigned to;
 * inside parentheses it is one as long as there is no function's body. */
static bool reads_element(const struct rewriting *r)
{
    const uint8_t *at = r->at < r->end && *r->at == '[' ? plain_index_end(r->at, r->end) : NULL;
    if (!at) return false;
    while (at < r->end && isspace(*at)) at++;
    if (at == r->end) return true;
    if (*at == '=') return at + 1 < r->end && at[1] == '=';
    if (*at == ',') return r->depth && !r->has_functions;
    return *at != '-'; /* maybe of a comment, behind which anything may stand */
}

static void bind_list(struct rewriting *r, uint32_t use, uint32_t changed)
{
    *r->uses |= use;
    bool counted = r->before[1] == '#' && (r->at == r->end || *r->at != '[');
    if (is_field(r) || !(counted || reads_element(r))) *r->uses |= changed;
}

static void bind_word(struct rewriting *r, const uint8_t *word)
{
    struct bytes name = bytes_make(word, (size_t)(r->at - word));
    if (bytes_equal(name, BYTES("redis")))
        bind_redis(r);
    else if (bytes_equal(name, BYTES("KEYS")))
        bind_list(r, SCRIPT_USES_KEYS, SCRIPT_KEEPS_KEYS);
    else if (bytes_equal(name, BYTES("ARGV")))
        bind_list(r, SCRIPT_USES_ARGV, SCRIPT_KEEPS_ARGV);
    else if (bytes_equal(name, BYTES("redis_call")) || bytes_equal(name, BYTES("redis_pcall")))
        r->unclear = true;
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
    if (c == '-' && r->at + 1 < r->end && r->at[1] == '-') {
        skip_comment(r);
        return true;
    }
    bool is_lua = true;
    if (c == '(' || c == ')')
        is_lua = read_parenthesis(r);
    else if (c == '"' || c == '\'')
        skip_string(r);
    else if (c == '[' && long_bracket(r) >= 0)
        skip_long(r, long_bracket(r));
    else if (is_name(c))
        read_word(r);
    else
        advance(r);
    if (isspace(c)) return true;
    r->before[0] = r->before[1];
    r->before[1] = c;
    return is_lua;
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

bool script_may_have_locals(struct bytes text)
{
    static const char word[] = "function", name[] = "redis";
    const uint8_t *end = text.ptr + text.len, *at = text.ptr;
    if (memmem(text.ptr, text.len, "...", 3)) return false;
    while ((at = memmem(at, (size_t)(end - at), word, sizeof word - 1))) {
        const uint8_t *behind = at += sizeof word - 1;
        while (at < end && isspace(*at)) at++;
        size_t left = (size_t)(end - at);
        bool commented = left >= 2 && memcmp(at, "--", 2) == 0; /* and anything may follow that */
        bool named = at > behind && left >= sizeof name - 1 && memcmp(at, name, sizeof name - 1) == 0;
        if (commented || named) return false;
    }
    return true;
}

struct bytes script_bind_names(struct bytes text, uint32_t *uses)
{
    struct rewriting r = {.at = text.ptr, .end = text.ptr + text.len, .copied = text.ptr, .uses = uses};
    *uses = 0;
    r.has_functions = memmem(text.ptr, text.len, "function", 8) != NULL;
    r.out = mem_alloc(text.len + 1);
    bool is_lua = true;
    while (is_lua && !r.unclear && r.at < r.end) is_lua = read_token(&r);
    if (!is_lua || r.depth || r.unclear) {
        mem_free(r.out);
        return (struct bytes){0};
    }
    copy_up_to(&r, r.end);
    return bytes_make(r.out, r.written);
}
