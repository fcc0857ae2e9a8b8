/* cmd_analyze.c - logs in, one root cause report out. */
#include <stdio.h>

#include "app/ask.h"
#include "app/commands.h"
#include "app/events.tbl.h"
#include "app/output.h"
#include "app/pipeline.h"
#include "app/state.h"
#include "rca/conclude.h"
#include "report/report.h"
#include "sys/term.h"

enum {
    STDIN_FD = 0,
    STDIN_WAIT_MS = 3000, /* for a first byte, where there is a store to turn to */
    STDOUT_FD = 1,
    REPORT_BYTES_MAX = 256 << 20,
    RULES_FILE_BYTES_MAX = 4 << 20,
    ANALYZE_ARENA_MAX = 64 << 20,
    SESSION_BYTES_MAX = 64 << 20
};

/* Everything the command owns; released in one place. */
typedef struct analysis {
    read_opts read;
    arena mem;
    pipeline now, before; /* before: the baseline, empty without one */
    miner *known;         /* templates of the state file; NULL without one */
    rules *rules;
    finding_set findings;
    incident incident;
    buf text;
} analysis;

static void analysis_init(analysis *x) {
    *x = (analysis){0};
    arena_init(&x->mem, "analyze", ANALYZE_ARENA_MAX);
    finding_set_init(&x->findings);
    incident_init(&x->incident);
    buf_init(&x->text, REPORT_BYTES_MAX);
    x->rules = rules_new();
}

static void analysis_release(analysis *x) {
    buf_release(&x->text);
    incident_release(&x->incident);
    finding_set_release(&x->findings);
    rules_free(x->rules);
    miner_free(x->known);
    pipeline_release(&x->before);
    pipeline_release(&x->now);
    arena_release(&x->mem);
    read_opts_release(&x->read);
}

static rc load_rules(const cli_args *a, analysis *x, err *e) {
    if (!cli_has(a, OPT_NO_BUILTIN_RULES)) {
        rc got = rules_add_builtin(x->rules, e);
        if (got != RC_OK) return got;
    }
    const str *files;
    size_t n = cli_all(a, OPT_RULES, &x->mem, &files);
    for (size_t i = 0; i < n; i++) {
        buf yaml;
        buf_init(&yaml, RULES_FILE_BYTES_MAX);
        rc got = sys_read_file(x->read.fs, files[i], RULES_FILE_BYTES_MAX, &yaml, e);
        if (got == RC_NOT_FOUND)
            got = FAIL(e, RC_INVALID, "--rules %.*s: no such file", STR_ARG(files[i]));
        if (got == RC_OK) got = rules_add_yaml(x->rules, buf_str(&yaml), files[i], e);
        buf_release(&yaml);
        if (got != RC_OK) return got;
    }
    app_log(RULES_LOADED, SYS_LOG_INT("rules", (int64_t)rules_count(x->rules)),
            SYS_LOG_INT("files", (int64_t)n));
    return RC_OK;
}

static rc load_known(str path, analysis *x, err *e) {
    miner *known;
    bool found;
    rc got = miner_new(&x->read.miner, &known, e);
    if (got != RC_OK) return got;
    got = state_load(x->read.fs, path, known, &found, e);
    if (got == RC_OK && found) x->known = TAKE(known);
    miner_free(known);
    return got;
}

static rc save_known(str path, analysis *x, err *e) {
    if (x->known != NULL) {
        rc got = miner_merge(x->now.got.miner, x->known, e);
        if (got != RC_OK) return got;
        miner_group(x->now.got.miner);
    }
    return state_save(x->read.fs, path, x->now.got.miner, e);
}

static rc read_baseline(const cli_args *a, analysis *x, err *e) {
    const str *paths;
    size_t n = cli_all(a, OPT_BASELINE, &x->mem, &paths);
    if (n == 0) return RC_OK;
    read_opts normal = x->read;
    normal.ingest.paths = paths;
    normal.ingest.path_count = n;
    normal.ingest.follow = false;
    pipeline_want want = {.profile = true};
    rc got = pipeline_run(&normal, &want, "baseline", &x->before, e);
    if (got != RC_OK) return err_wrap(e, got, "--baseline");
    IGNORE(pipeline_tell_problems(&x->before,
                                  x->read.quiet)); /* the report names what was analyzed itself */
    return RC_OK;
}

static rc read_inputs(const cli_args *a, analysis *x, err *e) {
    pipeline_want want = {.profile = true,
                          .sessions = true,
                          .session_regex = cli_text(a, OPT_SESSION),
                          .session_option = "--session"};
    want.session_opts.max_bytes = SESSION_BYTES_MAX / x->read.workers;
    rc got = pipeline_range(&x->read, cli_text(a, OPT_SINCE), cli_text(a, OPT_UNTIL), &want.from_ns,
                            &want.to_ns, e);
    if (got == RC_OK) got = pipeline_run(&x->read, &want, "reading", &x->now, e);
    return got;
}

static report_opts report_opts_from(const cli_args *a) {
    bool to_file = cli_has(a, OPT_OUTPUT);
    int color = cli_choice(a, OPT_COLOR);
    report_opts opts = {.format = (report_format)cli_choice(a, OPT_FORMAT_REPORT),
                        .lang = (report_lang)cli_choice(a, OPT_LANG),
                        .width = (unsigned)cli_number(a, OPT_WIDTH),
                        .color =
                            color == 1 || (color == 0 && !to_file && sys_term_color(STDOUT_FD)),
                        .utf8 = sys_term_utf8(),
                        .max_findings = (size_t)cli_number(a, OPT_MAX_FINDINGS)};
    if (opts.width == 0) opts.width = to_file ? 100 : sys_term_width(STDOUT_FD);
    return opts;
}

/* What x->text holds, to where the command line says. */
static rc put_text(const cli_args *a, analysis *x, err *e) {
    output o;
    rc got = output_open(&o, &SYS_FS_REAL, cli_text(a, OPT_OUTPUT), e);
    if (got != RC_OK) return RC_IO;
    IGNORE(output_put(&o, buf_str(&x->text))); /* output_close tells a failure */
    return output_close(&o, e) == RC_OK ? RC_OK : RC_IO;
}

static rc write_report(const cli_args *a, analysis *x, err *e) {
    report_opts opts = report_opts_from(a);
    rc got = report_write(&x->incident, &opts, &x->text, e);
    return got == RC_OK ? put_text(a, x, e) : got;
}

static void log_conclusion(const analysis *x, const detect_summary *summary) {
    app_log(DETECTED, SYS_LOG_INT("records", (int64_t)summary->records),
            SYS_LOG_INT("series", (int64_t)summary->series_checked),
            SYS_LOG_INT("parameters", (int64_t)summary->params_checked),
            SYS_LOG_INT("findings", (int64_t)x->findings.items.n),
            SYS_LOG_STR("undetermined", summary->why_undetermined));
    static const char *const verdicts[] = {[VERDICT_UNDETERMINED] = "undetermined",
                                           [VERDICT_NORMAL] = "normal",
                                           [VERDICT_ABNORMAL] = "abnormal"};
    app_log(CONCLUDED, SYS_LOG_STR("verdict", str_c(verdicts[x->incident.verdict])),
            SYS_LOG_STR("anomaly_type", x->incident.anomaly_type),
            SYS_LOG_DOUBLE("confidence", x->incident.confidence));
}

static finding_level worst_level(const analysis *x) {
    finding_level worst = LEVEL_NONE;
    for (size_t i = 0; i < x->findings.items.n; i++)
        worst = MAX(worst, x->findings.items.v[i].level);
    return worst;
}

/* ---- what is stored ---- */

/* Which it is, files or the store, is stated in the help of the command. */
static bool wants_stored(const cli_args *a) {
    if (a->operand_count > 0) return false;
    if (cli_has(a, OPT_STORED) || cli_has(a, OPT_DATA_DIR) || cli_has(a, OPT_SERVER)) return true;
    if (!ask_finds_data(a)) return false;
    if (sys_is_terminal(STDIN_FD)) return true;
    sys_input in = sys_input_state(STDIN_FD, STDIN_WAIT_MS);
    if (in == SYS_INPUT_IDLE && !cli_has(a, OPT_QUIET))
        fprintf(stderr,
                "faultline: nothing came by standard input within %d s: what is stored is "
                "analyzed ('-' waits for a pipe)\n",
                STDIN_WAIT_MS / 1000);
    return in != SYS_INPUT_SOME;
}

static rc check_stored(const cli_args *a, err *e) {
    static const cli_option FILES_ONLY[] = {OPT_BASELINE, OPT_STATE, OPT_FOLLOW,    OPT_LOG_FORMAT,
                                            OPT_CONTENT,  OPT_MASK,  OPT_DELIMITERS};
    for (size_t i = 0; i < ARRAY_LEN(FILES_ONLY); i++) {
        if (!cli_has(a, FILES_ONLY[i])) continue;
        rc code = FAIL(e, RC_INVALID, "--%.*s is for files, not for what is stored",
                       STR_ARG(cli_option_row(FILES_ONLY[i])->name));
        err_hint(e, "name the files, or leave the option out");
        return code;
    }
    return RC_OK;
}

/* The path of the request; the rules are its body. */
static rc stored_request(const cli_args *a, analysis *x, buf *path, buf *rules_yaml, err *e) {
    int64_t from, to;
    const str *files;
    rc code = check_stored(a, e);
    if (code == RC_OK) code = ask_time("--since", cli_text(a, OPT_SINCE), 0, &from, e);
    if (code == RC_OK) code = ask_time("--until", cli_text(a, OPT_UNTIL), 0, &to, e);
    if (code != RC_OK) return code;
    if (cli_all(a, OPT_RULES, &x->mem, &files) > 1)
        return FAIL(e, RC_INVALID, "only one --rules file goes with what is stored");
    str rules_file = cli_text(a, OPT_RULES);
    if (rules_file.n > 0)
        code = sys_read_file(&SYS_FS_REAL, rules_file, RULES_FILE_BYTES_MAX, rules_yaml, e);
    if (code != RC_OK) return err_wrap(e, RC_INVALID, "--rules");
    report_opts o = report_opts_from(a);
    buf_put(path, S("/api/v1/analyze"));
    ask_param(path, "format",
              cli_has(a, OPT_FORMAT_REPORT) ? cli_text(a, OPT_FORMAT_REPORT) : S("terminal"));
    ask_param(path, "lang", cli_text(a, OPT_LANG));
    ask_param(path, "service", cli_text(a, OPT_SERVICE));
    ask_param(path, "session", cli_text(a, OPT_SESSION));
    if (from != 0) ask_param_i64(path, "since", from);
    if (to != 0) ask_param_i64(path, "until", to);
    ask_param_i64(path, "width", (int64_t)MAX(o.width, 20u));
    ask_param_i64(path, "color", o.color);
    ask_param_i64(path, "utf8", o.utf8);
    ask_param_i64(path, "max_findings", (int64_t)o.max_findings);
    ask_param_i64(path, "builtin_rules", !cli_has(a, OPT_NO_BUILTIN_RULES));
    return RC_OK;
}

static str header_of(const net_response *r, str name) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (str_eq(r->headers[2 * i], name)) return r->headers[2 * i + 1];
    }
    return STR_NONE;
}

static int worst_from(str level) {
    static const char *const names[] = {"none", "low", "medium", "high", "critical"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(level, str_c(names[i]))) return (int)i;
    }
    return 0;
}

static int run_stored(const cli_args *a, analysis *x, err *e) {
    ask q;
    buf path, rules_yaml;
    net_response r;
    buf_init(&path, RULES_FILE_BYTES_MAX);
    buf_init(&rules_yaml, RULES_FILE_BYTES_MAX);
    int status = EXIT_WITH_OK;
    rc code = stored_request(a, x, &path, &rules_yaml, e);
    if (code == RC_OK) code = ask_open(a, ASK_SERVER_OR_FILES, &q, e);
    if (code == RC_OK) {
        code = ask_post(&q, buf_str(&path), buf_str(&rules_yaml), &r, e);
        if (code == RC_OK) {
            if (!buf_put(&x->text, r.body) || put_text(a, x, e) != RC_OK) {
                tell_failure(e);
                status = EXIT_WITH_NO_OUTPUT;
            }
            int worst = worst_from(header_of(&r, S("x-faultline-worst")));
            if (status == EXIT_WITH_OK && cli_has(a, OPT_FAIL_ON) &&
                worst > cli_choice(a, OPT_FAIL_ON))
                status = EXIT_WITH_FOUND;
        }
        ask_close(&q);
    }
    if (code != RC_OK) status = tell_answer(e);
    buf_release(&rules_yaml);
    buf_release(&path);
    return status;
}

/* ---- files ---- */

static int run(const cli_args *a, analysis *x, err *e) {
    rc got = read_opts_from(a, &x->read, e);
    if (got == RC_OK) got = read_opts_default_stdin(&x->read, e);
    if (got == RC_OK) got = load_rules(a, x, e);
    str state = cli_text(a, OPT_STATE);
    if (got == RC_OK && state.n > 0) got = load_known(state, x, e);
    if (got == RC_OK) got = read_baseline(a, x, e);
    if (got == RC_OK) got = read_inputs(a, x, e);
    if (got != RC_OK) {
        if (a->operand_count == 0 && e->hint[0] == '\0')
            err_hint(e, "standard input was read; name files, or for what a server has stored say "
                        "--data DIR or --server URL");
        return tell_failure(e);
    }
    size_t problems = pipeline_tell_problems(&x->now, x->read.quiet);
    detect_summary summary;
    conclude_input in = {.now = &x->now.got,
                         .before = &x->before.got,
                         .known = x->known,
                         .source = &x->now.src,
                         .rules = x->rules};
    got = conclude(&in, &x->findings, &summary, &x->incident, e);
    if (got != RC_OK) return tell_failure(e);
    log_conclusion(x, &summary);
    if (write_report(a, x, e) != RC_OK) {
        tell_failure(e);
        return EXIT_WITH_NO_OUTPUT;
    }
    finding_level worst = worst_level(x); /* before the state is merged into the miner */
    if (state.n > 0 && save_known(state, x, e) != RC_OK) {
        tell_failure(e);
        return EXIT_WITH_NO_OUTPUT;
    }
    if (cli_has(a, OPT_FAIL_ON) && (int)worst > cli_choice(a, OPT_FAIL_ON)) return EXIT_WITH_FOUND;
    if (cli_has(a, OPT_STRICT) && problems > 0) return EXIT_WITH_PARTIAL;
    return EXIT_WITH_OK;
}

int cmd_analyze(const cli_args *a) {
    analysis x;
    err e = {0};
    analysis_init(&x);
    int status = wants_stored(a) ? run_stored(a, &x, &e) : run(a, &x, &e);
    analysis_release(&x);
    return status;
}
