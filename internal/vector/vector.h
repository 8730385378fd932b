#include <stdint.h>

// sum_exp is the sum of exp(v[i] - most) of n values, none of which is above most.
double sum_exp(const float *v, int64_t n, double most);

// largest is the index of the largest of n > 0 values, the first of equals. A NaN in
// front stays the largest, others are passed over.
int64_t largest(const float *v, int64_t n);
