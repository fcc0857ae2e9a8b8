/* tail_int.h - what the files of the tail receiver share. */
#ifndef FL_INGEST_TAIL_INT_H
#define FL_INGEST_TAIL_INT_H

#include "base/buf.h"
#include "base/map.h"
#include "codec/logformat.h"
#include "model/telemetry.h"
#include "sys/fs.h"

/* ---- tail_point.c: where a file stands, and which file it was ---- */

enum { POINT_HEAD_BYTES = 1024, POINT_TAIL_BYTES = 256, POINT_TEXT_BYTES = 200 };

typedef struct tail_point {
    uint64_t offset, line;   /* of the next record; line is 1-based */
    uint64_t device, inode;  /* when the point was made */
    uint32_t head_n, tail_n; /* bytes hashed: the first ones, and those before offset */
    uint64_t head, tail;     /* hashes */
} tail_point;

/* "1 offset line device inode head_n head tail_n tail", the hashes in hex. */
str tail_point_text(const tail_point *p, char out[POINT_TEXT_BYTES]);
bool tail_point_read(str text, tail_point *ret);
/* Fills head and tail for p->offset by reading the file. */
MUST_CHECK rc tail_point_seal(const sys_fs *fs, int fd, tail_point *p, err *e);
/* Does the file hold, before p->offset, what it held when the point was sealed? False also when it
 * can't be read. */
bool tail_point_holds(const sys_fs *fs, int fd, const tail_point *p);

/* ---- tail_find.c: paths, directories and patterns to files ---- */

enum { TAIL_DEPTH_MAX = 8, TAIL_PATHS_MAX = 4096 };

typedef struct tail_found {
    arena mem; /* of the paths */
    struct {
        str path;
        sys_stat st;
    } file[TAIL_PATHS_MAX];
    size_t count;
    bool full; /* there were more */
} tail_found;

/* Everything readable now, each path once, in order of the patterns. Compressed files are left out,
 * and inside directories hidden ones and names of program text. */
void tail_find(const sys_fs *fs, const str *paths, size_t count, tail_found *ret);
/* Files beside `path` whose name begins like its name: what rotation may have made of it. */
void tail_find_siblings(const sys_fs *fs, str path, tail_found *ret);
void tail_found_init(tail_found *f);
void tail_found_release(tail_found *f);

/* ---- tail_records.c: records of files in OpenTelemetry's terms ---- */

typedef struct tail_source {
    str path, service; /* service: when a record states none */
} tail_source;

/* Completes t->logs: resources, scopes, ids, log.file.path, whole bodies of several lines, text
 * that is UTF-8. RC_LIMIT: memory of t is full. */
MUST_CHECK rc tail_records_finish(telemetry *t, const tail_source *src, err *e);

#endif
