"""Linear centred kernel alignment without its small-sample bias, with a jackknife over speakers."""

from __future__ import annotations

import numpy as np

from analysis.result import Estimate


def gram(x: np.ndarray) -> np.ndarray:
    """Return the linear Gram matrix of centred rows, ``(n, D)`` -> ``(n, n)``, its diagonal set to 0."""
    x = np.asarray(x, dtype=np.float64)
    x = x - x.mean(axis=0)
    k = x @ x.T
    np.fill_diagonal(k, 0.0)
    return k


def debiased_hsic(k: np.ndarray, other: np.ndarray) -> float:
    """Return the unbiased Hilbert-Schmidt independence criterion (Song et al. 2012).

    Parameters
    ----------
    k, other : np.ndarray [shape=(n, n)]
        Gram matrices with zero diagonals, n > 3.
    """
    n = len(k)
    rows, other_rows = k.sum(axis=1), other.sum(axis=1)
    return _hsic(float(np.sum(k * other)), rows.sum(), other_rows.sum(), float(rows @ other_rows), n)


def _hsic(product: float, total: float, other_total: float, rows: float, n: int) -> float:
    """Return the criterion from the four sums it needs."""
    mixed = total * other_total / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
    return (product + mixed) / (n * (n - 3))


def debiased_cka(k: np.ndarray, other: np.ndarray) -> float:
    """Return debiased linear CKA: 0 when independent, 1 for itself (Kornblith et al. 2019)."""
    scale = debiased_hsic(k, k) * debiased_hsic(other, other)
    return debiased_hsic(k, other) / np.sqrt(scale) if scale > 0 else 0.0


def cka_without_each_group(k: np.ndarray, other: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the debiased CKA with each group left out in turn, shape ``(n_groups,)``.

    Resampling with replacement would put equal clips side by side and inflate similarity: hence a jackknife.
    """
    _, index = np.unique(groups, return_inverse=True)
    member = np.zeros((len(k), index.max() + 1))
    member[np.arange(len(k)), index] = 1.0
    left = len(k) - member.sum(axis=0)  # (G,)

    def parts(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = a * b
        sums = product.sum() - 2 * member.T @ product.sum(axis=1) + _inside(product, member)
        a_rows, b_rows = (m.sum(axis=1)[:, None] - m @ member for m in (a, b))  # (n, G): sums over the rest
        outside = 1 - member
        a_total, b_total = (a_rows * outside).sum(axis=0), (b_rows * outside).sum(axis=0)
        rows = (a_rows * b_rows * outside).sum(axis=0)
        mixed = a_total * b_total / ((left - 1) * (left - 2)) - 2 * rows / (left - 2)
        return (sums + mixed) / (left * (left - 3))

    scale = parts(k, k) * parts(other, other)
    return np.where(scale > 0, parts(k, other) / np.sqrt(np.maximum(scale, 1e-300)), 0.0)


def _inside(product: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return the sum of the block of each group."""
    return np.einsum("ng,ng->g", member, product @ member)


def jackknife(value: float, without: np.ndarray, n: int) -> Estimate:
    """Return `value` with a 95 % interval from its leave-one-group-out values (Tukey 1958)."""
    count = len(without)
    error = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, n)
