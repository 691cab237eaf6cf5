/* One RESP reply, measured in a stream of bytes and read into a tree. */
#include "tests/differential/reply.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

static const char line_types[] = "+-:_#,(", bulk_types[] = "$!=", aggregate_types[] = "*~>%";

static bool one_of(const char *types, char type)
{
    return type && strchr(types, type);
}

bool reply_is_aggregate(const struct reply *r)
{
    return one_of(aggregate_types, r->type) && !r->null;
}

bool reply_is_error(const struct reply *r)
{
    return r->type == '-' || r->type == '!';
}

static ptrdiff_t extent_at_depth(const char *bytes, size_t len, int depth)
{
    const char *end = memchr(bytes, '\n', len);
    if (!end) return 0;
    ptrdiff_t head = end - bytes + 1;
    if (head < 3 || end[-1] != '\r' || depth > DEPTH_MAX) return -1;
    if (one_of(line_types, bytes[0])) return head;
    long long announced = strtoll(bytes + 1, NULL, 10);
    if (announced < -1) return -1;
    if (announced == -1) return head;
    if (one_of(bulk_types, bytes[0])) return len - head < (size_t)announced + 2 ? 0 : head + announced + 2;
    if (!one_of(aggregate_types, bytes[0])) return -1;
    ptrdiff_t total = head;
    for (long long i = bytes[0] == '%' ? announced * 2 : announced; i > 0; i--) {
        ptrdiff_t part = extent_at_depth(bytes + total, len - total, depth + 1);
        if (part <= 0) return part;
        total += part;
    }
    return total;
}

ptrdiff_t reply_extent(const char *bytes, size_t len)
{
    return extent_at_depth(bytes, len, 0);
}

/* Moves *at past the reply. */
static struct reply read_at(const char **at, const char *end)
{
    const char *head = *at, *line_end = memchr(head, '\n', end - head);
    struct reply r = {.type = head[0], .text = head + 1, .len = line_end - head - 2};
    *at = line_end + 1;
    if (r.type == '_') r.null = true;
    if (one_of(line_types, r.type)) return r;
    long long announced = strtoll(head + 1, NULL, 10);
    r.text = line_end + 1;
    r.len = 0;
    if (announced < 0) {
        r.null = true;
    } else if (one_of(bulk_types, r.type)) {
        r.len = announced;
        *at += announced + 2;
    } else {
        r.parts = (int)(r.type == '%' ? announced * 2 : announced);
        r.part = calloc(r.parts + 1, sizeof *r.part);
        for (int i = 0; i < r.parts; i++) r.part[i] = read_at(at, end);
    }
    return r;
}

struct reply reply_read(const char *bytes, size_t len)
{
    return read_at(&bytes, bytes + len);
}

void reply_free(struct reply *r)
{
    for (int i = 0; i < r->parts; i++) reply_free(&r->part[i]);
    free(r->part);
    r->part = NULL;
    r->parts = 0;
}

int reply_compare(const struct reply *a, const struct reply *b)
{
    if (a->type != b->type) return a->type - b->type;
    if (a->null != b->null) return a->null - b->null;
    int differ = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (reply_is_aggregate(a)) differ = 0;
    if (differ == 0) differ = a->len < b->len ? -1 : a->len > b->len;
    for (int i = 0; differ == 0 && i < a->parts && i < b->parts; i++) differ = reply_compare(&a->part[i], &b->part[i]);
    return differ ? differ : a->parts - b->parts;
}

bool reply_drop_field(struct reply *r, const char *name)
{
    size_t len = strlen(name);
    bool dropped = false;
    for (int i = 0; i < r->parts; i++) {
        struct reply *part = &r->part[i];
        dropped |= reply_drop_field(part, name);
        bool named = part->type == '$' && part->len == len && memcmp(part->text, name, len) == 0;
        if (!named || i + 1 == r->parts) continue;
        reply_free(&r->part[i + 1]);
        memmove(part, part + 2, (r->parts - i - 2) * sizeof *part);
        r->parts -= 2;
        i--;
        dropped = true;
    }
    return dropped;
}

static void print_text(FILE *out, const struct reply *r)
{
    for (size_t i = 0; i < r->len; i++) {
        unsigned char c = r->text[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (isprint(c))
            fputc(c, out);
        else
            fprintf(out, "\\x%02x", c);
    }
}

static void print_parts(FILE *out, const struct reply *r)
{
    bool map = r->type == '%';
    fputs(r->type == '~' ? "set[" : r->type == '>' ? "push[" : map ? "{" : "[", out);
    for (int i = 0; i < r->parts; i++) {
        if (i) fputs(map && i % 2 ? ": " : ", ", out);
        reply_print(out, &r->part[i]);
    }
    fputc(map ? '}' : ']', out);
}

void reply_print(FILE *out, const struct reply *r)
{
    if (r->null) {
        fputs(r->type == '_' ? "(null)" : r->type == '*' ? "(nil array)" : "(nil)", out);
        return;
    }
    if (reply_is_aggregate(r)) {
        print_parts(out, r);
        return;
    }
    static const struct {
        char type;
        const char *before, *after;
    } dress[] = {{'-', "(error) ", ""}, {'!', "(bulk error) ", ""}, {':', "(integer) ", ""}, {'$', "\"", "\""},
                 {'#', "#", ""},        {',', "(double) ", ""},     {'(', "(big) ", ""},     {'=', "=\"", "\""}};
    size_t i = 0;
    while (i < sizeof dress / sizeof *dress && dress[i].type != r->type) i++;
    bool dressed = i < sizeof dress / sizeof *dress;
    if (dressed) fputs(dress[i].before, out);
    print_text(out, r);
    if (dressed) fputs(dress[i].after, out);
}
