/* group.c - from shapes to templates.
 *
 * Problem. One log statement leaves several shapes: optional parts, values that are plain words
 * ("user root", "user mail"), values that are a number here and a word there, units. Two statements
 * may differ in one word ("VM Started", "VM Paused"). Decide which shapes belong together, the same
 * way for the same set of shapes whatever the order they came in.
 *
 * Structure. A shape becomes a sequence of tokens: words (by hash), strong slots S, and weak slots
 * W (dotted names, quoted text: variables that say nothing about their neighbours). Spaces,
 * punctuation and units drop out. What is a union here is a union in the disjoint-set forest over
 * shapes; what is generalised, is a word of a shape turned into S for the following rounds.
 *
 *   same words   Shapes with the same sequence of words are one template. This alone gives .87 GA
 *                over 16 public sets; values of several words and optional values need nothing
 *                more.
 *   chunk        A blank-separated chunk of words and slots ("host:80") equals a lone slot at the
 *                same place in another shape.
 *   word = slot  A shape whose word i were a slot would equal another shape that has a slot there:
 *                the word is a value. ("rhost=db.example" beside "rhost=10.0.0.1".)
 *   many words   VARIETY_MIN or more different words at one place, all else equal: values.
 *                Not the first word, and CONTEXT_MIN further words must stand around it.
 *   cue word     After "user", "login" ... two different words will do. Not for key=value, where
 *                people count different values as different statements.
 *   rounds       Places found to be values are generalised, all at once, and the rules run again:
 *                at most ROUNDS_MAX times.
 *
 * Each rule asks "do shapes exist such that ..." about all shapes of the round at once, so the
 * result depends on the set alone. Rules look only at shapes, never at lines: grouping 10,000
 * shapes takes some 20 ms.
 *
 * Replaced sequences are looked up by a positional sum hash: H = sum of mix(token, place), so that
 * H with one place changed costs O(1), and "delete one" over all places is linear in the tokens.
 *
 * Limits: SHAPE_TOKENS_MAX tokens of a shape are looked at, DELETE_MAX places are tried per shape.
 *
 * Rejected: Drain's tree by length (values of several words split; Drain3 issues 17, 66), Spell's
 * longest common subsequence over all pairs (quadratic), similarity thresholds (they merge
 * opposites: Drain3 issue 109). Sources: SwissLog (Li 2020, section III-B) for the word sequence,
 * Brain (Yu 2023) for the branching threshold; evidence and ablation in README.md. */
#include "mine/mine_int.h"

#include "base/mem.h"
#include "base/rng.h"

enum {
    VARIETY_MIN = 6, /* different words at one place that make it a variable */
    CONTEXT_MIN = 2, /* words that must remain around it */
    ROUNDS_MAX = 4,
    DELETE_MAX = 64
};

enum { GTOK_WORD, GTOK_STRONG, GTOK_WEAK };

typedef struct gtok {
    uint64_t hash;  /* of a word; differs for a word behind '=' */
    uint16_t chunk; /* number of the blank-separated chunk it stands in */
    uint8_t kind;
    bool cue;   /* names what follows: user, login */
    bool value; /* stands behind '=' */
    bool key;   /* stands right before '=': never a value itself */
} gtok;

/* One shape's place in the work arrays. */
typedef struct gshape {
    uint32_t first, n; /* tokens */
    uint32_t words;
    uint64_t word_hash, full_hash; /* of the present (generalised) tokens */
} gshape;

typedef struct pair {
    uint64_t hash;
    uint32_t shape;
} pair;

/* "word `at` of `shape` left out": bucket is the rest. */
typedef struct deletion {
    uint64_t bucket, word;
    uint32_t shape, at; /* at: index among the shape's words */
    bool cue;           /* behind a cue word and not behind '=' */
} deletion;

typedef struct grouping {
    miner *m;
    VEC(gtok) tok;
    gshape *shape;
    uint32_t *parent;
    pair *by_words; /* shapes sorted by word_hash */
    pair *by_full;  /* shapes that have strong slots, sorted by full_hash */
    size_t full_count;
    uint64_t *mark; /* bit per token: generalise at the end of the round */
} grouping;

#define HASH_STRONG 0x9e3779b97f4a7c15u
#define HASH_WEAK   0xc2b2ae3d27d4eb4fu
#define HASH_HOLE   0x165667b19e3779f9u

FL_INLINE uint64_t term(uint64_t hash, uint32_t place) {
    return mix64(hash + (uint64_t)place * 0x9fb21c651e98df25u);
}

FL_INLINE uint64_t tok_hash(const gtok *t) {
    if (t->kind == GTOK_WORD) return t->hash;
    return t->kind == GTOK_STRONG ? HASH_STRONG : HASH_WEAK;
}

/* ---- disjoint sets; the root is the shape with the smallest id ---- */

static uint32_t root_of(grouping *g, uint32_t i) {
    while (g->parent[i] != i) {
        g->parent[i] = g->parent[g->parent[i]];
        i = g->parent[i];
    }
    return i;
}

static void join(grouping *g, uint32_t a, uint32_t b) {
    a = root_of(g, a);
    b = root_of(g, b);
    if (a == b) return;
    if (g->m->shapes[b]->id < g->m->shapes[a]->id) {
        uint32_t c = a;
        a = b;
        b = c;
    }
    g->parent[b] = a;
}

/* ---- tokens of a shape ---- */

static bool is_cue(str w) {
    static const char *const cues[] = {"user", "username", "uid", "login", "account"};
    if (w.n < 3 || w.n > 8) return false;
    for (size_t i = 0; i < ARRAY_LEN(cues); i++) {
        if (str_eq_nocase(w, str_c(cues[i]))) return true;
    }
    return false;
}

static char closing(char c) {
    switch (c) {
    case '(':
        return ')';
    case '[':
        return ']';
    case '{':
        return '}';
    case '<':
        return '>';
    default:
        return 0;
    }
}

/* Where the value that begins at text[from], right behind '=', ends if it is a composite of words
 * and slots ("WorkSource{10113}", "Popup:9b04"): the offset behind it; 0 when it is no composite.
 * *slot: first slot at or after `from`; moved behind the value. */
static size_t composite_end(const shape *s, const scanner *x, size_t from, uint32_t *slot) {
    enum { DEPTH_MAX = 16 };
    char open[DEPTH_MAX];
    int depth = 0;
    uint32_t k = *slot;
    size_t i = from;
    bool slots = false;
    while (i < s->text_bytes) {
        if (k < s->slot_count && i == s->slot[k].offset) {
            slots = true;
            i += s->slot[k++].bytes;
            continue;
        }
        char c = s->text[i];
        if (c == ' ' && depth == 0) break;
        if (closing(c)) {
            if (depth == DEPTH_MAX) return 0;
            open[depth++] = closing(c);
        } else if (depth > 0 && c == open[depth - 1]) {
            depth--;
        } else if (depth == 0 && (c == ',' || c == ';' || c == ')' || c == ']' || c == '}' ||
                                  c == '>' || c == '"')) {
            break;
        }
        i++;
    }
    (void)x;
    if (!slots || depth > 0) return 0;
    *slot = k;
    return i;
}

static void push_tok(grouping *g, gshape *gs, gtok t) {
    if (gs->n >= SHAPE_TOKENS_MAX) return;
    vec_push(&g->tok, t);
    gs->n++;
}

static void tokenize(grouping *g, uint32_t index) {
    const shape *s = g->m->shapes[index];
    const scanner *x = &g->m->scan;
    gshape *gs = &g->shape[index];
    gs->first = (uint32_t)g->tok.n;
    str text = str_make(s->text, s->text_bytes);
    size_t at = 0;
    uint16_t chunk = 0;
    bool after_equals = false, after_dot = false;
    for (uint32_t k = 0; k <= s->slot_count;) {
        size_t end = k < s->slot_count ? s->slot[k].offset : text.n;
        scan_tok t;
        bool moved = false;
        while (scan_next_token(x, text, &at, end, &t)) {
            char c = text.p[t.offset];
            bool dot = t.kind == TOK_PUNCT && c == '.';
            if (t.kind == TOK_SPACE || (dot && after_dot)) chunk += chunk < UINT16_MAX;
            if (t.kind == TOK_WORD) {
                str w = str_make(text.p + t.offset, t.bytes);
                uint32_t k2 = k;
                size_t to = after_equals ? composite_end(s, x, t.offset, &k2) : 0;
                if (to > t.offset + t.bytes) {
                    push_tok(g, gs, (gtok){.chunk = chunk, .kind = GTOK_STRONG, .value = true});
                    at = to;
                    after_equals = after_dot = false;
                    if (k2 != k) {
                        k = k2;
                        moved = true;
                        break;
                    }
                    continue;
                }
                uint64_t h = str_hash_seed(w, after_equals ? 1 : 0);
                bool key = t.offset + t.bytes < text.n && text.p[t.offset + t.bytes] == '=';
                push_tok(g, gs, (gtok){h, chunk, GTOK_WORD, is_cue(w), after_equals, key});
            }
            if (t.kind != TOK_SPACE) {
                after_equals = t.kind == TOK_PUNCT && c == '=';
                after_dot = dot;
            }
        }
        if (moved) continue;
        if (k < s->slot_count) {
            /* A dotted name is evidence as a value of key=value only. */
            bool strong = (s->slot[k].types & SHAPE_STRONG) ||
                          (after_equals && s->slot[k].types == 1u << SLOT_ID);
            gtok v = {
                .chunk = chunk, .kind = strong ? GTOK_STRONG : GTOK_WEAK, .value = after_equals};
            push_tok(g, gs, v);
            at = s->slot[k].offset + s->slot[k].bytes;
            after_equals = after_dot = false;
        }
        k++;
    }
}

static void rehash(grouping *g, gshape *gs) {
    const gtok *t = &g->tok.v[gs->first];
    uint64_t words = 0, full = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < gs->n; i++) {
        if (t[i].kind == GTOK_WORD) words += term(t[i].hash, n++);
        full += term(tok_hash(&t[i]), i);
    }
    gs->words = n;
    gs->full_hash = mix64(full + gs->n);
    /* Shapes without any word are told apart by their slots. */
    gs->word_hash = n ? mix64(words + n) : ~gs->full_hash;
}

/* ---- rules ---- */

static int pair_cmp(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->shape < y->shape ? -1 : x->shape > y->shape;
}

static int deletion_cmp(const void *a, const void *b) {
    const deletion *x = a, *y = b;
    if (x->bucket != y->bucket) return x->bucket < y->bucket ? -1 : 1;
    if (x->word != y->word) return x->word < y->word ? -1 : 1;
    return x->shape < y->shape ? -1 : x->shape > y->shape;
}

static size_t lower_bound(const pair *p, size_t n, uint64_t hash) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool has_strong(const grouping *g, const gshape *gs) {
    for (uint32_t i = 0; i < gs->n; i++) {
        if (g->tok.v[gs->first + i].kind == GTOK_STRONG) return true;
    }
    return false;
}

/* Sorts the shapes for this round and applies "same words". */
static void index_round(grouping *g) {
    size_t n = g->m->shape_count;
    g->full_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        gshape *gs = &g->shape[i];
        rehash(g, gs);
        g->by_words[i] = (pair){gs->word_hash, i};
        if (gs->words >= CONTEXT_MIN && has_strong(g, gs)) {
            g->by_full[g->full_count++] = (pair){gs->full_hash, i};
        }
    }
    qsort(g->by_words, n, sizeof(pair), pair_cmp);
    qsort(g->by_full, g->full_count, sizeof(pair), pair_cmp);
    for (size_t i = 1; i < n; i++) {
        if (g->by_words[i].hash == g->by_words[i - 1].hash) {
            join(g, g->by_words[i].shape, g->by_words[i - 1].shape);
        }
    }
}

static void mark_token(grouping *g, const gshape *gs, uint32_t i) {
    size_t bit = gs->first + i;
    g->mark[bit / 64] |= (uint64_t)1 << (bit % 64);
}

/* Marks word number `at` in every shape with these words, and joins them to `with`. */
static void mark_word(grouping *g, uint64_t word_hash, uint32_t at, uint32_t with) {
    size_t n = g->m->shape_count;
    for (size_t p = lower_bound(g->by_words, n, word_hash);
         p < n && g->by_words[p].hash == word_hash; p++) {
        const gshape *gs = &g->shape[g->by_words[p].shape];
        uint32_t word = 0;
        for (uint32_t i = 0; i < gs->n; i++) {
            if (g->tok.v[gs->first + i].kind != GTOK_WORD) continue;
            if (word++ == at) {
                mark_token(g, gs, i);
                break;
            }
        }
        join(g, g->by_words[p].shape, with);
    }
}

/* "many words" and "cue word". */
static bool rule_variety(grouping *g) {
    VEC(deletion) del = {0};
    size_t n = g->m->shape_count;
    for (size_t p = 0; p < n; p++) {
        if (p > 0 && g->by_words[p].hash == g->by_words[p - 1].hash) continue; /* one speaks */
        const gshape *gs = &g->shape[g->by_words[p].shape];
        if (gs->words < CONTEXT_MIN + 1) continue;
        uint64_t sum = 0;
        uint32_t word = 0;
        for (uint32_t i = 0; i < gs->n; i++) {
            const gtok *t = &g->tok.v[gs->first + i];
            if (t->kind == GTOK_WORD) sum += term(t->hash, word++);
        }
        word = 0;
        bool cue = false;
        for (uint32_t i = 0; i < gs->n && word < DELETE_MAX; i++) {
            const gtok *t = &g->tok.v[gs->first + i];
            if (t->kind != GTOK_WORD) continue;
            if (word > 0 && !t->key) {
                uint64_t rest = sum - term(t->hash, word) + term(HASH_HOLE, word);
                vec_push(&del, (deletion){mix64(rest + gs->words), t->hash, g->by_words[p].shape,
                                          word, cue && !t->value});
            }
            cue = t->cue;
            word++;
        }
    }
    if (del.n > 1) qsort(del.v, del.n, sizeof(deletion), deletion_cmp);
    bool any = false;
    for (size_t i = 0; i < del.n;) {
        size_t j = i, words = 0;
        bool cue = true;
        for (; j < del.n && del.v[j].bucket == del.v[i].bucket; j++) {
            words += j == i || del.v[j].word != del.v[j - 1].word;
            cue &= del.v[j].cue;
        }
        if (words >= VARIETY_MIN || (cue && words >= 2)) {
            for (size_t k = i; k < j; k++) {
                uint64_t h = g->shape[del.v[k].shape].word_hash;
                mark_word(g, h, del.v[k].at, del.v[i].shape);
            }
            any = true;
        }
        i = j;
    }
    vec_release(&del);
    return any;
}

/* "word = slot". */
static bool rule_word_is_slot(grouping *g) {
    bool any = false;
    for (uint32_t s = 0; s < g->m->shape_count; s++) {
        const gshape *gs = &g->shape[s];
        if (gs->words < CONTEXT_MIN + 1) continue;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < gs->n; i++) {
            sum += term(tok_hash(&g->tok.v[gs->first + i]), i);
        }
        for (uint32_t i = 0; i < gs->n; i++) {
            const gtok *t = &g->tok.v[gs->first + i];
            if (t->kind != GTOK_WORD || t->key) continue;
            uint64_t h = mix64(sum - term(t->hash, i) + term(HASH_STRONG, i) + gs->n);
            size_t p = lower_bound(g->by_full, g->full_count, h);
            if (p < g->full_count && g->by_full[p].hash == h) {
                mark_token(g, gs, i);
                join(g, s, g->by_full[p].shape);
                any = true;
            }
        }
    }
    return any;
}

/* "chunk": tried once, before the rounds; a shape's first fitting chunk becomes one slot. */
static void rule_chunk(grouping *g) {
    for (uint32_t s = 0; s < g->m->shape_count; s++) {
        gshape *gs = &g->shape[s];
        gtok *t = &g->tok.v[gs->first];
        for (uint32_t i = 0; i < gs->n;) {
            uint32_t j = i, words = 0, strong = 0;
            for (; j < gs->n && t[j].chunk == t[i].chunk; j++) {
                words += t[j].kind == GTOK_WORD;
                strong += t[j].kind == GTOK_STRONG;
            }
            if (words && strong && gs->words - words >= CONTEXT_MIN) {
                uint64_t sum = 0;
                uint32_t n = 0;
                for (uint32_t k = 0; k < gs->n; k++) {
                    if (k == i)
                        sum += term(HASH_STRONG, n++);
                    else if (k < i || k >= j)
                        sum += term(tok_hash(&t[k]), n++);
                }
                uint64_t h = mix64(sum + n);
                size_t p = lower_bound(g->by_full, g->full_count, h);
                if (p < g->full_count && g->by_full[p].hash == h) {
                    join(g, s, g->by_full[p].shape);
                    t[i].kind = GTOK_STRONG;
                    memmove(&t[i + 1], &t[j], (gs->n - j) * sizeof(gtok));
                    gs->n -= j - i - 1;
                    break;
                }
            }
            i = j;
        }
    }
}

static void apply_marks(grouping *g) {
    for (size_t i = 0; i < g->tok.n; i++) {
        if (g->mark[i / 64] >> (i % 64) & 1) g->tok.v[i].kind = GTOK_STRONG;
    }
    memset(g->mark, 0, (g->tok.n / 64 + 1) * sizeof(uint64_t));
}

/* ---- result ---- */

typedef struct member {
    uint64_t group_id, lines, id;
    uint32_t shape;
} member;

static int member_cmp(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->group_id != y->group_id) return x->group_id < y->group_id ? -1 : 1;
    if (x->lines != y->lines) return x->lines > y->lines ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void store_groups(grouping *g) {
    miner *m = g->m;
    size_t n = m->shape_count, groups = 0;
    member *all = mem_new_n(member, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t root = root_of(g, i);
        const shape *s = m->shapes[i];
        all[i] = (member){m->shapes[root]->id, s->count, s->id, i};
        groups += root == i;
    }
    qsort(all, n, sizeof(member), member_cmp);
    mem_free(m->groups);
    mem_free(m->members);
    m->groups = mem_new_n(tmpl, groups);
    m->members = mem_new_n(uint32_t, n);
    m->group_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || all[i].group_id != all[i - 1].group_id) {
            m->groups[m->group_count++] = (tmpl){.id = all[i].group_id, .first = i};
        }
        tmpl *t = &m->groups[m->group_count - 1];
        t->shapes++;
        m->members[i] = all[i].shape;
        m->shapes[all[i].shape]->group = (uint32_t)(m->group_count - 1);
    }
    MUST(m->group_count == groups);
    mem_free(all);
}

void group_shapes(miner *m) {
    grouping g = {.m = m};
    size_t n = m->shape_count;
    if (n == 0) {
        m->group_count = 0;
        return;
    }
    g.shape = mem_new_n(gshape, n);
    g.parent = mem_new_n(uint32_t, n);
    g.by_words = mem_new_n(pair, n);
    g.by_full = mem_new_n(pair, n);
    for (uint32_t i = 0; i < n; i++) {
        g.parent[i] = i;
        tokenize(&g, i);
    }
    g.mark = mem_new_n(uint64_t, g.tok.n / 64 + 1);
    index_round(&g);
    rule_chunk(&g);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        index_round(&g);
        bool variety = rule_variety(&g), slots = rule_word_is_slot(&g);
        if (!variety && !slots) break;
        apply_marks(&g);
    }
    index_round(&g);
    store_groups(&g);
    vec_release(&g.tok);
    mem_free(g.shape);
    mem_free(g.parent);
    mem_free(g.by_words);
    mem_free(g.by_full);
    mem_free(g.mark);
}
