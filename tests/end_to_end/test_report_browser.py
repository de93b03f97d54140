"""Reports in a real browser: no error, no request, a pair opens when it is clicked, nothing wider than a phone."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synth_spark.report.comparison import Side, render_comparison
from synth_spark.report.page import render_page
from tests.plain.qa_example import example_result, wide_result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HISTORY = [{"epoch": n, "train.loss": 3.0 / n, "validation.loss": 3.1 / n, "seconds": 4.0 * n} for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless chromium; without it the tests skip, in CI they fail."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = importlib.util.find_spec("playwright")
    if program is None or driver is None:
        missing = "chromium (Debian: apt-get install chromium)" if program is None else "the playwright package"
        reason = f"this machine lacks {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's page as a file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_page(example_result(), history=HISTORY, software={"python": "3"}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example beside one that failed, as a file."""
    path = tmp_path_factory.mktemp("comparison") / "compare.html"
    sides = [Side(example_result(), {"seed": "1"}, {}), Side(example_result(passed=False), {"seed": "2"}, {}, "run-0")]
    path.write_text(render_comparison(*sides), encoding="utf-8")
    return path


def opened(browser: Browser, report: Path, width: int) -> tuple[Page, list[str], list[str]]:
    """The page at this width with every chart drawn, what its console said and what it asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function("[...document.querySelectorAll('.plot[data-chart]')].every(p => p.querySelector('svg'))")
    return page, said, asked


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_opens_without_an_error_or_a_request(browser: Browser, report: Path, width: int) -> None:
    page, said, asked = opened(browser, report, width)
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('.plot[data-chart]').length") >= 9
    for chapter in ("weakest", "correlations", "limits"):
        box = page.locator(f"#{chapter}").bounding_box()
        assert box is not None and 0 < box["width"] <= width
    assert page.locator("#correlations .heatmaplayer").count() == 3
    page.close()


def test_what_looks_like_tags_is_drawn_as_text(browser: Browser, report: Path) -> None:
    page, said, _ = opened(browser, report, 1000)
    drawn = page.locator("#figure-pairs svg text, #pair svg text").all_text_contents()
    assert said == []
    assert sum("<b>&" in text for text in drawn) >= 3, "beside the map, above it, and beside the pair"
    assert page.locator(".plot svg a").count() == 0
    page.close()


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_two_runs_side_by_side_open_as_well(browser: Browser, comparison: Path, width: int) -> None:
    page, said, asked = opened(browser, comparison, width)
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # families, columns, and an overlay of each of the two columns
    assert page.evaluate("document.querySelectorAll('.plot[data-chart] svg.main-svg').length") >= 4
    names = page.locator("#figures tbody th").first.bounding_box()
    assert names is not None and names["height"] < 100, "a name must not break letter by letter"
    page.close()


def test_sixty_of_two_hundred_columns_fit_a_phone(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "wide.html"
    wide = wide_result(200)
    # the charts of all columns take half a minute to draw and are not what is looked at here
    path.write_text(render_page(replace(wide, shown=wide.shown[-5:])), encoding="utf-8")
    page, said, _ = opened(browser, path, 400)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.close()


def test_a_clicked_pair_is_shown_real_beside_synthetic(browser: Browser, report: Path) -> None:
    page, said, _ = opened(browser, report, 1000)
    page.evaluate("document.getElementById('pair').hidden = true")
    plot = page.locator("#figure-pairs .plot")
    plot.scroll_into_view_if_needed()
    area = page.locator("#figure-pairs .nsewdrag").bounding_box()
    assert area is not None
    # two columns and their next value: the second cell of the first row is their pair
    page.mouse.click(area["x"] + area["width"] * 0.75, area["y"] + area["height"] * 0.25)
    page.wait_for_function("!document.getElementById('pair').hidden")
    for part in ("real", "synthetic", "difference"):
        page.wait_for_selector(f"#pair-{part} svg")
    assert "95.00 %" in page.inner_text("#pair-note")
    page.click("#pair details summary")
    assert "1999" in page.inner_text("#pair-table")
    assert said == []
    page.close()


def test_a_pair_can_be_chosen_without_a_mouse(browser: Browser, report: Path) -> None:
    page, said, _ = opened(browser, report, 400)
    page.select_option("#pair-choice", "0")
    assert page.get_attribute("#pair", "data-shown") == "0"
    assert said == []
    page.close()
