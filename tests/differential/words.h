/* A command as a list of words, and redis-cli's quoting in both directions. */
#ifndef DIFFERENTIAL_WORDS_H
#define DIFFERENTIAL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct word {
    char *bytes; /* owned; a NUL follows that len does not count */
    size_t len;
};

/* All zero is a valid, empty list. */
struct words {
    struct word *at;
    int count;
};

/* Words of one line: separated by spaces; "..." knows \n \r \t \b \a \\ \" and \xHH, '...' knows \' alone. False, and
 * nothing in *out, when a quote is not closed or something stands directly behind a closing one. */
bool words_split(const char *line, struct words *out);
/* The other way: quoted only where it is needed. */
void words_print(FILE *out, const struct words *w);

void words_append(struct words *w, const char *bytes, size_t len); /* copies */
void words_insert(struct words *w, int index, const char *bytes, size_t len);
void words_remove(struct words *w, int index);
void words_replace(struct words *w, int index, const char *bytes, size_t len);
struct words words_copy(const struct words *w);
void words_free(struct words *w);

/* Word number index is there and is this text, in whatever case. */
bool words_have(const struct words *w, int index, const char *text);

#endif
