/* Text of the configuration: building it and quoting it. Pure. Server process. */
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
