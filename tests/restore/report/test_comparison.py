"""The page of a comparison: everything inside it, nothing of a name taken for HTML."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from restore.report.comparison import Input
from restore.report.inline import LONGEST, map_uri, shrunk


class Page(HTMLParser):
    """The elements of a page with their attributes, its texts, and its scripts by id."""

    VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: dict[str | None, str] = {}
        self.open: list[str] = []
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self._script = dict(attrs).get("id")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[self._script] = data
        else:
            self.texts.append(data)

    def all(self, tag, **attributes):
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]

    def images(self, kind):
        return [one for one in self.all("img") if kind in (one["class"] or "").split()]


@pytest.fixture
def page(write, inputs) -> Page:
    return Page(write(inputs).read_text(encoding="utf-8"))


def pixels(uri: str) -> np.ndarray:
    """[C, H, W] in [0, 1] of a `data:` address."""
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(BytesIO(base64.b64decode(data)))
    array = np.asarray(image.convert("RGB" if image.mode == "P" else image.mode)) / 255
    return np.moveaxis(np.atleast_3d(array), -1, 0)


def test_every_element_is_closed(page):
    assert page.open == []
    sections = page.all("section")
    assert len(sections) == 2
    assert all(one["style"].startswith("--ratio:1.5;") for one in sections)  # of 36 by 24 pixels


def test_nothing_comes_from_elsewhere(page, write, inputs):
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    text = write(inputs).read_text(encoding="utf-8")
    assert re.search(r"https?:|@import|url\(", text) is None
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_pictures_are_those_of_the_methods(page, inputs, truth):
    found = {one["data-name"]: pixels(one["src"]) for one in page.images("picture")[:4]}
    assert list(found) == ["truth", "measured", "ddrm", "bicubic"]
    np.testing.assert_allclose(found["truth"], truth, atol=0.51 / 255)
    np.testing.assert_allclose(found["measured"], truth[:, ::2, ::2], atol=0.51 / 255)
    np.testing.assert_allclose(found["bicubic"], inputs[0].shown[1].picture, atol=0.51 / 255)


def test_maps_share_a_scale_that_is_said(page):
    # Errors of 0.1 and 0.2 and a spread of 0.05: white is their median.
    errors = [one for one in page.images("error") if "picture" not in one["class"]]
    spreads = [one for one in page.images("spread") if "picture" not in one["class"]]
    assert [one["alt"] for one in errors] == ["error of ddrm", "error of bicubic"]
    assert [one["alt"] for one in spreads] == ["standard deviation of ddrm"] * 2
    assert all("hidden" in one for one in errors + spreads)
    always = [one["data-name"] for one in page.images("error") if "picture" in one["class"]]
    assert always == ["truth", "measured", "measured"]
    assert any("0.1 (25.5 of 255) and more" in text for text in page.texts)
    assert np.all(pixels(errors[0]["src"]) == 1)
    # Half of white, but for rounding to 63 steps: red full, green half, no blue.
    np.testing.assert_allclose(pixels(spreads[0]["src"])[:, 0, 0], (1, 0.5, 0), atol=0.03)


@pytest.mark.parametrize(("outliers", "white"), [(4, "0.1"), (10, "0.4")])
def test_one_pixel_in_two_hundred_may_run_into_white(write, shown, outliers, white):
    truth = np.zeros((1, 20, 50), np.float32)
    made = shown(truth, "a", 0.1)
    made.picture[0, 0, :outliers] = 0.4
    page = Page(write([Input("a.png", None, truth, [made])]).read_text(encoding="utf-8"))
    assert any(text.strip().startswith(f"{white} (") for text in page.texts)


@pytest.mark.parametrize(
    ("error", "white"), [(0.3, "0.173 (44.2 of 255)"), (0.0, "0.00392 (1.0 of 255)")]
)
def test_maps_are_of_the_root_mean_square_over_channels(write, shown, error, white):
    truth = np.zeros((3, 5, 7), np.float32)
    made = shown(truth, "a", 0.0)
    made.picture[0] = error
    page = Page(write([Input("a.png", None, truth, [made])]).read_text(encoding="utf-8"))
    assert any(text.strip().startswith(white) for text in page.texts)


def test_panes_have_the_shape_of_the_results(write, shown):
    square = np.zeros((1, 8, 8), np.float32)
    page = Page(write([Input("a.png", square, None, [shown(None, "a", 0.1)])]).read_text())
    (section,) = page.all("section")
    assert section["style"].startswith("--ratio:1.5;")
    assert len(page.all("div", **{"class": "stage"})) == 1


def test_what_there_is_no_map_of_is_said(page):
    assert page.texts.count("one estimate: no spread") == 1
    assert page.texts.count("the truth is not known") == 1


def test_those_maps_are_offered_that_there_are(page):
    offered = [one["value"] for one in page.all("option") if "value" in one]
    assert offered == ["picture", "error", "spread", "picture", "spread"]


def test_colours_of_a_map_go_from_black_over_red_and_yellow_to_white():
    colours = pixels(map_uri(np.array([[0.0, 1 / 3, 2 / 3, 1.0, 5.0]]), 1.0))[:, 0].T
    expected = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 1, 1)]
    np.testing.assert_allclose(colours, expected, atol=1 / 255)


def test_the_configuration_and_the_rows_come_back(page, inputs, configuration):
    data = json.loads(page.scripts["data"])
    assert data["configuration"] == configuration
    assert data["rows"] == [one.row for each in inputs for one in each.shown]
    assert [row["method"] for row in data["summary"]] == ["ddrm", "bicubic", "snips"]
    assert json.loads(page.texts[page.texts.index("Configuration") + 1]) == configuration


def test_the_table_is_sorted_by_the_numbers_that_it_shows(page):
    numbers = [one["data-value"] for one in page.all("td") if "data-value" in one]
    assert {"19.0", "18.0"} <= set(numbers)
    assert "0.25" not in numbers


def test_below_a_picture_are_its_figures(page):
    (caption,) = [text for text in page.texts if text.strip().startswith("PSNR 19.00")]
    for figure in ("SSIM 0.9000", "residual 0.01", "in 90 % 0.800", "seconds 1.0"):
        assert figure in caption


def test_names_of_methods_of_ones_own_are_escaped(write, truth, shown):
    text = write([Input("a.png", None, truth, [shown(truth, 'a:<b>"', 0.1, 2)])]).read_text()
    assert "<b>" not in text
    assert '"""' not in text
    assert 'a:<b>"' in Page(text).texts


def test_a_name_stays_a_name(page, inputs):
    assert inputs[0].name in page.texts
    assert "restore compare: <denoise>" in page.texts
    assert len(page.all("script")) == 2


def test_a_failure_says_why_in_its_place_and_in_the_table(page):
    assert "needs <38> evaluations" in page.texts
    assert [text for text in page.texts if " of 2" in text and len(text) < 9] == ["2 of 2"]


def test_the_slider_chooses_among_the_pictures_that_there_are(page):
    at = page.texts.index("left ")
    assert page.texts[at + 1 : at + 5] == ["truth", "measured", "ddrm", "bicubic"]
    assert page.texts[at + 5] == "right "
    selects = [i for i, (tag, _) in enumerate(page.elements) if tag == "select"]
    chosen = []
    for i in selects[:2]:
        options = [attributes for _, attributes in page.elements[i + 1 : i + 5]]
        chosen.append(["selected" in one for one in options])
    # The measurement, and the best of the methods.
    assert chosen == [[False, True, False, False], [False, False, True, False]]


def test_the_slider_shows_a_picture_equal_to_the_truth_as_the_best(write, truth, shown):
    perfect = shown(truth, "decoded", 0.0)
    perfect = replace(perfect, row={**perfect.row, "psnr": None})
    text = write([Input("a.png", None, truth, [shown(truth, "ddrm", 0.1), perfect])]).read_text()
    assert "<option selected>decoded</option>" in text


def test_an_input_without_any_picture(write, failed):
    text = write([Input("gone.png", None, None, [failed("*", "gone.png: not found")])]).read_text()
    assert Page(text).open == []
    assert "gone.png: not found" in text
    assert 'class="stage"' not in text


def test_where_all_methods_failed_the_input_is_shown(write, truth, failed):
    text = write([Input("a.png", truth, truth, [failed("snips", "no")])]).read_text()
    assert "<option selected>measured</option>" in text


def test_a_name_that_is_no_text_does_not_stop_the_page(write, truth, shown):
    path = write([Input("\udcff.png", truth, truth, [shown(truth, "ddrm", 0.1)])])
    assert "?.png" in path.read_text(encoding="utf-8")


def test_a_failure_while_writing_leaves_nothing(write, tmp_path):
    def broken():
        yield Input("a.png", None, None, [])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(broken())
    assert list(tmp_path.iterdir()) == []


def test_large_pictures_are_shown_smaller_and_it_is_said(write, shown):
    truth = np.zeros((1, 8, 2 * LONGEST), np.float32)
    truth[:, :, ::2] = 0.6  # pairs of columns have the mean 0.3
    made = replace(shown(truth, "a", 0.1), std=np.full_like(truth, 0.05))
    page = Page(write([Input("wide.png", truth[..., ::4], truth, [made])]).read_text())
    sizes = [pixels(one["src"]).shape[1:] for one in page.all("img")]
    half = (4, LONGEST)
    assert sizes == [half, (8, LONGEST // 2), half, half, half]
    np.testing.assert_allclose(pixels(page.images("picture")[0]["src"]), 0.3, atol=0.51 / 255)
    assert any("2048×8 pixels are shown as 1024×4" in text for text in page.texts)


def test_pictures_that_fit_are_shown_as_they_are(page, truth):
    assert shrunk(truth) is truth
    assert shrunk(np.ones((1, 8 * LONGEST))).shape == (1, LONGEST)  # a line stays one
    assert not any("are shown as" in text for text in page.texts)


def test_grey_and_error_at_a_pixel(write, shown):
    truth = np.full((1, 5, 7), 0.25, np.float32)
    one = shown(truth, "a", 0.0)
    one.picture[0, 3, 2] = 0.75
    page = Page(write([Input("grey.png", None, truth, [one])]).read_text())
    grey = pixels(page.images("picture")[-1]["src"])
    (error,) = [pixels(one["src"]) for one in page.images("error") if one["class"] == "error"]
    assert grey[..., 3, 2] == pytest.approx(0.75, abs=0.51 / 255)
    assert np.argwhere(error.any(axis=0)).tolist() == [[3, 2]]
    assert error[:, 3, 2].tolist() == [1, 1, 1]
