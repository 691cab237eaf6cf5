/* The SHA-1 of a script's text, which is its name: 40 lower-case hexadecimal digits. */
#ifndef SLIPSTREAM_SCRIPT_DIGEST_H
#define SLIPSTREAM_SCRIPT_DIGEST_H

#include "server/base/bytes.h"

#define SCRIPT_DIGEST_CHARS 40

struct script_digest {
    char text[SCRIPT_DIGEST_CHARS + 1]; /* with a zero behind it */
};

struct script_digest script_digest_of(struct bytes text);

#endif
