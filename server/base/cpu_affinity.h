/* On which processors this process's threads and children run: server_cpulist and its kind.
 *
 * What is set here at the start is entered by each thread and child itself. Without a list of its own a worker thread
 * runs where the process was started, not where the server has been put since, and so does the link process. */
#ifndef SLIPSTREAM_BASE_CPU_AFFINITY_H
#define SLIPSTREAM_BASE_CPU_AFFINITY_H

#include <sched.h>
#include <stdbool.h>

enum cpu_role { CPU_SERVER, CPU_WORKER, CPU_SNAPSHOT, CPU_REWRITE, CPU_ROLES };

/* "0-7:2,9": numbers, ranges and ranges with a step, as taskset(1) takes them. false: it is no such list, or names a
 * processor that cannot be. */
bool cpu_list_parse(const char *list, cpu_set_t *out);

/* Before the first thread. An empty list: none. false: as above, and nothing is set. */
bool cpu_affinity_set(enum cpu_role role, const char *list);
/* The calling thread takes its place. A role without a list: a worker goes where the process began, others stay. 0, or
 * -1 with errno: none of those processors may be used. */
int cpu_affinity_enter(enum cpu_role role);

/* What is started in between begins where the process did. */
void cpu_affinity_leave(cpu_set_t *before);
void cpu_affinity_return(const cpu_set_t *before);

#endif
