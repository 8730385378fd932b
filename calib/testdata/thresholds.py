"""numpy's reading of calib's definitions, from raw values.

Nothing here knows of calib's histograms: every figure comes from the values
themselves, in the plainest way that ends in time.
"""
import numpy as np


def squared_error(a, t):
    """The mean squared error of symmetric INT8 with the threshold t."""
    s = t / 127
    return float(np.mean((a - s * np.clip(np.rint(a / s), -127, 127)) ** 2))


def mse(a):
    """The threshold with the least squared error: 1 % steps down to a seventh of
    absmax, then 0.1 % steps around the best."""
    coarse = a.max() * 1.01 ** -np.arange(0, 200.0)
    best = coarse[np.argmin([squared_error(a, t) for t in coarse])]
    fine = np.minimum(best * 1.001 ** np.arange(-12, 13.0), a.max())
    return float(fine[np.argmin([squared_error(a, t) for t in fine])])


def divergence(h, i):
    """The divergence of GTC 2017's slides when the first i bins are kept."""
    p = h[:i].copy()
    p[-1] += h[i:].sum()
    level = np.arange(i) * 128 // i
    full = h[:i] > 0
    share = np.bincount(level, h[:i], 128) / np.maximum(1, np.bincount(level[full], minlength=128))
    q = np.where(full, share[level], 0)
    if not q.any():
        return np.inf
    p, q = p / p.sum(), q / q.sum()
    used = p > 0
    if (q[used] == 0).any():
        return np.inf
    return float(np.sum(p[used] * np.log(p[used] / q[used])))


def entropy(a):
    """The threshold of least divergence: bins whose width is the power of two that
    makes more than 2,048 of them."""
    w = 2.0 ** np.frexp(a.max())[1] / 4096
    n = int(a.max() / w) + 1
    h = np.histogram(a, n, (0, n * w))[0].astype(np.float64)
    last = {i: divergence(h, i) for i in range(128, n + 1)}
    least = min(last.values())
    i = max(i for i, d in last.items() if d == least)
    return float(min(a.max(), (i + 0.5) * w))


def judge(v, width):
    """Everything that the test compares, of the values v of a tensor whose last
    axis is width wide."""
    x = v.astype(np.float64)
    a = np.abs(x)
    d = x - x.mean()
    rows = x.reshape(-1, width)
    return {
        "lo": float(v.min()), "hi": float(v.max()), "zeros": int((v == 0).sum()), "count": v.size,
        "below": [np.percentile(a, p, method="lower") for p in (50, 99, 99.9, 99.99)],
        "above": [np.percentile(a, p, method="higher") for p in (50, 99, 99.9, 99.99)],
        "mean": x.mean(), "m2": (d**2).sum(), "m3": (d**3).sum(), "m4": (d**4).sum(), "kurtosis": (d**4).mean() / (d**2).mean() ** 2,
        "channel_lo": rows.min(0).tolist(), "channel_hi": rows.max(0).tolist(), "channel_rms": np.sqrt((rows**2).mean(0)).tolist(),
        "channel_mean": rows.mean(0).tolist(),
        "mse": mse(a), "entropy": entropy(a),
    }
