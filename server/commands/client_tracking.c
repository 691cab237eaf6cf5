/* CLIENT TRACKING, TRACKINGINFO, CACHING and GETREDIR: what a client asks of core/tracking/. Server process. */
#include "server/commands/client_tracking.h"

#include "server/base/alloc.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/tracking/tracking.h"

/* What a request asks for. */
struct wish {
    uint8_t modes;
    uint64_t redirect;
    struct bytes *prefixes; /* owned; room for as many as there are arguments */
    size_t prefix_count;
};

static bool take_redirect(struct call *call, uint32_t arg, struct wish *w)
{
    int64_t id;
    if (w->redirect) return reply_error(call->reply, "ERR A client can only redirect to a single other client"), false;
    if (!call_arg_i64(call, arg, &id, NULL)) return false;
    const struct client *c = clients_find(call->core->clients, (uint64_t)id);
    if (!c || c->close_asap) {
        reply_error(call->reply, "ERR The client ID you want redirect to does not exist");
        return false;
    }
    w->redirect = (uint64_t)id;
    return true;
}

static bool read_wish(struct call *call, struct wish *w)
{
    static const struct {
        const char *word;
        enum session_tracking mode;
    } modes[] = {
        {"bcast", TRACKING_BCAST}, {"optin", TRACKING_OPTIN}, {"optout", TRACKING_OPTOUT}, {"noloop", TRACKING_NOLOOP}};
    for (uint32_t i = 3; i < call->argc; i++) {
        size_t mode = 0;
        if (call_arg_is(call, i, "redirect") && i + 1 < call->argc) {
            if (!take_redirect(call, ++i, w)) return false;
            continue;
        }
        if (call_arg_is(call, i, "prefix") && i + 1 < call->argc) {
            w->prefixes[w->prefix_count++] = call->argv[++i];
            continue;
        }
        while (mode < sizeof modes / sizeof *modes && !call_arg_is(call, i, modes[mode].word)) mode++;
        if (mode == sizeof modes / sizeof *modes) return call_syntax_error(call), false;
        w->modes |= modes[mode].mode;
    }
    return true;
}

/* NULL: these modes go together, and with those that the session has. */
static const char *mode_conflict(const struct session *s, const struct wish *w)
{
    uint8_t wanted = w->modes, has = s->tracking;
    if (w->prefix_count && !(wanted & TRACKING_BCAST)) return "ERR PREFIX option requires BCAST mode to be enabled";
    if (has && (has ^ wanted) & TRACKING_BCAST)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling "
               "it with a different mode.";
    if ((wanted & TRACKING_BCAST) && (wanted & (TRACKING_OPTIN | TRACKING_OPTOUT)))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if ((wanted & TRACKING_OPTIN) && (wanted & TRACKING_OPTOUT))
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if (((wanted & TRACKING_OPTIN) && (has & TRACKING_OPTOUT)) ||
        ((wanted & TRACKING_OPTOUT) && (has & TRACKING_OPTIN)))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling "
               "it with a different mode.";
    return NULL;
}

static bool refuse_overlap(struct call *call, struct bytes prefix, const char *with, struct bytes other)
{
    reply_errorf(call->reply,
                 "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.",
                 (int)prefix.len, (const char *)prefix.ptr, with, (int)other.len, (const char *)other.ptr);
    return false;
}

static bool overlap(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    return bytes_equal(bytes_make(a.ptr, shorter), bytes_make(b.ptr, shorter));
}

static bool prefixes_fit(struct call *call, const struct wish *w)
{
    for (size_t i = 0; i < w->prefix_count; i++) {
        struct bytes mine = tracking_overlapping_prefix(call->session, w->prefixes[i]);
        if (mine.ptr) return refuse_overlap(call, w->prefixes[i], "an existing", mine);
        for (size_t j = i + 1; j < w->prefix_count; j++)
            if (overlap(w->prefixes[i], w->prefixes[j]))
                return refuse_overlap(call, w->prefixes[i], "another provided", w->prefixes[j]);
    }
    return true;
}

static void switch_tracking(struct call *call, const struct wish *w)
{
    struct tracking *t = call->core->tracking;
    if (call_arg_is(call, 2, "off")) {
        tracking_stop(t, call->session);
    } else if (call_arg_is(call, 2, "on")) {
        const char *conflict = mode_conflict(call->session, w);
        if (conflict) return reply_error(call->reply, conflict);
        if (!prefixes_fit(call, w)) return;
        tracking_start(t, call->session, w->modes, w->redirect, w->prefixes, w->prefix_count);
    } else {
        return call_syntax_error(call);
    }
    reply_ok(call->reply);
}

void client_tracking(struct call *call)
{
    struct wish w = {.prefixes = mem_alloc(call->argc * sizeof *w.prefixes)};
    if (read_wish(call, &w)) switch_tracking(call, &w);
    mem_free(w.prefixes);
}

void client_caching(struct call *call)
{
    struct session *s = call->session;
    bool yes = call_arg_is(call, 2, "yes");
    if (!s->tracking)
        return reply_error(call->reply,
                           "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                           "OPTIN or OPTOUT mode enabled");
    if (!yes && !call_arg_is(call, 2, "no")) return call_syntax_error(call);
    if (yes && !(s->tracking & TRACKING_OPTIN))
        return reply_error(call->reply, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    if (!yes && !(s->tracking & TRACKING_OPTOUT))
        return reply_error(call->reply, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    tracking_say_caching(call->core->tracking, s, call->command);
    reply_ok(call->reply);
}

void client_getredir(struct call *call)
{
    const struct session *s = call->session;
    reply_integer(call->reply, s->tracking ? (int64_t)tracking_redirect(s) : -1);
}

static void reply_flags(struct call *call)
{
    const struct session *s = call->session;
    const char *words[8];
    size_t count = 0;
    words[count++] = s->tracking ? "on" : "off";
    if (s->tracking & TRACKING_BCAST) words[count++] = "bcast";
    if (s->tracking & TRACKING_OPTIN) words[count++] = "optin";
    if ((s->tracking & TRACKING_OPTIN) && s->caching_said) words[count++] = "caching-yes";
    if (s->tracking & TRACKING_OPTOUT) words[count++] = "optout";
    if ((s->tracking & TRACKING_OPTOUT) && s->caching_said) words[count++] = "caching-no";
    if (s->tracking & TRACKING_NOLOOP) words[count++] = "noloop";
    if (s->tracking & TRACKING_BROKEN_REDIRECT) words[count++] = "broken_redirect";
    reply_set(call->reply, count);
    for (size_t i = 0; i < count; i++) reply_bulk_text(call->reply, words[i]);
}

void client_trackinginfo(struct call *call)
{
    const struct session *s = call->session;
    size_t count = tracking_prefix_count(s);
    struct bytes *prefixes = mem_alloc((count + 1) * sizeof *prefixes);
    tracking_list_prefixes(s, prefixes);
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "flags");
    reply_flags(call);
    reply_bulk_text(call->reply, "redirect");
    client_getredir(call);
    reply_bulk_text(call->reply, "prefixes");
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) reply_bulk(call->reply, prefixes[i]);
    mem_free(prefixes);
}
