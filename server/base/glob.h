/* Redis's glob: * ? [a-z] [^a] \x. Used by KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET. */
#ifndef SLIPSTREAM_BASE_GLOB_H
#define SLIPSTREAM_BASE_GLOB_H

#include "server/base/bytes.h"

/* Never slower than O(pattern * text); deep recursion is not used. */
bool glob_match(struct bytes pattern, struct bytes text, bool ignore_case);

#endif
