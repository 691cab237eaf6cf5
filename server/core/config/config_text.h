/* A growing piece of text: what a directive's value is formatted into, and a rewritten file. */
#ifndef SLIPSTREAM_CORE_CONFIG_CONFIG_TEXT_H
#define SLIPSTREAM_CORE_CONFIG_CONFIG_TEXT_H

#include "server/base/bytes.h"
#include "server/base/words.h"

struct config_text {
    char *ptr; /* zero-terminated once anything was added; NULL before */
    size_t len, capacity;
};

void config_text_add(struct config_text *t, struct bytes part);
void config_text_printf(struct config_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In double quotes, with \n \r \t \a \b \xHH escapes: what words_split reads back. */
void config_text_quoted(struct config_text *t, struct bytes part);
void config_text_word(struct config_text *t, struct bytes part); /* quoted only if it must be to stay one word */
void config_text_size(struct config_text *t, uint64_t bytes);    /* "64mb": in the largest unit that is exact */
void config_text_clear(struct config_text *t);                   /* empty, memory kept */
void config_text_free(struct config_text *t);
struct bytes config_text_bytes(const struct config_text *t);

#endif
