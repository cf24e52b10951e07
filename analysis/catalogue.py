"""The analyses by name, run once and kept. Pages, command line, report and figures all go through here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analysis.loaders import ANALYSES
from analysis.result import Result
from analysis.store import cached
from analysis.subjects import Subject

Progress = Callable[[float, str], None]
_INSTANT = {"front"}  # depends on what else is on this machine, and costs nothing
_VERSIONS = {
    "verdict": 2,
    "probe": 2,
    "time": 2,
    "plane": 2,
    "interventions": 2,
}  # raised when numbers change


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
        A key of `analysis.loaders.ANALYSES`.
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
    if analysis in ("encoders", "rules"):
        from analysis.subjects import digest_of

        others = [key for key in ("against", "control") if key in given]
        given |= {f"{key}_digest": digest_of(given[key]) for key in others}
    version = _VERSIONS.get(analysis, 1)
    return {"analysis": analysis, "version": version, "subject": digest, "split": split, **given}


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
