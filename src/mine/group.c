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
 * Same words: shapes with the same sequence of words are one template. This alone gives .87 GA over
 * 16 public sets; values of several words and optional values need nothing more.
 *
 * Part = slot: a part of words and slots that hang together ("host:80", or a value behind '=' such
 * as "Source{10113}") stands where another shape, equal otherwise, has a lone slot; for a value
 * behind '=' a lone word will do ("null").
 *
 * Word = slot: a shape whose word i were a slot would equal another shape that has a slot there:
 * the word is a value. ("rhost=db.example" beside "rhost=10.0.0.1".)
 *
 * Many words: VARIETY_MIN or more different words at one place, all else equal, are values. Not the
 * first word, and CONTEXT_MIN further words must stand around it.
 *
 * Values' places: a word behind '=', alone in quotes or square brackets, or glued to digits
 * ("eth0", "ib0") stands where values stand: HELD_MIN different ones are values, and one word
 * elsewhere is context enough. The same for names such as "shop.orders" and "nginx.service", also
 * as the first word, at VARIETY_MIN. All such words of a shape are left out at once, as several
 * values of one line vary together. Keys that name the event (msg=, state=, ...) are no such
 * places.
 *
 * Twin places: SHARED_MIN or more words that vary at one place vary at a place of another statement
 * too: values of one kind. ("session opened for user ann|bob|eve", "session closed for user
 * ann|bob|eve".) Opposites vary at one place only. Where the two statements differ in one word,
 * words and contexts form a grid ("of ann opened|closed|lost", "of bob opened|closed|lost"): its
 * longer side is the value.
 *
 * Never values: words of which half or more are participles ("started", "stopping", ...). They say
 * what happened, however many there are.
 *
 * Words = slots: a rare value beside another rare one ("mallory" on "node17", once) has no shape
 * that is equal but for one word. A shape that would equal a generalised one with slots at all its
 * found places joins it. At the end, as it needs the places.
 *
 * Rounds: places found to be values are generalised, all at once, and the rules run again, at most
 * ROUNDS_MAX times.
 *
 * Each rule asks "do shapes exist such that ..." about all shapes of the round at once, so the
 * result depends on the set alone. Rules look only at shapes, never at lines: grouping 10,000
 * shapes takes some 20 ms.
 *
 * Replaced sequences are looked up by a positional sum hash: H = sum of mix(token, place), so that
 * H with one place changed costs O(1), and "delete one" over all places is linear in the tokens.
 *
 * Limits: SHAPE_TOKENS_MAX tokens of a shape are looked at; DELETE_MAX places and PARTS_TRIED_MAX
 * parts are tried per shape, and PATTERNS_MAX patterns of up to PATTERN_PLACES_MAX found places.
 *
 * Rejected: Drain's tree by length (values of several words split; Drain3 issues 17, 66), Spell's
 * longest common subsequence over all pairs (quadratic), similarity thresholds (they merge
 * opposites: Drain3 issue 109). Sources: SwissLog (Li 2020, section III-B) for the word sequence,
 * Brain (Yu 2023) for the branching threshold; evidence and ablation in README.md. */
#include "mine/mine_int.h"

#include "base/bits.h"
#include "base/mem.h"
#include "base/rng.h"

enum {
    VARIETY_MIN = 8, /* different words at one place that make it a variable */
    HELD_MIN = 4,    /* the same where values stand */
    CONTEXT_MIN = 2, /* words that must remain around it */
    ROUNDS_MAX = 4,
    DELETE_MAX = 64,
    PARTS_TRIED_MAX = 32,
    PATTERNS_MAX = 64,
    PATTERN_PLACES_MAX = 6,
    PARTS_TOKENS_MAX = 96, /* longer shapes are not taken apart */
    SHARED_MIN = 3,        /* words two places have in common, to be twins */
    TWIN_WORDS_MAX = 16,   /* words of a place that are looked up */
    TWIN_PLACES_MAX = 32,  /* places looked at per word */
    TWIN_ENTRIES_MAX = 256 /* of a place, for the check that it is another statement's */
};

mine_tuning group_tuning(void) {
    return (mine_tuning){.part = true,
                         .word_slot = true,
                         .variety = true,
                         .twin = true,
                         .held = true,
                         .variety_min = VARIETY_MIN,
                         .shared_min = SHARED_MIN,
                         .held_min = HELD_MIN,
                         .context_min = CONTEXT_MIN,
                         .rounds_max = ROUNDS_MAX};
}

enum { GTOK_WORD, GTOK_STRONG, GTOK_WEAK };
enum { HELD_NOT, HELD_NAME, HELD_PLACE };

typedef struct gtok {
    uint64_t hash;  /* of a word; differs for words behind and before '=' */
    uint16_t chunk; /* number of the blank-separated chunk it stands in */
    uint16_t span;  /* tokens of the value behind '=' that begins here; 0 or 1: no part */
    uint8_t kind;
    bool value;   /* stands behind '=' */
    bool key;     /* stands right before '=': never a value itself */
    uint8_t held; /* stands where values stand, see is_held */
    bool event;   /* a participle: "started", "starting" */
    bool made;    /* a word that was found to be a value */
} gtok;

/* One shape's place in the work arrays. */
typedef struct gshape {
    uint32_t first, n; /* tokens */
    uint32_t words;
    uint64_t word_hash, full_hash; /* of the present (generalised) tokens */
    uint64_t sum;                  /* of the tokens' terms */
} gshape;

typedef struct pair {
    uint64_t hash;
    uint32_t shape;
} pair;

/* "word `at` of `shape` left out": bucket is the rest. */
typedef struct deletion {
    uint64_t bucket, word;
    uint32_t shape;
    uint16_t at;  /* index among the shape's words */
    uint8_t held; /* bucket leaves out all held words, not only this one */
    bool event;
} deletion;

/* Tokens [from, to) of a shape taken as one slot; hash: of the shape's tokens then. */
typedef struct part {
    uint64_t hash;
    uint32_t shape;
    uint16_t from, to;
    bool value; /* behind '=' */
} part;

/* Is a hash among some known ones? One bit each: "no" is certain, "yes" is looked up. */
typedef struct filter {
    uint64_t *bits;
    size_t mask;
} filter;

typedef struct grouping {
    miner *m;
    filter full; /* of by_full */
    VEC(gtok) tok;
    gshape *shape;
    uint32_t *parent;
    pair *by_words; /* shapes sorted by word_hash */
    pair *by_full;  /* shapes that have strong slots, sorted by full_hash */
    size_t full_count;
    VEC(part) parts; /* sorted by hash */
    bool first_round;
    VEC(pair) found; /* places judged in the first round: bucket, one of the shapes */
    /* What the round found, applied at its end: */
    uint64_t *mark; /* bit per token: becomes a slot */
    part *collapse; /* per shape: its part that becomes a slot; to = 0: none */
} grouping;

#define HASH_STRONG 0x9e3779b97f4a7c15u
#define HASH_WEAK   0xc2b2ae3d27d4eb4fu
#define HASH_HOLE   0x165667b19e3779f9u
#define HASH_VALUE  0x27d4eb2f165667c5u /* added to the hash of a word behind '=' */
#define HASH_KEY    0x85ebca77c2b2ae63u /* and of one before '=' */

FL_INLINE uint64_t term(uint64_t hash, uint32_t place) {
    return mix64(hash + (uint64_t)place * 0x9fb21c651e98df25u);
}

/* Of the word wherever it stands. */
FL_INLINE uint64_t plain_hash(const gtok *t) {
    return t->hash - (t->value ? HASH_VALUE : 0) - (t->key ? HASH_KEY : 0);
}

FL_INLINE uint64_t tok_hash(const gtok *t) {
    if (t->kind == GTOK_WORD) return t->hash;
    return t->kind == GTOK_STRONG ? HASH_STRONG : HASH_WEAK;
}

static filter filter_new(size_t count) {
    size_t n = bits_next_pow2(MAX(count, (size_t)64) * 16);
    return (filter){mem_new_n(uint64_t, n / 64), n - 1};
}

FL_INLINE bool filter_has(const filter *f, uint64_t hash) {
    return bitset_has(f->bits, hash & f->mask);
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

/* Where the value ends that begins at text[from], right behind '=': at a blank, comma or closing
 * bracket, unless these stand in brackets of the value. `from` when the brackets do not match. */
static size_t value_end(const shape *s, size_t from) {
    enum { DEPTH_MAX = 16 };
    char open[DEPTH_MAX];
    int depth = 0;
    size_t i = from;
    for (uint32_t k = 0; i < s->text_bytes; i++) {
        while (k < s->slot_count && s->slot[k].offset < i) k++;
        if (k < s->slot_count && i == s->slot[k].offset) {
            i += s->slot[k].bytes - 1;
            continue;
        }
        char c = s->text[i];
        if (closing(c)) {
            if (depth == DEPTH_MAX) return from;
            open[depth++] = closing(c);
        } else if (depth > 0) {
            depth -= c == open[depth - 1];
        } else if (c == ' ' || memchr(",;)]}>\"", c, 7)) {
            break;
        }
    }
    return depth ? from : i;
}

static bool is_letter(char c) { return (unsigned char)((c | 0x20) - 'a') < 26; }

/* Keys whose value says which event it is. */
static bool key_names_event(const shape *s, size_t equals) {
    static const char *const names[] = {
        "msg",  "message", "log",    "event", "body",   "text",     "level",  "lvl",   "type",
        "kind", "state",   "status", "op",    "action", "severity", "reason", "cause", "result"};
    size_t end = equals, from;
    while (end > 0 && s->text[end - 1] == ' ') end--;
    for (from = end; from > 0 && is_letter(s->text[from - 1]) && end - from < 16;) from--;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(str_make(s->text + from, end - from), str_c(names[i]))) return true;
    }
    return false;
}

/* Does the word text[from, to) stand where values stand: behind the '=' at `equals` (SIZE_MAX:
 * none), alone in quotes or brackets, glued to the digits of slot k; or is it a name with a dot or
 * underscore inside? */
static uint8_t is_held(const shape *s, size_t from, size_t to, size_t equals, uint32_t k) {
    const char *t = s->text;
    if (equals != SIZE_MAX) return !key_names_event(s, equals) ? HELD_PLACE : HELD_NOT;
    if (from > 0 && to < s->text_bytes) {
        char open = t[from - 1], close = t[to];
        bool quoted = (open == '"' || open == '\'' || open == '`') &&
                      (close == open || (open == '`' && close == '\''));
        bool json_key = quoted && to + 1 < s->text_bytes && t[to + 1] == ':';
        if (quoted && !json_key) return HELD_PLACE;
        if (open == '[' && close == ']') return HELD_PLACE;
    }
    bool letters = true, name = false;
    for (size_t i = from; i < to; i++) {
        letters &= is_letter(t[i]);
        name |= i > from && (t[i] == '.' || t[i] == '_' || t[i] == '@');
    }
    bool stem = k < s->slot_count && to == s->slot[k].offset && letters &&
                (s->slot[k].types & 1u << SLOT_INT);
    if (stem) return HELD_PLACE;
    return name ? HELD_NAME : HELD_NOT;
}

/* "started", "starting": what happened, and opposite to "stopped", "stopping". */
static bool is_event(str w) {
    if (w.n < 5) return false;
    for (size_t i = 0; i < w.n; i++) {
        if (!is_letter(w.p[i])) return false;
    }
    str low = str_from(w, w.n - 3);
    return str_eq_nocase(low, S("ing")) || str_eq_nocase(str_from(low, 1), S("ed"));
}

static bool push_tok(grouping *g, gshape *gs, gtok t) {
    if (gs->n >= SHAPE_TOKENS_MAX) return false;
    vec_push(&g->tok, t);
    gs->n++;
    return true;
}

static void tokenize(grouping *g, const shape *s, gshape *gs) {
    const scanner *x = &g->m->scan;
    gs->first = (uint32_t)g->tok.n;
    str text = str_make(s->text, s->text_bytes);
    size_t at = 0;
    uint16_t chunk = 0;
    bool after_equals = false, after_dot = false;
    size_t equals = 0;
    size_t span_end = 0; /* offset where the value ends that began at token span_at */
    uint32_t span_at = 0;
    for (uint32_t k = 0; k <= s->slot_count; k++) {
        size_t end = k < s->slot_count ? s->slot[k].offset : text.n;
        scan_tok t;
        while (scan_next_token(x, text, &at, end, &t)) {
            char c = text.p[t.offset];
            bool dot = t.kind == TOK_PUNCT && c == '.';
            if (t.kind == TOK_SPACE || (dot && after_dot)) chunk += chunk < UINT16_MAX;
            if (t.kind == TOK_WORD) {
                str w = str_make(text.p + t.offset, t.bytes);
                bool key = t.offset + t.bytes < text.n && text.p[t.offset + t.bytes] == '=';
                uint64_t h = str_hash(w) + (after_equals ? HASH_VALUE : 0) + (key ? HASH_KEY : 0);
                if (after_equals && t.offset >= span_end) {
                    span_end = value_end(s, t.offset);
                    span_at = gs->n;
                }
                size_t to = t.offset + t.bytes;
                uint8_t held =
                    key ? HELD_NOT : is_held(s, t.offset, to, after_equals ? equals : SIZE_MAX, k);
                gtok word = {h, chunk, 0, GTOK_WORD, after_equals, key, held, is_event(w), false};
                if (push_tok(g, gs, word) && t.offset < span_end) {
                    g->tok.v[gs->first + span_at].span = (uint16_t)(gs->n - span_at);
                }
            }
            if (t.kind != TOK_SPACE) {
                after_equals = t.kind == TOK_PUNCT && c == '=';
                if (after_equals) equals = t.offset;
                after_dot = dot;
            }
        }
        if (k == s->slot_count) break;
        /* A dotted name is evidence as a value of key=value only. */
        const slot_stat *st = &s->slot[k];
        bool strong = (st->types & SHAPE_STRONG) ||
                      (after_equals && (st->types & ~SHAPE_LETTERS) == 1u << SLOT_ID);
        gtok v = {.chunk = chunk, .kind = strong ? GTOK_STRONG : GTOK_WEAK, .value = after_equals};
        if (push_tok(g, gs, v) && st->offset < span_end) {
            g->tok.v[gs->first + span_at].span = (uint16_t)(gs->n - span_at);
        }
        at = st->offset + st->bytes;
        after_equals = after_dot = false;
    }
}

static void rehash(grouping *g, gshape *gs) {
    const gtok *t = gs->n ? &g->tok.v[gs->first] : NULL;
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

/* A shape whose tokens hash to this, or NULL. */
static const pair *find_full(const grouping *g, uint64_t hash) {
    if (!filter_has(&g->full, hash)) return NULL;
    size_t p = lower_bound(g->by_full, g->full_count, hash);
    return p < g->full_count && g->by_full[p].hash == hash ? &g->by_full[p] : NULL;
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
    memset(g->full.bits, 0, (g->full.mask + 1) / 8);
    for (uint32_t i = 0; i < n; i++) {
        gshape *gs = &g->shape[i];
        rehash(g, gs);
        g->by_words[i] = (pair){gs->word_hash, i};
        if (gs->words >= g->m->tuning.context_min && has_strong(g, gs)) {
            g->by_full[g->full_count++] = (pair){gs->full_hash, i};
            bitset_add(g->full.bits, gs->full_hash & g->full.mask);
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

/* A place: deletions [first, end) of one bucket. */
typedef struct place {
    size_t first, end;
    uint32_t words;  /* different ones */
    uint32_t events; /* of these, participles */
} place;

typedef struct place_word {
    uint64_t word;
    uint32_t place;
} place_word;

static int place_word_cmp(const void *a, const void *b) {
    const place_word *x = a, *y = b;
    if (x->word != y->word) return x->word < y->word ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static int u32_cmp(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool share_a_shape(const deletion *del, const place *a, const place *b) {
    for (size_t i = a->first; i < a->end; i++) {
        for (size_t j = b->first; j < b->end; j++) {
            if (del[i].shape == del[j].shape) return true;
        }
    }
    return false;
}

/* Are the statements of two places the same but for the place itself and one more word? */
static bool is_near(const grouping *g, const deletion *a, const deletion *b) {
    const gshape *x = &g->shape[a->shape], *y = &g->shape[b->shape];
    if (x->words != y->words || a->at != b->at) return false;
    const gtok *t = &g->tok.v[x->first], *u = &g->tok.v[y->first];
    uint32_t i = 0, j = 0, differ = 0;
    for (uint32_t word = 0; word < x->words; word++) {
        while (t[i].kind != GTOK_WORD) i++;
        while (u[j].kind != GTOK_WORD) j++;
        differ += word != a->at && t[i].hash != u[j].hash;
        i++;
        j++;
    }
    return differ <= 1;
}

/* Does place `p` have SHARED_MIN words or more in common with a place of another statement? words:
 * all words of places that have so many, sorted. */
static bool has_twin(const grouping *g, const deletion *del, const place *places, uint32_t p,
                     const place_word *words, size_t word_count, uint32_t shared_min) {
    uint32_t others[TWIN_WORDS_MAX * TWIN_PLACES_MAX];
    size_t n = 0;
    const place *me = &places[p];
    uint32_t looked = 0;
    for (size_t i = me->first; i < me->end && looked < TWIN_WORDS_MAX; i++) {
        if (i > me->first && del[i].word == del[i - 1].word) continue;
        looked++;
        size_t lo = 0, hi = word_count;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (words[mid].word < del[i].word)
                lo = mid + 1;
            else
                hi = mid;
        }
        for (size_t k = 0; k < TWIN_PLACES_MAX && lo + k < word_count; k++) {
            if (words[lo + k].word != del[i].word) break;
            if (words[lo + k].place != p) others[n++] = words[lo + k].place;
        }
    }
    qsort(others, n, sizeof(others[0]), u32_cmp);
    uint32_t near = 0;
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && others[j] == others[i]) j++;
        const place *o = &places[others[i]];
        bool small = o->end - o->first <= TWIN_ENTRIES_MAX;
        if (j - i >= shared_min && (!small || !share_a_shape(del, me, o))) {
            if (!is_near(g, &del[me->first], &del[o->first])) return true;
            near++;
        }
        i = j;
    }
    return near > 0 && near + 1 < me->words;
}

/* Decides for each place whether its words are values. del: sorted. */
static bool judge_places(grouping *g, const deletion *del, size_t count) {
    const mine_tuning *tune = &g->m->tuning;
    VEC(place) places = {0};
    VEC(place_word) words = {0};
    for (size_t i = 0; i < count;) {
        place p = {.first = i, .end = i};
        for (; p.end < count && del[p.end].bucket == del[i].bucket; p.end++) {
            bool other = p.end == i || del[p.end].word != del[p.end - 1].word;
            p.words += other;
            p.events += other && del[p.end].event;
        }
        uint32_t least = del[i].held ? tune->held_min : MIN(tune->shared_min, tune->variety_min);
        if (p.words >= least) {
            for (size_t k = p.first; k < p.end && !del[i].held; k++) {
                if (k > p.first && del[k].word == del[k - 1].word) continue;
                vec_push(&words, (place_word){del[k].word, (uint32_t)places.n});
            }
            vec_push(&places, p);
        }
        i = p.end;
    }
    if (words.n) qsort(words.v, words.n, sizeof(place_word), place_word_cmp);
    bool any = false;
    for (uint32_t i = 0; i < places.n; i++) {
        const place *p = &places.v[i];
        uint8_t held = del[p->first].held;
        bool values = held ? tune->held && p->words >= (held == HELD_PLACE ? tune->held_min
                                                                           : tune->variety_min)
                           : tune->variety && p->words >= tune->variety_min;
        if (!values && !held && tune->twin && p->words >= tune->shared_min) {
            values = has_twin(g, del, places.v, i, words.v, words.n, tune->shared_min);
        }
        if (!values || 2 * p->events >= p->words) continue;
        if (g->first_round && !held) {
            vec_push(&g->found, (pair){del[p->first].bucket, del[p->first].shape});
        }
        for (size_t k = p->first; k < p->end; k++) {
            mark_word(g, g->shape[del[k].shape].word_hash, del[k].at,
                      held ? del[k].shape : del[p->first].shape);
        }
        any = true;
    }
    vec_release(&places);
    vec_release(&words);
    return any;
}

/* Appends the deletions of one shape: every word but the first and keys. */
static void add_deletions(const gtok *t, const gshape *gs, uint32_t s, uint32_t context_min,
                          deletion *ret, uint32_t *count) {
    uint64_t sum = 0, open_sum = 0;
    uint32_t word = 0, n = 0, open = 0;
    for (uint32_t i = 0; i < gs->n; i++) {
        if (t[i].kind != GTOK_WORD) continue;
        sum += term(t[i].hash, word);
        open_sum += term(t[i].held ? HASH_HOLE : t[i].hash, word);
        open += !t[i].held;
        word++;
    }
    word = 0;
    for (uint32_t i = 0; i < gs->n && word < DELETE_MAX; i++) {
        if (t[i].kind != GTOK_WORD) continue;
        if (word > 0 && !t[i].key && gs->words > context_min) {
            uint64_t rest = sum - term(t[i].hash, word) + term(HASH_HOLE, word);
            ret[n++] = (deletion){mix64(rest + gs->words), plain_hash(&t[i]), s,
                                  (uint16_t)word,          HELD_NOT,          t[i].event};
        }
        if (t[i].held && open >= 1) {
            uint64_t rest = open_sum + term(HASH_HOLE + t[i].held, word + SHAPE_TOKENS_MAX);
            ret[n++] = (deletion){mix64(rest + gs->words), plain_hash(&t[i]), s,
                                  (uint16_t)word,          t[i].held,         t[i].event};
        }
        word++;
    }
    *count = n;
}

/* Most places have one word only and need no sorting: keeps the deletions whose bucket may occur
 * twice. */
static void drop_lonely(deletion *del, size_t *count) {
    filter once = filter_new(*count), twice = filter_new(*count);
    for (size_t i = 0; i < *count; i++) {
        uint64_t h = del[i].bucket & once.mask;
        if (bitset_has(once.bits, h)) bitset_add(twice.bits, h);
        bitset_add(once.bits, h);
    }
    size_t n = 0;
    for (size_t i = 0; i < *count; i++) {
        if (filter_has(&twice, del[i].bucket)) del[n++] = del[i];
    }
    *count = n;
    mem_free(once.bits);
    mem_free(twice.bits);
}

/* Shapes [p, end) of by_words have the same words: the first one speaks for all, so it takes over
 * which of them are held in any. */
static void gather_held(grouping *g, size_t p, size_t end) {
    const gshape *first = &g->shape[g->by_words[p].shape];
    gtok *t = &g->tok.v[first->first];
    for (size_t q = p + 1; q < end; q++) {
        const gshape *other = &g->shape[g->by_words[q].shape];
        const gtok *u = &g->tok.v[other->first];
        if (other->words != first->words) continue;
        for (uint32_t i = 0, j = 0, word = 0; word < first->words; word++, i++, j++) {
            while (t[i].kind != GTOK_WORD) i++;
            while (u[j].kind != GTOK_WORD) j++;
            t[i].held = MAX(t[i].held, u[j].held);
        }
    }
}

/* "many words", "values' places" and "twin places". */
static bool rule_variety(grouping *g) {
    VEC(deletion) del = {0};
    size_t n = g->m->shape_count;
    for (size_t p = 0, end; p < n; p = end) {
        for (end = p + 1; end < n && g->by_words[end].hash == g->by_words[p].hash;) end++;
        const gshape *gs = &g->shape[g->by_words[p].shape];
        if (gs->words == 0) continue;
        gather_held(g, p, end);
        vec_reserve(&del, del.n + 2 * DELETE_MAX);
        uint32_t added;
        add_deletions(&g->tok.v[gs->first], gs, g->by_words[p].shape, g->m->tuning.context_min,
                      &del.v[del.n], &added);
        del.n += added;
    }
    bool any = false;
    drop_lonely(del.v, &del.n);
    if (del.n) {
        qsort(del.v, del.n, sizeof(deletion), deletion_cmp);
        any = judge_places(g, del.v, del.n);
    }
    vec_release(&del);
    return any;
}

static size_t lower_part(const grouping *g, uint64_t hash) {
    size_t lo = 0, hi = g->parts.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (g->parts.v[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The part becomes a slot at the end of the round; of several the first, the longer one. */
static void collapse_later(grouping *g, const part *p) {
    part *now = &g->collapse[p->shape];
    if (now->to == 0 || p->from < now->from || (p->from == now->from && p->to > now->to)) *now = *p;
}

static uint64_t token_sum(const grouping *g, const gshape *gs) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < gs->n; i++) sum += term(tok_hash(&g->tok.v[gs->first + i]), i);
    return sum;
}

/* "word = slot", and the word side of "part = slot". */
static bool rule_word_is_slot(grouping *g) {
    bool any = false;
    for (uint32_t s = 0; s < g->m->shape_count; s++) {
        const gshape *gs = &g->shape[s];
        if (gs->words < g->m->tuning.context_min + 1) continue;
        uint64_t sum = token_sum(g, gs);
        for (uint32_t i = 0; i < gs->n; i++) {
            const gtok *t = &g->tok.v[gs->first + i];
            if (t->kind != GTOK_WORD || t->key) continue;
            uint64_t h = mix64(sum - term(t->hash, i) + term(HASH_STRONG, i) + gs->n);
            const pair *full = g->m->tuning.word_slot ? find_full(g, h) : NULL;
            if (full) {
                mark_token(g, gs, i);
                join(g, s, full->shape);
                any = true;
            }
            if (!t->value) continue;
            for (size_t p = lower_part(g, h); p < g->parts.n && g->parts.v[p].hash == h; p++) {
                const part *o = &g->parts.v[p];
                if (!o->value || o->from != i) continue;
                mark_token(g, gs, i);
                join(g, s, o->shape);
                collapse_later(g, o);
                any = true;
            }
        }
    }
    return any;
}

/* Where the words stand that were found to be values in some shape of n tokens. */
typedef struct pattern {
    uint64_t hash;
    uint32_t n;
    uint16_t at[PATTERN_PLACES_MAX];
    uint16_t places;
} pattern;

static int pattern_cmp(const void *a, const void *b) {
    const pattern *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static bool pattern_of(const grouping *g, const gshape *gs, pattern *ret) {
    *ret = (pattern){.hash = gs->n, .n = gs->n};
    for (uint32_t i = 0; i < gs->n; i++) {
        if (!g->tok.v[gs->first + i].made) continue;
        if (ret->places == PATTERN_PLACES_MAX) return false;
        ret->at[ret->places++] = (uint16_t)i;
        ret->hash = mix64(ret->hash + i);
    }
    return ret->places >= 2;
}

/* Would this shape, with slots at the places of the pattern, be one that has them? */
static void try_pattern(grouping *g, uint32_t s, const pattern *pat, const pair *rows, size_t n,
                        const filter *seen) {
    const gshape *gs = &g->shape[s];
    const gtok *t = &g->tok.v[gs->first];
    uint64_t sum = gs->sum;
    uint32_t words = 0;
    for (uint32_t k = 0; k < pat->places; k++) {
        uint32_t i = pat->at[k];
        if (t[i].kind == GTOK_WEAK || t[i].key || t[i].event) return;
        words += t[i].kind == GTOK_WORD;
        sum += term(HASH_STRONG, i) - term(tok_hash(&t[i]), i);
    }
    if (words < 2 || gs->words - words < g->m->tuning.context_min) return;
    uint64_t key = mix64(mix64(sum + gs->n) ^ pat->hash);
    if (!filter_has(seen, key)) return;
    size_t p = lower_bound(rows, n, key);
    if (p == n || rows[p].hash != key) return;
    for (uint32_t k = 0; k < pat->places; k++) {
        if (t[pat->at[k]].kind == GTOK_WORD) mark_token(g, gs, pat->at[k]);
    }
    join(g, s, rows[p].shape);
}

/* "words = slots": a rare value beside another rare one, at places that are known by now. */
static void rule_words_are_slots(grouping *g) {
    VEC(pattern) patterns = {0};
    VEC(pair) rows = {0};
    for (uint32_t s = 0; s < g->m->shape_count; s++) {
        pattern pat;
        gshape *gs = &g->shape[s];
        gs->sum = token_sum(g, gs);
        if (!pattern_of(g, gs, &pat)) continue;
        vec_push(&rows, (pair){mix64(gs->full_hash ^ pat.hash), s});
        vec_push(&patterns, pat);
    }
    if (rows.n) {
        qsort(rows.v, rows.n, sizeof(pair), pair_cmp);
        qsort(patterns.v, patterns.n, sizeof(pattern), pattern_cmp);
        size_t n = 0;
        for (size_t i = 0; i < patterns.n && n < PATTERNS_MAX; i++) {
            if (n == 0 || patterns.v[i].hash != patterns.v[n - 1].hash) {
                patterns.v[n++] = patterns.v[i];
            }
        }
        filter seen = filter_new(rows.n);
        for (size_t i = 0; i < rows.n; i++) bitset_add(seen.bits, rows.v[i].hash & seen.mask);
        for (uint32_t s = 0; s < g->m->shape_count; s++) {
            for (size_t k = 0; k < n; k++) {
                if (patterns.v[k].n != g->shape[s].n) continue;
                try_pattern(g, s, &patterns.v[k], rows.v, rows.n, &seen);
            }
        }
        mem_free(seen.bits);
    }
    vec_release(&patterns);
    vec_release(&rows);
}

static int part_cmp(const void *a, const void *b) {
    const part *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    if (x->shape != y->shape) return x->shape < y->shape ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Notes tokens [from, to) as a part if they are words and slots mixed and words enough remain. */
static void add_part(grouping *g, uint32_t s, uint32_t from, uint32_t to, bool value) {
    const gshape *gs = &g->shape[s];
    const gtok *t = &g->tok.v[gs->first];
    uint32_t words = 0, strong = 0, n = 0;
    for (uint32_t i = from; i < to; i++) {
        words += t[i].kind == GTOK_WORD;
        strong += t[i].kind == GTOK_STRONG;
    }
    if (!words || !strong || gs->words - words < g->m->tuning.context_min) return;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < gs->n; i++) {
        if (i == from)
            sum += term(HASH_STRONG, n++);
        else if (i < from || i >= to)
            sum += term(tok_hash(&t[i]), n++);
    }
    vec_push(&g->parts, (part){mix64(sum + n), s, (uint16_t)from, (uint16_t)to, value});
}

static void find_parts(grouping *g) {
    g->parts.n = 0;
    for (uint32_t s = 0; s < g->m->shape_count; s++) {
        const gshape *gs = &g->shape[s];
        const gtok *t = gs->n ? &g->tok.v[gs->first] : NULL;
        if (gs->n > PARTS_TOKENS_MAX) continue;
        for (uint32_t i = 0, tried = 0; i < gs->n && tried < PARTS_TRIED_MAX;) {
            uint32_t j = i;
            for (; j < gs->n && t[j].chunk == t[i].chunk; j++) {
                if (t[j].span < 2 || j + t[j].span > gs->n) continue;
                add_part(g, s, j, j + t[j].span, true);
                tried++;
            }
            if (j - i >= 2) {
                add_part(g, s, i, j, false);
                tried++;
            }
            i = j;
        }
    }
    if (g->parts.n) qsort(g->parts.v, g->parts.n, sizeof(part), part_cmp);
}

/* The slot side of "part = slot". */
static bool rule_part_is_slot(grouping *g) {
    bool any = false;
    for (size_t i = 0; i < g->parts.n; i++) {
        const part *o = &g->parts.v[i];
        const pair *full = find_full(g, o->hash);
        if (full) {
            join(g, o->shape, full->shape);
            collapse_later(g, o);
            any = true;
        }
    }
    return any;
}

static void apply_round(grouping *g) {
    for (size_t i = 0; i < g->tok.n; i++) {
        gtok *t = &g->tok.v[i];
        bool now = g->mark[i / 64] >> (i % 64) & 1;
        t->made |= now && t->kind == GTOK_WORD;
        if (now) t->kind = GTOK_STRONG;
    }
    memset(g->mark, 0, (g->tok.n / 64 + 1) * sizeof(uint64_t));
    for (uint32_t s = 0; s < g->m->shape_count; s++) {
        part *p = &g->collapse[s];
        gshape *gs = &g->shape[s];
        if (p->to == 0) continue;
        gtok *t = &g->tok.v[gs->first];
        uint16_t gone = (uint16_t)(p->to - p->from - 1);
        for (uint32_t i = 0; i < p->from; i++) {
            if (i + t[i].span >= p->to) t[i].span = (uint16_t)(t[i].span - gone);
        }
        t[p->from].kind = GTOK_STRONG;
        t[p->from].span = 0;
        memmove(&t[p->from + 1], &t[p->to], (gs->n - p->to) * sizeof(gtok));
        gs->n -= gone;
        *p = (part){0};
    }
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
    m->members = mem_new_n(uint64_t, n);
    m->group_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || all[i].group_id != all[i - 1].group_id) {
            m->groups[m->group_count++] = (tmpl){.id = all[i].group_id, .first = i};
        }
        tmpl *t = &m->groups[m->group_count - 1];
        t->shapes++;
        m->members[i] = all[i].id;
        m->shapes[all[i].shape]->group = (uint32_t)(m->group_count - 1);
    }
    MUST(m->group_count == groups);
    mem_free(all);
}

/* For group_place_of: the places found, each with a shape of its template. */
static void store_places(grouping *g) {
    miner *m = g->m;
    map64_reset(&m->places);
    for (size_t i = 0; i < g->found.n; i++) {
        uint64_t *to = map64_put(&m->places, g->found.v[i].hash, NULL);
        if (to) *to = m->groups[m->shapes[g->found.v[i].shape]->group].id;
    }
}

uint64_t group_place_of(const miner *m, const shape *s) {
    if (!m->places.count) return 0;
    grouping g = {.m = (miner *)(uintptr_t)m}; /* nothing of it is changed */
    gshape gs = {0};
    tokenize(&g, s, &gs);
    for (uint32_t i = 0; i < gs.n; i++) gs.words += g.tok.v[i].kind == GTOK_WORD;
    deletion del[2 * DELETE_MAX];
    uint32_t n = 0;
    uint64_t found = 0;
    add_deletions(g.tok.v, &gs, 0, m->tuning.context_min, del, &n);
    for (uint32_t i = 0; i < n && !found; i++) {
        const uint64_t *to = map64_get(&m->places, del[i].bucket);
        if (to) found = *to;
    }
    vec_release(&g.tok);
    return found;
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
    g.full = filter_new(n);
    for (uint32_t i = 0; i < n; i++) {
        g.parent[i] = i;
        tokenize(&g, m->shapes[i], &g.shape[i]);
    }
    g.mark = mem_new_n(uint64_t, g.tok.n / 64 + 1);
    g.collapse = mem_new_n(part, n);
    index_round(&g);
    for (uint32_t round = 0; round < m->tuning.rounds_max; round++) {
        g.first_round = round == 0;
        if (m->tuning.part) find_parts(&g);
        bool variety = rule_variety(&g), words = rule_word_is_slot(&g),
             parts = rule_part_is_slot(&g);
        if (!variety && !words && !parts) break;
        apply_round(&g);
        index_round(&g);
    }
    if (m->tuning.word_slot) rule_words_are_slots(&g);
    store_groups(&g);
    store_places(&g);
    vec_release(&g.found);
    vec_release(&g.tok);
    mem_free(g.shape);
    mem_free(g.parent);
    mem_free(g.by_words);
    mem_free(g.by_full);
    mem_free(g.full.bits);
    mem_free(g.mark);
    mem_free(g.collapse);
    vec_release(&g.parts);
}
