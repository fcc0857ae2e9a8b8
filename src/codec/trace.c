/* trace.c - stack traces by the shape of single lines.
 *
 * Two questions. A log with a header needs none of this to join lines (what has no header
 * continues), only trace_exception. Plain text needs trace_continues: a small state machine, since
 * the last line of a Python trace ("ValueError: x") and Go's "main.run(0x1)" look like messages.
 *
 * Forms read (first line -> frames -> end):
 *   Java     x.y.FooException: msg -> \tat x.y.Z(F.java:1) -> Caused by: ..., Suppressed: ...,
 *            ... 12 more
 *   Python   Traceback (most recent call last): ->   File "x", line 1, in f -> FooError: msg;
 *            chained by "During handling of the above exception, ..." or "The above exception ..."
 *   Go       panic: msg | fatal error: msg -> goroutine 1 [running]: -> main.f(0x1) \t/x.go:1 +0x2
 *   Node     FooError: msg ->     at f (/x.js:1:2)
 *   .NET     System.FooException: msg ->    at X.Y() in C:\x.cs:line 1; " ---> inner",
 *            "--- End of inner exception stack trace ---"
 *   Rust     thread 'main' panicked at ... -> stack backtrace: ->   0: f \n      at x.rs:1 ->
 *            note: run with ... */
#include "codec/trace_int.h"

FL_INLINE bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
FL_INLINE bool is_alpha(char c) { return (unsigned char)((c | 32) - 'a') < 26; }

static str unindent(str line) {
    size_t i = 0;
    while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t')) i++;
    return str_from(line, i);
}

static bool is_more(str t) { /* ... 12 more; ... 12 common frames omitted */
    return str_starts(t, S("... ")) && t.n > 4 && is_digit(t.p[4]);
}

/* 12: core::panicking::panic */
static bool is_rust_frame(str t) {
    size_t i = 0;
    while (i < t.n && is_digit(t.p[i])) i++;
    return i > 0 && i < 4 && str_starts(str_from(t, i), S(": ")) && t.n > i + 2;
}

static bool is_traceback(str line) {
    return str_starts(line, S("Traceback (most recent call last)"));
}

static bool is_chain(str line) {
    return str_starts(line, S("During handling of the above exception")) ||
           str_starts(line, S("The above exception was the direct cause"));
}

bool trace_is_part(str line) {
    if (line.n == 0) return false;
    str t = unindent(line);
    if (t.n < line.n) {
        return str_starts(t, S("at ")) || is_more(t) || str_starts(t, S("File \"")) ||
               is_rust_frame(t) || str_starts(t, S("Caused by: ")) ||
               str_starts(t, S("Suppressed: ")) || str_starts(t, S("--- End of ")) ||
               str_starts(t, S("---> ")) || str_has(t, S(".go:"));
    }
    switch (line.p[0]) {
    case 'C':
        return str_starts(line, S("Caused by: "));
    case 'S':
        return str_starts(line, S("Suppressed: "));
    case 'T':
        return is_traceback(line) || is_chain(line);
    case 'D':
        return is_chain(line);
    case 'g':
        return str_starts(line, S("goroutine ")) && str_ends(str_trim_right(line), S("]:"));
    case 's':
        return str_starts(line, S("stack backtrace:"));
    case 'n':
        return str_starts(line, S("note: run with `RUST_BACKTRACE"));
    case 'c':
        return str_starts(line, S("created by "));
    case '-':
        return str_starts(line, S("--- End of "));
    case '.':
        return is_more(line);
    default:
        return false;
    }
}

static trace_state opens(str line) {
    if (is_traceback(line)) return TRACE_PYTHON;
    if (str_starts(line, S("panic: ")) || str_starts(line, S("fatal error: ")) ||
        str_starts(line, S("goroutine ")))
        return TRACE_GO;
    if (str_starts(line, S("thread '")) && str_has(line, S("' panicked at"))) return TRACE_RUST;
    return TRACE_NONE;
}

/* main.run(0xc000, 0x1), created by main.main, exit status 2, [signal SIGSEGV ...] */
static bool is_go_part(str line) {
    if (line.p[0] == '\t' || str_starts(line, S("goroutine ")) ||
        str_starts(line, S("created by ")) || str_starts(line, S("exit status ")) ||
        str_starts(line, S("[signal ")) || str_starts(line, S("panic: ")) ||
        str_starts(line, S("[recovered]")))
        return true;
    if (line.p[line.n - 1] != ')') return false;
    size_t open = str_find_char(line, '(', 0), dot = str_find_char(line, '.', 0);
    return open != STR_NPOS && dot < open &&
           str_find_char(str_sub(line, 0, open), ' ', 0) == STR_NPOS;
}

bool trace_continues(trace_state *s, str line) {
    bool indented = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
    if (line.n == 0) return *s != TRACE_NONE; /* blank lines inside a trace */
    switch (*s) {
    case TRACE_PYTHON:
        if (indented) return true;
        /* The exception line; a second Traceback line stands in exception groups. */
        if (!is_traceback(line)) *s = TRACE_PYTHON_DONE;
        return true;
    case TRACE_PYTHON_DONE:
        if (is_chain(line)) return true;
        if (is_traceback(line)) {
            *s = TRACE_PYTHON;
            return true;
        }
        break;
    case TRACE_GO:
        if (is_go_part(line)) return true;
        break;
    case TRACE_RUST:
        if (indented || trace_is_part(line)) return true;
        break;
    case TRACE_FRAMES:
        if (indented) return true;
        break;
    case TRACE_NONE:
        break;
    }
    if (trace_is_part(line) && opens(line) == TRACE_NONE) {
        if (*s == TRACE_NONE || *s == TRACE_PYTHON_DONE) *s = TRACE_FRAMES;
        return true;
    }
    *s = opens(line);
    return false;
}

/* In a Python trace only a line behind an unindented line that is not its "Traceback" can be sure
 * to be outside; in the other traces the line's own look decides. */
bool trace_never_continues(str prev, str line) {
    if (line.n == 0 || prev.n == 0) return false;
    if (line.p[0] == ' ' || line.p[0] == '\t' || prev.p[0] == ' ' || prev.p[0] == '\t')
        return false;
    if (trace_is_part(line) || is_go_part(line)) return false;
    return !is_traceback(prev) && !is_chain(prev);
}

/* ---- the exception ---- */

static bool is_type_char(char c) {
    return is_alpha(c) || is_digit(c) || c == '.' || c == '_' || c == '$' || c == ':' || c == '/';
}

/* "x.y.FooException: message" at the start of t; `any` takes every identifier (Python). */
static bool read_exception(str t, bool any, str *ret_type, str *ret_message) {
    static const str ENDINGS[] = {S_INIT("Exception"), S_INIT("Error"),     S_INIT("Throwable"),
                                  S_INIT("Failure"),   S_INIT("Interrupt"), S_INIT("Fault"),
                                  S_INIT("Exit"),      S_INIT("Iteration"), S_INIT("Warning")};
    size_t n = 0;
    if (t.n == 0 || !is_alpha(t.p[0])) return false;
    while (n < t.n && is_type_char(t.p[n]) &&
           !(t.p[n] == ':' && (n + 1 == t.n || t.p[n + 1] == ' ')))
        n++;
    if (n < t.n && t.p[n] != ':') {
        if (t.p[n] != ' ' || t.n < n + 3 || t.p[n + 1] != '(' || !any) return false;
    }
    str type = str_sub(t, 0, n);
    bool known = any;
    for (size_t i = 0; i < ARRAY_LEN(ENDINGS) && !known; i++) known = str_ends(type, ENDINGS[i]);
    if (!known || type.n < 4 || type.n > 256) return false;
    *ret_type = type;
    *ret_message = n < t.n ? str_trim(str_from(t, n + 1)) : STR_NONE;
    return true;
}

/* An exception anywhere in the message line: `Exception in thread "main" x.FooException: msg`,
 * "request failed: x.FooError: msg". */
static bool find_in_line(str line, str *ret_type, str *ret_message) {
    for (size_t i = 0; i < line.n; i++) {
        bool start = i == 0 || line.p[i - 1] == ' ';
        if (start && read_exception(str_from(line, i), false, ret_type, ret_message)) return true;
    }
    return false;
}

bool trace_exception(str record, str *ret_type, str *ret_message) {
    enum { LINES_MAX = 400 };
    str rest = record, line, first = STR_NONE;
    bool python = false, found = false;
    for (int i = 0; i < LINES_MAX && str_next(&rest, '\n', &line); i++) {
        line = str_trim_right(line);
        if (i == 0) first = line;
        if (line.n == 0) continue;
        bool indented = line.p[0] == ' ' || line.p[0] == '\t';
        size_t trace = i == 0 ? str_find(line, S("Traceback (most recent call last)"), 0)
                              : (is_traceback(line) ? 0 : STR_NPOS);
        if (trace != STR_NPOS) {
            python = true;
            continue;
        }
        if (python) { /* the exception line of the last trace wins */
            if (indented || is_chain(line)) continue;
            if (read_exception(line, true, ret_type, ret_message)) found = true;
            python = false;
            continue;
        }
        if (found) continue;
        str t = unindent(line);
        if (str_starts(t, S("panic: ")) || (i == 0 && str_has(t, S(" panic: ")))) {
            *ret_type = S("panic");
            *ret_message = str_trim(str_from(t, str_find(t, S("panic: "), 0) + 7));
            found = true;
        } else if (str_has(t, S("' panicked at "))) {
            size_t at = str_find(t, S("' panicked at "), 0) + 14;
            *ret_type = S("panic");
            *ret_message = str_from(t, at);
            if (t.p[t.n - 1] == ':' && str_next(&rest, '\n', &line)) *ret_message = str_trim(line);
            found = true;
        } else if (i > 0 && !indented) {
            if (str_starts(t, S("Caused by: "))) t = str_from(t, 11);
            found = read_exception(t, false, ret_type, ret_message);
        } else if (i > 0 && str_starts(t, S("at "))) {
            break; /* frames: the exception stands in the message line */
        }
    }
    return found || (first.n && find_in_line(first, ret_type, ret_message));
}
