"""What an analysis is run on: a checkpoint with a data set, or recordings made elsewhere, opened by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.capture import capture
from analysis.importing import list_recordings, open_imported
from analysis.recordings import Recordings
from models.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, read_info
from models.data import available_datasets, open_dataset
from models.data.base import AudioDataset
from models.errors import SpikelensError

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Subject:
    """A named system under inspection.

    Attributes
    ----------
    name : str
    checkpoint : Checkpoint or None
        None for imported recordings: what needs gradients or sound cannot run.
    dataset : AudioDataset or None
        Restricted to the checkpoint's words.
    imported : Recordings or None
    """

    name: str
    checkpoint: Checkpoint | None = None
    dataset: AudioDataset | None = None
    imported: Recordings | None = None

    @property
    def digest(self) -> str:
        """Return what identifies system and data together; results are cached under it."""
        if self.imported is not None:
            return self.imported.digest
        assert self.checkpoint is not None and self.dataset is not None
        return f"{self.checkpoint.digest}-{self.dataset.digest}"

    @property
    def data_name(self) -> str:
        """Return the name of the data set."""
        return self.imported.dataset if self.imported is not None else self._pair()[1].name

    def recordings(self, splits: Sequence[str], progress: Progress | None = None) -> Recordings:
        """Return activity on these splits, recorded first where it has not been."""
        if self.imported is not None:
            return self.imported
        return capture(*self._pair(), splits=splits, progress=progress)

    def twin(self, splits: Sequence[str], progress: Progress | None = None) -> Recordings | None:
        """Return the untrained twin's activity; None for imported recordings."""
        if self.imported is not None:
            return None
        return capture(*self._pair(), splits=splits, twin=True, progress=progress)

    def model(self, reason: str) -> tuple[Checkpoint, AudioDataset]:
        """Return checkpoint and data set; for imported recordings SpikelensError says what needs them."""
        if self.imported is not None:
            raise SpikelensError(f"{self.name}: {reason} needs the model; an import holds only recordings")
        return self._pair()

    def _pair(self) -> tuple[Checkpoint, AudioDataset]:
        assert self.checkpoint is not None and self.dataset is not None
        return self.checkpoint, self.dataset


def subject_names() -> dict[str, str]:
    """Return every name `open_subject` takes, with ``checkpoint`` or ``recordings``."""
    from models.checkpoint import list_checkpoints

    names = {info.name: "checkpoint" for info in list_checkpoints()}
    return names | {name: "recordings" for name in list_recordings() if name not in names}


def open_subject(name: str, data: str | None = None) -> Subject:
    """Open a checkpoint with a data set, or imported recordings.

    Parameters
    ----------
    name : str
    data : str, optional
        Name or path of a data set. By default the one the checkpoint was trained on.

    Raises
    ------
    SpikelensError
        Unknown name, or the data set is not on this machine (the message says how to get it).
    """
    if name in list_recordings():
        return Subject(name, imported=open_imported(name))
    checkpoint = load_checkpoint(name)
    wanted = data or str(checkpoint.data["name"])
    if data is None and wanted not in {info.name for info in available_datasets()}:
        raise SpikelensError(
            f"data: {name} was trained on {wanted}, which is not on this machine; name its folder with "
            f"--data PATH or use --data spoken35. {how_to_get(wanted)}"
        )
    dataset = open_dataset(wanted).restrict(checkpoint.labels)
    return Subject(name, checkpoint, dataset)


def open_beside(name: str, subject: Subject) -> Subject:
    """Open a second subject to compare with the first: a checkpoint on the first one's data set.

    Raises
    ------
    SpikelensError
        Unknown name, or the data set lacks a word of the checkpoint.
    """
    if subject.dataset is None or name in list_recordings():
        return open_subject(name)
    checkpoint = load_checkpoint(name)
    return Subject(name, checkpoint, subject.dataset.restrict(checkpoint.labels))


def digest_of(name: str) -> str:
    """Return what identifies a checkpoint or imported recordings, without opening a data set."""
    if name in list_recordings():
        return open_imported(name).digest
    return read_info(find_checkpoint(name)).digest


def how_to_get(dataset: str) -> str:
    """Return the line that gets a data set."""
    if dataset == "gsc8":
        return (
            "To get it: spikelens data subset gsc8 --from V001_DIR V002_DIR --out DIR "
            "(from the public archives), then set SPIKELENS_DATA=DIR"
        )
    if dataset == "gsc35":
        return "To get it: spikelens data fetch speech-commands"
    return "Set SPIKELENS_DATA to its folder"
