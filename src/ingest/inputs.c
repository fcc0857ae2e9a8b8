/* From what the user typed to a list of inputs.
 *
 * Each argument is, in this order: "-" (standard input), a path that exists, or a glob pattern that
 * the shell did not expand. Directories are walked in byte order of names, depth first, to
 * DIR_DEPTH_MAX. Inside directories hidden entries (leading dot), things that are no files, and
 * names of things that are no logs (program text, pictures) are left out; the last with a line in
 * the report. What is named directly is always tried.
 *
 * A directory is recognised by device and inode: one already entered is not entered again, which
 * ends every loop of links; a loop (the directory contains itself) is told, a mere second way to
 * the same place is not. Regular files met twice (by any name) are read once, under the first name.
 *
 * An input that cannot be read costs one line in the report and nothing else: every failure here
 * becomes the problem of one input. Listing opens nothing but what it must to tell that a file can
 * be read and is text: the first HEAD_BYTES of the decoded text.
 */
#include "ingest/names_int.h"
#include "ingest/reader_int.h"

#include "base/map.h"
#include "base/rng.h"

enum { LOOK_BYTES = 4096, CONTROL_PER_CENT_MAX = 30 };

typedef struct walk {
    files *f;
    map64 seen;          /* hash of (device, inode) of files and directories */
    VEC(sys_stat) above; /* directories being walked, outermost first */
    const ingest_opts *opts;
    bool full; /* INPUT_FILES_MAX was reached and told */
} walk;

/* ---- one input ---- */

input *input_add(files *f, str path, str name) {
    if (f->inputs.n >= INPUT_FILES_MAX) return NULL;
    input *in = arena_try_new(&f->mem, input);
    if (!in) return NULL;
    in->index = (uint32_t)f->inputs.n;
    in->fd = -1;
    in->path = str_dup(&f->mem, path);
    in->info.name = str_eq(path, name) ? in->path : str_dup(&f->mem, name);
    in->info.first_ns = in->info.last_ns = TS_NONE;
    str service = service_of_path(path);
    if (service.n == 0) service = f->default_service;
    if (service.n == 0) service = stem_of_path(path);
    in->info.service = str_dup(&f->mem, service);
    if (!in->path.p || !in->info.name.p) return NULL;
    vec_push(&f->inputs, in);
    return in;
}

static void note(files *f, input *in, input_state state, str text) {
    sys_lock_take(f->lock);
    if (state > in->info.state || in->info.problem.n == 0) {
        if (!in->problem) in->problem = arena_try_bytes(&f->mem, PROBLEM_BYTES, 1);
        in->info.state = MAX(state, in->info.state);
        if (in->problem) {
            size_t n = MIN(text.n, (size_t)PROBLEM_BYTES);
            memcpy(in->problem, text.p, n);
            for (size_t i = 0; i < n; i++) /* one line, whatever a path holds */
                if ((unsigned char)in->problem[i] < ' ') in->problem[i] = '?';
            in->info.problem = str_make(in->problem, n);
        }
    }
    sys_lock_give(f->lock);
}

void input_problem(files *f, input *in, input_state state, const char *fmt, ...) {
    char text[PROBLEM_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    MUST(n >= 0);
    note(f, in, state, str_make(text, MIN((size_t)n, sizeof text - 1)));
}

void input_failed(files *f, input *in, input_state state, const err *why) {
    input_problem(f, in, state, "%s%s%s", why->msg[0] ? why->msg : rc_name(why->code),
                  why->hint[0] ? "; " : "", why->hint);
}

const char *not_a_log(str head) {
    static const struct {
        str magic;
        const char *what;
    } table[] = {
        {S_INIT("PK\x03\x04"), "a zip archive: unpack it first"},
        {S_INIT("7z\xbc\xaf\x27\x1c"), "a 7z archive: unpack it first"},
        {S_INIT("LPKSHHRH"), "a binary systemd journal: export it with `journalctl -o export`"},
        {S_INIT("\x7f"
                "ELF"),
         "a program (binary)"},
        {S_INIT("SQLite format 3"), "an SQLite database (binary)"},
        {S_INIT("%PDF-"), "a PDF document (binary)"},
        {S_INIT("\x89PNG"), "a PNG picture (binary)"},
        {S_INIT("\xff\xd8\xff"), "a JPEG picture (binary)"},
        {S_INIT("GIF8"), "a GIF picture (binary)"},
        {S_INIT("\xca\xfe\xba\xbe"), "a Java class (binary)"},
        {S_INIT("\xd4\xc3\xb2\xa1"), "a packet capture (binary)"},
        {S_INIT("PAR1"), "a Parquet file (binary)"},
        {S_INIT("\x04\x22\x4d\x18"), "lz4 data: decompress it first"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_starts(head, table[i].magic)) return table[i].what;
    if (head.n >= 263 && memcmp(head.p + 257, "ustar", 5) == 0)
        return "a tar archive: unpack it first";
    /* Control characters that no text has. NUL is not among them: crashes and truncation leave long
     * runs of NUL in real logs; but a text has some lines beside them. */
    size_t odd = 0, nul = 0, n = MIN(head.n, (size_t)LOOK_BYTES);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)head.p[i];
        nul += c == 0;
        odd += c < ' ' && c != 0 && c != '\n' && c != '\r' && c != '\t' && c != 27 && c != '\f' &&
               c != '\b';
    }
    size_t texty = n - nul;
    if (odd * 100 > texty * CONTROL_PER_CENT_MAX / 3 && odd > 2) return "binary content";
    return NULL;
}

static rc open_stream(files *f, input *in, stream **ret, err *e) {
    stream_opts so = {
        .fs = &f->fs, .path = in->path, .fd = in->fd, .pipe = in->pipe, .max_ratio = f->max_ratio};
    if (in->pipe && in->pipe->fd < 0) {
        rc r = f->fs.ops->open(f->fs.ctx, in->path, SYS_READ, &in->pipe->fd, e);
        if (r != RC_OK) return r;
        in->pipe->owns_fd = true;
    }
    return stream_open(&so, ret, e);
}

/* Detects the format on the first text seen, once for all scans. */
static bool find_format(files *f, input *in, str sample) {
    if (in->format) return true;
    if (f->follow && sample.n == 0) return true; /* look again when there is something */
    err why = {0};
    const char *what = not_a_log(sample);
    if (what) {
        input_problem(f, in, INPUT_SKIPPED, "%s", what);
        return false;
    }
    log_format_opts fo = f->format;
    fo.file_time_ns = in->st.mtime_ns;
    if (in->earlier && in->earlier->format && sample.n < LOG_SAMPLE_BYTES / 16) {
        in->format = in->earlier->format; /* too little to look at: as before the rotation */
        in->info.format = in->earlier->info.format;
        return true;
    }
    rc r = log_format_detect(sample, &fo, &in->format, &why);
    if (r != RC_OK) {
        if (r == RC_UNSUPPORTED && !why.msg[0])
            input_problem(f, in, INPUT_SKIPPED, "binary content");
        else
            input_failed(f, in, INPUT_SKIPPED, &why);
        in->format = NULL;
        return false;
    }
    in->info.format = log_format_describe(in->format);
    return true;
}

bool input_look(files *f, input *in, cutter *c) {
    str sample = cutter_sample(c);
    if (sample.n == 0 && c->failure.code != RC_OK) {
        input_failed(f, in, INPUT_SKIPPED, &c->failure);
        return false;
    }
    if (!find_format(f, in, sample)) return false;
    in->direct = stream_is_direct(c->in) && !in->pipe;
    c->format = in->format;
    return true;
}

bool input_open(files *f, input *in, size_t block_bytes, log_batch *scratch, cutter *ret) {
    err why = {0};
    stream *s = NULL;
    rc r = open_stream(f, in, &s, &why);
    if (r != RC_OK) {
        why.code = r;
        input_failed(f, in, INPUT_SKIPPED, &why);
        return false;
    }
    cutter_init(ret, s, block_bytes, scratch);
    ret->eager = f->follow && in->pipe;
    ret->grows = f->follow && in->st.is_regular && in->fd >= 0;
    if (input_look(f, in, ret)) return true;
    cutter_release(ret);
    return false;
}

void input_done(files *f, input *in, const cutter *c) {
    if (c->failure.code != RC_OK) input_failed(f, in, INPUT_PARTIAL, &c->failure);
    sys_lock_take(f->lock);
    in->info.bytes_on_disk = stream_raw_at(c->in);
    in->info.bytes += c->skipped;
    in->info.nul_lines += c->skipped > 0;
    sys_lock_give(f->lock);
}

/* ---- expansion ---- */

static uint64_t identity(const sys_stat *st) { return mix64(mix64(st->device + 1) + st->inode); }

/* An input that is known to be unusable: a line in the report. */
static void add_problem(walk *w, str path, const char *text) {
    input *in = input_add(w->f, path, path);
    if (!in) return;
    in->closed_for_good = true;
    input_problem(w->f, in, INPUT_SKIPPED, "%s", text);
}

static void add_failed(walk *w, str path, rc code, const err *why) {
    input *in = input_add(w->f, path, path);
    if (!in) return;
    in->closed_for_good = true;
    if (code == RC_NOT_FOUND)
        input_problem(w->f, in, INPUT_SKIPPED, "no such file or directory");
    else
        input_failed(w->f, in, INPUT_SKIPPED, why);
}

/* Can it be opened, and does it look like text? */
static void look(walk *w, input *in) {
    err why = {0};
    stream *s = NULL;
    rc r = open_stream(w->f, in, &s, &why);
    char head[LOOK_BYTES];
    size_t n = 0, got = 1;
    while (r == RC_OK && n <= LOOK_BYTES / 2 && got > 0) {
        if (LOOK_BYTES - n < STREAM_READ_MIN) break;
        r = stream_read(s, head + n, LOOK_BYTES - n, &got, &why);
        if (r == RC_OK) n += got;
    }
    stream_close(s);
    const char *what = n > 0 ? not_a_log(str_make(head, n)) : NULL;
    if (what)
        input_problem(w->f, in, INPUT_SKIPPED, "%s", what);
    else if (r != RC_OK && n == 0)
        input_failed(w->f, in, INPUT_SKIPPED, &why);
    in->closed_for_good = in->info.state == INPUT_SKIPPED;
}

static void add_file(walk *w, str path, const sys_stat *st) {
    bool added = true;
    if (st->is_regular && !map64_put(&w->seen, identity(st), &added)) added = true;
    if (!added) return;
    input *in = input_add(w->f, path, path);
    if (!in) {
        w->full = true;
        return;
    }
    in->st = *st;
    in->info.bytes_on_disk = st->size_bytes;
    if (st->is_regular) {
        look(w, in);
        return;
    }
    in->pipe = arena_new(&w->f->mem, pipe_in); /* a named pipe, or a device named on purpose */
    pipe_in_init(in->pipe, -1, false);
    if (service_of_path(path).n == 0 && w->f->default_service.n == 0) in->info.service = S("stdin");
}

static void add_path(walk *w, str path, bool named, unsigned depth);

typedef struct listing {
    walk *w;
    arena names;
    VEC(str) entries;
} listing;

static void take_name(void *ctx, str name) {
    listing *l = ctx;
    if (name.n == 0 || name.p[0] == '.' || l->entries.n > INPUT_FILES_MAX) return;
    str copy = str_dup(&l->names, name);
    if (copy.p) vec_push(&l->entries, copy);
}

static void add_dir(walk *w, str path, const sys_stat *st, unsigned depth) {
    for (size_t i = 0; i < w->above.n; i++) {
        if (w->above.v[i].inode != st->inode || w->above.v[i].device != st->device) continue;
        add_problem(w, path, "directory loop: it contains itself through a link");
        return;
    }
    bool added = true;
    if (map64_put(&w->seen, identity(st), &added) && !added) return;
    if (depth >= DIR_DEPTH_MAX) {
        add_problem(w, path, "more than 32 directories deep: name it directly to read it");
        return;
    }
    listing l = {.w = w};
    arena_init(&l.names, "directory listing", FILES_ARENA_MAX);
    err why = {0};
    rc r = w->f->fs.ops->list(w->f->fs.ctx, path, take_name, &l, &why);
    if (r != RC_OK) add_failed(w, path, r, &why);
    vec_push(&w->above, *st);
    for (size_t i = 0; i < l.entries.n && !w->full; i++) {
        bool slash = path.n > 0 && path.p[path.n - 1] == '/';
        if (path.n + 1 + l.entries.v[i].n > PATH_BYTES_MAX) continue; /* cannot be opened anyway */
        str sub = str_fmt(&l.names, "%.*s%s%.*s", STR_ARG(path), slash ? "" : "/",
                          STR_ARG(l.entries.v[i]));
        add_path(w, sub, false, depth + 1);
    }
    w->above.n--;
    vec_release(&l.entries);
    arena_release(&l.names);
}

static bool has_wildcard(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '*' || s.p[i] == '?' || s.p[i] == '[' || s.p[i] == '{') return true;
    return s.n > 0 && s.p[0] == '~';
}

static void take_match(void *ctx, str path) {
    walk *w = ctx;
    if (!w->full) add_path(w, path, true, 0);
}

static void add_path(walk *w, str path, bool named, unsigned depth) {
    err why = {0};
    sys_stat st = {0};
    if (path.n > PATH_BYTES_MAX) {
        add_problem(w, str_sub(path, 0, PATH_BYTES_MAX), "the path is too long");
        return;
    }
    rc r = w->f->fs.ops->stat(w->f->fs.ctx, path, &st, &why);
    if (r == RC_NOT_FOUND && named && has_wildcard(path) &&
        sys_glob(path, take_match, w, &why) == RC_OK)
        return;
    if (r == RC_NOT_FOUND && named && has_wildcard(path))
        add_problem(w, path, "no file matches this pattern");
    else if (r != RC_OK)
        add_failed(w, path, r, &why);
    else if (st.is_dir)
        add_dir(w, path, &st, depth);
    else if (named || (st.is_regular && !name_is_no_log(path)))
        add_file(w, path, &st);
    else if (st.is_regular)
        add_problem(w, path, "not a log by its name: name it directly to read it");
}

static void add_stdin(walk *w) {
    for (size_t i = 0; i < w->f->inputs.n; i++)
        if (str_eq(w->f->inputs.v[i]->info.name, S("-"))) return;
    err why = {0};
    sys_stat st = {0};
    rc r = w->f->fs.ops->fstat(w->f->fs.ctx, 0, &st, &why);
    input *in = input_add(w->f, S("-"), S("-"));
    if (!in) return;
    str none = w->f->default_service;
    in->info.service = none.n > 0 ? none : S("stdin");
    in->fd = 0;
    in->st = st;
    if (r != RC_OK || st.is_dir) {
        in->closed_for_good = true;
        if (r != RC_OK)
            input_failed(w->f, in, INPUT_SKIPPED, &why);
        else
            input_problem(w->f, in, INPUT_SKIPPED, "standard input is a directory");
        return;
    }
    if (st.is_regular) {
        in->info.bytes_on_disk = st.size_bytes;
        look(w, in);
        return;
    }
    in->st.mtime_ns = w->f->clock.ops->wall(w->f->clock.ctx).ns;
    in->pipe = arena_new(&w->f->mem, pipe_in);
    pipe_in_init(in->pipe, 0, false);
}

rc inputs_expand(files *f, const ingest_opts *o, err *e) {
    walk w = {.f = f, .opts = o};
    map64_init(&w.seen, INPUT_FILES_MAX * 4);
    for (size_t i = 0; i < o->path_count && !w.full; i++) {
        if (o->paths[i].n == 0)
            add_problem(&w, S("(empty path)"), "the path is empty");
        else if (str_eq(o->paths[i], S("-")))
            add_stdin(&w);
        else
            add_path(&w, o->paths[i], true, 0);
    }
    if (w.full || f->inputs.n >= INPUT_FILES_MAX) {
        input *last = f->inputs.v[f->inputs.n - 1];
        input_problem(f, last, last->info.state,
                      "more than %d inputs: those after this one are not read", INPUT_FILES_MAX);
    }
    vec_release(&w.above);
    map64_release(&w.seen);
    size_t usable = 0;
    for (size_t i = 0; i < f->inputs.n; i++) usable += !f->inputs.v[i]->closed_for_good;
    if (usable > 0) return RC_OK;
    if (f->inputs.n == 0) return FAIL(e, RC_NOT_FOUND, "the directory holds no log files");
    char all[ERR_MSG_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < f->inputs.n && n < sizeof all - 1; i++) {
        const input_info *in = &f->inputs.v[i]->info;
        int more = snprintf(all + n, sizeof all - n, "%s%.*s: %.*s", i ? "\n" : "",
                            STR_ARG(in->name), STR_ARG(in->problem));
        n += more > 0 ? (size_t)more : 0;
    }
    return FAIL(e, RC_NOT_FOUND, "%s", all);
}
