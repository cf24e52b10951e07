"""Linear centred kernel alignment without small-sample bias, in batches, with a jackknife over speakers."""

from __future__ import annotations

from collections.abc import Sequence

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
    mixed = rows.sum() * other_rows.sum() / ((n - 1) * (n - 2)) - 2 * float(rows @ other_rows) / (n - 2)
    return float((np.sum(k * other) + mixed) / (n * (n - 3)))


def hsic_without_each(k: np.ndarray, other: np.ndarray, parts: np.ndarray, n_parts: int) -> np.ndarray:
    """Return the criterion with each part of the clips left out in turn.

    Resampling with replacement would put equal clips side by side and inflate similarity: hence a jackknife.

    Parameters
    ----------
    parts : np.ndarray [shape=(n,), int]
        Below `n_parts`; a part may be empty.

    Returns
    -------
    np.ndarray [shape=(n_parts,)]
        Not-a-number where fewer than four clips are left.
    """
    if n_parts == 0:
        return np.empty(0)
    member = np.eye(n_parts)[parts]  # (n, G)
    outside, left = 1 - member, len(k) - member.sum(axis=0)
    product = k * other
    inside = np.einsum("ng,ng->g", member, product @ member)
    sums = product.sum() - 2 * member.T @ product.sum(axis=1) + inside
    rows, other_rows = (m.sum(axis=1)[:, None] - m @ member for m in (k, other))  # (n, G): over the rest
    totals = (rows * outside).sum(axis=0) * (other_rows * outside).sum(axis=0)
    both = (rows * other_rows * outside).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = sums + totals / ((left - 1) * (left - 2)) - 2 * both / (left - 2)
        return np.where(left > 3, found / (left * (left - 3)), np.nan)


def hsic_permuted(k: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the criterion of `k` and the linear Gram matrix of `y` under permutations of its rows.

    For few columns: the Gram matrices are never built.

    Parameters
    ----------
    k : np.ndarray [shape=(n, n)]
        From `gram`.
    y : np.ndarray [shape=(n, E)]
    orders : np.ndarray [shape=(P, n), int]

    Returns
    -------
    np.ndarray [shape=(P,)]
    """
    n = len(k)
    y = np.asarray(y, np.float64) - np.mean(y, axis=0)
    permuted = y[orders]  # (P, n, E)
    products = np.einsum("pne,pne->p", k @ permuted, permuted)
    rows, own = k.sum(axis=1), np.square(y).sum(axis=1)  # centred rows sum to zero, so theirs sum to -own
    mixed = -rows.sum() * own.sum() / ((n - 1) * (n - 2)) + 2 * (own[orders] @ rows) / (n - 2)
    return (products + mixed) / (n * (n - 3))


class CkaSums:
    """Debiased linear CKA (Kornblith et al. 2019) of one code with others, gathered over batches of clips.

    The criterion is unbiased in each batch, so its mean over batches is too, and time and memory grow with
    the clips, not with their square (Nguyen et al. 2021). One batch gives the CKA of its clips.

    Parameters
    ----------
    n_others : int
    n_parts : int
        Into which the clips are divided for the jackknife, see `hsic_without_each`.
    """

    def __init__(self, n_others: int, n_parts: int = 0):
        self._n_parts = n_parts
        self._own = np.zeros(1 + n_parts)  # of all clips, then without each part
        self._others, self._cross = np.zeros((2, n_others, 1 + n_parts))
        self._permuted: list[np.ndarray | float] = [0.0] * n_others

    def add(self, k: np.ndarray, others: Sequence[np.ndarray], parts: np.ndarray) -> None:
        """Add a batch: Gram matrices ``(b, b)`` from `gram`, and the part of each clip ``(b,)``."""
        self._own += self._hsic(k, k, parts)
        for i, other in enumerate(others):
            self._others[i] += self._hsic(other, other, parts)
            self._cross[i] += self._hsic(k, other, parts)

    def add_null(self, index: int, permuted: np.ndarray) -> None:
        """Add the criterion of a batch with one of the others permuted, ``(P,)``."""
        self._permuted[index] = self._permuted[index] + permuted

    def _hsic(self, k: np.ndarray, other: np.ndarray, parts: np.ndarray) -> np.ndarray:
        return np.r_[debiased_hsic(k, other), hsic_without_each(k, other, parts, self._n_parts)]

    def defined(self, index: int) -> bool:
        """Tell whether both sides vary, without which there is no CKA."""
        return bool(self._own[0] > 0 and self._others[index, 0] > 0)

    def values(self, index: int) -> np.ndarray:
        """Return the CKA with one of the others, ``(1 + n_parts,)``: of all clips, then without each part.

        0 when independent, 1 for itself, 0 where a side does not vary.
        """
        scale = self._own * self._others[index]
        return np.where(scale <= 0, 0.0, self._cross[index] / np.sqrt(np.where(scale <= 0, 1.0, scale)))

    def null(self, index: int) -> np.ndarray:
        """Return the CKA under each permutation, ``(P,)``."""
        return np.asarray(self._permuted[index] / np.sqrt(self._own[0] * self._others[index, 0]))


def debiased_cka(k: np.ndarray, other: np.ndarray) -> float:
    """Return the debiased linear CKA of two Gram matrices."""
    sums = CkaSums(1)
    sums.add(k, [other], np.zeros(len(k), int))
    return float(sums.values(0)[0])


def jackknife(value: float, without: np.ndarray, n: int) -> Estimate:
    """Return `value` with a 95 % interval from its leave-one-group-out values (Tukey 1958).

    No interval where leaving out a group leaves nothing to measure.
    """
    count = len(without)
    if count < 2 or not np.isfinite(without).all():
        return Estimate(value, n=n)
    error = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, n)
