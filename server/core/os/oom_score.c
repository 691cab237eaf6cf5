/* The kernel's score of this process; the server and the snapshot child.
 *
 * `relative` (which `yes` means) adds to the score that the process had when the setting was switched on, `absolute`
 * replaces it. When it is switched off that score is given back, and from then on left alone: somebody else may set it,
 * and that one is what the next switching on begins with. */
#include "server/core/os/oom_score.h"

#include "repl/replication.h"
#include "server/core/core.h"
#include "server/core/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SCORE_FILE    "/proc/self/oom_score_adj"
#define SCORE_LIMIT   1000
#define CHILD_DEFAULT 800

static struct {
    bool ours;  /* set by us */
    int before; /* what it was */
} score;

static int read_score(int *out)
{
    FILE *f = fopen(SCORE_FILE, "re");
    if (!f) return -1;
    int fields = fscanf(f, "%d", out);
    fclose(f);
    if (fields == 1) return 0;
    errno = EIO;
    return -1;
}

static int write_score(int value)
{
    char text[16];
    int fd = open(SCORE_FILE, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (value > SCORE_LIMIT) value = SCORE_LIMIT;
    if (value < -SCORE_LIMIT) value = -SCORE_LIMIT;
    int len = snprintf(text, sizeof text, "%d", value);
    int status = write(fd, text, (size_t)len) == len ? 0 : -1, error = errno;
    close(fd);
    errno = error;
    return status;
}

static int give_back(void)
{
    if (!score.ours) return 0;
    if (write_score(score.before)) return -1;
    score.ours = false;
    return 0;
}

static int apply(const struct core *core, enum oom_score_class class_)
{
    const struct server_settings *settings = &core->settings->server;
    if (settings->oom_score_mode == OOM_SCORE_NO) return give_back();
    if (!score.ours && read_score(&score.before)) return -1;
    score.ours = true;
    int value = settings->oom_scores[class_];
    return write_score(settings->oom_score_mode == OOM_SCORE_ABSOLUTE ? value : score.before + value);
}

int oom_score_apply(const struct core *core)
{
    bool replica = core->replication && replication_is_replica(core->replication);
    return apply(core, replica ? OOM_SCORE_REPLICA : OOM_SCORE_MASTER);
}

void oom_score_apply_in_child(const struct core *core)
{
    if (core->settings->server.oom_score_mode == OOM_SCORE_NO)
        write_score(CHILD_DEFAULT);
    else
        apply(core, OOM_SCORE_CHILD);
}
