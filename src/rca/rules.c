/* rules.c - the rule set and its matching.
 *
 * Problem: about a hundred rules with some ten phrases each are tried on the texts of a few hundred
 * findings. Phrases are what people remember of a message ("too many connections",
 * "*OutOfMemory*"), so they are literal text with at most a wildcard, not regular expressions: no
 * engine, no back-tracking, and a rule file that anyone can write.
 *
 * Matching: the text is folded once (ASCII lower case, runs of blanks to one space, `<*>` of
 * templates to `*`). The longest piece of every phrase is entered under the hash of its first
 * three bytes (hence the minimum of three letters); one walk over the text looks every position up
 * in that table, so its cost does not depend on the number of rules. A hit is verified in full and
 * remembered in a bit per phrase; rules are then evaluated on the bits.
 *
 *   phrase    word boundaries are asked for at both ends where the phrase has a letter or digit
 *             there, unless it begins or ends with `*`: "oom" is not in "room", "*oom*" is
 *   `*`       inside a phrase: up to PHRASE_GAP_MAX bytes, not over a line end
 *   `\*`      a star itself
 *   group     any one of its phrases; a rule needs all its groups and none of its `not` phrases
 *
 * The order among the rules that match is by specificity: the sum over groups of the longest phrase
 * that hit. It makes "KEYS" on Redis win over "slow command" and both over "timeout" without
 * hand-set priorities.
 *
 * Rejected: Aho-Corasick (the same speed here at several times the code), vectorscan (a dependency
 * for a few hundred short texts), regular expressions (users get them wrong; catastrophic cases).
 */
#include "rca/rules.h"

#include "base/mem.h"
#include "rca/rules_int.h"

enum { INDEX_BITS = 12, INDEX_SLOTS = 1 << INDEX_BITS, PHRASE_GAP_MAX = 80 };
enum { RULES_ARENA_MAX = 64 << 20 };
#define ENTRY_NONE UINT32_MAX

typedef struct index_entry {
    uint32_t rule, phrase, next;
} index_entry;

struct rules {
    arena mem;
    rule_def_list defs;  /* in order of id */
    VEC(uint32_t) bases; /* by rule: number of its first phrase among all phrases */
    VEC(index_entry) entries;
    uint32_t slots[INDEX_SLOTS];
    size_t phrase_total;
};

/* Generated from rules/builtin.yaml by the build. */
static const unsigned char builtin_yaml[] = {
#include "rca/builtin_rules.h"
};

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static uint32_t tri_slot(const char *p) {
    uint32_t v = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 |
                 (uint32_t)(unsigned char)p[2] << 16;
    return (v * 2654435761u) >> (32 - INDEX_BITS);
}

rules *rules_new(void) {
    rules *r = mem_new(rules);
    arena_init(&r->mem, "rules", RULES_ARENA_MAX);
    memset(r->slots, 0xff, sizeof(r->slots));
    return r;
}

void rules_free(rules *r) {
    if (!r) return;
    arena_release(&r->mem);
    vec_release(&r->defs);
    vec_release(&r->bases);
    vec_release(&r->entries);
    mem_free(r);
}

size_t rules_count(const rules *r) { return r->defs.n; }

const rule *rules_at(const rules *r, size_t i) {
    MUST(i < r->defs.n);
    return &r->defs.v[i].r;
}

/* First position whose id is not below `id`. */
static size_t lower_bound(const rules *r, str id) {
    size_t lo = 0, hi = r->defs.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (str_cmp(r->defs.v[mid].r.id, id) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

const rule *rules_get(const rules *r, str id) {
    size_t at = lower_bound(r, id);
    return at < r->defs.n && str_eq(r->defs.v[at].r.id, id) ? &r->defs.v[at].r : NULL;
}

const char *phrase_compile(arena *mem, str text, phrase *ret) {
    text = str_trim(text);
    memset(ret, 0, sizeof(*ret));
    str *pieces = arena_try_new_n(mem, str, text.n / 2 + 2);
    char *low = arena_try_bytes(mem, text.n + 1, 1);
    if (!pieces || !low) return "the rule file is too large";
    size_t n = 0, start = 0;
    for (size_t i = 0; i <= text.n; i++) {
        bool escaped = i + 1 < text.n && text.p[i] == '\\' && text.p[i + 1] == '*';
        if (i == text.n || (text.p[i] == '*' && !escaped)) {
            ret->open_start |= i == 0 && text.n > 0;
            ret->open_end |= i + 1 == text.n;
            if (n > start) {
                uint32_t k = ret->piece_count++;
                pieces[k] = str_make(low + start, n - start);
                ret->letters += (uint32_t)(n - start);
                if (pieces[k].n > pieces[ret->longest].n) ret->longest = k;
            }
            start = n;
            continue;
        }
        if (escaped) i++;
        if (!is_blank(text.p[i])) {
            low[n++] = fold(text.p[i]);
        } else if (n == start || low[n - 1] != ' ') {
            low[n++] = ' ';
        }
    }
    ret->pieces = pieces;
    if (ret->piece_count == 0 || pieces[ret->longest].n < 3) {
        return "a phrase needs three letters in a row or more beside its '*'";
    }
    return NULL;
}

static void build_index(rules *r) {
    memset(r->slots, 0xff, sizeof(r->slots));
    r->entries.n = r->bases.n = 0;
    r->phrase_total = 0;
    for (size_t i = 0; i < r->defs.n; i++) {
        const rule_def *d = &r->defs.v[i];
        vec_push(&r->bases, (uint32_t)r->phrase_total);
        r->phrase_total += d->phrase_count;
        for (uint32_t k = 0; k < d->phrase_count; k++) {
            uint32_t slot = tri_slot(d->phrases[k].pieces[d->phrases[k].longest].p);
            vec_push(&r->entries, ((index_entry){(uint32_t)i, k, r->slots[slot]}));
            r->slots[slot] = (uint32_t)(r->entries.n - 1);
        }
    }
}

rc rules_add_yaml(rules *r, str yaml, str file_name, err *e) {
    rule_def_list read = {0};
    arena_mark mark = arena_save(&r->mem);
    rc code = rules_read_yaml(yaml, file_name, &r->mem, &read, e);
    if (code == RC_OK && r->defs.n + read.n > RULES_MAX) {
        code = FAIL(e, RC_LIMIT, "%.*s: more than %d rules in all", STR_ARG(file_name), RULES_MAX);
    }
    if (code != RC_OK) {
        arena_restore(&r->mem, mark);
        vec_release(&read);
        return code;
    }
    for (size_t i = 0; i < read.n; i++) {
        size_t at = lower_bound(r, read.v[i].r.id);
        bool replace = at < r->defs.n && str_eq(r->defs.v[at].r.id, read.v[i].r.id);
        if (!replace) {
            vec_push(&r->defs, (rule_def){0});
            memmove(&r->defs.v[at + 1], &r->defs.v[at], (r->defs.n - 1 - at) * sizeof(rule_def));
        }
        r->defs.v[at] = read.v[i];
    }
    vec_release(&read);
    build_index(r);
    return RC_OK;
}

rc rules_add_builtin(rules *r, err *e) {
    return rules_add_yaml(r, str_make((const char *)builtin_yaml, sizeof(builtin_yaml)),
                          S("builtin.yaml"), e);
}

/* Folds the texts into `out`, one line end between them. Returns the length. */
static size_t fold_texts(const rule_subject *s, char *out, size_t cap) {
    size_t n = 0;
    for (size_t t = 0; t < s->text_count && n + 1 < cap; t++) {
        if (n > 0) out[n++] = '\n';
        str in = s->texts[t];
        for (size_t i = 0; i < in.n && n < cap; i++) {
            char c = in.p[i];
            if (c == '<' && in.n - i >= 3 && in.p[i + 1] == '*' && in.p[i + 2] == '>') {
                c = '*';
                i += 2;
            }
            if (is_blank(c)) {
                if (n > 0 && out[n - 1] != ' ') out[n++] = ' ';
            } else {
                out[n++] = fold(c);
            }
        }
    }
    return n;
}

static bool boundary_ok(const phrase *p, str text, size_t from, size_t to) {
    if (!p->open_start && from > 0 && is_word(text.p[from]) && is_word(text.p[from - 1])) {
        return false;
    }
    return p->open_end || to >= text.n || !is_word(text.p[to - 1]) || !is_word(text.p[to]);
}

/* Whether the phrase occurs with its first piece at `at`. */
static bool phrase_at(const phrase *p, str text, size_t at) {
    size_t end = at + p->pieces[0].n;
    for (uint32_t k = 1; k < p->piece_count; k++) {
        size_t limit = MIN(text.n, end + PHRASE_GAP_MAX + p->pieces[k].n);
        size_t line_end = str_find_char(str_make(text.p, limit), '\n', end);
        str room = str_make(text.p, line_end == STR_NPOS ? limit : line_end);
        size_t next = str_find(room, p->pieces[k], end);
        if (next == STR_NPOS) return false;
        end = next + p->pieces[k].n;
    }
    return boundary_ok(p, text, at, end);
}

/* `hit` is a position of the longest piece. */
static bool phrase_matches(const phrase *p, str text, size_t hit) {
    if (p->longest == 0) return phrase_at(p, text, hit);
    size_t back = 0;
    for (uint32_t k = 0; k < p->longest; k++) back += p->pieces[k].n + PHRASE_GAP_MAX;
    size_t from = hit > back ? hit - back : 0;
    while ((from = str_find(text, p->pieces[0], from)) != STR_NPOS && from < hit) {
        if (phrase_at(p, text, from)) return true;
        from++;
    }
    return false;
}

static bool bit_get(const uint64_t *bits, size_t i) { return bits[i / 64] >> (i % 64) & 1; }

/* Letters of the longest phrases that hit, over all groups; 0 when the rule does not match. */
static unsigned evaluate(const rule_def *d, const uint64_t *bits, size_t base) {
    for (uint32_t k = d->positive_count; k < d->phrase_count; k++) {
        if (bit_get(bits, base + k)) return 0;
    }
    unsigned sum = 0;
    for (uint32_t g = 0; g < d->group_count; g++) {
        unsigned best = 0;
        for (uint32_t k = d->groups[g].first; k < d->groups[g].first + d->groups[g].count; k++) {
            if (bit_get(bits, base + k)) best = MAX(best, d->phrases[k].letters);
        }
        if (best == 0) return 0;
        sum += best;
    }
    return sum;
}

static bool better(const rule_match *a, const rule_match *b) {
    if (a->specificity != b->specificity) return a->specificity > b->specificity;
    if (a->rule->cause_rank != b->rule->cause_rank) {
        return a->rule->cause_rank > b->rule->cause_rank;
    }
    return str_cmp(a->rule->id, b->rule->id) < 0;
}

size_t rules_match(const rules *r, const rule_subject *s, rule_match *ret, size_t cap) {
    if (r->defs.n == 0 || cap == 0) return 0;
    char *folded = mem_alloc(RULE_MATCH_BYTES_MAX);
    uint64_t *bits = mem_new_n(uint64_t, r->phrase_total / 64 + 1);
    str text = str_make(folded, fold_texts(s, folded, RULE_MATCH_BYTES_MAX));
    for (size_t at = 0; at + 3 <= text.n; at++) {
        for (uint32_t k = r->slots[tri_slot(text.p + at)]; k != ENTRY_NONE;) {
            const index_entry *en = &r->entries.v[k];
            k = en->next;
            const phrase *p = &r->defs.v[en->rule].phrases[en->phrase];
            size_t bit = r->bases.v[en->rule] + en->phrase;
            if (bit_get(bits, bit) || !str_starts(str_from(text, at), p->pieces[p->longest])) {
                continue;
            }
            if (phrase_matches(p, text, at)) bits[bit / 64] |= 1ull << (bit % 64);
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < r->defs.n; i++) {
        const rule_def *d = &r->defs.v[i];
        if (d->r.kinds && s->kind >= 0 && !(d->r.kinds >> s->kind & 1)) continue;
        rule_match m = {&d->r, evaluate(d, bits, r->bases.v[i])};
        if (m.specificity == 0) continue;
        if (n == cap && !better(&m, &ret[n - 1])) continue;
        size_t at = n < cap ? n++ : n - 1;
        for (; at > 0 && better(&m, &ret[at - 1]); at--) ret[at] = ret[at - 1];
        ret[at] = m;
    }
    mem_free(bits);
    mem_free(folded);
    return n;
}
