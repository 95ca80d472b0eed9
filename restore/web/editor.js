// <picture-editor mode="mask|hints">: draws on a picture at the picture's own resolution.
//
// The strokes are kept as a list and drawn into a canvas that has as many pixels as the picture,
// whatever size it is shown at; undo draws the list again. `png()` gives what was drawn: a mask,
// white on black, or opaque strokes on transparent ground, without half-covered pixels.
(() => {
  const BAND = 256;
  const OPAQUE = 128;
  const MASK_COLOUR = "#ff00c8";
  const BUTTONS = [
    ["undo", "Undo", "Ctrl+Z"],
    ["redo", "Redo", "Ctrl+Y"],
    ["clear", "Clear", "Delete"],
    ["out", "−", "zoom out: - or Ctrl+wheel"],
    ["fit", "Fit", "0"],
    ["in", "+", "zoom in: + or Ctrl+wheel"],
    ["save", "Save drawing", "download what was drawn as a PNG of the picture's size"],
  ];

  const HELP =
    "Brush: wheel or [ ] · erase: E · undo, redo: Ctrl+Z, Ctrl+Y · clear: Delete · " +
    "zoom: Ctrl+wheel, + −, 0 · restore: Ctrl+Enter · cancel: Esc";

  class PictureEditor extends HTMLElement {
    connectedCallback() {
      if (this.stage) return;
      this.strokes = [];
      this.undone = [];
      this.zoom = 1;
      this.hints = this.getAttribute("mode") === "hints";
      this.bar = this.appendChild(document.createElement("div"));
      this.bar.className = "bar";
      this.size = this.control("Brush", "range", "brush size in pixels of the picture: [ and ], or the wheel");
      Object.assign(this.size, { min: 1, max: 400, value: 30 });
      this.shown = this.bar.appendChild(document.createElement("output"));
      if (this.hints) {
        this.colour = this.control("Colour", "color", "the hue counts; how bright it is, the picture says");
        this.colour.value = "#3366cc";
      }
      this.eraser = this.control("Erase", "checkbox", "E");
      for (const [name, text, title] of BUTTONS) {
        const button = this.bar.appendChild(document.createElement("button"));
        Object.assign(button, { type: "button", textContent: text, title, onclick: () => this.act(name) });
        button.dataset.act = name;
      }
      this.pane = this.appendChild(document.createElement("div"));
      this.pane.className = "pane";
      this.pane.tabIndex = 0;
      this.pane.setAttribute("role", "group");
      this.pane.setAttribute("aria-label", "picture to draw on with a pointer");
      this.stage = this.pane.appendChild(document.createElement("div"));
      this.stage.className = "stage";
      this.picture = this.stage.appendChild(document.createElement("img"));
      this.picture.alt = "the uploaded picture";
      this.canvas = this.stage.appendChild(document.createElement("canvas"));
      this.ring = this.stage.appendChild(document.createElement("span"));
      this.ring.className = "ring";
      this.ring.hidden = true;
      this.appendChild(document.createElement("small")).textContent = HELP;
      this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
      this.canvas.addEventListener("pointermove", (event) => this.move(event));
      this.canvas.addEventListener("pointerleave", () => (this.ring.hidden = true));
      for (const end of ["pointerup", "pointercancel"]) {
        this.canvas.addEventListener(end, () => (this.stroke = null));
      }
      this.pane.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      this.addEventListener("keydown", (event) => this.key(event));
      this.size.addEventListener("input", () => this.resized());
      new ResizeObserver(() => this.scaled()).observe(this.pane);
      this.resized();
      this.hidden = true;
    }

    control(text, type, title) {
      const label = this.bar.appendChild(document.createElement("label"));
      label.textContent = text + " ";
      const input = label.appendChild(document.createElement("input"));
      return Object.assign(input, { type, title });
    }

    // Show a picture, with nothing drawn on it; an empty address closes the editor.
    async open(url) {
      this.hidden = !url;
      this.removeAttribute("ready");
      this.strokes = [];
      this.undone = [];
      if (!url) return;
      this.picture.src = url;
      await this.picture.decode();
      this.canvas.width = this.picture.naturalWidth;
      this.canvas.height = this.picture.naturalHeight;
      this.size.max = Math.max(20, Math.round(Math.min(this.canvas.width, this.canvas.height) / 2));
      this.size.value = Math.max(1, Math.round(Math.min(this.canvas.width, this.canvas.height) / 20));
      this.resized();
      this.act("fit");
      this.setAttribute("ready", `${this.canvas.width}x${this.canvas.height}`);
    }

    // Draw a mask or strokes out of a picture of the same size.
    async load(url) {
      const image = new Image();
      image.src = url;
      await image.decode();
      const pixels = new OffscreenCanvas(this.canvas.width, this.canvas.height);
      const context = pixels.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      if (!this.hints) {
        const colour = [1, 3, 5].map((i) => parseInt(MASK_COLOUR.slice(i, i + 2), 16));
        this.banded(context, context, (p, i) => {
          const inside = p[i] >= OPAQUE;
          colour.forEach((value, k) => (p[i + k] = value));
          p[i + 3] = inside ? 255 : 0;
        });
      }
      this.add({ image: pixels });
    }

    // What was drawn as a PNG in a data: address; "" when nothing is.
    async png() {
      if (!this.hasAttribute("ready") || !this.strokes.length) return "";
      const made = new OffscreenCanvas(this.canvas.width, this.canvas.height);
      let drawn = false;
      this.banded(this.canvas.getContext("2d"), made.getContext("2d"), (p, i) => {
        const inside = p[i + 3] >= OPAQUE;
        drawn ||= inside;
        if (!this.hints) p[i] = p[i + 1] = p[i + 2] = inside ? 255 : 0;
        p[i + 3] = !this.hints || inside ? 255 : 0;
      });
      if (!drawn) return "";
      const blob = await made.convertToBlob({ type: "image/png" });
      return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(blob);
      });
    }

    // Change every pixel of a canvas, in bands of rows, so that little is in memory at a time.
    banded(from, to, change) {
      const { width, height } = this.canvas;
      for (let top = 0; top < height; top += BAND) {
        const band = from.getImageData(0, top, width, Math.min(BAND, height - top));
        for (let i = 0; i < band.data.length; i += 4) change(band.data, i);
        to.putImageData(band, 0, top);
      }
    }

    add(stroke) {
      this.strokes.push(stroke);
      this.undone = [];
      this.paint(stroke, 0);
    }

    // The pixel of the picture under the pointer: its centre.
    place(event) {
      const box = this.canvas.getBoundingClientRect();
      const along = (at, from, length, pixels) => Math.floor(((at - from) / length) * pixels) + 0.5;
      return [
        along(event.clientX, box.left, box.width, this.canvas.width),
        along(event.clientY, box.top, box.height, this.canvas.height),
      ];
    }

    begin(event) {
      if (event.button !== 0) return;
      event.preventDefault();
      this.pane.focus({ preventScroll: true });
      this.canvas.setPointerCapture(event.pointerId);
      this.stroke = {
        points: [this.place(event)],
        width: Number(this.size.value),
        colour: this.hints ? this.colour.value : MASK_COLOUR,
        erase: this.eraser.checked,
      };
      this.add(this.stroke);
    }

    move(event) {
      this.ring.hidden = false;
      const box = this.canvas.getBoundingClientRect();
      this.ring.style.left = `${event.clientX - box.left}px`;
      this.ring.style.top = `${event.clientY - box.top}px`;
      if (!this.stroke) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) this.stroke.points.push(this.place(one));
      this.paint(this.stroke, this.painted);
    }

    // Draw a stroke from one of its points on.
    paint(stroke, from) {
      const context = this.canvas.getContext("2d", { willReadFrequently: true });
      if (stroke.clear) context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      else if (stroke.image) context.drawImage(stroke.image, 0, 0);
      else {
        context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
        context.strokeStyle = context.fillStyle = stroke.colour;
        Object.assign(context, { lineWidth: stroke.width, lineCap: "round", lineJoin: "round" });
        // Each piece by itself, so that undo and redo draw the same pixels.
        if (!from) this.piece(context, stroke.points[0], stroke.points[0]);
        for (let i = Math.max(1, from); i < stroke.points.length; i++) {
          this.piece(context, stroke.points[i - 1], stroke.points[i]);
        }
        context.globalCompositeOperation = "source-over";
        this.painted = stroke.points.length;
      }
    }

    // A dot by itself: a line of no length is not drawn everywhere.
    piece(context, start, end) {
      context.beginPath();
      context.arc(...end, context.lineWidth / 2, 0, 2 * Math.PI);
      context.fill();
      context.beginPath();
      context.moveTo(...start);
      context.lineTo(...end);
      context.stroke();
    }

    repaint() {
      this.paint({ clear: true });
      for (const stroke of this.strokes) this.paint(stroke, 0);
    }

    act(name) {
      if (name === "undo" && this.strokes.length) {
        this.undone.push(this.strokes.pop());
        this.repaint();
      } else if (name === "redo" && this.undone.length) {
        this.strokes.push(this.undone.pop());
        this.repaint();
      } else if (name === "clear") this.add({ clear: true });
      else if (name === "save") this.save();
      else if (name === "fit" || name === "in" || name === "out") {
        this.zoom = name === "fit" ? 1 : Math.min(64, Math.max(1, this.zoom * (name === "in" ? 1.5 : 1 / 1.5)));
        this.scaled();
      }
    }

    async save() {
      const url = await this.png();
      if (!url) return;
      const link = document.createElement("a");
      Object.assign(link, { href: url, download: this.hints ? "hints.png" : "mask.png" });
      link.click();
    }

    wheel(event) {
      event.preventDefault();
      const up = event.deltaY < 0;
      if (event.ctrlKey) this.act(up ? "in" : "out");
      else this.grow(up ? 1.1 : 1 / 1.1);
    }

    grow(factor) {
      const now = Number(this.size.value);
      const next = factor > 1 ? Math.ceil(now * factor) : Math.floor(now * factor);
      this.size.value = next;
      this.resized();
    }

    key(event) {
      const control = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      const act = control
        ? { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key]
        : { delete: "clear", "+": "in", "=": "in", "-": "out", 0: "fit" }[key];
      if (act) this.act(act);
      else if (control) return;
      else if (key === "]") this.grow(1.1);
      else if (key === "[") this.grow(1 / 1.1);
      else if (key === "e") this.eraser.checked = !this.eraser.checked;
      else return;
      event.preventDefault();
    }

    // The picture as wide as the pane, times the zoom.
    scaled() {
      if (!this.canvas.width || !this.pane.clientWidth) return;
      const fit = Math.min(this.pane.clientWidth / this.canvas.width, (0.7 * innerHeight) / this.canvas.height);
      this.scale = fit * this.zoom;
      this.stage.style.width = `${this.canvas.width * this.scale}px`;
      this.stage.style.height = `${this.canvas.height * this.scale}px`;
      this.resized();
    }

    resized() {
      this.shown.textContent = `${this.size.value} px`;
      const shown = Number(this.size.value) * (this.scale ?? 1);
      this.ring.style.width = this.ring.style.height = `${shown}px`;
    }
  }

  if (!customElements.get("picture-editor")) customElements.define("picture-editor", PictureEditor);
  const address = (path) => path && `/gradio_api/file=${path.split("/").map(encodeURIComponent).join("/")}`;
  window.openPicture = (id, path) => void document.getElementById(id)?.open(address(path));
  window.loadDrawing = (id, path) => void (path && document.getElementById(id)?.load(address(path)));
  window.drawnOn = (id) => document.getElementById(id)?.png() ?? "";

  // Ctrl+Enter restores, Escape cancels, on the tab that is open.
  document.addEventListener("keydown", (event) => {
    const name = event.key === "Escape" ? ".cancel-run" : event.ctrlKey && event.key === "Enter" ? ".start-run" : null;
    const button = name && [...document.querySelectorAll(name)].find((one) => one.offsetParent && !one.disabled);
    if (button) button.click();
  });
})();
