/* Settings of who may do what. */
#ifndef SLIPSTREAM_ACL_SETTINGS_H
#define SLIPSTREAM_ACL_SETTINGS_H

#include <stdint.h>

struct acl_settings {
    char *file;               /* aclfile; "": users stand in the configuration file */
    uint64_t log_max_len;     /* entries of ACL LOG */
    int channels_of_new_user; /* acl-pubsub-default; 0: none, else all */
};

#endif
