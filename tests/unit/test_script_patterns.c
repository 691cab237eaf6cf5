/* Lua's patterns as scripts have them (server/script/pattern.h, lib_string.h), beside LuaJIT's own functions, which
 * know the same language. Debian's redis-server is asked in tests/differential/cases/script_patterns.txt. */
#include "server/base/random.h"
#include "server/script/lib_string.h"
#include "server/script/pattern.h"
#include "server/script/vm.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>

TestSuite(script_patterns, .timeout = 120);

/* --- without Lua --- */

static uint64_t room[4096];

static struct pattern_match match_of(struct pattern *p, const char *pattern, const char *subject, void (*pause)(void *))
{
    cr_assert_leq(pattern_room_words(strlen(pattern)), sizeof room / sizeof *room);
    pattern_compile(p, bytes_from_text(pattern), true, room);
    const uint8_t *text = (const uint8_t *)subject;
    return (struct pattern_match){
        .pattern = p, .subject = text, .end = text + strlen(subject), .pause = pause, .steps = PATTERN_PAUSE_STEPS};
}

static void count_pause(void *arg)
{
    ++*(int *)arg;
}

Test(script_patterns, classes_are_those_of_the_locale_c)
{
    static const struct {
        char name;
        int (*has)(int);
    } classes[] = {{'a', isalpha}, {'c', iscntrl}, {'d', isdigit}, {'l', islower}, {'p', ispunct},
                   {'s', isspace}, {'u', isupper}, {'w', isalnum}, {'x', isxdigit}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (int c = 1; c < 256; c++) {
            struct pattern p;
            char subject[2] = {(char)c}, inside[] = {'%', classes[i].name, 0},
                 outside[] = {'%', (char)toupper(classes[i].name), 0};
            struct pattern_match m = match_of(&p, inside, subject, count_pause);
            cr_expect_eq(pattern_find(&m, m.subject), classes[i].has(c) != 0, "%s and %d", inside, c);
            m = match_of(&p, outside, subject, count_pause);
            cr_expect_eq(pattern_find(&m, m.subject), classes[i].has(c) == 0, "%s and %d", outside, c);
        }
}

Test(script_patterns, captures_stand_where_they_were_found)
{
    struct pattern p;
    int pauses = 0;
    struct pattern_match m = match_of(&p, "()(%a+)=((%d)%d*)", "  key=42;", count_pause);
    m.pause_arg = &pauses;
    cr_assert(pattern_find(&m, m.subject));
    cr_expect_eq(m.found - m.subject, 2);
    cr_expect_eq(m.found_end - m.subject, 8);
    cr_assert_eq(m.level, 4);
    cr_expect_eq(m.captures[0].len, PATTERN_POSITION);
    cr_expect(bytes_equal(bytes_make(m.captures[1].start, (size_t)m.captures[1].len), BYTES("key")));
    cr_expect(bytes_equal(bytes_make(m.captures[2].start, (size_t)m.captures[2].len), BYTES("42")));
    cr_expect(bytes_equal(bytes_make(m.captures[3].start, (size_t)m.captures[3].len), BYTES("4")));
    cr_expect_eq(pauses, 0, "too short for one");
}

static jmp_buf out;

static void leave(void *arg)
{
    (void)arg;
    longjmp(out, 1);
}

static bool is_left(const char *pattern, const char *subject)
{
    struct pattern p;
    struct pattern_match m = match_of(&p, pattern, subject, leave);
    if (setjmp(out)) return true;
    pattern_find(&m, m.subject);
    return false;
}

Test(script_patterns, whoever_matches_can_leave)
{
    static const struct {
        const char *pattern, *piece;
        int times;
    } long_ones[] = {
        {".-.-.-b", "a", 200},   {".*.*.*b", "a", 200},           {"(.-)(.-)(.-)%1b", "a", 100}, {"%b()x", "(", 1000},
        {"a*a*a*a*b", "a", 100}, {"%f[%w]%w*%w*%w*;", "a", 1000}, {"(a*)%1%1b", "a", 2000},
    };
    static char subject[4096];
    for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones; i++) {
        *subject = 0;
        for (int k = 0; k < long_ones[i].times; k++) strcat(subject, long_ones[i].piece);
        cr_expect(is_left(long_ones[i].pattern, subject), "%s", long_ones[i].pattern);
    }
    cr_expect_not(is_left("a-b", "aaab"), "too short for a pause");
}

/* --- beside LuaJIT --- */

static const char *const pieces[] = {
    "a",    "b",     "x",  ".",  "%a",    "%d",    "%s",    "%w",     "%p",      "%u",    "%l",     "%c",
    "%x",   "%z",    "%A", "%W", "%D",    "%Z",    "[ab]",  "[^ab]",  "[a-c]",   "[%w_]", "[^%s]",  "[]]",
    "[a-]", "[",     "(",  ")",  "()",    "%b()",  "%b",    "%bxx",   "%f",      "%f[a]", "%f[%w]", "%1",
    "%2",   "$",     "^",  "%%", "%.",    "[a",    "%",     "-",      "*",       "+",     "?",      "(a)",
    "(.-)", "(%w+)", "]",  " ",  "[%]a]", "[^]a]", "[a-%]", "[%a-x]", "%f[^%z]", "%0",    "%9",     "(%d*)",
};
static const char *const subjects[] = {"a", "b",  "c",   "x", "(", ")", "1", " ",
                                       ".", "ab", "aab", "-", "%", "$", "^", "]"};
static const char *const replacements[] = {"", "-", "%0", "%1", "<%2>", "%", "%%x", "%x%9"};

static const char driver[] =
    "local mine, theirs, s, p, r = ...\n"
    "local function told(...)\n"
    "    local t = {}\n"
    "    for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end\n"
    "    return table.concat(t, ',')\n"
    "end\n"
    "local function all(l)\n"
    "    local t = {told(pcall(l.find, s, p)), told(pcall(l.match, s, p, 2)), told(pcall(l.find, s, p, -2)),\n"
    "               told(pcall(l.gsub, s, p, r)), told(pcall(l.gsub, s, p, r, 2)),\n"
    "               told(pcall(l.gsub, s, p, function(...) return told(...) end)),\n"
    "               told(pcall(l.gsub, s, p, {a = 'A', b = 1, [2] = false}))}\n"
    "    local ok, e = pcall(function()\n"
    "        for a, b in l.gmatch(s, p) do t[#t + 1] = told(a, b) end\n"
    "    end)\n"
    "    t[#t + 1] = tostring(e):gsub('^.-:%d+: ', '')\n"
    "    return table.concat(t, '\\n')\n"
    "end\n"
    "return all(mine), all(theirs)\n";

static int draw(struct random_state *r, const char *const *from, size_t count, int most, char *into)
{
    *into = 0;
    int times = (int)random_below(r, (uint64_t)most + 1);
    for (int i = 0; i < times; i++) strcat(into, from[random_below(r, count)]);
    return times;
}

#define DRAW(r, from, most, into) draw(r, from, sizeof(from) / sizeof *(from), most, into)

Test(script_patterns, all_answers_are_those_of_luajit)
{
    struct random_state r;
    random_seed(&r, 6);
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    lua_newtable(lua);
    script_set_string_functions(lua, 1);
    for (int i = 0; i < 20000; i++) {
        char pattern[128], subject[128], replacement[128];
        DRAW(&r, pieces, 6, pattern);
        DRAW(&r, subjects, 12, subject);
        DRAW(&r, replacements, 2, replacement);
        cr_assert_eq(luaL_loadstring(lua, driver), 0);
        lua_pushvalue(lua, 1);
        lua_getglobal(lua, "string");
        lua_pushstring(lua, subject);
        lua_pushstring(lua, pattern);
        lua_pushstring(lua, replacement);
        cr_assert_eq(lua_pcall(lua, 5, 2, 0), 0, "%s", lua_tostring(lua, -1));
        cr_assert_str_eq(lua_tostring(lua, -2), lua_tostring(lua, -1), "'%s' and pattern '%s'", subject, pattern);
        lua_settop(lua, 1);
    }
    lua_close(lua);
}
