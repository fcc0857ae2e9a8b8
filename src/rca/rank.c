/* rank.c - who failed first and explains the rest.
 *
 * Problem: when one thing breaks, everything that waits for it breaks too, often louder. The log
 * lines of the victims name what they waited for; the cause is named by others, is early, and does
 * not name anyone itself. (Measured elsewhere: the root is the loudest service in 1 of 45 cases of
 * one public set, 10 of 56 of another; adding up anomaly scores alone is therefore not enough.)
 *
 * Quantities, all in 0..1, over the facts f of an entity a:
 *
 *   weight(f)     surprise x meaning of a failure x level
 *   strength(a)   1 - prod(1 - weight(f)) over failing f: a failed
 *   blame(a, b)   1 - prod(1 - weight(f)) over failing f of a that name b (not as a caller). When
 *                 b has no lines and f does not say that b fails to answer ("refused", "timed
 *                 out"), ANSWERED times that: an error that b answered may be of a's own making
 *   blamed(b)     1 - prod(1 - blame(a, b)) over a
 *   belief(b)     how far b can explain others. Named and failing by its own lines too: at least
 *                 CORROBORATED. Without lines of its own: NAMED_BELIEF. With normal lines:
 *                 QUIET_BELIEF. When b's own failures begin after those of a: LATE_BELIEF of its
 *                 strength, but not less than with normal lines.
 *   share(a, b)   sum of v(f) belief(b) over failing f of a that name b / sum of v(f), where v(f)
 * is weight(f), less the later f is after a's onset: what a said first counts explained(a)  sum of
 * share(a, b) over b mass(b)       strength(b) + EXPLAIN sum of mass(a) share(a, b) over a: what is
 * explained in a moves on to what explains it, along the whole chain early(a)      1 / (1 +
 * (onset(a) - first onset) / tau), tau = a quarter of the spread
 *
 *   tier(a)       by name: BOTTOM for data stores, brokers and the like, which others call and
 *                 which call nobody; TOP for gateways, proxies and front ends, which nobody calls
 *
 *   score(a) = tier(a) early(a) mass(a) (1 - EXPLAIN explained(a))
 *
 * The rule base has no part in it. Onset of an entity: its first failing fact that has at least a
 * quarter of the weight of its heaviest one, so that a faint early oddity does not make it first.
 * Something named only takes the onset of the fact that names it; so does something that is named
 * up to NAMED_AHEAD_S before its own first failing line (a slow command is logged when it is done).
 *
 * Confidence grows with the margin to the best candidate that the winner does not explain (a caller
 * of the winner is part of the same story), with the strength of the evidence, and is lower without
 * times. It is a monotone map chosen by hand, not fitted: stated as such in the report's schema.
 *
 * Cost O(facts x mentions + rounds x entities^2). Source of the idea of moving explained evidence
 * to the callee: MicroRCA and MonitorRank (random walks from the anomalous to what they call),
 * without the walk's restart, whose strength would have to be chosen per system. */
#include <math.h>

#include "rca/rca_int.h"

static const double CORROBORATED = 0.85, NAMED_BELIEF = 0.8, QUIET_BELIEF = 0.35;
static const double LATE_BELIEF = 0.5, NAMED_AHEAD_S = 60, ANSWERED = 0.4, WITNESS_S = 30;
static const double EXPLAIN = 0.85;
static const double FAILING_FROM = 0.35;
static const double SIGNIFICANT_SHARE = 0.25, BOTTOM = 1.25, TOP = 0.8;

static double told_failure(const finding *f) {
    double stated = f->severity >= SEV_FATAL   ? 1.0
                    : f->severity >= SEV_ERROR ? 0.8
                    : f->severity >= SEV_WARN  ? 0.5
                                               : 0.0;
    return MAX(stated, f->failure_meaning);
}

bool finding_tells(const finding *f) {
    return f->kind == FINDING_ERROR_RATIO || told_failure(f) >= FAILING_FROM;
}

double fact_weight(const finding *f, bool *ret_failing) {
    static const double by_level[] = {0.1, 0.25, 0.6, 0.85, 1.0};
    MUST((unsigned)f->level < ARRAY_LEN(by_level));
    double says = told_failure(f);
    bool silence = f->kind == FINDING_STOPPED || f->kind == FINDING_RATE_DROP;
    if (f->kind == FINDING_ERROR_RATIO) says = MAX(says, 0.7);
    if (silence) says = MAX(says, 0.4);
    *ret_failing = says >= FAILING_FROM;
    double bits = f->surprise_bits > 0 ? f->surprise_bits : 0;
    return (1 - exp(-bits / 20)) * (0.15 + 0.85 * says) * by_level[f->level];
}

static bool shares_a_record(const finding *a, const finding *b) {
    for (size_t i = 0; i < a->ref_count; i++) {
        for (size_t k = 0; k < b->ref_count; k++) {
            if (a->refs[i].file == b->refs[k].file && a->refs[i].offset == b->refs[k].offset) {
                return true;
            }
        }
    }
    return false;
}

/* Within one service a share of errors is of the whole service and states no component: it is the
 * component's whose records it is made of. */
static const finding *speaker(const ranking *r, const finding *f) {
    if (!r->one_service || f->component.n) return f;
    for (size_t i = 0; i < r->fact_count; i++) {
        const finding *g = r->facts[i].f;
        if (g->component.n && r->facts[i].failing && shares_a_record(f, g)) return g;
    }
    return f;
}

static str entity_name(const ranking *r, const finding *f) {
    str name = r->one_service && f->component.n ? f->component : f->service;
    return name.n ? name : f->component.n ? f->component : S("log");
}

/* Finds or adds; RANK_NONE when there is no room (facts come heaviest first). */
static int candidate_of(ranking *r, str name) {
    for (size_t i = 0; i < r->cand_count; i++) {
        if (str_eq(r->cand[i].e.name, name)) return (int)i;
    }
    if (r->cand_count == ENTITIES_MAX) return RANK_NONE;
    candidate *c = &r->cand[r->cand_count];
    memset(c, 0, sizeof(*c));
    c->e.name = name;
    c->e.onset_ns = TS_NONE;
    c->at = (double)INFINITY;
    c->first = c->named = c->seen_by = RANK_NONE;
    return (int)r->cand_count++;
}

static void add_own(ranking *r) {
    for (size_t i = 0; i < r->fact_count; i++) {
        fact *f = &r->facts[i];
        const finding *who = speaker(r, f->f);
        f->entity = candidate_of(r, entity_name(r, who));
        if (f->entity == RANK_NONE) continue;
        candidate *c = &r->cand[f->entity];
        c->has_lines = true;
        c->e.service = f->f->service;
        if (r->one_service) c->e.component = who->component;
        if (!f->failing) continue;
        c->failing_facts++;
        c->e.strength = 1 - (1 - c->e.strength) * (1 - f->weight);
    }
}

/* The earliest failing fact with enough weight. An entity without failing facts takes any fact. */
static void find_onsets(ranking *r) {
    double heaviest[ENTITIES_MAX] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < r->fact_count; i++) {
            const fact *f = &r->facts[i];
            if (f->entity == RANK_NONE) continue;
            candidate *c = &r->cand[f->entity];
            if (c->failing_facts && !f->failing) continue;
            if (pass == 0) {
                heaviest[f->entity] = MAX(heaviest[f->entity], f->weight);
            } else if (f->weight >= SIGNIFICANT_SHARE * heaviest[f->entity] &&
                       (f->at < c->at ||
                        (!(f->at > c->at) && f->weight > r->facts[c->first].weight))) {
                c->at = f->at;
                c->first = (int)i;
            }
        }
    }
}

/* "database" (a pool that does not say which) is the one database that is named or known. */
static str which_database(const ranking *r, const log_profile *profile) {
    static const char *const concrete[] = {"mysql", "postgresql", "oracle", "sqlserver"};
    str one = STR_NONE;
    for (size_t k = 0; k < ARRAY_LEN(concrete); k++) {
        str name = str_c(concrete[k]);
        bool seen = false;
        for (size_t i = 0; i < r->fact_count; i++) {
            for (size_t m = 0; m < r->facts[i].mention_count; m++) {
                seen |= str_eq(mention_dependency_of(r->facts[i].mentions[m].name), name);
            }
        }
        size_t services = profile ? log_profile_service_count(profile) : 0;
        for (size_t i = 0; i < services; i++) {
            profile_service s;
            log_profile_service(profile, i, &s);
            seen |= str_eq(mention_dependency_of(s.name), name);
        }
        if (seen && one.n) return S("database");
        if (seen) one = name;
    }
    return one.n ? one : S("database");
}

/* The one service that is this dependency ("redis-master" for "redis"), else the dependency. */
static str service_for(const ranking *r, const log_profile *profile, str dependency) {
    str one = STR_NONE;
    size_t services = profile ? log_profile_service_count(profile) : 0;
    size_t total = services + r->cand_count;
    for (size_t i = 0; i < total; i++) {
        str name;
        if (i < services) {
            profile_service s;
            log_profile_service(profile, i, &s);
            name = s.name;
        } else {
            name = r->cand[i - services].e.name;
        }
        if (str_eq(name, dependency)) return dependency;
        if (!str_eq(mention_dependency_of(name), dependency) || str_eq(name, one)) continue;
        if (one.n) return dependency; /* several: not known which */
        one = name;
    }
    return one.n ? one : dependency;
}

static bool says_unanswered(const fact *f) {
    static const char *const words[] = {
        "timeout",       "timed out",     "time out",      "refused",      "unreachable",
        "reset",         "unavailable",   "not available", "no such host", "unknownhost",
        "closed",        "connect",       "lost",          "slow",         "overload",
        "throttl",       "exceed",        "too many",      "down",         "expired",
        "handshake",     "no route",      "latency",       "respond",      "blocked",
        "deadline",      "eof",           "broken pipe",   "resolve",      "unhealthy",
        "out of memory", "maxmemory",     "no space",      "readonly",     "read only",
        "shutting down", "recovery mode", "crash",         "502",          "503"};
    for (size_t t = 0; t < f->text_count; t++) {
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            if (str_find_nocase(f->texts[t], str_c(words[i]), 0) != STR_NPOS) return true;
        }
    }
    return false;
}

static void find_mentions(ranking *r, const log_profile *profile) {
    name_book book;
    name_book_init(&book);
    size_t services = profile ? log_profile_service_count(profile) : 0;
    for (size_t i = 0; i < services && i < MENTION_NAMES_MAX / 2; i++) {
        profile_service s;
        log_profile_service(profile, i, &s);
        name_book_add(&book, s.name);
    }
    for (size_t i = 0; i < r->cand_count; i++) name_book_add(&book, r->cand[i].e.name);
    for (size_t i = 0; i < r->fact_count; i++) {
        fact *f = &r->facts[i];
        f->unanswered = f->told && says_unanswered(f);
        /* Who is named in ordinary lines that stopped is not to blame for it. */
        for (size_t t = 0; f->told && t < f->text_count; t++) {
            mention found[MENTIONS_MAX];
            size_t n = mentions_find(&book, f->texts[t], r->mem, found);
            for (size_t k = 0; k < n && f->mention_count < MENTIONS_MAX; k++) {
                f->mentions[f->mention_count++] = found[k];
            }
        }
    }
    name_book_release(&book);
    str database = which_database(r, profile);
    for (size_t i = 0; i < r->fact_count; i++) {
        fact *f = &r->facts[i];
        for (size_t k = 0; k < f->mention_count; k++) {
            mention *m = &f->mentions[k];
            f->mentioned[k] = RANK_NONE;
            if (m->kind == MENTION_DEPENDENCY) {
                if (str_eq(m->name, S("database"))) m->name = database;
                m->name = service_for(r, profile, m->name);
            }
            /* In one service, its own name in its own lines is no peer. */
            if (r->one_service && str_eq(m->name, f->f->service)) continue;
            f->mentioned[k] = candidate_of(r, m->name);
        }
    }
}

static bool known_service(const log_profile *profile, str name) {
    size_t services = profile ? log_profile_service_count(profile) : 0;
    for (size_t i = 0; i < services; i++) {
        profile_service s;
        log_profile_service(profile, i, &s);
        if (str_eq(s.name, name)) return true;
    }
    return false;
}

/* Mention k is of something without lines, and the text does not say that it fails to answer. */
static bool answered_only(const ranking *r, const fact *f, size_t k) {
    const candidate *c = &r->cand[f->mentioned[k]];
    return f->mentions[k].kind != MENTION_KNOWN && !c->has_lines && !c->failing_facts &&
           !f->unanswered;
}

/* Another fact about the same records has counted them: of the same template, or the lines that a
 * share of errors consists of. */
static bool counted(const ranking *r, size_t index, int named) {
    const fact *f = &r->facts[index];
    bool share = f->f->kind == FINDING_ERROR_RATIO;
    for (size_t i = 0; i < r->fact_count; i++) {
        const fact *g = &r->facts[i];
        bool same = g->f->template_id && g->f->template_id == f->f->template_id && i < index;
        bool lines = share && (g->f->kind != FINDING_ERROR_RATIO || i < index);
        if (g->entity != f->entity || !g->told || i == index || !(same || lines)) continue;
        for (size_t k = 0; k < g->mention_count; k++) {
            if (g->mentioned[k] == named && !g->mentions[k].incoming) return true;
        }
    }
    return false;
}

static void add_blame(ranking *r, const log_profile *profile) {
    for (size_t a = 0; a < ENTITIES_MAX; a++) {
        for (size_t b = 0; b < ENTITIES_MAX; b++) r->blame_fact[a][b] = RANK_NONE;
    }
    for (size_t i = 0; i < r->fact_count; i++) {
        const fact *f = &r->facts[i];
        if (!f->failing || f->entity == RANK_NONE) continue;
        uint64_t done = 0; /* a fact names an entity once (ENTITIES_MAX bits) */
        for (size_t k = 0; k < f->mention_count; k++) {
            int a = f->entity, b = f->mentioned[k];
            if (b == RANK_NONE || b == a || f->mentions[k].incoming || (done >> b & 1)) continue;
            done |= 1ull << b;
            bool answered = answered_only(r, f, k);
            r->blame[a][b] = 1 - (1 - r->blame[a][b]) * (1 - f->weight * (answered ? ANSWERED : 1));
            if (!counted(r, i, b)) r->blame_records[a][b] += f->f->record_count;
            int have = r->blame_fact[a][b];
            if (have == RANK_NONE || f->at < r->facts[have].at) r->blame_fact[a][b] = (int)i;
            candidate *c = &r->cand[b];
            if (c->named == RANK_NONE || f->at < r->facts[c->named].at) {
                c->named = (int)i;
                c->seen_by = a;
            }
        }
    }
    for (size_t b = 0; b < r->cand_count; b++) {
        candidate *c = &r->cand[b];
        double keep = 1;
        for (size_t a = 0; a < r->cand_count; a++) keep *= 1 - r->blame[a][b];
        c->e.blamed = 1 - keep;
        double named_at = c->named == RANK_NONE ? (double)INFINITY : r->facts[c->named].at;
        if (!c->failing_facts && c->named != RANK_NONE) {
            c->at = named_at;
            c->first = c->named;
            c->e.named_only = true;
        } else if (named_at < c->at && c->at - named_at <= NAMED_AHEAD_S && r->timed) {
            c->at = named_at;
        }
        if (c->has_lines) continue;
        c->has_lines = known_service(profile, c->e.name);
        if (c->has_lines) c->e.service = c->e.name;
    }
}
_Static_assert(ENTITIES_MAX <= 64, "a fact's mentioned entities are bits of one word");

static double belief(const ranking *r, int a, int b) {
    const candidate *c = &r->cand[b];
    if (c->failing_facts == 0) return c->has_lines ? QUIET_BELIEF : NAMED_BELIEF;
    bool late = r->ordered && c->at > r->cand[a].at + r->slack;
    return late ? MAX(QUIET_BELIEF, LATE_BELIEF * c->e.strength) : MAX(CORROBORATED, c->e.strength);
}

/* Fills share[a][b]: how much of what a suffers b explains; their sum over b is explained(a). */
static void explain_away(ranking *r) {
    double sum[ENTITIES_MAX] = {0};
    for (size_t i = 0; i < r->fact_count; i++) {
        const fact *f = &r->facts[i];
        if (!f->failing || f->entity == RANK_NONE) continue;
        double best = 0;
        int by = RANK_NONE; /* the most believable one; of equals the one named first */
        for (size_t k = 0; k < f->mention_count; k++) {
            int b = f->mentioned[k];
            if (b == RANK_NONE || b == f->entity || f->mentions[k].incoming) continue;
            double x = belief(r, f->entity, b) * (answered_only(r, f, k) ? ANSWERED : 1);
            if (x <= best) continue;
            best = x;
            by = b;
        }
        double after = MAX(0, f->at - r->cand[f->entity].at - r->slack);
        double v = f->weight / (1 + (r->ordered ? after / (2 * r->slack) : 0));
        sum[f->entity] += v;
        if (by != RANK_NONE) r->share[f->entity][by] += v * best;
    }
    for (size_t a = 0; a < r->cand_count; a++) {
        for (size_t b = 0; b < r->cand_count; b++) {
            if (sum[a] > 0) r->share[a][b] /= sum[a];
            r->cand[a].e.explained += r->share[a][b];
        }
    }
}

/* mass(b) = strength(b) + EXPLAIN sum over a of mass(a) share(a, b), by iteration: shares add up to
 * one at most, so it converges like EXPLAIN^n. */
static void flow(const ranking *r, double *mass) {
    enum { ROUNDS = 40 };
    double next[ENTITIES_MAX];
    for (size_t b = 0; b < r->cand_count; b++) mass[b] = r->cand[b].e.strength;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t b = 0; b < r->cand_count; b++) {
            next[b] = r->cand[b].e.strength;
            for (size_t a = 0; a < r->cand_count; a++) {
                next[b] += EXPLAIN * mass[a] * r->share[a][b];
            }
        }
        memcpy(mass, next, r->cand_count * sizeof(*mass));
    }
}

static bool ranks_before(const ranking *r, int x, int y) {
    const candidate *a = &r->cand[x], *b = &r->cand[y];
    double diff = a->e.score - b->e.score;
    if (fabs(diff) > 1e-12) return diff > 0;
    if (a->at < b->at || a->at > b->at) return a->at < b->at;
    return str_cmp(a->e.name, b->e.name) < 0;
}

static double tier(const candidate *c) {
    static const char *const top[] = {"gateway", "ingress",      "nginx",        "haproxy",
                                      "envoy",   "traefik",      "proxy",        "frontend",
                                      "bff",     "loadbalancer", "load-balancer"};
    str name = c->e.service.n ? c->e.service : c->e.name;
    if (c->failing_facts && mention_dependency_of(name).n) return BOTTOM;
    for (size_t i = 0; i < ARRAY_LEN(top); i++) {
        if (str_find_nocase(name, str_c(top[i]), 0) != STR_NPOS) return TOP;
    }
    return 1;
}

static void score(ranking *r) {
    double first = (double)INFINITY, last = -(double)INFINITY;
    for (size_t i = 0; i < r->cand_count; i++) {
        if (!(r->cand[i].at < (double)INFINITY)) continue;
        first = MIN(first, r->cand[i].at);
        last = MAX(last, r->cand[i].at);
    }
    r->spread = last > first ? last - first : 0;
    double tau = MAX(r->slack * 2, r->spread / 4), mass[ENTITIES_MAX];
    flow(r, mass);
    for (size_t i = 0; i < r->cand_count; i++) {
        candidate *c = &r->cand[i];
        double late = c->at < (double)INFINITY ? MAX(0, c->at - first - r->slack / 2) : r->spread;
        double early = r->ordered && tau > 0 ? 1 / (1 + late / tau) : 1;
        c->e.score = tier(c) * early * mass[i] * (1 - EXPLAIN * c->e.explained);
        int at = (int)i;
        for (; at > 0 && ranks_before(r, (int)i, r->order[at - 1]); at--) {
            r->order[at] = r->order[at - 1];
        }
        r->order[at] = (int)i;
    }
}

/* Entities that fail because of `root`: reached over blame, against its direction. */
static uint64_t explained_by(const ranking *r, int root) {
    uint64_t in = 1ull << root;
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t a = 0; a < r->cand_count; a++) {
            if (in >> a & 1) continue;
            for (size_t b = 0; b < r->cand_count; b++) {
                if (!(in >> b & 1) || r->blame[a][b] <= 0) continue;
                in |= 1ull << a;
                grew = true;
                break;
            }
        }
    }
    return in;
}

static void rate_confidence(ranking *r) {
    r->confidence = 0;
    if (r->cand_count == 0) return;
    int root = r->order[0];
    const candidate *top = &r->cand[root];
    uint64_t same_story = explained_by(r, root);
    double rival = 0;
    for (size_t i = 1; i < r->cand_count; i++) {
        double s = r->cand[r->order[i]].e.score;
        /* A caller of the winner is a rival all the same when it scores nearly as high. */
        rival = MAX(rival, same_story >> r->order[i] & 1 ? 0.5 * s : s);
    }
    double margin = r->cand_count == 1 ? 1
                    : top->e.score > 0 ? (top->e.score - rival) / top->e.score
                                       : 0;
    double evidence = 1 - (1 - top->e.strength) * (1 - 0.85 * top->e.blamed);
    /* Nothing speaks of a failure, yet something is odd: half as sure, of the only one there is. */
    if (r->cand_count == 1 && !top->failing_facts && top->first != RANK_NONE) {
        evidence = MAX(evidence, 0.5 * r->facts[top->first].f->confidence);
    }
    r->confidence = evidence * (0.3 + 0.65 * MAX(0, margin));
    if (!r->ordered && r->cand_count > 1) r->confidence *= 0.7;
    r->confidence = round(MIN(0.95, MAX(0.05, r->confidence)) * 1000) / 1000;
}

void rank_entities(ranking *r, const log_profile *profile) {
    MUST(r->fact_count <= FACTS_MAX);
    add_own(r);
    find_onsets(r);
    find_mentions(r, profile);
    add_blame(r, profile);
    explain_away(r);
    score(r);
    rate_confidence(r);
}

int rank_cause(const ranking *r, int e) {
    int best = RANK_NONE;
    double best_value = 0;
    for (size_t i = 0; i < r->fact_count; i++) {
        const fact *f = &r->facts[i];
        if (!f->rule) continue;
        double related = f->entity == e ? 1 : 0; /* whose words these are */
        for (size_t k = 0; k < f->mention_count; k++) {
            if (f->mentioned[k] == e && !f->mentions[k].incoming) related = MAX(related, 0.5);
        }
        double tau = MAX(r->slack * 2, r->spread / 4);
        /* Others may have seen it better ("killed process"), if they say so at the same time. */
        bool same_time = !r->ordered || fabs(f->at - r->cand[e].at) <= MAX(tau, WITNESS_S);
        if (related <= 0 && f->f->level >= LEVEL_MEDIUM && r->timed && same_time) related = 0.3;
        double late = MAX(0, f->at - r->cand[e].at - r->slack);
        /* Milder than in score(): what the entity ended with may say best what it had. */
        double early = r->ordered && tau > 0 ? 0.7 + 0.3 / (1 + late / tau) : 1;
        /* That a rule knows the words says more here than how surprising they were. */
        double value =
            related * early * (0.4 + 0.6 * f->weight) * (0.1 + 0.9 * f->rule->cause_rank / 100.0);
        if (value > best_value) {
            best_value = value;
            best = (int)i;
        }
    }
    return best;
}
