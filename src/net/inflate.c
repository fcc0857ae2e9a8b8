/* Bodies unpacked and replies packed: gzip (RFC 1952, any number of members), deflate (RFC 9110
 * says zlib's format, RFC 1950; many clients send raw RFC 1951: the first two bytes tell), zstd
 * (RFC 8878, any number of frames).
 *
 * A body is unpacked in one go after it came in. Up to DIRECT_BYTES the output grows by doubling.
 * What proves to be larger is first unpacked into a small buffer that is thrown away, only to learn
 * its size; then it is unpacked into one block of that size. So a bomb costs processor time up to
 * max_body_bytes or the ratio, whichever is first, and next to no memory; and a large body costs no
 * copies and exactly its size, for unpacking it twice. Sizes that the formats state (ISIZE, frame
 * content size) only choose the first allocation, within 64 times the input. Blocks are charged to
 * the bytes in flight before they are taken. zstd windows are bounded by 8 MiB, as RFC 8878
 * recommends to accept. */
#include "net/net_int.h"

#include <zlib.h>
#include <zstd.h>

enum {
    FIRST_RATIO = 64,
    RATIO_FREE_BYTES = 1 << 20,
    ZSTD_WINDOW_LOG_MAX = 23,
    DIRECT_BYTES = 4 << 20,
};

str net_coding_name(net_coding c) {
    switch (c) {
    case NET_GZIP:
        return S("gzip");
    case NET_DEFLATE:
        return S("deflate");
    case NET_ZSTD:
        return S("zstd");
    case NET_IDENTITY:
    case NET_CODING_UNKNOWN:
        break;
    }
    return S("identity");
}

net_coding net_coding_of(str name) {
    name = str_trim(name);
    if (name.n == 0 || str_eq_nocase(name, S("identity"))) return NET_IDENTITY;
    if (str_eq_nocase(name, S("gzip")) || str_eq_nocase(name, S("x-gzip"))) return NET_GZIP;
    if (str_eq_nocase(name, S("deflate"))) return NET_DEFLATE;
    if (str_eq_nocase(name, S("zstd"))) return NET_ZSTD;
    return NET_CODING_UNKNOWN;
}

/* "q=0", "q=0.0", "q=0.00" ... refuse. */
static bool is_refused(str params) {
    size_t q = str_find_nocase(params, S("q="), 0);
    if (q == STR_NPOS) return false;
    str value = str_trim(str_from(params, q + 2));
    if (value.n == 0 || value.p[0] != '0') return false;
    for (size_t i = 1; i < value.n && value.p[i] != ';'; i++) {
        if (value.p[i] >= '1' && value.p[i] <= '9') return false;
    }
    return true;
}

unsigned net_codings_accepted(str list) {
    unsigned bits = 0;
    str part;
    while (list.n && str_next(&list, ',', &part)) {
        size_t semi = str_find_char(part, ';', 0);
        str name = str_trim(str_sub(part, 0, MIN(semi, part.n)));
        if (semi != STR_NPOS && is_refused(str_from(part, semi + 1))) continue;
        net_coding c = name.n ? net_coding_of(name) : NET_IDENTITY;
        if (c == NET_GZIP || c == NET_ZSTD) bits |= (unsigned)c;
    }
    return bits;
}

typedef enum sink_mode {
    SINK_GROW,  /* into a growing block; RC_END when it would exceed DIRECT_BYTES */
    SINK_COUNT, /* thrown away */
    SINK_EXACT, /* into one block of the size that was counted */
} sink_mode;

typedef struct sink {
    sink_mode mode;
    net_pool *pool;
    net_room room;
    void *room_ctx;
    net_block *out;
    uint64_t max_bytes, gone_bytes; /* gone: counted and thrown away */
} sink;

static uint64_t output_limit(const net_limits *l, size_t in_bytes) {
    uint64_t by_ratio;
    if (__builtin_mul_overflow((uint64_t)l->max_decompression_ratio, (uint64_t)in_bytes, &by_ratio))
        by_ratio = UINT64_MAX;
    return MIN(l->max_body_bytes, MAX(by_ratio, (uint64_t)RATIO_FREE_BYTES));
}

static rc take_block(sink *s, size_t want, err *e) {
    net_block *b = s->out;
    size_t cap = net_pool_round(want), got = 0;
    if (!s->room(s->room_ctx, cap - b->cap))
        return FAIL(e, RC_AGAIN, "no room for the unpacked body now");
    char *p = net_pool_get(s->pool, cap, &got);
    if (!p) return FAIL(e, RC_AGAIN, "no memory for the unpacked body now");
    MUST(got == cap);
    if (b->n) memcpy(p, b->p, b->n);
    net_pool_put(s->pool, b->p, b->cap);
    b->p = p;
    b->cap = got;
    return RC_OK;
}

/* More room for output. RC_END: count first. */
static rc sink_room(sink *s, err *e) {
    net_block *b = s->out;
    if (b->n < b->cap) return RC_OK;
    switch (s->mode) {
    case SINK_COUNT:
        s->gone_bytes += b->n;
        b->n = 0;
        return RC_OK;
    case SINK_GROW:
        if (b->cap >= DIRECT_BYTES) return RC_END;
        return take_block(s, b->cap * 2, e);
    case SINK_EXACT:
        break;
    }
    /* One byte more than was counted is there: full means that the body changed its mind. */
    return FAIL(e, RC_INVALID, "the body unpacks differently each time");
}

static rc sink_check(const sink *s, err *e) {
    if (s->gone_bytes + s->out->n > s->max_bytes)
        return FAIL(e, RC_LIMIT, "the unpacked body exceeds %" PRIu64 " bytes", s->max_bytes);
    return RC_OK;
}

static bool looks_like_zlib(str in) {
    if (in.n < 2) return false;
    unsigned cmf = (unsigned char)in.p[0], flg = (unsigned char)in.p[1];
    return (cmf & 15) == Z_DEFLATED && cmf >> 4 <= 7 && (cmf * 256 + flg) % 31 == 0;
}

static uint64_t gzip_stated(str in) {
    if (in.n < 18) return 0;
    const unsigned char *t = (const unsigned char *)in.p + in.n - 4;
    return (uint64_t)t[0] | (uint64_t)t[1] << 8 | (uint64_t)t[2] << 16 | (uint64_t)t[3] << 24;
}

static rc unpack_zlib(sink *s, net_coding coding, str in, err *e) {
    int window = coding == NET_GZIP ? MAX_WBITS + 16 : looks_like_zlib(in) ? MAX_WBITS : -MAX_WBITS;
    z_stream z = {0};
    if (inflateInit2(&z, window) != Z_OK) return FAIL(e, RC_AGAIN, "no memory to unpack the body");
    rc r = RC_OK;
    z.next_in = (Bytef *)(uintptr_t)in.p;
    size_t left = in.n;
    bool whole = false;
    while (r == RC_OK) {
        if ((r = sink_room(s, e)) != RC_OK) break;
        size_t room = MIN(s->out->cap - s->out->n, (size_t)UINT32_MAX / 2);
        size_t feed = MIN(left, (size_t)UINT32_MAX / 2);
        z.next_out = (Bytef *)s->out->p + s->out->n;
        z.avail_out = (uInt)room;
        z.avail_in = (uInt)feed;
        int ret = inflate(&z, Z_NO_FLUSH);
        size_t used = feed - z.avail_in, made = room - z.avail_out;
        left -= used;
        s->out->n += made;
        if ((r = sink_check(s, e)) != RC_OK) break;
        if (ret == Z_STREAM_END) {
            whole = true;
            if (left == 0) break;
            /* Another member of gzip; after zlib's format nothing may follow. */
            if (coding != NET_GZIP || inflateReset(&z) != Z_OK) {
                r = FAIL(e, RC_INVALID, "%zu bytes follow the end of the packed body", left);
                break;
            }
            whole = false;
        } else if (ret == Z_MEM_ERROR) {
            r = FAIL(e, RC_AGAIN, "no memory to unpack the body");
        } else if (ret != Z_OK && ret != Z_BUF_ERROR) {
            r = FAIL(e, RC_INVALID, "the body is not %.*s: %s", STR_ARG(net_coding_name(coding)),
                     z.msg ? z.msg : "damaged");
        } else if (left == 0 && z.avail_out > 0) {
            break; /* more input is needed and there is none */
        } else if (used == 0 && made == 0 && z.avail_out > 0) {
            break;
        }
    }
    inflateEnd(&z);
    if (r == RC_OK && !whole)
        r = FAIL(e, RC_INVALID, "the %.*s body is cut short", STR_ARG(net_coding_name(coding)));
    return r;
}

static rc unpack_zstd(sink *s, str in, err *e) {
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (!d) return FAIL(e, RC_AGAIN, "no memory to unpack the body");
    rc r = RC_OK;
    if (ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
        r = FAIL(e, RC_UNSUPPORTED, "zstd refuses its window limit");
    ZSTD_inBuffer zin = {in.p, in.n, 0};
    size_t ret = 1;
    while (r == RC_OK) {
        if ((r = sink_room(s, e)) != RC_OK) break;
        ZSTD_outBuffer zout = {s->out->p, s->out->cap, s->out->n};
        size_t in_before = zin.pos;
        ret = ZSTD_decompressStream(d, &zout, &zin);
        if (ZSTD_isError(ret)) {
            r = FAIL(e, RC_INVALID, "the body is not zstd: %s", ZSTD_getErrorName(ret));
            break;
        }
        bool moved = zout.pos != s->out->n || zin.pos != in_before;
        s->out->n = zout.pos;
        if ((r = sink_check(s, e)) != RC_OK) break;
        if (zin.pos == zin.size && (ret == 0 || s->out->n < s->out->cap)) break;
        if (!moved && s->out->n < s->out->cap) break;
    }
    ZSTD_freeDCtx(d);
    if (r == RC_OK && (ret != 0 || zin.pos != zin.size))
        r = FAIL(e, RC_INVALID, "the zstd body is cut short");
    return r;
}

static uint64_t zstd_stated(str in) {
    unsigned long long n = ZSTD_getFrameContentSize(in.p, in.n);
    return n == ZSTD_CONTENTSIZE_UNKNOWN || n == ZSTD_CONTENTSIZE_ERROR ? 0 : n;
}

static rc run(sink *s, net_coding coding, str in, err *e) {
    return coding == NET_ZSTD ? unpack_zstd(s, in, e) : unpack_zlib(s, coding, in, e);
}

/* What the first block should hold, one byte over what is stated. */
static size_t first_bytes(net_coding coding, str in) {
    uint64_t stated = coding == NET_GZIP   ? gzip_stated(in)
                      : coding == NET_ZSTD ? zstd_stated(in)
                                           : 0;
    uint64_t guess = (uint64_t)in.n * 4;
    if (stated && stated <= (uint64_t)in.n * FIRST_RATIO) guess = stated + 1;
    return (size_t)MAX(MIN(guess, (uint64_t)DIRECT_BYTES), (uint64_t)512);
}

rc net_unpack(net_coding coding, str in, const net_limits *limits, net_pool *pool, net_room room,
              void *room_ctx, net_block *out, err *e) {
    MUST(coding == NET_GZIP || coding == NET_DEFLATE || coding == NET_ZSTD);
    MUST(out->p == NULL && out->n == 0);
    sink s = {.pool = pool,
              .room = room,
              .room_ctx = room_ctx,
              .out = out,
              .max_bytes = output_limit(limits, in.n)};
    rc r = take_block(&s, first_bytes(coding, in), e);
    if (r == RC_OK) r = run(&s, coding, in, e);
    if (r != RC_END) return r;
    s.mode = SINK_COUNT; /* the block at hand is what it is thrown into */
    s.out->n = 0;
    r = run(&s, coding, in, e);
    if (r != RC_OK) return r;
    uint64_t total = s.gone_bytes + s.out->n;
    s.mode = SINK_EXACT;
    s.gone_bytes = 0;
    s.out->n = 0;
    r = take_block(&s, (size_t)total + 1, e);
    return r == RC_OK ? run(&s, coding, in, e) : r;
}

/* Replies are packed on the thread that replies, at the cheap end of both scales. */
enum { GZIP_LEVEL = 4, ZSTD_LEVEL = 1 };

bool net_pack(net_coding coding, str in, char **ret, size_t *ret_bytes) {
    MUST(coding == NET_GZIP || coding == NET_ZSTD);
    if (in.n > UINT32_MAX / 2) return false;
    size_t cap = in.n - in.n / 8; /* less gain is not worth the client's time */
    char *p = mem_try_raw(cap);
    if (!p) return false;
    size_t n = 0;
    if (coding == NET_ZSTD) {
        n = ZSTD_compress(p, cap, in.p, in.n, ZSTD_LEVEL);
        if (ZSTD_isError(n)) n = 0;
    } else {
        z_stream z = {0};
        if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) ==
            Z_OK) {
            z.next_in = (Bytef *)(uintptr_t)in.p;
            z.avail_in = (uInt)in.n;
            z.next_out = (Bytef *)p;
            z.avail_out = (uInt)cap;
            if (deflate(&z, Z_FINISH) == Z_STREAM_END) n = cap - z.avail_out;
            deflateEnd(&z);
        }
    }
    if (n == 0) {
        mem_free(p);
        return false;
    }
    *ret = p;
    *ret_bytes = n;
    return true;
}
