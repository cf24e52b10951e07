"""Which code runs a loop over time, compiled or plain torch, and on how many threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from models.errors import SpikelensError

CHOICES = ("auto", "compiled", "plain")
_VARIABLE = "SPIKELENS_KERNELS"
_BLOCKS_PER_THREAD = 4
_DTYPES = (torch.float32, torch.float64)
_chosen: ContextVar[str | None] = ContextVar("kernels", default=None)


@contextmanager
def kernels(choice: str) -> Iterator[None]:
    """Run what is inside with ``auto``, ``compiled`` or ``plain`` loops.

    ``auto``, the default (also of the environment variable SPIKELENS_KERNELS): compiled for 32 and 64 bit
    floats in this machine's memory, plain for all else, other devices among them. Under ``compiled`` a tensor
    the kernels cannot take is an error.
    """
    token = _chosen.set(_known(choice, "kernels"))
    try:
        yield
    finally:
        _chosen.reset(token)


def compiled(tensor: torch.Tensor) -> bool:
    """Tell whether the compiled kernels are to run on this tensor."""
    choice = _chosen.get() or _known(os.environ.get(_VARIABLE, "auto"), _VARIABLE)
    fits = tensor.device.type == "cpu" and tensor.dtype in _DTYPES
    if choice == "compiled" and not fits:
        raise SpikelensError(
            "kernels: compiled loops take float32 and float64 on the CPU, "
            f"not {tensor.dtype} on {tensor.device}"
        )
    return fits and choice != "plain"


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's values as a contiguous array, without a copy where they lie so."""
    return np.ascontiguousarray(tensor.detach().numpy())


def in_blocks(kernel: Callable[..., Any], n_items: int, *arguments: Any) -> list[Any]:
    """Call ``kernel(*arguments, start, stop)`` on ranges that cover the items, on as many threads as torch.

    A range is worked on by one thread for the whole sequence. There are more ranges than threads and each
    takes the next when it is done, so a core that is busy with something else gets fewer; nobody waits
    spinning.
    """
    n_threads = max(1, min(torch.get_num_threads(), n_items))
    if n_threads == 1:
        return [kernel(*arguments, 0, n_items)]
    n_blocks = min(n_items, _BLOCKS_PER_THREAD * n_threads)
    edges = [n_items * k // n_blocks for k in range(n_blocks + 1)]
    waiting = iter(range(n_blocks))
    results: list[Any] = [None] * n_blocks

    def work() -> None:
        while (k := next(waiting, None)) is not None:
            results[k] = kernel(*arguments, edges[k], edges[k + 1])

    others = [_pool(n_threads - 1).submit(work) for _ in range(n_threads - 1)]
    work()
    for other in others:
        if not other.cancel():  # one that never got a core has nothing left to do
            other.result()
    return results


def _known(choice: str, name: str) -> str:
    if choice not in CHOICES:
        raise SpikelensError(f"{name}: {choice!r} is not one of {', '.join(CHOICES)}")
    return choice


@lru_cache(maxsize=4)
def _pool(n_workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_workers, thread_name_prefix="spikelens-kernel")
