/* See category.h. Any process. */
#include "server/acl/category.h"

const struct category_name category_names[] = {{CAT_KEYSPACE, "@keyspace"},
                                               {CAT_READ, "@read"},
                                               {CAT_WRITE, "@write"},
                                               {CAT_SET, "@set"},
                                               {CAT_SORTEDSET, "@sortedset"},
                                               {CAT_LIST, "@list"},
                                               {CAT_HASH, "@hash"},
                                               {CAT_STRING, "@string"},
                                               {CAT_BITMAP, "@bitmap"},
                                               {CAT_HYPERLOGLOG, "@hyperloglog"},
                                               {CAT_GEO, "@geo"},
                                               {CAT_STREAM, "@stream"},
                                               {CAT_PUBSUB, "@pubsub"},
                                               {CAT_ADMIN, "@admin"},
                                               {CAT_FAST, "@fast"},
                                               {CAT_SLOW, "@slow"},
                                               {CAT_BLOCKING, "@blocking"},
                                               {CAT_DANGEROUS, "@dangerous"},
                                               {CAT_CONNECTION, "@connection"},
                                               {CAT_TRANSACTION, "@transaction"},
                                               {CAT_SCRIPTING, "@scripting"},
                                               {0, NULL}};

uint32_t category_find(struct bytes name)
{
    for (const struct category_name *n = category_names; n->name; n++)
        if (bytes_equal_nocase(name, n->name + 1)) return n->bit;
    return 0;
}
