/* See words.h. Pure. Any process. */
#include "server/base/words.h"

#include "server/base/alloc.h"

#include <ctype.h>

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

bool words_split(struct bytes line, struct words *out)
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
            words_free(out);
            return false;
        }
        out->count++;
    }
}

void words_free(struct words *words)
{
    mem_free(words->word);
    mem_free(words->storage);
    *words = (struct words){0};
}
