/* session_read.c - where sessions come from: `key,id id id` files and raw records with a key
 * expression. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/num.h"
#include "detect/sessions_int.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Next token of *rest, false at the end. */
static bool next_token(str *rest, str *ret) {
    size_t i = 0;
    while (i < rest->n && is_blank(rest->p[i])) i++;
    if (i == rest->n) return false;
    size_t from = i;
    while (i < rest->n && !is_blank(rest->p[i])) i++;
    *ret = str_sub(*rest, from, i - from);
    *rest = str_from(*rest, i);
    return true;
}

static uint64_t event_of_token(str token) {
    uint64_t v;
    if (token.n && token.p[0] != '0' && num_u64(token, &v) && v != 0) return v;
    v = str_hash(token);
    return v ? v : 1;
}

rc session_read_sequences(str text, session_set *s, session_read_counts *ret, err *e) {
    session_read_counts c = {0};
    str rest = text, line;
    rc r = RC_OK;
    while (r == RC_OK && rest.n) {
        size_t end = str_find_char(rest, '\n', 0);
        line = str_sub(rest, 0, end);
        rest = end == STR_NPOS ? STR_NONE : str_from(rest, end + 1);
        c.lines++;
        line = str_trim(line);
        if (!line.n) {
            c.empty_lines++;
            continue;
        }
        size_t comma = str_find_char(line, ',', 0);
        str key = comma == STR_NPOS ? STR_NONE : str_trim(str_sub(line, 0, comma));
        str ids = comma == STR_NPOS ? STR_NONE : str_from(line, comma + 1), token;
        if (!key.n || !next_token(&ids, &token)) {
            if (c.bad_lines++ == 0) c.first_bad_line = c.lines;
            continue;
        }
        c.sessions++;
        do {
            r = session_set_add(s, key, event_of_token(token), TS_NONE, NULL);
            if (r == RC_OK) c.events++;
        } while (r == RC_OK && next_token(&ids, &token));
    }
    *ret = c;
    if (r != RC_OK) {
        return FAIL(e, r, "sessions do not fit in memory: stopped at line %" PRIu64, c.lines);
    }
    return RC_OK;
}

/* -- keys of raw records -- */

enum { MATCH_STEPS_MAX = 200000, JIT_STACK_BYTES = 256 << 10 };

struct session_key {
    pcre2_code *code; /* NULL: the trace id is the key */
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    uint32_t group;
};

void session_key_free(session_key *k) {
    if (!k) return;
    pcre2_match_data_free(k->match);
    pcre2_match_context_free(k->limits);
    pcre2_jit_stack_free(k->stack);
    pcre2_code_free(k->code);
    mem_free(k);
}

static void session_key_drop(session_key **k) { session_key_free(*k); }

rc session_key_new(str regex, session_key **ret, err *e) {
    DEFER(session_key_drop) session_key *k = mem_new(session_key);
    if (regex.n) {
        int code;
        PCRE2_SIZE at;
        k->code =
            pcre2_compile((PCRE2_SPTR)regex.p, regex.n, PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
        if (!k->code) {
            PCRE2_UCHAR msg[160];
            IGNORE(pcre2_get_error_message(code, msg, sizeof(msg)) < 0); /* always terminated */
            return FAIL(e, RC_INVALID, "session key \"%.*s\": %s at character %zu", STR_ARG(regex),
                        (const char *)msg, (size_t)at + 1);
        }
        /* Without JIT (not supported on this machine) the interpreter matches: slower, same
         * result. */
        bool jit = pcre2_jit_compile(k->code, PCRE2_JIT_COMPLETE) == 0;
        k->match = pcre2_match_data_create_from_pattern(k->code, NULL);
        k->limits = pcre2_match_context_create(NULL);
        if (!k->match || !k->limits) return FAIL(e, RC_LIMIT, "session key: out of memory");
        pcre2_set_match_limit(k->limits, MATCH_STEPS_MAX);
        if (jit) {
            k->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_BYTES, NULL);
            if (k->stack) pcre2_jit_stack_assign(k->limits, NULL, k->stack);
        }
        uint32_t groups = 0;
        IGNORE(pcre2_pattern_info(k->code, PCRE2_INFO_CAPTURECOUNT, &groups)); /* cannot fail */
        k->group = groups ? 1 : 0;
    }
    *ret = TAKE(k);
    return RC_OK;
}

/* Different keys of one text, in order of occurrence. */
static size_t keys_of(session_key *k, str text, str *keys) {
    size_t n = 0, from = 0;
    while (n < SESSION_KEYS_PER_RECORD && from <= text.n) {
        int found = pcre2_match(k->code, (PCRE2_SPTR)text.p, text.n, from, 0, k->match, k->limits);
        if (found < 0) break; /* no match, or the step limit: no key */
        const PCRE2_SIZE *ov = pcre2_get_ovector_pointer(k->match);
        PCRE2_SIZE a = ov[2 * k->group], b = ov[2 * k->group + 1];
        if (a != PCRE2_UNSET && b > a && b <= text.n) {
            str key = str_sub(text, a, b - a);
            size_t i = 0;
            while (i < n && !str_eq(keys[i], key)) i++;
            if (i == n) keys[n++] = key;
        }
        from = ov[1] > from ? ov[1] : from + 1;
    }
    return n;
}

void session_collect_batch(session_set *s, session_key *k, const log_batch *b,
                           uint64_t *ret_matched) {
    str keys[SESSION_KEYS_PER_RECORD];
    uint64_t matched = 0;
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        size_t n;
        if (k->code) {
            n = r->raw.n ? keys_of(k, r->raw, keys) : 0;
        } else {
            keys[0] = r->trace_id;
            n = r->trace_id.n ? 1 : 0;
        }
        matched += n > 0;
        for (size_t j = 0; j < n; j++) {
            /* RC_LIMIT: counted by the set, reported with its totals */
            IGNORE(session_set_add(s, keys[j], r->shape, r->ts_ns, &r->ref));
        }
    }
    if (ret_matched) *ret_matched = matched;
}
