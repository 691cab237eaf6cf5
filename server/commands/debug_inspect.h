/* DEBUG's subcommands that look inside: what keys and structures are made of. */
#ifndef SLIPSTREAM_COMMANDS_DEBUG_INSPECT_H
#define SLIPSTREAM_COMMANDS_DEBUG_INSPECT_H

struct call;

void debug_htstats(struct call *call);
void debug_htstats_key(struct call *call);
void debug_client_eviction(struct call *call);
void debug_sdslen(struct call *call);
void debug_structsize(struct call *call);
void debug_listpack(struct call *call);  /* to standard output */
void debug_quicklist(struct call *call); /* to standard output */
void debug_mallctl(struct call *call);
void debug_mallctl_str(struct call *call);

#endif
