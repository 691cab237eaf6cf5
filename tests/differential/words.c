/* A command's words, quoted and taken out of quotes as redis-cli does it. */
#include "tests/differential/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void words_insert(struct words *w, int index, const char *bytes, size_t len)
{
    w->at = realloc(w->at, (w->count + 1) * sizeof *w->at);
    memmove(w->at + index + 1, w->at + index, (w->count - index) * sizeof *w->at);
    w->count++;
    char *copy = malloc(len + 1);
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    w->at[index] = (struct word){copy, len};
}

void words_append(struct words *w, const char *bytes, size_t len)
{
    words_insert(w, w->count, bytes, len);
}

void words_remove(struct words *w, int index)
{
    free(w->at[index].bytes);
    w->count--;
    memmove(w->at + index, w->at + index + 1, (w->count - index) * sizeof *w->at);
}

void words_replace(struct words *w, int index, const char *bytes, size_t len)
{
    words_insert(w, index, bytes, len);
    words_remove(w, index + 1);
}

struct words words_copy(const struct words *w)
{
    struct words copy = {0};
    for (int i = 0; i < w->count; i++) words_append(&copy, w->at[i].bytes, w->at[i].len);
    return copy;
}

void words_free(struct words *w)
{
    for (int i = 0; i < w->count; i++) free(w->at[i].bytes);
    free(w->at);
    *w = (struct words){0};
}

bool words_have(const struct words *w, int index, const char *text)
{
    return index < w->count && strlen(text) == w->at[index].len && strcasecmp(w->at[index].bytes, text) == 0;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static const char letters_of_escapes[] = "nrtba", escaped[] = "\n\r\t\b\a";

/* The byte behind a backslash; *at moves past what was read. */
static char read_escape(const char **at)
{
    const char *s = *at;
    if (s[0] == 'x' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
        *at += 3;
        return (char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
    }
    *at += 1;
    const char *letter = strchr(letters_of_escapes, s[0]);
    return letter ? escaped[letter - letters_of_escapes] : s[0];
}

/* One word's bytes into *out; NULL: malformed. */
static const char *read_word(const char *s, FILE *out)
{
    char quote = *s == '"' || *s == '\'' ? *s : '\0';
    if (!quote) {
        while (*s && !isspace((unsigned char)*s)) fputc(*s++, out);
        return s;
    }
    for (s++; *s != quote;) {
        if (*s == '\\' && (quote == '"' ? s[1] != '\0' : s[1] == '\'')) {
            s++;
            fputc(quote == '"' ? read_escape(&s) : *s++, out);
        } else if (*s) {
            fputc(*s++, out);
        } else {
            return NULL;
        }
    }
    s++;
    return *s && !isspace((unsigned char)*s) ? NULL : s;
}

bool words_split(const char *line, struct words *out)
{
    *out = (struct words){0};
    for (const char *s = line;;) {
        while (isspace((unsigned char)*s)) s++;
        if (!*s) return true;
        char *bytes;
        size_t len;
        FILE *word = open_memstream(&bytes, &len);
        s = read_word(s, word);
        fclose(word);
        if (s) words_append(out, bytes, len);
        free(bytes);
        if (!s) {
            words_free(out);
            return false;
        }
    }
}

static bool is_plain(const struct word *w)
{
    for (size_t i = 0; i < w->len; i++)
        if (!isgraph((unsigned char)w->bytes[i]) || strchr("\"'\\", w->bytes[i])) return false;
    return w->len > 0;
}

static void print_word(FILE *out, const struct word *w)
{
    if (is_plain(w)) {
        fputs(w->bytes, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < w->len; i++) {
        unsigned char c = w->bytes[i];
        const char *known = c ? strchr(escaped, c) : NULL;
        if (known)
            fprintf(out, "\\%c", letters_of_escapes[known - escaped]);
        else if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (isprint(c))
            fputc(c, out);
        else
            fprintf(out, "\\x%02x", c);
    }
    fputc('"', out);
}

void words_print(FILE *out, const struct words *w)
{
    for (int i = 0; i < w->count; i++) {
        if (i) fputc(' ', out);
        print_word(out, &w->at[i]);
    }
}
