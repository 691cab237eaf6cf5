/* What holds for all masters: parameters of SENTINEL CONFIG and of the configuration file. Sentinel process. */
#ifndef SLIPSTREAM_SENTINEL_PARAMETERS_H
#define SLIPSTREAM_SENTINEL_PARAMETERS_H

#include "server/sentinel/process.h"

struct call;

enum parameter_result { PARAMETER_SET, PARAMETER_UNKNOWN, PARAMETER_INVALID };
/* A line of the configuration file. */
enum parameter_result sentinel_parameter_read(struct sentinel_process *p, struct bytes name, struct bytes value);
void sentinel_config_command(struct call *call);

#endif
