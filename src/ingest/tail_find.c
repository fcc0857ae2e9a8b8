/* tail_find.c - what is to be tailed: configured paths, directories and patterns to files. */
#include "ingest/names_int.h"
#include "ingest/tail_int.h"

#include "base/mem.h"
#include "base/vec.h"

enum { FOUND_ARENA_MAX = 32 << 20, NAMES_MAX = 65536, PATH_MAX_BYTES = 4096 };

typedef struct finder {
    const sys_fs *fs;
    tail_found *out;
    map64 seen;   /* hash of the path */
    bool by_name; /* leave out what is no log by its name */
    unsigned depth;
} finder;

static bool is_packed(str path) {
    static const str ends[] = {S_INIT(".gz"),  S_INIT(".zst"), S_INIT(".xz"), S_INIT(".bz2"),
                               S_INIT(".zip"), S_INIT(".lz4"), S_INIT(".Z"),  S_INIT(".tar"),
                               S_INIT(".tgz"), S_INIT(".br")};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_ends(path, ends[i])) return true;
    return false;
}

static void add(finder *w, str path);

typedef struct listing {
    arena names;
    VEC(str) entries;
} listing;

static void take_name(void *ctx, str name) {
    listing *l = ctx;
    if (name.n == 0 || name.p[0] == '.' || l->entries.n >= NAMES_MAX) return;
    str copy = str_dup(&l->names, name);
    if (copy.p) vec_push(&l->entries, copy);
}

/* Calls add for every entry whose name begins with `prefix`. */
static void add_entries(finder *w, str dir, str prefix) {
    listing l = {.entries = {0}};
    arena_init(&l.names, "directory listing", FOUND_ARENA_MAX);
    /* A directory that can't be read now may be readable at the next look. */
    IGNORE(w->fs->ops->list(w->fs->ctx, dir, take_name, &l, NULL));
    for (size_t i = 0; i < l.entries.n && !w->out->full; i++) {
        str name = l.entries.v[i];
        if (!str_starts(name, prefix) || dir.n + 1 + name.n > PATH_MAX_BYTES) continue;
        bool slash = dir.n > 0 && dir.p[dir.n - 1] == '/';
        str path = str_fmt(&l.names, "%.*s%s%.*s", STR_ARG(dir), slash ? "" : "/", STR_ARG(name));
        if (path.p) add(w, path);
    }
    vec_release(&l.entries);
    arena_release(&l.names);
}

static void add(finder *w, str path) {
    sys_stat st;
    if (w->fs->ops->stat(w->fs->ctx, path, &st, NULL) != RC_OK) return;
    if (st.is_dir) {
        if (w->depth >= TAIL_DEPTH_MAX) return; /* loops of links end here, too */
        w->depth++;
        bool by_name = w->by_name;
        w->by_name = true;
        add_entries(w, path, STR_NONE);
        w->by_name = by_name;
        w->depth--;
        return;
    }
    if (!st.is_regular || is_packed(path) || (w->by_name && name_is_no_log(path))) return;
    bool fresh = true;
    if (!map64_put(&w->seen, str_hash(path), &fresh) || !fresh) return;
    str copy = w->out->count < TAIL_PATHS_MAX ? str_dup(&w->out->mem, path) : STR_NONE;
    if (!copy.p) {
        w->out->full = true;
        return;
    }
    w->out->file[w->out->count].path = copy;
    w->out->file[w->out->count++].st = st;
}

static void take_match(void *ctx, str path) { add(ctx, path); }

static bool is_pattern(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '*' || s.p[i] == '?' || s.p[i] == '[' || s.p[i] == '{') return true;
    return s.n > 0 && s.p[0] == '~';
}

void tail_found_init(tail_found *f) {
    f->count = 0;
    f->full = false;
    arena_init(&f->mem, "tailed paths", FOUND_ARENA_MAX);
}

void tail_found_release(tail_found *f) { arena_release(&f->mem); }

void tail_find(const sys_fs *fs, const str *paths, size_t count, tail_found *ret) {
    arena_reset(&ret->mem);
    ret->count = 0;
    ret->full = false;
    finder w = {.fs = fs, .out = ret};
    map64_init(&w.seen, TAIL_PATHS_MAX * 2);
    for (size_t i = 0; i < count && !ret->full; i++) {
        sys_stat st;
        bool exact = fs->ops->stat(fs->ctx, paths[i], &st, NULL) == RC_OK;
        if (!exact && is_pattern(paths[i]))
            IGNORE(sys_glob(paths[i], take_match, &w, NULL)); /* nothing matches yet: fine */
        else
            add(&w, paths[i]);
    }
    map64_release(&w.seen);
}

void tail_find_siblings(const sys_fs *fs, str path, tail_found *ret) {
    arena_reset(&ret->mem);
    ret->count = 0;
    ret->full = false;
    finder w = {.fs = fs, .out = ret, .depth = TAIL_DEPTH_MAX};
    map64_init(&w.seen, TAIL_PATHS_MAX * 2);
    size_t slash = str_rfind_char(path, '/');
    str dir = slash == STR_NPOS ? S(".") : slash == 0 ? S("/") : str_sub(path, 0, slash);
    str name = slash == STR_NPOS ? path : str_from(path, slash + 1);
    str stem = str_sub(name, 0, str_find_char(name, '.', 1)); /* app.log: app.log.1, app-2026.log */
    add_entries(&w, dir, stem);
    map64_release(&w.seen);
}
