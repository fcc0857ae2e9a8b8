#include "base/err.h"

#include <stdio.h>

/* vsnprintf cuts at a byte; drop the pieces of a UTF-8 character that the cut left behind. */
static void drop_cut_char(char *text, size_t cap) {
    size_t n = strlen(text);
    if (n + 1 < cap) return;
    size_t lead = n;
    while (lead > 0 && n - lead < 4 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80) lead--;
    if (lead == 0) return;
    unsigned char c = (unsigned char)text[lead - 1];
    size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    if (n - (lead - 1) < want) text[lead - 1] = '\0';
}

rc err_set(err *e, rc code, int sys_errno, const char *file, int line, const char *fmt, ...) {
    MUST(code != RC_OK);
    if (!e) return code;
    /* Formatted aside: the arguments may point into *e itself. */
    char msg[ERR_MSG_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    if (n < 0) msg[0] = '\0';
    drop_cut_char(msg, sizeof msg);
    e->code = code;
    e->sys_errno = sys_errno;
    e->file = file;
    e->line = line;
    memcpy(e->msg, msg, sizeof e->msg);
    e->hint[0] = '\0';
    return code;
}

rc err_wrap(err *e, rc code, const char *fmt, ...) {
    if (!e) return code;
    char old[ERR_MSG_BYTES], msg[ERR_MSG_BYTES];
    memcpy(old, e->msg, sizeof old);
    old[sizeof old - 1] = '\0';
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : MIN((size_t)n, sizeof msg - 1);
    if (old[0]) snprintf(msg + used, sizeof msg - used, ": %s", old);
    drop_cut_char(msg, sizeof msg);
    memcpy(e->msg, msg, sizeof e->msg);
    return e->code;
}

void err_hint(err *e, const char *fmt, ...) {
    if (!e) return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->hint, sizeof e->hint, fmt, args);
    va_end(args);
    if (n < 0) e->hint[0] = '\0';
    drop_cut_char(e->hint, sizeof e->hint);
}

void err_reset(err *e) {
    if (e) *e = (err){0};
}
