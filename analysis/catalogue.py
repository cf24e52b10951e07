"""The analyses by name: what each needs, run once and kept. Pages and command line both go through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analysis.result import Result
from analysis.store import cached
from analysis.subjects import Subject

Progress = Callable[[float, str], None]


def run(
    analysis: str,
    subject: Subject,
    *,
    split: str = "validation",
    progress: Progress | None = None,
    **settings: Any,
) -> Result:
    """Run one analysis on one subject, or read what an earlier run with the same settings found.

    Parameters
    ----------
    analysis : str
        A key of `ANALYSES`.
    subject : Subject
    split : str
        Where the numbers are measured; fitting uses the training split.
    **settings
        Passed to the analysis; part of the key under which the result is kept.
    """
    result_type, function = ANALYSES[analysis]()
    settings = {key: value for key, value in settings.items() if value is not None}
    command = command_line(analysis, subject, split, settings)
    return cached(
        result_type,
        _key(analysis, subject.digest, split, settings),
        lambda: function(subject, split=split, progress=progress, command=command, **settings),
    )


def stored(analysis: str, digest: str, *, split: str = "validation", **settings: Any) -> Result | None:
    """Return what an earlier `run` with these settings found on the subject of this digest, or None."""

    def absent() -> Result:
        raise _Absent

    result_type, _ = ANALYSES[analysis]()
    try:
        return cached(result_type, _key(analysis, digest, split, settings), absent)
    except _Absent:
        return None


class _Absent(Exception):
    pass


def _key(analysis: str, digest: str, split: str, settings: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in settings.items() if value is not None}
    return {"analysis": analysis, "subject": digest, "split": split, **given}


def command_line(analysis: str, subject: Subject, split: str, settings: dict[str, Any]) -> str:
    """Return the command that makes the same result."""
    words = ["spikelens", analysis, subject.name]
    if subject.imported is None:
        words += ["--data", subject.data_name]
    words += ["--split", split]
    for key, value in settings.items():
        option = "--" + key.replace("_", "-")
        if isinstance(value, list | tuple):
            words += [part for item in value for part in (option.removesuffix("s"), str(item))]
        else:
            words += [option, str(value)]
    return " ".join(words)


def _probe() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.probing import ProbeResult, probe

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        splits = fitting_splits(split)
        return probe(
            subject.recordings(splits, progress),
            split=split,
            twin=subject.twin(splits, progress),
            progress=progress,
            **settings,
        )

    return ProbeResult, call


def _reconstruct() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.reconstruction import ReconstructionResult, reconstruct

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return reconstruct(recordings, split=split, progress=progress, **settings)

    return ReconstructionResult, call


def _gradients() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.gradients import GradientResult, inspect_gradients

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("gradient-residual inspection")
        return inspect_gradients(checkpoint, dataset, split=split, progress=progress, **settings)

    return GradientResult, call


def _separability() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.separability import SeparabilityResult, separate

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(("train", split), progress)
        return separate(recordings, split=split, progress=progress, **settings)

    return SeparabilityResult, call


def _embedding() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.embedding import EmbeddingResult, embed

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        return embed(subject.recordings((split,), progress), split=split, **settings)

    return EmbeddingResult, call


def _spikes() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.spikes import SpikeStatistics, spike_statistics

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        return spike_statistics(subject.recordings((split,), progress), split=split, **settings)

    return SpikeStatistics, call


def _verdict() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.alignment import VerdictResult, verdict

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return verdict(recordings, split=split, progress=progress, **settings)

    return VerdictResult, call


def fitting_splits(split: str) -> tuple[str, ...]:
    """Return the splits needed to fit on train, choose settings, and measure on `split`."""
    return ("train", "validation") if split == "validation" else ("train", "validation", split)


ANALYSES: dict[str, Callable[[], tuple[type[Result], Callable[..., Result]]]] = {
    "probe": _probe,
    "reconstruct": _reconstruct,
    "gradients": _gradients,
    "separability": _separability,
    "embed": _embedding,
    "spikes": _spikes,
    "verdict": _verdict,
}
