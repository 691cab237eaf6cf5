/* EX, PX, EXAT, PXAT and PERSIST taken from a command's arguments, and a time in them judged. Server process. */
#include "server/commands/expiry_option.h"

#include "server/base/number.h"
#include "server/core/command/command_table.h"

bool expiry_option_take(struct call *call, uint32_t *i, struct expiry_option *o)
{
    static const char *const words[] = {"ex", "px", "exat", "pxat"};
    if (o->may_persist && (!o->given || o->persist) && call_arg_is(call, *i, "persist")) {
        o->given = o->persist = true;
        return true;
    }
    for (int unit = EXPIRY_EX; unit <= EXPIRY_PXAT; unit++) {
        bool allowed = !o->given || (!o->persist && o->unit == (enum expiry_unit)unit);
        if (!allowed || !call_arg_is(call, *i, words[unit]) || *i + 1 >= call->argc) continue;
        o->given = true;
        o->unit = (enum expiry_unit)unit;
        o->value = call->argv[++*i];
        return true;
    }
    return false;
}

bool expiry_absolute_ms(struct call *call, struct bytes value, enum expiry_unit unit, bool positive_only,
                        int64_t *at_ms)
{
    int64_t t;
    bool seconds = expiry_unit_is_seconds(unit), relative = !expiry_unit_is_absolute(unit);
    if (parse_i64(value, &t)) {
        reply_error(call->reply, "ERR value is not an integer or out of range");
        return false;
    }
    bool bad = (positive_only && t <= 0) || (seconds && __builtin_mul_overflow(t, (int64_t)1000, &t)) ||
               (relative && __builtin_add_overflow(t, call->now_ms, &t));
    if (bad) {
        reply_errorf(call->reply, "ERR invalid expire time in '%s' command", call->command->full_name);
        return false;
    }
    *at_ms = t;
    return true;
}

bool expiry_option_resolve(struct call *call, struct expiry_option *o)
{
    if (!o->given || o->persist) return true;
    return expiry_absolute_ms(call, o->value, o->unit, true, &o->at_ms);
}
