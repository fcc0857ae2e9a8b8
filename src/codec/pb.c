/* pb.c - the parts of the wire format that are off the fast path, and the writer.
 *
 * A nested message is written behind one byte kept for its length. When it turns out longer than
 * 127 bytes, it is moved by the bytes that its length takes more: one move for each level, which
 * is cheaper than computing all sizes first and leaves each length in its shortest form, so that
 * equal values have equal bytes. */
#include "codec/pb.h"

enum { VARINT_BYTES_MAX = 10 };

pb_num pb_varint_slow_(const uint8_t *p, const uint8_t *end) {
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && p < end; i++) {
        uint64_t byte = *p++;
        /* Bits past the 64th are dropped, as by every protobuf reader. */
        v |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) return (pb_num){p, v};
    }
    return (pb_num){NULL, 0};
}

static const uint8_t *skip(const uint8_t *p, const uint8_t *end, uint32_t tag) {
    uint64_t v;
    str s;
    switch (tag & 7) {
    case PB_VARINT:
        return pb_varint(p, end, &v);
    case PB_FIXED64:
        return end - p >= 8 ? p + 8 : NULL;
    case PB_LEN:
        return pb_bytes(p, end, &s);
    case PB_FIXED32:
        return end - p >= 4 ? p + 4 : NULL;
    default:
        return NULL;
    }
}

const uint8_t *pb_skip(const uint8_t *p, const uint8_t *end, uint32_t tag) {
    if (LIKELY((tag & 7) != PB_GROUP)) return skip(p, end, tag);
    uint32_t open[PB_GROUP_DEPTH_MAX]; /* field numbers of the groups we are in */
    size_t depth = 0;
    open[depth++] = tag >> 3;
    while (depth > 0) {
        p = pb_tag(p, end, &tag);
        if (!p) return NULL;
        if ((tag & 7) == PB_GROUP) {
            if (depth == PB_GROUP_DEPTH_MAX) return NULL;
            open[depth++] = tag >> 3;
        } else if ((tag & 7) == PB_GROUP_END) {
            if (tag >> 3 != open[--depth]) return NULL;
        } else {
            p = skip(p, end, tag);
            if (!p) return NULL;
        }
    }
    return p;
}

/* ---- writer: every append may fail, which buf.full keeps for the end ---- */

void pb_put_varint(buf *b, uint32_t field, uint64_t v) {
    pb_put_tag(b, field, PB_VARINT);
    IGNORE(!buf_varint(b, v));
}

void pb_put_fixed64(buf *b, uint32_t field, uint64_t v) {
    pb_put_tag(b, field, PB_FIXED64);
    IGNORE(!buf_le64(b, v));
}

void pb_put_fixed32(buf *b, uint32_t field, uint32_t v) {
    pb_put_tag(b, field, PB_FIXED32);
    IGNORE(!buf_le32(b, v));
}

void pb_put_bytes(buf *b, uint32_t field, str s) {
    pb_put_tag(b, field, PB_LEN);
    IGNORE(!buf_varint(b, s.n));
    IGNORE(!buf_put(b, s));
}

size_t pb_begin(buf *b, uint32_t field) {
    pb_put_tag(b, field, PB_LEN);
    IGNORE(!buf_putc(b, 0));
    return b->n;
}

void pb_end(buf *b, size_t mark) {
    if (b->full) return;
    MUST(mark > 0 && mark <= b->n);
    size_t n = b->n - mark;
    size_t more = 0;
    for (size_t v = n >> 7; v; v >>= 7) more++;
    if (more) {
        if (!buf_reserve(b, more)) return;
        memmove(b->p + mark + more, b->p + mark, n);
        b->n += more;
    }
    char *at = b->p + mark - 1;
    for (; n >= 0x80; n >>= 7) *at++ = (char)(n | 0x80);
    *at = (char)n;
}
