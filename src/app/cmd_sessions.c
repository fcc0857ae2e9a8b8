/* cmd_sessions.c - `detect sessions`: learn normal sessions, judge others: key, score, verdict. */
#include <stdio.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/pipeline.h"
#include "codec/json_write.h"

enum { SEQUENCE_FILE_BYTES_MAX = 1 << 30, VERDICT_LINE_BYTES_MAX = 64 << 10 };

/* All --train or --score files of `key,id id id` lines. */
static rc read_sequences(const read_opts *o, const str *files, size_t n, session_set *into,
                         err *e) {
    for (size_t i = 0; i < n; i++) {
        buf text;
        buf_init(&text, SEQUENCE_FILE_BYTES_MAX);
        rc got = sys_read_file(o->fs, files[i], SEQUENCE_FILE_BYTES_MAX, &text, e);
        if (got == RC_NOT_FOUND) got = FAIL(e, RC_INVALID, "%.*s: no such file", STR_ARG(files[i]));
        session_read_counts st = {0};
        if (got == RC_OK) got = session_read_sequences(buf_str(&text), into, &st, e);
        buf_release(&text);
        if (got != RC_OK) return got;
        if (st.bad_lines > 0 && !o->quiet) {
            fprintf(stderr,
                    "faultline: %.*s: %" PRIu64
                    " lines are not \"key,id id id\" and were left out, the first is line %" PRIu64
                    "\n",
                    STR_ARG(files[i]), st.bad_lines, st.first_bad_line);
        }
        if (st.sessions == 0)
            return FAIL(e, RC_INVALID, "%.*s: holds no \"key,id id id\" line", STR_ARG(files[i]));
    }
    return RC_OK;
}

static rc write_verdict(output *o, const session_verdict *v, bool json, buf *line) {
    buf_reset(line);
    str why = session_why_name(v->why);
    const char *verdict = v->why == SESSION_UNDETERMINED ? "undetermined"
                          : v->is_anomaly                ? "anomaly"
                                                         : "normal";
    if (json) {
        buf_put(line, S("{\"key\":"));
        buf_json(line, v->key);
        buf_fmt(line, ",\"score\":%.4f,\"verdict\":\"%s\",\"why\":\"%.*s\",\"events\":%" PRIu64,
                v->score, verdict, STR_ARG(why), v->events);
        if (v->event != 0) buf_fmt(line, ",\"event\":\"%016" PRIx64 "\"", v->event);
        buf_put(line, S("}\n"));
    } else {
        buf_put(line, v->key);
        buf_fmt(line, "\t%.4f\t%s\t%.*s\n", v->score, verdict, STR_ARG(why));
    }
    return output_put(o, buf_str(line)) ? RC_OK : RC_IO;
}

static int write_verdicts(const cli_args *a, const read_opts *r, const session_model *m,
                          const session_set *scored, err *e) {
    output o;
    if (output_open(&o, r->fs, cli_text(a, OPT_OUTPUT), e) != RC_OK) {
        tell_failure(e);
        return EXIT_WITH_NO_OUTPUT;
    }
    bool json = cli_choice(a, OPT_FORMAT_SESSIONS) == 1;
    buf line;
    buf_init(&line, VERDICT_LINE_BYTES_MAX);
    for (size_t i = 0; i < session_set_count(scored); i++) {
        session_verdict v;
        session_model_score(m, scored, i, &v);
        if (write_verdict(&o, &v, json, &line) != RC_OK) break;
    }
    buf_release(&line);
    if (output_close(&o, e) == RC_OK) return EXIT_WITH_OK;
    tell_failure(e);
    return EXIT_WITH_NO_OUTPUT;
}

/* Sessions of log files: both sides are mined together, so that the same statement is the same
 * event. */
static rc read_logs(const read_opts *o, str key, const str *train, size_t train_n, const str *score,
                    size_t score_n, pipeline *ret_train, pipeline *ret_score, err *e) {
    read_opts part = *o;
    pipeline_want want = {
        .sessions = true, .session_regex = key, .session_option = "--key", .keep_shapes = true};
    part.ingest.paths = train;
    part.ingest.path_count = train_n;
    rc got = pipeline_run(&part, &want, "training", ret_train, e);
    if (got != RC_OK) return got;
    part.ingest.paths = score;
    part.ingest.path_count = score_n;
    got = pipeline_run(&part, &want, "scoring", ret_score, e);
    if (got != RC_OK) return got;
    got = miner_merge(ret_train->got.miner, ret_score->got.miner, e);
    if (got != RC_OK) return got;
    miner_group(ret_train->got.miner);
    session_set_to_templates(ret_train->got.sessions, ret_train->got.miner);
    session_set_to_templates(ret_score->got.sessions, ret_train->got.miner);
    return RC_OK;
}

static int run(const cli_args *a, read_opts *o, arena *mem, err *e) {
    const str *train, *score;
    size_t train_n = cli_all(a, OPT_TRAIN, mem, &train),
           score_n = cli_all(a, OPT_SCORE, mem, &score);
    bool sequences = cli_has(a, OPT_SEQUENCES);
    const char *missing = train_n == 0                         ? "--train FILE"
                          : score_n == 0                       ? "--score FILE"
                          : !sequences && !cli_has(a, OPT_KEY) ? "--key REGEX"
                                                               : NULL;
    if (missing != NULL) {
        IGNORE(FAIL(e, RC_INVALID, "detect sessions needs %s", missing));
        err_hint(e, "see: faultline detect sessions --help");
        return tell_failure(e);
    }
    pipeline learned = {0}, judged = {0};
    session_set *normal = NULL, *scored = NULL;
    size_t problems = 0;
    rc got;
    if (sequences) {
        normal = session_set_new(NULL);
        scored = session_set_new(NULL);
        got = read_sequences(o, train, train_n, normal, e);
        if (got == RC_OK) got = read_sequences(o, score, score_n, scored, e);
    } else {
        got = read_logs(o, cli_text(a, OPT_KEY), train, train_n, score, score_n, &learned, &judged,
                        e);
        if (learned.src.ops != NULL) problems += pipeline_tell_problems(&learned, o->quiet);
        if (judged.src.ops != NULL) problems += pipeline_tell_problems(&judged, o->quiet);
        normal = TAKE(learned.got.sessions);
        scored = TAKE(judged.got.sessions);
    }
    session_model *m = NULL;
    if (got == RC_OK) got = session_model_train(normal, &m, e);
    int status = got == RC_OK ? write_verdicts(a, o, m, scored, e) : tell_failure(e);
    session_model_free(m);
    session_set_free(normal);
    session_set_free(scored);
    pipeline_release(&learned);
    pipeline_release(&judged);
    return status == EXIT_WITH_OK && cli_has(a, OPT_STRICT) && problems > 0 ? EXIT_WITH_PARTIAL
                                                                            : status;
}

int cmd_detect_sessions(const cli_args *a) {
    read_opts o;
    arena mem;
    err e = {0};
    arena_init(&mem, "detect sessions", 16 << 20);
    int status;
    if (read_opts_from(a, &o, &e) == RC_OK) {
        status = run(a, &o, &mem, &e);
        read_opts_release(&o);
    } else {
        status = tell_failure(&e);
    }
    arena_release(&mem);
    return status;
}
