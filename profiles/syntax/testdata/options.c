/* Gives option maps to the option parser of ONNX Runtime's TensorRT EP.
 *
 * usage: options LIBONNXRUNTIME < MAPS > ANSWERS
 *
 * A map is the count of its options and a newline, then for each the lengths of key and value,
 * a newline, and both. An answer is "ok" or "no", the length of a text, a newline and the text:
 * all options as the parser holds them, or what it objects to.
 *
 * The header is the one that onnxruntime_go carries. TensorRT is not needed: the parser touches
 * none of it, so the test puts empty libraries in its place.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

/* what the methods that we call have been since ONNX Runtime 1.16 */
#define API 16

static char *text(int n) {
    char *s = malloc(n + 1);
    if (fread(s, 1, n, stdin) != (size_t)n) exit(3);
    s[n] = 0;
    return s;
}

static void answer(const char *word, const char *s) { printf("%s %zu\n%s", word, strlen(s), s); }

int main(int argc, char **argv) {
    void *lib = dlopen(argv[argc - 1], RTLD_NOW);
    if (!lib) return fprintf(stderr, "%s\n", dlerror()), 2;
    const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(lib, "OrtGetApiBase");
    const OrtApi *api = base ? base()->GetApi(API) : NULL;
    if (!api) return fprintf(stderr, "no API %d\n", API), 2;
    OrtEnv *env; /* the parser logs */
    if (api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "options", &env)) return 2;
    int n;
    while (scanf("%d\n", &n) == 1) {
        char **keys = calloc(n, sizeof *keys), **values = calloc(n, sizeof *values);
        for (int i = 0; i < n; i++) {
            int k, v;
            if (scanf("%d %d", &k, &v) != 2 || getchar() != '\n') return 3;
            keys[i] = text(k), values[i] = text(v);
        }
        OrtTensorRTProviderOptionsV2 *options = NULL;
        OrtStatus *bad = api->CreateTensorRTProviderOptions(&options);
        if (bad) return fprintf(stderr, "%s\n", api->GetErrorMessage(bad)), 2;
        bad = api->UpdateTensorRTProviderOptions(options, (const char *const *)keys, (const char *const *)values, n);
        if (bad) {
            answer("no", api->GetErrorMessage(bad));
            api->ReleaseStatus(bad);
        } else {
            OrtAllocator *allocator;
            char *held;
            if (api->GetAllocatorWithDefaultOptions(&allocator) || api->GetTensorRTProviderOptionsAsString(options, allocator, &held)) return 2;
            answer("ok", held);
        }
        api->ReleaseTensorRTProviderOptions(options);
    }
    return 0;
}
