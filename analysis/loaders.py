"""What each analysis needs of a subject, by name; an analysis is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analysis.result import Result
from analysis.subjects import Subject

Progress = Callable[[float, str], None]
Loaded = tuple[type[Result], Callable[..., Result]]


def fitting_splits(split: str) -> tuple[str, ...]:
    """Return the splits needed to fit on train, choose settings, and measure on `split`."""
    return ("train", "validation") if split == "validation" else ("train", "validation", split)


def _probe() -> Loaded:
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


def _encoders() -> Loaded:
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


def _time() -> Loaded:
    from analysis.time_probes import TimeResult, probe_over_time

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        splits = fitting_splits(split)
        recordings, twin = subject.recordings(splits, progress), subject.twin(splits, progress)
        return probe_over_time(recordings, split=split, twin=twin, progress=progress, **settings)

    return TimeResult, call


def _nuisance() -> Loaded:
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


def _reconstruct() -> Loaded:
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


def _reconstruct_controls() -> Loaded:
    from analysis.reconstruction_controls import ReconstructionControls, reconstruct_controls

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return reconstruct_controls(recordings, split=split, progress=progress, **settings)

    return ReconstructionControls, call


def _plane() -> Loaded:
    from analysis.step_plane import StepPlaneResult, step_plane

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, _ = subject.model("the step-size plane")
        recordings = subject.recordings(fitting_splits(split), progress)
        return step_plane(recordings, checkpoint, split=split, progress=progress, **settings)

    return StepPlaneResult, call


def _gradients() -> Loaded:
    from analysis.gradients import GradientResult, inspect_gradients

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("gradient-residual inspection")
        return inspect_gradients(checkpoint, dataset, split=split, progress=progress, **settings)

    return GradientResult, call


def _gradient_controls() -> Loaded:
    from analysis.gradient_controls import GradientControls, gradient_controls

    return GradientControls, gradient_controls


def _flow() -> Loaded:
    from analysis.gradient_flow import FlowResult, gradient_flow

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("gradient flow")
        return gradient_flow(checkpoint, dataset, split=split, progress=progress, **settings)

    return FlowResult, call


def _saliency() -> Loaded:
    from analysis.saliency import SaliencyResult, saliency

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("saliency")
        return saliency(checkpoint, dataset, split=split, progress=progress, **settings)

    return SaliencyResult, call


def _gradient_path() -> Loaded:
    from analysis.gradient_path import GradientPath, followed, gradient_path
    from models.checkpoint import load_checkpoint

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("following a training")
        if (name := followed(checkpoint.name)) is not None and name != checkpoint.name:
            checkpoint = load_checkpoint(name)
        return gradient_path(checkpoint, dataset, split="train", progress=progress, **settings)

    return GradientPath, call


def _front() -> Loaded:
    from analysis.fidelity_front import FrontResult, fidelity_front

    return FrontResult, fidelity_front


def _separability() -> Loaded:
    from analysis.separability import SeparabilityResult, separate

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(("train", split), progress)
        return separate(recordings, split=split, progress=progress, **settings)

    return SeparabilityResult, call


def _information() -> Loaded:
    from analysis.information import InformationResult, information

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return information(recordings, split=split, progress=progress, **settings)

    return InformationResult, call


def _embedding() -> Loaded:
    from analysis.embedding import EmbeddingResult, embed

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        return embed(subject.recordings((split,), progress), split=split, **settings)

    return EmbeddingResult, call


def _spikes() -> Loaded:
    from analysis.spikes import SpikeStatistics, spike_statistics

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        return spike_statistics(subject.recordings((split,), progress), split=split, **settings)

    return SpikeStatistics, call


def _energy() -> Loaded:
    from analysis.energy import EnergyResult, energy

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, _ = subject.model("the energy proxy")
        recordings = subject.recordings((split,), progress)
        return energy(recordings, checkpoint.model, split=split, progress=progress, **settings)

    return EnergyResult, call


def _rules() -> Loaded:
    from analysis.rule_representations import compare_representations
    from analysis.rule_result import RuleRepresentations

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        checkpoint, dataset = subject.model("a comparison of learning rules")
        return compare_representations(checkpoint, dataset, split=split, progress=progress, **settings)

    return RuleRepresentations, call


def _interventions() -> Loaded:
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


def _verdict() -> Loaded:
    from analysis.alignment import VerdictResult, verdict

    def call(subject: Subject, *, split: str, progress: Progress | None, **settings: Any) -> Result:
        recordings = subject.recordings(fitting_splits(split), progress)
        return verdict(recordings, split=split, progress=progress, **settings)

    return VerdictResult, call


ANALYSES: dict[str, Callable[[], Loaded]] = {
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
    "energy": _energy,
    "rules": _rules,
    "interventions": _interventions,
    "verdict": _verdict,
}
