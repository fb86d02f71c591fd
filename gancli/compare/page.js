"use strict";
// Without this script the page still shows the table and the curves as pictures. Text only ever enters by textContent.
const data = JSON.parse(document.getElementById("data").textContent);
const asked = new URLSearchParams(location.hash.slice(1)); // #sort=seconds&descending&theme=dark&hide=0,2
const DASHES = ["", "7 4", "2 3", "9 4 2 4"];
const WIDTH = 720, HEIGHT = 330, LEFT = 62, RIGHT = 14, TOP = 12, BOTTOM = 42, MOST_IN_TIP = 14;

function make(name, attributes = {}, ...children) {
  const isSvg = ["svg", "path", "line", "text", "circle", "g"].includes(name);
  const node = isSvg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function ink(node, run) {
  node.style.stroke = `var(--c${run % 8})`;
  node.style.strokeDasharray = DASHES[Math.floor(run / 8) % DASHES.length];
  return node;
}
function swatch(run) {
  const line = ink(make("line", {x1: 1, y1: 6, x2: 29, y2: 6, class: "curve"}), run);
  line.style.strokeWidth = "3.5";
  return make("svg", {viewBox: "0 0 30 12", class: "swatch", "aria-hidden": "true"}, line);
}
function figure(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(+value.toPrecision(4));
}

// The table: a click on a heading sorts, empty cells last.
const table = document.querySelector("#table table");
const heads = table ? [...table.tHead.rows[0].cells] : []; // the page of one run has none
function sortBy(column, descending) {
  const head = heads[column], numeric = head.classList.contains("number");
  const value = row => row.cells[column].dataset.v;
  const order = new Intl.Collator("en", {numeric: true});
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [u, v] = [value(a), value(b)];
    if (u === undefined || v === undefined) return (u === undefined) - (v === undefined);
    return (numeric ? u - v : order.compare(u, v)) * (descending ? -1 : 1);
  });
  table.tBodies[0].append(...rows);
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
}
heads.forEach((head, column) => {
  const button = make("button", {type: "button"}, ...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    sortBy(column, now ? now === "ascending" : head.dataset.lower === "false");
  });
});
if (asked.has("sort")) {
  const column = heads.findIndex(head => head.dataset.name === asked.get("sort"));
  if (column >= 0) sortBy(column, asked.has("descending"));
}
for (const row of table ? table.tBodies[0].rows : []) row.cells[0].prepend(swatch(+row.dataset.run));

// Light or dark.
const theme = make("button", {type: "button"}, "Light or dark");
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
document.querySelector("nav").append(theme);
if (["light", "dark"].includes(asked.get("theme"))) document.documentElement.dataset.theme = asked.get("theme");

// Curves.
const state = {hidden: new Set((asked.get("hide") || "").split(",").filter(Boolean).map(Number)), log: false, cut: false,
  smoothing: data.smoothing, lit: null};
function smooth(values, weight) {
  if (!weight) return values;
  let mean = 0, total = 0;
  return values.map(value => {
    if (value === null) return null;
    mean = weight * mean + (1 - weight) * value;
    total = weight * total + 1 - weight;
    return mean / total;
  });
}
function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(12));
  return found;
}
function range(curves, x) {
  let values = curves.flatMap(curve => (x ? curve.x : curve.shown)).filter(value => value !== null);
  const log = !x && state.log && values.length > 0 && values.every(value => value > 0);
  if (!x && state.cut && values.length > 50) {
    values.sort((a, b) => a - b);
    values = values.slice(Math.floor(values.length * 0.02), Math.ceil(values.length * 0.98));
  }
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low > high) [low, high] = [0, 1];
  if (log) {
    [low, high] = [Math.log10(low), Math.log10(high)];
    if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
    return {low, high, of: value => Math.log10(value), marks: ticks(low, high, 4).map(m => 10 ** m)};
  }
  if (high - low < 1e-12 * Math.max(1, Math.abs(high))) [low, high] = [low - 0.5, high + 0.5];
  const pad = x ? 0 : (high - low) * 0.04;
  [low, high] = [low - pad, high + pad];
  return {low, high, of: value => value, marks: ticks(low, high, x ? 7 : 5)};
}
function pathOf(curve, values, X, Y) {
  let path = "", pen = false;
  curve.x.forEach((x, i) => {
    const y = values[i];
    if (y === null) { pen = false; return; }
    path += `${pen ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`;
    pen = true;
  });
  return path;
}
class Chart {
  constructor(node, chart) {
    this.node = node;
    this.chart = chart;
    this.svg = make("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", tabindex: "0",
      "aria-label": node.querySelector("img").alt + " Left and right arrow keys move the cursor."});
    this.tip = make("div", {class: "tip", role: "status"});
    this.tip.hidden = true;
    const wide = make("button", {type: "button", "aria-label": `Enlarge ${chart.tag}`}, "⤢");
    wide.style.float = "right";
    wide.addEventListener("click", () => node.classList.toggle("wide"));
    node.prepend(wide);
    node.append(this.svg, this.tip);
    node.classList.add("live");
    this.svg.addEventListener("pointermove", event => {
      const box = this.svg.getBoundingClientRect();
      this.point(this.X.back((event.clientX - box.left) / box.width * WIDTH));
    });
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("blur", () => this.leave());
    this.svg.addEventListener("keydown", event => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!step) return;
      event.preventDefault();
      const [low, high] = [this.xs.low, this.xs.high];
      this.point(Math.min(high, Math.max(low, (this.at ?? (step > 0 ? low : high)) + step * (high - low) / 50)));
    });
  }
  draw() {
    this.curves = this.chart.curves.filter(curve => !state.hidden.has(curve.run));
    const smoothing = this.chart.tag.startsWith("metrics/") ? 0 : state.smoothing; // a metric is a figure over many samples
    for (const curve of this.curves) curve.shown = smooth(curve.y, smoothing);
    const xs = this.xs = range(this.curves, true), ys = range(this.curves, false);
    const X = this.X = x => LEFT + (x - xs.low) / (xs.high - xs.low) * (WIDTH - LEFT - RIGHT);
    X.back = pixel => xs.low + (pixel - LEFT) / (WIDTH - LEFT - RIGHT) * (xs.high - xs.low);
    const Y = this.Y = y => Math.max(TOP - 5, Math.min(HEIGHT - BOTTOM + 5,
      HEIGHT - BOTTOM - (ys.of(y) - ys.low) / (ys.high - ys.low) * (HEIGHT - TOP - BOTTOM)));
    this.svg.replaceChildren();
    for (const mark of ys.marks) {
      this.svg.append(make("line", {x1: LEFT, x2: WIDTH - RIGHT, y1: Y(mark), y2: Y(mark), class: "grid"}),
        make("text", {x: LEFT - 8, y: Y(mark) + 4, "text-anchor": "end"}, figure(mark)));
    }
    for (const mark of xs.marks) {
      this.svg.append(make("text", {x: X(mark), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle"}, figure(mark)));
    }
    this.svg.append(make("line", {x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, class: "axis"}),
      make("text", {x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle"}, "kimg"));
    for (const curve of this.curves) {
      if (smoothing) this.svg.append(ink(make("path", {d: pathOf(curve, curve.y, X, Y), class: "curve pale"}), curve.run));
    }
    for (const curve of this.curves) {
      const dim = state.lit !== null && state.lit !== curve.run ? " dim" : "";
      this.svg.append(ink(make("path", {d: pathOf(curve, curve.shown, X, Y), class: "curve" + dim}), curve.run));
      if (curve.x.length > 30) continue;
      curve.x.forEach((x, i) => {
        if (curve.shown[i] === null) return;
        const dot = make("circle", {cx: X(x), cy: Y(curve.shown[i]), r: 3.5, class: dim.trim() && "curve dim"});
        dot.style.fill = `var(--c${curve.run % 8})`;
        this.svg.append(dot);
      });
    }
    this.cursor = make("g", {"aria-hidden": "true"});
    this.svg.append(this.cursor);
  }
  point(kimg) {
    this.at = kimg;
    const found = this.curves.map(curve => {
      let best = null;
      curve.x.forEach((x, i) => {
        if (curve.shown[i] !== null && (best === null || Math.abs(x - kimg) < Math.abs(curve.x[best] - kimg))) best = i;
      });
      return best === null ? null : {run: curve.run, x: curve.x[best], y: curve.shown[best]};
    }).filter(Boolean);
    if (!found.length) return this.leave();
    const nearest = found.reduce((a, b) => (Math.abs(b.x - kimg) < Math.abs(a.x - kimg) ? b : a)).x;
    const x = this.X(nearest);
    this.cursor.replaceChildren(make("line", {x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: "cursor"}));
    for (const spot of found) {
      const dot = make("circle", {cx: this.X(spot.x), cy: this.Y(spot.y), r: 4.5});
      dot.style.fill = `var(--c${spot.run % 8})`;
      this.cursor.append(dot);
    }
    found.sort((a, b) => b.y - a.y);
    this.tip.replaceChildren(make("div", {}, make("b", {}, `${figure(nearest)} kimg`)));
    for (const spot of found.slice(0, MOST_IN_TIP)) {
      this.tip.append(make("div", {}, swatch(spot.run), make("span", {}, data.runs[spot.run]), make("b", {}, figure(spot.y))));
    }
    if (found.length > MOST_IN_TIP) this.tip.append(make("div", {}, `and ${found.length - MOST_IN_TIP} more`));
    this.tip.hidden = false;
    const side = x < WIDTH / 2;
    this.tip.style.left = side ? `${x / WIDTH * 100 + 3}%` : "auto";
    this.tip.style.right = side ? "auto" : `${100 - x / WIDTH * 100 + 3}%`;
    this.tip.style.top = "3.4rem";
  }
  leave() {
    this.at = undefined;
    this.tip.hidden = true;
    this.cursor.replaceChildren();
  }
}
const charts = [...document.querySelectorAll(".chart")].map((node, i) => new Chart(node, data.charts[i]));
const redraw = () => charts.forEach(chart => chart.draw());

function control(label, attributes, change) {
  const input = make("input", attributes);
  input.addEventListener("input", () => { change(input); redraw(); });
  return make("label", {}, ...(attributes.type === "checkbox" ? [input, label] : [label, input]));
}
if (charts.length) {
  const legend = make("div", {class: "legend", role: "group", "aria-label": "Runs shown in the curves"});
  const drawn = new Set(data.charts.flatMap(chart => chart.curves.map(curve => curve.run)));
  const buttons = new Map();
  const press = () => {
    buttons.forEach((button, run) => button.setAttribute("aria-pressed", String(!state.hidden.has(run))));
    redraw();
  };
  data.runs.forEach((name, run) => {
    if (!drawn.has(run)) return;
    const button = make("button", {type: "button", title: "Click: show or hide. Double click: only this one."},
      swatch(run), make("span", {}, name));
    button.addEventListener("click", () => {
      if (!state.hidden.delete(run)) state.hidden.add(run);
      press();
    });
    button.addEventListener("dblclick", () => {
      state.hidden = new Set([...drawn].filter(other => other !== run));
      press();
    });
    button.addEventListener("pointerenter", () => { state.lit = state.hidden.has(run) ? null : run; redraw(); });
    button.addEventListener("pointerleave", () => { state.lit = null; redraw(); });
    buttons.set(run, button);
    legend.append(button);
  });
  const everyone = make("button", {type: "button"}, "Show all"), nobody = make("button", {type: "button"}, "Hide all");
  everyone.addEventListener("click", () => { state.hidden.clear(); press(); });
  nobody.addEventListener("click", () => { state.hidden = new Set(drawn); press(); });
  document.querySelector(".charts").before(make("div", {class: "controls"},
    control("Smoothing", {type: "range", min: "0", max: "0.99", step: "0.01", value: String(data.smoothing)},
      input => { state.smoothing = +input.value; }),
    control("Logarithmic", {type: "checkbox"}, input => { state.log = input.checked; }),
    control("Cut outliers (2 % at each end)", {type: "checkbox"}, input => { state.cut = input.checked; }),
    everyone, nobody), legend);
  press();
}

// Grids.
const grids = document.querySelector(".grids");
if (grids) {
  const size = control("Size", {type: "range", min: "10", max: "60", value: "22"},
    input => grids.style.setProperty("--grid", `${input.value}rem`));
  grids.before(make("div", {class: "controls"}, size));
}
