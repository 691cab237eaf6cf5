/* INFO's sections, one function each; the table that orders them stands in info.c. */
#ifndef SLIPSTREAM_CORE_INFO_INFO_PARTS_H
#define SLIPSTREAM_CORE_INFO_INFO_PARTS_H

#include "server/core/core.h"
#include "server/core/info/info.h"

/* --- info_server.c --- */
void info_server(struct core *core, struct outq *out);
void info_cpu(struct core *core, struct outq *out);
void info_cluster(struct core *core, struct outq *out);
void info_slipstream(struct core *core, struct outq *out);

/* --- info_memory.c --- */
void info_memory(struct core *core, struct outq *out);

/* --- info_stats.c: what is counted --- */
void info_clients(struct core *core, struct outq *out);
void info_threads(struct core *core, struct outq *out);
void info_stats(struct core *core, struct outq *out);
void info_commandstats(struct core *core, struct outq *out);
void info_errorstats(struct core *core, struct outq *out);
void info_latencystats(struct core *core, struct outq *out);

/* --- info_data.c: the dataset and what becomes of it --- */
void info_persistence(struct core *core, struct outq *out);
void info_keyspace(struct core *core, struct outq *out);

#endif
