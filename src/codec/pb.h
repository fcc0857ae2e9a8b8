/* pb.h - the protobuf wire format: an inline reader for hot decoders and a writer on buf.
 *
 * The reader threads a pointer through: each function takes the place to read and the end, and
 * returns the place behind what it read, or NULL when the bytes are damaged (cut off, a varint over
 * ten bytes, a length past the end, a field number 0 or a wire type that does not exist). Nothing
 * outside [p, end) is read.
 *
 *     while (p < end) {
 *         const uint8_t *field = p;
 *         uint32_t tag;
 *         p = pb_tag(p, end, &tag);
 *         if (!p) return broken(field);
 *         switch (tag) {
 *         case PB_TAG(1, PB_LEN): p = pb_bytes(p, end, &name); break;
 *         default: p = pb_skip(p, end, tag);
 *         }
 *         if (!p) return broken(field);
 *     }
 *
 * A known field with another wire type falls into `default` and is skipped, as protobuf asks.
 *
 * The writer appends to a buf; a nested message is begun and ended, its length is put in when it
 * ends. What can go wrong is only that the buf is full: check buf.full once at the end.
 * Source: protobuf encoding guide. */
#ifndef FL_CODEC_PB_H
#define FL_CODEC_PB_H

#include "base/buf.h"

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_LEN = 2, PB_GROUP = 3, PB_GROUP_END = 4, PB_FIXED32 = 5 };
enum { PB_GROUP_DEPTH_MAX = 64 };

#define PB_TAG(field, wire) ((uint32_t)(field) << 3 | (uint32_t)(wire))

typedef struct pb_num { /* fits two registers */
    const uint8_t *p;
    uint64_t v;
} pb_num;

pb_num pb_varint_slow_(const uint8_t *p, const uint8_t *end); /* behind the inline part */
/* Skips the value of a field of any wire type; groups with their contents. */
const uint8_t *pb_skip(const uint8_t *p, const uint8_t *end, uint32_t tag);

FL_INLINE const uint8_t *pb_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret) {
    if (LIKELY(end - p >= 2)) {
        if (LIKELY(p[0] < 0x80)) {
            *ret = p[0];
            return p + 1;
        }
        if (LIKELY(p[1] < 0x80)) {
            *ret = (uint64_t)(p[0] & 0x7f) | (uint64_t)p[1] << 7;
            return p + 2;
        }
    }
    pb_num n = pb_varint_slow_(p, end);
    *ret = n.v;
    return n.p;
}

FL_INLINE const uint8_t *pb_tag(const uint8_t *p, const uint8_t *end, uint32_t *ret) {
    uint64_t v;
    p = pb_varint(p, end, &v);
    if (UNLIKELY(v < 8 || v > UINT32_MAX)) return NULL;
    *ret = (uint32_t)v;
    return p;
}

FL_INLINE const uint8_t *pb_bytes(const uint8_t *p, const uint8_t *end, str *ret) {
    uint64_t n;
    p = pb_varint(p, end, &n);
    if (UNLIKELY(!p || n > (size_t)(end - p))) return NULL;
    *ret = (str){(const char *)p, n};
    return p + n;
}

FL_INLINE uint64_t pb_load64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

FL_INLINE const uint8_t *pb_fixed64(const uint8_t *p, const uint8_t *end, uint64_t *ret) {
    if (UNLIKELY(end - p < 8)) return NULL;
    *ret = pb_load64(p);
    return p + 8;
}

FL_INLINE const uint8_t *pb_fixed32(const uint8_t *p, const uint8_t *end, uint32_t *ret) {
    if (UNLIKELY(end - p < 4)) return NULL;
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    *ret = v;
    return p + 4;
}

FL_INLINE int64_t pb_unzigzag(uint64_t v) { return (int64_t)(v >> 1 ^ (0 - (v & 1))); }
FL_INLINE uint64_t pb_zigzag(int64_t v) { return (uint64_t)v << 1 ^ (0 - ((uint64_t)v >> 63)); }

/* ---- writer ---- */

void pb_put_varint(buf *b, uint32_t field, uint64_t v);
void pb_put_fixed64(buf *b, uint32_t field, uint64_t v);
void pb_put_fixed32(buf *b, uint32_t field, uint32_t v);
void pb_put_bytes(buf *b, uint32_t field, str s);
/* As above, but nothing for the default of a proto3 field without presence: 0, "". */
static inline void pb_put_varint_set(buf *b, uint32_t field, uint64_t v) {
    if (v) pb_put_varint(b, field, v);
}
static inline void pb_put_fixed64_set(buf *b, uint32_t field, uint64_t v) {
    if (v) pb_put_fixed64(b, field, v);
}
static inline void pb_put_fixed32_set(buf *b, uint32_t field, uint32_t v) {
    if (v) pb_put_fixed32(b, field, v);
}
static inline void pb_put_bytes_set(buf *b, uint32_t field, str s) {
    if (s.n) pb_put_bytes(b, field, s);
}
static inline void pb_put_tag(buf *b, uint32_t field, unsigned wire) {
    IGNORE(!buf_varint(b, PB_TAG(field, wire))); /* buf.full tells */
}
/* Returns the mark for pb_end. The length takes the shortest form. */
size_t pb_begin(buf *b, uint32_t field);
void pb_end(buf *b, size_t mark);

#endif
