"""The untrained twin: the same network before it learned anything, fairly normalised."""

from __future__ import annotations

import numpy as np
import torch

from models.classifier import SpikingClassifier
from models.config import Recipe

_BATCH = 256


def untrained_twin(
    recipe: Recipe, n_classes: int, trained: SpikingClassifier, train_log_mel: np.ndarray
) -> SpikingClassifier:
    """Rebuild the initial weights from the seed and estimate batch-norm statistics on training features.

    With batch norm's initial statistics most hidden units would be silent and any training would look
    wonderful; one pass over the training features makes the comparison fair.

    Parameters
    ----------
    recipe : Recipe
    n_classes : int
    trained : SpikingClassifier
        Gives the feature normalisation and a frozen encoder's fitted values.
    train_log_mel : np.ndarray [shape=(n, T, F)]

    Returns
    -------
    SpikingClassifier
        In evaluation mode, no gradients required.
    """
    twin = SpikingClassifier.from_seed(recipe, n_classes)
    twin.load_state_dict(dict(trained.named_buffers()), strict=False)  # normalisation and fitted steps
    norms = [module for module in twin.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average: every batch weighs the same
    twin.train()
    generator = torch.Generator().manual_seed(recipe.seed)
    order = torch.randperm(len(train_log_mel), generator=generator).numpy()  # clips lie sorted by word
    with torch.no_grad():
        for start in range(0, len(order), _BATCH):
            rows = np.sort(order[start : start + _BATCH])
            twin(torch.from_numpy(train_log_mel[rows]), generator=generator)
    return twin.eval().requires_grad_(False)
