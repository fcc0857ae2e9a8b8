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

enum { TEXT_TOKENS_MAX = 400, ALIGN_MAX = 24, LIST_VARS_MIN = 5, TEXT_BYTES_MAX = 64 << 10 };

enum { TT_SPACE, TT_PUNCT, TT_WORD, TT_UNIT, TT_VAR };

typedef struct ttok {
    str s;
    uint8_t kind;
} ttok;

typedef struct ttoks {
    ttok v[TEXT_TOKENS_MAX];
    uint32_t n;
} ttoks;

static void put(ttoks *t, uint8_t kind, str s) {
    if (t->n == TEXT_TOKENS_MAX) return;
    if (kind == TT_VAR && t->n && t->v[t->n - 1].kind == TT_VAR) return;
    if (kind == TT_SPACE && t->n && t->v[t->n - 1].kind == TT_SPACE) return;
    t->v[t->n++] = (ttok){kind == TT_SPACE ? S(" ") : kind == TT_VAR ? S("<*>") : s, kind};
}

/* ---- one shape ---- */

static bool is_number(str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    }
    return s.n > 0;
}

/* A constant piece that may stay: letters, with at most two digits among them. */
static bool piece_reads(str s) {
    size_t letters = 0, digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9')
            digits++;
        else
            letters++;
    }
    return letters > 0 && digits <= 2 && letters > digits;
}

/* An identifier: constant leading pieces stay; without any, a date-like value of varying pieces
 * shows its separators. */
static void put_identifier(ttoks *out, const slot_stat *st, str value) {
    scan_tok p[PIECES_MAX];
    size_t n = value_pieces(value, p, PIECES_MAX), i = 0;
    n = MIN(n, (size_t)st->agree);
    bool whole = n > 0 && p[n - 1].offset + p[n - 1].bytes >= value.n;
    size_t reads = 0;
    while (reads < n && (st->same >> reads & 1) &&
           piece_reads(str_sub(value, p[reads].offset, p[reads].bytes))) {
        reads++;
    }
    if (reads == 0 && !(whole && n >= PARTS_MIN)) {
        put(out, TT_VAR, STR_NONE);
        return;
    }
    for (; i < n; i++) {
        str piece = str_sub(value, p[i].offset, p[i].bytes);
        bool stays = i < reads || ((st->same >> i & 1) && piece_reads(piece));
        if (i > 0) put(out, TT_PUNCT, str_sub(value, p[i].offset - 1, 1));
        if (i >= reads && reads > 0 && !stays) { /* the rest is one value */
            put(out, TT_VAR, STR_NONE);
            return;
        }
        if (piece.n == 0) continue;
        if (stays)
            put(out, TT_WORD, piece);
        else
            put(out, TT_VAR, STR_NONE);
    }
    if (!whole) put(out, TT_VAR, STR_NONE);
}

static void put_slot(ttoks *out, const shape *s, const slot_stat *st) {
    str value = str_make(s->text + st->offset, st->bytes);
    unsigned types = st->types & ~(unsigned)SHAPE_STRONG;
    bool weak = !(st->types & SHAPE_STRONG);
    if (types == 1u << SLOT_INT && st->agree == 1 && (st->same & 1)) {
        put(out, TT_WORD, value); /* the 2 of "ssh2" */
    } else if (types == 1u << SLOT_ID && st->agree && !weak) {
        put_identifier(out, st, value);
    } else if (types == 1u << SLOT_UNIT && (st->same & UNIT_SAME) && str_has(value, S(" "))) {
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
            put_slot(out, s, &s->slot[k]);
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
        return 3;
    case TT_UNIT:
        return 4;
    default:
        return 10 + (uint32_t)MIN(t->s.n, (size_t)20);
    }
}

static bool same_token(const ttok *a, const ttok *b) {
    return a->kind == b->kind && str_eq(a->s, b->s);
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
    bool gap = false;
    uint32_t i = 0, j = 0;
    while (i < n || j < k) {
        if (i < n && j < k && same_token(&base->v[i], &other->v[j]) &&
            best[i * w + j] == best[(i + 1) * w + j + 1] + weight(&base->v[i])) {
            if (gap) put(out, TT_VAR, STR_NONE);
            gap = false;
            put(out, base->v[i].kind, base->v[i].s);
            i++;
            j++;
        } else if (j < k && (i == n || best[i * w + j] == best[i * w + j + 1])) {
            gap |= other->v[j++].kind != TT_SPACE;
        } else {
            gap |= base->v[i++].kind != TT_SPACE;
        }
    }
    if (gap) put(out, TT_VAR, STR_NONE);
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
        if (var) *x = (ttok){S("<*>"), TT_VAR};
    }
}

/* VAR " " unit VAR is one value; LIST_VARS_MIN or more VARs in a row are a list. */
static void collapse(ttoks *t) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        ttok x = t->v[i];
        if (x.kind == TT_VAR && n >= 1) {
            uint32_t k = n;
            if (k >= 1 && t->v[k - 1].kind == TT_SPACE) k--;
            bool unit = k >= 3 && t->v[k - 1].kind == TT_UNIT && t->v[k - 2].kind == TT_SPACE &&
                        t->v[k - 3].kind == TT_VAR && k == n;
            if (unit) {
                n = k - 2;
                continue;
            }
            if (t->v[n - 1].kind == TT_VAR) continue;
        }
        t->v[n++] = x;
    }
    t->n = n;
    n = 0;
    for (uint32_t i = 0; i < t->n;) {
        uint32_t j = i, vars = 0;
        while (j < t->n && t->v[j].kind == TT_VAR) {
            vars++;
            if (j + 2 < t->n && t->v[j + 1].kind == TT_SPACE && t->v[j + 2].kind == TT_VAR)
                j += 2;
            else
                break;
        }
        t->v[n++] = t->v[i];
        i = vars >= LIST_VARS_MIN ? j + 1 : i + 1;
    }
    t->n = n;
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
        while (i < in.n && !separates(in.p[i])) i++;
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
    shape_tokens(m, m->shapes[m->members[g->first]], base);
    if (g->shapes > 1) {
        uint32_t *best = mem_new_n(uint32_t, (TEXT_TOKENS_MAX + 1) * (TEXT_TOKENS_MAX + 1));
        for (uint32_t i = 1; i < g->shapes && i <= ALIGN_MAX; i++) {
            shape_tokens(m, m->shapes[m->members[g->first + i]], other);
            align(base, other, out, best);
        }
        mem_free(best);
    }
    mark_known(base);
    collapse(base);
    buf raw, done;
    buf_init(&raw, TEXT_BYTES_MAX);
    buf_init(&done, TEXT_BYTES_MAX);
    for (uint32_t i = 0; i < base->n; i++) (void)buf_put(&raw, base->v[i].s);
    normalize(buf_str(&raw), &done);
    str text = str_dup(&m->texts, buf_str(&done));
    buf_release(&raw);
    buf_release(&done);
    mem_free(t);
    return text.p ? text : S("");
}
