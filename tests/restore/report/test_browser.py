"""The page of a comparison in a browser, opened from disk: it moves and loads nothing."""

from __future__ import annotations

import pytest


@pytest.fixture
def page(browser, write, inputs):
    path = write(inputs)
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: seen.append(dialog.message) or dialog.dismiss())
    own = path.as_uri()
    page.on(
        "request",
        lambda request: (
            None
            if request.url == own or request.url.startswith("data:")
            else seen.append(request.url)
        ),
    )
    page.goto(own)
    yield page
    page.close()
    assert seen == []


def first(page, selector: str):
    return page.locator("section.input").first.locator(selector).first


def transform(locator) -> list[float]:
    """Zoom and place (in pixels) of a picture in its pane."""
    matrix = locator.evaluate("e => new DOMMatrix(getComputedStyle(e).transform).toJSON()")
    return [matrix["a"], matrix["e"], matrix["f"]]


def test_all_pictures_load(page):
    sizes = page.locator("img").evaluate_all("all => all.map(e => [e.complete, e.naturalWidth])")
    assert len(sizes) == 14  # 6 pictures, 4 maps, and 2 under the slider of each input
    assert all(complete and width > 0 for complete, width in sizes)


def test_the_slider_uncovers_the_other_picture(page):
    over, split = first(page, ".stage .over"), first(page, "input.split")
    clip = "e => getComputedStyle(e).clipPath"
    assert over.evaluate(clip) == "inset(0px 0px 0px 50%)"
    split.fill("20")
    assert over.evaluate(clip) == "inset(0px 0px 0px 20%)"
    split.press("ArrowRight")
    assert float(split.input_value()) > 20
    # By hand, on the pictures.
    box = first(page, ".stage .pane").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], middle)
    page.mouse.up()
    assert float(split.input_value()) == pytest.approx(75, abs=0.5)


def test_any_two_pictures_can_be_compared(page):
    under, truth = first(page, ".stage .pane > img"), first(page, "img[data-name=truth]")
    assert under.get_attribute("alt") == "measured"
    first(page, "select.left").select_option("truth")
    assert under.get_attribute("src") == truth.get_attribute("src")


def test_all_panes_of_an_input_zoom_and_move_together(page):
    section, other = page.locator("section.input").all()
    first(page, "input.zoom").fill("2")
    pictures = section.locator("img.picture, .stage img")
    assert pictures.count() == 6
    assert all(transform(one)[0] == 4 for one in pictures.all())
    assert transform(other.locator("img.picture").first) == [1, 0, 0]

    pane = section.locator("figure .pane").first
    pane.scroll_into_view_if_needed()
    before, box = transform(pane.locator("img").first), pane.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 55)
    page.mouse.up()
    after = [
        transform(one.locator("img").first) for one in section.locator("figure .pane").all()[:4]
    ]
    assert after[0] == pytest.approx([4, before[1] + 10, before[2] + 5], abs=0.1)
    assert all(one == pytest.approx(after[0], abs=0.1) for one in after)
    # Never beyond the border.
    pane.focus()
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    assert transform(pane.locator("img").first)[1] == 0
    first(page, "button.reset").click()
    assert transform(pane.locator("img").first) == [1, 0, 0]


def test_keys_that_move_no_picture_are_the_browsers(page):
    """An arrow scrolls the page unless a picture is zoomed into; Ctrl and + zoom the page alone."""
    page.evaluate("window.addEventListener('keydown', e => (window.kept = e.defaultPrevented))")
    pane = first(page, "figure .pane")
    pane.focus()

    def kept(key: str) -> bool:
        page.keyboard.press(key)
        return page.evaluate("kept")

    assert not kept("ArrowDown")
    page.keyboard.press("Control++")
    assert transform(pane.locator("img").first)[0] == 1
    page.keyboard.press("+")
    assert transform(pane.locator("img").first)[0] == 1.25
    assert kept("ArrowDown")
    assert not kept("Alt+ArrowLeft")


def test_maps_take_the_place_of_the_pictures(page):
    section = page.locator("section.input").first
    visible = lambda: [  # noqa: E731
        one.get_attribute("alt") for one in section.locator("figure img").all() if one.is_visible()
    ]
    assert visible() == ["truth", "measured", "ddrm", "bicubic"]
    assert not section.locator(".legend").is_visible()
    section.locator("select.kind").select_option("error")
    assert visible() == ["truth", "measured", "error of ddrm", "error of bicubic"]
    assert section.locator(".legend").is_visible()
    section.locator("select.kind").select_option("spread")
    assert visible() == ["truth", "measured", "standard deviation of ddrm"]
    assert section.get_by_text("one estimate: no spread").is_visible()
    assert section.get_by_text("needs <38> evaluations").is_visible()


def test_the_table_is_sorted_by_a_click_or_a_key(page):
    def names() -> list[str]:
        return page.locator("tbody th").all_inner_texts()

    head = page.get_by_role("columnheader", name="PSNR", exact=True)
    assert names() == ["ddrm", "bicubic", "snips"]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names() == ["ddrm", "bicubic", "snips"]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names() == ["bicubic", "ddrm", "snips"]  # what is missing stays last
    page.get_by_role("columnheader", name="method").locator("button").click()
    assert names() == ["bicubic", "ddrm", "snips"]
    assert head.get_attribute("aria-sort") is None
    page.get_by_role("columnheader", name="failed").locator("button").click()
    assert names()[0] == "snips"


def test_on_a_phone_the_page_is_as_wide_as_the_screen_and_scrolls(page):
    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    pane, action = first(page, "figure .pane"), "e => getComputedStyle(e).touchAction"
    assert pane.bounding_box()["width"] < 180  # two beside each other
    assert pane.evaluate(action) == "pan-y pinch-zoom"
    first(page, "input.zoom").fill("1")
    assert pane.evaluate(action) == "none"
    # What a row is of stays in sight.
    table = page.locator(".wide").first
    table.evaluate("e => e.scrollTo(200, 0)")
    name = page.locator("tbody th").first
    assert name.bounding_box()["x"] == table.bounding_box()["x"]


def test_on_paper_nothing_is_cut(page):
    page.set_viewport_size({"width": 680, "height": 900})  # A4 with its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 680
    whole = "all => all.every(e => getComputedStyle(e).breakInside === 'avoid')"
    for parts in ("figure", ".stage", "tr", ".plot"):
        assert page.locator(parts).evaluate_all(whole), parts
    assert not any(one.is_visible() for one in page.locator("input, button.reset, .hint").all())
    assert first(page, "select.left").is_visible()
