/* The CUDA runtime as far as py/plan.py uses it, on the host's memory. A limit on what
   is taken at once stands in for a small device. */
#include <stdlib.h>
#include <string.h>

static size_t taken;
int cudaStreamCreate(void **s) { *s = (void *)1; return 0; }
int cudaStreamSynchronize(void *s) { return s == (void *)1 ? 0 : 400; }
int cudaMemcpy(void *to, const void *from, size_t n, int kind) { (void)kind; memcpy(to, from, n); return 0; }
int cudaMemset(void *p, int v, size_t n) { memset(p, v, n); return 0; }
int cudaMalloc(void **p, size_t n) {
  const char *limit = getenv("FAKE_DEVICE_BYTES");
  if (limit && taken + n > strtoull(limit, 0, 10)) return 2;
  size_t *at = malloc(n + 16);
  *at = n; taken += n; *p = (char *)at + 16;
  memset(*p, 0xff, n); /* what was never written is NaN */
  return 0;
}
int cudaFree(void *p) { size_t *at = (size_t *)((char *)p - 16); taken -= *at; free(at); return 0; }
