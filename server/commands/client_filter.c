/* Reading which clients CLIENT KILL and CLIENT LIST mean, and finding them. Server process. */
#include "server/commands/client_filter.h"

#include "repl/replication.h"
#include "server/acl/users.h"
#include "server/base/number.h"
#include "server/core/core.h"
#include "server/core/run/master_stream.h"
#include "server/net/loop.h"

bool client_filter_take_type(struct call *call, uint32_t arg, struct client_filter *f)
{
    static const struct {
        const char *name;
        enum client_class class_;
    } types[] = {{"normal", CLIENT_NORMAL},
                 {"slave", CLIENT_REPLICA},
                 {"replica", CLIENT_REPLICA},
                 {"pubsub", CLIENT_PUBSUB},
                 {"master", CLIENT_MASTER}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!call_arg_is(call, arg, types[i].name)) continue;
        f->class_ = types[i].class_;
        return true;
    }
    reply_errorf(call->reply, "ERR Unknown client type '%.*s'", (int)call->argv[arg].len,
                 (const char *)call->argv[arg].ptr);
    return false;
}

static bool take_skipme(struct call *call, uint32_t arg, struct client_filter *f)
{
    if (call_arg_is(call, arg, "yes")) return true;
    if (call_arg_is(call, arg, "no")) return f->skip = NULL, true;
    call_syntax_error(call);
    return false;
}

static bool take_option(struct call *call, uint32_t i, struct client_filter *f)
{
    int64_t number;
    if (call_arg_is(call, i, "id")) {
        if (!call_arg_range(call, i + 1, 1, INT64_MAX, &number, "ERR client-id should be greater than 0")) return false;
        f->ids = call->argv + i + 1;
        f->id_count = 1;
    } else if (call_arg_is(call, i, "type")) {
        return client_filter_take_type(call, i + 1, f);
    } else if (call_arg_is(call, i, "addr")) {
        f->address = call->argv[i + 1];
    } else if (call_arg_is(call, i, "laddr")) {
        f->local = call->argv[i + 1];
    } else if (call_arg_is(call, i, "user")) {
        if (!users_find(call->core->users, call->argv[i + 1])) {
            reply_errorf(call->reply, "ERR No such user '%.*s'", (int)call->argv[i + 1].len,
                         (const char *)call->argv[i + 1].ptr);
            return false;
        }
        f->user = call->argv[i + 1];
    } else if (call_arg_is(call, i, "skipme")) {
        return take_skipme(call, i + 1, f);
    } else {
        call_syntax_error(call);
        return false;
    }
    return true;
}

bool client_filter_read(struct call *call, uint32_t first, struct client_filter *f)
{
    if ((call->argc - first) % 2) return call_syntax_error(call), false;
    for (uint32_t i = first; i < call->argc; i += 2)
        if (!take_option(call, i, f)) return false;
    return true;
}

/* What a filter looks at. */
struct candidate {
    const struct session *session;
    enum client_class class_;
    const struct address *peer, *local;
};

static bool address_is(const struct address *a, struct bytes wanted)
{
    char text[ADDRESS_TEXT_MAX];
    address_text(a, text);
    return bytes_equal_text(wanted, text);
}

/* All but its id. */
static bool matches(const struct client_filter *f, const struct candidate *c)
{
    if (f->class_ >= 0 && c->class_ != (enum client_class)f->class_) return false;
    if (f->user.ptr && !bytes_equal(f->user, session_user_name(c->session))) return false;
    if (f->address.ptr && !address_is(c->peer, f->address)) return false;
    return !f->local.ptr || address_is(c->local, f->local);
}

static bool client_matches(const struct client_filter *f, const struct client *c)
{
    struct candidate candidate = {
        .session = &c->session,
        .class_ = client_class(c),
        .peer = c->unix_socket ? &c->local : &c->peer,
        .local = &c->local,
    };
    return !c->close_asap && c != f->skip && matches(f, &candidate);
}

static bool id_listed(const struct client_filter *f, uint64_t wanted)
{
    for (uint32_t i = 0; i < f->id_count; i++) {
        uint64_t id;
        if (parse_u64(f->ids[i], &id) == 0 && id == wanted) return true;
    }
    return false;
}

bool client_filter_matches_master(const struct client_filter *f, const struct core *core, uint64_t *id)
{
    struct master_link_view link;
    int64_t since_ms;
    if (!replication_master_link_view(core->replication, &link)) return false;
    struct candidate candidate = {
        .session = master_stream_session(core->master_stream, &since_ms),
        .class_ = CLIENT_MASTER,
        .peer = &link.master,
        .local = &link.own,
    };
    *id = candidate.session->id;
    return (!f->ids || id_listed(f, *id)) && matches(f, &candidate);
}

static void visit_listed(struct clients *clients, const struct client_filter *f,
                         void (*visit)(void *arg, struct client *c), void *arg)
{
    for (uint32_t i = 0; i < f->id_count; i++) {
        uint64_t id;
        struct client *c = parse_u64(f->ids[i], &id) == 0 ? clients_find(clients, id) : NULL;
        if (c && client_matches(f, c)) visit(arg, c);
    }
}

void client_filter_each(struct clients *clients, const struct client_filter *f,
                        void (*visit)(void *arg, struct client *c), void *arg)
{
    if (f->ids) {
        visit_listed(clients, f, visit, arg);
        return;
    }
    list_each(clients_all(clients), node)
    {
        struct client *c = list_entry(node, struct client, node);
        if (client_matches(f, c)) visit(arg, c);
    }
}
