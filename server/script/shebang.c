/* See shebang.h. Server process. */
#include "server/script/shebang.h"

#include "server/base/words.h"
#include "server/script/engine.h"

#include <stdio.h>

static int shown(struct bytes text)
{
    return (int)(text.len < 128 ? text.len : 128);
}

static int read_flags(struct bytes names, uint32_t *flags, char error[SHEBANG_ERROR_MAX])
{
    while (names.len) {
        const uint8_t *comma = memchr(names.ptr, ',', names.len);
        struct bytes name = bytes_make(names.ptr, comma ? (size_t)(comma - names.ptr) : names.len);
        size_t passed = name.len + (comma != NULL);
        names = bytes_make(names.ptr + passed, names.len - passed);
        if (script_flag_by_name(name, flags)) continue;
        snprintf(error, SHEBANG_ERROR_MAX, "ERR Unexpected flag in script shebang: %.*s", shown(name),
                 (const char *)name.ptr);
        return -1;
    }
    return 0;
}

static int read_words(const struct words *words, uint32_t *flags, char error[SHEBANG_ERROR_MAX])
{
    static const struct bytes prefix = {(const uint8_t *)"flags=", 6};
    if (!words->count || !bytes_equal(words->word[0], BYTES("#!lua"))) {
        struct bytes engine = words->count ? words->word[0] : BYTES("");
        snprintf(error, SHEBANG_ERROR_MAX, "ERR Unexpected engine in script shebang: %.*s", shown(engine),
                 (const char *)engine.ptr);
        return -1;
    }
    for (uint32_t i = 1; i < words->count; i++) {
        struct bytes word = words->word[i];
        if (word.len < prefix.len || memcmp(word.ptr, prefix.ptr, prefix.len) != 0) {
            snprintf(error, SHEBANG_ERROR_MAX, "ERR Unknown lua shebang option: %.*s", shown(word),
                     (const char *)word.ptr);
            return -1;
        }
        if (read_flags(bytes_make(word.ptr + prefix.len, word.len - prefix.len), flags, error)) return -1;
    }
    return 0;
}

int script_read_shebang(struct bytes text, uint32_t *flags, size_t *line_len, char error[SHEBANG_ERROR_MAX])
{
    *flags = SCRIPT_COMPATIBLE;
    *line_len = 0;
    if (text.len < 2 || memcmp(text.ptr, "#!", 2) != 0) return 0;
    *flags = 0;
    const uint8_t *end = memchr(text.ptr, '\n', text.len);
    if (!end) {
        snprintf(error, SHEBANG_ERROR_MAX, "ERR Invalid script shebang");
        return -1;
    }
    struct words words;
    *line_len = (size_t)(end - text.ptr);
    if (!words_split(bytes_make(text.ptr, *line_len), &words)) {
        snprintf(error, SHEBANG_ERROR_MAX, "ERR Invalid engine in script shebang");
        return -1;
    }
    int status = read_words(&words, flags, error);
    words_free(&words);
    return status;
}
