/* linefmt_int.h - between the dispatcher (logformat.c) and the parsers of one format each.
 *
 * The dispatcher cuts the input into lines, asks every format for its score over the sample, picks
 * one, and calls its parse for each line. A parser turns one line into zero, one or many records of
 * c->batch. Parsers keep no state of their own: what must live from line to line (a container
 * message cut in pieces) is in the line_ctx, which the dispatcher makes afresh (all zero, then the
 * fields of the first block) for each log_format_parse call and ends with line_finish().
 *
 * Who fills what: a parser adds records with line_record_add (ref, raw and line_count are set
 * there) and fills the rest. The dispatcher counts: after each parse it looks at the records added,
 * for records, records_without_time, first_ns, last_ns, out_of_order. Parsers touch only
 * stats->cut_lines (a joined message that passed LINE_JOIN_MAX) and stats->unparsed_lines (a
 * damaged line of which a part was kept). */
#ifndef FL_CODEC_LINEFMT_INT_H
#define FL_CODEC_LINEFMT_INT_H

#include "codec/logformat.h"
#include "codec/timestamp.h"

enum {
    LINE_JOIN_MAX = LOG_LINE_MAX, /* bytes of a message joined from pieces; the rest is dropped */
    LINE_ATTRS_MAX = 512          /* attributes of one record; further members stay in raw only */
};

/* A container message being put together, or, once it is complete, the stack trace that follows it:
 * one for each of stdout and stderr. */
typedef struct line_join {
    char *p; /* text gathered so far, in batch->mem; NULL: a single piece so far, in `first` */
    size_t n, cap;
    str first;
    str source;       /* container the text is from, where lines of several are mixed */
    size_t rec_plus1; /* the record it belongs to, its index in batch->rec + 1; 0 = none yet */
    bool partial;     /* the last piece said that more follows */
    bool stacked;     /* the message was followed by lines that continue it */
    bool cut;         /* passed LINE_JOIN_MAX, counted once */
} line_join;

typedef struct line_ctx line_ctx;
struct line_ctx {
    const ts_context *ts;
    log_batch *batch;
    log_parse_stats *stats;
    uint64_t line_no; /* 1-based number of the line being parsed */
    uint64_t offset;  /* of its first byte in the input */
    uint32_t file;
    /* A message inside a container line or JSON envelope may have a text header of its own
     * ("2024-01-01 10:00:00 ERROR [main] c.e.Foo - text"). When `text` begins with one, fills
     * severity, component, trace ids, body (the rest of the text), and ts_ns only if it is TS_NONE;
     * leaves attrs, raw and ref alone. False: no header found, *r untouched. May be NULL. */
    bool (*inner_parse)(void *inner, const line_ctx *c, str text, log_record *r);
    /* Is `text` a continuation (stack frame, indented or "Caused by:" line) of the message before
     * it in the same stream? May be NULL. */
    bool (*inner_continues)(void *inner, str text);
    void *inner;
    line_join join[2]; /* internal to the container formats; zero at the start */
};

typedef struct line_fmt {
    const char *name;             /* as in log_format_names */
    bool (*looks_like)(str line); /* cheap: the first bytes and a few key names */
    unsigned (*score)(str line);  /* 0..100 for one line of the sample; the best mean wins */
    /* RC_OK: records of this line were added (or joined to earlier ones). RC_INVALID: the line is
     * not of this format and the batch is as before; the dispatcher keeps it as continuation or
     * plain text. RC_LIMIT: the batch's arena is full and the batch is as before. */
    rc (*parse)(line_ctx *c, str line, err *e);
    /* Does `line` begin a record, given the line before it (empty at the start of a chunk)? False
     * in doubt, and for what `parse` refuses. NULL: every line that `parse` takes does. For
     * log_format_boundary; c gives ts and the inner_* hooks only. */
    bool (*starts)(const line_ctx *c, str prev, str line);
    uint32_t line_max_bytes; /* a longer line maximum than LOG_LINE_MAX; 0 = that */
} line_fmt;

extern const line_fmt line_fmt_otlp_json;    /* "otlp-json": one line, many records */
extern const line_fmt line_fmt_docker;       /* "docker": json-file driver, pieces joined */
extern const line_fmt line_fmt_journal_json; /* "journal-json": journalctl -o json */
extern const line_fmt line_fmt_json;         /* "json": any other object with known field names */
extern const line_fmt line_fmt_cri;          /* "cri": Kubernetes container logs, P/F joined */
extern const line_fmt line_fmt_prefixed;     /* "prefixed": container name before the text */
extern const line_fmt line_fmt_logfmt;       /* "logfmt" */

/* Formats whose records are several lines and may hold binary fields. */
typedef struct record_fmt {
    const char *name;
    unsigned (*score)(str sample); /* 0..100 for the start of an input */
    /* Bytes of the first record of `chunk` with its separator; 0: it is not complete yet. With
     * `last` set the end of the chunk ends the record (0 only for an empty chunk). */
    size_t (*next)(str chunk, bool last);
    rc (*parse)(line_ctx *c, str record, err *e); /* as line_fmt.parse */
    /* As line_fmt.starts, for what `next` cut. NULL: records never join. */
    bool (*starts)(const line_ctx *c, str prev, str record);
} record_fmt;

extern const record_fmt record_fmt_journal_export; /* "journal-export": journalctl -o export */
extern const record_fmt record_fmt_json_doc; /* "json-document": objects over lines, in arrays */

/* Ends a parse call: messages still in pieces are parsed with what there is of them. */
void line_finish(line_ctx *c);
/* Adds a record for `line` at the context's position. NULL when the batch is full. */
log_record *line_record_add(line_ctx *c, str line);
/* The same for the second and further records of one line (log_batch_add_over). */
log_record *line_record_add_over(line_ctx *c, str line);
/* A message that may itself be a JSON object, logfmt or text with a header: fills what it finds
 * into *r (ts_ns only if TS_NONE, severity only if SEV_NONE) and sets r->body. */
void line_inner(line_ctx *c, str text, log_record *r);

#endif
