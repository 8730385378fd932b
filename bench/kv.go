package bench

// KVHost is the warning of samples that were taken on a GPU with the cache on the
// host: it crosses the bus twice a step, so their times per token are not the
// GPU's and enter no recommendation.
const KVHost = "kv: host"
