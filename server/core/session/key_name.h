/* The name of a key of one database, for maps that hold keys of all of them (WATCH, blocked clients, a replica's own
 * keys): the database's number in KEY_NAME_DB_BYTES, then the key. */
#ifndef SLIPSTREAM_CORE_SESSION_KEY_NAME_H
#define SLIPSTREAM_CORE_SESSION_KEY_NAME_H

#include "server/base/alloc.h"
#include "server/base/bytes.h"

#include <string.h>

#define KEY_NAME_DB_BYTES   sizeof(int)
#define KEY_NAME_ROOM_BYTES 256

static inline void key_name_write(uint8_t *out, int db, struct bytes key)
{
    memcpy(out, &db, KEY_NAME_DB_BYTES);
    if (key.len) memcpy(out + KEY_NAME_DB_BYTES, key.ptr, key.len);
}

/* In `room` when the key is short; key_name_free() gives it back. */
static inline struct bytes key_name_make(int db, struct bytes key, uint8_t room[KEY_NAME_ROOM_BYTES])
{
    size_t len = KEY_NAME_DB_BYTES + key.len;
    uint8_t *name = len > KEY_NAME_ROOM_BYTES ? mem_alloc(len) : room;
    key_name_write(name, db, key);
    return bytes_make(name, len);
}

static inline void key_name_free(struct bytes name, const uint8_t *room)
{
    if (name.ptr != room) mem_free((void *)(uintptr_t)name.ptr);
}

static inline int key_name_db(struct bytes name)
{
    int db;
    memcpy(&db, name.ptr, KEY_NAME_DB_BYTES);
    return db;
}

static inline struct bytes key_name_key(struct bytes name)
{
    return bytes_make(name.ptr + KEY_NAME_DB_BYTES, name.len - KEY_NAME_DB_BYTES);
}

#endif
