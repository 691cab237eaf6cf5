/* A look at one argument of a request that will be read properly later. Pure. */
#include "server/resp/reader.h"

/* "<digits>\r\n" at *at: moves *at behind it. -1: not that, or not all there. */
static int64_t header_number(const uint8_t *input, size_t len, size_t *at)
{
    int64_t n = 0;
    size_t i = *at;
    for (; i < len && input[i] >= '0' && input[i] <= '9' && n < INT32_MAX; i++) n = n * 10 + (input[i] - '0');
    if (i == *at || i + 1 >= len || input[i] != '\r') return -1;
    *at = i + 2;
    return n;
}

struct bytes resp_peek_argument(const uint8_t *input, size_t len, uint32_t index)
{
    size_t at = 1;
    if (!len || input[0] != '*' || header_number(input, len, &at) <= (int64_t)index) return (struct bytes){0};
    for (uint32_t i = 0;; i++) {
        if (at >= len || input[at++] != '$') return (struct bytes){0};
        int64_t size = header_number(input, len, &at);
        if (size < 0 || (uint64_t)size > len - at) return (struct bytes){0};
        if (i == index) return bytes_make(input + at, (size_t)size);
        at += (size_t)size + 2;
    }
}
