/* Service names from paths.
 *
 * Problem: most plain logs do not state their service in the lines; people state it in the file
 * name, the directory, or the path scheme of Kubernetes. Rotated and compressed siblings
 * (app.log, app.log.1, app.log-20261120.gz) and the several streams of one program
 * (payment.access.log, payment-error.log) must join under one name.
 *
 * Algorithm: take the last path component, strip known endings until none is left (compression,
 * rotation number, date, ".log" and the like, stream words such as "-error"). When what is left
 * says nothing ("app", "server", a number, a date) the enclosing directory is asked, up to
 * UP_MAX levels, unless it is generic itself ("logs", "var"). Two path schemes are read by their
 * structure first:
 *
 *     /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log            -> CONTAINER, or the workload
 *     /var/log/containers/POD_NAMESPACE_CONTAINER-<64 hex>.log      when CONTAINER is generic
 *
 * The workload is the pod name without the suffixes that ReplicaSet, Deployment, DaemonSet and
 * StatefulSet add. Sources: Kubernetes kubelet (pkg/kubelet/kuberuntime/helpers.go
 * BuildPodLogsDirectory; legacyLogSymlink), logrotate(8) dateformat, log4j2 and logback rolling
 * file patterns. Limits: a name is guessed, records that state a service win.
 */
#include "ingest/names_int.h"

enum { UP_MAX = 3, STRIP_MAX = 12, POD_HASH_MIN = 8, POD_HASH_MAX = 10, POD_RAND = 5 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_sep(char c) { return c == '.' || c == '-' || c == '_'; }

static bool in_list(str s, const str *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(s, list[i])) return true;
    return false;
}

/* File names that many programs share: they say what the file is, not whose it is. */
static bool is_generic_file(str s) {
    static const str words[] = {
        S_INIT("app"),      S_INIT("application"), S_INIT("server"),   S_INIT("service"),
        S_INIT("stdout"),   S_INIT("stderr"),      S_INIT("std"),      S_INIT("out"),
        S_INIT("output"),   S_INIT("err"),         S_INIT("error"),    S_INIT("errors"),
        S_INIT("access"),   S_INIT("current"),     S_INIT("log"),      S_INIT("logs"),
        S_INIT("main"),     S_INIT("messages"),    S_INIT("syslog"),   S_INIT("console"),
        S_INIT("debug"),    S_INIT("info"),        S_INIT("warn"),     S_INIT("warning"),
        S_INIT("trace"),    S_INIT("all"),         S_INIT("combined"), S_INIT("root"),
        S_INIT("default"),  S_INIT("latest"),      S_INIT("journal"),  S_INIT("container"),
        S_INIT("json"),     S_INIT("text"),        S_INIT("data"),     S_INIT("sample"),
        S_INIT("incident"), S_INIT("fd"),          S_INIT("stdin"),    S_INIT("raw"),
        S_INIT("before"),   S_INIT("after"),       S_INIT("events"),   S_INIT("runtime"),
    };
    if (in_list(s, words, ARRAY_LEN(words))) return true;
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.p[i]) && !is_sep(s.p[i])) return false;
    return true; /* numbers and dates only, or empty */
}

static bool is_generic_dir(str s) {
    static const str words[] = {
        S_INIT("var"),  S_INIT("tmp"),  S_INIT("home"),   S_INIT("opt"),     S_INIT("srv"),
        S_INIT("usr"),  S_INIT("mnt"),  S_INIT("proc"),   S_INIT("dev"),     S_INIT("containers"),
        S_INIT("pods"), S_INIT("lib"),  S_INIT("docker"), S_INIT("archive"), S_INIT("archives"),
        S_INIT("old"),  S_INIT("prod"), S_INIT("."),      S_INIT(".."),      S_INIT("downloads"),
        S_INIT("self"), S_INIT("run"),  S_INIT("share"),  S_INIT("local"),   S_INIT("files"),
    };
    return is_generic_file(s) || in_list(s, words, ARRAY_LEN(words));
}

static bool all_hex(str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) return false;
    }
    return s.n > 0;
}

/* Takes the last path component off *dir. False when there is none. */
static bool take_component(str *dir, str *ret) {
    while (dir->n > 0 && dir->p[dir->n - 1] == '/') dir->n--;
    if (dir->n == 0) return false;
    size_t slash = str_rfind_char(*dir, '/');
    size_t at = slash == STR_NPOS ? 0 : slash + 1;
    *ret = str_from(*dir, at);
    dir->n = at;
    return true;
}

static bool strip_ending(str *s, const str *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        str end = list[i];
        if (s->n > end.n && str_eq_nocase(str_from(*s, s->n - end.n), end)) {
            s->n -= end.n;
            return true;
        }
    }
    return false;
}

/* A date or epoch: six digits in a row, or a year and a month ("2026-11", "2026.11.20"). */
static bool has_date(str s) {
    size_t run = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && is_digit(s.p[i])) {
            if (++run >= 6) return true;
            continue;
        }
        if (run == 4 && i + 2 < s.n && (s.p[i - 4] == '1' || s.p[i - 4] == '2') &&
            is_digit(s.p[i + 1]) && is_digit(s.p[i + 2]))
            return true;
        run = 0;
    }
    return false;
}

/* ".1", ".002" after anything, and dates: "-20261120", ".2026-11-20", "_2026-11-20T10-30",
 * "-1700000000": a separator, then digits, separators, 'T' and a final 'Z' only. */
static bool strip_number(str *s) {
    size_t at = s->n;
    while (at > 0) {
        char c = s->p[at - 1];
        bool t = c == 'T' && at < s->n && is_digit(s->p[at]) && at > 1 && is_digit(s->p[at - 2]);
        bool z = c == 'Z' && at == s->n && at > 1 && is_digit(s->p[at - 2]);
        if (!is_digit(c) && !is_sep(c) && c != ':' && !t && !z) break;
        at--;
    }
    while (at < s->n && !is_sep(s->p[at])) at++; /* the run has to begin with a separator */
    if (at > 0 && at < s->n && has_date(str_from(*s, at))) {
        s->n = at;
        return true;
    }
    size_t dot = str_rfind_char(*s, '.');
    if (dot == STR_NPOS || dot == 0 || dot + 1 == s->n || s->n - dot - 1 > 3) return false;
    for (size_t i = dot + 1; i < s->n; i++)
        if (!is_digit(s->p[i])) return false;
    s->n = dot;
    return true;
}

static str strip_all(str name) {
    static const str packed[] = {S_INIT(".gz"),  S_INIT(".zst"), S_INIT(".xz"),
                                 S_INIT(".bz2"), S_INIT(".z"),   S_INIT(".zstd")};
    static const str kinds[] = {S_INIT(".log"),   S_INIT(".txt"),    S_INIT(".json"),
                                S_INIT(".jsonl"), S_INIT(".ndjson"), S_INIT(".out"),
                                S_INIT(".err"),   S_INIT(".stdout"), S_INIT(".old"),
                                S_INIT(".bak"),   S_INIT(".stderr"), S_INIT(".logs")};
    static const str streams[] = {
        S_INIT("access"), S_INIT("error"),   S_INIT("errors"),  S_INIT("stdout"), S_INIT("stderr"),
        S_INIT("debug"),  S_INIT("info"),    S_INIT("warn"),    S_INIT("log"),    S_INIT("logs"),
        S_INIT("json"),   S_INIT("console"), S_INIT("warning"), S_INIT("err"),    S_INIT("out")};
    str s = name;
    for (int i = 0; i < STRIP_MAX; i++) {
        if (strip_ending(&s, packed, ARRAY_LEN(packed)) ||
            strip_ending(&s, kinds, ARRAY_LEN(kinds)) || strip_number(&s))
            continue;
        size_t at = s.n;
        while (at > 0 && !is_sep(s.p[at - 1])) at--;
        if (at > 1 && in_list(str_from(s, at), streams, ARRAY_LEN(streams))) {
            s.n = at - 1;
            continue;
        }
        break;
    }
    while (s.n > 1 && is_sep(s.p[s.n - 1])) s.n--;
    return s.n > 0 ? s : name;
}

static bool is_pod_word(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'z')) return false;
    return s.n > 0;
}

/* Pod name to workload: "-<hash>-<5>" of a Deployment, "-<5>" of a DaemonSet or Job, "-<n>" of a
 * StatefulSet. Five letters alone may be a word ("order-cache"): a digit must be among them. */
static str workload_of_pod(str pod) {
    size_t dash = str_rfind_char(pod, '-');
    if (dash == STR_NPOS || dash == 0) return pod;
    str last = str_from(pod, dash + 1), head = str_sub(pod, 0, dash);
    bool digits = last.n > 0, has_digit = false;
    for (size_t i = 0; i < last.n; i++) {
        digits = digits && is_digit(last.p[i]);
        has_digit = has_digit || is_digit(last.p[i]);
    }
    if (digits && last.n <= 3) return head;
    if (last.n != POD_RAND || !is_pod_word(last)) return pod;
    size_t dash2 = str_rfind_char(head, '-');
    if (dash2 != STR_NPOS && dash2 > 0) {
        str hash = str_from(head, dash2 + 1);
        if (hash.n >= POD_HASH_MIN && hash.n <= POD_HASH_MAX && is_pod_word(hash))
            return str_sub(head, 0, dash2);
    }
    return has_digit ? head : pod;
}

static str pick_k8s(str container, str pod) {
    return is_generic_file(container) ? workload_of_pod(pod) : container;
}

/* Empty when the path follows neither Kubernetes scheme. */
static str service_of_k8s(str path) {
    size_t at = str_find(path, S("/pods/"), 0);
    at = str_starts(path, S("pods/")) ? 0 : at == STR_NPOS ? at : at + 1;
    if (at != STR_NPOS) { /* pods/NS_POD_UID/CONTAINER/0.log */
        str rest = str_from(path, at + 5), dir, container;
        if (str_next(&rest, '/', &dir) && str_next(&rest, '/', &container) && rest.n > 0) {
            size_t a = str_find_char(dir, '_', 0), b = str_rfind_char(dir, '_');
            if (a != STR_NPOS && a < b) return pick_k8s(container, str_sub(dir, a + 1, b - a - 1));
        }
    }
    str dir = path, file;
    if (!take_component(&dir, &file)) return STR_NONE;
    size_t dash = str_rfind_char(file, '-');
    if (dash == STR_NPOS || dash + 65 > file.n || !all_hex(str_sub(file, dash + 1, 64)))
        return STR_NONE;
    str head = str_sub(file, 0, dash); /* POD_NS_CONTAINER */
    size_t a = str_find_char(head, '_', 0);
    size_t b = a == STR_NPOS ? STR_NPOS : str_find_char(head, '_', a + 1);
    if (b == STR_NPOS || a == 0 || b + 1 >= head.n) return STR_NONE;
    return pick_k8s(str_from(head, b + 1), str_sub(head, 0, a));
}

str stem_of_path(str path) {
    str dir = path, file;
    if (!take_component(&dir, &file)) return STR_NONE;
    return strip_all(file);
}

str service_of_path(str path) {
    str k8s = service_of_k8s(path);
    if (k8s.n > 0) return k8s;
    str dir = path, part;
    if (!take_component(&dir, &part)) return STR_NONE;
    if (str_starts(path, S("/dev/")) || str_starts(path, S("/proc/"))) return STR_NONE;
    str stem = strip_all(part);
    /* "<64 hex>-json": Docker's own files name a container id, not a service. */
    size_t dash = str_find_char(stem, '-', 0);
    if (all_hex(str_sub(stem, 0, dash)) && MIN(dash, stem.n) == 64) return STR_NONE;
    if (!is_generic_file(stem)) return stem;
    for (int up = 0; up < UP_MAX && take_component(&dir, &part); up++) {
        if (is_generic_dir(part)) continue;
        if (part.n == 64 && all_hex(part)) return STR_NONE;
        /* Absolute paths of a few levels lead to places, not programs: /root, /home/NAME. */
        if (str_starts(dir, S("/home/")) && dir.n == 6) return STR_NONE;
        return part;
    }
    return STR_NONE;
}

bool name_is_no_log(str path) {
    static const str ends[] = {
        S_INIT(".c"),    S_INIT(".h"),     S_INIT(".cc"),   S_INIT(".cpp"),  S_INIT(".hpp"),
        S_INIT(".go"),   S_INIT(".py"),    S_INIT(".java"), S_INIT(".js"),   S_INIT(".ts"),
        S_INIT(".rs"),   S_INIT(".rb"),    S_INIT(".sh"),   S_INIT(".md"),   S_INIT(".html"),
        S_INIT(".css"),  S_INIT(".yaml"),  S_INIT(".yml"),  S_INIT(".toml"), S_INIT(".ini"),
        S_INIT(".conf"), S_INIT(".cfg"),   S_INIT(".png"),  S_INIT(".jpg"),  S_INIT(".jpeg"),
        S_INIT(".gif"),  S_INIT(".svg"),   S_INIT(".pdf"),  S_INIT(".zip"),  S_INIT(".tar"),
        S_INIT(".tgz"),  S_INIT(".so"),    S_INIT(".o"),    S_INIT(".a"),    S_INIT(".pem"),
        S_INIT(".key"),  S_INIT(".crt"),   S_INIT(".db"),   S_INIT(".lock"), S_INIT(".pid"),
        S_INIT(".swp"),  S_INIT(".proto"), S_INIT(".sql"),  S_INIT(".mod"),  S_INIT(".sum"),
    };
    str s = path;
    return strip_ending(&s, ends, ARRAY_LEN(ends));
}
