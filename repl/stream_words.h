/* Words of the stream that not every Redis knows: commands that came after 6.2, or options that did. Server process.
 *
 * A replica answers what it does not know with an error that nobody hears, and differs from then on. Redis before 8
 * does not say how old it is, so what leaves is in words of 6.2, or it is known who hears it: repl/master_words.c. */
#ifndef SLIPSTREAM_REPL_STREAM_WORDS_H
#define SLIPSTREAM_REPL_STREAM_WORDS_H

enum stream_words {
    WORDS_OF_7_0, /* statistics of streams: ENTRIESREAD and the like; in a master's also EXPIRE ... NX and its kin */
    WORDS_OF_FIELD_EXPIRY, /* HPEXPIREAT, HSETEX, ... : Redis 8, Valkey 9, and Redis 7.4 but for HSETEX */
    /* Of a master of that make, passed on. What Redis 8.2 added (BITOP DIFF, XDELEX, ...) counts as both: who knows
     * only one of the two may not know that. */
    WORDS_OF_REDIS_8,  /* payloads of version 12 */
    WORDS_OF_VALKEY_9, /* MSETEX, SET IFEQ, payloads of version 80 */
    STREAM_WORDS
};

#endif
