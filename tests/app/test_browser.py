"""The workbench in a real browser, started as `make app` starts it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.serve import free_port
from tests.app.conftest import FROZEN, LEARNED

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = (
    "Raster",
    "Probes",
    "Nuisance",
    "Gradients",
    "Learning rules",
    "Saliency",
    "Reconstruction",
    "Step-size plane",
    "Separability",
    "Interventions",
    "Embedding",
    "Overview",
)
SECONDS = 90.0

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(workbench_folders, private_folders):
    """Start the launcher on a free port; return the address it prints."""
    port = free_port(18_501)
    cache = {"SPIKELENS_CACHE": str(private_folders["SPIKELENS_CACHE"])}  # other tests need the same clips
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | workbench_folders | cache,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        found = None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        assert found, "the launcher printed no address"
        assert found[0] == f"http://127.0.0.1:{port}"
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium, address):
    """Open a tab that remembers what its console and its requests complained of."""
    tab = chromium.new_page(viewport={"width": 1400, "height": 1200})
    tab.set_default_timeout(SECONDS * 1000)
    tab.complaints, tab.elsewhere = [], set()
    tab.on("console", lambda said: tab.complaints.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:", "blob:")) else tab.elsewhere.add(r.url),
    )
    yield tab
    tab.close()


def settled(tab) -> None:
    """Wait until the script has run and nothing is being drawn; there is no error box then."""
    tab.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    tab.wait_for_function(
        '() => !document.querySelector(\'[data-stale="true"], [data-testid="stSkeleton"]\')'
    )
    boxes = tab.locator('[data-testid="stAlertContentError"], [data-testid="stException"]').all_inner_texts()
    assert boxes == []


def choose(tab, label: str, option: str) -> None:
    tab.locator('[data-testid="stSidebar"] [data-testid="stSelectbox"]', has_text=label).locator(
        "input"
    ).click()
    tab.get_by_role("option", name=option, exact=True).click()


def ranges(tab) -> list[list[float]]:
    """Return the visible time of every panel of the first chart."""
    return tab.evaluate(
        """() => { const layout = document.querySelector('.js-plotly-plot')._fullLayout;
        return Object.keys(layout).filter(k => /^xaxis\\d*$/.test(k)).map(k => layout[k].range.slice()); }"""
    )


def test_every_page_opens_and_choices_hold_from_page_to_page(tab, address):
    tab.goto(address)
    tab.get_by_role("heading", name="Overview", level=1).wait_for()
    settled(tab)
    choose(tab, "Checkpoint", FROZEN)
    for name in PAGES:
        tab.get_by_role("link", name=name).click()
        tab.get_by_role("heading", name=name, level=1).wait_for()
        settled(tab)
        assert f"checkpoint={FROZEN}" in tab.url
    assert tab.complaints == []
    assert tab.elsewhere == set()  # nothing is fetched from another server


def test_the_raster_zooms_in_all_panels_and_keeps_its_window_on_the_next_clip(tab, address):
    tab.goto(address)
    tab.get_by_role("link", name="Raster").click()
    tab.wait_for_selector(".js-plotly-plot .draglayer .nsewdrag")
    settled(tab)
    assert "spoken “go”" in tab.inner_text('[data-testid="stMain"]')
    whole = ranges(tab)
    area = tab.locator(".js-plotly-plot .nsewdrag").nth(1).bounding_box()
    y = area["y"] + area["height"] / 2
    tab.mouse.move(area["x"] + 0.3 * area["width"], y)
    tab.mouse.down()
    tab.mouse.move(area["x"] + 0.6 * area["width"], y + 2, steps=8)
    tab.mouse.up()
    tab.wait_for_function(
        "before => document.querySelector('.js-plotly-plot')._fullLayout.xaxis.range[0] > before + 100",
        arg=whole[0][0],
    )
    zoomed = ranges(tab)
    assert all(panel == pytest.approx(zoomed[0]) for panel in zoomed) and len(zoomed) == 5
    assert 200 < zoomed[0][1] - zoomed[0][0] < 400  # ms
    tab.get_by_role("slider").first.press("ArrowRight")  # the window, unlike a zoom, holds for other clips
    settled(tab)
    tab.get_by_role("button", name="Next", exact=True).click()
    tab.wait_for_function("() => location.search.includes('clip=1')")
    settled(tab)
    assert ranges(tab)[0] == [10, 1000]
    assert tab.complaints == []


def test_a_link_opens_the_page_the_checkpoint_and_the_clip_it_names(tab, address):
    tab.goto(f"{address}/raster?checkpoint={FROZEN}&clip=14&split=test")
    tab.wait_for_selector(".js-plotly-plot")
    settled(tab)
    assert tab.get_by_role("link", name="Overview").count() == 1  # the sidebar is there
    text = tab.inner_text('[data-testid="stMain"]')
    assert FROZEN in text and "spoken “no”" in text
    alt = tab.locator('[data-testid="stPlotlyChart"]').first
    assert "Clip no/" in json.dumps(alt.evaluate("node => node.outerHTML"))


def test_the_overview_shows_both_checkpoints_scores(tab, address):
    tab.goto(address)
    tab.get_by_role("heading", name="What the checkpoints scored").wait_for()
    settled(tab)
    assert LEARNED in tab.locator('[data-testid="stMultiSelect"]').inner_text()
