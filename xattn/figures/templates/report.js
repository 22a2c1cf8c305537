"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/* Gallery: which map, how opaque, which outlines, which images. */
const gallery = document.getElementById("gallery");
const tools = document.getElementById("tools");

function showMethod(choice) {
  const side = choice === "all";
  gallery.classList.toggle("wide", side);
  all(".stage.copy", gallery).forEach((copy) => copy.remove());
  for (const stage of all(".stage", gallery)) {
    const maps = all(".map", stage);
    maps.forEach((map) => { map.hidden = side || map.dataset.method !== choice; });
    if (!side) continue;
    maps.forEach((map, i) => {
      const copy = stage.cloneNode(true);
      copy.classList.add("copy");
      all(".map", copy).forEach((other, j) => { other.hidden = i !== j; });
      const says = document.createElement("figcaption");
      says.className = "says";
      says.textContent = tools.elements.method[i].nextElementSibling.textContent;
      copy.append(says);
      stage.parentNode.append(copy);
    });
  }
}

function showOutlines() {
  for (const box of all("[name=feature]", tools)) {
    all(`.outlines .f${box.value}`, gallery).forEach((path) => {
      path.style.display = box.checked ? "" : "none";
    });
  }
}

function showTiles() {
  const value = (name) => tools.elements[name]?.value ?? "";
  const tiles = all(".tile", gallery);
  for (const tile of tiles) {
    tile.hidden = ["label", "predicted", "outcome"].some(
      (name) => value(name) && tile.dataset[name] !== value(name)
    ) || Boolean(value("has") && !tile.dataset.has.includes(` ${value("has")} `));
  }
  const sign = { high: -1, low: 1 }[value("order")];
  tiles.sort((a, b) => sign ? sign * (a.dataset.confidence - b.dataset.confidence)
    : a.dataset.place - b.dataset.place);
  gallery.append(...tiles);
  const shown = tiles.filter((tile) => !tile.hidden).length;
  document.getElementById("shown").textContent = `${shown} of ${tiles.length} shown`;
}

if (tools) {
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", ({ target }) => {
    if (target.name === "method") showMethod(target.value);
    else if (target.name === "opacity") gallery.style.setProperty("--opacity", target.value / 100);
    else if (target.name === "outlines") {
      all("[name=feature]", tools).forEach((box) => { box.checked = target.checked; });
      showOutlines();
    } else if (target.name === "feature") {
      const boxes = all("[name=feature]", tools);
      tools.elements.outlines.checked = boxes.every((box) => box.checked);
      showOutlines();
    } else showTiles();
  });
}

/* Tables: sort by a column, find a word. */
for (const table of all("table.sortable")) {
  const heads = all("thead th", table);
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.v;
    const numeric = head.classList.contains("number");
    const order = (a, b) => numeric ? key(a) - key(b) : key(a).localeCompare(key(b));
    const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? order(b, a) : order(a, b)));
    table.tBodies[0].append(...rows);
  }));
}
for (const field of all("[data-filters]")) {
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of document.getElementById(field.dataset.filters).tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
