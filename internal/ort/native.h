/* What ONNX Runtime's C API has and onnxruntime_go does not offer: tensors in the memory of a
 * device, run options with a binding, and which provider got which nodes.
 *
 * Pointers to ONNX Runtime's objects are void*, since they come from and go to another package.
 * A function returns NULL, or what went wrong, which the caller frees.
 */
#ifndef TRTFORGE_ORT_NATIVE_H
#define TRTFORGE_ORT_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* Finds the API in a library that the process has loaded. Before everything else. */
char *native_load(const char *library);

/* A device on which a session runs, by the name that ONNX Runtime's allocators have: "Cpu", "Cuda". */
typedef struct {
    void *info, *allocator;
} native_device;

char *native_open(void *session, const char *name, int id, native_device *device);
void native_close(native_device *device);
char *native_alloc(native_device *device, size_t bytes, void **memory);
char *native_free(native_device *device, void *memory);

/* A tensor over bytes of a device's memory, which stay the caller's. */
char *native_tensor(native_device *device, void *memory, size_t bytes, const int64_t *shape, size_t rank, int type, void **value);
void native_release(void *value);
char *native_bind(void *binding, const char *name, void *value, int output);

/* Runs what is bound, under run options; returns when outputs on a device are whole too. */
char *native_run(void *session, void *options, void *binding);

/* Which provider got which nodes of a session that recorded it. */
char *native_subgraphs(void *session, void *const **subgraphs, size_t *count);
char *native_nodes(void *subgraph, const char **provider, void *const **nodes, size_t *count);
char *native_node(void *node, const char **name, const char **domain, const char **op);

/* What a plugin's device says of an option, or NULL. The text is the device's. */
const char *native_option(const void *device, const char *name);

#endif
