/* rdb-key-save-delay and key-load-delay: slows a snapshot down so that what happens meanwhile can be watched. */
#ifndef SLIPSTREAM_RDB_DELAY_H
#define SLIPSTREAM_RDB_DELAY_H

#include <stdint.h>
#include <unistd.h>

/* To be called after each key; keys: how many there were. Negative: 1 us every -delay keys. */
static inline void rdb_key_delay(int delay_us, uint64_t keys)
{
    if (delay_us > 0) usleep((useconds_t)delay_us);
    if (delay_us < 0 && keys % -(int64_t)delay_us == 0) usleep(1);
}

#endif
