"""Measure every section of a report, two at a time, each kept as soon as it is known."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.catalogue import run
from analysis.figures.save import write
from analysis.loaders import ANALYSES, fitting_splits
from analysis.report.page import Chapter, Entry, render
from analysis.report.sections import SECTIONS, Section
from analysis.result import Result, to_csv
from analysis.subjects import Progress, Subject, open_subject
from models.errors import SpikelensError

PAGE = "report.html"


@dataclass(frozen=True)
class Outcome:
    """What became of one section of one subject: a result on disk, or the reason why there is none."""

    subject: int
    section: int
    reason: str
    seconds: float


def report(
    names: Sequence[str],
    out: Path,
    *,
    data: str | None = None,
    split: str = "validation",
    sections: Sequence[Section] = SECTIONS,
    jobs: int = 2,
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Write one self-contained page on some encoders, and ``NAME/SECTION.json`` and ``.csv`` behind it.

    Every section is kept in the result cache as soon as it is known: a report that was stopped goes on
    where it stood, and what the pages of the app have computed is not computed again. A section that does
    not apply says why.

    Parameters
    ----------
    names : sequence of str
        Checkpoints or imported recordings.
    out : Path
        Folder of the report.
    data : str, optional
        As for `open_subject`.
    jobs : int
        Sections measured side by side, each in a process of its own.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    SpikelensError
        An unknown name or data set, or `out` cannot be written.
    """
    if not names:
        raise SpikelensError("names: a report needs at least one checkpoint or recordings")
    say = progress or (lambda fraction, message: None)
    subjects = []
    for i, name in enumerate(names):
        say(0.1 * i / len(names), f"recording {name}")
        subjects.append(open_subject(name, data))
        _prepare(subjects[-1], split)
    tasks = [(s, k) for k in range(len(sections)) for s in range(len(names))]
    outcomes: dict[tuple[int, int], Outcome] = {}
    for outcome in _measured(names, data, split, sections, tasks, jobs, out):
        outcomes[outcome.subject, outcome.section] = outcome
        title = sections[outcome.section].title
        say(0.1 + 0.85 * len(outcomes) / len(tasks), f"{names[outcome.subject]}: {title}")
    chapters = [
        Chapter(
            subject.name,
            [_entry(subject, split, section, outcomes[s, k], out) for k, section in enumerate(sections)],
        )
        for s, subject in enumerate(subjects)
    ]
    page = out / PAGE
    write(page, render(chapters, command).encode())
    say(1.0, "report written")
    return page


def _prepare(subject: Subject, split: str) -> None:
    """Record what several sections share, once, before they start side by side."""
    from analysis.controls import control_encoders

    recordings = subject.recordings(fitting_splits(split))
    subject.twin(fitting_splits(split))
    encoder = recordings.points.get("encoder")
    if encoder is not None and encoder.spiking and "features" in recordings.points:
        control_encoders(recordings)


def _measured(
    names: Sequence[str],
    data: str | None,
    split: str,
    sections: Sequence[Section],
    tasks: Sequence[tuple[int, int]],
    jobs: int,
    out: Path,
) -> Iterator[Outcome]:
    from joblib import Parallel, delayed

    calls = (delayed(_measure)(names[s], data, split, sections[k], s, k, out) for s, k in tasks)
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(calls)


def _measure(name: str, data: str | None, split: str, section: Section, s: int, k: int, out: Path) -> Outcome:
    """Measure one section in a process of its own and write what it found."""
    began = time.monotonic()
    try:
        result = run(section.analysis, open_subject(name, data), split=split, **section.settings)
    except SpikelensError as error:
        return Outcome(s, k, str(error), time.monotonic() - began)
    stem = out / name / section.analysis
    write(stem.with_suffix(".json"), result.to_json().encode())
    write(stem.with_suffix(".csv"), to_csv(result.to_table()).encode())
    return Outcome(s, k, "", time.monotonic() - began)


def _entry(subject: Subject, split: str, section: Section, outcome: Outcome, out: Path) -> Entry:
    if outcome.reason:
        return Entry(section, None, outcome.reason, outcome.seconds)
    result = _read(section, out / subject.name / f"{section.analysis}.json")
    return Entry(section, result, "", outcome.seconds)


def _read(section: Section, path: Path) -> Result:
    result_type, _ = ANALYSES[section.analysis]()
    return result_type.from_json(path.read_text(encoding="utf-8"))
