/* A start as Sentinel: another program's part. */
#ifndef SLIPSTREAM_CORE_PROCESS_SENTINEL_EXEC_H
#define SLIPSTREAM_CORE_PROCESS_SENTINEL_EXEC_H

#include <stdbool.h>

bool sentinel_asked(int argc, char **argv); /* by the name we are called by, or by --sentinel among the options */
/* Becomes redis-sentinel with the same arguments. Returns, having said what to do, where there is none. */
void sentinel_exec(int argc, char **argv);

#endif
