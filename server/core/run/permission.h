/* What a session's user may run: asked by the gate before a command, by EXEC for each one it runs, and where a wait is
 * over; by scripts for what they call. Server process. */
#ifndef SLIPSTREAM_CORE_RUN_PERMISSION_H
#define SLIPSTREAM_CORE_RUN_PERMISSION_H

#include "server/acl/log.h"
#include "server/acl/permit.h"
#include "server/core/run/request.h"

struct core;
struct session;

/* Pure. The arguments may be too few or malformed: then there are no keys to ask about. */
struct acl_denial acl_check(const struct user *u, const struct command_entry *e, uint32_t argc,
                            const struct bytes *argv);
/* The same, and whether it may read whatever key its values name: SORT's BY and GET. */
bool acl_may_read_any_key(const struct user *u, const struct command_entry *e, uint32_t argc, const struct bytes *argv);
/* A refusal is counted and goes to ACL LOG, in the name of this session's user. */
void acl_note_denied(struct core *core, struct session *s, const struct request *r, struct acl_denial denial,
                     enum acl_context context);
/* The same of a log-in that failed. `command` is the first argument as it came: "AUTH". */
void acl_note_login_denied(struct core *core, struct session *s, struct bytes command, struct bytes username);
/* The reply's text with its code and a zero behind it: "NOPERM No permissions to access a key". */
void acl_add_denial(struct acl_text *out, const struct user *u, const struct request *r, struct acl_denial denial);
/* The same without a code and with the name of the key or channel, as ACL DRYRUN has it. No zero. */
void acl_explain_denial(struct acl_text *out, const struct user *u, const struct request *r, struct acl_denial denial);

#endif
