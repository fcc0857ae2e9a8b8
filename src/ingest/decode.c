/* Decompression behind one small interface.
 *
 * Problem: four libraries with four conventions for "give me input", "member ended", "more
 * members may follow", "that was all" and "damaged". One state machine maps them: every library is
 * run on (input piece, output room); at the end of a member the decoder is between members, where
 * end of input is a clean end and anywhere else it is a truncated file.
 *
 *     between --bytes--> inside --member ends--> between --end of input--> RC_END
 *                          |end of input
 *                          v
 *                      RC_CORRUPT "ends early"
 *
 * Details by kind: gzip members may be followed by zero padding (tape blocks), other bytes after
 * the last member are damage. zstd frames and skippable frames follow each other; a window above
 * 128 MB is refused (RC_LIMIT). xz and its padding are joined by the library (LZMA_CONCATENATED).
 * bzip2 streams are restarted by hand.
 * Sources: RFC 1952, RFC 8878, the xz file format 1.2.0, bzip2 manual 3.3.
 */
#include "ingest/decode_int.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

enum { ZSTD_WINDOW_LOG_MAX = 27, ZLIB_GZIP_ONLY = 16 };

struct decoder {
    coding kind;
    bool open;    /* the library state below is live */
    bool between; /* no member is under way */
    bool padding; /* zero bytes follow the last gzip member */
    union {
        z_stream gz;
        ZSTD_DStream *zstd;
        lzma_stream xz;
        bz_stream bz;
    } u;
};

coding coding_of(str head) {
    static const struct {
        str magic;
        coding kind;
    } table[] = {
        {S_INIT("\x1f\x8b\x08"), CODING_GZIP},
        {S_INIT("\x28\xb5\x2f\xfd"), CODING_ZSTD},
        {S_INIT("\xfd"
                "7zXZ\0"),
         CODING_XZ},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_starts(head, table[i].magic)) return table[i].kind;
    if (str_starts(head, S("BZh")) && head.n >= 5 && head.p[3] >= '1' && head.p[3] <= '9' &&
        (head.p[4] == 0x31 || head.p[4] == 0x17))
        return CODING_BZIP2;
    /* zstd skippable frames: 0x184D2A50..5F little-endian. */
    if (head.n >= 4 && ((unsigned char)head.p[0] & 0xf0) == 0x50 &&
        memcmp(head.p + 1, "\x2a\x4d\x18", 3) == 0)
        return CODING_ZSTD;
    return CODING_PLAIN;
}

const char *coding_name(coding c) {
    static const char *const names[CODING_COUNT] = {"plain", "gzip", "zstd", "xz", "bzip2"};
    MUST(c < CODING_COUNT);
    return names[c];
}

rc decoder_new(coding c, decoder **ret, err *e) {
    MUST(c > CODING_PLAIN && c < CODING_COUNT);
    decoder *d = mem_new(decoder);
    d->kind = c;
    d->between = true;
    switch (c) {
    case CODING_GZIP:
        d->open = inflateInit2(&d->u.gz, MAX_WBITS + ZLIB_GZIP_ONLY) == Z_OK;
        break;
    case CODING_ZSTD:
        d->u.zstd = ZSTD_createDStream();
        d->open = d->u.zstd != NULL;
        if (d->open) ZSTD_DCtx_setParameter(d->u.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        break;
    case CODING_XZ:
        d->u.xz = (lzma_stream)LZMA_STREAM_INIT;
        d->open = lzma_stream_decoder(&d->u.xz, DECODER_MEMORY_MAX, LZMA_CONCATENATED) == LZMA_OK;
        break;
    default:
        d->open = BZ2_bzDecompressInit(&d->u.bz, 0, 0) == BZ_OK;
        break;
    }
    if (!d->open) {
        decoder_free(d);
        return FAIL(e, RC_LIMIT, "no memory to decode %s data", coding_name(c));
    }
    *ret = d;
    return RC_OK;
}

void decoder_free(decoder *d) {
    if (!d) return;
    if (d->open) {
        switch (d->kind) {
        case CODING_GZIP:
            inflateEnd(&d->u.gz);
            break;
        case CODING_ZSTD:
            ZSTD_freeDStream(d->u.zstd);
            break;
        case CODING_XZ:
            lzma_end(&d->u.xz);
            break;
        default:
            BZ2_bzDecompressEnd(&d->u.bz);
            break;
        }
    }
    mem_free(d);
}

/* The end of the input was met where the decoder stands. */
static rc at_end(const decoder *d, err *e) {
    if (d->between) return RC_END;
    return FAIL(e, RC_CORRUPT, "the %s data ends early", coding_name(d->kind));
}

static rc run_gzip(decoder *d, str in, bool last, size_t *used, char *out, size_t cap, size_t *made,
                   err *e) {
    z_stream *z = &d->u.gz;
    size_t skip = 0;
    if (d->padding) {
        while (skip < in.n && in.p[skip] == 0) skip++;
        *used = skip;
        if (skip < in.n)
            return FAIL(e, RC_CORRUPT, "bytes after the end of the gzip data are not gzip");
        return last ? RC_END : RC_OK;
    }
    uInt in_n = (uInt)MIN(in.n, (size_t)UINT32_MAX / 2),
         out_n = (uInt)MIN(cap, (size_t)UINT32_MAX / 2);
    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = in_n;
    z->next_out = (Bytef *)out;
    z->avail_out = out_n;
    int r = inflate(z, Z_NO_FLUSH);
    *used = in_n - z->avail_in;
    *made = out_n - z->avail_out;
    if (*used > 0) d->between = false;
    if (r == Z_STREAM_END) {
        d->between = true;
        d->padding = *used < in.n && in.p[*used] == 0;
        IGNORE(inflateReset(z)); /* only fails on an inconsistent state, which inflate checked */
        return RC_OK;
    }
    if (r == Z_OK) return RC_OK;
    if (r == Z_BUF_ERROR) return last && in.n == 0 ? at_end(d, e) : RC_OK;
    return FAIL(e, RC_CORRUPT, "the gzip data is damaged (%s)", z->msg ? z->msg : "unreadable");
}

static rc run_zstd(decoder *d, str in, bool last, size_t *used, char *out, size_t cap, size_t *made,
                   err *e) {
    ZSTD_inBuffer i = {in.p, in.n, 0};
    ZSTD_outBuffer o = {out, cap, 0};
    size_t r = ZSTD_decompressStream(d->u.zstd, &o, &i);
    *used = i.pos;
    *made = o.pos;
    if (ZSTD_isError(r)) {
        if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
            return FAIL(e, RC_LIMIT, "the zstd data needs a window above %d MB",
                        1 << (ZSTD_WINDOW_LOG_MAX - 20));
        return FAIL(e, RC_CORRUPT, "the zstd data is damaged (%s)", ZSTD_getErrorName(r));
    }
    if (i.pos > 0 || o.pos > 0) d->between = r == 0;
    if (last && in.n == 0 && o.pos == 0) return at_end(d, e);
    return RC_OK;
}

static rc run_xz(decoder *d, str in, bool last, size_t *used, char *out, size_t cap, size_t *made,
                 err *e) {
    lzma_stream *x = &d->u.xz;
    x->next_in = (const uint8_t *)in.p;
    x->avail_in = in.n;
    x->next_out = (uint8_t *)out;
    x->avail_out = cap;
    lzma_ret r = lzma_code(x, last ? LZMA_FINISH : LZMA_RUN);
    *used = in.n - x->avail_in;
    *made = cap - x->avail_out;
    if (r == LZMA_STREAM_END) return RC_END;
    if (r == LZMA_OK) return RC_OK;
    d->between = false;
    if (r == LZMA_BUF_ERROR) return last && in.n == 0 && cap > 0 ? at_end(d, e) : RC_OK;
    if (r == LZMA_MEMLIMIT_ERROR)
        return FAIL(e, RC_LIMIT, "the xz data needs more than %d MB to decode",
                    DECODER_MEMORY_MAX >> 20);
    return FAIL(e, RC_CORRUPT, "the xz data is damaged");
}

static rc run_bzip2(decoder *d, str in, bool last, size_t *used, char *out, size_t cap,
                    size_t *made, err *e) {
    bz_stream *z = &d->u.bz;
    if (last && in.n == 0 && d->between) return RC_END;
    unsigned in_n = (unsigned)MIN(in.n, (size_t)UINT32_MAX / 2);
    unsigned out_n = (unsigned)MIN(cap, (size_t)UINT32_MAX / 2);
    z->next_in = (char *)(uintptr_t)in.p;
    z->avail_in = in_n;
    z->next_out = out;
    z->avail_out = out_n;
    int r = BZ2_bzDecompress(z);
    *used = in_n - z->avail_in;
    *made = out_n - z->avail_out;
    if (*used > 0) d->between = false;
    if (r == BZ_STREAM_END) {
        BZ2_bzDecompressEnd(z);
        *z = (bz_stream){0};
        d->open = BZ2_bzDecompressInit(z, 0, 0) == BZ_OK;
        if (!d->open) return FAIL(e, RC_LIMIT, "no memory to decode bzip2 data");
        d->between = true;
        return RC_OK;
    }
    if (r != BZ_OK) return FAIL(e, RC_CORRUPT, "the bzip2 data is damaged (code %d)", r);
    if (last && in.n == 0 && *made == 0) return at_end(d, e);
    return RC_OK;
}

rc decoder_run(decoder *d, str in, bool in_is_last, size_t *ret_used, char *out, size_t cap,
               size_t *ret_made, err *e) {
    MUST(d->open && cap > 0);
    *ret_used = *ret_made = 0;
    if (in.n == 0 && !in_is_last) return RC_OK;
    switch (d->kind) {
    case CODING_GZIP:
        return run_gzip(d, in, in_is_last, ret_used, out, cap, ret_made, e);
    case CODING_ZSTD:
        return run_zstd(d, in, in_is_last, ret_used, out, cap, ret_made, e);
    case CODING_XZ:
        return run_xz(d, in, in_is_last, ret_used, out, cap, ret_made, e);
    default:
        return run_bzip2(d, in, in_is_last, ret_used, out, cap, ret_made, e);
    }
}
