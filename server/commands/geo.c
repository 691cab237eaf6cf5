/* Positions in a sorted set: added, read back, measured. Searching stands in geo_search.c. Server process. */
#include "server/base/alloc.h"
#include "server/commands/geo_search.h"
#include "server/commands/tables.h"
#include "server/commands/zset_key.h"
#include "server/core/core.h"

#include <stdio.h>

/* --- arguments and answers that searching shares --- */

bool geo_point_argument(struct call *call, uint32_t arg, struct geo_point *out)
{
    if (!call_arg_double(call, arg, &out->longitude, NULL) || !call_arg_double(call, arg + 1, &out->latitude, NULL))
        return false;
    if (geo_point_valid(*out)) return true;
    reply_errorf(call->reply, "ERR invalid longitude,latitude pair %f,%f", out->longitude, out->latitude);
    return false;
}

bool geo_unit_argument(struct call *call, uint32_t arg, double *metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!call_arg_is(call, arg, units[i].name)) continue;
        *metres = units[i].metres;
        return true;
    }
    reply_error(call->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

void geo_reply_distance(struct reply *reply, double distance)
{
    reply_bulkf(reply, "%.4f", distance);
}

/* With more digits than a double has: the form that Redis answers in. */
static void reply_degrees(struct reply *reply, double degrees)
{
    char text[LONG_DOUBLE_TEXT_MAX + 4] = ",";
    size_t len = format_long_double(text + 1, degrees);
    if (reply->protocol < 3) return reply_bulk(reply, bytes_make(text + 1, len));
    memcpy(text + 1 + len, "\r\n", 2);
    reply_raw(reply, bytes_make(text, len + 3));
}

void geo_reply_point(struct reply *reply, struct geo_point p)
{
    reply_array(reply, 2);
    reply_degrees(reply, p.longitude);
    reply_degrees(reply, p.latitude);
}

/* --- GEOADD: a ZADD with scores made of positions, and that is what is propagated --- */

/* false: answered. */
static bool read_positions(struct call *call, uint32_t first, char (*scores)[I64_TEXT_MAX], struct bytes *argv)
{
    for (uint32_t i = 0; first + 3 * i < call->argc; i++) {
        struct geo_point p;
        if (!geo_point_argument(call, first + 3 * i, &p)) return false;
        argv[2 * i] = bytes_make(scores[i], format_u64(scores[i], geo_encode(p)));
        argv[2 * i + 1] = call->argv[first + 3 * i + 2];
    }
    return true;
}

static void run_zadd(struct call *call, uint32_t argc, const struct bytes *argv)
{
    struct call zadd = *call;
    zadd.argc = argc;
    zadd.argv = argv;
    zadd_command(&zadd);
    call->changes = zadd.changes;
    call->rewritten = zadd.rewritten;
    if (call->changes && !call->rewritten) call_rewrite(call, call->db, argc, argv);
}

static void geoadd_command(struct call *call)
{
    uint32_t first = 2;
    bool absent_only = false, present_only = false;
    for (; first < call->argc; first++) {
        if (call_arg_is(call, first, "nx"))
            absent_only = true;
        else if (call_arg_is(call, first, "xx"))
            present_only = true;
        else if (!call_arg_is(call, first, "ch"))
            break;
    }
    uint32_t rest = call->argc - first;
    if (rest % 3 || (absent_only && present_only)) return call_syntax_error(call);
    uint32_t argc = first + rest / 3 * 2;
    struct bytes *argv = mem_alloc(argc * sizeof *argv);
    char(*scores)[I64_TEXT_MAX] = mem_alloc((rest / 3 + 1) * sizeof *scores);
    memcpy(argv, call->argv, first * sizeof *argv);
    argv[0] = BYTES("zadd");
    if (read_positions(call, first, scores, argv + first)) run_zadd(call, argc, argv);
    mem_free(scores);
    mem_free(argv);
}

/* --- reading --- */

/* The sorted set at argv[1]. false: another type, answered. */
static bool open_zset(struct call *call, struct zset *out, bool *found)
{
    struct record *r = call_find_read(call, 1);
    if (call_wrong_type(call, r, TYPE_ZSET)) return false;
    *found = r != NULL;
    if (r) *out = (struct zset){record_encoding(r), record_object(r), record_object_inside(r)};
    return true;
}

static bool position_of(const struct zset *zset, struct bytes text, struct geo_point *out)
{
    struct packed_value member = packed_from(text);
    double score;
    if (!zset_score(zset, &member, &score)) return false;
    *out = geo_decode(score);
    return true;
}

static void geodist_command(struct call *call)
{
    double unit_m = 1;
    struct zset zset;
    struct geo_point a, b;
    bool found;
    if (call->argc > 5) return call_syntax_error(call);
    if (call->argc == 5 && !geo_unit_argument(call, 4, &unit_m)) return;
    if (!open_zset(call, &zset, &found)) return;
    if (found && position_of(&zset, call->argv[2], &a) && position_of(&zset, call->argv[3], &b))
        geo_reply_distance(call->reply, geo_distance_m(a, b) / unit_m);
    else
        reply_null(call->reply);
}

/* Of each member that is named, or that it is not there. */
static void reply_positions(struct call *call, void (*reply_position)(struct reply *reply, struct geo_point at),
                            void (*reply_absence)(struct reply *reply))
{
    struct zset zset;
    struct geo_point at;
    bool found;
    if (!open_zset(call, &zset, &found)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        if (found && position_of(&zset, call->argv[i], &at))
            reply_position(call->reply, at);
        else
            reply_absence(call->reply);
    }
}

static void reply_geohash(struct reply *reply, struct geo_point at)
{
    char text[12];
    geo_text(at, text);
    reply_bulk_text(reply, text);
}

static void geohash_command(struct call *call)
{
    reply_positions(call, reply_geohash, reply_null);
}

static void geopos_command(struct call *call)
{
    reply_positions(call, geo_reply_point, reply_null_array);
}

#define KEYS_OF_RADIUS(from_)                                                                                          \
    KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEYS_AFTER("STORE", from_, 0, 0, KEY_OW | KEY_UPDATE),                        \
         KEYS_AFTER("STOREDIST", from_, 0, 0, KEY_OW | KEY_UPDATE))

const struct command geo_commands[] = {
    {"geoadd", geoadd_command, -5, CMD_WRITE | CMD_DENYOOM, CAT_GEO, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"geodist", geodist_command, -4, CMD_READONLY, CAT_GEO, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"geohash", geohash_command, -2, CMD_READONLY, CAT_GEO, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"geopos", geopos_command, -2, CMD_READONLY, CAT_GEO, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"georadius", georadius_command, -6, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, CAT_GEO, KEYS_OF_RADIUS(6)},
    {"georadius_ro", georadius_ro_command, -6, CMD_READONLY, CAT_GEO, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"georadiusbymember", georadiusbymember_command, -5, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, CAT_GEO,
     KEYS_OF_RADIUS(5)},
    {"georadiusbymember_ro", georadiusbymember_ro_command, -5, CMD_READONLY, CAT_GEO, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"geosearch", geosearch_command, -7, CMD_READONLY, CAT_GEO, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"geosearchstore", geosearchstore_command, -8, CMD_WRITE | CMD_DENYOOM, CAT_GEO,
     KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS))},
    {.name = NULL},
};
