"use strict";

// One input: its panes show the same part of the picture, at the same zoom.
function follow(section) {
  const view = { zoom: 1, x: 0, y: 0 };
  const zoom = section.querySelector("input.zoom");

  function show() {
    view.x = Math.min(0, Math.max(1 - view.zoom, view.x));
    view.y = Math.min(0, Math.max(1 - view.zoom, view.y));
    for (const name of ["zoom", "x", "y"]) {
      section.style.setProperty(`--${name}`, view[name]);
    }
    // Unless there is something to move, a finger on a pane scrolls the page.
    section.classList.toggle("zoomed", view.zoom > 1);
    zoom.value = Math.log2(view.zoom);
    section.querySelector("output.zoom").textContent = `${view.zoom.toFixed(1)}×`;
  }

  // The point (x, y) of the panes, each from 0 to 1, stays where it is.
  function zoomTo(factor, x, y) {
    factor = Math.min(2 ** zoom.max, Math.max(1, factor));
    view.x = x - (x - view.x) * (factor / view.zoom);
    view.y = y - (y - view.y) * (factor / view.zoom);
    view.zoom = factor;
    show();
  }

  function within(pane, event) {
    const box = pane.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function drag(pane, moved) {
    pane.addEventListener("pointerdown", (down) => {
      down.preventDefault();
      pane.setPointerCapture(down.pointerId);
      let last = within(pane, down);
      moved(last, [0, 0]);
      const move = (event) => {
        const now = within(pane, event);
        moved(now, [now[0] - last[0], now[1] - last[1]]);
        last = now;
      };
      pane.addEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) {
        pane.addEventListener(end, () => pane.removeEventListener("pointermove", move), { once: true });
      }
    });
  }

  zoom.addEventListener("input", () => zoomTo(2 ** zoom.value, 0.5, 0.5));
  section.querySelector("button.reset").addEventListener("click", () => zoomTo(1, 0, 0));
  for (const pane of section.querySelectorAll(".pane")) {
    pane.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoomTo(view.zoom * 2 ** (-event.deltaY / 200), ...within(pane, event));
      }
    }, { passive: false });
    pane.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.altKey || event.ctrlKey || event.metaKey) {
        return; // the browser's own
      }
      // At the whole picture, too, an arrow is the page's.
      if (step && view.zoom > 1) {
        event.preventDefault();
        view.x += step[0] / 10;
        view.y += step[1] / 10;
        show();
      } else if (event.key === "+" || event.key === "-") {
        zoomTo(view.zoom * (event.key === "+" ? 1.25 : 0.8), 0.5, 0.5);
      }
    });
  }
  for (const pane of section.querySelectorAll("figure .pane")) {
    drag(pane, (at, by) => {
      view.x += by[0];
      view.y += by[1];
      show();
    });
  }
  return { drag, show };
}

// The slider: of two pictures of the grid, one to the left of the split and one to its right.
function compare(section, drag) {
  const stage = section.querySelector(".stage");
  const pane = stage.querySelector(".pane");
  const split = stage.querySelector("input.split");
  const over = document.createElement("div");
  over.className = "over";
  const sides = { left: pane.appendChild(new Image()), right: over.appendChild(new Image()) };
  pane.append(over);
  const shown = [...section.querySelectorAll("figure img.picture")];

  function put(side) {
    const name = section.querySelector(`select.${side}`).value;
    const from = shown.find((image) => image.dataset.name === name);
    sides[side].draggable = false;
    sides[side].src = from.src;
    sides[side].alt = from.alt;
  }

  function move() {
    stage.style.setProperty("--split", `${split.value}%`);
  }

  for (const side of ["left", "right"]) {
    section.querySelector(`select.${side}`).addEventListener("change", () => put(side));
    put(side);
  }
  split.addEventListener("input", move);
  drag(pane, (at) => {
    split.value = 100 * at[0];
    move();
  });
  move();
}

// What the grid shows: the pictures, their errors or the spread of their samples.
function choose(section) {
  const kind = section.querySelector("select.kind");
  kind.addEventListener("change", () => {
    for (const pane of section.querySelectorAll("figure .pane")) {
      for (const one of pane.children) {
        one.hidden = !one.classList.contains(kind.value);
      }
    }
    section.querySelector(".legend").hidden = kind.value === "picture";
  });
}

// A click on the head of a column sorts by it, the largest first; a second click turns it around.
function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];

  // Names by the alphabet; figures that are missing come last, whichever way.
  function order(column, sign) {
    if (column === 0) {
      return (a, b) => sign * a.cells[0].textContent.localeCompare(b.cells[0].textContent);
    }
    const value = (row) => row.cells[column].dataset.value;
    return (a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === undefined || right === undefined) {
        return (left === undefined) - (right === undefined);
      }
      return sign * (left - right);
    };
  }

  heads.forEach((head, column) => {
    head.firstElementChild.addEventListener("click", () => {
      const now = head.ariaSort ?? (column === 0 ? "descending" : "ascending");
      const next = now === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", next);
      body.append(...[...body.rows].sort(order(column, next === "ascending" ? 1 : -1)));
    });
  });
}

document.querySelectorAll("table").forEach(sortable);
for (const section of document.querySelectorAll("section.input")) {
  const { drag, show } = follow(section);
  show();
  choose(section);
  if (section.querySelector(".stage")) {
    compare(section, drag);
  }
}
