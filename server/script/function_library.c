/* One function library: its first line is read, then its code is run. Server process.
 *
 *   #!lua name=NAME
 *   code */
#include "server/base/alloc.h"
#include "server/base/words.h"
#include "server/script/function_parts.h"

#include <stdio.h>

#define NAME_KEY "name="

__attribute__((format(printf, 2, 3))) static int refuse(char error[LIBRARY_ERROR_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, LIBRARY_ERROR_BYTES, format, args);
    va_end(args);
    return -1;
}

static bool begins_nocase(struct bytes text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && bytes_equal_nocase(bytes_make(text.ptr, len), start);
}

/* The words behind the engine's: the one that gives the name. */
static int read_name(const struct words *words, struct bytes *name, char error[LIBRARY_ERROR_BYTES])
{
    *name = (struct bytes){0};
    for (uint32_t i = 1; i < words->count; i++) {
        struct bytes word = words->word[i];
        if (!begins_nocase(word, NAME_KEY))
            return refuse(error, "Invalid metadata value given: %.*s", (int)word.len, (const char *)word.ptr);
        if (name->ptr) return refuse(error, "Invalid metadata value, name argument was given multiple times");
        *name = bytes_make(word.ptr + strlen(NAME_KEY), word.len - strlen(NAME_KEY));
    }
    if (!name->ptr) return refuse(error, "Library name was not given");
    return function_name_good(*name) ? 0 : refuse(error, FUNCTION_NAME_ERROR);
}

static int check_engine(struct bytes word, char error[LIBRARY_ERROR_BYTES])
{
    struct bytes engine = bytes_make(word.ptr + 2, word.len - 2); /* "#!" */
    if (bytes_equal_nocase(engine, "lua")) return 0;
    return refuse(error, "Engine '%.*s' not found", (int)engine.len, (const char *)engine.ptr);
}

/* Code begins with the first line's end, so that its lines are counted as the source's. */
static int read_first_line(struct function_library *library, char error[LIBRARY_ERROR_BYTES])
{
    struct bytes source = library->source;
    if (source.len < 2 || memcmp(source.ptr, "#!", 2) != 0) return refuse(error, "Missing library metadata");
    const uint8_t *end = memchr(source.ptr, '\n', source.len);
    struct words words;
    if (!end || !words_split(bytes_make(source.ptr, (size_t)(end - source.ptr)), &words))
        return refuse(error, "Invalid library metadata");
    struct bytes name;
    int status = read_name(&words, &name, error);
    if (status == 0) status = check_engine(words.word[0], error);
    if (status == 0) library->name = bytes_from_text(bytes_to_text(name));
    words_free(&words);
    library->code = bytes_make(end, source.len - (size_t)(end - source.ptr));
    return status;
}

struct function_library *function_library_read(struct bytes source, char error[LIBRARY_ERROR_BYTES])
{
    struct function_library *library = mem_calloc(1, sizeof *library);
    library->source = bytes_make(bytes_to_text(source), source.len);
    if (read_first_line(library, error) == 0) return library;
    mem_free((void *)library->source.ptr);
    mem_free(library);
    return NULL;
}

int function_library_run(struct function_set *set, struct function_library *library, int64_t timeout_ms,
                         char error[LIBRARY_ERROR_BYTES])
{
    if (function_sandbox_load(set, library, timeout_ms, error)) return -1;
    return library->count ? 0 : refuse(error, "No functions registered");
}
