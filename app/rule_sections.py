"""Sections of the page on learning rules: what is chosen, curves, and representations side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from analysis.learning_rules import LearningRules
from analysis.matched_weights import another_seed
from analysis.result import shown
from analysis.rule_arms import BPTT, Family
from analysis.rule_result import RuleRepresentations
from analysis.subjects import how_to_get
from app import inspection, rule_trainings, session, widgets
from app.charts import learning_rules as charts
from models.checkpoint import find_checkpoint, has_snapshots


def choose(known: Sequence[Family]) -> LearningRules | None:
    """Let the visitor choose a network and the arms to compare; None where no arm is chosen."""
    chosen = session.selection()
    looked_at = {chosen.checkpoint, chosen.compare}
    first = next((i for i, family in enumerate(known) if looked_at & set(family.names)), 0)
    labels = [family.label for family in known]
    session.keep_within("rules-network", labels)
    label = st.selectbox("Network and data", labels, index=first, key="rules-network")
    family = known[labels.index(label)]
    arms = st.multiselect(
        "Learning rules", list(family.arms), default=family.usual, key=f"rules-arms-{family.label}"
    )
    names = [name for arm in family.arms if arm in arms for name in family.arms[arm]]
    if not names:
        st.info("Choose at least one learning rule.")
        return None
    return rule_trainings.learning_rules(names)


def curves(result: LearningRules) -> None:
    """Show how the trainings went, and how far each rule followed the gradient."""
    st.subheader("Accuracy by epoch", divider="gray")
    widgets.draw(charts.accuracy(result), charts.accuracy_alt(result), "rules-accuracy")
    st.dataframe(result.summary(), hide_index=True, key="rules-summary")
    st.caption(
        "Mean ± standard deviation over training seeds; of a single seed, its 95 % interval over "
        f"{result.provenance.interval_unit}s. One colour is one rule."
    )
    _caveats(result.caveats)
    st.subheader("Does the rule follow the gradient?", divider="gray")
    figure = charts.cosines(result)
    if figure is None:
        inspection.not_applicable(
            "agreement with the gradient", "BPTT alone is chosen, which is the gradient"
        )
        return
    widgets.draw(figure, charts.cosines_alt(result), "rules-cosines")
    st.caption(
        "Cosine of the rule's update with the BPTT gradient, tensor by tensor, on the same 128 training "
        "clips in every epoch, averaged over seeds. 0 is the null: two unrelated directions among n numbers "
        "stay within about ± 2/√n, which is ± 0.015 for 18 000 weights, ± 0.2 for a hundred leaks, and "
        "anything at all for the encoder's handful of parameters. A cosine says nothing of the length of a "
        "step, and a small positive one can be enough to learn. Leaks at their bound have no gradient: with "
        "one of them left free the cosine can only be ± 1, with none the line ends."
    )
    turned = charts.angles(result)
    if turned is not None:
        widgets.draw(turned, charts.angles_alt(result), "rules-angles")
        st.caption(
            "Angle between the signal that teaches a layer's spikes and the gradient there (Lillicrap et al. "
            "2016), 0 on top. 90°, the dotted line, is no agreement: nearly all pairs of directions in a "
            "large space stand at about 90°. An untrained network begins there, and leaves it only as its "
            "forward weights align with the fixed feedback."
        )


def representations(result: LearningRules) -> None:
    """Set a training by feedback beside BPTT where that was as accurate."""
    st.subheader("What the layers hold, at equal accuracy", divider="gray")
    rules = {arm.label: arm.rule for arm in result.arms}
    taught = [training.name for training in result.trainings if rules[training.arm] != BPTT]
    by_gradient = [training.name for training in result.trainings if rules[training.arm] == BPTT]
    if not taught or not by_gradient:
        st.info("Choose a rule with feedback and BPTT above: one is held against the other.")
        return
    if not session.is_here(data := result.provenance.dataset):
        inspection.not_applicable(
            "representations", f"the recordings of {data} are not on this machine. {how_to_get(data)}"
        )
        return
    seeds = {training.name: training.seed for training in result.trainings}
    left, right = st.columns(2)
    taught.sort(key=lambda each: each != session.selection().checkpoint)
    name = left.selectbox("Training by feedback", taught, key="rules-name")
    by_gradient.sort(key=lambda each: (not has_snapshots(find_checkpoint(each)), seeds[each] != seeds[name]))
    against = right.selectbox("Training by BPTT", by_gradient, key="rules-against")
    with widgets.errors():
        found = widgets.measured(
            "rules",
            session.subject(name, data),
            session.selection().split,
            label="Compare (about a minute)",
            key="rules-compare",
            against=against,
            control=another_seed(against),
            seed=inspection.SEED,
        )
        if isinstance(found, RuleRepresentations):
            _side_by_side(found)


def _side_by_side(result: RuleRepresentations) -> None:
    st.markdown(f"**{widgets.plain(result.sentence)}**")
    st.dataframe(_systems(result), hide_index=True, key="rules-systems")
    widgets.draw(charts.probes(result), charts.probes_alt(result), "rules-probes")
    st.caption(
        "A linear probe for the word on 256 principal components of the spikes in 10 windows: every point "
        "has the same room. Crosses: the same probe fitted to permuted words."
    )
    widgets.draw(charts.likeness(result), charts.likeness_alt(result), "rules-likeness")
    st.caption(
        "Debiased linear CKA, 0 for unrelated codes and 1 for equal ones. Two codes that know the words are "
        "alike for that reason alone: diamonds, clips permuted within words. Two seeds of BPTT say how alike "
        "trainings of one rule are, so only a difference from *their* CKA speaks of the rule."
    )
    _caveats(result.caveats)
    widgets.numbers(result, "rules-representations")


def _caveats(caveats: Sequence[str]) -> None:
    """List what a reader should know before comparing."""
    st.caption("\n".join(f"- {widgets.plain(caveat)}" for caveat in caveats))


def _systems(result: RuleRepresentations) -> pd.DataFrame:
    points = list(dict.fromkeys(row.point for row in result.readings))
    return pd.DataFrame(
        [
            {
                "weights": system.label,
                "checkpoint": system.checkpoint,
                f"network accuracy, {result.provenance.split} (%)": str(system.accuracy),
                **{f"rate, {point}": shown(system.rates[point]) for point in points},
                **{f"encoder {name}": shown(value) for name, value in system.steps.items()},
                "own-decoder SNR (dB)": shown(system.snr_db),
            }
            for system in result.systems
        ]
    )
