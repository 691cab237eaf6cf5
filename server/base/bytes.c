/* Slices: what is too long to be inline. Any process.
 *
 * Case is folded for ASCII alone: command and option names are ASCII, and a locale must not change what matches. */
#include "server/base/bytes.h"

#include "server/base/alloc.h"

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order) return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool bytes_equal_text(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_from_text(text));
}

bool bytes_equal_nocase(struct bytes a, const char *text)
{
    for (size_t i = 0; i < a.len; i++) {
        if (!text[i] || byte_lower(a.ptr[i]) != byte_lower((uint8_t)text[i])) return false;
    }
    return !text[a.len];
}

struct bytes bytes_take_word(struct bytes *text)
{
    const uint8_t *blank = text->len ? memchr(text->ptr, ' ', text->len) : NULL;
    struct bytes word = bytes_make(text->ptr, blank ? (size_t)(blank - text->ptr) : text->len);
    size_t taken = word.len + (blank != NULL);
    *text = bytes_make(text->ptr + taken, text->len - taken);
    return word;
}

char *bytes_to_text(struct bytes a)
{
    char *text = mem_alloc(a.len + 1);
    if (a.len) memcpy(text, a.ptr, a.len);
    text[a.len] = 0;
    return text;
}
