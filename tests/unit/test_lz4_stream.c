/* LZ4 streams: what goes in comes out, whatever the pieces; a flush shows every byte; broken input is an error. */
#include "server/base/lz4_stream.h"
#include "server/base/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static struct bytes sample(size_t len, uint64_t seed)
{
    struct random_state random;
    random_seed(&random, seed);
    uint8_t *data = malloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        bool repeats = i > 100 && i / 1000 % 3 != 0; /* two thirds repeat what was there, one is noise */
        data[i] = repeats ? data[i - 97] : (uint8_t)random_u64(&random);
    }
    return bytes_make(data, len);
}

/* Unpacks everything in q with an output room of at most `room` at a time. Returns bytes written to out. */
static size_t unpack_all(struct lz4_decoder *d, struct outq *q, uint8_t *out, size_t room, size_t input_piece)
{
    size_t total = 0;
    struct bytes front;
    while ((front = outq_front(q)).len > 0) {
        struct bytes input = bytes_make(front.ptr, front.len < input_piece ? front.len : input_piece);
        size_t given = input.len;
        ptrdiff_t n;
        do {
            n = lz4_decoder_unpack(d, &input, out + total, room);
            cr_assert_geq(n, 0, "%s", lz4_decoder_error(d));
            total += (size_t)n;
        } while (input.len > 0 || (size_t)n == room);
        outq_consume(q, given);
    }
    return total;
}

Test(lz4_stream, any_pieces_make_the_same_bytes)
{
    uint64_t seed = (uint64_t)getpid();
    struct random_state random;
    random_seed(&random, seed);
    enum { BYTES_IN_ALL = 3 * 1000 * 1000 };
    struct bytes all = sample(BYTES_IN_ALL, seed);
    uint8_t *out = malloc(BYTES_IN_ALL + 4096);
    for (int round = 0; round < 8; round++) {
        struct lz4_encoder *e = lz4_encoder_new();
        struct lz4_decoder *d = lz4_decoder_new();
        struct outq q = {0};
        size_t packed = 0, unpacked = 0, wire = 0, largest = (size_t)1 << (6 + 2 * round);
        while (packed < BYTES_IN_ALL) {
            size_t n = 1 + random_below(&random, largest);
            if (n > BYTES_IN_ALL - packed) n = BYTES_IN_ALL - packed;
            lz4_encoder_pack(e, bytes_make(all.ptr + packed, n), &q);
            packed += n;
            bool flush = random_below(&random, 3) == 0 || packed == BYTES_IN_ALL;
            if (flush) lz4_encoder_flush(e, &q);
            wire += outq_pending(&q);
            unpacked +=
                unpack_all(d, &q, out + unpacked, 1 + random_below(&random, 4096), 1 + random_below(&random, 9999));
            cr_assert(unpacked <= packed);
            if (flush) cr_assert_eq(unpacked, packed, "a flush shows every byte; seed %llu", (unsigned long long)seed);
        }
        cr_assert_eq(memcmp(out, all.ptr, BYTES_IN_ALL), 0, "seed %llu", (unsigned long long)seed);
        if (largest >= 4096) cr_assert_lt(wire, BYTES_IN_ALL * 3 / 4, "repetitions are packed");
        outq_clear(&q);
        lz4_encoder_free(e);
        lz4_decoder_free(d);
    }
    free(out);
    free((void *)(uintptr_t)all.ptr);
}

Test(lz4_stream, blocks_packed_once_may_be_adopted_by_any_frame)
{
    enum {
        BEFORE = 70 * 1000,
        SHARED = 150 * 1000,
        BEHIND = 1000,
        ROUNDS = 5,
        TOTAL = BEFORE + (SHARED + BEHIND) * ROUNDS
    };
    uint8_t *blocks = malloc(lz4_blocks_bound(SHARED)), *out = malloc(TOTAL + 1);
    struct bytes all = sample(TOTAL, (uint64_t)getpid());
    for (int follower = 0; follower < 2; follower++) {
        size_t at = follower * (size_t)BEFORE; /* the second one's frame begins with what it adopts */
        struct bytes whole = bytes_make(all.ptr + at, all.len - at);
        struct lz4_encoder *e = lz4_encoder_new();
        struct lz4_decoder *d = lz4_decoder_new();
        struct outq q = {0};
        lz4_encoder_pack(e, bytes_make(all.ptr + at, BEFORE - at), &q); /* held back, in part */
        at = BEFORE;
        for (int round = 0; round < ROUNDS; round++) {
            size_t len = lz4_pack_blocks(bytes_make(all.ptr + at, SHARED), blocks);
            cr_assert_leq(len, lz4_blocks_bound(SHARED));
            lz4_encoder_adopt(e, bytes_make(blocks, len), &q);
            at += SHARED;
            lz4_encoder_pack(e, bytes_make(all.ptr + at, BEHIND), &q); /* repeats what the encoder has not seen */
            lz4_encoder_flush(e, &q);
            at += BEHIND;
        }
        cr_assert_lt(outq_pending(&q), whole.len * 3 / 4);
        cr_assert_eq(unpack_all(d, &q, out, 5000, 3000), whole.len);
        cr_assert_eq(memcmp(out, whole.ptr, whole.len), 0);
        outq_clear(&q);
        lz4_encoder_free(e);
        lz4_decoder_free(d);
    }
    free(out);
    free(blocks);
    free((void *)(uintptr_t)all.ptr);
}

Test(lz4_stream, blocks_of_noise_are_hardly_longer_than_it)
{
    uint8_t noise[100], blocks[120];
    struct random_state random;
    random_seed(&random, 1);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)random_u64(&random);
    for (size_t len = 1; len <= sizeof noise; len++) {
        size_t packed = lz4_pack_blocks(bytes_make(noise, len), blocks);
        cr_assert_leq(packed, lz4_blocks_bound(len));
        cr_assert_eq(packed, len + 4);
    }
    cr_assert_eq(lz4_pack_blocks(bytes_make(noise, 0), blocks), 0);
}

Test(lz4_stream, a_flush_with_nothing_held_back_writes_nothing)
{
    struct lz4_encoder *e = lz4_encoder_new();
    struct outq q = {0};
    lz4_encoder_flush(e, &q);
    cr_assert_eq(outq_pending(&q), 0);
    lz4_encoder_pack(e, BYTES("abc"), &q);
    lz4_encoder_flush(e, &q);
    size_t before = outq_pending(&q);
    cr_assert_gt(before, 3);
    lz4_encoder_flush(e, &q);
    cr_assert_eq(outq_pending(&q), before);
    outq_clear(&q);
    lz4_encoder_free(e);
}

Test(lz4_stream, what_is_no_frame_is_an_error_and_stays_one)
{
    struct lz4_decoder *d = lz4_decoder_new();
    uint8_t out[64];
    struct bytes input = BYTES("this is certainly no LZ4 frame");
    cr_assert_eq(lz4_decoder_unpack(d, &input, out, sizeof(out)), -1);
    cr_assert_gt(strlen(lz4_decoder_error(d)), 0);
    input = BYTES("neither is this");
    cr_assert_eq(lz4_decoder_unpack(d, &input, out, sizeof(out)), -1);
    lz4_decoder_free(d);
}

Test(lz4_stream, altered_bytes_never_crash_the_decoder)
{
    struct bytes all = sample(200 * 1000, 7);
    struct lz4_encoder *e = lz4_encoder_new();
    struct outq q = {0};
    lz4_encoder_pack(e, all, &q);
    lz4_encoder_flush(e, &q);
    size_t len = outq_pending(&q);
    uint8_t *wire = malloc(len), *out = malloc(1000 * 1000);
    for (size_t at = 0; at < len;) {
        struct bytes front = outq_front(&q);
        memcpy(wire + at, front.ptr, front.len);
        at += front.len;
        outq_consume(&q, front.len);
    }
    struct random_state random;
    random_seed(&random, (uint64_t)getpid());
    for (int round = 0; round < 200; round++) {
        size_t at = random_below(&random, len);
        uint8_t kept = wire[at];
        wire[at] = (uint8_t)random_u64(&random);
        struct lz4_decoder *d = lz4_decoder_new();
        struct bytes input = bytes_make(wire, len);
        ptrdiff_t n = lz4_decoder_unpack(d, &input, out, 1000 * 1000);
        cr_assert(n >= -1 && n <= 1000 * 1000);
        lz4_decoder_free(d);
        wire[at] = kept;
    }
    free(out);
    free(wire);
    free((void *)(uintptr_t)all.ptr);
    lz4_encoder_free(e);
}
