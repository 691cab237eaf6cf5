/* See digest.h. Server process. */
#include "server/script/digest.h"

#include <sha1.h>

struct script_digest script_digest_of(struct bytes text)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t hash[SHA1_DIGEST_LENGTH];
    struct script_digest digest;
    SHA1_CTX context;
    SHA1Init(&context);
    SHA1Update(&context, text.ptr, text.len);
    SHA1Final(hash, &context);
    for (int i = 0; i < SHA1_DIGEST_LENGTH; i++) {
        digest.text[2 * i] = hex[hash[i] >> 4];
        digest.text[2 * i + 1] = hex[hash[i] & 15];
    }
    digest.text[SCRIPT_DIGEST_CHARS] = 0;
    return digest;
}
