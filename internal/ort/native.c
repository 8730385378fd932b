//go:build cgo

#define _GNU_SOURCE
#include "native.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* ONNX Runtime's API is a table of functions that only ever grows, so an entry is known by its
 * place. The places stand here, and not the header of 8,000 lines, which is in another module;
 * a test holds them against it. */
enum {
    GetErrorMessage = 2,
    CreateTensorWithDataAsOrtValue = 49,
    CreateMemoryInfo = 68,
    AllocatorAlloc = 75,
    AllocatorFree = 76,
    ReleaseStatus = 93,
    ReleaseMemoryInfo = 94,
    ReleaseValue = 96,
    CreateAllocator = 131,
    ReleaseAllocator = 132,
    RunWithBinding = 133,
    BindInput = 136,
    BindOutput = 137,
    SynchronizeBoundOutputs = 203,
    GetKeyValue = 297,
    EpDevice_EpOptions = 315,
    Session_GetEpGraphAssignmentInfo = 407,
    EpAssignedSubgraph_GetEpName = 408,
    EpAssignedSubgraph_GetNodes = 409,
    EpAssignedNode_GetName = 410,
    EpAssignedNode_GetDomain = 411,
    EpAssignedNode_GetOperatorType = 412,
};

/* The version of the API that has all of them, which onnxruntime_go asks for too. */
enum { api_version = 29 };

/* Of ONNX Runtime's own enumerations. */
enum { allocator_of_device = 0, memory_default = 0 };

static void *const *api; /* the table */

/* CALL calls an entry whose result is a status and gives what it says. */
#define CALL(entry, types, ...) told(((void *(*)types)api[entry])(__VA_ARGS__))

static char *told(void *status) {
    if (!status) return NULL;
    char *text = strdup(((const char *(*)(const void *))api[GetErrorMessage])(status));
    ((void (*)(void *))api[ReleaseStatus])(status);
    return text ? text : strdup("ONNX Runtime failed and did not say why");
}

char *native_load(const char *library) {
    struct base {
        void *const *(*get)(uint32_t);
        const char *(*version)(void);
    };
    void *lib = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    if (!lib) return strdup("the library is not loaded");
    const struct base *(*base)(void) = (const struct base *(*)(void))dlsym(lib, "OrtGetApiBase");
    dlclose(lib); /* whoever loaded it keeps it */
    if (!base) return strdup("the library has no OrtGetApiBase");
    api = base()->get(api_version);
    return api ? NULL : strdup("the library has no API version 29");
}

char *native_open(void *session, const char *name, int id, native_device *d) {
    char *bad = CALL(CreateMemoryInfo, (const char *, int, int, int, void **), name, allocator_of_device, id, memory_default, &d->info);
    if (bad) return bad;
    bad = CALL(CreateAllocator, (void *, void *, void **), session, d->info, &d->allocator);
    if (bad) native_close(d);
    return bad;
}

void native_close(native_device *d) {
    if (d->allocator) ((void (*)(void *))api[ReleaseAllocator])(d->allocator);
    if (d->info) ((void (*)(void *))api[ReleaseMemoryInfo])(d->info);
    d->allocator = d->info = NULL;
}

char *native_alloc(native_device *d, size_t bytes, void **memory) {
    return CALL(AllocatorAlloc, (void *, size_t, void **), d->allocator, bytes, memory);
}

char *native_free(native_device *d, void *memory) { return CALL(AllocatorFree, (void *, void *), d->allocator, memory); }

char *native_tensor(native_device *d, void *memory, size_t bytes, const int64_t *shape, size_t rank, int type, void **value) {
    return CALL(CreateTensorWithDataAsOrtValue, (void *, void *, size_t, const int64_t *, size_t, int, void **), d->info, memory, bytes, shape, rank, type, value);
}

void native_release(void *value) { ((void (*)(void *))api[ReleaseValue])(value); }

char *native_bind(void *binding, const char *name, void *value, int output) {
    return CALL(output ? BindOutput : BindInput, (void *, const char *, void *), binding, name, value);
}

char *native_run(void *session, void *options, void *binding) {
    char *bad = CALL(RunWithBinding, (void *, void *, void *), session, options, binding);
    return bad ? bad : CALL(SynchronizeBoundOutputs, (void *), binding);
}

char *native_subgraphs(void *session, void *const **subgraphs, size_t *count) {
    return CALL(Session_GetEpGraphAssignmentInfo, (void *, void *const **, size_t *), session, subgraphs, count);
}

char *native_nodes(void *subgraph, const char **provider, void *const **nodes, size_t *count) {
    char *bad = CALL(EpAssignedSubgraph_GetEpName, (void *, const char **), subgraph, provider);
    return bad ? bad : CALL(EpAssignedSubgraph_GetNodes, (void *, void *const **, size_t *), subgraph, nodes, count);
}

char *native_node(void *node, const char **name, const char **domain, const char **op) {
    char *bad = CALL(EpAssignedNode_GetName, (void *, const char **), node, name);
    if (!bad) bad = CALL(EpAssignedNode_GetDomain, (void *, const char **), node, domain);
    return bad ? bad : CALL(EpAssignedNode_GetOperatorType, (void *, const char **), node, op);
}

const char *native_option(const void *device, const char *name) {
    const void *all = ((const void *(*)(const void *))api[EpDevice_EpOptions])(device);
    return all ? ((const char *(*)(const void *, const char *))api[GetKeyValue])(all, name) : NULL;
}
