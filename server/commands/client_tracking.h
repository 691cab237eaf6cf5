/* CLIENT TRACKING and the subcommands around it, for the table of CLIENT. */
#ifndef SLIPSTREAM_COMMANDS_CLIENT_TRACKING_H
#define SLIPSTREAM_COMMANDS_CLIENT_TRACKING_H

struct call;

void client_tracking(struct call *call);
void client_trackinginfo(struct call *call);
void client_caching(struct call *call);
void client_getredir(struct call *call);

#endif
