/* See request.h. */
#include "bench/load/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

int request_source_init(struct request_source *s, const struct keys *keys, const struct sizes *sizes, uint64_t seed)
{
    size_t len = sizes_largest(sizes) + 1;
    *s = (struct request_source){.keys = *keys, .sizes = *sizes, .letters = malloc(len)};
    if (!s->letters) return -1;
    random_seed(&s->random, seed);
    for (size_t i = 0; i < len; i++) s->letters[i] = (char)('a' + random_below(&s->random, 26));
    return 0;
}

void request_source_free(struct request_source *s)
{
    free(s->letters);
    s->letters = NULL;
}

/* Digits for the placeholder at `at`, if one begins there: its length, else 0. */
static size_t placeholder(const char *at)
{
    static const char *const names[] = {"{key}", "__rand_int__"};
    for (int i = 0; i < 2; i++)
        if (strncmp(at, names[i], strlen(names[i])) == 0) return strlen(names[i]);
    return 0;
}

/* A word's own bytes behind its length; numbers are left as zeros. */
static int put_word(struct request *q, const char *word, FILE *out)
{
    char text[1024];
    size_t len = 0, numbers[REQUEST_SLOTS_MAX];
    int count = 0;
    for (const char *at = word; *at;) {
        size_t name = placeholder(at), more = name ? REQUEST_DIGITS : 1;
        if (len + more >= sizeof text || (name && count == REQUEST_SLOTS_MAX)) return -1;
        if (name) numbers[count++] = len;
        memset(text + len, '0', more);
        if (!name) text[len] = *at;
        len += more;
        at += name ? name : 1;
    }
    fprintf(out, "$%zu\r\n", len);
    long base = ftell(out);
    fwrite(text, 1, len, out);
    fputs("\r\n", out);
    if (q->slot_count + count > REQUEST_SLOTS_MAX) return -1;
    for (int i = 0; i < count; i++) q->slots[q->slot_count++] = (size_t)base + numbers[i];
    return 0;
}

static void put_value(struct request *q, const struct request_source *source, FILE *out)
{
    uint32_t len = sizes_largest(&source->sizes);
    if (sizes_are_fixed(&source->sizes)) {
        fprintf(out, "$%u\r\n", len);
        fwrite(source->letters, 1, len, out);
        fputs("\r\n", out);
        return;
    }
    q->value_varies = true;
    q->value_at = (size_t)ftell(out);
}

int request_parse(struct request *q, const char *text, const struct request_source *source)
{
    char copy[2048], *words[WORDS_MAX], *rest = NULL;
    int count = 0, status = 0;
    *q = (struct request){0};
    if (strlen(text) >= sizeof copy) return -1;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *w = strtok_r(copy, " ", &rest); w && count < WORDS_MAX; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    if (!count) return -1;
    FILE *out = open_memstream(&q->bytes, &q->len);
    if (!out) return -1;
    fprintf(out, "*%d\r\n", count);
    for (int i = 0; i < count && status == 0; i++) {
        if (strcmp(words[i], "{value}") != 0)
            status = put_word(q, words[i], out);
        else if (q->value_varies)
            status = -1;
        else
            put_value(q, source, out);
    }
    fclose(out);
    if (status != 0) request_free(q);
    return status;
}

void request_free(struct request *q)
{
    free(q->bytes);
    q->bytes = NULL;
}

size_t request_room(const struct request *q, const struct request_source *source)
{
    return q->len + (q->value_varies ? sizes_largest(&source->sizes) + 16 : 0);
}

static void put_number(char *out, uint64_t number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    /* Halves of six digits: 32-bit arithmetic, and two chains at once. */
    uint32_t high = (uint32_t)(number / 1000000), low = (uint32_t)(number % 1000000);
    for (int i = 4; i >= 0; i -= 2, high /= 100, low /= 100) {
        memcpy(out + i, pairs + (size_t)(high % 100) * 2, 2);
        memcpy(out + 6 + i, pairs + (size_t)(low % 100) * 2, 2);
    }
}

size_t request_put(const struct request *q, struct request_source *source, char *out)
{
    size_t len = q->len, gap = 0;
    if (!q->value_varies) {
        memcpy(out, q->bytes, len);
    } else {
        uint32_t value = sizes_next(&source->sizes, &source->random);
        memcpy(out, q->bytes, q->value_at);
        gap = (size_t)sprintf(out + q->value_at, "$%u\r\n", value);
        memcpy(out + q->value_at + gap, source->letters, value);
        memcpy(out + q->value_at + gap + value, "\r\n", 2);
        gap += value + 2;
        memcpy(out + q->value_at + gap, q->bytes + q->value_at, len - q->value_at);
    }
    for (int i = 0; i < q->slot_count; i++) {
        size_t at = q->slots[i] + (q->value_varies && q->slots[i] >= q->value_at ? gap : 0);
        put_number(out + at, keys_next(&source->keys, &source->random));
    }
    return len + gap;
}
