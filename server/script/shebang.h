/* A script's first line, "#!lua flags=no-writes,allow-stale": what it says of itself.
 * Functions' libraries begin so, too. */
#ifndef SLIPSTREAM_SCRIPT_SHEBANG_H
#define SLIPSTREAM_SCRIPT_SHEBANG_H

#include "server/base/bytes.h"

#define SHEBANG_ERROR_MAX 256

/* Sets enum script_flag and the length of the line (0: there is none), which is no Lua. 0, or
 * -1 and the error's text. */
int script_read_shebang(struct bytes text, uint32_t *flags, size_t *line_len, char error[SHEBANG_ERROR_MAX]);

#endif
