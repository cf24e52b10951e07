"""Compile what models run on before somebody waits for it."""

from __future__ import annotations

import torch

from models.classifier import SpikingClassifier
from models.config import Recipe


def compile_kernels(recipe: str = "gsc8-residual-35k") -> None:
    """Run a shipped recipe's untrained model and its gradients once.

    Twenty seconds the first time after an installation; from then on the compiled code comes from the disk.
    """
    model = SpikingClassifier.from_seed(Recipe.open(recipe), 2).eval()
    n_bands = len(model.feature_mean)
    with torch.inference_mode():
        model(torch.zeros(2, 10, n_bands))
    model(torch.zeros(2, 10, n_bands)).logits.sum().backward()
