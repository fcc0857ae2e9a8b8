/* miner.c - the table of shapes: learning, bounds, counts, merging.
 *
 *     message --scan--> skeleton, slots --XXH3-128--> id (low half), check (high half)
 *                                                       |
 *          table  [ id | index ] ... open addressing    v          shapes[]  -> shape block
 *                 [ id | index ]     linear probes,  id found? --> count, slot statistics
 *                 [  0 |   0   ]     load <= 1/2        | no
 *                                                       v
 *                                              new block: example text + slots
 *
 * A hit compares the check half too: two skeletons of one id (one pair in 2^64) do not share a
 * shape; the later one is counted as overflow. The skeleton itself is not stored: it is the example
 * text with the slots cut out.
 *
 * What a slot's values have in common is followed per *piece* ("core.2275" has the pieces core and
 * 2275): a bit says that the piece never changed. The bits depend on the set of lines only, not on
 * their order: "equal to the example in pieces 0..i" is an equivalence relation. Most slots lose
 * their bits within two lines and cost nothing afterwards.
 *
 * Bounds. At max_shapes or max_bytes a clock hand (second chance, counting real hits; Corbato 1968)
 * picks a shape to drop. When the template of a dropped shape has other shapes, these take its
 * lines and `gone` redirects its id: a variable word with a million values costs memory for those
 * seen lately, and no count is lost. Otherwise its lines go to `overflow`. When the hand finds no
 * victim within CLOCK_STEPS_MAX steps the new line is overflow itself: a flood of lines that never
 * repeat cannot push out the shapes that do. So always
 *
 *     lines = sum of shape counts + absorbed + overflow. */
#define XXH_INLINE_ALL /* short inputs: the call would cost as much as the hash */
#include <xxhash.h>

#include "mine/mine_int.h"

#include "base/mem.h"
#include "base/rng.h"

enum {
    SHAPES_DEFAULT = 65536,
    BYTES_DEFAULT = 64 << 20,
    CLOCK_STEPS_MAX = 64,
    HEIR_STEPS_MAX = 4, /* looked further for a shape with an heir */
    DROPS_MAX = 64,     /* to make room for one */
    BATCH_SLOTS = 2048, /* taken from a batch's arena at once */
    GROUP_AGAIN_MIN = 16,
    GROUP_PATIENCE_MAX = 6,
    TABLE_MIN = 64,
    GONE_PER_SHAPE = 4
};

uint64_t skeleton_hash(str skel, uint64_t *ret_check) {
    XXH128_hash_t h = XXH3_128bits(skel.p ? skel.p : "", skel.n);
    *ret_check = h.high64;
    return h.low64 ? h.low64 : 1;
}

uint64_t miner_shape_id(str skeleton) {
    uint64_t check;
    return skeleton_hash(skeleton, &check);
}

rc miner_new(const miner_opts *opts, miner **ret, err *e) {
    static const miner_opts none = {0};
    if (!opts) opts = &none;
    if (opts->max_shapes > UINT32_MAX / 4) {
        return FAIL(e, RC_INVALID, "max_shapes %zu is above %u", opts->max_shapes, UINT32_MAX / 4);
    }
    mask_set *masks = NULL;
    if (opts->mask_count) {
        rc r = mask_set_new(opts->masks, opts->mask_count, &masks, e);
        if (r) return r;
    }
    miner *m = mem_new(miner);
    m->magic = MINER_MAGIC;
    m->tuning = group_tuning();
    m->max_shapes = opts->max_shapes ? opts->max_shapes : SHAPES_DEFAULT;
    m->max_bytes = opts->max_bytes ? opts->max_bytes : BYTES_DEFAULT;
    m->masks = masks;
    uint64_t h = str_hash(opts->delimiters);
    for (size_t i = 0; i < opts->mask_count; i++) {
        h = mix64(h ^ str_hash(opts->masks[i].name));
        h = mix64(h ^ str_hash(opts->masks[i].regex));
    }
    m->options_hash = h;
    m->table_cap = TABLE_MIN;
    m->table = mem_new_n(table_entry, m->table_cap);
    map64_init(&m->places, m->max_shapes);
    map64_init(&m->gone, GONE_PER_SHAPE * m->max_shapes);
    /* Template text is derived and redone at will; its size is bounded by the shapes'. */
    arena_init(&m->texts, "mine.texts", SIZE_MAX);
    scan_init(&m->scan, opts->delimiters);
    *ret = m;
    return RC_OK;
}

void miner_free(miner *m) {
    if (!m) return;
    MUST(m->magic == MINER_MAGIC);
    for (size_t i = 0; i < m->shape_count; i++) mem_free(m->shapes[i]);
    mem_free(m->shapes);
    mem_free(m->hits);
    mem_free(m->table);
    mem_free(m->groups);
    mem_free(m->members);
    mem_free(m->order);
    map64_release(&m->places);
    map64_release(&m->gone);
    arena_release(&m->texts);
    mask_set_free(m->masks);
    m->magic = 0;
    mem_free(m);
}

/* ---- values ---- */

FL_INLINE bool splits_value(str v, size_t i) {
    switch (v.p[i]) {
    case '.':
    case ':':
    case '@':
    case '$':
    case '#':
    case '+':
    case '/':
    case ',':
    case '=':
    case ' ':
        return true;
    case '-':
        return i == 0 || v.p[i - 1] != '_';
    default:
        return false;
    }
}

size_t value_pieces(str v, scan_tok *ret, size_t max) {
    size_t n = 0, i = 0;
    while (i < v.n && n < max) {
        size_t from = i;
        while (i < v.n && !splits_value(v, i)) i++;
        ret[n++] = (scan_tok){(uint32_t)from, (uint32_t)(i - from), TOK_WORD};
        i++;
    }
    return n;
}

/* The unit of a number, with the blank before it if there is one. */
static str unit_of(str v) {
    size_t i = v.n;
    while (i > 0 && (v.p[i - 1] == '%' || (unsigned char)((v.p[i - 1] | 0x20) - 'a') < 26)) i--;
    if (i > 0 && v.p[i - 1] == ' ') i--;
    return str_from(v, i);
}

/* The pieces of a UUID say nothing. */
static bool is_uuid(str v) {
    return v.n == 36 && v.p[8] == '-' && v.p[13] == '-' && v.p[18] == '-' && v.p[23] == '-';
}

static bool has_letter_piece(str v, const scan_tok *pieces, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].bytes == 0) return true;
        char c = v.p[pieces[i].offset];
        if (c < '0' || c > '9') return true;
    }
    return false;
}

/* Pieces behind a separator that changed are not the same ones. A value without a constant piece is
 * followed only while it looks like a date or a number of many parts: the text shows its parts. */
static void settle(slot_stat *st) {
    st->same &= (uint8_t)((1u << st->agree) - 1) | UNIT_SAME;
    if (!st->same && st->agree < PARTS_MIN) st->agree = 0;
}

/* Clears the bits of `st` that the value does not share with the example. */
static void compare_value(slot_stat *st, str example, str value) {
    if (st->same & UNIT_SAME && !str_eq(unit_of(example), unit_of(value))) {
        st->same &= (uint8_t)~UNIT_SAME;
    }
    if (!st->agree) return;
    if (is_uuid(value)) {
        st->agree = st->same = 0;
        return;
    }
    scan_tok a[PIECES_MAX + 1], b[PIECES_MAX + 1];
    size_t na = value_pieces(example, a, PIECES_MAX + 1);
    size_t nb = value_pieces(value, b, PIECES_MAX + 1);
    if (has_letter_piece(value, b, nb)) st->types |= SHAPE_LETTERS;
    size_t agree = 0;
    while (agree < st->agree && agree < na && agree < nb) {
        scan_tok x = a[agree], y = b[agree];
        if (x.bytes != y.bytes || memcmp(example.p + x.offset, value.p + y.offset, x.bytes) != 0) {
            st->same &= (uint8_t) ~(1u << agree);
        }
        agree++;
        /* The separator behind this piece; the end counts as one. */
        size_t xe = x.offset + x.bytes, ye = y.offset + y.bytes;
        int xs = xe < example.n ? example.p[xe] : -1, ys = ye < value.n ? value.p[ye] : -1;
        if (xs != ys) {
            /* Not even the piece before a differing end is the same. */
            agree--;
            break;
        }
    }
    if (agree < st->agree) st->agree = (uint8_t)agree;
    settle(st);
}

/* Statistics of one value. Only kinds of slots that may turn out constant are followed. */
static slot_stat first_value(uint8_t type, bool weak, str value, bool after_stem) {
    slot_stat st = {.types = (uint16_t)(1u << type | (weak ? 0u : (unsigned)SHAPE_STRONG))};
    if (type == SLOT_UNIT) st.same = UNIT_SAME;
    if ((type == SLOT_ID && !is_uuid(value)) || (type == SLOT_INT && after_stem)) {
        scan_tok p[PIECES_MAX];
        st.agree = (uint8_t)value_pieces(value, p, PIECES_MAX);
        st.same = (uint8_t)((1u << st.agree) - 1);
        scan_tok all[PIECES_MAX + 1];
        size_t n = value_pieces(value, all, PIECES_MAX + 1);
        if (has_letter_piece(value, all, n)) st.types |= SHAPE_LETTERS;
    }
    return st;
}

/* Is the slot glued to a letter before it ("eth" of "eth0")? */
static bool follows_stem(str text, size_t offset) {
    return offset > 0 && (unsigned char)((text.p[offset - 1] | 0x20) - 'a') < 26;
}

/* ---- table ---- */

FL_INLINE table_entry *probe(const miner *m, uint64_t id) {
    size_t mask = m->table_cap - 1, i = (size_t)id & mask;
    while (m->table[i].at && m->table[i].id != id) i = (i + 1) & mask;
    return &m->table[i];
}

shape *miner_find(const miner *m, uint64_t id) {
    const table_entry *t = probe(m, id);
    return t->at ? m->shapes[t->at - 1] : NULL;
}

static void table_grow(miner *m) {
    size_t cap = m->table_cap * 2;
    mem_free(m->table);
    m->table = mem_new_n(table_entry, cap);
    m->table_cap = cap;
    for (size_t i = 0; i < m->shape_count; i++) {
        *probe(m, m->shapes[i]->id) = (table_entry){m->shapes[i]->id, (uint32_t)i + 1};
    }
}

/* Deletes an entry of a linear-probing table by moving later ones back (Knuth 6.4 algorithm R). */
static void table_remove(miner *m, uint64_t id) {
    size_t mask = m->table_cap - 1;
    table_entry *t = probe(m, id);
    MUST(t->at != 0);
    size_t hole = (size_t)(t - m->table), i = hole;
    for (;;) {
        i = (i + 1) & mask;
        if (!m->table[i].at) break;
        size_t home = (size_t)m->table[i].id & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->table[hole] = m->table[i];
            hole = i;
        }
    }
    m->table[hole] = (table_entry){0};
}

static size_t held_bytes(const miner *m) {
    return sizeof(miner) + m->shape_bytes + m->table_cap * sizeof(table_entry) +
           m->shapes_cap * (sizeof(shape *) + 1) + (m->gone.cap + m->places.cap) * 16 +
           m->group_count * sizeof(tmpl) + m->texts.held_bytes;
}

static void join_counts(shape *a, const shape *b) {
    a->count += b->count;
    a->absorbed += b->absorbed;
    a->error_count += b->error_count;
    a->max_severity = MAX(a->max_severity, b->max_severity);
    if (b->first_ns != TS_NONE && (a->first_ns == TS_NONE || b->first_ns < a->first_ns)) {
        a->first_ns = b->first_ns;
    }
    if (b->last_ns != TS_NONE && b->last_ns > a->last_ns) a->last_ns = b->last_ns;
    bool earlier =
        b->has_ref &&
        (!a->has_ref || b->first_ref.file < a->first_ref.file ||
         (b->first_ref.file == a->first_ref.file && b->first_ref.offset < a->first_ref.offset));
    if (earlier) {
        a->first_ref = b->first_ref;
        a->has_ref = true;
    }
}

/* The shape that speaks for the template of `s`, when that is another one. */
static shape *heir_of(const miner *m, const shape *s) {
    if (s->group == GROUP_NONE) return NULL;
    uint64_t id = m->groups[s->group].id;
    return id == s->id ? NULL : miner_find(m, id);
}

/* Drops shape `i`; its lines go to its heir, else to overflow. */
static void drop_shape(miner *m, size_t i) {
    shape *s = m->shapes[i];
    shape *heir = heir_of(m, s);
    if (heir) {
        /* When the redirects are full the lines still count, only the id is forgotten. The last
         * quarter is kept for shapes that others were redirected to. */
        bool room = s->absorbed || m->gone.count < m->gone.max_count / 4 * 3;
        uint64_t *redirect = room ? map64_put(&m->gone, s->id, NULL) : NULL;
        if (redirect) *redirect = heir->id;
        s->absorbed += s->count;
        s->count = 0;
        join_counts(heir, s);
    } else {
        m->overflow += s->count + s->absorbed;
    }
    table_remove(m, s->id);
    size_t last = --m->shape_count;
    if (i != last) {
        m->shapes[i] = m->shapes[last];
        m->hits[i] = m->hits[last];
        probe(m, m->shapes[i]->id)->at = (uint32_t)i + 1;
    }
    m->shape_bytes -= s->block_bytes;
    m->evicted++;
    m->grouped = false;
    mem_free(s);
}

/* A template's first id speaks for it while the template has other shapes. */
static bool is_pinned(const miner *m, const shape *s) {
    if (s->group == GROUP_NONE) return false;
    const tmpl *g = &m->groups[s->group];
    return g->id == s->id && g->shapes > 1;
}

/* Templates must be known for dropped lines to find an heir, but grouping costs as much as learning
 * many shapes: it is redone after a share of the shapes is new, less and less often while it finds
 * that shapes have nothing in common. */
static void group_under_pressure(miner *m) {
    size_t share = m->shape_count / 4 << m->group_patience;
    if (m->added_since_group < MAX(share, (size_t)GROUP_AGAIN_MIN)) return;
    miner_group(m);
    bool useless = m->group_count > m->shape_count / 4 * 3;
    if (!useless)
        m->group_patience = 0;
    else if (m->group_patience < GROUP_PATIENCE_MAX)
        m->group_patience++;
}

/* The shape to drop: one that was not hit since the hand passed, with an heir if such a one is
 * near. SIZE_MAX: none deserves it. */
static size_t find_victim(miner *m) {
    size_t found = SIZE_MAX;
    for (int step = 0; step < CLOCK_STEPS_MAX; step++) {
        if (m->hand >= m->shape_count) m->hand = 0;
        size_t i = m->hand++;
        if (m->hits[i]) {
            m->hits[i] /= 2;
            continue;
        }
        const shape *s = m->shapes[i];
        if (is_pinned(m, s)) continue;
        if (heir_of(m, s)) return i;
        if (found == SIZE_MAX) found = i;
        if (step >= HEIR_STEPS_MAX) break;
    }
    return found;
}

static bool is_full(const miner *m, size_t more_bytes) {
    return m->shape_count >= m->max_shapes || held_bytes(m) + more_bytes > m->max_bytes;
}

/* Makes room for a block of `bytes`. False when no shape deserves to go. */
static bool make_room(miner *m, size_t bytes) {
    for (int drops = 0; is_full(m, bytes); drops++) {
        if (drops == DROPS_MAX || m->shape_count == 0) return false;
        group_under_pressure(m);
        size_t victim = find_victim(m);
        if (victim == SIZE_MAX) return false;
        drop_shape(m, victim);
    }
    return true;
}

static shape *block_new(size_t slot_count, size_t text_bytes) {
    size_t bytes = sizeof(shape) + slot_count * sizeof(slot_stat) + text_bytes;
    shape *s = mem_try_alloc(bytes);
    if (!s) return NULL;
    s->block_bytes = (uint32_t)bytes;
    s->slot_count = (uint16_t)slot_count;
    s->text_bytes = (uint32_t)text_bytes;
    s->text = (char *)&s->slot[slot_count];
    s->first_ns = s->last_ns = TS_NONE;
    s->group = GROUP_NONE;
    return s;
}

static void table_insert(miner *m, shape *s) {
    if (m->shape_count == m->shapes_cap) {
        size_t cap = m->shapes_cap ? m->shapes_cap * 2 : 64;
        m->shapes = mem_realloc(m->shapes, m->shapes_cap * sizeof(shape *), cap * sizeof(shape *));
        m->hits = mem_realloc(m->hits, m->shapes_cap, cap);
        m->shapes_cap = cap;
    }
    if ((m->shape_count + 1) * 2 > m->table_cap) table_grow(m);
    m->hits[m->shape_count] = 0;
    m->shapes[m->shape_count++] = s;
    *probe(m, s->id) = (table_entry){s->id, (uint32_t)m->shape_count};
    m->shape_bytes += s->block_bytes;
    m->grouped = false;
    m->added_since_group++;
    map64_remove(&m->gone, s->id);
}

/* Takes block s into the table. When that is full and the block is one more value of a variable
 * word that is known, its lines go to the template and the block goes: the answer is the shape that
 * took them. NULL: no room; the block is freed, its lines are not counted. */
static shape *take_in(miner *m, shape *s) {
    if (is_full(m, s->block_bytes)) {
        uint64_t twin = group_place_of(m, s);
        shape *heir = twin ? miner_find(m, miner_template_of(m, twin)) : NULL;
        if (heir) {
            uint64_t *redirect =
                m->gone.count < m->gone.max_count / 4 * 3 ? map64_put(&m->gone, s->id, NULL) : NULL;
            if (redirect) *redirect = heir->id;
            s->absorbed += s->count;
            s->count = 0;
            join_counts(heir, s);
            mem_free(s);
            return heir;
        }
        if (!make_room(m, s->block_bytes)) {
            mem_free(s);
            return NULL;
        }
    }
    table_insert(m, s);
    return s;
}

/* A shape seen for the first time: m->scan holds its slots. NULL: no room. */
static shape *shape_learn(miner *m, str msg, uint64_t id, uint64_t check) {
    const scanner *x = &m->scan;
    size_t bytes = 0, from = 0;
    for (uint32_t k = 0; k < x->slot_count; k++) {
        bytes += x->slot[k].offset - from + MIN(x->slot[k].bytes, (uint32_t)VALUE_BYTES_MAX);
        from = x->slot[k].offset + x->slot[k].bytes;
    }
    bytes += msg.n - from;
    shape *s = block_new(x->slot_count, bytes);
    if (!s) return NULL;
    s->id = id;
    s->check = check;
    s->count = 1;
    size_t to = 0;
    from = 0;
    for (uint32_t k = 0; k < x->slot_count; k++) {
        log_slot slot = x->slot[k];
        memcpy(s->text + to, msg.p + from, slot.offset - from);
        to += slot.offset - from;
        size_t n = MIN(slot.bytes, (uint32_t)VALUE_BYTES_MAX);
        memcpy(s->text + to, msg.p + slot.offset, n);
        s->slot[k] = first_value(slot.type, x->weak[k], str_make(s->text + to, n),
                                 follows_stem(msg, slot.offset));
        s->slot[k].offset = (uint32_t)to;
        s->slot[k].bytes = (uint32_t)n;
        if (m->masks) s->slot[k].mask = x->mask[k];
        to += n;
        from = slot.offset + slot.bytes;
    }
    if (msg.n > from) memcpy(s->text + to, msg.p + from, msg.n - from);
    MUST(to + (msg.n - from) == bytes);
    return take_in(m, s);
}

shape *miner_admit(miner *m, const shape *from) {
    shape *s = miner_find(m, from->id);
    if (s) {
        if (s->check != from->check || s->slot_count != from->slot_count) return NULL;
        for (uint32_t k = 0; k < s->slot_count; k++) {
            slot_stat *a = &s->slot[k];
            const slot_stat *b = &from->slot[k];
            a->types |= b->types;
            if (a->mask != b->mask) a->mask = MASK_MIXED;
            a->same &= b->same;
            a->agree = MIN(a->agree, b->agree);
            settle(a);
            if (a->same | a->agree) {
                compare_value(a, str_make(s->text + a->offset, a->bytes),
                              str_make(from->text + b->offset, b->bytes));
            }
        }
        join_counts(s, from);
        return s;
    }
    s = block_new(from->slot_count, from->text_bytes);
    if (!s) return NULL;
    s->id = from->id;
    s->check = from->check;
    memcpy(s->slot, from->slot, from->slot_count * sizeof(slot_stat));
    memcpy(s->text, from->text, from->text_bytes);
    join_counts(s, from);
    return take_in(m, s);
}

/* ---- the hot path ---- */

/* Scans, finds or learns the shape; NULL when it could not be kept. When it went to a template as
 * one more value, a shape of that template. *ret_id: the message's own shape, always. */
static shape *learn(miner *m, str msg, uint64_t *ret_id) {
    scanner *x = &m->scan;
    if (UNLIKELY(msg.n > UINT32_MAX)) msg.n = UINT32_MAX;
    if (UNLIKELY(m->masks != NULL)) {
        scan_span spans[SCAN_SLOTS_MAX];
        size_t n = mask_set_find(m->masks, msg, spans, SCAN_SLOTS_MAX);
        scan_line(x, msg, spans, n);
    } else {
        scan_line(x, msg, NULL, 0);
    }
    uint64_t check, id = skeleton_hash(str_make(x->skel, x->skel_bytes), &check);
    *ret_id = id;
    m->lines++;
    m->folded += id == m->last_shape;
    m->last_shape = id;
    const table_entry *entry = probe(m, id);
    if (UNLIKELY(!entry->at)) {
        shape *added = shape_learn(m, msg, id, check);
        m->overflow += !added;
        return added;
    }
    shape *s = m->shapes[entry->at - 1];
    if (UNLIKELY(s->check != check)) {
        m->overflow++;
        return NULL;
    }
    s->count++;
    uint8_t *hits = &m->hits[entry->at - 1];
    if (*hits < UINT8_MAX) ++*hits;
    for (uint32_t k = 0; k < s->slot_count; k++) {
        slot_stat *st = &s->slot[k];
        log_slot slot = x->slot[k];
        uint16_t type = (uint16_t)(1u << slot.type | (x->weak[k] ? 0u : (unsigned)SHAPE_STRONG));
        if (UNLIKELY(type & ~st->types)) st->types |= type;
        if (UNLIKELY(m->masks != NULL) && st->mask != x->mask[k]) st->mask = MASK_MIXED;
        if (UNLIKELY(st->same | st->agree)) {
            compare_value(st, str_make(s->text + st->offset, st->bytes),
                          str_make(msg.p + slot.offset, MIN(slot.bytes, VALUE_BYTES_MAX)));
        }
    }
    return s;
}

uint64_t miner_add(miner *m, str msg, log_slot *slots, uint32_t slot_cap, uint32_t *ret_slots) {
    MUST(m->magic == MINER_MAGIC);
    uint64_t id;
    (void)learn(m, msg, &id);
    uint32_t n = MIN(m->scan.slot_count, slot_cap);
    if (slots) memcpy(slots, m->scan.slot, n * sizeof(*slots));
    if (ret_slots) *ret_slots = slots ? n : m->scan.slot_count;
    return id;
}

rc miner_batch(miner *m, log_batch *b, err *e) {
    MUST(m->magic == MINER_MAGIC);
    log_slot *room = NULL;
    uint32_t left = 0;
    for (size_t i = 0; i < b->count; i++) {
        log_record *r = &b->rec[i];
        shape *s = learn(m, r->body, &r->shape);
        uint32_t n = m->scan.slot_count;
        if (n > left) { /* slots of many records at a time */
            left = MAX(n, (uint32_t)BATCH_SLOTS);
            room = arena_try_new_n(&b->mem, log_slot, left);
            if (!room) return FAIL(e, RC_LIMIT, "a batch's memory is used up by its parameters");
        }
        log_slot *slots = n ? room : NULL;
        if (n) memcpy(slots, m->scan.slot, n * sizeof(*slots));
        if (n) room += n; /* not on NULL */
        left -= n;
        r->slots = slots;
        r->slot_count = n;
        if (!s) continue;
        if (r->ts_ns != TS_NONE) {
            if (s->first_ns == TS_NONE || r->ts_ns < s->first_ns) s->first_ns = r->ts_ns;
            if (r->ts_ns > s->last_ns) s->last_ns = r->ts_ns;
        }
        bool earlier = !s->has_ref || r->ref.file < s->first_ref.file ||
                       (r->ref.file == s->first_ref.file && r->ref.offset < s->first_ref.offset);
        if (earlier) {
            s->first_ref = r->ref;
            s->has_ref = true;
        }
        s->max_severity = MAX(s->max_severity, r->severity);
        s->error_count += severity_is_error((severity)r->severity);
    }
    return RC_OK;
}

rc miner_merge(miner *m, const miner *from, err *e) {
    MUST(m->magic == MINER_MAGIC && from->magic == MINER_MAGIC && m != from);
    if (m->options_hash != from->options_hash) {
        return FAIL(e, RC_INVALID, "miners with different delimiters or masks cannot be merged");
    }
    for (size_t i = 0; i < from->shape_count; i++) {
        const shape *s = from->shapes[i];
        if (!miner_admit(m, s)) m->overflow += s->count + s->absorbed;
    }
    uint64_t key, val;
    for (size_t i = 0; map64_next(&from->gone, &i, &key, &val);) {
        if (miner_find(m, key)) continue;
        uint64_t *to = map64_put(&m->gone, key, NULL);
        if (to && (!*to || val < *to)) *to = val;
    }
    m->lines += from->lines;
    m->overflow += from->overflow;
    m->evicted += from->evicted;
    m->folded += from->folded;
    m->grouped = false;
    return RC_OK;
}

void miner_count(const miner *m, miner_counts *ret) {
    *ret = (miner_counts){.lines = m->lines,
                          .shapes = m->shape_count,
                          .templates = m->group_count,
                          .evicted = m->evicted,
                          .overflow = m->overflow,
                          .folded = m->folded,
                          .bytes = held_bytes(m)};
}

/* ---- templates ---- */

void miner_group(miner *m) {
    MUST(m->magic == MINER_MAGIC);
    bool texts_stand = m->grouped;
    if (!texts_stand) {
        for (size_t i = 0; i < m->shape_count; i++) m->shapes[i]->group = GROUP_NONE;
        group_shapes(m);
        m->grouped = true;
        m->added_since_group = 0;
    }
    /* Counts, and the text that depends on them, follow the lines seen since. */
    for (size_t g = 0; g < m->group_count; g++) {
        tmpl *t = &m->groups[g];
        shape sum = {.first_ns = TS_NONE, .last_ns = TS_NONE};
        for (uint32_t i = 0; i < t->shapes; i++) {
            join_counts(&sum, miner_find(m, m->members[t->first + i]));
        }
        t->count = sum.count + sum.absorbed;
        t->error_count = sum.error_count;
        t->max_severity = sum.max_severity;
        t->first_ns = sum.first_ns;
        t->last_ns = sum.last_ns;
        t->first_ref = sum.first_ref;
        t->has_ref = sum.has_ref;
        t->text = STR_NONE;
    }
    arena_reset(&m->texts);
    mem_free(m->order);
    m->order = NULL;
}

uint64_t miner_template_of(const miner *m, uint64_t id) {
    /* A dropped shape leads to another one, which may have been dropped later: bounded, as each
     * step was put before the next. */
    for (int step = 0; step < 64; step++) {
        const shape *s = miner_find(m, id);
        if (s) return s->group == GROUP_NONE ? 0 : m->groups[s->group].id;
        const uint64_t *to = map64_get(&m->gone, id);
        if (!to) return 0;
        id = *to;
    }
    return 0;
}

/* A template's id is the id of one of its shapes. */
uint64_t miner_resolve(const miner *m, uint64_t template_id) {
    return miner_template_of(m, template_id);
}

/* The text is a cache inside the miner, hence the cast: one thread per miner. */
static const tmpl *with_text(const miner *cm, uint32_t g) {
    miner *m = (miner *)(uintptr_t)cm;
    tmpl *t = &m->groups[g];
    if (!t->text.p) t->text = group_text(m, t);
    return t;
}

typedef struct order_key {
    uint64_t count, id;
    str text;
    uint32_t group;
} order_key;

static int order_cmp(const void *a, const void *b) {
    const order_key *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    int c = str_cmp(x->text, y->text);
    if (c) return c;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void make_order(const miner *cm) {
    miner *m = (miner *)(uintptr_t)cm; /* a cache, as above */
    order_key *keys = mem_new_n(order_key, m->group_count);
    for (uint32_t g = 0; g < m->group_count; g++) {
        const tmpl *t = with_text(m, g);
        keys[g] = (order_key){t->count, t->id, t->text, g};
    }
    qsort(keys, m->group_count, sizeof(*keys), order_cmp);
    m->order = mem_new_n(uint32_t, m->group_count);
    for (uint32_t g = 0; g < m->group_count; g++) m->order[g] = keys[g].group;
    mem_free(keys);
}

static void fill_info(const tmpl *t, template_info *ret) {
    *ret = (template_info){.id = t->id,
                           .text = t->text,
                           .count = t->count,
                           .shapes = t->shapes,
                           .first_ns = t->first_ns,
                           .last_ns = t->last_ns,
                           .first_ref = t->first_ref,
                           .max_severity = t->max_severity,
                           .error_count = t->error_count};
}

rc miner_template_at(const miner *m, size_t i, template_info *ret) {
    MUST(m->magic == MINER_MAGIC);
    if (i >= m->group_count) return RC_NOT_FOUND;
    if (!m->order) make_order(m);
    fill_info(with_text(m, m->order[i]), ret);
    return RC_OK;
}

rc miner_template(const miner *m, uint64_t id, template_info *ret) {
    MUST(m->magic == MINER_MAGIC);
    uint64_t now = miner_template_of(m, id);
    if (!now) return RC_NOT_FOUND;
    const shape *s = miner_find(m, now);
    MUST(s && s->group < m->group_count);
    fill_info(with_text(m, s->group), ret);
    return RC_OK;
}

uint64_t miner_template_shape(const miner *m, uint64_t template_id) {
    uint64_t now = miner_template_of(m, template_id);
    const shape *s = now ? miner_find(m, now) : NULL;
    return s ? m->members[m->groups[s->group].first] : 0;
}

/* ---- a shape's parts ---- */

uint32_t miner_slot_count(const miner *m, uint64_t id) {
    const shape *s = miner_find(m, id);
    return s ? s->slot_count : 0;
}

slot_type miner_slot_type(const miner *m, uint64_t id, uint32_t k) {
    const shape *s = miner_find(m, id);
    if (!s || k >= s->slot_count) return SLOT_TEXT;
    unsigned types = s->slot[k].types & ((1u << SLOT_TYPE_COUNT) - 1);
    unsigned numbers = 1u << SLOT_INT | 1u << SLOT_FLOAT;
    if (types == numbers) return SLOT_FLOAT;
    if (types == 0 || (types & (types - 1)) != 0) return SLOT_TEXT;
    return (slot_type)__builtin_ctz(types);
}

str miner_slot_name(const miner *m, uint64_t id, uint32_t k) {
    const shape *s = miner_find(m, id);
    if (!s || k >= s->slot_count) return S("");
    size_t floor = k ? s->slot[k - 1].offset + s->slot[k - 1].bytes : 0;
    size_t i = s->slot[k].offset;
    const char *t = s->text;
    /* Back over what stands between a name and its value. */
    while (i > floor && (scan_is_stop(&m->scan, t[i - 1]) || strchr(":-./#@$%+~", t[i - 1]))) i--;
    size_t end = i;
    while (i > floor && !scan_is_stop(&m->scan, t[i - 1]) && t[i - 1] != ':' && t[i - 1] != '/') {
        i--;
    }
    while (i < end && strchr("-.@%+", t[i])) i++;
    return str_make(t + i, end - i);
}

str miner_slot_after(const miner *m, uint64_t id, uint32_t k) {
    const shape *s = miner_find(m, id);
    if (!s || k >= s->slot_count) return S("");
    const char *t = s->text;
    size_t i = s->slot[k].offset + s->slot[k].bytes;
    size_t top = k + 1 < s->slot_count ? s->slot[k + 1].offset : s->text_bytes;
    if (i < top && t[i] == ' ') i++;
    size_t end = i;
    while (end < top && !scan_is_stop(&m->scan, t[end]) && t[end] != ':' && t[end] != '.') end++;
    if (end == top && k + 1 < s->slot_count) return S(""); /* the next slot belongs to the word */
    return str_make(t + i, end - i);
}

rc miner_render(const miner *m, uint64_t id, const str *values, uint32_t count, buf *out, err *e) {
    const shape *s = miner_find(m, id);
    if (!s) return RC_NOT_FOUND;
    if (count != s->slot_count) {
        return FAIL(e, RC_INVALID, "the shape has %u parameters, %u given", s->slot_count, count);
    }
    bool fits = true;
    size_t from = 0;
    for (uint32_t k = 0; k < count; k++) {
        fits &= buf_put(out, str_make(s->text + from, s->slot[k].offset - from));
        fits &= buf_put(out, values[k]);
        from = s->slot[k].offset + s->slot[k].bytes;
    }
    fits &= buf_put(out, str_make(s->text + from, s->text_bytes - from));
    return fits ? RC_OK : FAIL(e, RC_LIMIT, "the message is above %zu bytes", out->max_bytes);
}
