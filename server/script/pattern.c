/* See pattern.h. Server process. */
#include "server/script/pattern.h"

#include "server/base/check.h"

/* The first three stand for one character of the subject. */
enum item_kind {
    CHARACTER,
    ANY_CHARACTER,
    SET,
    OPEN,
    POSITION,
    CLOSE,
    BALANCE,
    FRONTIER,
    BACK_REFERENCE,
    END,
    MATCHED,
    FAULT
};
enum repeat { ONCE, AT_LEAST_ONCE, ANY_TIMES, FEW_TIMES, MAYBE };

struct pattern_item {
    uint8_t kind, repeat;
    uint8_t first, second; /* a character; of BALANCE, both; of BACK_REFERENCE, the capture */
    union {
        const uint64_t *set; /* 256 bits */
        const char *fault;
    };
};

/* Another way to go on, should this one fail: by the item's kind a repetition with fewer or more characters, or a
 * capture that is undone. */
struct pattern_choice {
    const struct pattern_item *item;
    const uint8_t *least; /* a repetition may not end before */
    union {
        const uint8_t *at;
        int capture;
    };
};

/* --- sets --- */

static inline bool set_has(const uint64_t *set, uint8_t c)
{
    return set[c >> 6] >> (c & 63) & 1;
}

static void set_add(uint64_t *set, uint8_t c)
{
    set[c >> 6] |= UINT64_C(1) << (c & 63);
}

/* By the class's letter; of bytes below 128, in the locale "C", for those above are in none. All zero:
 * it is no class. */
static const uint64_t classes[26][4] = {
    ['a' - 'a'] = {0, 0x07fffffe07fffffe},
    ['c' - 'a'] = {0x00000000ffffffff, 0x8000000000000000},
    ['d' - 'a'] = {0x03ff000000000000, 0},
    ['l' - 'a'] = {0, 0x07fffffe00000000},
    ['p' - 'a'] = {0xfc00fffe00000000, 0x78000001f8000001},
    ['s' - 'a'] = {0x0000000100003e00, 0},
    ['u' - 'a'] = {0, 0x0000000007fffffe},
    ['w' - 'a'] = {0x03ff000000000000, 0x07fffffe07fffffe},
    ['x' - 'a'] = {0x03ff000000000000, 0x0000007e0000007e},
    ['z' - 'a'] = {1, 0},
};

static const uint64_t *class_named(uint8_t name)
{
    uint8_t letter = (uint8_t)(byte_lower(name) - 'a');
    return letter < 26 && (classes[letter][0] | classes[letter][1]) ? classes[letter] : NULL;
}

static bool turns_around(uint8_t name)
{
    return name <= 'Z';
}

/* What stands behind a '%': the letter of a class, in upper case of all that is not in it, or the character itself. */
static void set_add_class(uint64_t *set, uint8_t name)
{
    const uint64_t *class = class_named(name);
    if (!class) return set_add(set, name);
    uint64_t turn = turns_around(name) ? UINT64_MAX : 0;
    for (int i = 0; i < 4; i++) set[i] |= class[i] ^ turn;
}

/* --- compiling --- */

struct compiler {
    const uint8_t *at, *end;
    struct pattern_item *next;
    uint64_t *next_set;
};

static uint64_t *new_set(struct compiler *c)
{
    uint64_t *set = c->next_set;
    c->next_set += 4;
    memset(set, 0, 32);
    return set;
}

static struct pattern_item *add(struct compiler *c, enum item_kind kind)
{
    *c->next = (struct pattern_item){.kind = (uint8_t)kind};
    return c->next++;
}

static void add_fault(struct compiler *c, const char *fault)
{
    add(c, FAULT)->fault = fault;
    c->at = c->end;
}

/* Of a set whose '[' is at c->at: its ']'. The first character is in the set whatever it is. NULL: there is none. */
static const uint8_t *set_end(const struct compiler *c)
{
    const uint8_t *p = c->at + 1;
    if (p < c->end && *p == '^') p++;
    do {
        if (p == c->end) return NULL;
        if (*p++ == '%' && p < c->end) p++;
    } while (p == c->end || *p != ']');
    return p;
}

/* NULL: it does not end, which has been noted. */
static const uint64_t *compile_set(struct compiler *c)
{
    const uint8_t *last = set_end(c), *p = c->at + 1;
    if (!last) {
        add_fault(c, "malformed pattern (missing ']')");
        return NULL;
    }
    uint64_t *set = new_set(c);
    bool without = *p == '^';
    for (p += without; p < last; p++) {
        if (*p == '%') {
            set_add_class(set, *++p);
        } else if (p + 2 < last && p[1] == '-') {
            for (int in_range = *p; in_range <= p[2]; in_range++) set_add(set, (uint8_t)in_range);
            p += 2;
        } else {
            set_add(set, *p);
        }
    }
    for (int i = 0; without && i < 4; i++) set[i] = ~set[i];
    c->at = last + 1;
    return set;
}

static void compile_repeat(struct compiler *c, struct pattern_item *single)
{
    if (c->at == c->end) return;
    switch (*c->at) {
    case '*': single->repeat = ANY_TIMES; break;
    case '+': single->repeat = AT_LEAST_ONCE; break;
    case '-': single->repeat = FEW_TIMES; break;
    case '?': single->repeat = MAYBE; break;
    default: return;
    }
    c->at++;
}

static void compile_frontier(struct compiler *c)
{
    c->at += 2;
    if (c->at == c->end || *c->at != '[') return add_fault(c, "missing '[' after '%f' in pattern");
    const uint64_t *set = compile_set(c);
    if (set) add(c, FRONTIER)->set = set;
}

static void compile_balance(struct compiler *c)
{
    if (c->end - c->at < 4) return add_fault(c, "unbalanced pattern");
    struct pattern_item *item = add(c, BALANCE);
    item->first = c->at[2];
    item->second = c->at[3];
    c->at += 4;
}

/* A '%' is at c->at. */
static void compile_escaped(struct compiler *c)
{
    if (c->end - c->at < 2) return add_fault(c, "malformed pattern (ends with '%')");
    uint8_t name = c->at[1];
    if (name == 'b') return compile_balance(c);
    if (name == 'f') return compile_frontier(c);
    c->at += 2;
    if (name >= '0' && name <= '9') {
        add(c, BACK_REFERENCE)->first = (uint8_t)(name - '1');
        return;
    }
    struct pattern_item *item = add(c, CHARACTER);
    item->first = name;
    item->set = class_named(name);
    if (item->set) item->kind = SET;
    if (item->set && turns_around(name)) {
        uint64_t *set = new_set(c);
        set_add_class(set, name);
        item->set = set;
    }
    compile_repeat(c, item);
}

static void compile_single(struct compiler *c)
{
    if (*c->at == '[') {
        const uint64_t *set = compile_set(c);
        if (!set) return;
        struct pattern_item *item = add(c, SET);
        item->set = set;
        return compile_repeat(c, item);
    }
    struct pattern_item *item = add(c, *c->at == '.' ? ANY_CHARACTER : CHARACTER);
    item->first = *c->at++;
    compile_repeat(c, item);
}

static void compile_item(struct compiler *c)
{
    switch (*c->at) {
    case '(': {
        bool position = c->at + 1 < c->end && c->at[1] == ')';
        c->at += position ? 2 : 1;
        add(c, position ? POSITION : OPEN);
        break;
    }
    case ')':
        c->at++;
        add(c, CLOSE);
        break;
    case '%': compile_escaped(c); break;
    case '$':
        if (c->at + 1 < c->end) return compile_single(c);
        c->at++;
        add(c, END);
        break;
    default: compile_single(c);
    }
}

_Static_assert(sizeof(struct pattern_item) == 16 && sizeof(struct pattern_choice) == 24, "what the room is made for");
_Static_assert((PATTERN_SMALL_BYTES + 1) * 5 + PATTERN_SMALL_BYTES / 2 * 4 == PATTERN_SMALL_ROOM_WORDS, "the room");

/* Each item takes a byte of the text at the least, and a set two. */
size_t pattern_room_words(size_t len)
{
    return (len + 1) * 5 + len / 2 * 4;
}

void pattern_compile(struct pattern *p, struct bytes text, bool may_anchor, uint64_t *room)
{
    const uint8_t *zero = text.len ? memchr(text.ptr, 0, text.len) : NULL;
    struct pattern_item *items = (struct pattern_item *)room;
    struct compiler c = {.at = text.ptr, .end = zero ? zero : text.ptr + text.len, .next = items};
    p->items = items;
    p->choices = (struct pattern_choice *)(room + (text.len + 1) * 2);
    c.next_set = room + (text.len + 1) * 5;
    p->anchored = may_anchor && c.at < c.end && *c.at == '^';
    c.at += p->anchored;
    while (c.at < c.end) compile_item(&c);
    add(&c, MATCHED);
}

/* --- matching --- */

struct way {
    const struct pattern_item *item; /* to be tried */
    const uint8_t *at;               /* here */
    struct pattern_choice *top;      /* behind the last choice */
};

static inline bool fits(const struct pattern_item *item, uint8_t c)
{
    return item->kind == SET ? set_has(item->set, c) : item->kind == ANY_CHARACTER || c == item->first;
}

/* Whether there is a next character and the item takes one. */
static inline bool fits_at(const struct pattern_match *m, const struct pattern_item *item, const uint8_t *at)
{
    return at < m->end && fits(item, *at);
}

static inline bool needs_character(const struct pattern_item *item)
{
    return item->kind <= SET && item->repeat <= AT_LEAST_ONCE;
}

/* Where the longest run of what fits ends. */
static const uint8_t *run_end(const struct pattern_match *m, const struct pattern_item *item, const uint8_t *at)
{
    if (item->kind == ANY_CHARACTER) return m->end;
    if (item->kind == SET)
        while (at < m->end && set_has(item->set, *at)) at++;
    else
        while (at < m->end && *at == item->first) at++;
    return at;
}

static inline struct pattern_choice *push(struct way *w)
{
    w->top->item = w->item;
    return w->top++;
}

static bool repeat(struct pattern_match *m, struct way *w)
{
    const uint8_t *least = w->at, *most = w->at;
    switch (w->item->repeat) {
    case FEW_TIMES:
        push(w)->at = w->at;
        w->item++;
        return true;
    case MAYBE: most += fits_at(m, w->item, w->at); break;
    default:
        most = run_end(m, w->item, w->at);
        m->steps -= most - w->at;
        if (w->item->repeat == AT_LEAST_ONCE && most == least++) return false;
    }
    if (most > least) {
        struct pattern_choice *choice = push(w);
        choice->least = least;
        choice->at = most;
    }
    w->at = most;
    w->item++;
    return true;
}

static bool open_capture(struct pattern_match *m, struct way *w, ptrdiff_t len)
{
    if (m->level == PATTERN_CAPTURES_MAX) {
        m->fault = "too many captures";
        return false;
    }
    m->captures[m->level++] = (struct pattern_capture){w->at, len};
    push(w);
    return true;
}

static bool close_capture(struct pattern_match *m, struct way *w)
{
    int i = m->level - 1;
    while (i >= 0 && m->captures[i].len != PATTERN_UNFINISHED) i--;
    if (i < 0) {
        m->fault = "invalid pattern capture";
        return false;
    }
    m->captures[i].len = w->at - m->captures[i].start;
    push(w)->capture = i;
    return true;
}

static bool balanced(struct pattern_match *m, struct way *w)
{
    if (w->at == m->end || *w->at != w->item->first) return false;
    const uint8_t *p = w->at + 1;
    for (ptrdiff_t depth = 1; p < m->end; p++) {
        if (*p == w->item->second)
            depth--;
        else if (*p == w->item->first)
            depth++;
        if (!depth) break;
    }
    m->steps -= p - w->at;
    if (p == m->end) return false;
    w->at = p + 1;
    return true;
}

static bool at_frontier(const struct pattern_match *m, const struct way *w)
{
    uint8_t before = w->at == m->subject ? 0 : w->at[-1], after = w->at == m->end ? 0 : *w->at;
    return !set_has(w->item->set, before) && set_has(w->item->set, after);
}

/* A place has no text that could stand here again. */
static bool same_again(struct pattern_match *m, struct way *w)
{
    const struct pattern_capture *capture = &m->captures[w->item->first];
    if (w->item->first >= m->level || capture->len == PATTERN_UNFINISHED) {
        m->fault = "invalid capture index";
        return false;
    }
    if (capture->len == PATTERN_POSITION || m->end - w->at < capture->len) return false;
    m->steps -= capture->len / 16;
    if (memcmp(capture->start, w->at, (size_t)capture->len) != 0) return false;
    w->at += capture->len;
    return true;
}

/* Goes over an item that is no single character. */
static bool pass(struct pattern_match *m, struct way *w)
{
    bool passed = false;
    switch (w->item->kind) {
    case OPEN: passed = open_capture(m, w, PATTERN_UNFINISHED); break;
    case POSITION: passed = open_capture(m, w, PATTERN_POSITION); break;
    case CLOSE: passed = close_capture(m, w); break;
    case BALANCE: passed = balanced(m, w); break;
    case FRONTIER: passed = at_frontier(m, w); break;
    case BACK_REFERENCE: passed = same_again(m, w); break;
    case END: passed = w->at == m->end; break;
    default: m->fault = w->item->fault;
    }
    w->item++;
    return passed;
}

/* One character less of a repetition, or as many less as the next item asks for. */
static bool take_less(struct pattern_match *m, struct pattern_choice *choice)
{
    const struct pattern_item *next = choice->item + 1;
    const uint8_t *at = choice->at;
    bool found = false;
    if (needs_character(next))
        while (!found && at > choice->least) found = fits_at(m, next, --at);
    else if ((found = at > choice->least))
        at--;
    m->steps -= choice->at - at;
    choice->at = at;
    return found;
}

static bool take_more(struct pattern_match *m, struct pattern_choice *choice)
{
    const struct pattern_item *next = choice->item + 1;
    const uint8_t *at = choice->at;
    bool found = false;
    while (!found && fits_at(m, choice->item, at)) found = ++at && (!needs_character(next) || fits_at(m, next, at));
    m->steps -= at - choice->at;
    choice->at = at;
    return found;
}

/* false: nothing is left to try. */
static bool turn_back(struct pattern_match *m, struct way *w)
{
    for (; w->top > m->pattern->choices; w->top--) {
        struct pattern_choice *choice = w->top - 1;
        switch (choice->item->kind) {
        case OPEN:
        case POSITION: m->level--; continue;
        case CLOSE: m->captures[choice->capture].len = PATTERN_UNFINISHED; continue;
        default:
            if (!(choice->item->repeat == FEW_TIMES ? take_more(m, choice) : take_less(m, choice))) continue;
            w->item = choice->item + 1;
            w->at = choice->at;
            return true;
        }
    }
    return false;
}

static void pause_if_due(struct pattern_match *m)
{
    if (likely(--m->steps > 0)) return;
    m->steps = PATTERN_PAUSE_STEPS;
    m->pause(m->pause_arg);
}

static bool match_at(struct pattern_match *m, const uint8_t *at)
{
    struct way w = {m->pattern->items, at, m->pattern->choices};
    m->level = 0;
    for (;;) {
        pause_if_due(m);
        bool goes_on;
        if (w.item->kind > SET) {
            if (w.item->kind == MATCHED) break;
            goes_on = pass(m, &w);
        } else if (w.item->repeat == ONCE) {
            goes_on = fits_at(m, w.item++, w.at++);
        } else {
            goes_on = repeat(m, &w);
        }
        if (goes_on) continue;
        if (unlikely(m->fault != NULL) || !turn_back(m, &w)) return false;
    }
    m->found = at;
    m->found_end = w.at;
    return true;
}

/* The next place that has the character which each match begins with; NULL: there is none. */
static const uint8_t *skip_to(const struct pattern_match *m, const struct pattern_item *first, const uint8_t *at)
{
    if (first->kind == CHARACTER) return at == m->end ? NULL : memchr(at, first->first, (size_t)(m->end - at));
    while (at < m->end && !fits(first, *at)) at++;
    return at == m->end ? NULL : at;
}

bool pattern_find(struct pattern_match *m, const uint8_t *from)
{
    const struct pattern_item *first = m->pattern->items;
    while (first->kind == OPEN && first - m->pattern->items < PATTERN_CAPTURES_MAX) first++;
    m->fault = NULL;
    if (m->pattern->anchored || !needs_character(first)) first = NULL;
    for (const uint8_t *at = from; at <= m->end && !m->fault; at++) {
        if (first && !(at = skip_to(m, first, at))) return false;
        if (match_at(m, at)) return true;
        if (m->pattern->anchored) return false;
    }
    return false;
}
