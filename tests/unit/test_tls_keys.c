/* Another record layer than OpenSSL's goes on in the middle of a connection: what it makes with the keys that a stream
 * tells is read by the other end, and it reads what that one sends. Where it could not, no keys are told. */
#include "tests/unit/test_tls_aead.h"
#include "tests/unit/test_tls_ends.h"

TestSuite(tls_keys, .init = make_certificates, .fini = remove_certificates, .timeout = 60);

/* RFC 8448, 3: the traffic secrets of a handshake, with what follows from each. */
Test(tls_keys, derivation)
{
    static const struct {
        uint8_t secret[32], key[16], iv[12];
    } told[] = {
        {{0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad, 0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32,
          0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a, 0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43},
         {0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef, 0xc2, 0x6b, 0xb9, 0xf2, 0xac, 0x92, 0xe3, 0x56},
         {0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84}},
        {{0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0, 0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52,
          0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87, 0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5},
         {0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9, 0xac, 0xd8, 0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51},
         {0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08, 0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9}},
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        struct tls_record_key key;
        cr_assert_eq(tls_record_key_derive(&key, TLS_RECORD_AES_128_GCM, told[i].secret, 32), 0);
        cr_assert_arr_eq(key.key, told[i].key, 16);
        cr_assert_arr_eq(key.iv, told[i].iv, 12);
    }
}

static void talk(struct tls_stream *from, struct tls_stream *to, int records)
{
    static uint8_t came[TLS_RECORD_BYTES];
    for (int i = 0; i < records; i++) {
        cr_assert_eq(tls_stream_write(from, (const uint8_t *)"so far OpenSSL", 14), 0);
        cr_assert_eq(carry(from, to, came, sizeof came), 14);
    }
}

/* `from` leaves to us what it would say next, and `to` understands. */
static void expect_to_go_on(struct tls_stream *from, struct tls_stream *to)
{
    struct tls_record_keys keys;
    uint8_t record[200], came[TLS_RECORD_BYTES];
    cr_assert_eq(tls_stream_keys(from, &keys), 0);
    for (int i = 0; i < 3; i++) {
        size_t len = aead_seal(&keys, &keys.out, CONTENT_DATA, "from here on we", 15, record);
        tls_stream_feed(to, record, len);
        cr_assert_eq(tls_stream_read(to, came, sizeof came), 15, "%s", tls_stream_error(to));
        cr_assert_arr_eq(came, "from here on we", 15);
        cr_assert_eq(tls_stream_write(to, (const uint8_t *)"an answer", 9), 0);
        struct bytes wire = outq_front(tls_stream_output(to));
        cr_assert_eq(aead_open(&keys, &keys.in, wire, came), 9);
        cr_assert_arr_eq(came, "an answer", 9);
        outq_consume(tls_stream_output(to), wire.len);
    }
}

/* Whichever end goes away, after however much. */
Test(tls_keys, a_stream_goes_on_elsewhere)
{
    for (size_t k = 0; k < AEAD_CIPHERS; k++) {
        for (int i = 0; i < 4; i++) {
            struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
            talk(e.server, e.client, 1 + 130 * (i / 2));
            talk(e.client, e.server, 1 + 300 * (i / 2));
            if (i % 2)
                expect_to_go_on(e.server, e.client);
            else
                expect_to_go_on(e.client, e.server);
            free_ends(&e);
        }
    }
}

/* The nonce that an AES-GCM record of TLS 1.2 shows is not used again. */
Test(tls_keys, no_nonce_is_used_twice)
{
    struct ends e = connect_ends("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256");
    struct tls_record_keys keys;
    cr_assert_neq(tls_stream_keys(e.server, &keys), 0, "it has shown none yet");
    cr_assert_eq(tls_stream_write(e.server, (const uint8_t *)"12", 2), 0);
    struct bytes wire = outq_front(tls_stream_output(e.server));
    uint64_t shown = 0, next = 0;
    for (int i = 0; i < 8; i++) shown = shown << 8 | wire.ptr[5 + i];
    outq_consume(tls_stream_output(e.server), wire.len);
    cr_assert_eq(tls_stream_keys(e.server, &keys), 0);
    for (int i = 0; i < 8; i++) next = next << 8 | keys.out.iv[4 + i];
    cr_assert_eq(next, shown + 1);
    free_ends(&e);
}

Test(tls_keys, not_in_the_middle_of_something)
{
    static uint8_t came[TLS_RECORD_BYTES];
    for (size_t k = 0; k < AEAD_CIPHERS; k++) {
        struct ends e = connect_ends(ciphers[k].protocol, ciphers[k].name);
        struct tls_record_keys keys;
        talk(e.server, e.client, 1);
        cr_assert_eq(tls_stream_write(e.server, (const uint8_t *)"to be sent", 10), 0);
        cr_assert_neq(tls_stream_keys(e.server, &keys), 0, "it has something to send");
        carry(e.server, e.client, came, sizeof came);

        cr_assert_eq(tls_stream_write(e.client, (const uint8_t *)"in pieces", 9), 0);
        struct bytes wire = outq_front(tls_stream_output(e.client));
        for (size_t i = 0; i < wire.len; i++) {
            cr_assert_eq(tls_stream_keys(e.server, &keys), i == 0 ? 0 : -1, "byte %zu", i);
            tls_stream_feed(e.server, wire.ptr + i, 1);
            cr_assert_eq(tls_stream_read(e.server, came, sizeof came), i + 1 == wire.len ? 9 : 0);
            cr_assert_eq(tls_stream_read(e.server, came, sizeof came), 0);
        }
        cr_assert_eq(tls_stream_keys(e.server, &keys), 0);
        tls_stream_end(e.server);
        carry(e.server, e.client, came, sizeof came);
        cr_assert_neq(tls_stream_keys(e.server, &keys), 0, "it has ended");
        free_ends(&e);
    }
}

/* The word itself arrives under the old keys, and says so much: the next ones are others. */
Test(tls_keys, not_when_they_were_renewed)
{
    static const uint8_t key_update[] = {24, 0, 0, 1, 0};
    struct ends e = connect_ends("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    struct tls_record_keys keys;
    uint8_t record[100], came[TLS_RECORD_BYTES];
    cr_assert_eq(tls_stream_keys(e.server, &keys), 0);
    cr_assert_eq(tls_stream_keys(e.client, &keys), 0);
    cr_assert_eq(tls_stream_keys(e.client, &keys), 0, "asking changes nothing");
    size_t len = aead_seal(&keys, &keys.out, CONTENT_HANDSHAKE, key_update, sizeof key_update, record);
    tls_stream_feed(e.server, record, len);
    cr_assert_eq(tls_stream_read(e.server, came, sizeof came), 0);
    cr_assert_eq(tls_stream_state(e.server), TLS_ESTABLISHED);
    cr_assert_neq(tls_stream_keys(e.server, &keys), 0);
    free_ends(&e);
}

Test(tls_keys, not_of_other_ciphers)
{
    struct ends e = connect_ends("TLSv1.2", "ECDHE-ECDSA-AES256-SHA384");
    struct tls_record_keys keys;
    talk(e.server, e.client, 1);
    cr_assert(tls_stream_may_leave(e.server));
    cr_assert_neq(tls_stream_keys(e.server, &keys), 0);
    free_ends(&e);
}
