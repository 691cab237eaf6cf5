/* Text of the configuration: building it, quoting it, and taking a line apart again. Pure. Server process. */
#include "server/core/config/config_text.h"

#include "server/base/alloc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

static char *reserve(struct config_text *t, size_t more)
{
    if (t->len + more + 1 > t->capacity) {
        t->capacity = (t->len + more + 1) * 2;
        t->ptr = mem_realloc(t->ptr, t->capacity);
    }
    return t->ptr + t->len;
}

void config_text_add(struct config_text *t, struct bytes part)
{
    char *end = reserve(t, part.len);
    if (part.len) memcpy(end, part.ptr, part.len);
    t->len += part.len;
    t->ptr[t->len] = 0;
}

void config_text_printf(struct config_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *end = reserve(t, (size_t)len);
    va_start(args, format);
    vsnprintf(end, (size_t)len + 1, format, args);
    va_end(args);
    t->len += (size_t)len;
}

static void add_escaped(struct config_text *t, uint8_t c)
{
    static const char plain[] = "\n\r\t\a\b", letters[] = "nrtab";
    const char *special = c ? strchr(plain, c) : NULL;
    if (c == '"' || c == '\\')
        config_text_printf(t, "\\%c", c);
    else if (special)
        config_text_printf(t, "\\%c", letters[special - plain]);
    else if (c >= 0x20 && c < 0x7f)
        config_text_add(t, bytes_make(&c, 1));
    else
        config_text_printf(t, "\\x%02x", c);
}

void config_text_quoted(struct config_text *t, struct bytes part)
{
    config_text_add(t, BYTES("\""));
    for (size_t i = 0; i < part.len; i++) add_escaped(t, part.ptr[i]);
    config_text_add(t, BYTES("\""));
}

void config_text_word(struct config_text *t, struct bytes part)
{
    bool plain = part.len > 0;
    for (size_t i = 0; i < part.len; i++) plain &= isgraph(part.ptr[i]) && !strchr("\"'\\", part.ptr[i]);
    if (plain)
        config_text_add(t, part);
    else
        config_text_quoted(t, part);
}

void config_text_size(struct config_text *t, uint64_t bytes)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"gb", 30}, {"mb", 20}, {"kb", 10}, {"", 0}};
    size_t i = bytes ? 0 : 3;
    while (bytes & ((1ull << units[i].shift) - 1)) i++;
    config_text_printf(t, "%llu%s", (unsigned long long)(bytes >> units[i].shift), units[i].unit);
}

void config_text_clear(struct config_text *t)
{
    t->len = 0;
    if (t->ptr) *t->ptr = 0;
}

void config_text_free(struct config_text *t)
{
    mem_free(t->ptr);
    *t = (struct config_text){0};
}

struct bytes config_text_bytes(const struct config_text *t)
{
    return t->ptr ? bytes_make(t->ptr, t->len) : BYTES("");
}

/* --- words --- */

struct splitter {
    struct bytes line;
    size_t at;
    uint8_t *out; /* where the next unescaped byte goes */
};

static int hex_digit(uint8_t c)
{
    return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

static void unescape(struct splitter *s)
{
    const uint8_t *p = s->line.ptr + s->at; /* at the backslash; one byte follows */
    size_t left = s->line.len - s->at;
    if (left >= 4 && p[1] == 'x' && isxdigit(p[2]) && isxdigit(p[3])) {
        *s->out++ = (uint8_t)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
        s->at += 4;
        return;
    }
    static const char letters[] = "nrtba", meaning[] = "\n\r\t\b\a";
    const char *letter = p[1] ? strchr(letters, p[1]) : NULL;
    *s->out++ = letter ? (uint8_t)meaning[letter - letters] : p[1];
    s->at += 2;
}

/* From behind the opening quote to behind the closing one, which must end the word. */
static bool quoted_part(struct splitter *s, uint8_t quote)
{
    while (s->at < s->line.len && s->line.ptr[s->at] != quote) {
        bool escape = s->line.ptr[s->at] == '\\' && s->at + 1 < s->line.len;
        if (escape && quote == '"') {
            unescape(s);
        } else {
            if (escape && s->line.ptr[s->at + 1] == '\'') s->at++;
            *s->out++ = s->line.ptr[s->at++];
        }
    }
    if (s->at == s->line.len) return false;
    s->at++;
    return s->at == s->line.len || isspace(s->line.ptr[s->at]);
}

static bool next_word(struct splitter *s, struct bytes *word)
{
    uint8_t *start = s->out;
    while (s->at < s->line.len && !isspace(s->line.ptr[s->at])) {
        uint8_t c = s->line.ptr[s->at++];
        if (c != '"' && c != '\'')
            *s->out++ = c;
        else if (!quoted_part(s, c))
            return false;
    }
    *word = bytes_make(start, (size_t)(s->out - start));
    return true;
}

bool config_split_words(struct bytes line, struct config_words *out)
{
    /* Unescaping never grows a word, and words are at least a blank apart. */
    out->count = 0;
    out->storage = mem_alloc(line.len + 1);
    out->word = mem_alloc((line.len / 2 + 1) * sizeof *out->word);
    struct splitter s = {line, 0, out->storage};
    for (;;) {
        while (s.at < line.len && isspace(line.ptr[s.at])) s.at++;
        if (s.at == line.len) return true;
        if (!next_word(&s, &out->word[out->count])) {
            config_words_free(out);
            return false;
        }
        out->count++;
    }
}

void config_words_free(struct config_words *words)
{
    mem_free(words->word);
    mem_free(words->storage);
    *words = (struct config_words){0};
}
