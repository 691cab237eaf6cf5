/* Cursor, options and reply of HSCAN, SSCAN and ZSCAN. Server process. */
#include "server/commands/collection_scan.h"

#include "server/base/glob.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_COUNT   10
#define CURSOR_TEXT_MAX 32

static bool read_options(struct collection_scan *s, enum value_type type)
{
    struct call *call = s->call;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (type == TYPE_HASH && call_arg_is(call, i, "novalues")) {
            s->no_values = true;
            i--; /* a word alone */
            continue;
        }
        bool has_value = i + 1 < call->argc;
        int64_t count;
        if (has_value && call_arg_is(call, i, "count")) {
            if (!call_arg_i64(call, i + 1, &count, NULL)) return false;
            if (count < 1) return call_syntax_error(call), false;
            s->count = (size_t)count;
        } else if (has_value && call_arg_is(call, i, "match")) {
            s->pattern = call->argv[i + 1];
            s->everything = bytes_equal_text(s->pattern, "*");
        } else {
            return call_syntax_error(call), false;
        }
    }
    return true;
}

bool scan_cursor_argument(struct call *call, uint32_t arg, uint64_t *cursor)
{
    char text[CURSOR_TEXT_MAX] = "", *end = text;
    struct bytes given = call->argv[arg];
    bool fits = given.len < sizeof text;
    if (fits) memcpy(text, given.ptr, given.len);
    errno = 0;
    *cursor = strtoull(text, &end, 10);
    if (fits && !errno && !isspace((unsigned char)text[0]) && end == text + given.len) return true;
    reply_error(call->reply, "ERR invalid cursor");
    return false;
}

struct record *collection_scan_begin(struct collection_scan *s, struct call *call, enum value_type type)
{
    *s = (struct collection_scan){.call = call, .count = DEFAULT_COUNT, .everything = true};
    if (!scan_cursor_argument(call, 2, &s->cursor)) return NULL;
    struct record *r = call_find_read(call, 1);
    if (!r) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, BYTES("0"));
        reply_array(call->reply, 0);
        return NULL;
    }
    if (call_wrong_type(call, r, type) || !read_options(s, type)) return NULL;
    reply_deferred_begin(call->reply, &s->list);
    return r;
}

bool collection_scan_matches(const struct collection_scan *s, const struct packed_value *element)
{
    char scratch[I64_TEXT_MAX];
    return s->everything || glob_match(s->pattern, packed_text(element, scratch), false);
}

void collection_scan_end(struct collection_scan *s, uint64_t next_cursor)
{
    char text[I64_TEXT_MAX];
    struct reply *reply = s->call->reply, head = *reply; /* the cursor is known last and stands first */
    head.out = s->list.outer;
    reply_array(&head, 2);
    reply_bulk(&head, bytes_make(text, format_u64(text, next_cursor)));
    reply_deferred_array(reply, &s->list, s->elements);
}
