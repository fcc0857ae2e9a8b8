#include "base/nearest.h"

/* Edits (insert, delete, replace, swap neighbours) that turn a into b: optimal string alignment. */
static size_t edit_distance(str a, str b) {
    size_t row[3][NEAREST_BYTES_MAX + 1];
    if (a.n > NEAREST_BYTES_MAX || b.n > NEAREST_BYTES_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++) row[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *cur = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];
        cur[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t replaced = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            cur[j] = MIN(replaced, MIN(up[j], cur[j - 1]) + 1);
            bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
            if (swapped) cur[j] = MIN(cur[j], up2[j - 2] + 1);
        }
    }
    return row[a.n % 3][b.n];
}

/* Far names are no help: a third of the letters may differ, unless `given` is how the name begins.
 */
void nearest_offer(nearest *best, str name) {
    size_t distance = edit_distance(best->given, name);
    bool begins = best->given.n >= 2 && str_starts(name, best->given);
    if (begins) distance = 1;
    if (distance > MAX(best->given.n, name.n) / 3 && !begins) return;
    if (best->name.n == 0 || distance < best->distance) {
        best->name = name;
        best->distance = distance;
    }
}

void nearest_word(nearest *best, str list, char separator) {
    for (str word; str_next(&list, separator, &word);) nearest_offer(best, word);
}
