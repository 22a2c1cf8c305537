/* Figures: a mark knows its row of the table below, and the row its marks. */
const tip = document.createElement("div");
tip.id = tip.className = "tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.body.append(tip);
let silence = () => {};  // takes back what is shown of a mark, whichever figure it is of

const made = (name, text) => Object.assign(document.createElement(name), { textContent: text });

/* A row's numbers as the table writes them, each with the note of its column, such as chance. */
function fillTip(row, heads) {
  const list = made("dl", "");
  [...row.cells].slice(1).forEach(({ textContent: text }, column) => {
    if (["", "–"].includes(text)) return;
    const [title, note] = heads[column + 1].children;
    const says = made("dd", text);
    if (note) says.append(" ", made("small", note.textContent));
    list.append(made("dt", title.textContent), says);
  });
  tip.replaceChildren(made("strong", row.cells[0].textContent), list);
}

function placeTip(mark) {
  const at = mark.getBoundingClientRect();
  tip.hidden = false;
  tip.style.left = tip.style.top = "0";  // or its place would narrow it
  const { width, height } = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth - width - 8;
  const above = at.bottom + height + 12 > innerHeight && at.top > height + 12;
  tip.style.left = `${scrollX + Math.max(8, Math.min(at.right + 8, room))}px`;
  tip.style.top = `${scrollY + (above ? at.top - height - 8 : at.bottom + 8)}px`;
}

function livePlot(box, table) {
  const svg = box.firstElementChild;
  const heads = all("thead th", table);
  const rows = new Map(all("[data-row]", table).map((row) => [row.dataset.row, row]));
  const marks = new Map();  // number of a row -> its points; of controls, chance and intervals
  for (const mark of all(".point", svg)) {
    const { row } = mark.dataset;
    if (rows.has(row)) marks.set(row, [...(marks.get(row) ?? []), mark]);
  }
  if (!marks.size) return;
  const first = (row) => marks.get(row)[0];
  const place = (mark) => [mark.dataset.panel, mark.getAttribute("y"), mark.getAttribute("x")].map(Number);
  const order = [...marks.keys()].sort((a, b) => {
    const [one, other] = [place(first(a)), place(first(b))];
    const differ = one.findIndex((v, i) => v !== other[i]);
    return differ < 0 ? 0 : one[differ] - other[differ];
  });

  /* One tab stop for the figure: a list whose options are rows, held by their first point. */
  box.removeAttribute("role");
  svg.setAttribute("role", "listbox");
  svg.setAttribute("aria-label", `${box.dataset.title}, ${order.length} marks`);
  box.removeAttribute("aria-label");
  const words = (row) => [...row.cells].filter((_, i) => !heads[i].classList.contains("number"))
    .map((cell) => cell.textContent).filter((text) => !["", "–"].includes(text)).join(", ");
  order.forEach((row, i) => {
    const option = first(row);
    option.setAttribute("role", "option");
    option.setAttribute("aria-label", words(rows.get(row)));
    option.setAttribute("aria-selected", "false");
    option.setAttribute("tabindex", i ? "-1" : "0");
  });

  let active = null;  // the row whose marks are ringed
  let shownAt = null;
  function unlight() {
    if (active !== null) {
      rows.get(active).classList.remove("lit");
      first(active).removeAttribute("aria-describedby");
    }
    all(".ring", svg).forEach((ring) => ring.remove());
    tip.hidden = true;
    active = shownAt = null;
  }
  function light(row) {
    silence();
    silence = unlight;
    active = row;
    rows.get(row).classList.add("lit");
    for (const mark of marks.get(row)) {
      const ring = document.createElementNS(svg.namespaceURI, "circle");
      const about = { class: "ring", cx: mark.getAttribute("x"), cy: mark.getAttribute("y"), r: 5.5 };
      Object.entries(about).forEach(([key, text]) => ring.setAttribute(key, text));
      svg.append(ring);
    }
  }
  function show(row, mark = first(row)) {
    if (active === row && shownAt === mark) return;
    light(row);
    shownAt = mark;
    fillTip(rows.get(row), heads);
    first(row).setAttribute("aria-describedby", tip.id);
    placeTip(mark);
  }
  function go(row) {
    const field = document.querySelector(`[data-filters="${table.id}"]`);
    if (rows.get(row).hidden) {
      field.value = "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    table.closest("details").open = true;
    rows.forEach((other, number) => other.classList.toggle("picked", number === row));
    order.forEach((other) => first(other).setAttribute("aria-selected", String(other === row)));
    rows.get(row).tabIndex = -1;
    rows.get(row).focus({ preventScroll: true });
    rows.get(row).scrollIntoView({ block: "center", inline: "nearest" });
  }

  /* Marks are small: the nearest one within reach is meant. */
  function near({ clientX, clientY, target, pointerType }) {
    let [best, reach] = [null, pointerType === "touch" ? 26 : 13];
    for (const mark of all(".point, .beside", svg)) {
      if (!marks.has(mark.dataset.row)) continue;
      const at = mark.getBoundingClientRect();
      const far = Math.hypot(at.left + at.width / 2 - clientX, at.top + at.height / 2 - clientY);
      if (far < reach) [best, reach] = [mark, far];
    }
    const span = target.closest(".span");
    return best ?? (span && marks.has(span.dataset.row) ? span : null);
  }
  const focused = () => order.find((row) => first(row) === document.activeElement);
  const rest = () => { if (focused() === undefined) unlight(); else show(focused()); };
  svg.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;  // a tap shows, another one goes on to the row
    const mark = near(event);
    svg.style.cursor = mark ? "pointer" : "";
    if (mark) show(mark.dataset.row, mark);
    else if (active !== null) rest();
  });
  svg.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") rest(); });
  svg.addEventListener("mousedown", (event) => event.preventDefault());  // no focus before the click
  svg.addEventListener("click", (event) => {
    const mark = near(event);
    if (!mark) unlight();
    else if (active === mark.dataset.row && !tip.hidden) go(active);
    else {
      shownAt = null;  // Escape may have hidden the numbers of this very mark
      show(mark.dataset.row, mark);
    }
  });
  box.addEventListener("scroll", () => { if (shownAt && !tip.hidden) placeTip(shownAt); });
  svg.addEventListener("focusin", () => { if (focused() !== undefined) show(focused()); });
  svg.addEventListener("focusout", unlight);
  svg.addEventListener("keydown", (event) => {
    const at = order.indexOf(focused());
    if (at < 0) return;
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1,
      Home: 0, End: order.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") go(order[at]);
    else if (to === undefined) return;
    else {
      const next = first(order[Math.max(0, Math.min(to, order.length - 1))]);
      first(order[at]).setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    }
    event.preventDefault();
  });

  /* From the table: a row's marks are ringed, those that a search leaves out are faint. */
  const body = table.tBodies[0];
  body.addEventListener("pointerover", ({ target }) => {
    const row = target.closest("[data-row]")?.dataset.row;
    if (marks.has(row)) light(row);
    else rest();
  });
  body.addEventListener("pointerleave", rest);
  body.addEventListener("keydown", (event) => {
    const { row } = event.target.dataset;
    if (event.key !== "Escape" || !marks.has(row)) return;
    event.stopPropagation();  // or it would hide what is shown on coming back
    first(row).focus();
  });
  document.querySelector(`[data-filters="${table.id}"]`)?.addEventListener("input", () => {
    for (const mark of all("[data-row]", svg)) {
      mark.classList.toggle("dim", rows.get(mark.dataset.row)?.hidden ?? false);
    }
  });
}
document.addEventListener("keydown", ({ key }) => { if (key === "Escape") tip.hidden = true; });
for (const box of all("[data-plot-of]")) livePlot(box, byId(box.dataset.plotOf));
