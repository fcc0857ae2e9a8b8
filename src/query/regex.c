/* regex.c - see regex_int.h. JIT where the machine has it; the JIT's stack belongs to the worker's
 * state. `$` is the very end of the text, as in Go's regexp, and \C is refused. */
#include "query/regex_int.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"
#include "base/mem.h"

enum { MATCH_STEPS_MAX = 1000000, JIT_STACK_BYTES = 512 << 10 };

struct regex {
    regex *next;
    pcre2_code *code;
    uint32_t groups;
    str names[REGEX_GROUPS_MAX];
};

struct regex_state {
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
};

rc regex_compile(regex_set *s, str pattern, regex_mode mode, arena *mem, const regex **ret,
                 err *e) {
    if (s->count >= REGEX_MAX) {
        return FAIL(e, RC_INVALID, "more than %d regular expressions in one query", REGEX_MAX);
    }
    int why = 0;
    PCRE2_SIZE at = 0;
    uint32_t options =
        PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    if (mode == REGEX_WHOLE) options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL;
    PCRE2_SPTR p = (PCRE2_SPTR)(pattern.n ? pattern.p : "");
    pcre2_code *code = pcre2_compile(p, pattern.n, options, &why, &at, NULL);
    if (!code) {
        PCRE2_UCHAR msg[120];
        IGNORE(pcre2_get_error_message(why, msg, sizeof(msg)) < 0); /* always terminated */
        return FAIL(e, RC_INVALID, "error parsing regexp: %s at byte %zu of `%.*s`",
                    (const char *)msg, (size_t)at, (int)MIN(pattern.n, 200), pattern.p);
    }
    IGNORE(pcre2_jit_compile(code, PCRE2_JIT_COMPLETE)); /* without it matching is slower */
    regex *r = arena_new(mem, regex);
    r->code = code;
    IGNORE(pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &r->groups)); /* cannot fail */
    if (r->groups >= REGEX_GROUPS_MAX) {
        pcre2_code_free(code);
        return FAIL(e, RC_INVALID, "a regular expression has more than %d groups",
                    REGEX_GROUPS_MAX - 1);
    }
    uint32_t names = 0, width = 0;
    PCRE2_SPTR table = NULL;
    IGNORE(pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &names));
    IGNORE(pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &width));
    IGNORE(pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table));
    for (uint32_t i = 0; i < names; i++) {
        PCRE2_SPTR row = table + (size_t)i * width;
        r->names[row[0] << 8 | row[1]] = str_c((const char *)row + 2);
    }
    r->next = s->first;
    s->first = r;
    s->count++;
    *ret = r;
    return RC_OK;
}

void regex_set_release(regex_set *s) {
    for (regex *r = s->first; r; r = r->next) pcre2_code_free(r->code);
    *s = (regex_set){0};
}

regex_state *regex_state_new(void) {
    regex_state *st = mem_new(regex_state);
    st->match = pcre2_match_data_create(REGEX_GROUPS_MAX, NULL);
    st->limits = pcre2_match_context_create(NULL);
    MUST(st->match && st->limits);
    pcre2_set_match_limit(st->limits, MATCH_STEPS_MAX);
    return st;
}

void regex_state_free(regex_state *st) {
    if (!st) return;
    pcre2_match_data_free(st->match);
    pcre2_match_context_free(st->limits);
    pcre2_jit_stack_free(st->stack);
    mem_free(st);
}

static int find(const regex *r, regex_state *st, str text) {
    PCRE2_SPTR p = (PCRE2_SPTR)(text.n ? text.p : "");
    int found = pcre2_match(r->code, p, text.n, 0, 0, st->match, st->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT && !st->stack) {
        st->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_BYTES, NULL);
        if (!st->stack) return found;
        pcre2_jit_stack_assign(st->limits, NULL, st->stack);
        found = pcre2_match(r->code, p, text.n, 0, 0, st->match, st->limits);
    }
    return found;
}

bool regex_test(const regex *r, regex_state *st, str text) { return find(r, st, text) >= 0; }

bool regex_groups(const regex *r, regex_state *st, str text, str *ret, size_t cap) {
    int found = find(r, st, text);
    if (found < 0) return false;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(st->match);
    for (size_t i = 0; i < cap && i <= r->groups; i++) {
        bool took_part = (int)i < found && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];
        ret[i] = STR_NONE;
        if (took_part)
            ret[i] = str_make((text.p ? text.p : "") + at[2 * i], at[2 * i + 1] - at[2 * i]);
    }
    return true;
}

size_t regex_group_count(const regex *r) { return r->groups; }

str regex_group_name(const regex *r, size_t i) {
    return i < REGEX_GROUPS_MAX ? r->names[i] : STR_NONE;
}

bool regex_quote(buf *out, str text) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = c >= 0x80 || c == '_' || c == ' ' || (c >= '0' && c <= '9') ||
                     ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (c == '\n') {
            if (!buf_put(out, S("\\n"))) return false;
        } else if (c < 0x20 || c == 0x7f) {
            if (!buf_fmt(out, "\\x%02x", c)) return false;
        } else if ((!plain && !buf_putc(out, '\\')) || !buf_putc(out, (char)c)) {
            return false;
        }
    }
    return true;
}
