/* See text.h. Any process. */
#include "server/acl/text.h"

#include "server/base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

static uint8_t *reserve(struct acl_text *t, size_t more)
{
    if (t->capacity - t->len < more) {
        t->capacity = (t->len + more) * 2;
        t->ptr = mem_realloc(t->ptr, t->capacity);
    }
    return t->ptr + t->len;
}

void acl_text_add(struct acl_text *t, struct bytes part)
{
    if (!part.len) return;
    memcpy(reserve(t, part.len), part.ptr, part.len);
    t->len += part.len;
}

void acl_text_addf(struct acl_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    va_start(args, format);
    vsnprintf((char *)reserve(t, (size_t)len + 1), (size_t)len + 1, format, args);
    va_end(args);
    t->len += (size_t)len;
}

void acl_text_add_word(struct acl_text *t, struct bytes part)
{
    if (t->len) acl_text_add(t, BYTES(" "));
    acl_text_add(t, part);
}

void acl_text_clear(struct acl_text *t)
{
    t->len = 0;
}

void acl_text_free(struct acl_text *t)
{
    mem_free(t->ptr);
    *t = (struct acl_text){0};
}
