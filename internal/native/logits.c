//go:build cgo

#include "logits.h"

#include <stdint.h>
#include <string.h>

#include "clones.h"

// Loops have so many independent lanes: floating-point sums may not be reordered by a
// compiler, so the order is written down.
enum { LANES = 16, BLOCK = 64 * LANES };

// exp_below is exp(x) for x <= 0, to 3e-13 of itself, and 0 below -700: with k the
// integer nearest to x / ln2, exp(x) = 2^k exp(r) and |r| <= ln2 / 2 so small that
// twelve terms of its series do.
static inline double exp_below(double x) {
	const double rounding = 0x1.8p52; // added to a small number, it leaves its nearest integer in the last bits
	double t = x * 1.4426950408889634 + rounding;
	double r = x - (t - rounding) * 0.6931471805599453;
	double p = 1.0 / 39916800;
	p = p * r + 1.0 / 3628800;
	p = p * r + 1.0 / 362880;
	p = p * r + 1.0 / 40320;
	p = p * r + 1.0 / 5040;
	p = p * r + 1.0 / 720;
	p = p * r + 1.0 / 120;
	p = p * r + 1.0 / 24;
	p = p * r + 1.0 / 6;
	p = p * r + 1.0 / 2;
	p = p * r + 1;
	p = p * r + 1;
	uint64_t k;
	memcpy(&k, &t, sizeof k);
	k = (k + 1023) << 52; // the bits of 2^k
	double power;
	memcpy(&power, &k, sizeof power);
	return x < -700 ? 0 : p * power;
}

EACH_CPU double sum_exp(const float *v, long n, double most) {
	double lanes[LANES] = {0}, sum = 0;
	long i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++)
			lanes[j] += exp_below(v[i + j] - most);
	for (; i < n; i++)
		sum += exp_below(v[i] - most);
	for (int j = 0; j < LANES; j++)
		sum += lanes[j];
	return sum;
}

EACH_CPU static float block_largest(const float *v) {
	float lanes[LANES];
	memcpy(lanes, v, sizeof lanes);
	for (int i = LANES; i < BLOCK; i += LANES)
		for (int j = 0; j < LANES; j++)
			lanes[j] = v[i + j] > lanes[j] ? v[i + j] : lanes[j];
	float best = lanes[0];
	for (int j = 1; j < LANES; j++)
		best = lanes[j] > best ? lanes[j] : best;
	return best;
}

long largest(const float *v, long n) {
	float best = v[0];
	long from = 0, i = 0; // from: where to look for best
	for (; i + BLOCK <= n; i += BLOCK) {
		float found = block_largest(v + i);
		if (found > best)
			best = found, from = i;
	}
	for (; i < n; i++)
		if (v[i] > best)
			best = v[i], from = i;
	if (best != best) // a NaN in front
		return 0;
	while (v[from] != best)
		from++;
	return from;
}
