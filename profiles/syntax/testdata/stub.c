/* Stands where libnvinfer.so.10 and libnvonnxparser.so.10 are looked for: what ONNX Runtime's
 * TensorRT EP links to, and what its option parser never calls. */
#define ABSENT(name) void *name(void) { return 0; }
ABSENT(createInferBuilder_INTERNAL)
ABSENT(createInferRuntime_INTERNAL)
ABSENT(createInferRefitter_INTERNAL)
ABSENT(getPluginRegistry)
ABSENT(createNvOnnxParser_INTERNAL)
ABSENT(createNvOnnxParserRefitter_INTERNAL)
int getInferLibVersion(void) { return 101300; }
