from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from restore.report.plot import HEIGHT, WIDTH, quality_plot


def drawn(*rows) -> ET.Element:
    return ET.fromstring(quality_plot(rows))


def dots(svg: ET.Element, name: str) -> list[tuple[float, float, float]]:
    """(x, y, radius) of the dots of a method."""
    for group in svg.iter("g"):
        if group.find("title").text.startswith(f"{name}:"):
            return [tuple(float(c.get(k)) for k in ("cx", "cy", "r")) for c in group.iter("circle")]
    raise AssertionError(name)


def test_one_sample_and_the_mean_at_what_each_costs(summary_row):
    svg = drawn(
        summary_row("a", 30.0, samples=4, evaluations=20, psnr_sample=28.0),
        summary_row("b", 28.0, evaluations=80),
    )
    (one, mean), (other,) = dots(svg, "a"), dots(svg, "b")
    assert "a: 30.00 dB, 80 evaluations" in [title.text for title in svg.iter("title")]
    assert one[2] < mean[2]
    assert mean[0] == other[0]  # 4 times 20 evaluations are 80
    assert one[1] == other[1]  # 28 dB
    assert one[0] < mean[0]
    assert mean[1] < one[1]  # up is better


def test_without_a_network_a_line(summary_row):
    svg = drawn(summary_row("a", 30.0, evaluations=20), summary_row("bicubic", 27.0))
    assert dots(svg, "bicubic") == []
    assert len([path for path in svg.iter("path") if path.get("class") == "classical"]) == 1
    titles = [title.text for title in svg.iter("title")]
    assert titles == ["a: 30.00 dB, 20 evaluations", "bicubic: 27.00 dB, no network"]


def test_a_mean_of_0_db_whose_samples_have_no_psnr_is_one_dot(summary_row):
    svg = drawn(summary_row("zero", 0.0, evaluations=20, samples=4, psnr_sample=None))
    assert len(dots(svg, "zero")) == 1


def test_a_bar_is_one_standard_error_up_and_down(summary_row):
    svg = drawn(
        summary_row("a", 30.0, evaluations=20, psnr_se=0.5),
        summary_row("b", 28.0, evaluations=80, psnr_se=0.0),
    )
    ((_, top, _),), ((_, bottom, _),) = dots(svg, "a"), dots(svg, "b")
    curve = next(path.get("d") for path in svg.iter("path") if path.get("class") == "curve")
    low, high = map(float, re.search(r"([\d.]+)V([\d.]+)$", curve).groups())
    assert low - high == pytest.approx(2 * 0.5 * (bottom - top) / 2, abs=0.2)
    assert (low + high) / 2 == pytest.approx(top, abs=0.1)
    svg = drawn(summary_row("a", 30.0, evaluations=20, psnr_se=5.0))
    paths = {path.get("class"): path.get("d") for path in svg.iter("path")}
    low, high = map(float, re.search(r"([\d.]+)V([\d.]+)$", paths["curve"]).groups())
    ceiling, floor = map(float, re.search(r" (\d+)V(\d+)H", paths["axis"]).groups())
    assert ceiling < high < low < floor


def test_labels_do_not_overlap_and_everything_is_inside(summary_row):
    names = [f"method-{i}" for i in range(16)]
    svg = drawn(
        *(summary_row(name, 30 + i / 1000, evaluations=100) for i, name in enumerate(names))
    )
    places = sorted(float(text.get("y")) for text in svg.iter("text") if text.text in names)
    assert len(places) == 16
    assert all(b - a >= 14.9 for a, b in pairwise(places))
    assert 0 < places[0] <= places[-1] < HEIGHT
    ticks = [text for text in svg.iter("text") if re.fullmatch(r"[\d.]+", text.text)]
    assert len(ticks) >= 3
    for text in ticks:
        assert 0 <= float(text.get("x")) <= WIDTH
        assert 0 <= float(text.get("y")) <= HEIGHT


@pytest.mark.parametrize("evaluations", [1, 7, 100, 1000])
def test_one_method_alone(summary_row, evaluations):
    svg = drawn(summary_row("a", 30.0, psnr_se=None, evaluations=evaluations))
    ((x, y, _),) = dots(svg, "a")
    assert 0 < x < WIDTH
    assert 0 < y < HEIGHT
    paths = [(path.get("class"), path.get("d")) for path in svg.iter("path")]
    left, top, bottom, right = map(int, re.findall(r"\d+", dict(paths)["axis"]))
    grid = [re.match(r"M([\d.]+) ([\d.]+)", d).groups() for kind, d in paths if kind == "grid"]
    assert all(left <= float(a) <= right and top <= float(b) <= bottom for a, b in grid)
    levels = [text for text in svg.iter("text") if text.get("text-anchor") == "end"]
    assert 3 <= len(levels) <= 7


def test_names_are_escaped_and_unknown_levels_left_out(summary_row):
    svg = drawn(summary_row("own:<b>", 30.0), summary_row("failed", None))
    assert "own:<b>" in [text.text for text in svg.iter("text")]
    assert "failed" not in [text.text for text in svg.iter("text")]
    assert quality_plot([summary_row("failed", None)]) == ""


def test_it_has_a_title_and_names_of_its_axes(summary_row):
    texts = [text.text for text in drawn(summary_row("a", 30.0, evaluations=20)).iter("text")]
    assert texts[0] == "PSNR against evaluations of the network"
    assert {"evaluations for an input", "PSNR, dB"} <= set(texts)
