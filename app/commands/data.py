"""``spikelens data``: what is here, what is in it, and how to get more."""

from __future__ import annotations

from pathlib import Path

import typer

from app.commands.output import print_json, print_table, progress_bar

group = typer.Typer(help="List, inspect and fetch data sets.", no_args_is_help=True)
_JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


@group.command("list")
def list_data(as_json: bool = _JSON) -> None:
    """List the data sets on this machine."""
    import pandas as pd

    from models.data import available_datasets

    rows = [
        {"name": d.name, "synthetic": d.synthetic, "path": str(d.path or "embedded")}
        for d in available_datasets()
    ]
    if as_json:
        print_json({"datasets": rows})
    else:
        print_table(pd.DataFrame(rows))


@group.command("info")
def info(
    path: str = typer.Argument(help="Name or folder of a data set."),
    speaker_pattern: str | None = typer.Option(
        None, help="Regular expression with one group that finds the speaker in a file name."
    ),
    as_json: bool = _JSON,
) -> None:
    """Read a data set and tell its words, splits, speakers, digest and what was left out."""
    import numpy as np
    import pandas as pd

    from models.data import open_dataset

    dataset = open_dataset(path, speaker_pattern=speaker_pattern)
    splits = [
        {
            "split": split.name,
            "clips": len(split),
            "speakers": None if split.speakers is None else len(set(split.speakers)),
            "smallest_class": int(np.bincount(split.labels, minlength=len(dataset.labels)).min()),
        }
        for split in dataset.splits.values()
    ]
    if as_json:
        print_json(
            {
                "name": dataset.name,
                "labels": list(dataset.labels),
                "synthetic": dataset.synthetic,
                "speakers_known": dataset.speakers_known,
                "digest": dataset.digest,
                "splits": splits,
                "report": dataset.report.lines(),
            }
        )
        return
    print_table(pd.DataFrame(splits), dataset.name)
    print(f"{len(dataset.labels)} words: {', '.join(dataset.labels)}")
    print(f"digest {dataset.digest}")
    if dataset.synthetic:
        print("synthetic speech")
    if not dataset.speakers_known:
        print("speakers unknown: splits are by file")
    for line in dataset.report.lines():
        print(line)


@group.command("fetch")
def fetch(
    what: str = typer.Argument(help="speech-commands"),
    out: Path | None = typer.Option(None, help="Folder for it; the user data folder by default."),
) -> None:
    """Download Google Speech Commands v0.02 (2.4 GB), resuming where an earlier try stopped."""
    from models.data.fetch import fetch_speech_commands
    from models.errors import SpikelensError

    if what != "speech-commands":
        raise SpikelensError(f"fetch: {what!r} is not speech-commands")
    with progress_bar("fetching") as progress:
        folder = fetch_speech_commands(out, progress=progress)
    print(folder)


@group.command("subset")
def subset(
    what: str = typer.Argument(help="gsc8"),
    sources: tuple[Path, Path] = typer.Option(
        ..., "--from", help="Folders of the unpacked v0.01 and v0.02 archives."
    ),
    out: Path = typer.Option(..., help="New folder for the subset."),
) -> None:
    """Rebuild GSC-8 from the public archives by clip name and sample hash, to check our figures."""
    from models.data.subset import build_gsc8
    from models.errors import SpikelensError

    if what != "gsc8":
        raise SpikelensError(f"subset: {what!r} is not gsc8")
    build_gsc8(sources[0], sources[1], out)
    print(out)
