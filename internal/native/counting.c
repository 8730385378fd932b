//go:build cgo

#include "counting.h"

#include <string.h>

#include "clones.h"

/* Every copy gives the same bits, for no sum's order and no product hangs on how wide a
 * register is. */
enum { LANES = 8, BINS = 1 << 14, BLOCK = 256, COLUMNS = 512 };

typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef double doubles __attribute__((vector_size(LANES * sizeof(double))));

EACH_CPU void loops_extremes(const int32_t *bits, long n, int32_t *least, int32_t *most) {
    int32_t lo = INT32_MAX, hi = INT32_MIN;
    for (long i = 0; i < n; i++) {
        int32_t o = bits[i] ^ ((bits[i] >> 31) & INT32_MAX);
        lo = o < lo ? o : lo;
        hi = o > hi ? o : hi;
    }
    *least = lo;
    *most = hi;
}

/* Macros, as a function of vectors would not be part of the clones. */
#define WIDEN(to, from)                          \
    do {                                         \
        floats narrow;                           \
        memcpy(&narrow, from, sizeof narrow);    \
        to = __builtin_convertvector(narrow, doubles); \
    } while (0)
#define TOTAL(a) (((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])))

EACH_CPU void loops_moments(const float *values, long n, double moments[4]) {
    doubles d, sums = {0}, a2 = {0}, a3 = {0}, a4 = {0};
    long whole = n - n % LANES;
    for (long i = 0; i < whole; i += LANES) {
        WIDEN(d, values + i);
        sums += d;
    }
    double sum = TOTAL(sums);
    for (long i = whole; i < n; i++) sum += values[i];
    double mean = sum / (double)n;
    for (long i = 0; i < whole; i += LANES) {
        WIDEN(d, values + i);
        d -= mean;
        doubles dd = d * d;
        a2 += dd;
        a3 += dd * d;
        a4 += dd * dd;
    }
    double m2 = TOTAL(a2), m3 = TOTAL(a3), m4 = TOTAL(a4);
    for (long i = whole; i < n; i++) {
        double e = values[i] - mean, ee = e * e;
        m2 += ee;
        m3 += ee * e;
        m4 += ee * ee;
    }
    moments[0] = mean;
    moments[1] = m2;
    moments[2] = m3;
    moments[3] = m4;
}

EACH_CPU long loops_tally(const float *values, long n, float one, float two, int64_t *counts) {
    int32_t at[BLOCK]; /* all that is not counting is done for a block at once */
    long zeros = 0;
    for (; n > 0; values += BLOCK, n -= BLOCK) {
        long m = n < BLOCK ? n : BLOCK;
        for (long i = 0; i < m; i++) {
            int32_t bin = (int32_t)(values[i] * one * two);
            bin = bin < 0 ? -bin : bin;
            at[i] = values[i] == 0 ? BINS : bin;
        }
        for (long i = 0; i < m; i++) {
            if (at[i] == BINS) zeros++;
            else counts[at[i] & (BINS - 1)]++;
        }
    }
    return zeros;
}

EACH_CPU void loops_columns(const float *values, long n, long width, float *restrict lo, float *restrict hi,
                          double *restrict sums, double *restrict squares) {
    for (long from = 0; from < width; from += COLUMNS) { /* so many stay in the first cache */
        long to = width - from < COLUMNS ? width : from + COLUMNS;
        for (const float *row = values; row < values + n; row += width) {
            for (long i = from; i < to; i++) {
                float v = row[i];
                double w = v;
                lo[i] = v < lo[i] ? v : lo[i];
                hi[i] = v > hi[i] ? v : hi[i];
                sums[i] += w;
                squares[i] += w * w;
            }
        }
    }
}
