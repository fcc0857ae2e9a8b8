/* text.c - the text of a template, as a person would write the log statement.
 *
 * Problem. A template is a group of shapes: "close, \1 bytes sent" and "close, \1 bytes (\1 KB)
 * sent". Its text must be "close, <*> sent": constants that all shapes share, <*> for the rest, in
 * the notation people use for log templates (the LogPub corrections: <*> swallows what is glued to
 * it, runs of <*> collapse, booleans are variables).
 *
 * Algorithm.
 *   1. Each shape becomes a list of text tokens. A slot is VAR, unless what its values have in
 *      common says otherwise: a stem's digits that never changed ("ssh2") stay; of an identifier
 *      the leading constant pieces stay ("core.<*>"), of a number with a unit the unit.
 *   2. The shape with the most lines is the base. Every other one (at most ALIGN_MAX, most lines
 *      first) is aligned with the text so far by a weighted longest common subsequence; what only
 *      one of the two has becomes VAR. (SwissLog, Li 2020, section III-C, does it word by word.)
 *   3. Values that are known by their place become VAR: true, false, null; words behind "user=";
 *      dotted names behind '='.
 *   4. Rendered, then normalised over the text: see normalize().
 *
 * Cost: O(tokens^2) per aligned shape, bounded by TEXT_TOKENS_MAX^2; done when a text is first
 * asked for, never per line. */
#include "mine/mine_int.h"

#include "base/mem.h"

enum {
    TEXT_TOKENS_MAX = 400,
    ALIGN_MAX = 24,
    LIST_VARS_MIN = SCAN_LIST_MIN,
    EVIDENCE_LINES = 8,
    TEXT_BYTES_MAX = 64 << 10
};

/* A gap is what only some of the shapes have. */
enum { TT_SPACE, TT_PUNCT, TT_WORD, TT_UNIT, TT_VAR, TT_GAP };

typedef struct ttok {
    str s;
    uint8_t kind;
} ttok;

typedef struct ttoks {
    ttok v[TEXT_TOKENS_MAX];
    uint32_t n;
} ttoks;

static bool is_var(const ttok *t) { return t->kind >= TT_VAR; }

static void put(ttoks *t, uint8_t kind, str s) {
    ttok *last = t->n ? &t->v[t->n - 1] : NULL;
    if (kind == TT_SPACE && last && last->kind == TT_SPACE) return;
    if (kind >= TT_VAR && last && is_var(last)) {
        last->kind = MAX(last->kind, kind);
        return;
    }
    if (t->n == TEXT_TOKENS_MAX) return;
    t->v[t->n++] = (ttok){kind == TT_SPACE ? S(" ") : kind >= TT_VAR ? S("<*>") : s, kind};
}

/* ---- one shape ---- */

static bool is_number(str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    }
    return s.n > 0;
}

/* A word rather than a piece of a hexadecimal number. */
static bool beyond_hex(str s) {
    for (size_t i = 0; i < s.n; i++) {
        if ((s.p[i] | 0x20) > 'f') return true;
    }
    return false;
}

/* Does the text so far end in '='? */
static bool is_equals(const ttoks *t) {
    uint32_t n = t->n;
    while (n > 0 && t->v[n - 1].kind == TT_SPACE) n--;
    return n > 0 && t->v[n - 1].kind == TT_PUNCT && t->v[n - 1].s.p[0] == '=';
}

/* A constant piece that may stay: letters, with at most two digits among them; with a '_' (job_7)
 * only the name of a function, init_2(). */
static bool piece_reads(str s, bool call) {
    size_t digits = 0, joints = 0;
    for (size_t i = 0; i < s.n; i++) {
        digits += s.p[i] >= '0' && s.p[i] <= '9';
        joints += s.p[i] == '_';
    }
    size_t letters = s.n - digits;
    if (digits == 0) return letters > 0;
    return letters > digits && digits <= 2 && (joints == 0 || call) && beyond_hex(s);
}

/* An identifier shows the constant pieces it begins with, then <*>. Without any: a date-like value
 * of varying numbers shows its separators, and constant pieces further on are shown when lines
 * enough speak for them. A dotted name shows two pieces or more, or none. */
static void put_identifier(ttoks *out, const shape *s, const slot_stat *st, str value, bool weak) {
    bool call = st->offset + st->bytes < s->text_bytes && s->text[st->offset + st->bytes] == '(';
    scan_tok p[PIECES_MAX];
    size_t n = value_pieces(value, p, PIECES_MAX), i = 0;
    n = MIN(n, (size_t)st->agree);
    bool whole = n > 0 && p[n - 1].offset + p[n - 1].bytes >= value.n;
    size_t reads = 0, later = 0;
    bool dotted = false, numbers = !(st->types & SHAPE_LETTERS);
    for (i = 0; i < n; i++) {
        str piece = str_sub(value, p[i].offset, p[i].bytes);
        bool stays = (st->same >> i & 1) && piece_reads(piece, call);
        if (stays && reads == i)
            reads++;
        else if (stays)
            later += beyond_hex(piece);
        dotted |= i > 0 && value.p[p[i].offset - 1] == '.';
    }
    bool constant = whole && reads == n;
    bool parts = whole && reads == 0 &&
                 ((n >= PARTS_MIN && numbers) || (later > 0 && s->count >= EVIDENCE_LINES));
    if ((reads == 0 && !parts) || (weak && (constant || reads < 2)) ||
        (dotted && reads > 0 && is_equals(out))) {
        put(out, TT_VAR, STR_NONE);
        return;
    }
    for (i = 0; i < n; i++) {
        str piece = str_sub(value, p[i].offset, p[i].bytes);
        bool stays = (st->same >> i & 1) && piece_reads(piece, call);
        if (i > 0) put(out, TT_PUNCT, str_sub(value, p[i].offset - 1, 1));
        if (reads > 0 && i >= reads) { /* the rest is one value */
            put(out, TT_VAR, STR_NONE);
            return;
        }
        if (piece.n > 0) put(out, stays ? TT_WORD : TT_VAR, piece);
    }
    if (!whole) put(out, TT_VAR, STR_NONE);
}

/* Does some number in this shape change its unit? Then all its short units do: sizes and times
 * printed for people. */
static bool units_vary(const shape *s) {
    for (uint32_t k = 0; k < s->slot_count; k++) {
        unsigned types = s->slot[k].types & ~(unsigned)(SHAPE_STRONG | SHAPE_LETTERS);
        bool unit = types & 1u << SLOT_UNIT, mixed = types != 1u << SLOT_UNIT;
        if (unit && (mixed || !(s->slot[k].same & UNIT_SAME))) return true;
    }
    return false;
}

static bool unit_is_short(str value) {
    size_t blank = str_rfind_char(value, ' ');
    return value.n - blank <= 3;
}

static void put_slot(ttoks *out, const miner *m, const shape *s, const slot_stat *st) {
    if (st->mask && st->mask != MASK_MIXED) {
        put(out, TT_WORD, mask_set_shown(m->masks, st->mask));
        return;
    }
    str value = str_make(s->text + st->offset, st->bytes);
    unsigned types = st->types & ~(unsigned)(SHAPE_STRONG | SHAPE_LETTERS);
    bool weak = !(st->types & SHAPE_STRONG);
    if (types == 1u << SLOT_INT && st->agree == 1 && (st->same & 1) && value.n <= 2) {
        put(out, TT_WORD, value); /* the 2 of "ssh2" */
    } else if (types == 1u << SLOT_ID && st->agree) {
        put_identifier(out, s, st, value, weak);
    } else if (types == 1u << SLOT_UNIT && (st->same & UNIT_SAME) && str_has(value, S(" ")) &&
               !(unit_is_short(value) && units_vary(s))) {
        size_t blank = str_rfind_char(value, ' ');
        put(out, TT_VAR, STR_NONE);
        put(out, TT_SPACE, STR_NONE);
        put(out, TT_UNIT, str_from(value, blank + 1));
    } else {
        put(out, TT_VAR, STR_NONE);
    }
}

static void shape_tokens(const miner *m, const shape *s, ttoks *out) {
    out->n = 0;
    str text = str_make(s->text, s->text_bytes);
    size_t at = 0;
    for (uint32_t k = 0; k <= s->slot_count; k++) {
        size_t end = k < s->slot_count ? s->slot[k].offset : text.n;
        scan_tok t;
        while (scan_next_token(&m->scan, text, &at, end, &t)) {
            uint8_t kind = t.kind == TOK_SPACE ? TT_SPACE : t.kind == TOK_WORD ? TT_WORD : TT_PUNCT;
            put(out, kind, str_make(text.p + t.offset, t.bytes));
        }
        if (k < s->slot_count) {
            put_slot(out, m, s, &s->slot[k]);
            at = s->slot[k].offset + s->slot[k].bytes;
        }
    }
}

/* ---- alignment ---- */

static uint32_t weight(const ttok *t) {
    switch (t->kind) {
    case TT_SPACE:
        return 1;
    case TT_PUNCT:
        return 5;
    case TT_VAR:
    case TT_GAP:
        return 3;
    case TT_UNIT:
        return 4;
    default:
        return 10 + (uint32_t)MIN(t->s.n, (size_t)20);
    }
}

static bool same_token(const ttok *a, const ttok *b) {
    return (is_var(a) && is_var(b)) || (a->kind == b->kind && str_eq(a->s, b->s));
}

static void put_gap(ttoks *out, bool lead, bool trail) {
    if (lead) put(out, TT_SPACE, STR_NONE);
    put(out, TT_GAP, STR_NONE);
    if (trail) put(out, TT_SPACE, STR_NONE);
}

/* base := what base and other share, VAR for the rest. best: (TEXT_TOKENS_MAX+1)^2 cells. */
static void align(ttoks *base, const ttoks *other, ttoks *out, uint32_t *best) {
    uint32_t n = base->n, k = other->n, w = k + 1;
    for (uint32_t j = 0; j <= k; j++) best[n * w + j] = 0;
    for (uint32_t i = n; i-- > 0;) {
        best[i * w + k] = 0;
        for (uint32_t j = k; j-- > 0;) {
            uint32_t skip = MAX(best[(i + 1) * w + j], best[i * w + j + 1]);
            uint32_t take = same_token(&base->v[i], &other->v[j])
                                ? best[(i + 1) * w + j + 1] + weight(&base->v[i])
                                : 0;
            best[i * w + j] = MAX(skip, take);
        }
    }
    out->n = 0;
    bool gap = false;                 /* something was skipped since the last shared token */
    bool lead = false, trail = false; /* the skipped part began, ended with a blank */
    uint32_t i = 0, j = 0;
    while (i < n || j < k) {
        bool both = i < n && j < k && same_token(&base->v[i], &other->v[j]) &&
                    best[i * w + j] == best[(i + 1) * w + j + 1] + weight(&base->v[i]);
        if (both) {
            if (gap) put_gap(out, lead, trail);
            gap = lead = trail = false;
            put(out, MAX(base->v[i].kind, other->v[j].kind), base->v[i].s);
            i++;
            j++;
            continue;
        }
        const ttok *skip;
        if (j < k && (i == n || best[i * w + j] == best[i * w + j + 1]))
            skip = &other->v[j++];
        else
            skip = &base->v[i++];
        trail = skip->kind == TT_SPACE;
        lead |= trail && !gap;
        gap |= !trail;
    }
    if (gap) put_gap(out, lead, false);
    *base = *out;
}

/* ---- values known by their place ---- */

static bool is_literal(str s) {
    static const char *const literals[] = {"true", "false", "null", "True", "False", "NULL", "nil"};
    for (size_t i = 0; i < ARRAY_LEN(literals); i++) {
        if (str_eq(s, str_c(literals[i]))) return true;
    }
    return false;
}

static bool names_person(str s) {
    static const char *const names[] = {"user", "username", "uid", "login", "account"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(s, str_c(names[i]))) return true;
    }
    return false;
}

static void mark_known(ttoks *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        ttok *x = &t->v[i];
        if (x->kind != TT_WORD) continue;
        bool glued_left = i > 0 && (t->v[i - 1].kind == TT_WORD || t->v[i - 1].kind == TT_VAR);
        bool glued_right = i + 1 < t->n && t->v[i + 1].kind == TT_VAR;
        bool var = !glued_left && !glued_right && is_literal(x->s);
        /* word behind "key=" or "key = " */
        uint32_t eq = i;
        while (eq > 0 && t->v[eq - 1].kind == TT_SPACE) eq--;
        if (eq > 0 && t->v[eq - 1].kind == TT_PUNCT && t->v[eq - 1].s.p[0] == '=') {
            uint32_t key = eq - 1;
            while (key > 0 && t->v[key - 1].kind == TT_SPACE) key--;
            bool person = eq == i && key > 0 && names_person(t->v[key - 1].s);
            var |= person || str_has(x->s, S("."));
        }
        /* "for user ann" */
        if (i >= 4 && t->v[i - 1].kind == TT_SPACE && t->v[i - 3].kind == TT_SPACE) {
            var |=
                str_eq_nocase(t->v[i - 2].s, S("user")) && str_eq_nocase(t->v[i - 4].s, S("for"));
        }
        if (var) *x = (ttok){S("<*>"), TT_VAR};
    }
}

/* A gap takes along the values beside it ("<*> bytes (<*> KB) sent" and "<*> bytes sent": "<*>
 * sent", as the unit belongs to its number), and a value behind '=' that is made of VARs and
 * punctuation alone is one ("=<*>##<*>", "=[<*>,<*>][<*>,<*>]"). */
static void collapse(ttoks *t) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        ttok x = t->v[i];
        if (is_var(&x) && n > 0) {
            uint32_t k = n - (t->v[n - 1].kind == TT_SPACE); /* behind the token before */
            bool gap = x.kind == TT_GAP;
            if (k >= 3 && t->v[k - 1].kind == TT_UNIT && t->v[k - 2].kind == TT_SPACE &&
                is_var(&t->v[k - 3])) {
                n = k - 3; /* number, unit, gap */
                x.kind = TT_GAP;
            } else if (k >= 1 && is_var(&t->v[k - 1]) &&
                       (gap || t->v[k - 1].kind == TT_GAP || k == n)) {
                n = k - 1;
                x.kind = TT_GAP;
            }
        }
        t->v[n++] = x;
    }
    t->n = n;
    n = 0;
    for (uint32_t i = 0; i < t->n;) {
        bool equals = i > 0 && t->v[i - 1].kind == TT_PUNCT && t->v[i - 1].s.p[0] == '=' &&
                      (i < 2 || t->v[i - 2].kind == TT_WORD);
        if (equals) {
            uint32_t j = i, vars = 0, last = i;
            int depth = 0;
            for (; j < t->n && (is_var(&t->v[j]) || t->v[j].kind == TT_PUNCT); j++) {
                char c = is_var(&t->v[j]) ? 0 : t->v[j].s.p[0];
                if (c == '"' || c == '\'' || c == '<' || c == '>' || c == '=' || c == '{') break;
                if (c == ']' || c == ')') {
                    if (--depth < 0) break;
                }
                if (depth == 0 && (c == ',' || c == ';' || c == '}')) break;
                depth += c == '[' || c == '(';
                vars += c == 0;
                if (depth == 0 && (c == 0 || c == ']' || c == ')')) last = j + 1;
            }
            if (vars >= 2 && last > i + 1) {
                t->v[n++] = (ttok){S("<*>"), TT_VAR};
                i = last;
                continue;
            }
        }
        t->v[n++] = t->v[i++];
    }
    t->n = n;
}

/* LIST_VARS_MIN or more <*> in a row, a blank or ", " apart, are one list. */
static void collapse_lists(buf *b) {
    size_t start = 0, at;
    while ((at = str_find(buf_str(b), S("<*>"), start)) != STR_NPOS) {
        size_t end = at + 3;
        int vars = 1;
        for (;;) {
            str rest = str_from(buf_str(b), end);
            size_t skip = str_starts(rest, S(" <*>")) ? 4 : str_starts(rest, S(", <*>")) ? 5 : 0;
            if (!skip) break;
            end += skip;
            vars++;
        }
        if (vars >= LIST_VARS_MIN) {
            memmove(b->p + at + 3, b->p + end, b->n - end);
            b->n -= end - at - 3;
            end = at + 3;
        }
        start = end;
    }
}

/* ---- normalisation over the text ---- */

static bool separates(char c) {
    switch (c) {
    case ' ':
    case '\t':
    case ',':
    case '!':
    case ';':
    case ':':
    case '=':
    case '|':
    case '"':
    case '\'':
    case '[':
    case ']':
    case '(':
    case ')':
    case '{':
    case '}':
    case '.':
    case '-':
    case '+':
    case '@':
    case '#':
    case '$':
    case '%':
    case '&':
        return true;
    default:
        return false;
    }
}

#define VAR_TEXT S("<*>")

/* Replaces `from` by <*> until nothing changes; the text only shrinks. */
static void collapse_text(buf *b, str from) {
    size_t at;
    size_t start = 0;
    while ((at = str_find(buf_str(b), from, start)) != STR_NPOS) {
        memmove(b->p + at + 3, b->p + at + from.n, b->n - at - from.n);
        memcpy(b->p + at, "<*>", 3);
        b->n -= from.n - 3;
        start = at >= 3 ? at - 3 : 0;
    }
}

/* The conventions of the corrected public labels:
 *   - a piece between separators that is a number, or that holds <*> and no slash, is <*>
 *   - <*> with . : / @ or nothing between is one <*>
 *   - white space is one blank, none at the ends. */
static void normalize(str in, buf *out) {
    size_t i = 0;
    in = str_trim(in);
    while (i < in.n) {
        if (separates(in.p[i])) {
            (void)buf_putc(out, in.p[i++]);
            continue;
        }
        size_t from = i;
        bool high = in.p[i] & 0x80; /* another script glued to a value is no part of it */
        while (i < in.n && !separates(in.p[i]) && !(in.p[i] & 0x80) == !high) i++;
        str piece = str_sub(in, from, i - from);
        bool var = is_number(piece);
        if (str_has(piece, VAR_TEXT) && !str_has(piece, S("/"))) var = true;
        (void)buf_put(out, var ? VAR_TEXT : piece);
    }
    static const char *const joints[] = {"<*>.<*>", "<*><*>",  "<*>:<*>", "<*>/<*>",
                                         "<*>@<*>", "<*>.<*>", "<*><*>"};
    for (size_t k = 0; k < ARRAY_LEN(joints); k++) collapse_text(out, str_c(joints[k]));
}

str group_text(miner *m, const tmpl *g) {
    ttoks *t = mem_new_n(ttoks, 3);
    ttoks *base = &t[0], *other = &t[1], *out = &t[2];
    /* Members dropped since the grouping are passed over. */
    uint32_t i = 0;
    const shape *s = NULL;
    while (!s && i < g->shapes) s = miner_find(m, m->members[g->first + i++]);
    if (s) shape_tokens(m, s, base);
    if (i < g->shapes) {
        uint32_t *best = mem_new_n(uint32_t, (TEXT_TOKENS_MAX + 1) * (TEXT_TOKENS_MAX + 1));
        for (int aligned = 0; i < g->shapes && aligned < ALIGN_MAX; i++) {
            s = miner_find(m, m->members[g->first + i]);
            if (!s) continue;
            shape_tokens(m, s, other);
            aligned++;
            align(base, other, out, best);
        }
        mem_free(best);
    }
    mark_known(base);
    collapse(base);
    buf raw, done;
    buf_init(&raw, TEXT_BYTES_MAX);
    buf_init(&done, TEXT_BYTES_MAX);
    for (uint32_t k = 0; k < base->n; k++) (void)buf_put(&raw, base->v[k].s);
    normalize(buf_str(&raw), &done);
    collapse_lists(&done);
    str text = str_dup(&m->texts, buf_str(&done));
    buf_release(&raw);
    buf_release(&done);
    mem_free(t);
    return text.p ? text : S("");
}
