/* The decision: may this user run that request? Pure. Server process.
 *
 * A request is allowed if one selector allows all of it: the command, each key for what is done with it, each channel.
 * Where none does, the answer is the refusal of the selector that came furthest. */
#ifndef SLIPSTREAM_ACL_PERMIT_H
#define SLIPSTREAM_ACL_PERMIT_H

#include "server/acl/user.h"

enum acl_reason { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_AUTH, ACL_DENIED_CHANNEL };

struct acl_key {
    uint32_t arg;
    uint8_t access; /* enum key_access: what the request does with it; 0: no more than asking whether it is there */
};

struct acl_request {
    uint16_t command;  /* its number in the vocabulary */
    bool for_everyone; /* commands by which one logs in: never refused for themselves */
    bool patterns;     /* the channels are patterns, which must be among the user's as they are */
    bool any_key;      /* it reads keys that nobody can name beforehand, so every key must be open to reading */
    uint32_t argc;
    const struct bytes *argv;
    const struct acl_key *keys;
    size_t key_count;
    uint32_t first_channel, channels_end; /* arguments; equal: none */
};

struct acl_denial {
    enum acl_reason reason;
    uint32_t arg; /* the key or the channel; 0 of a command */
};

struct acl_denial acl_permit(const struct user *u, const struct acl_request *r);

/* Whether he may use the channel at all, by any of his selectors: who is subscribed to another is cut off. */
bool acl_permits_channel(const struct user *u, struct bytes channel, bool is_pattern);

#endif
