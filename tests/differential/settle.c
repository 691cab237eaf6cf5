/* See settle.h. KEYS hides a key whose time is over, and DBSIZE counts it. The grammar's times are either some
 * milliseconds or more than an hour. */
#include "tests/differential/settle.h"

#include "tests/harness/client.h"
#include "tests/harness/clock.h"

#define LOOK_US 20000

static const char count_expiring[] = "local count = 0 for db = 0, 15 do redis.call('SELECT', db) "
                                     "local keys = redis.call('KEYS', '*') "
                                     "count = count + redis.call('DBSIZE') - #keys "
                                     "for _, key in ipairs(keys) do local ttl = redis.call('PTTL', key) "
                                     "if ttl >= 0 and ttl < 600000 then count = count + 1 end end end "
                                     "return count";

bool settles(struct server *s, int bound_ms)
{
    int64_t deadline_ms = clock_ms() + bound_ms;
    while (command_integer(s, "EVAL_RO %s 0", count_expiring) > 0) {
        if (clock_ms() > deadline_ms) return false;
        sleep_us(LOOK_US);
    }
    return true;
}
