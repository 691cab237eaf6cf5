/* A stream's node as RDB files have it: entries 1-1 and 2-0, each "f" -> "v". */
#ifndef HARNESS_STREAM_NODE_H
#define HARNESS_STREAM_NODE_H

#define STREAM_NODE                                                                                                    \
    "\x10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"                                                                             \
    "\x29\x29\0\0\0\x0f\0\x02\x01\0\x01\x01\x01\x81"                                                                   \
    "f\x02\0\x01\x02\x01\0\x01\0\x01\x81"                                                                              \
    "v\x02\x04\x01\x02\x01\x01\x01\xdf\xff\x02\x81"                                                                    \
    "v\x02\x04\x01\xff"

#endif
