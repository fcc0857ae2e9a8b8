#include "base/defs.h"

int main(void) { return 0; }
