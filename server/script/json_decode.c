/* JSON to Lua values. Server process.
 *
 * One token is read at a time; an error names what was expected, what stands there and at which character, in
 * lua-cjson's words. The text ends at its first zero byte outside of an escape. */
#include "server/script/json.h"
#include "server/script/watchdog.h"

#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include <lauxlib.h>

#define STACK_EACH_OBJECT 3
#define STACK_EACH_ARRAY  2
#define WHOLE_DIGITS_MAX  15 /* so many are exact in a double */

enum token_kind {
    T_OBJ_BEGIN,
    T_OBJ_END,
    T_ARR_BEGIN,
    T_ARR_END,
    T_STRING,
    T_NUMBER,
    T_BOOLEAN,
    T_NULL,
    T_COLON,
    T_COMMA,
    T_END,
    T_ERROR,
};

static const char *const token_names[] = {
    "T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END", "T_STRING", "T_NUMBER",
    "T_BOOLEAN",   "T_NULL",    "T_COLON",     "T_COMMA",   "T_END",
};

struct token {
    enum token_kind kind;
    const char *at;   /* where it begins, or where the fault is */
    const char *text; /* of a string, its bytes; of an error, what is wrong */
    size_t len;
    double number;
    bool boolean;
};

struct decoding {
    lua_State *lua;
    struct json_state *state;
    const char *text; /* the whole */
    const char *at;   /* the rest */
    int depth;
    uint32_t values; /* so many have been read */
};

static void read_value(struct decoding *d, struct token *token);

static void fail(const struct decoding *d, const char *expected, const struct token *token)
{
    const char *found = token->kind == T_ERROR ? token->text : token_names[token->kind];
    luaL_error(d->lua, "Expected %s but found %s at character %d", expected, found, (int)(token->at - d->text + 1));
}

static void bad_token(struct token *token, const char *at, const char *what)
{
    token->kind = T_ERROR;
    token->at = at;
    token->text = what;
}

/* --- strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four digits; -1 where they are not. A zero byte is none, so nothing past the end is looked at. */
static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t utf8(char out[4], int code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* A \uXXXX, or the two that make one code point past 0xffff (RFC 8259, 7). Its length in the text,
 * 0 where it is none. */
static size_t unicode_escape(const char *at, int *code)
{
    *code = hex4(at + 2);
    if (*code < 0) return 0;
    if ((*code & 0xf800) != 0xd800) return 6;
    if ((*code & 0x400) || at[6] != '\\' || at[7] != 'u') return 0;
    int low = hex4(at + 8);
    if (low < 0 || (low & 0xfc00) != 0xdc00) return 0;
    *code = (((*code & 0x3ff) << 10) | (low & 0x3ff)) + 0x10000;
    return 12;
}

static char plain_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 't': return '\t';
    case 'n': return '\n';
    case 'f': return '\f';
    case 'r': return '\r';
    default: return 0;
    }
}

/* An escape at d->at goes into the buffer. 0, or -1 with the token an error. */
static int read_escape(struct decoding *d, struct token *token)
{
    if (d->at[1] == 'u') {
        int code;
        char bytes[4];
        size_t len = unicode_escape(d->at, &code);
        if (!len) {
            bad_token(token, d->at, "invalid unicode escape code");
            return -1;
        }
        text_buffer_put(d->lua, &d->state->buffer, bytes, utf8(bytes, code));
        d->at += len;
        return 0;
    }
    char byte = plain_escape(d->at[1]);
    if (!byte) {
        bad_token(token, d->at, "invalid escape code");
        return -1;
    }
    text_buffer_put_byte(d->lua, &d->state->buffer, byte);
    d->at += 2;
    return 0;
}

static const char *run_end(const char *at)
{
    while (*at && *at != '"' && *at != '\\') at++;
    return at;
}

static void read_string(struct decoding *d, struct token *token)
{
    struct text_buffer *buffer = &d->state->buffer;
    const char *from = ++d->at;
    token->kind = T_STRING;
    d->at = run_end(from);
    token->text = from;
    token->len = (size_t)(d->at - from);
    if (*d->at == '\\') {
        buffer->len = 0;
        while (*d->at && *d->at != '"') {
            text_buffer_put(d->lua, buffer, from, (size_t)(d->at - from));
            if (read_escape(d, token)) return;
            from = d->at;
            d->at = run_end(from);
        }
        text_buffer_put(d->lua, buffer, from, (size_t)(d->at - from));
        token->text = buffer->bytes;
        token->len = buffer->len;
    }
    if (!*d->at)
        bad_token(token, d->at, "unexpected end of string");
    else
        d->at++;
}

/* --- numbers ---- */

/* What strtod takes and JSON does not: a plus sign, leading zeros, hexadecimal, infinity, NaN. */
static bool number_is_invalid(const char *at)
{
    if (*at == '+') return true;
    if (*at == '-') at++;
    if (*at == '0') return at[1] == 'x' || at[1] == 'X' || (at[1] >= '0' && at[1] <= '9');
    if (*at <= '9') return false;
    return !strncasecmp(at, "inf", 3) || !strncasecmp(at, "nan", 3);
}

/* A whole number of few digits, which most are. NULL: strtod is to look. */
static const char *whole_number(const char *at, double *number)
{
    bool negative = *at == '-';
    if (negative) at++;
    const char *digits = at;
    int64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (at - digits == WHOLE_DIGITS_MAX) return NULL;
        value = value * 10 + (*at - '0');
    }
    if (at == digits || *at == '.' || (*at | 0x20) == 'e' || (*at | 0x20) == 'x') return NULL;
    *number = negative ? -(double)value : (double)value;
    return at;
}

static void read_number(struct decoding *d, struct token *token)
{
    const char *end = whole_number(d->at, &token->number);
    if (!end) {
        char *stopped;
        token->number = strtod(d->at, &stopped);
        end = stopped;
    }
    token->kind = T_NUMBER;
    if (end == d->at)
        bad_token(token, d->at, "invalid number");
    else
        d->at = end;
}

/* --- tokens ---- */

static bool read_word(struct decoding *d, struct token *token)
{
    static const struct {
        const char *word;
        size_t len;
        enum token_kind kind;
        bool boolean;
    } words[] = {{"true", 4, T_BOOLEAN, true}, {"false", 5, T_BOOLEAN, false}, {"null", 4, T_NULL, false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strncmp(d->at, words[i].word, words[i].len) != 0) continue;
        token->kind = words[i].kind;
        token->boolean = words[i].boolean;
        d->at += words[i].len;
        return true;
    }
    return false;
}

static void read_longer_token(struct decoding *d, struct token *token)
{
    char first = *d->at;
    bool invalid_allowed = d->state->decode_invalid;
    if (first == '"') {
        read_string(d, token);
    } else if (first == '-' || (first >= '0' && first <= '9')) {
        if (!invalid_allowed && number_is_invalid(d->at))
            bad_token(token, d->at, "invalid number");
        else
            read_number(d, token);
    } else if (!read_word(d, token)) {
        if (invalid_allowed && number_is_invalid(d->at))
            read_number(d, token);
        else
            bad_token(token, d->at, "invalid token");
    }
}

static void next_token(struct decoding *d, struct token *token)
{
    while (*d->at == ' ' || *d->at == '\n' || *d->at == '\t' || *d->at == '\r') d->at++;
    token->at = d->at;
    switch (*d->at) {
    case '{': token->kind = T_OBJ_BEGIN; break;
    case '}': token->kind = T_OBJ_END; break;
    case '[': token->kind = T_ARR_BEGIN; break;
    case ']': token->kind = T_ARR_END; break;
    case ':': token->kind = T_COLON; break;
    case ',': token->kind = T_COMMA; break;
    case 0: token->kind = T_END; return;
    default: read_longer_token(d, token); return;
    }
    d->at++;
}

/* --- values ---- */

static void descend(struct decoding *d, int slots)
{
    d->depth++;
    if (d->depth > d->state->decode_max_depth || !lua_checkstack(d->lua, slots))
        luaL_error(d->lua, "Found too many nested data structures (%d) at character %d", d->depth,
                   (int)(d->at - d->text));
}

/* From its key on, into the table on top. */
static void read_member(struct decoding *d, struct token *token)
{
    lua_pushlstring(d->lua, token->text, token->len);
    next_token(d, token);
    if (token->kind != T_COLON) fail(d, "colon", token);
    next_token(d, token);
    read_value(d, token);
    lua_rawset(d->lua, -3);
}

static void read_object(struct decoding *d)
{
    struct token token;
    descend(d, STACK_EACH_OBJECT);
    lua_newtable(d->lua);
    next_token(d, &token);
    while (token.kind != T_OBJ_END) {
        if (token.kind != T_STRING) fail(d, "object key string", &token);
        read_member(d, &token);
        next_token(d, &token);
        if (token.kind == T_OBJ_END) break;
        if (token.kind != T_COMMA) fail(d, "comma or object end", &token);
        next_token(d, &token);
        if (token.kind != T_STRING) fail(d, "object key string", &token);
    }
    d->depth--;
}

static void read_array(struct decoding *d)
{
    struct token token;
    descend(d, STACK_EACH_ARRAY);
    lua_newtable(d->lua);
    if (d->state->mark_arrays) {
        json_push_array_mark(d->lua);
        lua_setmetatable(d->lua, -2);
    }
    next_token(d, &token);
    if (token.kind != T_ARR_END) {
        for (int i = 1;; i++) {
            read_value(d, &token);
            lua_rawseti(d->lua, -2, i);
            next_token(d, &token);
            if (token.kind == T_ARR_END) break;
            if (token.kind != T_COMMA) fail(d, "comma or array end", &token);
            next_token(d, &token);
        }
    }
    d->depth--;
}

static void read_value(struct decoding *d, struct token *token)
{
    script_watchdog_poll_sometimes(d->lua, &d->values);
    switch (token->kind) {
    case T_STRING: lua_pushlstring(d->lua, token->text, token->len); break;
    case T_NUMBER: lua_pushnumber(d->lua, token->number); break;
    case T_BOOLEAN: lua_pushboolean(d->lua, token->boolean); break;
    case T_NULL: lua_pushlightuserdata(d->lua, NULL); break;
    case T_OBJ_BEGIN: read_object(d); break;
    case T_ARR_BEGIN: read_array(d); break;
    default: fail(d, "value", token);
    }
}

void json_decode(lua_State *lua, struct json_state *state, const char *text)
{
    struct decoding d = {.lua = lua, .state = state, .text = text, .at = text};
    struct token token;
    next_token(&d, &token);
    read_value(&d, &token);
    next_token(&d, &token);
    if (token.kind != T_END) fail(&d, "the end", &token);
    state->buffer.len = 0;
}
