/* See block_timeout.h. Server process. */
#include "server/commands/block_timeout.h"

#include "server/base/number.h"

#include <math.h>

/* The deadline must be a time, too. */
static bool accept_timeout(struct call *call, int64_t timeout_ms)
{
    int64_t deadline_ms;
    const char *error = NULL;
    if (timeout_ms < 0)
        error = "ERR timeout is negative";
    else if (__builtin_add_overflow(timeout_ms, call->now_ms, &deadline_ms))
        error = "ERR timeout is out of range";
    if (error) reply_error(call->reply, error);
    return !error;
}

bool block_timeout_seconds(struct call *call, uint32_t arg, int64_t *timeout_ms)
{
    long double seconds; /* what is too large for a double is out of range, not "not a float" */
    if (parse_long_double(call->argv[arg], &seconds)) {
        reply_error(call->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = ceill(seconds * 1000);
    if (ms >= 0x1p63) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    *timeout_ms = ms < 0 ? -1 : (int64_t)ms;
    return accept_timeout(call, *timeout_ms);
}

bool block_timeout_ms(struct call *call, uint32_t arg, int64_t *timeout_ms)
{
    if (!call_arg_i64(call, arg, timeout_ms, "ERR timeout is not an integer or out of range")) return false;
    return accept_timeout(call, *timeout_ms);
}
