"""Reconstruction: how much of the sound the spikes hold, in numbers, in pictures and to the ear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from analysis.listening import ORIGINAL
from analysis.reconstruction_controls import ReconstructionControls, why_not
from analysis.reconstruction_result import OWN, ReconstructionResult
from analysis.subjects import Subject
from app import inspection, session, widgets
from app.charts import reconstruction, reconstruction_controls

_DECODERS = {"lags": 5, "seed": inspection.SEED}
_CURVES = ("R2 by band", "correlation by band", "error over time")


def main() -> None:
    subjects = inspection.chosen_subjects()
    results = inspection.measured_subjects(
        "reconstruct", subjects, "Fit the decoders (about two minutes)", **_DECODERS
    )
    if results:
        _decoders(results)
    st.header("Beside its control encoders", divider="gray")
    controls = _controls(subjects)
    st.header("The current clip", divider="gray")
    fitted, controlled = ({result.provenance.subject for result in found} for found in (results, controls))
    for column, opened in zip(st.columns(len(subjects)), subjects, strict=True):
        with column, widgets.errors():
            _clip(opened, opened.name in fitted | controlled, opened.name in controlled)


def _decoders(results: list[ReconstructionResult]) -> None:
    widgets.draw(reconstruction.decoders(results), reconstruction.decoders_alt(results), "decoders")
    st.caption(
        "SNR = 10 log10(sum x² / sum (x − x̂)²) on normalised log-mel. *Within word*: 0 is what knowing "
        "the word alone gives. *Own*: the decoder that belongs to the encoder. *Ridge*: fitted on "
        f"training clips, {_DECODERS['lags']} frames to either side, penalty chosen on "
        f"{widgets.plain(results[0].penalty_chosen_on)}. Own low but ridge high means that the "
        "information is there and the encoder's own decoder is bad. *Non-linear*: a network of 128 hidden "
        "units that adds to the better ridge decoder what no line can say; what it finds is not gone. It is "
        f"fitted to {widgets.plain(results[0].nonlinear_fit)}. *Permuted*: the same decoder on the spikes of "
        "another clip. *Untrained twin*: what a hidden layer keeps before any training. Log-spectral "
        "distance: root mean square over bands, in dB of mel power, mean over frames."
    )
    shown = st.segmented_control("Curves", _CURVES, default=_CURVES[0], required=True, key="curves")
    for result in results:
        name = result.provenance.subject
        for what, why in result.not_applicable.items():
            inspection.not_applicable(
                f"{what} decoder of {name}" if what == OWN else f"{what} of {name}", why
            )
        if shown == _CURVES[2]:
            figure, values = reconstruction.over_time(result), result.error_over_time
        else:
            metric = "r2" if shown == _CURVES[0] else "pearson"
            figure = reconstruction.by_band(result, metric)
            values = result.r2_per_band if metric == "r2" else result.pearson_per_band
        alt = reconstruction.curves_alt(result, values, shown)
        widgets.show(figure, result, alt, f"curves-{name}")


def _controls(subjects: list[Subject]) -> list[ReconstructionControls]:
    fitting = []
    for opened in subjects:
        if (reason := why_not(_points(opened))) is None:
            fitting.append(opened)
        else:
            inspection.not_applicable(f"control encoders of {opened.name}", reason)
    found: list[ReconstructionControls] = inspection.measured_subjects(
        "reconstruct-controls", fitting, "Fit the control encoders (about two minutes)", **_DECODERS
    )
    for result in found:
        name = result.provenance.subject
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} beside {name}", why)
        alt = reconstruction_controls.controls_alt(result)
        widgets.show(reconstruction_controls.controls(result), result, alt, f"controls-{name}")
    if found:
        st.caption(
            "Fewer events carry less sound, so only encoders at the rate of the learned one (filled markers) "
            "can show a loss; SF2-rec@r is the most faithful of its kind at that rate. A gap that closes "
            "under a better decoder was the decoder's, not the code's. *Random steps*: five draws that know "
            "nothing of sound or word."
        )
    return found


def _points(opened: Subject) -> Iterable[Any]:
    if opened.imported is not None:
        return opened.imported.points.values()
    return opened.model("control encoders")[0].model.points()


def _clip(opened: Subject, fitted: bool, controlled: bool) -> None:
    shown = {"ridge": fitted, "nonlinear": fitted, "reference": controlled, **_DECODERS}
    chosen = session.selection()
    clips = session.clips(opened, chosen.split)
    row = chosen.clip % len(clips)
    clip = clips[row]
    st.subheader(widgets.plain(opened.name))
    speaker = "" if clip.speaker is None else f", speaker {widgets.plain(clip.speaker)}"
    st.markdown(f"Clip {row}: “{widgets.plain(clip.word)}”{speaker}")
    if not controlled:
        st.caption("Ridge and non-linear decoder join once they are fitted, SF2-rec@r with the controls.")
    with widgets.progress_bar("recording") as progress:
        panels, dt_ms = session.rebuilt(opened, chosen.split, row, progress, **shown)
    widgets.draw(
        reconstruction.clip(panels, dt_ms),
        reconstruction.clip_alt(panels, clip.word),
        f"clip-{opened.name}",
    )
    if opened.imported is not None:
        inspection.not_applicable("sound", "imported recordings do not carry the scale of their log-mel")
        return
    if st.toggle("Listen", key=f"listen-{opened.name}", help="Griffin-Lim takes a second a version."):
        _players(opened, row, shown)


def _players(opened: Subject, row: int, shown: dict[str, Any]) -> None:
    with st.spinner("Griffin-Lim"):
        sounds = session.sounds(opened, session.selection().split, row, **shown)
    columns = st.columns(len(sounds))
    for column, (name, (sound, rate)) in zip(columns, sounds.items(), strict=True):
        source = "original log-mel" if name == ORIGINAL else name
        label = "the recording itself" if name == "recording" else f"{source}, through Griffin-Lim"
        column.caption(label)
        column.audio(sound, sample_rate=rate, alt=f"Clip {row} of {opened.name}: {label}")
    st.caption(
        "Compare the original log-mel with the rebuilt ones: all went through the same Griffin-Lim, "
        "which loses the phase. The recording tells what that alone costs."
    )


with widgets.page(
    "Reconstruction",
    "How much of the sound can be read back from the spikes?",
    "What would fool you: the mean clip of each word already looks like speech, so the frame and word "
    "templates and spikes of another clip stand beside every decoder.",
):
    main()
