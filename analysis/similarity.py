"""Linear centred kernel alignment without small-sample bias, in batches, with a jackknife over speakers."""

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


class CkaSums:
    """Debiased linear CKA (Kornblith et al. 2019) gathered over batches of clips.

    The criterion is unbiased in each batch, so its mean over batches is too, and time and memory grow with
    the clips, not with their square (Nguyen et al. 2021). One batch gives the CKA of its clips.
    """

    def __init__(self, n_parts: int, n_permutations: int = 0):
        self._whole = np.zeros((3, 1))  # own, other, cross
        self._without = np.zeros((3, n_parts))
        self._permuted = np.zeros(n_permutations)

    def add(
        self,
        k: np.ndarray,
        other: np.ndarray,
        parts: np.ndarray | None = None,
        orders: np.ndarray | None = None,
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        k, other : np.ndarray [shape=(b, b)]
            From `gram`; batches of about equal size.
        parts : np.ndarray [shape=(b,), int], optional
            See `hsic_without_each`.
        orders : np.ndarray [shape=(P, b), int], optional
            Permutations of the clips of `other`: the null.
        """
        pairs = ((k, k), (other, other), (k, other))
        for i, pair in enumerate(pairs):
            self._whole[i] += debiased_hsic(*pair)
            if parts is not None:
                self._without[i] += hsic_without_each(*pair, parts, self._without.shape[1])
        if orders is not None:
            self._permuted += [debiased_hsic(k, other[order][:, order]) for order in orders]

    @property
    def defined(self) -> bool:
        """Tell whether both sides vary, without which there is no CKA."""
        return bool((self._whole[:2] > 0).all())

    @property
    def value(self) -> float:
        """Return the CKA: 0 when independent, 1 for itself, 0 where a side does not vary."""
        return float(_ratio(self._whole)[0])

    @property
    def without(self) -> np.ndarray:
        """Return the CKA with each part left out, ``(n_parts,)``."""
        return _ratio(self._without)

    @property
    def null(self) -> np.ndarray:
        """Return the CKA under each permutation, ``(P,)``."""
        return self._permuted / np.sqrt(self._whole[0] * self._whole[1])


def _ratio(sums: np.ndarray) -> np.ndarray:
    scale = sums[0] * sums[1]
    return np.where(scale <= 0, 0.0, sums[2] / np.sqrt(np.where(scale <= 0, 1.0, scale)))


def debiased_cka(k: np.ndarray, other: np.ndarray) -> float:
    """Return the debiased linear CKA of two Gram matrices."""
    sums = CkaSums(0)
    sums.add(k, other)
    return sums.value


def jackknife(value: float, without: np.ndarray, n: int) -> Estimate:
    """Return `value` with a 95 % interval from its leave-one-group-out values (Tukey 1958).

    No interval where leaving out a group leaves nothing to measure.
    """
    count = len(without)
    if count < 2 or not np.isfinite(without).all():
        return Estimate(value, n=n)
    error = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, n)
