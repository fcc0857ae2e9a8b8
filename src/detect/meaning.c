/* meaning.c - how much a text speaks of a failure.
 *
 * Problem: many programs log failures at INFO, or state no level at all, and others call everyday
 * events errors. A word list alone is poor ("0 errors", "error handler installed"), so phrases
 * carry weights, longer ones win over the words in them, and what stands around a hit counts:
 *
 *   words     lower-cased runs of letters; camelCase and ALLCaps compounds are also split, so
 *             OutOfMemoryError reads "out of memory error". Numbers and <*> are words of their own.
 *   phrases   weight 0..1: "no space left" .95, "failed" .7, "retrying" .4, "error handler" .1;
 *             "~" within a phrase stands for up to GAP_MAX words ("remounting /data read-only")
 *   negation  "no", "not", "without", "zero", "never", "0", "free of" up to two words before a hit
 *             voids it; so does a value of 0 just after it ("errors: 0", "failed=0")
 *   counters  a number or <*> right after a plural count word ("errors=<*>") makes it a statistic:
 *             weight a third
 *   settings  name=value with a short value is a switch, not a statement, when its name speaks of
 *             failures ("panic=1", "oops=panic", "on_error=ignore") or of what to do then
 *             ("action=abort"); names that state something count ("error=...", "last_error=...",
 *             "reason=...") unless the value denies it ("error=none"), and so do values under other
 *             names ("status=failed")
 *   ease      "recovered", "succeeded", "resolved", "healthy again", "will retry" halve the whole
 *
 * Combination: 1 - product (1 - w) over different hits, at most WORDS_MAX words are read. Cost:
 * words times phrases starting with the same letter; runs once per template, not per record.
 *
 * Weights are set from what the words mean to an operator, by hand; bench/meaning measures them on
 * labelled templates and is not used to fit. Rejected: a trained model (needs labels of one's own
 * logs), embeddings (size), severity alone (see above). */
#include "detect/detect.h"

#define OTHERS 0.3

enum { WORDS_MAX = 200, WORD_BYTES_MAX = 24, GAP_MAX = 3, SWITCH_BYTES_MAX = 16 };

typedef struct phrase {
    const char *text; /* words, separated by one blank; '*' at the end of a word: any ending */
    double weight;
} phrase;

/* By first letter; longer phrases before the shorter ones they contain. */
static const phrase phrases[] = {
    {"abort*", 0.7},
    {"absent", 0.35},
    {"access denied", 0.6},
    {"address already in use", 0.85},
    {"all retries failed", 0.9},
    {"already in use", 0.6},
    {"assert* fail*", 0.95},
    {"attempts exhausted", 0.9},
    {"authentication fail*", 0.5},
    {"back off", 0.55},
    {"backing off", 0.55},
    {"backoff", 0.5},
    {"backpressure", 0.6},
    {"bad gateway", 0.85},
    {"bad", 0.4},
    {"blocked for more than", 0.8},
    {"broken pipe", 0.65},
    {"broken", 0.6},
    {"bug", 0.6},
    {"can not", 0.6},
    {"can t", 0.6},
    {"cannot", 0.6},
    {"cant", 0.6},
    {"cancel*", 0.3},
    {"certificate expired", 0.95},
    {"certificate has expired", 0.95},
    {"certificate verify failed", 0.95},
    {"checksum error", 0.9},
    {"checksum mismatch", 0.9},
    {"circuit breaker open*", 0.9},
    {"circuit open", 0.8},
    {"conflict*", 0.4},
    {"connection refused", 0.85},
    {"connection reset", 0.7},
    {"connection closed by", 0.2},
    {"connection lost", 0.8},
    {"connection timed out", 0.85},
    {"core dump*", 0.9},
    {"corrupt*", 0.9},
    {"could not", 0.65},
    {"couldn t", 0.65},
    {"crash*", 0.95},
    {"critical", 0.8},
    {"data loss", 0.95},
    {"dead letter", 0.7},
    {"deadline exceeded", 0.8},
    {"deadlock*", 0.9},
    {"degraded", 0.75},
    {"denied", 0.5},
    {"did not respond", 0.75},
    {"died", 0.75},
    {"discard*", 0.4},
    {"disconnect*", 0.4},
    {"disk full", 0.95},
    {"does not exist", 0.5},
    {"doesn t exist", 0.5},
    {"down for", 0.5},
    {"dropped", 0.5},
    {"dropping", 0.5},
    {"emergency", 0.9},
    {"eof", 0.4},
    {"error code <n>", 0.6},
    {"error count", 0.3},
    {"error handler", 0.1},
    {"error handling", 0.1},
    {"error level", 0.1},
    {"error log", 0.1},
    {"error page", 0.1},
    {"error rate", 0.35},
    {"error report*", 0.25},
    {"error correct*", 0.2},
    {"error*", 0.7},
    {"err", 0.6},
    {"evict*", 0.4},
    {"exceeded", 0.6},
    {"exceeds", 0.5},
    {"exception handler", 0.1},
    {"exception*", 0.75},
    {"exhausted", 0.85},
    {"exited abnormally", 0.85},
    {"exited with code <n>", 0.5},
    {"expired", 0.5},
    {"fail fast", 0.1},
    {"fail over", 0.4},
    {"fail safe", 0.1},
    {"failed password", 0.4},
    {"failed login", 0.4},
    {"failed over", 0.5},
    {"failed", 0.7},
    {"failing", 0.7},
    {"failover", 0.45},
    {"fails", 0.6},
    {"failsafe", 0.1},
    {"failure*", 0.7},
    {"fail", 0.65},
    {"fatal", 0.95},
    {"fault tolerance", 0.1},
    {"fault", 0.6},
    {"faulty", 0.7},
    {"file system full", 0.95},
    {"gave up", 0.8},
    {"giving up", 0.8},
    {"halted", 0.7},
    {"hang", 0.6},
    {"hung", 0.75},
    {"illegal", 0.6},
    {"impossible", 0.5},
    {"inaccessible", 0.65},
    {"incomplete", 0.4},
    {"inconsistent", 0.6},
    {"insufficient", 0.65},
    {"internal server error", 0.85},
    {"interrupted", 0.35},
    {"invalid", 0.45},
    {"is full", 0.7},
    {"kernel panic", 0.98},
    {"kill process", 0.8},
    {"killed process", 0.85},
    {"killed", 0.6},
    {"killing", 0.45},
    {"lag*", 0.3},
    {"leak*", 0.6},
    {"lock wait timeout", 0.85},
    {"lost", 0.55},
    {"machine check", 0.7},
    {"malformed", 0.5},
    {"memory exhausted", 0.95},
    {"mismatch*", 0.5},
    {"missed", 0.4},
    {"missing", 0.4},
    {"no route to host", 0.85},
    {"no space left", 0.97},
    {"no such file", 0.5},
    {"no such host", 0.7},
    {"no available", 0.6},
    {"no healthy upstream", 0.9},
    {"no response", 0.7},
    {"no longer available", 0.6},
    {"not available", 0.6},
    {"not enough", 0.65},
    {"not found", 0.35},
    {"not ready", 0.45},
    {"not reachable", 0.8},
    {"not respond*", 0.8},
    {"not running", 0.5},
    {"null pointer", 0.85},
    {"oom killer", 0.95},
    {"oom", 0.9},
    {"oops", 0.8},
    {"out of disk", 0.95},
    {"out of memory", 0.97},
    {"out of range", 0.5},
    {"overflow*", 0.55},
    {"overload*", 0.75},
    {"overrun*", 0.5},
    {"panic*", 0.95},
    {"parity error", 0.8},
    {"pending sector*", 0.55},
    {"permission denied", 0.6},
    {"pool exhausted", 0.95},
    {"power failure", 0.9},
    {"problem*", 0.55},
    {"quota exceeded", 0.8},
    {"rate limit*", 0.6},
    {"read only file system", 0.9},
    {"read only filesystem", 0.9},
    {"read only ~ remount*", 0.88},
    {"reallocated sector*", 0.55},
    {"reallocated", 0.5},
    {"refused", 0.7},
    {"refusing", 0.65},
    {"reject*", 0.6},
    {"remount* ~ read only", 0.88},
    {"reset by peer", 0.65},
    {"restarting after", 0.5},
    {"retries exhausted", 0.9},
    {"retry*", 0.4},
    {"rolled back", 0.5},
    {"rolling back", 0.5},
    {"rollback", 0.4},
    {"segfault*", 0.95},
    {"segmentation fault", 0.95},
    {"service unavailable", 0.85},
    {"severe", 0.7},
    {"shed*", 0.4},
    {"signal <n>", 0.4},
    {"slow", 0.45},
    {"split brain", 0.95},
    {"stack overflow", 0.9},
    {"stack trace", 0.6},
    {"stacktrace", 0.6},
    {"stale", 0.4},
    {"stalled", 0.7},
    {"starvation", 0.7},
    {"stuck", 0.75},
    {"suspect*", 0.4},
    {"terminated abnormally", 0.85},
    {"throttl*", 0.55},
    {"timed out", 0.75},
    {"timeout set", 0.1},
    {"timeout", 0.65},
    {"timeouts", 0.6},
    {"time out", 0.6},
    {"too long", 0.5},
    {"too many open files", 0.95},
    {"too many", 0.65},
    {"traceback", 0.75},
    {"unable to", 0.65},
    {"unauthorized", 0.4},
    {"unavailable", 0.75},
    {"uncaught", 0.8},
    {"uncorrect*", 0.85},
    {"undefined", 0.4},
    {"unexpected*", 0.5},
    {"unhandled", 0.75},
    {"unhealthy", 0.8},
    {"unknown host", 0.7},
    {"unreachable", 0.8},
    {"unreadable pending sector*", 0.58}, /* a disk that will fail, not one that did */
    {"unreadable", 0.58},
    {"unrecoverable", 0.9},
    {"unresponsive", 0.8},
    {"unsupported", 0.35},
    {"upstream prematurely closed", 0.8},
    {"violat*", 0.55},
    {"warn*", 0.3},
    {"wedged", 0.8},
    {"wrong", 0.5},
};

static const char *const negations[] = {"no",    "not", "without", "zero",
                                        "never", "non", "0",       "free"};
static const char *const eases[] = {"recovered",    "recovery", "succeeded", "success",
                                    "successfully", "resolved", "restored",  "cleared",
                                    "ignored",      "ignoring", "corrected", "passed"};
/* Words that are a counter's name when a number follows. */
static const char *const counters[] = {
    "errors",  "failures", "failed",   "timeouts", "retries",   "dropped", "rejected", "lost",
    "timeout", "retry",    "overruns", "missed",   "evictions", "error",   "overflows"};

/* Last words of names whose value states what went wrong; words that make a name a setting. */
static const char *const statements[] = {"error",   "err",    "reason", "exception", "cause",
                                         "failure", "failed", "fault",  "message",   "msg"};
static const char *const settings[] = {"on",   "if",       "ignore", "max",  "min",
                                       "skip", "continue", "allow",  "limit"};
static const char *const actions[] = {"action", "policy", "strategy"};
static const char *const denials[] = {"false", "no", "none", "null", "nil", "off", "never", "ok"};

typedef struct word {
    size_t from, to; /* in the text */
    char text[WORD_BYTES_MAX];
    size_t n;
    bool number; /* digits, or <*> */
    bool zero;
} word;

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_num(char c) { return c >= '0' && c <= '9'; }

/* Splits into words; returns their number. */
static size_t split_words(str s, word *out) {
    size_t n = 0, i = 0;
    while (i < s.n && n < WORDS_MAX) {
        word w = {.from = i};
        if (s.p[i] == '<' && i + 2 < s.n && s.p[i + 1] == '*' && s.p[i + 2] == '>') {
            w.number = true;
            i += 3;
        } else if (is_num(s.p[i])) {
            w.number = w.zero = true;
            for (; i < s.n && is_num(s.p[i]); i++) w.zero &= s.p[i] == '0';
            /* "0.5" is not zero; a unit or further letters belong to the number */
            while (i < s.n &&
                   (s.p[i] == '.' || is_lower(s.p[i]) || is_upper(s.p[i]) || is_num(s.p[i]))) {
                if (is_num(s.p[i]) && s.p[i] != '0') w.zero = false;
                i++;
            }
        } else if (is_upper(s.p[i]) || is_lower(s.p[i])) {
            size_t from = i++;
            while (i < s.n && (is_upper(s.p[i]) || is_lower(s.p[i]))) {
                bool hump = is_upper(s.p[i]) && is_lower(s.p[i - 1]);
                bool tail = is_upper(s.p[i]) && i + 1 < s.n && is_lower(s.p[i + 1]) &&
                            is_upper(s.p[i - 1]) && i - from > 1;
                if (hump || tail) break;
                i++;
            }
            for (size_t k = from; k < i && w.n < WORD_BYTES_MAX; k++) {
                w.text[w.n++] = is_upper(s.p[k]) ? (char)(s.p[k] + 32) : s.p[k];
            }
        } else {
            i++;
            continue;
        }
        w.to = i;
        out[n++] = w;
    }
    return n;
}

static bool word_is(const word *w, str pattern) {
    if (str_eq(pattern, S("<n>"))) return w->number;
    if (w->number) return false;
    bool open = pattern.n && pattern.p[pattern.n - 1] == '*';
    if (open) pattern.n--;
    str text = {w->text, w->n};
    return open ? str_starts(text, pattern) : str_eq(text, pattern);
}

static bool word_in(const word *w, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (word_is(w, str_c(list[i]))) return true;
    }
    return false;
}

/* Words that the phrase covers at w[0..left), 0 = no match. */
static size_t phrase_match(const phrase *p, const word *w, size_t left) {
    str rest = str_c(p->text), part;
    size_t k = 0, gap = 0;
    while (str_next(&rest, ' ', &part)) {
        if (str_eq(part, S("~"))) {
            gap = GAP_MAX;
            continue;
        }
        while (gap > 0 && k < left && !word_is(&w[k], part)) {
            k++;
            gap--;
        }
        gap = 0;
        if (k == left || !word_is(&w[k], part)) return 0;
        k++;
    }
    return k;
}

static bool in_name(char c) {
    return is_upper(c) || is_lower(c) || is_num(c) || c == '_' || c == '-' || c == '.';
}
static bool in_value(char c) { return in_name(c) || (c && strchr("+/:<*>%", c)); }

/* Is text[i] the '=' of a pair, and no part of "==", "!=", "<=", ">="? */
static bool is_assign(str t, size_t i) {
    if (i >= t.n || t.p[i] != '=' || (i + 1 < t.n && t.p[i + 1] == '=')) return false;
    return i > 0 && in_name(t.p[i - 1]);
}

static bool states_failure(str name) {
    word words[WORDS_MAX];
    size_t n = split_words(name, words);
    for (size_t i = 0; i < n; i++) {
        if (word_in(&words[i], settings, ARRAY_LEN(settings))) return false;
    }
    return n && word_in(&words[n - 1], statements, ARRAY_LEN(statements));
}

/* Does a name say what to do about failures? */
static bool names_action(str name) {
    word words[WORDS_MAX];
    size_t n = split_words(name, words);
    return n &&
           (word_is(&words[0], S("on")) || word_in(&words[n - 1], actions, ARRAY_LEN(actions)));
}

/* Does text[from, to), which speaks of a failure, belong to a pair name=value that is a setting? */
static bool is_setting(str t, size_t from, size_t to) {
    size_t i = to, name = from, end;
    while (i < t.n && in_name(t.p[i])) i++;
    if (is_assign(t, i)) { /* it is (a part of) the name */
        while (name > 0 && in_name(t.p[name - 1])) name--;
        for (end = i + 1; end < t.n && in_value(t.p[end]);) end++;
        str value = str_sub(t, i + 1, end - i - 1), own = str_sub(t, name, i - name);
        if (!value.n || value.n > SWITCH_BYTES_MAX) return false;
        word w[WORDS_MAX], n[WORDS_MAX];
        size_t words = split_words(value, w), names = split_words(own, n);
        if (words == 1 && word_in(&w[0], denials, ARRAY_LEN(denials))) return true;
        /* counts of failures are weighed as such */
        if (words && w[0].number && names == 1 && word_in(&n[0], counters, ARRAY_LEN(counters))) {
            return false;
        }
        return !states_failure(own);
    }
    while (from > 0 && in_value(t.p[from - 1])) from--;
    if (from == 0 || !is_assign(t, from - 1)) return false;
    for (end = to; end < t.n && in_value(t.p[end]);) end++;
    if (end - from > SWITCH_BYTES_MAX) return false;
    for (name = from - 1; name > 0 && in_name(t.p[name - 1]);) name--;
    str own = str_sub(t, name, from - 1 - name);
    if (states_failure(own)) return false;
    return names_action(own) || detect_failure_meaning(own) > 0; /* no '=' in it: at most once */
}

double detect_failure_meaning(str text) {
    word words[WORDS_MAX];
    size_t n = split_words(text, words);
    double strongest = 0, others = 0;
    const phrase *hits[8];
    size_t hit_count = 0;
    for (size_t i = 0; i < n;) {
        const phrase *best = NULL;
        size_t best_len = 0;
        for (size_t k = 0; k < ARRAY_LEN(phrases) && !words[i].number; k++) {
            if (phrases[k].text[0] != words[i].text[0]) continue;
            size_t len = phrase_match(&phrases[k], &words[i], n - i);
            if (len > best_len) {
                best = &phrases[k];
                best_len = len;
            }
        }
        if (!best) {
            i++;
            continue;
        }
        double weight = best->weight;
        const word *after = i + best_len < n ? &words[i + best_len] : NULL;
        bool negated = false;
        for (size_t back = 1; back <= 2 && back <= i && !negated; back++) {
            const word *w = &words[i - back];
            negated = w->zero || word_in(w, negations, ARRAY_LEN(negations));
        }
        if (after && after->zero) negated = true;
        negated = negated || is_setting(text, words[i].from, words[i + best_len - 1].to);
        bool counter = after && after->number && best_len == 1 &&
                       word_in(&words[i], counters, ARRAY_LEN(counters));
        if (counter) weight /= 3;
        bool again = false; /* the same word twice adds nothing */
        for (size_t k = 0; k < hit_count; k++) again |= hits[k] == best;
        if (!negated && !again) {
            if (weight > strongest) {
                others = 1 - (1 - others) * (1 - strongest);
                strongest = weight;
            } else {
                others = 1 - (1 - others) * (1 - weight);
            }
            if (hit_count < ARRAY_LEN(hits)) hits[hit_count++] = best;
        }
        i += best_len;
    }
    double meaning = strongest + (1 - strongest) * OTHERS * others;
    for (size_t i = 0; i < n; i++) {
        bool not_so = i > 0 && word_in(&words[i - 1], negations, ARRAY_LEN(negations));
        if (!not_so && word_in(&words[i], eases, ARRAY_LEN(eases))) {
            meaning /= 2;
            break;
        }
    }
    return meaning;
}
