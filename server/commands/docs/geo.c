/* What COMMAND DOCS tells of the commands on positions. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"geoadd", "3.2.0", "Adds members with their positions to a sorted set.",
     "O(log(N)) per member with N members in the set",
     "key [condition<NX|XX>@6.2.0] [change=CH@6.2.0] data{longitude(double) latitude(double) member}...",
     .history = "6.2.0 CH, NX and XX."},
    {"geodist", "3.2.0", "Measures how far two members are apart.", "O(1)", "key member1 member2 [unit<M|KM|FT|MI>]"},
    {"geohash", "3.2.0", "Returns where members are, as geohash strings.", "O(1) per member", "key [member...]"},
    {"geopos", "3.2.0", "Returns members' longitudes and latitudes.", "O(1) per member", "key [member...]"},
    {"georadius", "3.2.0", "Finds the members of a sorted set within a distance of a position.",
     "O(N+log(M)) with N members around the area that is searched and M of them inside it",
     "key longitude(double) latitude(double) radius(double) unit<M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] "
     "[count-block{COUNT count(integer) [ANY@6.2.0]}] [order<ASC|DESC>] "
     "[store<STORE storekey=key(key1)|STOREDIST storedistkey=key(key2)>]",
     .history = "6.2.0 ANY after COUNT.\n"
                "7.0.0 Units in upper case too.",
     .deprecated_since = "6.2.0", .replaced_by = "GEOSEARCH and GEOSEARCHSTORE with BYRADIUS"},
    {"georadius_ro", "3.2.10",
     "Finds the members of a sorted set within a distance of a position, and never stores them.",
     "O(N+log(M)) with N members around the area that is searched and M of them inside it",
     "key longitude(double) latitude(double) radius(double) unit<M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] "
     "[count-block{COUNT count(integer) [ANY@6.2.0]}] [order<ASC|DESC>]",
     .history = "6.2.0 ANY after COUNT.", .deprecated_since = "6.2.0", .replaced_by = "GEOSEARCH with BYRADIUS"},
    {"georadiusbymember", "3.2.0", "Finds the members of a sorted set within a distance of one of them.",
     "O(N+log(M)) with N members around the area that is searched and M of them inside it",
     "key member radius(double) unit<M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] "
     "[count-block{COUNT count(integer) [ANY]}] [order<ASC|DESC>] "
     "[store<STORE storekey=key(key1)|STOREDIST storedistkey=key(key2)>]",
     .history = "7.0.0 Units in upper case too.", .deprecated_since = "6.2.0",
     .replaced_by = "GEOSEARCH and GEOSEARCHSTORE with FROMMEMBER and BYRADIUS"},
    {"georadiusbymember_ro", "3.2.10",
     "Finds the members of a sorted set within a distance of one of them, and never stores them.",
     "O(N+log(M)) with N members around the area that is searched and M of them inside it",
     "key member radius(double) unit<M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] "
     "[count-block{COUNT count(integer) [ANY]}] [order<ASC|DESC>]",
     .deprecated_since = "6.2.0", .replaced_by = "GEOSEARCH with FROMMEMBER and BYRADIUS"},
    {"geosearch", "6.2.0", "Finds members inside a circle or a box.",
     "O(N+log(M)) with N members around the area that is searched and M of them inside it",
     "key from<FROMMEMBER member|FROMLONLAT fromlonlat{longitude(double) latitude(double)}> "
     "by<circle{BYRADIUS radius(double) unit<M|KM|FT|MI>}|box{BYBOX width(double) height(double) unit<M|KM|FT|MI>}> "
     "[order<ASC|DESC>] [count-block{COUNT count(integer) [ANY]}] [WITHCOORD] [WITHDIST] [WITHHASH]",
     .history = "7.0.0 Units in upper case too."},
    {"geosearchstore", "6.2.0", "Stores the members inside a circle or a box as another sorted set.",
     "O(N+log(M)) with N members around the area that is searched and M of them inside it",
     "destination(key) source(key1) from<FROMMEMBER member|FROMLONLAT fromlonlat{longitude(double) "
     "latitude(double)}> by<circle{BYRADIUS radius(double) unit<M|KM|FT|MI>}|box{BYBOX width(double) height(double) "
     "unit<M|KM|FT|MI>}> [order<ASC|DESC>] [count-block{COUNT count(integer) [ANY]}] [STOREDIST]",
     .history = "7.0.0 Units in upper case too."},
    {.name = NULL},
};

const struct command_docs geo_docs = {"geo", docs};
