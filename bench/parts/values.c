/* Values of each type, written into any server. */
#include "bench/parts/values.h"

#include "bench/parts/load.h"

#include <stdio.h>

/* fill_each's formats: of a key with its elements; and, once the value's number stands in it, of an element. */
static const struct {
    const char *small, *large;
} formats[VALUE_KINDS] = {
    [A_LIST] = {"RPUSH list:%08ld element:0 element:1 element:2 element:3 element:4 element:5 element:6 element:7 "
                "element:8 element:9",
                "RPUSH large:list:%d element:%%07ld"},
    [A_HASH] = {"HSET hash:%08ld field:0 value:0 field:1 value:1 field:2 value:2 field:3 value:3 field:4 value:4 "
                "field:5 value:5 field:6 value:6 field:7 value:7 field:8 value:8 field:9 value:9",
                "HSET large:hash:%d field:%%09ld value:%%09ld"},
    [A_SET] = {"SADD set:%08ld member:0 member:1 member:2 member:3 member:4 member:5 member:6 member:7 member:8 "
               "member:9",
               "SADD large:set:%d member:%%08ld"},
    [AN_INTSET] = {"SADD intset:%08ld 0 1 2 3 4 5 6 7 8 9", "SADD large:intset:%d %%ld"},
    [A_ZSET] = {"ZADD zset:%08ld 0 member:0 1 member:1 2 member:2 3 member:3 4 member:4 5 member:5 6 member:6 "
                "7 member:7 8 member:8 9 member:9",
                "ZADD large:zset:%d %%ld member:%%08ld"},
    [A_STREAM] = {"XADD stream:%08ld 1-1 field:0 value:0 field:1 value:1 field:2 value:2 field:3 value:3 "
                  "field:4 value:4 field:5 value:5 field:6 value:6 field:7 value:7 field:8 value:8 field:9 value:9",
                  "XADD large:stream:%d 1-%%ld field value:%%09ld"},
};

void fill_small_values(struct server *s, enum value_kind kind, long keys)
{
    fill_each(s, 0, keys, formats[kind].small);
}

void fill_large_value(struct server *s, enum value_kind kind, int number, long elements)
{
    char format[128];
    snprintf(format, sizeof format, formats[kind].large, number);
    fill_each(s, 1, elements + 1, format);
}
