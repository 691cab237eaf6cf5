/* See option_pairs.h. */
#include "bench/servers/option_pairs.h"

#include <stdio.h>
#include <string.h>

int option_pairs_read(int argc, char **argv,
                      int (*take)(void *options, const char *name, const char *value, char error[256]), void *options,
                      char error[256])
{
    for (int i = 1; i < argc; i += 2) {
        if (strncmp(argv[i], "--", 2) != 0 || i + 1 >= argc) {
            snprintf(error, 256, "'%.100s' is no option with a value", argv[i]);
            return -1;
        }
        int status = take(options, argv[i] + 2, argv[i + 1], error);
        if (status == 1) snprintf(error, 256, "there is no option '%.100s'", argv[i]);
        if (status) return -1;
    }
    return 0;
}
