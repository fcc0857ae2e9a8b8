/* tail_point.c - where a file stands, and how to know the same file again.
 *
 * A path is no identity (rotation), an inode is none either (it is given to the next file; device
 * numbers change over restarts; copytruncate keeps it and changes the content). What was read is:
 * a file is the one that was read when its first bytes and the bytes just before the offset are
 * those that were read. Two logs that agree in 1024 bytes at the start, in 256 bytes before the
 * same offset and are long enough do not occur by chance: both hold times. Source of the idea:
 * fingerprints of the OpenTelemetry Collector's fileconsumer and of Vector's file source; they hash
 * the first bytes only and miss a file truncated and written again. */
#include "ingest/tail_int.h"

#include "base/num.h"

str tail_point_text(const tail_point *p, char out[POINT_TEXT_BYTES]) {
    int n =
        snprintf(out, POINT_TEXT_BYTES,
                 "1 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %" PRIx64 " %u %" PRIx64,
                 p->offset, p->line, p->device, p->inode, p->head_n, p->head, p->tail_n, p->tail);
    MUST(n > 0 && n < POINT_TEXT_BYTES);
    return str_make(out, (size_t)n);
}

bool tail_point_read(str text, tail_point *ret) {
    uint64_t v[9];
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        str word;
        if (!str_next(&text, ' ', &word)) return false;
        bool hex = i == 6 || i == 8;
        if (hex ? !num_hex(word, &v[i]) : !num_u64(word, &v[i])) return false;
    }
    if (text.n > 0 || v[0] != 1 || v[5] > POINT_HEAD_BYTES || v[7] > POINT_TAIL_BYTES) return false;
    if (v[5] > v[1] || v[7] > v[1] || v[2] == 0) return false;
    *ret = (tail_point){.offset = v[1],
                        .line = v[2],
                        .device = v[3],
                        .inode = v[4],
                        .head_n = (uint32_t)v[5],
                        .head = v[6],
                        .tail_n = (uint32_t)v[7],
                        .tail = v[8]};
    return true;
}

/* Hash of the bytes [from, from + n). */
static rc hash_of(const sys_fs *fs, int fd, uint64_t from, size_t n, uint64_t *ret, err *e) {
    char bytes[POINT_HEAD_BYTES];
    size_t have = 0;
    MUST(n <= sizeof bytes);
    while (have < n) {
        size_t got = 0;
        rc r = fs->ops->pread(fs->ctx, fd, bytes + have, n - have, from + have, &got, e);
        if (r != RC_OK) return r;
        if (got == 0) return FAIL(e, RC_END, "the file is shorter than it was");
        have += got;
    }
    *ret = str_hash(str_make(bytes, n));
    return RC_OK;
}

rc tail_point_seal(const sys_fs *fs, int fd, tail_point *p, err *e) {
    tail_point sealed = *p;
    sealed.head_n = (uint32_t)MIN(p->offset, (uint64_t)POINT_HEAD_BYTES);
    sealed.tail_n = (uint32_t)MIN(p->offset, (uint64_t)POINT_TAIL_BYTES);
    rc r = hash_of(fs, fd, 0, sealed.head_n, &sealed.head, e);
    if (r == RC_OK) r = hash_of(fs, fd, p->offset - sealed.tail_n, sealed.tail_n, &sealed.tail, e);
    if (r == RC_OK) *p = sealed;
    return r;
}

bool tail_point_holds(const sys_fs *fs, int fd, const tail_point *p) {
    uint64_t head, tail;
    return hash_of(fs, fd, 0, p->head_n, &head, NULL) == RC_OK && head == p->head &&
           hash_of(fs, fd, p->offset - p->tail_n, p->tail_n, &tail, NULL) == RC_OK &&
           tail == p->tail;
}
