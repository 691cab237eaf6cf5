/* See mix.h. */
#include "bench/load/mix.h"

#include <stdlib.h>

int mix_add(struct mix *m, const char *text, const struct request_source *source)
{
    char *end;
    double weight = strtod(text, &end), sum = 0, upto = 0;
    if (m->count == MIX_MAX) return -1;
    if (end == text || *end != ':')
        weight = 1;
    else
        text = end + 1;
    if (!(weight > 0) || request_parse(&m->requests[m->count], text, source) != 0) return -1;
    size_t room = request_room(&m->requests[m->count], source);
    if (room > m->room) m->room = room;
    m->weights[m->count++] = weight;
    for (int i = 0; i < m->count; i++) sum += m->weights[i];
    for (int i = 0; i < m->count; i++) {
        upto += m->weights[i] / sum * MIX_WEIGHTS;
        m->upto[i] = i + 1 < m->count ? (uint32_t)upto : MIX_WEIGHTS;
    }
    return 0;
}

void mix_free(struct mix *m)
{
    for (int i = 0; i < m->count; i++) request_free(&m->requests[i]);
    *m = (struct mix){0};
}

size_t mix_put(const struct mix *m, struct request_source *source, char *out)
{
    const struct request *q = m->requests;
    if (m->count > 1)
        for (uint32_t at = (uint32_t)(random_u64(&source->random) % MIX_WEIGHTS), i = 0; at >= m->upto[i]; i++) q++;
    return request_put(q, source, out);
}
