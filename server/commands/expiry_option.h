/* EX, PX, EXAT, PXAT and PERSIST as SET and GETEX take them. */
#ifndef SLIPSTREAM_COMMANDS_EXPIRY_OPTION_H
#define SLIPSTREAM_COMMANDS_EXPIRY_OPTION_H

#include "server/core/run/call.h"
#include "server/core/session/session.h"

enum expiry_unit { EXPIRY_EX, EXPIRY_PX, EXPIRY_EXAT, EXPIRY_PXAT };

static inline bool expiry_unit_is_seconds(enum expiry_unit unit)
{
    return unit == EXPIRY_EX || unit == EXPIRY_EXAT;
}

static inline bool expiry_unit_is_absolute(enum expiry_unit unit)
{
    return unit == EXPIRY_EXAT || unit == EXPIRY_PXAT;
}

struct expiry_option {
    bool may_persist; /* the caller's: PERSIST is an option too */
    bool given;       /* one of them was there */
    bool persist;
    enum expiry_unit unit;
    struct bytes value;
    int64_t at_ms; /* after expiry_option_resolve: wall clock */
};

/* If argument *i is one of these options (and no other one was there before), takes it with its value, moving *i to the
 * last argument taken; the last of several counts. false: it is something else, contradicts the one before, or lacks
 * its value: a syntax error for the caller to answer. */
bool expiry_option_take(struct call *call, uint32_t *i, struct expiry_option *o);

/* Reads the value and makes it absolute. false: answered with the error. */
bool expiry_option_resolve(struct call *call, struct expiry_option *o);

/* A time in seconds or milliseconds, absolute or from now, as wall clock ms. false: answered (not an integer, overflow;
 * with positive_only also zero and less). */
bool expiry_absolute_ms(struct call *call, struct bytes value, enum expiry_unit unit, bool positive_only,
                        int64_t *at_ms);

#endif
