"""Shared pieces: tables no spreadsheet runs, words that stay words, errors in one line."""

import pandas as pd
from streamlit.testing.v1 import AppTest

from analysis.result import Provenance, to_csv
from app.widgets import plain, source_line


def test_a_cell_that_looks_like_a_formula_is_text_and_numbers_stay_numbers():
    table = pd.DataFrame({"word": ["=1+1", "go", "@x", "-y"], "points": [-1.5, 2.0, 3.0, 4.0]})
    assert to_csv(table).splitlines() == ["word,points", "'=1+1,-1.5", "go,2.0", "'@x,3.0", "'-y,4.0"]


def test_markdown_in_a_file_name_is_shown_as_it_is():
    assert plain("[x](http://y) *a* $b$") == r"\[x\]\(http\://y\) \*a\* \$b\$"


def test_the_source_line_says_what_a_reader_must_know():
    where = Provenance(
        "net",
        "spoken35",
        "test",
        "d" * 64,
        "c" * 64,
        3,
        synthetic=True,
        speakers_known=False,
        interval_unit="clip",
    )
    line = source_line(where, pd.DataFrame({"n": [10, 20], "low": [0.1, 0.2]}))
    for part in ("synthetic speech", "n = 20", "intervals over clips", "speakers unknown", "training seed 3"):
        assert part in line
    assert "intervals" not in source_line(where, pd.DataFrame({"spikes": [1]}))


def test_whatever_goes_wrong_is_one_line_without_a_traceback():
    def script() -> None:
        from app import widgets
        from models.errors import SpikelensError

        with widgets.errors():
            raise SpikelensError("clip: 7 is not\nbetween 0 and 3")
        with widgets.errors():
            raise ZeroDivisionError("secret path /home/x")

    page = AppTest.from_function(script).run()
    shown = [box.value.replace("\\", "") for box in page.error]
    assert shown == ["clip: 7 is not between 0 and 3", "unexpected ZeroDivisionError: see the terminal"]
    assert not page.exception
