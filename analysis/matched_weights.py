"""Which weights of which trainings stand beside each other at equal accuracy, and which pairs of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from analysis.arms import siblings
from analysis.model_clips import twin_of
from analysis.rule_arms import rule_label
from models.checkpoint import find_checkpoint, has_snapshots, load_snapshots, read_info

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.data.base import AudioDataset

UNTRAINED = "untrained"


@dataclass(frozen=True)
class Weights:
    """A checkpoint holding these weights, and its place in the comparison."""

    label: str
    checkpoint: Checkpoint
    epoch: int | None = None


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes
    ----------
    weights : list of Weights
        The training by feedback, BPTT beside it, other seeds, the untrained twin.
    pairs : list of (int, int)
        Places in `weights`.
    reached : bool
        BPTT has kept weights as accurate as the training's.
    caveats : list of str
    """

    weights: list[Weights]
    pairs: list[tuple[int, int]]
    reached: bool
    caveats: list[str]


def another_seed(name: str) -> str | None:
    """Return a training of the same recipe from another seed, one that kept epochs where there is one."""
    own = read_info(find_checkpoint(name))
    others = [info for info in siblings(own) if info.recipe.seed != own.recipe.seed]
    others.sort(key=lambda info: (not has_snapshots(info.folder), info.recipe.seed))
    return others[0].name if others else None


def weights_to_compare(
    checkpoint: Checkpoint, other: Checkpoint, second: Checkpoint | None, dataset: AudioDataset
) -> Comparison:
    """Choose the weights to compare, and which pairs of them."""
    target = checkpoint.metrics["validation"]["accuracy"]
    rule = Weights(rule_label(checkpoint.recipe.learning), checkpoint)
    matched, reached = _at_accuracy(other, target)
    weights, pairs = [rule, matched], [(0, 1)]
    caveats = []
    if matched.epoch is None:
        caveats.append(
            f"{other.name} kept no epochs (train with --snapshots N): its final weights stand here"
        )
    if checkpoint.data["digest"] != other.data["digest"]:
        caveats.append(f"{other.name} was trained on other data")
    if second is None:
        caveats.append(f"no other seed of {other.name} says how alike two trainings by BPTT are")
    else:
        third, _ = _at_accuracy(second, target)
        weights.append(replace(third, label=f"{third.label}, seed {second.recipe.seed}"))
        pairs.append((0, 2))
        if (third.epoch is None) == (matched.epoch is None):
            pairs.append((1, 2))
        else:
            caveats.append(
                f"{second.name if matched.epoch else other.name} kept no epochs: two seeds of BPTT are "
                "compared by their final weights"
            )
            weights.append(Weights(f"BPTT, final, seed {other.recipe.seed}", other))
            pairs.append((3, 2))
    twin = _of_weights(checkpoint, twin_of(checkpoint, dataset), UNTRAINED)
    weights.append(Weights(UNTRAINED, twin))
    pairs += [(0, len(weights) - 1), (1, len(weights) - 1)]
    if checkpoint.recipe.seed == other.recipe.seed:
        caveats.append(
            f"{rule.label} and {matched.label} began from the same weights: what both share with the "
            "untrained twin is inheritance"
        )
    return Comparison(weights, pairs, reached, caveats)


def _at_accuracy(checkpoint: Checkpoint, target: float) -> tuple[Weights, bool]:
    """Return the earliest kept epoch that reaches an accuracy on validation, else the best that there is.

    Without kept epochs these are the weights the training chose.
    """
    kept = load_snapshots(checkpoint.name)
    scores = {int(row["epoch"]): row["validation_accuracy"] for row in checkpoint.history}
    kept = {epoch: model for epoch, model in kept.items() if epoch in scores}
    if not kept:
        reached = checkpoint.metrics["validation"]["accuracy"] >= target
        return Weights("BPTT, final", checkpoint), reached
    reaching = [epoch for epoch in sorted(kept) if scores[epoch] >= target]
    epoch = reaching[0] if reaching else max(kept, key=lambda each: scores[each])
    held = _of_weights(checkpoint, kept[epoch], f"epoch {epoch}")
    return Weights(f"BPTT, epoch {epoch}", held, epoch), bool(reaching)


def _of_weights(checkpoint: Checkpoint, model: Any, what: str) -> Checkpoint:
    """Return a checkpoint with other weights, and a digest of its own."""
    digest = hashlib.sha256(f"{checkpoint.digest} {what}".encode()).hexdigest()
    return replace(checkpoint, model=model, digest=digest)
