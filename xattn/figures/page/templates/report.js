"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);

/* Gallery: which maps, how opaque, which outlines, which images in which order. */
const gallery = byId("gallery");
const tools = byId("tools");
const facts = gallery && JSON.parse(byId("facts").textContent);
const tiles = gallery ? all(".tile", gallery) : [];
let most = gallery ? Number(gallery.dataset.first) : 0;

const value = (name) => tools.elements[name]?.value ?? "";
const chosen = (name) => (value(name) === "all" || value(name) === "" ? 0 : Number(value(name)));
const shows = (map) => ["model", "method"].every(
  (name) => value(name) === "all" || value(name) === "" || value(name) === map.dataset[name]
);

/* One map lies on its image; several stand side by side, the bare image first. */
function showMaps() {
  all(".stage.copy", gallery).forEach((copy) => copy.remove());
  let side = false;
  for (const tile of tiles) {
    const wanted = all(".map", tile).filter(shows);
    side = side || wanted.length > 1;
    for (const stage of all(".stage", tile)) {
      const maps = all(".map", stage);
      const mine = maps.filter((map) => wanted.includes(map));
      stage.hidden = !mine.length && wanted.length > 0;
      maps.forEach((map) => { map.hidden = wanted.length > 1 || map !== mine[0]; });
      if (wanted.length < 2) continue;
      for (const map of mine) {
        const copy = stage.cloneNode(true);
        copy.classList.add("copy");
        all(".map", copy).forEach((other, i) => { other.hidden = maps[i] !== map; });
        const says = document.createElement("figcaption");
        says.textContent = map.dataset.name;
        copy.append(says);
        stage.parentNode.append(copy);
      }
    }
  }
  gallery.classList.toggle("wide", side);
}

function showOutlines() {
  for (const box of all("[name=feature]", tools)) {
    all(`.outlines .f${box.value}`).forEach((path) => {
      path.style.display = box.checked ? "" : "none";
    });
  }
}

function setSlider(name, amount) {
  document.documentElement.style.setProperty(`--${name}`, amount / 100);
  all(`input[name=${name}]`).forEach((slider) => { slider.value = amount; });
}

/* What the chosen model and map say of image i; ids, labels and the rest as `Listing` has them. */
const saidOf = (i, model = chosen("model")) => facts.images[i][3][model];
function outcomeOf(i) {
  const [, label] = facts.images[i];
  const [predicted] = saidOf(i);
  if (label < 0 || predicted < 0) return "";
  if (label === predicted) return "correct";
  if (facts.positive === null) return "wrong";
  return predicted === facts.positive ? "false positive" : "false negative";
}
const disagree = (i) => new Set(facts.images[i][3].map(([predicted]) => predicted)).size > 1;
function liftOf(i, feature, model = chosen("model")) {
  const lifts = saidOf(i, model)[2][chosen("method")] ?? [];
  const shown = facts.images[i][2];
  const any = (number) => !facts.artifacts.length || facts.artifacts.includes(number);
  const values = lifts.filter((lift, place) => lift !== null &&
    (feature === "" ? any(shown[place]) : shown[place] === Number(feature)));
  return values.length ? Math.max(...values) : null;
}
const liftFeature = () => (value("order").startsWith("lift ") ? value("order").slice(5) : value("has"));

/* The lifts that were asked for, of every model that is shown. */
function liftNote(i) {
  const feature = liftFeature();
  const models = value("model") === "all" ? facts.models.map((_, model) => model) : [chosen("model")];
  const known = models.map((model) => [facts.models[model], liftOf(i, feature, model)])
    .filter(([, lift]) => lift !== null)
    .map(([name, lift]) => (models.length > 1 ? `${name} ${lift.toFixed(2)}` : lift.toFixed(2)));
  const on = feature === "" ? "artifact" : facts.features[feature].replaceAll("_", " ");
  return known.length ? `lift on ${on} ${known.join(", ")}` : "";
}

function matches(i) {
  const [, label, shown] = facts.images[i];
  const [predicted] = saidOf(i);
  const outcome = outcomeOf(i);
  const wanted = value("outcome");
  if (value("label") && label !== Number(value("label"))) return false;
  if (value("predicted") && predicted !== Number(value("predicted"))) return false;
  if (wanted === "disagree" ? !disagree(i)
    : wanted === "wrong" ? !outcome || outcome === "correct"
      : wanted && outcome !== wanted) return false;
  if (value("taught") && saidOf(i)[3] !== Number(value("taught"))) return false;
  if (value("has") && !shown.includes(Number(value("has")))) return false;
  const least = Number.parseFloat(value("lift"));
  return Number.isNaN(least) || (liftOf(i, value("has")) ?? -1) >= least;
}

function inOrder(images) {
  const order = value("order");
  if (order === "rule") return images;
  const keys = new Map(images.map((i) => [i, order === "high" ? -(saidOf(i)[1] ?? 0)
    : order === "low" ? saidOf(i)[1] ?? 0 : -(liftOf(i, liftFeature()) ?? -1)]));
  return images.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
}

function overlayOf(i, model) {
  const place = facts.overlays[model]?.[chosen("method")];
  const id = facts.images[i][0];
  return place && place[0] + id.split("/").map(encodeURIComponent).join("/") + place[1];
}

function named(i, model) {
  const where = overlayOf(i, model);
  const name = document.createElement(where ? "a" : "span");
  name.textContent = facts.images[i][0];
  if (where) name.href = where;
  return name;
}

let found = [];
function showTiles() {
  found = inOrder(facts.images.map((_, i) => i).filter(matches));
  const held = found.filter((i) => i < tiles.length);
  const shown = new Set(held.slice(0, most));
  tiles.forEach((tile, i) => { tile.hidden = !shown.has(i); });
  gallery.append(...held.map((i) => tiles[i]));
  const asked = value("lift") || value("has") || value("order").startsWith("lift");
  for (const i of shown) {
    const note = tiles[i].querySelector(".lift");
    note.textContent = asked ? liftNote(i) : "";
    note.hidden = !note.textContent;
  }
  const number = new Intl.NumberFormat("en");
  const listed = facts.images.length;
  let text = `${shown.size} of ${held.length} images shown`;
  if (listed > tiles.length) {
    text += `; ${number.format(found.length)} of ${number.format(listed)} images match`;
  }
  byId("shown").textContent = text;
  const left = held.length - shown.size;
  byId("more").hidden = !left;
  byId("more").textContent = `Show ${Math.min(left, 48)} more of ${left}`;
  showRest();
}

/* Images that match but have no thumbnail in this file, by name. */
const MOST_NAMED = 500;
function showRest() {
  const rest = byId("rest");
  const others = found.filter((i) => i >= tiles.length);
  rest.hidden = !others.length;
  const more = others.length > MOST_NAMED ? `, the first ${MOST_NAMED} named` : "";
  rest.firstElementChild.textContent =
    `${new Intl.NumberFormat("en").format(others.length)} more match, without a thumbnail here${more}`;
  if (!rest.open) return;
  const model = chosen("model");
  const rows = others.slice(0, MOST_NAMED).map((i) => {
    const row = document.createElement("tr");
    const [, label] = facts.images[i];
    const [predicted, confidence] = saidOf(i);
    const lift = liftOf(i, liftFeature());
    const cells = [named(i, model), facts.classes[label] ?? "–", facts.classes[predicted] ?? "–",
      confidence === null ? "–" : confidence.toFixed(2), lift === null ? "–" : lift.toFixed(2)];
    cells.forEach((cell, place) => {
      const box = row.insertCell();
      box.append(cell);
      if (place > 2) box.className = "number";
    });
    return row;
  });
  rest.querySelector("tbody").replaceChildren(...rows);
}

/* One image at a time, as large as the window allows. */
const large = byId("large");
let open = null;
function enlarge(tile) {
  open = tile;
  byId("large-title").textContent = facts.images[tile.dataset.place][0];
  const copies = tile.querySelector(".stages").cloneNode(true);
  copies.className = "stages";
  large.querySelector(".stages").replaceWith(copies);
  const words = tile.querySelector(".words").cloneNode(true);
  words.querySelector(".id").remove();
  large.querySelector(".words").replaceWith(words);
  if (!large.open) large.showModal();
}
function step(by) {
  const shown = all(".tile", gallery).filter((tile) => !tile.hidden);
  enlarge(shown[(shown.indexOf(open) + by + shown.length) % shown.length]);
}

if (gallery) {
  const changed = ({ target }) => {
    if (["opacity", "wipe"].includes(target.name)) setSlider(target.name, target.value);
    else if (target.name === "outlines") {
      all("[name=feature]", tools).forEach((box) => { box.checked = target.checked; });
      showOutlines();
    } else if (target.name === "feature") {
      tools.elements.outlines.checked = all("[name=feature]", tools).every((box) => box.checked);
      showOutlines();
    } else {
      if (["model", "method"].includes(target.name)) showMaps();
      else most = Number(gallery.dataset.first);
      showTiles();
    }
  };
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", changed);
  tools.addEventListener("reset", (event) => {
    event.preventDefault();  // filters only: maps and outlines stay as they are
    all(".filters select", tools).forEach((field) => { field.selectedIndex = 0; });
    if (tools.elements.lift) tools.elements.lift.value = "";
    showTiles();
  });
  byId("more").addEventListener("click", () => { most += 48; showTiles(); });
  byId("rest").addEventListener("toggle", showRest);
  gallery.addEventListener("click", ({ target }) => {
    const tile = target.closest(".tile");
    if (tile && target.closest(".enlarge, .stages")) enlarge(tile);
  });
  large.addEventListener("input", changed);
  large.addEventListener("click", ({ target }) => {
    if (target.dataset.step) step(Number(target.dataset.step));
    else if (target === large || "close" in target.dataset) large.close();
  });
  large.addEventListener("keydown", (event) => {
    if (event.target.type === "range" || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    step(event.key === "ArrowLeft" ? -1 : 1);
  });
  for (const tile of tiles) {
    tile.querySelector(".name").replaceChildren(named(Number(tile.dataset.place), 0));
  }
  showMaps();
  showOutlines();
  showTiles();
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
    const rows = [...byId(field.dataset.filters).tBodies[0].rows];
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    field.closest(".find").querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  });
}

/* Tables wider or longer than their box: say so below, as long as there is more. */
for (const box of all(".scroll")) {
  if (!box.querySelector("table")) continue;
  const hint = document.createElement("p");
  hint.className = "hint";
  box.after(hint);
  const look = () => {
    const beyond = box.scrollWidth - box.clientWidth - box.scrollLeft > 2;
    const below = box.scrollHeight - box.clientHeight - box.scrollTop > 2;
    box.classList.toggle("beyond", beyond);
    box.classList.toggle("below", below);
    const more = [beyond && "columns to the right", below && "rows below"].filter(Boolean);
    hint.textContent = more.length ? `More ${more.join(" and ")}: scroll the table.` : "";
    hint.hidden = box.scrollWidth <= box.clientWidth + 2 && box.scrollHeight <= box.clientHeight + 2;
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box);
  const body = box.querySelector("tbody");
  if (body) new ResizeObserver(look).observe(body);
  look();
}
