"""One self-contained HTML page: nothing is loaded from elsewhere, and all words of a file are only words."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from analysis.alignment import VerdictResult
from analysis.figures.faithful_aligned import faithful_aligned
from analysis.figures.gallery import figure_of
from analysis.figures.save import PaperFigure, rendered
from analysis.report.sections import Section
from analysis.result import Provenance, Result, package_versions, shown

_MAX_ROWS = 60  # of a table; the CSV has all


@dataclass(frozen=True)
class Entry:
    """A section of one subject: its result, or the reason why there is none."""

    section: Section
    result: Result | None
    reason: str
    seconds: float


@dataclass(frozen=True)
class Chapter:
    """All sections of one subject."""

    name: str
    entries: Sequence[Entry]


def render(chapters: Sequence[Chapter], command: str = "") -> str:
    """Return the page."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("analysis.report").joinpath("page.html").read_text("utf-8"))
    verdicts = [e.result for c in chapters for e in c.entries if isinstance(e.result, VerdictResult)]
    placed = [verdict for verdict in verdicts if verdict.x is not None]
    return template.render(
        title="Spikelens report: " + ", ".join(chapter.name for chapter in chapters),
        verdicts=verdicts,
        plane=_picture(faithful_aligned(placed)) if len(placed) > 1 else None,
        chapters=[_chapter(chapter) for chapter in chapters],
        command=command,
        versions=package_versions(),
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _chapter(chapter: Chapter) -> dict[str, object]:
    return {"name": chapter.name, "entries": [_entry(chapter.name, entry) for entry in chapter.entries]}


def _entry(name: str, entry: Entry) -> dict[str, object]:
    section = entry.section
    facts: dict[str, object] = {
        "id": f"{name}-{section.analysis}",
        "title": section.title,
        "question": section.question,
        "control": section.control,
        "reason": entry.reason,
        "seconds": round(entry.seconds),
    }
    if entry.result is None:
        return facts
    table = entry.result.to_table()
    figure = figure_of(entry.result)
    return facts | {
        "sentence": getattr(entry.result, "sentence", ""),
        "caveats": getattr(entry.result, "caveats", []),
        "refuted_by": getattr(entry.result, "refuted_by", ""),
        "picture": None if figure is None else _picture(figure),
        "columns": list(table.columns),
        "rows": [[shown(value) for value in row] for row in table.head(_MAX_ROWS).itertuples(index=False)],
        "n_rows": len(table),
        "source": _source(entry.result.provenance),
        "command": entry.result.provenance.command,
        "files": [f"{name}/{section.analysis}.{kind}" for kind in ("csv", "json")],
    }


def _picture(figure: PaperFigure) -> dict[str, str]:
    drawn = rendered(lambda: figure.draw(figure.table), ".svg")
    return {"data": base64.b64encode(drawn).decode(), "caption": figure.caption}


def _source(where: Provenance) -> str:
    words = [f"{where.subject} on {where.dataset}/{where.split}"]
    words += ["synthetic speech"] * where.synthetic
    words += [f"95 % intervals over {where.interval_unit}s"]
    words += [] if where.speakers_known else ["speakers unknown: splits are by file"]
    words += [f"data {where.data_digest[:12]}"]
    words += [f"checkpoint {where.checkpoint_digest[:12]}"] if where.checkpoint_digest else []
    return "; ".join(words)
