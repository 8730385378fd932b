/* The loops of counting that see every value; see loops.go of calib for what each gives. */
#ifndef TRTFORGE_COUNTING_H
#define TRTFORGE_COUNTING_H

#include <stdint.h>

/* The least and the greatest of n > 0 floats, given as their bits, in the order of integers. */
void loops_extremes(const int32_t *bits, long n, int32_t *least, int32_t *most);

/* The mean and the sums of the second to fourth powers of the deviations from it; n > 0. */
void loops_moments(const float *values, long n, double moments[4]);

/* Adds magnitudes times one times two to counts; the result is how many are zero. */
long loops_tally(const float *values, long n, float one, float two, int64_t *counts);

/* Adds rows that are width wide to what is kept of each column. */
void loops_columns(const float *values, long n, long width, float *restrict lo, float *restrict hi,
                   double *restrict sums, double *restrict squares);

#endif
