/* html_timeline.c - the order of failures as a picture.
 *
 *      name      |   ①──────────────────────────
 *      name      |        ②─────③───────────────
 *                +---+-----+-----+-----+-----+---
 *               09:30:00      :10        :20
 *
 * One lane an entity, in order of its first step; a bar from that step to the end of the entity's
 * last finding; a numbered dot a step (the numbers are the rows of the table below); a dashed line
 * a change. The axis covers the steps and half as much again, not the whole incident: the order is
 * what matters, and it is decided in its first moments. Bars that go on are cut at the right edge.
 * Dots closer than their width are moved apart to the right. */
#include "report/html_int.h"

#include "base/utf8.h"

static const int64_t SPREAD_MAX_NS = 400 * 86400 * 1000000000ll;

enum {
    LANES_MAX = 14,
    WIDTH = 1000,
    LEFT = 190,
    RIGHT = 24,
    TOP = 18,
    LANE = 34,
    DOT = 9,
    LABEL_COLUMNS = 24,
    TICKS_WANTED = 6
};

typedef struct chart {
    page *h;
    size_t lanes[LANES_MAX]; /* entity */
    size_t lane_count;
    int64_t from, to;
    double height;
} chart;

static double x_of(const chart *c, int64_t ns) {
    double share = (double)(ns - c->from) / (double)(c->to - c->from);
    if (share < 0) share = 0;
    if (share > 1) share = 1;
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double y_of(size_t lane) { return TOP + (double)lane * LANE + LANE / 2.0; }

static bool set_range(chart *c) {
    const incident *in = c->h->v->in;
    int64_t first = TS_NONE, last = TS_NONE;
    for (size_t i = 0; i < in->step_count; i++) {
        int64_t ts = in->steps[i].ts_ns;
        if (ts == TS_NONE) continue;
        if (first == TS_NONE || ts < first) first = ts;
        if (last == TS_NONE || ts > last) last = ts;
    }
    if (first == TS_NONE) return false;
    int64_t spread = MAX(ns_between(first, last), (int64_t)10 * 1000000000);
    if (spread > SPREAD_MAX_NS || first < 0) return false; /* broken times */
    c->from = first - spread / 8;
    c->to = last + spread / 2;
    return true;
}

static size_t lane_of(chart *c, size_t entity) {
    for (size_t i = 0; i < c->lane_count; i++) {
        if (c->lanes[i] == entity) return i;
    }
    if (c->lane_count == LANES_MAX) return LANES_MAX;
    c->lanes[c->lane_count] = entity;
    return c->lane_count++;
}

static void put_axis(chart *c) {
    static const int64_t steps_s[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                      600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
    view *v = c->h->v;
    const int64_t second = 1000000000;
    int64_t step = steps_s[ARRAY_LEN(steps_s) - 1] * second;
    for (size_t i = 0; i < ARRAY_LEN(steps_s); i++) {
        if ((c->to - c->from) / (steps_s[i] * second) <= TICKS_WANTED) {
            step = steps_s[i] * second;
            break;
        }
    }
    while ((c->to - c->from) / step > 2 * TICKS_WANTED) step *= 2; /* weeks */
    int64_t at = c->from - c->from % step;
    if (at < c->from) at += step;
    for (; at <= c->to; at += step) {
        double x = x_of(c, at);
        str clock = view_clock(v, at);
        str label = str_sub(clock, 0, clock.n - 4); /* without milliseconds */
        buf_fmt(c->h->out,
                "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"dim\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                x, TOP, x, c->height, x, c->height + 16);
        html_text(c->h, label);
        html_raw(c->h, "</text>\n");
    }
}

static void put_lane(chart *c, size_t lane) {
    view *v = c->h->v;
    const incident *in = v->in;
    size_t entity = c->lanes[lane];
    int64_t from = INT64_MAX, to = INT64_MIN;
    for (size_t i = 0; i < in->step_count; i++) {
        const incident_step *s = &in->steps[i];
        if (s->entity != entity || s->ts_ns == TS_NONE) continue;
        const finding *f = &in->findings[s->finding].f;
        from = MIN(from, s->ts_ns);
        to = MAX(to, MAX(s->ts_ns, f->to_ns));
    }
    double y = y_of(lane);
    str name = view_entity(v, entity);
    str shown = utf8_cut_columns(name, LABEL_COLUMNS);
    buf_fmt(c->h->out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\"%s>", LEFT - 14, y + 4,
            entity == in->root ? " class=\"root\"" : "");
    html_text(c->h,
              shown.n == name.n ? name : str_fmt(&v->mem, "%.*s\xe2\x80\xa6", STR_ARG(shown)));
    html_raw(c->h, "</text>\n");
    if (from > to) return;
    buf_fmt(c->h->out,
            "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\" rx=\"4\"/>\n",
            x_of(c, from), y - 6, MAX(x_of(c, to) - x_of(c, from), 2.0));
}

static void put_dots(chart *c) {
    view *v = c->h->v;
    const incident *in = v->in;
    double last_x[LANES_MAX];
    for (size_t i = 0; i < LANES_MAX; i++) last_x[i] = -2 * DOT;
    for (size_t i = 0; i < in->step_count; i++) {
        const incident_step *s = &in->steps[i];
        size_t lane = lane_of(c, s->entity);
        if (lane == LANES_MAX || s->ts_ns == TS_NONE) continue;
        double x = MAX(x_of(c, s->ts_ns), last_x[lane] + 2 * DOT + 2), y = y_of(lane);
        if (x > WIDTH - DOT) continue; /* no room: the table has it */
        last_x[lane] = x;
        bool mild = in->findings[s->finding].f.level < LEVEL_HIGH;
        buf_fmt(c->h->out, "<g><title>");
        html_text(c->h, view_clock(v, s->ts_ns));
        html_raw(c->h, " ");
        html_text(c->h, view_step(v, s));
        buf_fmt(c->h->out,
                "</title><circle class=\"dot%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"/>"
                "<text class=\"num\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%zu</text></g>\n",
                mild ? " m" : "", x, y, DOT, x, y + 4, i + 1);
    }
}

static void put_changes(chart *c) {
    const incident *in = c->h->v->in;
    for (size_t i = 0; i < in->change_count; i++) {
        int64_t ts = in->changes[i].ts_ns;
        if (ts < c->from || ts > c->to) continue;
        buf_fmt(c->h->out,
                "<line class=\"change\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\"><title>",
                x_of(c, ts), TOP, x_of(c, ts), c->height);
        html_text(c->h, in->changes[i].text);
        html_raw(c->h, "</title></line>\n");
    }
}

void html_timeline(page *h) {
    chart c = {.h = h};
    view *v = h->v;
    if (!set_range(&c)) return;
    for (size_t i = 0; i < v->in->step_count; i++) lane_of(&c, v->in->steps[i].entity);
    c.height = TOP + (double)c.lane_count * LANE + 6;
    buf_fmt(h->out, "<svg viewBox=\"0 0 %d %.0f\" width=\"%d\" role=\"img\" aria-label=\"", WIDTH,
            c.height + 26, WIDTH);
    html_text(h, VIEW_FILL(v, TEXT_SVG_ALT, view_time(v, c.from), view_time(v, c.to)));
    html_raw(h, "\">\n");
    put_axis(&c);
    for (size_t i = 0; i < c.lane_count; i++) put_lane(&c, i);
    put_changes(&c);
    put_dots(&c);
    html_raw(h, "</svg>\n");
}
