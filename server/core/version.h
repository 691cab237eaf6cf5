/* Who we say we are: the Redis whose behaviour clients may expect, and our own version. */
#ifndef SLIPSTREAM_CORE_VERSION_H
#define SLIPSTREAM_CORE_VERSION_H

#define REDIS_VERSION      "7.2.4"
#define REDIS_VERSION_NUM  0x00070204
#define SLIPSTREAM_VERSION "0.1.0"

#endif
