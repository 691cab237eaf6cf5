/* Directives whose value has a grammar of its own. Server process.
 *
 * Each first checks everything and then stores, so that a refused value leaves the old one whole. */
#include "server/core/config/config_parts.h"

#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/core/clients/clients.h"
#include "server/core/lifecycle.h"
#include "server/core/run/call.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static bool refuse(char message[CONFIG_MESSAGE_MAX], const char *text)
{
    snprintf(message, CONFIG_MESSAGE_MAX, "%s", text);
    return false;
}

/* One empty argument is how a list without elements is written. */
static uint32_t count_elements(uint32_t argc, const struct bytes *argv)
{
    return argc == 1 && !argv[0].len ? 0 : argc;
}

/* --- save --- */

static bool save_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                       char message[CONFIG_MESSAGE_MAX])
{
    (void)d;
    struct server_settings *s = &c->settings->server;
    argc = count_elements(argc, argv);
    bool adds = argc && c->reading && c->save_given;
    int before = adds ? s->save_point_count : 0;
    if (argc % 2 || before + argc / 2 > SAVE_POINTS_MAX) return refuse(message, "Invalid save parameters");
    struct save_point points[SAVE_POINTS_MAX] = {0};
    for (uint32_t i = 0; i < argc; i += 2) {
        int64_t seconds, changes;
        if (parse_i64(argv[i], &seconds) || parse_i64(argv[i + 1], &changes) || seconds < 1 || changes < 0)
            return refuse(message, "Invalid save parameters");
        points[i / 2] = (struct save_point){seconds, (uint64_t)changes};
    }
    memcpy(s->save_points + before, points, argc / 2 * sizeof *points);
    s->save_point_count = before + (int)argc / 2;
    c->save_given |= c->reading;
    return true;
}

static void add_save_point(const struct save_point *p, struct config_text *out)
{
    config_text_printf(out, "%lld %llu", (long long)p->seconds, (unsigned long long)p->changes);
}

static void save_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct server_settings *s = &c->settings->server;
    for (int i = 0; i < s->save_point_count; i++) {
        if (i) config_text_add(out, BYTES(" "));
        add_save_point(&s->save_points[i], out);
    }
}

static void save_lines(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct server_settings *s = &c->settings->server;
    for (int i = 0; i < s->save_point_count; i++) {
        add_save_point(&s->save_points[i], out);
        config_text_add(out, BYTES("\n"));
    }
    if (!s->save_point_count) config_text_add(out, BYTES("\"\"\n"));
}

const struct directive_grammar save_grammar = {save_parse, save_format, save_lines};

/* --- bind --- */

static bool bind_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                       char message[CONFIG_MESSAGE_MAX])
{
    (void)d;
    struct net_settings *net = &c->settings->net;
    argc = count_elements(argc, argv);
    if (argc > BIND_MAX) return refuse(message, "Too many bind addresses specified.");
    for (uint32_t i = 0; i < argc; i++) directive_replace_text(&net->bind[i], argv[i], false);
    for (uint32_t i = argc; i < BIND_MAX; i++) directive_replace_text(&net->bind[i], BYTES(""), true);
    net->bind_count = (int)argc;
    return true;
}

static void bind_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    for (int i = 0; i < c->settings->net.bind_count; i++)
        config_text_printf(out, "%s%s", i ? " " : "", c->settings->net.bind[i]);
}

static void bind_lines(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct net_settings *net = &c->settings->net;
    if (!net->bind_count) config_text_add(out, BYTES("\"\""));
    for (int i = 0; i < net->bind_count; i++) {
        if (i) config_text_add(out, BYTES(" "));
        config_text_word(out, bytes_from_text(net->bind[i]));
    }
    config_text_add(out, BYTES("\n"));
}

const struct directive_grammar bind_grammar = {bind_parse, bind_format, bind_lines};

/* --- client-output-buffer-limit --- */

static const struct enum_name limit_classes[] = {
    {"normal", CLIENT_NORMAL}, {"replica", CLIENT_REPLICA}, {"slave", CLIENT_REPLICA}, {"pubsub", CLIENT_PUBSUB}, {0}};

static bool output_limit_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                               char message[CONFIG_MESSAGE_MAX])
{
    (void)d;
    struct settings *s = c->settings;
    if (argc % 4) return refuse(message, "Wrong number of arguments in buffer limit configuration.");
    struct output_limit limits[CLIENT_CLASSES];
    memcpy(limits, s->net.output_limits, sizeof limits);
    for (uint32_t i = 0; i < argc; i += 4) {
        int class_ = config_enum_value(limit_classes, argv[i], -1);
        if (class_ < 0) return refuse(message, "Invalid client class specified in buffer limit configuration.");
        struct output_limit *l = &limits[class_];
        int64_t seconds;
        if (parse_memory(argv[i + 1], &l->hard_bytes) || parse_memory(argv[i + 2], &l->soft_bytes) ||
            parse_i64(argv[i + 3], &seconds) || seconds < 0 || seconds > INT_MAX)
            return refuse(message, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        l->soft_s = (int)seconds;
    }
    memcpy(s->net.output_limits, limits, sizeof limits);
    s->repl.output_hard_bytes = limits[CLIENT_REPLICA].hard_bytes;
    s->repl.output_soft_bytes = limits[CLIENT_REPLICA].soft_bytes;
    s->repl.output_soft_s = limits[CLIENT_REPLICA].soft_s;
    return true;
}

static void add_limit(const struct config *c, enum client_class class_, const char *name, const char *end,
                      struct config_text *out)
{
    const struct output_limit *l = &c->settings->net.output_limits[class_];
    config_text_printf(out, "%s %llu %llu %d%s", name, (unsigned long long)l->hard_bytes,
                       (unsigned long long)l->soft_bytes, l->soft_s, end);
}

static void output_limit_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    add_limit(c, CLIENT_NORMAL, "normal", " ", out);
    add_limit(c, CLIENT_REPLICA, "slave", " ", out); /* clients of CONFIG GET know it by this name */
    add_limit(c, CLIENT_PUBSUB, "pubsub", "", out);
}

static void add_limit_line(const struct config *c, enum client_class class_, const char *name, struct config_text *out)
{
    const struct output_limit *l = &c->settings->net.output_limits[class_];
    config_text_printf(out, "%s ", name);
    config_text_size(out, l->hard_bytes);
    config_text_add(out, BYTES(" "));
    config_text_size(out, l->soft_bytes);
    config_text_printf(out, " %d\n", l->soft_s);
}

static void output_limit_lines(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    add_limit_line(c, CLIENT_NORMAL, "normal", out);
    add_limit_line(c, CLIENT_REPLICA, "replica", out);
    add_limit_line(c, CLIENT_PUBSUB, "pubsub", out);
}

const struct directive_grammar output_limit_grammar = {output_limit_parse, output_limit_format, output_limit_lines};

/* --- replicaof --- */

static bool replicaof_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                            char message[CONFIG_MESSAGE_MAX])
{
    (void)d;
    struct repl_settings *repl = &c->settings->repl;
    argc = count_elements(argc, argv);
    if (argc != 2 && argc != 0) return refuse(message, "wrong number of arguments");
    bool none = !argc || (bytes_equal_nocase(argv[0], "no") && bytes_equal_nocase(argv[1], "one"));
    int64_t port = 0;
    if (!none && (parse_i64(argv[1], &port) || port < 0 || port > 65535)) return refuse(message, "Invalid master port");
    directive_replace_text(&repl->master_host, none ? BYTES("") : argv[0], true);
    repl->master_port = (int)port;
    return true;
}

static void replicaof_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct repl_settings *repl = &c->settings->repl;
    if (repl->master_host) config_text_printf(out, "%s %d", repl->master_host, repl->master_port);
}

static void replicaof_lines(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct repl_settings *repl = &c->settings->repl;
    if (!repl->master_host) return;
    config_text_word(out, bytes_from_text(repl->master_host));
    config_text_printf(out, " %d\n", repl->master_port);
}

const struct directive_grammar replicaof_grammar = {replicaof_parse, replicaof_format, replicaof_lines};

/* --- dir: the working directory itself, so what is relative below it in the file is relative to it --- */

static bool dir_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                      char message[CONFIG_MESSAGE_MAX])
{
    (void)argc;
    char absolute[PATH_MAX], *path = bytes_to_text(argv[0]);
    bool good = !chdir(path) && getcwd(absolute, sizeof absolute);
    if (good)
        directive_replace_text(directive_place(c, d), bytes_from_text(absolute), false);
    else
        refuse(message, strerror(errno));
    mem_free(path);
    return good;
}

static void dir_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    config_text_printf(out, "%s", *(char *const *)directive_place(c, d));
}

static void dir_lines(const struct config *c, const struct directive *d, struct config_text *out)
{
    config_text_quoted(out, bytes_from_text(*(char *const *)directive_place(c, d)));
    config_text_add(out, BYTES("\n"));
}

const struct directive_grammar dir_grammar = {dir_parse, dir_format, dir_lines};

/* --- notify-keyspace-events --- */

static const struct notify_letter {
    char letter;
    uint32_t class_;
} notify_letters[] = {{'g', NOTIFY_GENERIC},  {'$', NOTIFY_STRING},  {'l', NOTIFY_LIST},    {'s', NOTIFY_SET},
                      {'h', NOTIFY_HASH},     {'z', NOTIFY_ZSET},    {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
                      {'t', NOTIFY_STREAM},   {'d', NOTIFY_MODULE},  {'n', NOTIFY_NEW},     {'K', NOTIFY_KEYSPACE},
                      {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_KEY_MISS}};

/* 'A': every class but those that are too many to be meant by "all". */
#define NOTIFY_ALL                                                                                                     \
    (NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET | NOTIFY_EXPIRED |          \
     NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE)
#define NOTIFY_LETTERS (sizeof notify_letters / sizeof *notify_letters)

static bool notify_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                         char message[CONFIG_MESSAGE_MAX])
{
    (void)argc;
    uint32_t classes = 0;
    for (size_t i = 0; i < argv[0].len; i++) {
        char letter = (char)argv[0].ptr[i];
        size_t at = 0;
        while (at < NOTIFY_LETTERS && notify_letters[at].letter != letter) at++;
        if (at == NOTIFY_LETTERS && letter != 'A')
            return refuse(message, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        classes |= letter == 'A' ? NOTIFY_ALL : notify_letters[at].class_;
    }
    *(uint32_t *)directive_place(c, d) = classes;
    return true;
}

static void notify_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    uint32_t classes = *(const uint32_t *)directive_place(c, d);
    bool all = (classes & NOTIFY_ALL) == NOTIFY_ALL;
    if (all) config_text_add(out, BYTES("A"));
    for (size_t i = 0; i < NOTIFY_LETTERS; i++) {
        const struct notify_letter *l = &notify_letters[i];
        if ((classes & l->class_) && !(all && (l->class_ & (NOTIFY_ALL | NOTIFY_NEW))))
            config_text_printf(out, "%c", l->letter);
    }
}

static void notify_lines(const struct config *c, const struct directive *d, struct config_text *out)
{
    struct config_text plain = {0};
    notify_format(c, d, &plain);
    config_text_quoted(out, config_text_bytes(&plain));
    config_text_add(out, BYTES("\n"));
    config_text_free(&plain);
}

const struct directive_grammar notify_grammar = {notify_parse, notify_format, notify_lines};

/* --- shutdown-on-sigint, shutdown-on-sigterm --- */

static const struct enum_name shutdown_words[] = {
    {"default", 0},        {"save", SHUTDOWN_SAVE},   {"nosave", SHUTDOWN_NOSAVE},
    {"now", SHUTDOWN_NOW}, {"force", SHUTDOWN_FORCE}, {0}};

static bool no_shutdown_word(char message[CONFIG_MESSAGE_MAX])
{
    config_enum_refusal(shutdown_words, message);
    return false;
}

static bool shutdown_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                           char message[CONFIG_MESSAGE_MAX])
{
    int flags = 0;
    if (argc == 0) return no_shutdown_word(message); /* `default` is a word, too */
    for (uint32_t i = 0; i < argc; i++) {
        int flag = config_enum_value(shutdown_words, argv[i], -1);
        if (flag < 0) return no_shutdown_word(message);
        flags |= flag;
    }
    if ((flags & SHUTDOWN_SAVE) && (flags & SHUTDOWN_NOSAVE))
        return refuse(message, "shutdown options SAVE and NOSAVE can't be used simultaneously");
    *(int *)directive_place(c, d) = flags;
    return true;
}

static void shutdown_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    int flags = *(const int *)directive_place(c, d);
    if (!flags) config_text_printf(out, "%s", shutdown_words[0].name);
    for (const struct enum_name *w = shutdown_words + 1; w->name; w++) {
        if (flags & w->value) config_text_printf(out, "%s%s", out->len ? " " : "", w->name);
    }
}

const struct directive_grammar shutdown_grammar = {shutdown_parse, shutdown_format, NULL};

/* --- latency-tracking-info-percentiles --- */

static bool percentiles_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                              char message[CONFIG_MESSAGE_MAX])
{
    (void)d;
    struct server_settings *s = &c->settings->server;
    argc = count_elements(argc, argv);
    double percentiles[PERCENTILES_MAX];
    if (argc > PERCENTILES_MAX) return refuse(message, "Too many latency-tracking-info-percentiles parameters");
    for (uint32_t i = 0; i < argc; i++) {
        if (parse_double(argv[i], &percentiles[i]))
            return refuse(message, "Invalid latency-tracking-info-percentiles parameters");
        if (percentiles[i] < 0 || percentiles[i] > 100)
            return refuse(message, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    memcpy(s->latency_percentiles, percentiles, argc * sizeof *percentiles);
    s->latency_percentile_count = (int)argc;
    return true;
}

static void percentiles_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct server_settings *s = &c->settings->server;
    for (int i = 0; i < s->latency_percentile_count; i++) {
        char number[DOUBLE_TEXT_MAX];
        size_t len = format_double(number, s->latency_percentiles[i]);
        config_text_printf(out, "%s%.*s", i ? " " : "", (int)len, number);
    }
}

const struct directive_grammar percentiles_grammar = {percentiles_parse, percentiles_format, NULL};

/* --- maxmemory-clients: bytes, or a percentage of maxmemory --- */

static bool client_memory_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                                char message[CONFIG_MESSAGE_MAX])
{
    (void)d, (void)argc;
    struct net_settings *net = &c->settings->net;
    struct bytes value = argv[0];
    bool relative = value.len && value.ptr[value.len - 1] == '%';
    int64_t percent = 0;
    uint64_t bytes = 0;
    if (relative ? parse_i64(bytes_make(value.ptr, value.len - 1), &percent) || percent < 0
                 : parse_memory(value, &bytes))
        return refuse(message, "argument must be a memory or percent value");
    if (percent > 100) return refuse(message, "percentage argument must be less or equal to 100");
    net->maxmemory_clients_bytes = bytes;
    net->maxmemory_clients_percent = (int)percent;
    return true;
}

static void client_memory_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    (void)d;
    const struct net_settings *net = &c->settings->net;
    if (net->maxmemory_clients_percent)
        config_text_printf(out, "%d%%", net->maxmemory_clients_percent);
    else
        config_text_printf(out, "%llu", (unsigned long long)net->maxmemory_clients_bytes);
}

const struct directive_grammar client_memory_grammar = {client_memory_parse, client_memory_format, NULL};

/* --- oom-score-adj-values: for the server, replicas, background children --- */

static bool oom_score_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                            char message[CONFIG_MESSAGE_MAX])
{
    int64_t scores[OOM_SCORE_CLASSES];
    int *values = directive_place(c, d);
    if (argc != OOM_SCORE_CLASSES) return refuse(message, "wrong number of arguments");
    for (int i = 0; i < OOM_SCORE_CLASSES; i++) {
        if (parse_i64(argv[i], &scores[i]) || scores[i] < -2000 || scores[i] > 2000)
            return refuse(message, "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    }
    for (int i = 0; i < OOM_SCORE_CLASSES; i++) values[i] = (int)scores[i];
    return true;
}

static void oom_score_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    const int *values = directive_place(c, d);
    config_text_printf(out, "%d %d %d", values[OOM_SCORE_MASTER], values[OOM_SCORE_REPLICA], values[OOM_SCORE_CHILD]);
}

const struct directive_grammar oom_score_grammar = {oom_score_parse, oom_score_format, NULL};
