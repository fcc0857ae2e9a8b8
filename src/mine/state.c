/* state.c - a miner's knowledge as bytes, for files and other processes.
 *
 *     offset  size
 *          0     4  "FLMS"
 *          4     4  version, 1
 *          8     8  hash of the options (delimiters, masks)
 *         16     8  lines
 *         24     8  overflow
 *         32     8  evicted
 *         40     8  folded
 *         48     4  number of shapes
 *         52     4  number of redirects
 *         56        shapes, each: check (8: the high half of the skeleton's hash), count, absorbed,
 *                   errors, first_ns, last_ns (8 each; TS_NONE as is), flags (1: bit 0 has a
 *                   reference), severity (1), slots (2), text bytes (4); with a reference: offset,
 *                   line (8 each), file, bytes (4 each); per slot: offset, bytes (4 each), types
 *                   (2), same, agree, mask (1 each); the text
 *                   redirects, each: dropped id, id (8 each)
 *          n     8  XXH3-64 of everything before
 *
 * All integers little-endian. A shape's id is not stored: it is computed from text and slots, and
 * the stored check must agree, so that a damaged state cannot smuggle in a shape whose id lies. */
#include "mine/mine_int.h"

#include "base/mem.h"

enum {
    STATE_VERSION = 1,
    HEADER_BYTES = 56,
    SHAPE_FIXED_BYTES = 56,
    REF_BYTES = 24,
    SLOT_BYTES = 13
};

static const char state_magic[4] = {'F', 'L', 'M', 'S'};

static bool put_le16(buf *b, uint16_t v) {
    char two[2] = {(char)(v & 255), (char)(v >> 8)};
    return buf_put(b, str_make(two, 2));
}

static bool put_shape(buf *b, const shape *s) {
    bool ok = buf_le64(b, s->check) && buf_le64(b, s->count) && buf_le64(b, s->absorbed) &&
              buf_le64(b, s->error_count) && buf_le64(b, (uint64_t)s->first_ns) &&
              buf_le64(b, (uint64_t)s->last_ns) && buf_putc(b, (char)s->has_ref) &&
              buf_putc(b, (char)s->max_severity) && put_le16(b, s->slot_count) &&
              buf_le32(b, s->text_bytes);
    if (ok && s->has_ref) {
        ok = buf_le64(b, s->first_ref.offset) && buf_le64(b, s->first_ref.line) &&
             buf_le32(b, s->first_ref.file) && buf_le32(b, s->first_ref.bytes);
    }
    for (uint32_t k = 0; ok && k < s->slot_count; k++) {
        const slot_stat *st = &s->slot[k];
        ok = buf_le32(b, st->offset) && buf_le32(b, st->bytes) && put_le16(b, st->types) &&
             buf_putc(b, (char)st->same) && buf_putc(b, (char)st->agree) &&
             buf_putc(b, (char)st->mask);
    }
    return ok && buf_put(b, str_make(s->text, s->text_bytes));
}

rc miner_save(const miner *m, buf *out, err *e) {
    MUST(m->magic == MINER_MAGIC);
    size_t start = out->n;
    bool ok = buf_put(out, str_make(state_magic, 4)) && buf_le32(out, STATE_VERSION) &&
              buf_le64(out, m->options_hash) && buf_le64(out, m->lines) &&
              buf_le64(out, m->overflow) && buf_le64(out, m->evicted) && buf_le64(out, m->folded) &&
              buf_le32(out, (uint32_t)m->shape_count) && buf_le32(out, (uint32_t)m->gone.count);
    for (size_t i = 0; ok && i < m->shape_count; i++) ok = put_shape(out, m->shapes[i]);
    uint64_t key, val;
    for (size_t i = 0; ok && map64_next(&m->gone, &i, &key, &val);) {
        ok = buf_le64(out, key) && buf_le64(out, val);
    }
    if (ok) ok = buf_le64(out, str_hash(str_from(buf_str(out), start)));
    if (!ok) return FAIL(e, RC_LIMIT, "the state is above %zu bytes", out->max_bytes);
    return RC_OK;
}

/* ---- reading ---- */

typedef struct reader {
    const unsigned char *p;
    size_t at, end;
    bool bad; /* read past the end */
} reader;

static uint64_t get(reader *r, int bytes) {
    if (r->end - r->at < (size_t)bytes) {
        r->bad = true;
        return 0;
    }
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)r->p[r->at + (size_t)i] << (8 * i);
    r->at += (size_t)bytes;
    return v;
}

/* Reads one shape into a block of its own. NULL: damaged. */
static shape *get_shape(reader *r, size_t masks) {
    shape head = {0};
    head.check = get(r, 8);
    head.count = get(r, 8);
    head.absorbed = get(r, 8);
    head.error_count = get(r, 8);
    head.first_ns = (int64_t)get(r, 8);
    head.last_ns = (int64_t)get(r, 8);
    uint64_t flags = get(r, 1);
    head.has_ref = flags & 1;
    head.max_severity = (uint8_t)get(r, 1);
    head.slot_count = (uint16_t)get(r, 2);
    head.text_bytes = (uint32_t)get(r, 4);
    if (head.has_ref) {
        head.first_ref.offset = get(r, 8);
        head.first_ref.line = get(r, 8);
        head.first_ref.file = (uint32_t)get(r, 4);
        head.first_ref.bytes = (uint32_t)get(r, 4);
    }
    if (r->bad || flags > 1 || head.slot_count > SLOTS_MAX || head.max_severity > SEV_MAX) {
        return NULL;
    }
    size_t slots = head.slot_count;
    if (r->end - r->at < slots * SLOT_BYTES ||
        r->end - r->at - slots * SLOT_BYTES < head.text_bytes ||
        head.text_bytes > SCAN_CONST_MAX + SLOTS_MAX * VALUE_BYTES_MAX) {
        return NULL;
    }
    size_t bytes = sizeof(shape) + slots * sizeof(slot_stat) + head.text_bytes;
    shape *s = mem_alloc(bytes); /* bounded by the checks above */
    memcpy(s, &head, offsetof(shape, slot));
    s->group = GROUP_NONE;
    s->block_bytes = (uint32_t)bytes;
    s->text = (char *)&s->slot[slots];
    size_t from = 0;
    bool good = true;
    for (size_t k = 0; k < slots; k++) {
        slot_stat *st = &s->slot[k];
        st->offset = (uint32_t)get(r, 4);
        st->bytes = (uint32_t)get(r, 4);
        st->types = (uint16_t)get(r, 2);
        st->same = (uint8_t)get(r, 1);
        st->agree = (uint8_t)get(r, 1);
        st->mask = (uint8_t)get(r, 1);
        unsigned known = (1u << SLOT_TYPE_COUNT) - 1;
        good &= st->offset >= from && st->bytes > 0 && st->bytes <= VALUE_BYTES_MAX &&
                st->offset <= head.text_bytes && st->bytes <= head.text_bytes - st->offset &&
                (st->types & known) && !(st->types & ~(known | SHAPE_STRONG | SHAPE_LETTERS)) &&
                st->agree <= PIECES_MAX && (st->mask <= masks || st->mask == MASK_MIXED);
        if (!good) break;
        from = st->offset + st->bytes;
    }
    if (good) {
        memcpy(s->text, r->p + r->at, head.text_bytes);
        r->at += head.text_bytes;
        return s;
    }
    mem_free(s);
    return NULL;
}

/* The skeleton hash of text and slots; false when the skeleton is too long to be one. */
static bool shape_identify(shape *s) {
    char skel[SCAN_SKEL_MAX];
    size_t n = 0, from = 0;
    for (uint32_t k = 0; k <= s->slot_count; k++) {
        size_t to = k < s->slot_count ? s->slot[k].offset : s->text_bytes;
        if (to - from > SCAN_SKEL_MAX - n) return false;
        memcpy(skel + n, s->text + from, to - from);
        n += to - from;
        if (k == s->slot_count) break;
        if (n == SCAN_SKEL_MAX) return false;
        skel[n++] = SCAN_MARK;
        from = s->slot[k].offset + s->slot[k].bytes;
    }
    uint64_t check;
    s->id = skeleton_hash(str_make(skel, n), &check);
    return check == s->check;
}

rc miner_load(miner *m, str state, err *e) {
    MUST(m->magic == MINER_MAGIC);
    if (state.n < HEADER_BYTES + 8 || memcmp(state.p, state_magic, 4) != 0) {
        return FAIL(e, RC_CORRUPT, "no miner state at offset 0");
    }
    reader r = {(const unsigned char *)state.p, 4, state.n - 8, false};
    uint64_t version = get(&r, 4);
    if (version != STATE_VERSION) {
        return FAIL(e, RC_UNSUPPORTED, "miner state of version %" PRIu64, version);
    }
    reader tail = {(const unsigned char *)state.p, state.n - 8, state.n, false};
    if (get(&tail, 8) != str_hash(str_sub(state, 0, state.n - 8))) {
        return FAIL(e, RC_CORRUPT, "miner state: checksum at offset %zu differs", state.n - 8);
    }
    if (get(&r, 8) != m->options_hash) {
        return FAIL(e, RC_INVALID, "miner state was made with other delimiters or masks");
    }
    miner_counts add = {.lines = get(&r, 8), .overflow = get(&r, 8)};
    add.evicted = get(&r, 8);
    add.folded = get(&r, 8);
    uint64_t shapes = get(&r, 4), redirects = get(&r, 4);
    /* All of it is read and checked before anything is taken over. */
    if (shapes > (r.end - r.at) / SHAPE_FIXED_BYTES) {
        return FAIL(e, RC_CORRUPT, "miner state: %" PRIu64 " shapes at offset 48", shapes);
    }
    shape **all = mem_new_n(shape *, (size_t)shapes + 1);
    rc result = RC_OK;
    uint64_t lines = add.overflow;
    size_t read = 0;
    for (; read < shapes && !result; read++) {
        size_t at = r.at;
        all[read] = get_shape(&r, mask_set_count(m->masks));
        if (!all[read]) {
            result = FAIL(e, RC_CORRUPT, "miner state: damaged shape at offset %zu", at);
            break;
        }
        if (!shape_identify(all[read])) {
            result = FAIL(e, RC_CORRUPT, "miner state: shape at offset %zu has another hash", at);
        }
        lines += all[read]->count + all[read]->absorbed;
    }
    if (!result && (r.end - r.at != redirects * 16 || lines != add.lines)) {
        result = FAIL(e, RC_CORRUPT, "miner state: counts at offset %zu do not add up", r.at);
    }
    if (!result) {
        for (size_t i = 0; i < read; i++) {
            if (!miner_admit(m, all[i])) m->overflow += all[i]->count + all[i]->absorbed;
        }
        for (uint64_t i = 0; i < redirects; i++) {
            uint64_t key = get(&r, 8), val = get(&r, 8);
            if (miner_find(m, key)) continue;
            uint64_t *to = map64_put(&m->gone, key, NULL);
            if (to && (!*to || val < *to)) *to = val;
        }
        m->lines += add.lines;
        m->overflow += add.overflow;
        m->evicted += add.evicted;
        m->folded += add.folded;
        m->grouped = false;
    }
    for (size_t i = 0; i < read; i++) mem_free(all[i]);
    mem_free(all);
    return result;
}
