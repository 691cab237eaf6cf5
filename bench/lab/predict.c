/* See predict.h. */
#include "bench/lab/predict.h"

#include "repl/history.h"

#include <stdio.h>
#include <string.h>

static void read_history(const char *info, struct history *h, struct resync_window *window)
{
    char active[8] = "0";
    *h = (struct history){.second_offset = -1};
    info_text_of(info, "master_replid", h->id, sizeof h->id);
    info_text_of(info, "master_replid2", h->second_id, sizeof h->second_id);
    h->second_offset = info_number_of(info, "second_repl_offset");
    h->offset = (uint64_t)info_number_of(info, "master_repl_offset");
    info_text_of(info, "repl_backlog_active", active, sizeof active);
    window->present = active[0] == '1';
    window->first = (uint64_t)info_number_of(info, "repl_backlog_first_byte_offset");
    window->end = h->offset + 1;
}

/* What it will ask for: the byte behind the last one that it has, of the history that it knows. */
static long long asked(const char *info, char id[HISTORY_ID_TEXT])
{
    char role[16] = "";
    info_text_of(info, "role", role, sizeof role);
    info_text_of(info, "master_replid", id, HISTORY_ID_TEXT);
    return 1 + info_number_of(info, strcmp(role, "slave") == 0 ? "slave_repl_offset" : "master_repl_offset");
}

void predict(const struct fault *fault, int length_ms, int timeout_s, const char *master, const char *replica,
             struct prediction *out)
{
    *out = (struct prediction){.granted = GRANTED_NOTHING};
    if (!fault->breaks && length_ms < timeout_s * 1000) {
        snprintf(out->why, sizeof out->why, "the connection outlives it");
        return;
    }
    if (!master || !replica) {
        snprintf(out->why, sizeof out->why, "nothing is known of a server that does not answer");
        return;
    }
    struct history h;
    struct resync_window window;
    char id[HISTORY_ID_TEXT] = "";
    long long offset = asked(replica, id);
    read_history(master, &h, &window);
    struct resync_decision d = resync_decide(&h, &window, id, offset);
    out->granted = d.reason == RESYNC_CONTINUE ? GRANTED_PARTIAL : GRANTED_FULL;
    resync_explain(&d, &h, &window, id, offset, out->why);
}
