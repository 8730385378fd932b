/* EACH_CPU makes a copy of a function for each generation of x86 processors; which one
 * runs is found out at the start. It takes gcc 12 and glibc; others get one copy. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_CPU
#endif
