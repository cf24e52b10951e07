"""Verdicts that travel with a checkpoint, for those who do not have its recordings."""

from __future__ import annotations

from analysis.alignment import VerdictResult
from models.checkpoint import CheckpointInfo, find_checkpoint, read_info, write_atomically
from models.errors import SpikelensError


def _file(split: str) -> str:
    return "verdict.json" if split == "validation" else f"verdict-{split}.json"


def keep_verdict(verdict: VerdictResult) -> None:
    """Write a verdict beside the checkpoint it is of.

    Raises
    ------
    SpikelensError
        It is not of a checkpoint, or not on the data the checkpoint was trained on.
    """
    folder = find_checkpoint(verdict.provenance.subject)
    info = read_info(folder)
    if (verdict.provenance.checkpoint_digest, verdict.provenance.data_digest) != (
        info.digest,
        info.data["digest"],
    ):
        raise SpikelensError(f"--keep: the verdict is not of {info.name} on the data it was trained on")
    write_atomically(folder / _file(verdict.provenance.split), verdict.to_json().encode())


def kept_verdict(info: CheckpointInfo, split: str) -> VerdictResult | None:
    """Return the verdict that lies beside a checkpoint; None where there is none, or one of other weights."""
    path = info.folder / _file(split)
    try:
        verdict = VerdictResult.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    where = verdict.provenance
    return verdict if (where.checkpoint_digest, where.split) == (info.digest, split) else None
