/* trace_int.h - stack traces in log text: which lines belong to the record before them, and what
 * was thrown. Java, Python, Go, Node, .NET, Rust. */
#ifndef FL_CODEC_TRACE_INT_H
#define FL_CODEC_TRACE_INT_H

#include "base/str.h"

/* What the lines so far leave open. Zero at the start. */
typedef enum trace_state {
    TRACE_NONE = 0,
    TRACE_FRAMES,      /* Java, Node, .NET */
    TRACE_PYTHON,      /* between "Traceback" and the exception line */
    TRACE_PYTHON_DONE, /* behind it: "During handling ..." may follow */
    TRACE_GO,
    TRACE_RUST
} trace_state;

/* For text without a header: does `line` continue the record before it? Moves *s on. */
bool trace_continues(trace_state *s, str line);
/* Is `line` the start of a record whatever state the lines before it left? `prev` is the line
 * before it that is not blank. Sure, but not complete: many starts are not recognised from two
 * lines. */
bool trace_never_continues(str prev, str line);
/* Looks like a part of a trace whatever came before: indented frame, "Caused by:", ... */
bool trace_is_part(str line);
/* Type and message of the exception in the lines of a record (the last one of a Python trace, else
 * the first). False when none is found. */
bool trace_exception(str record, str *ret_type, str *ret_message);

#endif
