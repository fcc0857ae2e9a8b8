/* decode_int.h - compressed bytes to plain bytes, a piece at a time. Pure: no I/O.
 *
 *     coding c = coding_of(head);                      by magic bytes, never by name
 *     decoder_new(c, &d, e)
 *     while (...) decoder_run(d, in, in_is_last, &used, out, cap, &made, e)
 *
 * Several members, frames or streams one after another are one text. */
#ifndef FL_INGEST_DECODE_INT_H
#define FL_INGEST_DECODE_INT_H

#include "base/err.h"
#include "base/str.h"

typedef enum coding {
    CODING_PLAIN = 0,
    CODING_GZIP,
    CODING_ZSTD,
    CODING_XZ,
    CODING_BZIP2,
    CODING_COUNT
} coding;

enum { CODING_MAGIC_BYTES = 6, DECODER_MEMORY_MAX = 256 << 20 };

/* What the first bytes of a file say; `head` shorter than CODING_MAGIC_BYTES only when the file is.
 */
coding coding_of(str head);
const char *coding_name(coding c); /* "gzip" ... */

typedef struct decoder decoder;

/* Returns owned. c is not CODING_PLAIN. */
MUST_CHECK rc decoder_new(coding c, decoder **ret, err *e);
void decoder_free(decoder *d);
/* Consumes some of `in` and writes some of `out`; at least one of both moves unless an end is
 * answered. in_is_last: no input follows `in`. RC_END: the text is complete. RC_CORRUPT: damaged or
 * ends early; what was written before stays good (*ret_used and *ret_made are set in every case).
 * RC_LIMIT: decoding would take more than DECODER_MEMORY_MAX. */
MUST_CHECK rc decoder_run(decoder *d, str in, bool in_is_last, size_t *ret_used, char *out,
                          size_t cap, size_t *ret_made, err *e);

#endif
