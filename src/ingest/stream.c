/* One input as plain text.
 *
 * Three stages, each a function that fills the caller's memory:
 *
 *     raw_read     file at a position, or pipe (copied to the spool on the way)
 *     data_read    raw bytes, or their decompression when the first bytes are a known magic
 *     stream_read  the text: byte-order mark dropped, UTF-16 transcoded
 *
 * For a plain UTF-8 file all three are one pread into the caller's block: no byte is copied twice.
 * What a file is gets decided on the bytes that the first read delivers into the caller's memory;
 * only then, and only if needed, do buffers come into being (STREAM_IN_BYTES, STREAM_OUT_BYTES).
 *
 * Damaged compressed data: how much comes out before the damage depends on the size of the calls
 * (libbz2 and one-pass zstd lose what the failing call wrote). Decoders therefore always write
 * STREAM_OUT_BYTES at a time, so that a text read again in other steps is the same text.
 *
 * Offsets: `at` counts the decoded text. A UTF-8 mark counts (3 bytes) so that offsets in plain
 * files are file offsets; UTF-16 text is counted after transcoding.
 *
 * Limits: decompression ratio (a bomb ends as RC_LIMIT), decoder memory, spool size.
 * Rejected: mmap (resident memory counts against us and truncation kills the process); iconv (a
 * locale's worth of code for forty lines).
 */
#include "ingest/stream_int.h"

#include "base/mem.h"
#include "base/utf8.h"

enum { HEAD_BYTES = CODING_MAGIC_BYTES, RATIO_SLACK_BYTES = 64 << 20, STREAM_OUT_BYTES = 64 << 10 };

typedef enum text_kind { TEXT_UNKNOWN = 0, TEXT_BYTES, TEXT_UTF16_LE, TEXT_UTF16_BE } text_kind;

struct stream {
    const sys_fs *fs;
    int fd;
    bool owns_fd;
    pipe_in *pipe;
    bool kept_only;
    bool sniffed; /* `coding` is known */
    coding coding;
    decoder *dec;
    char *in; /* compressed bytes [in_at, in_n) wait for the decoder */
    size_t in_at, in_n;
    bool in_ended;
    char *out; /* decoded bytes [out_at, out_n) wait to be read */
    size_t out_at, out_n;
    err out_failure;  /* code != RC_OK: what ended them */
    bool data_ended;  /* of compressed data: clean end or failure below */
    uint64_t raw_at;  /* bytes taken from the file */
    uint64_t data_at; /* bytes that left data_read */
    uint64_t max_ratio;
    text_kind text;
    char *wide; /* UTF-16 bytes [wide_at, wide_n) wait to be transcoded */
    size_t wide_at, wide_n;
    uint64_t at;
    err failure; /* code != RC_OK: told once the bytes before it are handed out */
};

void pipe_in_init(pipe_in *p, int fd, bool owns_fd) {
    *p = (pipe_in){.fd = fd, .owns_fd = owns_fd, .spool_fd = -1};
    atomic_init(&p->kept, true);
    atomic_init(&p->taken, 0);
}

void pipe_in_close(pipe_in *p, const sys_fs *fs) {
    if (p->spool_fd >= 0) IGNORE(fs->ops->close(fs->ctx, p->spool_fd, NULL)); /* nothing to save */
    if (p->owns_fd && p->fd >= 0) IGNORE(fs->ops->close(fs->ctx, p->fd, NULL)); /* read only */
    p->spool_fd = p->fd = -1;
}

/* Copies bytes just taken from the pipe to the spool; when that fails the spool is given up. */
static void spool_keep(pipe_in *p, const sys_fs *fs, const char *from, size_t n) {
    if (!atomic_load(&p->kept)) return;
    uint64_t at = atomic_load(&p->taken);
    bool ok = at + n <= SPOOL_BYTES_MAX;
    if (ok && p->spool_fd < 0) ok = sys_temp_file(&p->spool_fd, NULL) == RC_OK;
    ok = ok && fs->ops->pwrite(fs->ctx, p->spool_fd, from, n, at, NULL) == RC_OK;
    if (!ok) atomic_store(&p->kept, false);
}

static rc pipe_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    pipe_in *p = s->pipe;
    uint64_t taken = atomic_load(&p->taken);
    if (s->raw_at < taken) {
        if (!atomic_load(&p->kept))
            return FAIL(e, RC_UNSUPPORTED,
                        "piped input can be read only once: no temporary space for a copy");
        return s->fs->ops->pread(s->fs->ctx, p->spool_fd, to,
                                 (size_t)MIN((uint64_t)cap, taken - s->raw_at), s->raw_at, ret_n,
                                 e);
    }
    *ret_n = 0;
    if (s->kept_only || p->ended) return RC_OK;
    rc r = s->fs->ops->read(s->fs->ctx, p->fd, to, cap, ret_n, e);
    if (r != RC_OK) return r;
    if (*ret_n == 0) p->ended = true;
    spool_keep(p, s->fs, to, *ret_n);
    atomic_store(&p->taken, taken + *ret_n);
    return RC_OK;
}

static rc raw_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    rc r = s->pipe ? pipe_read(s, to, cap, ret_n, e)
                   : s->fs->ops->pread(s->fs->ctx, s->fd, to, cap, s->raw_at, ret_n, e);
    if (r != RC_OK) return err_wrap(e, r, "reading stopped at byte %" PRIu64, s->raw_at);
    MUST(*ret_n <= cap);
    s->raw_at += *ret_n;
    return RC_OK;
}

/* First read: fills up to HEAD_BYTES at least, then decides. Plain bytes stay in `to`. */
static rc sniff(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    size_t n = 0, got = 1;
    cap = MIN(cap, (size_t)STREAM_IN_BYTES);
    while (n < HEAD_BYTES && got > 0) {
        rc r = raw_read(s, to + n, cap - n, &got, e);
        if (r != RC_OK) return r;
        n += got;
    }
    *ret_n = n;
    if (n == 0) return RC_OK; /* empty so far: a growing file may say more later */
    s->sniffed = true;
    s->coding = coding_of(str_make(to, n));
    if (s->coding == CODING_PLAIN) return RC_OK;
    rc r = decoder_new(s->coding, &s->dec, e);
    if (r != RC_OK) return r;
    s->in = mem_alloc(STREAM_IN_BYTES);
    s->out = mem_alloc(STREAM_OUT_BYTES);
    memcpy(s->in, to, n);
    s->in_n = n;
    return RC_AGAIN;
}

/* Fills `out`, which is empty. */
static rc decode_more(stream *s, err *e) {
    s->out_at = s->out_n = 0;
    while (s->out_n == 0 && !s->data_ended) {
        if (s->in_at == s->in_n && !s->in_ended) {
            s->in_at = s->in_n = 0;
            rc r = raw_read(s, s->in, STREAM_IN_BYTES, &s->in_n, e);
            if (r != RC_OK) return r;
            s->in_ended = s->in_n == 0;
        }
        size_t used, made;
        rc r = decoder_run(s->dec, str_make(s->in + s->in_at, s->in_n - s->in_at), s->in_ended,
                           &used, s->out, STREAM_OUT_BYTES, &made, e);
        s->in_at += used;
        s->out_n = made;
        uint64_t raw = s->raw_at - (s->in_n - s->in_at);
        if (r == RC_END) s->data_ended = true;
        if (r != RC_OK && r != RC_END) {
            s->data_ended = true;
            err_wrap(e, r, "reading stopped at byte %" PRIu64, raw);
            return r;
        }
        if (s->data_at + made > RATIO_SLACK_BYTES &&
            (s->data_at + made - RATIO_SLACK_BYTES) / s->max_ratio > raw) {
            s->data_ended = true;
            return FAIL(e, RC_LIMIT,
                        "reading stopped at byte %" PRIu64 ": it unpacks to more than %" PRIu64
                        " times its size",
                        raw, s->max_ratio);
        }
    }
    return RC_OK;
}

static rc decode_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    if (s->out_at == s->out_n) {
        rc r = decode_more(s, &s->out_failure);
        s->out_failure.code = r;
    }
    *ret_n = MIN(cap, s->out_n - s->out_at);
    if (*ret_n > 0) memcpy(to, s->out + s->out_at, *ret_n);
    s->out_at += *ret_n;
    if (s->out_at < s->out_n || s->out_failure.code == RC_OK) return RC_OK;
    if (e) *e = s->out_failure;
    return s->out_failure.code;
}

/* May deliver bytes and fail at once: *ret_n counts good bytes in every case. */
static rc data_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    *ret_n = 0;
    if (!s->sniffed) {
        rc r = sniff(s, to, cap, ret_n, e);
        if (r != RC_AGAIN) {
            if (r == RC_OK) s->data_at += *ret_n;
            return r;
        }
    }
    rc r = s->coding == CODING_PLAIN ? raw_read(s, to, cap, ret_n, e)
                                     : decode_read(s, to, cap, ret_n, e);
    s->data_at += *ret_n;
    return r;
}

/* Like stream_read on bytes, but a failure waits until the bytes before it are out. */
static rc data_read_clean(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    if (s->failure.code != RC_OK) {
        *ret_n = 0;
        if (e) *e = s->failure;
        return s->failure.code;
    }
    err why = {0};
    rc r = data_read(s, to, cap, ret_n, &why);
    if (r == RC_OK) return RC_OK;
    s->failure = why;
    s->failure.code = r;
    if (*ret_n > 0) return RC_OK;
    if (e) *e = s->failure;
    return r;
}

static uint32_t unit_at(const stream *s, size_t i) {
    unsigned a = (unsigned char)s->wide[i], b = (unsigned char)s->wide[i + 1];
    return s->text == TEXT_UTF16_LE ? a | b << 8 : a << 8 | b;
}

/* Moves whole characters from `wide` to `to`. A lone surrogate becomes U+FFFD; so does an odd last
 * byte at the end of the text. */
static size_t transcode(stream *s, char *to, size_t cap, bool ended) {
    size_t n = 0;
    while (cap - n >= 4) {
        size_t left = s->wide_n - s->wide_at;
        if (left < 2) {
            if (left == 1 && ended) {
                s->wide_at++;
                n += utf8_put(to + n, 0xfffd);
            }
            break;
        }
        uint32_t c = unit_at(s, s->wide_at);
        size_t used = 2;
        if (c >= 0xd800 && c < 0xdc00) {
            if (left < 4 && !ended) break;
            uint32_t low = left >= 4 ? unit_at(s, s->wide_at + 2) : 0;
            bool pair = low >= 0xdc00 && low < 0xe000;
            c = pair ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
            used = pair ? 4 : 2;
        } else if (c >= 0xdc00 && c < 0xe000) {
            c = 0xfffd;
        }
        s->wide_at += used;
        n += utf8_put(to + n, c);
    }
    return n;
}

static rc wide_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    bool ended = false;
    *ret_n = 0;
    while (*ret_n == 0) {
        *ret_n = transcode(s, to, cap, ended);
        if (*ret_n > 0 || ended) break;
        size_t left = s->wide_n - s->wide_at, got;
        memmove(s->wide, s->wide + s->wide_at, left);
        s->wide_at = 0;
        s->wide_n = left;
        rc r = data_read_clean(s, s->wide + left, STREAM_IN_BYTES - left, &got, e);
        if (r != RC_OK) return r;
        s->wide_n += got;
        /* A growing file may stop inside a character: only compressed text ends for good. */
        ended = got == 0 && s->coding != CODING_PLAIN;
        if (got == 0 && !ended) break;
    }
    return RC_OK;
}

/* The first bytes of the text: is there a byte-order mark? */
static rc first_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    size_t n = 0, got = 1;
    cap = MIN(cap, (size_t)STREAM_IN_BYTES);
    while (n < 3 && got > 0) {
        rc r = data_read_clean(s, to + n, cap - n, &got, e);
        if (r != RC_OK && n == 0) return r;
        if (r != RC_OK) break; /* kept in s->failure */
        n += got;
    }
    *ret_n = n;
    if (n == 0) return RC_OK;
    s->text = TEXT_BYTES;
    if (n >= 3 && memcmp(to, "\xef\xbb\xbf", 3) == 0) {
        *ret_n = n - 3;
        memmove(to, to + 3, n - 3);
        s->at = 3;
        return n > 3 ? RC_OK : data_read_clean(s, to, cap, ret_n, e);
    }
    if (n < 2) return RC_OK;
    if (memcmp(to, "\xff\xfe", 2) == 0) s->text = TEXT_UTF16_LE;
    if (memcmp(to, "\xfe\xff", 2) == 0) s->text = TEXT_UTF16_BE;
    if (s->text == TEXT_BYTES) return RC_OK;
    s->wide = mem_alloc(STREAM_IN_BYTES);
    memcpy(s->wide, to + 2, n - 2);
    s->wide_n = n - 2;
    return wide_read(s, to, cap, ret_n, e);
}

rc stream_open(const stream_opts *o, stream **ret, err *e) {
    MUST(o->fs != NULL && o->max_ratio > 0);
    int fd = o->fd;
    bool owns = false;
    if (!o->pipe && fd < 0) {
        rc r = o->fs->ops->open(o->fs->ctx, o->path, SYS_READ, &fd, e);
        if (r != RC_OK) return r;
        owns = true;
    }
    stream *s = mem_new(stream);
    s->fs = o->fs;
    s->fd = o->pipe ? -1 : fd;
    s->owns_fd = owns;
    s->pipe = o->pipe;
    s->kept_only = o->kept_only;
    s->max_ratio = o->max_ratio;
    *ret = s;
    return RC_OK;
}

void stream_close(stream *s) {
    if (!s) return;
    if (s->owns_fd) IGNORE(s->fs->ops->close(s->fs->ctx, s->fd, NULL)); /* read only */
    decoder_free(s->dec);
    mem_free(s->in);
    mem_free(s->out);
    mem_free(s->wide);
    mem_free(s);
}

rc stream_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e) {
    MUST(cap >= STREAM_READ_MIN);
    size_t n = 0;
    rc r = s->text == TEXT_UNKNOWN ? first_read(s, to, cap, &n, e)
           : s->text == TEXT_BYTES ? data_read_clean(s, to, cap, &n, e)
                                   : wide_read(s, to, cap, &n, e);
    if (r != RC_OK) return r;
    s->at += n;
    *ret_n = n;
    return RC_OK;
}

uint64_t stream_at(const stream *s) { return s->at; }
uint64_t stream_raw_at(const stream *s) { return s->raw_at - (s->in_n - s->in_at); }
coding stream_coding(const stream *s) { return s->coding; }
bool stream_is_direct(const stream *s) {
    return s->coding == CODING_PLAIN && s->text == TEXT_BYTES;
}
int stream_fd(const stream *s) { return s->fd; }

void stream_seek(stream *s, uint64_t at) {
    MUST(stream_is_direct(s));
    s->raw_at = s->data_at = s->at = at;
}
