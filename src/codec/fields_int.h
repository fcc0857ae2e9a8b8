/* fields_int.h - from named fields to a log record, by what the names mean and not by
 * configuration.
 *
 * Every structured format (JSON objects, logfmt, journal entries) ends here with a table of
 * members; fields.c knows the names that loggers use for time, level, message, service, component,
 * host and trace context, picks the best candidate for each, and keeps the rest as attributes. */
#ifndef FL_CODEC_FIELDS_INT_H
#define FL_CODEC_FIELDS_INT_H

#include "codec/json.h"
#include "codec/linefmt_int.h"

typedef enum field_role {
    ROLE_NONE = 0,
    ROLE_TIME,
    ROLE_DATE,   /* of a time of day in another field, or a whole stamp */
    ROLE_ZONE,   /* of those two */
    ROLE_TIME_S, /* whole seconds, with ROLE_TIME_NS_PART beside it */
    ROLE_TIME_NS_PART,
    ROLE_LEVEL,      /* a word, or a number whose scale the object tells */
    ROLE_LEVEL_WORD, /* a level only if the value is a level word */
    ROLE_LEVEL_OTEL, /* 1..24 */
    ROLE_PRIORITY,   /* syslog 0..7 */
    ROLE_MESSAGE,
    ROLE_SERVICE,
    ROLE_COMPONENT,
    ROLE_NAME, /* "name": the service in pino and bunyan, the logger elsewhere */
    ROLE_HOST,
    ROLE_TRACE,
    ROLE_SPAN,
    ROLE_STACK,       /* a stack trace: stays an attribute */
    ROLE_ERR,         /* klog JSON: present on error records, which carry no level */
    ROLE_VERBOSITY,   /* klog JSON: present on info records */
    ROLE_MONGO_LEVEL, /* "s", "c" of MongoDB; count only beside "t":{"$date"} */
    ROLE_MONGO_COMPONENT,
    ROLE_COUNT
} field_role;

typedef struct field_hit {
    uint8_t role, rank; /* lower rank = stated more exactly */
} field_hit;

/* What a field name means. Case and the separators . _ - are ignored, so log.level, log_level and
 * LogLevel are one name. */
field_hit field_role_of(str key);

typedef struct field_opts {
    str whole;        /* the body when there is no message field */
    bool journal;     /* journald: priority 6 is also what a program gets that said nothing */
    unsigned nesting; /* how many messages deep this object stands; 0 = the line itself */
    str *ret_message; /* the message as it was found, blanks and all; may be NULL */
} field_opts;

enum { FIELD_NESTING_MAX = 2 };

/* Fills what is still unset in *r and appends the members without a role to r->attrs. A member of
 * kind JSON_NULL counts as absent. Only the first LINE_ATTRS_MAX members are looked at. RC_LIMIT:
 * the batch's arena is full. */
MUST_CHECK rc fields_fill(line_ctx *c, const json_member *members, size_t count,
                          const field_opts *o, log_record *r);

/* Sets r->body to the first line of `text`; when there are more lines the whole text is returned
 * true so that the caller keeps it as an attribute. */
bool field_set_body(log_record *r, str text);

/* As line_inner, for text found `nesting` messages deep. RC_LIMIT: the arena is full. */
MUST_CHECK rc field_inner(line_ctx *c, str text, unsigned nesting, log_record *r);

#endif
