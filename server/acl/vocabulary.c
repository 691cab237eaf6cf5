/* See vocabulary.h. Server process. */
#include "server/acl/vocabulary.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

#define NAME_MAX_BYTES 128 /* no command's name comes near */

struct acl_vocabulary *acl_vocabulary_new(void)
{
    return mem_calloc(1, sizeof(struct acl_vocabulary));
}

void acl_vocabulary_add(struct acl_vocabulary *v, const struct acl_command *command)
{
    CHECK(v->count < ACL_COMMANDS_MAX && command->id == v->count);
    CHECK(strlen(command->name) <= NAME_MAX_BYTES);
    v->commands[v->count] = *command;
    void **place = map_slot(&v->by_name, bytes_from_text(command->name));
    CHECK(!*place);
    *place = &v->commands[v->count++];
}

const struct acl_command *acl_vocabulary_find(const struct acl_vocabulary *v, struct bytes name)
{
    uint8_t lower[NAME_MAX_BYTES];
    if (name.len > sizeof lower) return NULL;
    for (size_t i = 0; i < name.len; i++) lower[i] = byte_lower(name.ptr[i]);
    return map_get(&v->by_name, bytes_make(lower, name.len));
}
