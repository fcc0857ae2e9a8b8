/* expr_int.h - the tree that both languages become, with the place of each node in the text.
 *
 * One kind of node for everything, since trees are small (a text has at most QUERY_TEXT_MAX bytes)
 * and walks are then plain switches. Trees live in one arena, are immutable once parsed and shared
 * by workers. */
#ifndef FL_QUERY_EXPR_INT_H
#define FL_QUERY_EXPR_INT_H

#include "base/buf.h"
#include "query/lexer_int.h"
#include "query/regex_int.h"
#include "store/store.h"

enum {
    EXPR_DEPTH_MAX = 100,     /* of nesting as written */
    EXPR_TREE_MAX = 1000,     /* of operators in a row: walks recurse */
    EXPR_ARENA_MAX = 64 << 20 /* a text of QUERY_TEXT_MAX bytes cannot fill it */
};

/* --- pieces of a log pipeline --- */

typedef enum filter_kind {
    FILTER_AND = 0,
    FILTER_OR,
    FILTER_TEXT, /* = != =~ !~ with a string */
    FILTER_NUMBER,
    FILTER_DURATION, /* value in ns */
    FILTER_BYTES,
    FILTER_IP /* = != ip("10.0.0.0/8") */
} filter_kind;

typedef enum compare_op { CMP_EQ = 0, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE } compare_op;

typedef struct ip_range {
    uint8_t from[16], to[16]; /* IPv4 as ::ffff:a.b.c.d */
} ip_range;

typedef struct label_filter label_filter;
struct label_filter {
    uint8_t kind; /* filter_kind */
    uint8_t cmp;  /* compare_op, of numbers and addresses */
    const label_filter *left, *right;
    str name;
    label_match match; /* FILTER_TEXT */
    const regex *re;   /* of match, when it is one */
    double num;
    ip_range ip;
    str text; /* number, duration, size or address as written */
};

typedef enum stage_kind {
    STAGE_LINE = 0, /* |= != |~ !~ |> !> */
    STAGE_JSON,
    STAGE_LOGFMT,
    STAGE_REGEXP,
    STAGE_PATTERN,
    STAGE_UNPACK,
    STAGE_FILTER, /* label filter */
    STAGE_LINE_FORMAT,
    STAGE_LABEL_FORMAT,
    STAGE_DROP,
    STAGE_KEEP,
    STAGE_DECOLORIZE
} stage_kind;

typedef enum line_kind { LINE_TEXT = 0, LINE_REGEX, LINE_PATTERN } line_kind;

typedef struct line_choice { /* one of `|= "a" or "b"` */
    str text;
    const regex *re; /* LINE_REGEX, LINE_PATTERN */
    bool is_ip;      /* ip("...") */
    ip_range ip;
} line_choice;

/* Text with {{...}} parts. A part: literal text, or a value (a label, the line, the time) sent
 * through functions. */
typedef enum template_source { TPL_LITERAL = 0, TPL_LABEL, TPL_LINE, TPL_TIME } template_source;
typedef enum template_fn {
    TPL_LOWER = 0,
    TPL_UPPER,
    TPL_TRIM,
    TPL_DEFAULT, /* arg when empty */
    TPL_REPLACE, /* arg, arg2 */
    TPL_TRUNC,   /* num characters; negative: the last ones */
    TPL_TRIM_PREFIX,
    TPL_TRIM_SUFFIX
} template_fn;
typedef struct template_call {
    uint8_t fn;
    str arg, arg2;
    int64_t num;
} template_call;
typedef struct template_part {
    uint8_t source;
    str text; /* literal, or name of the label */
    const template_call *calls;
    size_t call_count;
} template_part;
typedef struct text_template {
    const template_part *parts;
    size_t count;
} text_template;

typedef struct json_step { /* of a path: a member, or an element (name.p NULL) */
    str name;
    uint32_t index;
} json_step;

typedef struct stage_item { /* json/logfmt a="b"; label_format a=b / a="tpl"; drop/keep a="b" */
    str name, text;
    bool has_text, is_rename;
    text_template tpl;
    const json_step *path;
    size_t path_count;
    label_match match; /* drop, keep: when has_text */
    const regex *re;
} stage_item;

typedef struct pattern_piece { /* of the pattern parser: literal, then a capture ("" = none, "_") */
    str literal, name;
    bool has_capture;
} pattern_piece;

typedef struct log_stage {
    uint8_t kind; /* stage_kind */
    uint32_t pos;
    /* STAGE_LINE */
    uint8_t line; /* line_kind */
    bool negated;
    const line_choice *choices;
    size_t choice_count;
    /* parsers and formats */
    str arg; /* regexp, pattern, line_format: as written */
    bool strict, keep_empty;
    const stage_item *items;
    size_t item_count;
    const regex *re; /* regexp */
    const pattern_piece *pieces;
    size_t piece_count;
    text_template tpl;
    const label_filter *filter;
} log_stage;

/* --- expressions --- */

typedef enum expr_kind {
    EXPR_NUMBER = 0, /* num */
    EXPR_STRING,     /* text */
    EXPR_LOGS,       /* match, stages */
    EXPR_LOG_RANGE,  /* fn({...} ... [range]): LogQL range aggregation; fn, match, stages, unwrap */
    EXPR_SELECTOR,   /* match: instant vector */
    EXPR_MATRIX,     /* match, range_ns */
    EXPR_SUBQUERY,   /* args[0], range_ns, step_ns */
    EXPR_CALL,       /* fn, args */
    EXPR_AGGREGATE,  /* fn, args[0], param, grouping */
    EXPR_BINARY,     /* op, args[0], args[1], matching */
    EXPR_NEGATE      /* args[0] */
} expr_kind;

typedef enum unwrap_conv {
    UNWRAP_NONE = 0,
    UNWRAP_BYTES,
    UNWRAP_DURATION, /* seconds, as duration_seconds */
    UNWRAP_DURATION_SECONDS
} unwrap_conv;

typedef enum agg_op {
    AGG_SUM = 0,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_COUNT,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_QUANTILE,
    AGG_COUNT_VALUES,
    AGG_SORT, /* LogQL writes them as aggregations; also functions of PromQL */
    AGG_SORT_DESC,
    AGG_NONE
} agg_op;

typedef enum binary_op {
    BIN_OR = 0,
    BIN_AND,
    BIN_UNLESS,
    BIN_EQ,
    BIN_NE,
    BIN_LT,
    BIN_LE,
    BIN_GT,
    BIN_GE,
    BIN_ADD,
    BIN_SUB,
    BIN_MUL,
    BIN_DIV,
    BIN_MOD,
    BIN_POW,
    BIN_ATAN2
} binary_op;

typedef struct grouping {
    bool present, without;
    const str *labels;
    size_t count;
} grouping;

typedef enum match_card { CARD_ONE_TO_ONE = 0, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY } match_card;

typedef struct vector_matching {
    bool present, on; /* on(...), else ignoring(...) */
    const str *labels;
    size_t count;
    uint8_t card; /* match_card */
    const str *include;
    size_t include_count;
} vector_matching;

typedef enum value_type {
    TYPE_SCALAR = 0,
    TYPE_VECTOR,
    TYPE_MATRIX,
    TYPE_STRING,
    TYPE_STREAMS
} value_type;

typedef struct expr expr;
struct expr {
    uint8_t kind; /* expr_kind */
    uint8_t type; /* value_type */
    uint8_t op;   /* binary_op, agg_op */
    bool return_bool;
    uint16_t depth; /* of operators below */
    uint16_t fn;    /* range_fn (LOG_RANGE), or index into the table of functions (CALL) */
    uint32_t pos;
    double num;
    str text;
    const expr **args;
    size_t arg_count;
    const expr *param; /* topk(5, ...); quantile_over_time(0.9, ...) */
    grouping group;
    vector_matching matching;
    /* selectors */
    const label_match *match;
    size_t match_count;
    const log_stage *stages;
    size_t stage_count;
    int64_t range_ns, offset_ns, step_ns;
    bool has_at;
    uint8_t at_edge; /* 0: at_ns, 's': start(), 'e': end() */
    int64_t at_ns;
    str unwrap;
    uint8_t unwrap_conv;
    const label_filter *unwrap_filter; /* after unwrap: `| unwrap x | x > 5` */
};

/* --- parsing and printing --- */

/* A parsed text; owns its arena and the compiled expressions. */
typedef struct query_text {
    arena mem;
    regex_set regexes;
    dialect dialect;
    str text;
    const expr *root;
} query_text;

/* RC_INVALID with the place and what was expected. On failure nothing is held. */
MUST_CHECK rc query_parse(str text, dialect d, query_text **ret, err *e);
void query_text_free(query_text *q); /* accepts NULL */
/* Text that parses to an equal tree. False when out is full. */
MUST_CHECK bool expr_put(const expr *x, dialect d, buf *out);
bool expr_put_selector(const label_match *match, size_t count, buf *out);
/* "10.0.0.1", "::1" as 16 bytes (IPv4 mapped). */
bool ip_parse(str s, uint8_t to[16]);

/* --- functions --- */

/* Over the samples of a range. */
typedef enum range_fn {
    RANGE_NONE = 0,
    RANGE_RATE,
    RANGE_IRATE,
    RANGE_INCREASE,
    RANGE_DELTA,
    RANGE_IDELTA,
    RANGE_AVG,
    RANGE_SUM,
    RANGE_MIN,
    RANGE_MAX,
    RANGE_COUNT,
    RANGE_LAST,
    RANGE_FIRST,
    RANGE_STDDEV,
    RANGE_STDVAR,
    RANGE_QUANTILE,
    RANGE_PRESENT,
    RANGE_ABSENT,
    RANGE_CHANGES,
    RANGE_RESETS,
    RANGE_DERIV,
    RANGE_PREDICT_LINEAR,
    RANGE_BYTES, /* LogQL from here: of lines */
    RANGE_BYTES_RATE,
    RANGE_LOG_RATE, /* rate() of lines, or of unwrapped values */
    RANGE_RATE_COUNTER
} range_fn;

typedef enum call_fn {
    CALL_RANGE = 0, /* range_fn of the row */
    CALL_MATH,      /* math of the row: value by value */
    CALL_ROUND,
    CALL_CLAMP,
    CALL_CLAMP_MIN,
    CALL_CLAMP_MAX,
    CALL_SCALAR,
    CALL_VECTOR,
    CALL_TIME,
    CALL_TIMESTAMP,
    CALL_ABSENT,
    CALL_SORT,
    CALL_SORT_DESC,
    CALL_LABEL_REPLACE,
    CALL_LABEL_JOIN,
    CALL_HISTOGRAM_QUANTILE,
    CALL_DATE, /* minute(), hour() ... of the row */
    CALL_PI
} call_fn;

typedef enum date_part {
    DATE_MINUTE = 0,
    DATE_HOUR,
    DATE_DAY_OF_WEEK,
    DATE_DAY_OF_MONTH,
    DATE_DAY_OF_YEAR,
    DATE_DAYS_IN_MONTH,
    DATE_MONTH,
    DATE_YEAR
} date_part;

typedef struct call_info {
    const char *name;
    uint8_t fn;    /* call_fn */
    uint8_t range; /* range_fn, date_part */
    double (*math)(double);
    uint8_t type;               /* of the result */
    uint8_t min_args, max_args; /* 255: any number */
    uint8_t args[4];            /* value_type; the last one holds for all that follow */
} call_info;
extern const call_info CALLS[];
/* The index of a function, or -1. */
int call_find(str name);

typedef struct log_range_info {
    const char *name;
    uint8_t fn;         /* range_fn */
    uint8_t unwrap;     /* 0: never, 1: needed, 2: either */
    bool param, groups; /* takes a number first; may be grouped */
} log_range_info;
extern const log_range_info LOG_RANGES[];
enum { LOG_RANGE_COUNT = 18 };
const log_range_info *log_range_find(str name); /* NULL */

/* "sum" ...; AGG_NONE. Sort only in LogQL. */
agg_op agg_find(str name, dialect d);
const char *agg_name(uint8_t op);
bool agg_has_param(uint8_t op);
const char *binary_name(uint8_t op);
static inline bool binary_is_compare(uint8_t op) { return op >= BIN_EQ && op <= BIN_GE; }
static inline bool binary_is_set(uint8_t op) { return op <= BIN_UNLESS; }

#endif
