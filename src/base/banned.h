/* banned.h - included before every source file of the program (-include): libc calls that are
 * unsafe, or that belong to one room alone, become errors.
 *
 * Unsafe functions are poisoned: the mere name is an error. Headers that mention them must come
 * first, so the ones in use are included here. The heap functions stay callable names elsewhere (a
 * struct member may be called `free`), so they are marked deprecated, which -Werror turns into an
 * error where the function itself is used; base/mem.c switches that off. */
#ifndef FL_BASE_BANNED_H
#define FL_BASE_BANNED_H

#include <alloca.h>
#include <pthread.h> /* layers: included to be ahead of the poison */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>   /* layers: included to be ahead of the poison */
#include <unistd.h> /* layers: included to be ahead of the poison */

#undef alloca /* a macro cannot be poisoned without a warning */
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok strncpy strncat alloca atoi atol atof

#define BANNED_(instead) __attribute__((deprecated(instead)))
void *malloc(size_t size) BANNED_("use an arena or base/mem.h");
void *calloc(size_t count, size_t size) BANNED_("use an arena or base/mem.h");
void *realloc(void *p, size_t size) BANNED_("use base/vec.h, base/buf.h or base/mem.h");
void *reallocarray(void *p, size_t count, size_t size) BANNED_("use base/vec.h or base/mem.h");
void free(void *p) BANNED_("use mem_free");
char *strdup(const char *s) BANNED_("use str_dup or str_c_dup");
char *strndup(const char *s, size_t n) BANNED_("use str_dup or str_c_dup");
int asprintf(char **ret, const char *fmt, ...) BANNED_("use str_fmt or buf_fmt");
int vasprintf(char **ret, const char *fmt, va_list args) BANNED_("use str_fmt or buf_fmt");
#undef BANNED_

#endif
