/* All faults, in the order of --help. */
#include "bench/lab/faults/faults.h"

#include <string.h>

const struct fault *const faults[] = {
    &fault_cut,
    &fault_reset,
    &fault_stall,
    &fault_half_open,
    &fault_deaf,
    &fault_slow,
    &fault_delay,
    &fault_cut_stream,
    &fault_replica_frozen,
    &fault_replica_killed,
    &fault_replica_restarted,
    &fault_master_restarted,
    &fault_link_killed,
    &fault_sibling_promoted,
    &fault_old_master_returns,
    &fault_split_brain,
    &fault_chain_middle_gone,
    &fault_big_value,
    &fault_backlog_met,
    &fault_backlog_missed,
    &fault_cut_snapshot,
    &fault_replica_emptied,
    &fault_master_killed,
    &fault_master_frozen,
    &fault_eight_replicas,
    &fault_address_changes,
    &fault_snapshot_killed,
    &fault_link_frozen,
    &fault_snapshot_frozen,
    NULL,
};

const struct fault *fault_by_name(const char *name)
{
    for (int i = 0; faults[i]; i++)
        if (strcmp(faults[i]->name, name) == 0) return faults[i];
    return NULL;
}
