/* See stream_fault.h. Server process of the replica.
 *
 * A line of the log is written for each name of a command alone: a fleet whose master says a thousand times a second
 * what we do not know is not to fill a disk. Names come from the wire, so few are remembered; what comes after them
 * shares one more line. */
#include "server/core/run/stream_fault.h"

#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/request.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define NAMES_TOLD      64
#define NAME_BYTES      48
#define ARGUMENTS_SHOWN 8
#define ARGUMENT_BYTES  48
#define REQUEST_BYTES   512

struct stream_faults {
    char told[NAMES_TOLD][NAME_BYTES];
    int told_count;
    bool told_others;
    uint32_t judged; /* the reply's errors, as of the last judgement */
    char error[REPLY_ERROR_TEXT_BYTES];
    char reason[STREAM_FAULT_BYTES];
};

struct stream_faults *stream_faults_new(void)
{
    return mem_calloc(1, sizeof(struct stream_faults));
}

const char *stream_fault_reason(const struct stream_faults *f)
{
    return f->reason;
}

char *stream_fault_error_room(struct stream_faults *f)
{
    return f->error;
}

void stream_faults_forget(struct stream_faults *f)
{
    f->reason[0] = '\0';
}

void stream_fault_say(struct stream_faults *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->reason, sizeof f->reason, format, args);
    va_end(args);
}

/* --- text --- */

/* Ends where `out` does; what is not printable as \xHH. Returns the end. */
static char *add_clipped(char *at, const char *end, struct bytes text, size_t most)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < text.len && i < most && end - at > 4; i++) {
        uint8_t c = text.ptr[i];
        if (c >= ' ' && c <= '~') {
            *at++ = (char)c;
        } else {
            *at++ = '\\', *at++ = 'x', *at++ = hex[c >> 4], *at++ = hex[c & 15];
        }
    }
    if (text.len > most)
        for (int i = 0; i < 3 && at < end; i++) *at++ = '.';
    *at = '\0';
    return at;
}

static void clip_name(const struct request *r, char out[NAME_BYTES])
{
    if (r->command)
        snprintf(out, NAME_BYTES, "%s", r->command->full_name);
    else
        add_clipped(out, out + NAME_BYTES - 1, r->argv[0], NAME_BYTES - 8);
}

/* The command as it came, key and arguments clipped. */
static void clip_request(const struct request *r, char out[REQUEST_BYTES])
{
    char *at = out, *end = out + REQUEST_BYTES - 16;
    at = add_clipped(at, end, r->argv[0], NAME_BYTES);
    for (uint32_t i = 1; i < r->argc && i <= ARGUMENTS_SHOWN && end - at > 4; i++) {
        *at++ = ' ', *at++ = '\'';
        at = add_clipped(at, end - 2, r->argv[i], ARGUMENT_BYTES);
        *at++ = '\'';
    }
    *at = '\0';
    if (r->argc > ARGUMENTS_SHOWN + 1) snprintf(at, 16, " ...");
}

/* --- what is told --- */

static bool is_told(struct stream_faults *f, const char *name)
{
    for (int i = 0; i < f->told_count; i++)
        if (strcasecmp(f->told[i], name) == 0) return true;
    if (f->told_count < NAMES_TOLD) {
        snprintf(f->told[f->told_count++], NAME_BYTES, "%s", name);
        return false;
    }
    bool told = f->told_others;
    f->told_others = true;
    return told;
}

/* Without its code. What the text of an unknown command's error repeats stands behind it anyway. */
static void clip_error(const struct stream_faults *f, const struct request *r, char out[REPLY_ERROR_TEXT_BYTES])
{
    const char *error = strncmp(f->error, "ERR ", 4) == 0 ? f->error + 4 : f->error;
    add_clipped(out, out + REPLY_ERROR_TEXT_BYTES - 4, r->command ? bytes_from_text(error) : BYTES("unknown command"),
                REPLY_ERROR_TEXT_BYTES);
}

static void pass_over(struct core *core, const struct request *r)
{
    struct stream_faults *f = core->stream_faults;
    char name[NAME_BYTES], request[REQUEST_BYTES], error[REPLY_ERROR_TEXT_BYTES];
    core->stats->master_commands_ignored++;
    clip_name(r, name);
    if (is_told(f, name)) return;
    clip_request(r, request);
    clip_error(f, r, error);
    log_warning(
        "== CRITICAL == This replica is sending an error to its master: '%s' after processing the command '%s': "
        "%s. It is passed over, and so are the next ones, without a line%s",
        error, name, request, f->told_others ? ", and those of further names" : "");
}

static void end_stream(struct core *core, struct session *s, const struct request *r)
{
    char request[REQUEST_BYTES], error[REPLY_ERROR_TEXT_BYTES];
    clip_request(r, request);
    clip_error(core->stream_faults, r, error);
    stream_fault_say(core->stream_faults, "'%s' by %s", error, request);
    s->stream_broken = true;
}

/* --- the decision --- */

static bool may_pass_over(struct core *core, const struct request *r, uint64_t changes_before)
{
    if (core->settings->repl.unknown_command == UNKNOWN_COMMAND_IGNORE) return true;
    if (!request_is_well_formed(r)) return false;
    if (!core->settings->repl.read_only) return true;
    if (r->command->row->flags & CMD_RUNS_QUEUE) return true; /* its commands have been judged */
    if (!(r->command->row->flags & (CMD_WRITE | CMD_MAY_REPLICATE))) return true;
    return persistence_state(core)->changes_since_save != changes_before;
}

void stream_fault_judge(struct core *core, struct session *s, const struct request *r, uint64_t changes_before)
{
    struct stream_faults *f = core->stream_faults;
    if (f->judged == s->reply.errors) return;
    f->judged = s->reply.errors;
    core->stats->unexpected_error_replies++;
    if (s->stream_broken) return;
    if (may_pass_over(core, r, changes_before))
        pass_over(core, r);
    else
        end_stream(core, s, r);
}
