/* Which arguments of a request are secret: passwords, which MONITOR and a crash report show as (redacted). Bit i is
 * argument i, the last bit all from there on. Server process. */
#ifndef SLIPSTREAM_CORE_COMMAND_SECRETS_H
#define SLIPSTREAM_CORE_COMMAND_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t secrets_with(uint64_t secrets, uint32_t arg)
{
    return secrets | UINT64_C(1) << (arg < 63 ? arg : 63);
}

static inline bool secrets_have(uint64_t secrets, uint32_t arg)
{
    return secrets >> (arg < 63 ? arg : 63) & 1;
}

#endif
