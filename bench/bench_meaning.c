/* bench_meaning.c - failure meaning on templates labelled normal/abnormal (bench/meaning DATADIR).
 * Measures only: the lexicon is not fitted to these sets. */
#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"
#include "detect/detect.h"

static void measure(const char *dir, const char *name) {
    char path[4096], line[16384];
    snprintf(path, sizeof(path), "%s/anomaly/template_labels/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        exit(1);
    }
    VEC(double) good = {0}, bad = {0};
    bool header = true;
    while (fgets(line, sizeof(line), f)) {
        if (!header && (line[0] == '0' || line[0] == '1') && line[1] == '\t') {
            double m = detect_failure_meaning(str_trim(str_c(line + 2)));
            if (getenv("MEANING_PRINT")) printf("%c %.2f %s", line[0], m, line + 2);
            if (line[0] == '1')
                vec_push(&bad, m);
            else
                vec_push(&good, m);
        }
        header = false;
    }
    fclose(f);
    double wins = 0;
    for (size_t i = 0; i < bad.n; i++) {
        for (size_t j = 0; j < good.n; j++) {
            wins += bad.v[i] > good.v[j] ? 1 : bad.v[i] < good.v[j] ? 0 : 0.5;
        }
    }
    printf("%s: %zu normal, %zu abnormal, ROC area %.3f\n", name, good.n, bad.n,
           wins / ((double)bad.n * (double)good.n));
    for (double t = 0.3; t < 0.95; t += 0.2) {
        size_t tp = 0, fp = 0;
        for (size_t i = 0; i < bad.n; i++) tp += bad.v[i] >= t;
        for (size_t i = 0; i < good.n; i++) fp += good.v[i] >= t;
        double p = tp + fp ? (double)tp / (double)(tp + fp) : 0, r = (double)tp / (double)bad.n;
        printf("  meaning >= %.1f: P %.3f R %.3f F1 %.3f\n", t, p, r,
               p + r > 0 ? 2 * p * r / (p + r) : 0);
    }
    vec_release(&good);
    vec_release(&bad);
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : getenv("FAULTLINE_DATA");
    if (!dir) {
        fprintf(stderr, "usage: meaning DATADIR (or FAULTLINE_DATA)\n");
        return 2;
    }
    measure(dir, "templates_bgl.tsv");
    measure(dir, "templates_spirit.tsv");
    return 0;
}
