/* A growing piece of text: users as lines, messages of the ACL file. Any process. */
#ifndef SLIPSTREAM_ACL_TEXT_H
#define SLIPSTREAM_ACL_TEXT_H

#include "server/base/bytes.h"

struct acl_text {
    uint8_t *ptr; /* NULL until something was added */
    size_t len, capacity;
};

void acl_text_add(struct acl_text *t, struct bytes part);
void acl_text_addf(struct acl_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The part behind a blank; the first one without. */
void acl_text_add_word(struct acl_text *t, struct bytes part);
void acl_text_clear(struct acl_text *t); /* empty, memory kept */
void acl_text_free(struct acl_text *t);

static inline struct bytes acl_text_bytes(const struct acl_text *t)
{
    return bytes_make(t->len ? (const void *)t->ptr : "", t->len);
}

#endif
