"""Which claims a verdict's numbers carry, in words, and which observations would overturn them."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.recordings import Recordings
from analysis.result import Estimate

SHOWN, NOT_SHOWN, CONTRADICTED, NOT_APPLICABLE = "shown", "not shown", "contradicted", "not applicable"
TOLERANCE_DB = 1.0  # faithful: at most this far below the faithful encoder
_WORTH_SAYING_DB = 0.1
_SEED_SPREAD = 2.0  # points by which nominally equal trainings differ


@dataclass(frozen=True)
class VerdictRow:
    """One quantity of the subject beside the faithful encoder's, on the same clips.

    Attributes
    ----------
    quantity, unit : str
    subject, reference, difference : Estimate or None
        The difference is paired, subject less reference. None: not measured, or see `note`.
    note : str
        Why a number is missing, or how to read it.
    """

    quantity: str
    unit: str
    subject: Estimate | None = None
    reference: Estimate | None = None
    difference: Estimate | None = None
    note: str = ""


def interval(estimate: Estimate | None) -> tuple[float, float]:
    """Return both ends of an interval that must be there."""
    assert estimate is not None and estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


def value_of(estimate: Estimate | None) -> float:
    """Return a value that must be there."""
    assert estimate is not None
    return estimate.value


def wasteful(reference: Recordings) -> bool:
    """Return whether the faithful encoder would gain sound, on training clips, by spending *fewer* events.

    Above the rate of its smallest error an encoder at the same rate is a bar lowered for free.
    """
    extra = reference.extra
    return extra["rate"] > extra["optimum_rate"] and extra["optimum_snr_db"] > extra["snr_db"]


def judge_faithful(snr: VerdictRow, within_word: VerdictRow, spare: float) -> str:
    """Judge the first claim: SNR within 1 dB of the faithful encoder's, by the whole interval.

    More than the word must be kept: to equal a reference of which the decoder reads only the word is nothing.
    `spare` is what the faithful encoder gains in dB where it may spend fewer events, see `wasteful`.
    """
    low, high = (end - spare for end in interval(snr.difference))
    if high < -TOLERANCE_DB:
        return CONTRADICTED
    return SHOWN if low > -TOLERANCE_DB and interval(within_word.subject)[0] > 0 else NOT_SHOWN


def judge_task_aligned(snr: VerdictRow, alike: VerdictRow, accuracy: VerdictRow, unequal: bool) -> str:
    """Judge the second claim: more of the word *and* less of the sound, by whole intervals, all else equal.

    Parameters
    ----------
    snr : VerdictRow
        Each encoder read by the decoder that recovers most from it.
    alike : VerdictRow
        Both read by the one that recovers most from the subject. Where that finds more sound in the subject,
        the codes differ in kind (a level code beside a step code), and a loss is not shown.
    """
    snr_low, snr_high = interval(snr.difference)
    gain_low, gain_high = interval(accuracy.difference)
    if gain_high < 0 or snr_low >= 0:
        return CONTRADICTED
    lower = snr_high < 0 and interval(alike.difference)[1] < 0
    return SHOWN if gain_low > 0 and lower and not unequal else NOT_SHOWN


def inequalities(recordings: Recordings, reference: Recordings) -> list[str]:
    """Return what, besides its aim, sets the encoder apart from the reference; any of it voids a gain."""
    found = []
    ours, theirs = recordings.points["encoder"].units, reference.points["encoder"].units
    extra = reference.extra
    if not extra["rate_matched"]:
        found.append(
            f"event rates differ: {extra['target_rate'] * theirs:.1f} a frame against "
            f"{extra['rate'] * theirs:.1f} of the faithful encoder, which cannot be fitted at that rate; "
            "events may explain a difference"
        )
    if ours > theirs:
        found.append(f"the probe reads {ours} channels against {theirs}: width may explain a gain")
    return found


def caveats(
    recordings: Recordings,
    own: VerdictRow,
    best: VerdictRow,
    alike: VerdictRow,
    accuracy: VerdictRow,
    spare: float,
) -> list[str]:
    """Return what the sentence does not cover; SNR rows as in `judge_task_aligned`, and the own decoder's."""
    found = []
    if own.subject is None:
        found.append("no decoder of its own was recorded: one made for it might recover more")
    elif interval(own.difference)[1] < -TOLERANCE_DB <= interval(best.difference)[0]:
        found.append(
            f"under its own decoder it is not faithful: {value_of(own.difference):+.1f} dB; the spikes hold "
            "what that decoder does not recover"
        )
    if interval(best.difference)[1] < 0 <= interval(alike.difference)[1]:
        found.append(
            f"{alike.quantity}: {_signed(alike.difference, 'dB')}; the codes differ in kind, and the loss "
            "shows only against the faithful encoder's best decoder"
        )
    if interval(accuracy.difference)[0] > 0:
        found.append(
            "the gain is that of a linear probe on counts in windows: a network trained on the faithful "
            "encoder's spikes may read the word as well"
        )
    if spare > _WORTH_SAYING_DB:
        found.append(
            "it spends more events than the smallest error takes: with fewer, the faithful encoder gains "
            f"{spare:.1f} dB, and 'faithful' is judged against that"
        )
    if recordings.source == "checkpoint":
        found.append("one training run: the intervals cover speakers, not training seeds")
        if abs(value_of(accuracy.difference)) < _SEED_SPREAD:
            found.append(
                f"equal trainings differ by up to {_SEED_SPREAD:g} points, as much as this difference"
            )
        recipe = recordings.extra.get("recipe")
        if recipe and recipe["encoder"]["name"] == "residual" and recipe["train"]["rate_weight"] > 0:
            found.append(
                "trained with a price on spikes: only a run with train.rate_weight = 0 tells whether the "
                "task or the price cost the sound"
            )
    if recordings.synthetic:
        found.append("synthetic speech")
    if any(split.speakers is None for split in recordings.splits.values()):
        found.append("speakers are unknown: intervals are over clips, and splits may share speakers")
    return found


def conclude(faithful: str, task_aligned: str, accuracy: VerdictRow) -> str:
    """Return both claims in a few words, claiming no more than was shown."""
    if task_aligned == SHOWN:
        return {
            SHOWN: "Task-aligned, and still within 1 dB of faithful",
            CONTRADICTED: "Task-aligned, not faithful",
        }.get(faithful, "Task-aligned; whether it is within 1 dB of faithful is not shown")
    if faithful == SHOWN:
        easier = interval(accuracy.difference)[0] > 0
        return (
            "Faithful, and the word is easier to read" if easier else "Faithful, not shown to be task-aligned"
        )
    if faithful == CONTRADICTED:
        return "Not faithful, and not shown to be task-aligned"
    return "Neither faithful nor task-aligned is shown"


def phrase(
    conclusion: str,
    recordings: Recordings,
    own: VerdictRow,
    best: VerdictRow,
    accuracy: VerdictRow,
    rate_matched: bool,
) -> str:
    """Return the sentence: the conclusion and the two numbers with intervals behind it."""
    where = " (synthetic speech)" if recordings.synthetic else ""
    by_own = "" if own.subject is None else f" ({value_of(own.subject):.1f} dB by its own decoder)"
    rate = "the same event rate" if rate_matched else "another event rate"
    return (
        f"{conclusion}{where}: the best decoder recovers {value_of(best.subject):.1f} dB of the sound from "
        f"{recordings.name}{by_own}, {_signed(best.difference, 'dB')} against a faithful encoder at {rate}; "
        f"the word accuracy of a linear probe is {_signed(accuracy.difference, 'points')} against that one's."
    )


def refutation(
    faithful: str, task_aligned: str, snr: VerdictRow, accuracy: VerdictRow, spare: float, trained: bool
) -> str:
    """Name the observations that would overturn what is claimed, with the numbers they have to reach."""
    bar = value_of(snr.reference) + spare
    seeds = ", or trainings from other seeds," if trained else ""
    if task_aligned == SHOWN:
        return (
            f"A decoder that recovers {value_of(snr.reference):.1f} dB or more from these spikes; a faithful "
            "encoder at this rate from whose spikes a linear probe reads "
            f"{value_of(accuracy.subject):.1f} % or more; or speakers{seeds} without a gain in points."
        )
    if faithful == SHOWN:
        return (
            f"Speakers{seeds} for whom it falls below {bar - TOLERANCE_DB:.1f} dB; or a faithful encoder at "
            f"this rate above {value_of(snr.subject) + TOLERANCE_DB:.1f} dB."
        )
    if faithful == CONTRADICTED:
        return (
            f"A decoder that recovers {bar - TOLERANCE_DB:.1f} dB or more from these spikes would refute "
            "'not faithful'; a gain in points clear of 0 at equal rate and width would show task alignment."
        )
    return (
        "Nothing is claimed. To decide it takes intervals narrow enough to leave out "
        f"-{TOLERANCE_DB:g} dB of SNR difference and 0 points of accuracy difference."
    )


def _signed(estimate: Estimate | None, unit: str) -> str:
    low, high = interval(estimate)
    return f"{value_of(estimate):+.1f} {unit} [{low:+.1f}, {high:+.1f}]"
