/* See data.h. The simulator. */
#include "tests/simulation/data.h"

#include "server/base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void data_clear(struct data *d)
{
    mem_free(d->bytes);
    *d = (struct data){0};
}

void data_append(struct data *d, const uint8_t *bytes, size_t len)
{
    if (!len) return;
    if (d->len + len > d->room) {
        d->room = 2 * (d->len + len);
        d->bytes = mem_realloc(d->bytes, d->room);
    }
    memcpy(d->bytes + d->len, bytes, len);
    d->len += len;
    for (const uint8_t *at = bytes, *end = bytes + len; at < end;) {
        d->writes += *at == 'W';
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : end;
    }
}

void data_copy(struct data *to, const struct data *from)
{
    data_clear(to);
    data_append(to, from->bytes, from->len);
}

bool data_begins_with(const struct data *d, const struct data *head)
{
    return d->len >= head->len && (!head->len || memcmp(d->bytes, head->bytes, head->len) == 0);
}

bool data_has_write(const struct data *d, uint64_t id)
{
    char wanted[32];
    size_t len = (size_t)snprintf(wanted, sizeof wanted, "W%" PRIu64 " ", id);
    return d->len && memmem(d->bytes, d->len, wanted, len);
}

size_t record_write(char out[RECORD_MAX], uint64_t id, size_t padding)
{
    int len = snprintf(out, RECORD_MAX, "W%" PRIu64 " ", id);
    while (padding-- && len < RECORD_MAX - 2) out[len++] = '.';
    out[len++] = '\n';
    return (size_t)len;
}
