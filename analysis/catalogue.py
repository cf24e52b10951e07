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
    settings = _found_here(analysis, subject) | settings
    command = command_line(analysis, subject, split, settings)

    def compute() -> Result:
        return function(subject, split=split, progress=progress, command=command, **settings)

    if analysis in _INSTANT:
        return compute()
    return cached(result_type, _key(analysis, subject.digest, split, settings), compute)


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


def _found_here(analysis: str, subject: Subject) -> dict[str, Any]:
    """Return settings that follow from what else is on this machine: they belong to the key."""
    if analysis != "gradient-controls" or subject.checkpoint is None:
        return {}
    from analysis.gradient_controls import control_names

    names = control_names(subject.checkpoint)
    return {"controls": names} if names else {}


def _key(analysis: str, digest: str, split: str, settings: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in settings.items() if value is not None}
    if analysis == "interventions" and "swap" in given:  # tomorrow that name may be another training's
        from models.checkpoint import find_checkpoint, read_info

        given["swap_digest"] = read_info(find_checkpoint(given["swap"])).digest
    if analysis == "encoders" and "against" in given:
        from analysis.subjects import digest_of

        given["against_digest"] = digest_of(given["against"])
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
    from analysis.pooling import check_pooling
    from analysis.probing import ProbeResult, probe

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        check_pooling(settings.get("pooling", "windows"))  # before minutes of recording
        splits = fitting_splits(split)
        return probe(
            subject.recordings(splits, progress),
            split=split,
            twin=subject.twin(splits, progress),
            progress=progress,
            **settings,
        )

    return ProbeResult, call


def _encoders() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.encoder_comparison import EncodersResult, compare_encoders

    def call(
        subject: Subject,
        *,
        split: str,
        progress: Progress | None,
        against: str | None = None,
        **settings: Any,
    ) -> Result:
        from analysis.subjects import open_beside

        splits = fitting_splits(split)
        other = None if against is None else open_beside(against, subject).recordings(splits, progress)
        recordings = subject.recordings(splits, progress)
        return compare_encoders(recordings, split=split, against=other, progress=progress, **settings)

    return EncodersResult, call


def _time() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.time_probes import TimeResult, probe_over_time

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        splits = fitting_splits(split)
        recordings, twin = subject.recordings(splits, progress), subject.twin(splits, progress)
        return probe_over_time(recordings, split=split, twin=twin, progress=progress, **settings)

    return TimeResult, call


def _nuisance() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.nuisance import NuisanceResult, probe_nuisances

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        splits = fitting_splits(split)
        return probe_nuisances(
            subject.recordings(splits, progress),
            split=split,
            twin=subject.twin(splits, progress),
            model=None if subject.imported is not None else subject.model("level and noise"),
            progress=progress,
            **settings,
        )

    return NuisanceResult, call


def _reconstruct() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.reconstruction import default_points, reconstruct
    from analysis.reconstruction_result import ReconstructionResult

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        splits = fitting_splits(split)
        recordings = subject.recordings(splits, progress)
        return reconstruct(
            recordings,
            split=split,
            nonlinear=settings.get("points") or default_points(recordings)[:1],
            twin=subject.twin(splits, progress),
            progress=progress,
            **settings,
        )

    return ReconstructionResult, call


def _reconstruct_controls() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.reconstruction_controls import ReconstructionControls, reconstruct_controls

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return reconstruct_controls(recordings, split=split, progress=progress, **settings)

    return ReconstructionControls, call


def _plane() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.step_plane import StepPlaneResult, step_plane

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, _ = subject.model("the step-size plane")
        recordings = subject.recordings(fitting_splits(split), progress)
        return step_plane(recordings, checkpoint, split=split, progress=progress, **settings)

    return StepPlaneResult, call


def _gradients() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.gradients import GradientResult, inspect_gradients

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("gradient-residual inspection")
        return inspect_gradients(checkpoint, dataset, split=split, progress=progress, **settings)

    return GradientResult, call


def _gradient_controls() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.gradient_controls import GradientControls, gradient_controls

    return GradientControls, gradient_controls


def _flow() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.gradient_flow import FlowResult, gradient_flow

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("gradient flow")
        return gradient_flow(checkpoint, dataset, split=split, progress=progress, **settings)

    return FlowResult, call


def _saliency() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.saliency import SaliencyResult, saliency

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("saliency")
        return saliency(checkpoint, dataset, split=split, progress=progress, **settings)

    return SaliencyResult, call


def _gradient_path() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.gradient_path import GradientPath, followed, gradient_path
    from models.checkpoint import load_checkpoint

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("following a training")
        if (name := followed(checkpoint.name)) is not None and name != checkpoint.name:
            checkpoint = load_checkpoint(name)
        return gradient_path(checkpoint, dataset, split="train", progress=progress, **settings)

    return GradientPath, call


def _front() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.fidelity_front import FrontResult, fidelity_front

    return FrontResult, fidelity_front


def _separability() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.separability import SeparabilityResult, separate

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(("train", split), progress)
        return separate(recordings, split=split, progress=progress, **settings)

    return SeparabilityResult, call


def _information() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.information import InformationResult, information

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return information(recordings, split=split, progress=progress, **settings)

    return InformationResult, call


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


def _interventions() -> tuple[type[Result], Callable[..., Result]]:
    from analysis.decoders import within
    from analysis.interventions import InterventionResult, intervene

    def call(
        subject: Subject,
        *,
        split: str,
        progress: Progress | None,
        swap: str | None = None,
        **settings: Any,
    ) -> Result:
        from models.checkpoint import load_checkpoint

        checkpoint, dataset = subject.model("an intervention")
        recordings = subject.recordings(fitting_splits(split), within(progress, 0.0, 0.2))
        progress = within(progress, 0.2, 0.8)
        other = None if swap is None else load_checkpoint(swap)
        return intervene(
            checkpoint, dataset, recordings, split=split, swap=other, progress=progress, **settings
        )

    return InterventionResult, call


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
    "encoders": _encoders,
    "time": _time,
    "nuisance": _nuisance,
    "reconstruct": _reconstruct,
    "reconstruct-controls": _reconstruct_controls,
    "plane": _plane,
    "gradients": _gradients,
    "gradient-controls": _gradient_controls,
    "flow": _flow,
    "saliency": _saliency,
    "gradient-path": _gradient_path,
    "front": _front,
    "separability": _separability,
    "information": _information,
    "embed": _embedding,
    "spikes": _spikes,
    "interventions": _interventions,
    "verdict": _verdict,
}
_INSTANT = {"front"}  # depends on what else is on this machine, and costs nothing
