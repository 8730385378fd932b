"""What scipy and statsmodels say of the cases on standard input.

Each case is {"kind", "a", "b", ...}; the answer is a list of numbers a case, in order.
"""
import json, sys
import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

EXHAUSTIVE = stats.PermutationMethod(n_resamples=np.inf)


def number(c, name):
    return np.array(c.get(name) or [], dtype=float)


def bootstrap(data, figure, method, c):
    r = stats.bootstrap(data, figure, method=method, n_resamples=c["resamples"], vectorized=True, paired=False,
                        confidence_level=c.get("level", 0.95), rng=np.random.default_rng(c["seed"]), batch=2000)
    return [float(r.confidence_interval.low), float(r.confidence_interval.high)]


def ratio(f):
    return lambda x, y, axis=-1: f(x, axis=axis) / f(y, axis=axis)


def case(c):
    a, b = number(c, "a"), number(c, "b")
    match c["kind"]:
        case "mannwhitney":  # method exact, normal or all rearrangements
            method = {"exact": "exact", "normal": "asymptotic", "all": EXHAUSTIVE}[c["method"]]
            r = stats.mannwhitneyu(a, b, method=method)
            return [float(r.statistic), float(r.pvalue)]
        case "wilcoxon":
            method = {"exact": "exact", "normal": "asymptotic", "all": EXHAUSTIVE, "auto": "auto"}[c["method"]]
            r = stats.wilcoxon(a, b, zero_method=c.get("zeros", "wilcox"), method=method)
            return [float(r.statistic), float(r.pvalue)]
        case "permutation":
            r = stats.permutation_test((a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, n_resamples=np.inf)
            return [float(r.statistic), float(r.pvalue)]
        case "paired":
            r = stats.permutation_test((a - b,), lambda d, axis: d.mean(axis), vectorized=True, n_resamples=np.inf,
                                       permutation_type="samples")
            return [float(r.statistic), float(r.pvalue)]
        case "kruskal":  # groups are a, b and both together
            r = stats.kruskal(a, b, np.concatenate([a, b]))
            return [float(r.statistic), float(r.pvalue)]
        case "holm":
            return [float(p) for p in multipletests(a, method="holm")[1]]
        case "wilson":
            return [float(v) for v in proportion_confint(c["k"], c["n"], method="wilson")]
        case "bca_mean":
            return bootstrap((a,), np.mean, "BCa", c)
        case "bca_deviation":
            return bootstrap((a,), lambda x, axis: x.std(axis=axis, ddof=1), "BCa", c)
        case "bca_ratio_of_means":
            return bootstrap((a, b), ratio(np.mean), "BCa", c)
        case "ratio_of_medians":
            return bootstrap((a, b), ratio(np.median), "percentile", c)
        case "quantile":  # exact, distribution-free
            r = stats.quantile_test(a, q=0, p=c["q"]).confidence_interval(0.95)
            return [float(r.low), float(r.high)]
        case "line":
            r = stats.linregress(np.log(a), np.log(b))
            return [float(r.slope), float(np.exp(r.intercept)), float(r.rvalue ** 2)]
        case "somers":  # Cliff's delta from the U of scipy
            u = stats.mannwhitneyu(a, b).statistic
            return [float(2 * u / (len(a) * len(b)) - 1)]
    raise ValueError(c["kind"])


json.dump([case(c) for c in json.load(sys.stdin)], sys.stdout)
