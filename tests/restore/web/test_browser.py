"""The page in a headless browser, with a mouse and a keyboard."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from restore.cli.app import app

from .conftest import smooth

# Gradio's own, when a file is uploaded.
EXPECTED = "Method not implemented."
PATIENCE = 60_000
SAMPLES = Path(__file__).parents[3] / "data" / "samples"
SCREENSHOTS = os.environ.get("RESTORE_SCREENSHOTS")


class Visit:
    """A visitor's page, which may ask for nothing but the server's own."""

    def __init__(self, browser, served) -> None:
        self.page = browser.new_page(viewport={"width": 1200, "height": 900})
        self.page.set_default_timeout(PATIENCE)
        self.seen: list[str] = []
        self.page.on("console", lambda message: self.seen.append(message.text))
        self.page.on("pageerror", lambda error: self.seen.append(str(error)))
        self.page.on("websocket", lambda opened: self.seen.append(opened.url))
        self.page.on("request", lambda request: self.check(request.url, served.address))
        self.page.goto(served.address)

    def check(self, url: str, own: str) -> None:
        if not url.startswith((own + "/", "data:", "blob:" + own)):
            self.seen.append(url)

    def close(self) -> None:
        self.page.close()
        assert [text for text in self.seen if text != EXPECTED] == []

    def tab(self, title: str) -> None:
        self.page.get_by_role("tab", name=title, exact=True).click()

    def upload(self, verb: str, path: Path, kind: str = "picture") -> None:
        self.page.locator(f"#{verb}-{kind} input[type=file]").set_input_files(path)

    def open(self, verb: str, path: Path):
        """Upload a picture; returns the editor that shows it."""
        self.upload(verb, path)
        editor = self.page.locator(f"#{verb}-editor[ready]")
        editor.wait_for()
        return editor

    def drag(self, canvas, *places: tuple[float, float]) -> None:
        """Draw along places in pixels of the picture."""
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        size = canvas.evaluate("e => [e.width, e.height]")
        along = [
            (box["x"] + (x + 0.5) / size[0] * box["width"],
             box["y"] + (y + 0.5) / size[1] * box["height"])
            for x, y in places
        ]  # fmt: skip
        self.page.mouse.move(*along[0])
        self.page.mouse.down()
        for place in along[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def drawn(self, verb: str) -> np.ndarray | None:
        """What the editor would send."""
        url = self.page.evaluate(f"drawnOn('{verb}-editor')")
        if not url:
            return None
        with Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
            return np.asarray(image)

    def loaded(self, verb: str) -> np.ndarray | None:
        """What the editor would send, as soon as anything is drawn."""
        deadline = time.monotonic() + PATIENCE / 1000
        while (drawn := self.drawn(verb)) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return drawn

    def start(self, verb: str) -> None:
        self.page.locator(f"#{verb}-start").click()

    def says(self, verb: str, text: str) -> str:
        """Wait until the status has this text; returns all of it."""
        status = self.page.locator(f"#{verb}-status")
        status.get_by_text(text).first.wait_for()
        return status.inner_text()

    def download(self, verb: str, name: str, folder: Path) -> Path:
        link = self.page.locator(f"#{verb}-files a[download='{name}']").first
        with self.page.expect_download() as download:
            link.click()
        target = folder / name
        download.value.save_as(target)
        return target


# The texts in sight whose contrast is below what WCAG asks for (4.5), with it; as they are drawn.
FAINT = """() => {
  const canvas = document.createElement("canvas");
  const pixel = canvas.getContext("2d", { willReadFrequently: true });
  const light = (layers) => {
    for (const colour of layers) {
      pixel.fillStyle = colour;
      pixel.fillRect(0, 0, 1, 1);
    }
    const [r, g, b] = [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3).map(
      (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = {};
  const seen = { visibilityProperty: true, opacityProperty: true };
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].find((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!text || one.closest(":disabled") || !one.checkVisibility(seen)) continue;
    const behind = ["white"];
    for (let e = one; e; e = e.parentElement) {
      behind.splice(1, 0, getComputedStyle(e).backgroundColor);
    }
    const levels = [light(behind), light([...behind, getComputedStyle(one).color])];
    const contrast = (Math.max(...levels) + 0.05) / (Math.min(...levels) + 0.05);
    if (contrast < 4.5) faint[text.data.trim()] = contrast;
  }
  return faint;
}"""


@pytest.fixture
def visit(browser, served) -> Iterator[Visit]:
    visit = Visit(browser, served)
    yield visit
    visit.close()


def set_brush(editor, size: int) -> None:
    editor.locator("input[type=range]").evaluate(
        "(e, size) => { e.value = size; e.dispatchEvent(new Event('input')); }", size
    )


def slow(visit: Visit, verb: str) -> None:
    """Choose what takes longer than any test looks at it."""
    visit.page.locator(f"#{verb}-samples input").fill("32")
    visit.page.locator(f"#{verb}-steps input").fill("1000")
    visit.page.locator(f"#{verb}-sigma :is(input, textarea)").fill("0.1")


def test_a_hole_is_drawn_and_filled_as_the_command_line_fills_it(visit, photo, tmp_path):
    editor = visit.open("inpaint", photo)
    assert editor.get_attribute("ready") == "40x30"
    set_brush(editor, 3)
    visit.drag(editor.locator("canvas"), (10, 10), (20, 14))
    drawn = visit.drawn("inpaint")
    assert drawn[10, 10].all()
    assert drawn[14, 20].all()
    visit.page.get_by_label("fast").locator("visible=true").check()
    visit.start("inpaint")
    assert "fits the input" in visit.says("inpaint", "Done: 40×30")
    assert visit.page.locator("#inpaint-shown img").count() >= 2

    names = ("photo_inpaint.png", "photo_inpaint.json", "photo_mask.png")
    result, sidecar, mask = (visit.download("inpaint", name, tmp_path) for name in names)
    assert json.loads(sidecar.read_text())["config"]["mask"] == "photo_mask.png"
    with Image.open(mask) as image:
        assert (np.asarray(image.convert("L")) == drawn[..., 0]).all()
    terminal = tmp_path / "terminal.png"
    arguments = ["inpaint", photo, "--mask", mask, "--fast", "-o", terminal]
    assert CliRunner().invoke(app, [str(a) for a in arguments]).exit_code == 0
    assert result.read_bytes() == terminal.read_bytes()


def test_the_brush_draws_at_the_right_pixel_of_a_wide_photograph(visit, tmp_path):
    path = tmp_path / "wide.jpg"
    Image.fromarray(smooth(3000, 1000)).save(path, quality=80)
    editor = visit.open("inpaint", path)
    canvas = editor.locator("canvas")
    assert editor.get_attribute("ready") == "3000x1000"
    assert canvas.bounding_box()["width"] < 1200
    set_brush(editor, 1)
    places = {(0, 0), (2999, 999), (1234, 567), (17, 998)}
    for place in places:
        visit.drag(canvas, place)
    # At another size of the window, and enlarged.
    visit.page.set_viewport_size({"width": 700, "height": 800})
    visit.drag(canvas, (2500, 33))
    visit.page.set_viewport_size({"width": 1200, "height": 900})
    for _ in range(4):
        editor.locator("[data-act=in]").click()
    assert canvas.bounding_box()["width"] > 3000
    visit.drag(canvas, (100, 101))
    rows, columns = np.nonzero(visit.drawn("inpaint")[..., 0])
    found = set(zip(columns.tolist(), rows.tolist(), strict=True))
    assert found == places | {(2500, 33), (100, 101)}


def test_the_editor_has_what_an_editor_has(visit, photo, tmp_path):
    editor = visit.open("inpaint", photo)
    canvas, brush = editor.locator("canvas"), editor.locator("input[type=range]")
    set_brush(editor, 5)
    visit.drag(canvas, (8, 8))
    visit.drag(canvas, (30, 20))
    both = visit.drawn("inpaint")
    keyboard = visit.page.keyboard
    keyboard.press("Control+z")
    one = visit.drawn("inpaint")
    assert one[8, 8].all()
    assert not one[20, 30, 0]
    keyboard.press("Control+Shift+z")
    assert (visit.drawn("inpaint") == both).all()
    keyboard.press("e")
    visit.drag(canvas, (8, 8))
    erased = visit.drawn("inpaint")
    assert not erased[8, 8, 0]
    assert erased[20, 30].all()
    keyboard.press("e")
    keyboard.press("]")
    assert brush.input_value() == "6"
    visit.page.mouse.wheel(0, -100)
    visit.page.wait_for_function("document.querySelector('picture-editor input').value == 7")
    keyboard.press("[")
    assert brush.input_value() == "6"
    with visit.page.expect_download() as download:
        editor.locator("[data-act=save]").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.name == "mask.png"
    keyboard.press("Delete")
    assert visit.drawn("inpaint") is None
    editor.locator("[data-act=undo]").click()
    assert (visit.drawn("inpaint") == erased).all()
    # What was saved can be uploaded again.
    editor.locator("[data-act=clear]").click()
    upload_mask(visit, saved)
    assert (visit.loaded("inpaint") == erased).all()


def test_strokes_have_the_colour_that_was_chosen(visit, photo):
    visit.tab("Colorize")
    editor = visit.open("colorize", photo)
    set_brush(editor, 4)
    editor.locator("input[type=color]").fill("#d02010")
    visit.drag(editor.locator("canvas"), (5, 5), (15, 5))
    drawn = visit.drawn("colorize")
    assert drawn[5, 10].tolist() == [0xD0, 0x20, 0x10, 255]
    assert set(np.unique(drawn[..., 3])) == {0, 255}


def test_what_is_no_picture_is_said_and_the_page_goes_on(visit, photo, tmp_path):
    bad = tmp_path / "secret-notes.png"
    bad.write_text("not a picture")
    visit.upload("inpaint", bad)
    assert "secret-notes.png: " in visit.says("inpaint", "expected")
    visit.start("inpaint")
    visit.says("inpaint", "nothing is uploaded")
    visit.open("inpaint", photo)
    visit.start("inpaint")
    visit.says("inpaint", "no mask and no transparency")


def test_what_is_too_large_is_said(visit, tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(bytes(6 * 2**20))
    visit.upload("inpaint", path)
    visit.page.get_by_text("exceed the maximum allowed size of 4").wait_for()
    # The browser asks how far an upload is that was not begun.
    visit.seen = [text for text in visit.seen if "404" not in text and text != "Response"]


def test_cancel_ends_a_run_and_leaves_the_page_ready(visit, photo, hole, tmp_path):
    visit.tab("Denoise")
    visit.upload("denoise", photo)
    visit.page.get_by_text("Method, model, noise").locator("visible=true").click()
    slow(visit, "denoise")
    visit.start("denoise")
    visit.says("denoise", "of 1001")
    assert visit.page.locator("#denoise-status img").get_attribute("src").startswith("data:")
    assert visit.page.locator("#denoise-start").is_disabled()
    visit.page.keyboard.press("Escape")
    visit.says("denoise", "Cancelled")
    assert visit.page.locator("#denoise-start").is_enabled()


def test_two_visitors_take_turns_and_leaving_ends_a_run(browser, served, visit, photo):
    first = Visit(browser, served)
    for one in (first, visit):
        one.tab("Denoise")
        one.upload("denoise", photo)
    first.page.get_by_text("Method, model, noise").locator("visible=true").click()
    slow(first, "denoise")
    first.start("denoise")
    first.says("denoise", "of 1001")
    [root] = served.temporary.glob("restore-web-*/files")
    before = len(list(root.glob("session-*")))
    visit.start("denoise")
    visit.says("denoise", "one run before this one")
    first.close()
    visit.says("denoise", "Done: 40×30")
    deadline = time.monotonic() + PATIENCE / 1000
    while len(list(root.glob("session-*"))) >= before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(list(root.glob("session-*"))) == before - 1


# A page that is slow to read the end of a stream, and whose visitor is quick.
SLOW_PAGE = """
const direct = window.fetch;
window.fetch = async (...all) => {
  const answer = await direct(...all);
  if (!answer.url.includes('/queue/data')) return answer;
  const last = new TransformStream({ async transform(chunk, onward) {
    if (!window.clicked && new TextDecoder().decode(chunk).includes('close_stream')) {
      window.clicked = true;
      setTimeout(() => document.getElementById('super-resolve-start').click(), 100);
      await new Promise((done) => setTimeout(done, 500));
    }
    onward.enqueue(chunk);
  } });
  return new Response(answer.body.pipeThrough(last), answer);
};
"""


def test_a_run_is_followed_that_begins_as_another_event_ends(visit, photo):
    visit.page.add_init_script(SLOW_PAGE)
    visit.page.reload()
    visit.tab("Super-resolve")
    visit.page.locator("#super-resolve-preset").get_by_label("fast").check()
    visit.upload("super-resolve", photo)
    visit.says("super-resolve", "Done: 160×120")
    assert visit.page.evaluate("window.clicked")


def test_a_scan_is_shown_with_its_spread_and_report(visit, tmp_path):
    along = np.linspace(-1, 1, 24)
    row = 0.4 * np.sqrt(np.clip(0.36 - along**2, 0, None))
    np.save(tmp_path / "disc.npy", np.tile(row, (12, 1)).astype(np.float32))
    visit.tab("CT")
    visit.upload("ct", tmp_path / "disc.npy", "scan")
    visit.page.locator("#ct-angles input, #ct-angles textarea").fill("0:180:12")
    visit.page.locator("#ct-samples input").fill("2")
    visit.page.locator("#ct-preset").get_by_label("fast").check()
    visit.start("ct")
    visit.says("ct", "Done: 24×24")
    for shown in ("#ct-shown img", "#ct-spread img"):
        visit.page.locator(shown).first.wait_for()
    report = visit.page.frame_locator("#ct-report iframe")
    report.get_by_text("disc.npy: ct").wait_for()
    assert visit.download("ct", "disc_ct.nii", tmp_path).stat().st_size > 24 * 24 * 4


def test_every_other_tab_gives_a_result(visit, photo, tmp_path):
    jpeg, kspace = tmp_path / "photo.jpg", tmp_path / "scan.npy"
    Image.fromarray(smooth(40, 30)).save(jpeg, quality=30)
    image = np.zeros((24, 20))
    image[6:18, 5:15] = 1
    np.save(kspace, np.fft.fftshift(np.fft.fft2(image)).astype(np.complex64))
    for title, path, result in (
        ("Super-resolve", photo, "photo_super-resolve.png"),
        ("Deblur", photo, "photo_deblur.png"),
        ("Dejpeg", jpeg, "photo_dejpeg.png"),
        ("Colorize", photo, "photo_colorize.png"),
        ("MRI", kspace, "scan_mri.nii"),
        ("Compare", photo, "photo_compare.html"),
    ):
        verb = title.lower()
        visit.tab(title)
        visit.upload(verb, path, "scan" if title == "MRI" else "picture")
        if title == "Compare":
            visit.page.locator("#compare-crop input").fill("24")
            visit.page.locator("#compare-nfe input").fill("2")
        else:
            visit.page.locator(f"#{verb}-preset").get_by_label("fast").check()
        visit.start(verb)
        visit.says(verb, "Done")
        visit.page.locator(f"#{verb}-files a[download='{result}']").wait_for()
    report = visit.page.frame_locator("#compare-report iframe")
    assert report.locator("section.input").count() == 1


def test_the_password_lets_in(browser, tmp_path, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn", reason="the extra `web` is not installed")
    from starlette.responses import HTMLResponse

    from restore.web import gate

    monkeypatch.setattr(gate, "_WRONG_SECONDS", 0.0)
    inside = HTMLResponse("<title>restore</title>inside")
    guarded = gate.Gate(inside, tmp_path, password="geheim", hosts=None, body_bytes=1000)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(guarded, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/")
    for word, text in (("falsch", "That is not it."), ("geheim", "inside")):
        page.get_by_label("Password").fill(word)
        page.keyboard.press("Enter")
        page.get_by_text(text).wait_for()
    page.reload()
    assert page.locator("body").inner_text() == "inside"
    page.close()
    server.should_exit = True
    thread.join(PATIENCE / 1000)
    listening.close()


@pytest.mark.skipif(
    SCREENSHOTS is None, reason="pictures are taken with RESTORE_SCREENSHOTS=FOLDER"
)
def test_pictures_of_the_page(visit):
    visit.page.set_viewport_size({"width": 900, "height": 800})
    editor = visit.open("inpaint", SAMPLES / "scratched.png")
    upload_mask(visit, SAMPLES / "scratched_mask.png")
    assert visit.loaded("inpaint") is not None
    editor.locator("canvas").hover(position={"x": 300, "y": 250})
    picture_of(visit, "web.png")
    visit.start("inpaint")
    visit.says("inpaint", "Done")
    visit.page.locator("#inpaint-start").evaluate("e => e.scrollIntoView()")
    visit.page.wait_for_timeout(1000)
    picture_of(visit, "web_result.png")


def upload_mask(visit: Visit, path: Path) -> None:
    button = visit.page.locator("#inpaint-mask").locator("xpath=..")
    button.locator("input[type=file]").first.set_input_files(path)


def picture_of(visit: Visit, name: str) -> None:
    """The window, in 256 colours: a page of documentation is to be light."""
    with Image.open(BytesIO(visit.page.screenshot())) as image:
        few = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        few.save(Path(str(SCREENSHOTS)) / name, optimize=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(visit, scheme):
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.reload()
    for title in ("Inpaint", "Compare", "CT"):
        visit.tab(title)
        visit.page.locator(".start-run:visible").wait_for()
        closed = visit.page.locator("button.label-wrap:not(.open):visible")
        while closed.count():
            closed.first.click()
            visit.page.wait_for_timeout(300)
        assert visit.page.evaluate(FAINT) == {}, title


def test_on_a_phone_files_are_told_apart(visit, photo, tmp_path, hole):
    """Their names are whole; and what can be focused or looked at has a name."""
    visit.page.set_viewport_size({"width": 375, "height": 800})
    named = tmp_path / "photograph_of_a_house.png"
    named.write_bytes(photo.read_bytes())
    editor = visit.open("inpaint", named)
    visit.drag(editor.locator("canvas"), (10, 10), (20, 14))
    visit.start("inpaint")
    stems = visit.page.locator("#inpaint-files .stem")
    stems.first.wait_for()
    whole = "all => all.every(e => getComputedStyle(e).overflow === 'visible')"
    assert stems.evaluate_all(whole)
    assert editor.locator("img").get_attribute("alt")
    assert editor.locator("[tabindex]").get_attribute("aria-label")
