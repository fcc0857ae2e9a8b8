/* multiple.c - multiple testing by Bonferroni: p_needed = alarms / tests, whatever the tests'
 * dependence. Rejected: false discovery rates (Benjamini-Hochberg): what is called a discovery
 * would depend on how much else was found. */
#include "algo/multiple.h"

#include <math.h>

double multiple_bits_needed(double tests, double alarms) {
    MUST(alarms > 0);
    return tests > alarms ? log2(tests / alarms) : 0;
}
