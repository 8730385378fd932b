#ifndef TRTFORGE_LOGITS_H
#define TRTFORGE_LOGITS_H

// sum_exp is the sum of exp(v[i] - most) of n values, none of which is above most.
double sum_exp(const float *v, long n, double most);

// largest is the index of the largest of n > 0 values, the first of equals. A NaN in
// front stays the largest, others are passed over.
long largest(const float *v, long n);

#endif
