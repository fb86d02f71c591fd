"use strict";
// Without this script the page still shows the figure and the tables. Text only ever enters by textContent.
const scenes = JSON.parse(document.getElementById("data").textContent);
const asked = new URLSearchParams(location.hash.slice(1)); // #theme=dark&scene=0&run=2&at=30
const SECONDS = 8; // of one pass

function make(name, attributes = {}, ...children) {
  const drawn = ["svg", "path", "line", "text", "circle", "g", "image"].includes(name);
  const node = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(12));
  return found;
}

const theme = make("button", {type: "button"}, "Light or dark");
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
document.querySelector("nav").append(theme);
if (["light", "dark"].includes(asked.get("theme"))) document.documentElement.dataset.theme = asked.get("theme");

class Scene {
  constructor(node, scene) {
    this.scene = scene;
    this.share = 0; // of the recorded time
    this.playing = false;
    this.stage = make("div", {class: "stage"});
    this.key = make("div", {class: "key"});
    this.told = make("p", {class: "muted", role: "status"});
    this.buttons = scene.runs.map((run, number) => {
      const button = make("button", {type: "button"}, run.name);
      button.addEventListener("click", () => this.choose(number));
      return button;
    });
    this.toggle = make("button", {type: "button"}, "Play");
    this.toggle.addEventListener("click", () => this.play(!this.playing));
    this.slider = make("input", {type: "range", min: "0", max: "1000", value: "0", "aria-label": `Time, ${scene.clock}`});
    this.slider.addEventListener("input", () => { this.play(false); this.share = this.slider.value / 1000; this.draw(); });
    this.clock = make("output");
    node.append(make("div", {class: "switch", role: "group", "aria-label": "Recorded runs"}, ...this.buttons), this.told,
      this.key, this.stage, make("div", {class: "player"}, this.toggle, this.slider, this.clock));
    this.choose(0);
    new ResizeObserver(() => { if (Math.abs(this.stage.clientWidth - this.width) > 1) this.frame(); }).observe(this.stage);
  }
  choose(number) {
    this.run = this.scene.runs[number];
    this.number = number;
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === number)));
    this.told.textContent = this.run.told;
    this.frame();
  }
  play(playing) {
    if (playing && this.share >= 1) this.share = 0;
    this.playing = playing;
    this.toggle.textContent = playing ? "Pause" : "Play";
    let last = null;
    const step = now => {
      if (!this.playing) return;
      if (last !== null) this.share = Math.min(1, this.share + (now - last) / 1000 / SECONDS);
      last = now;
      this.draw();
      if (this.share >= 1) this.play(false);
      else requestAnimationFrame(step);
    };
    if (playing) requestAnimationFrame(step);
  }
  frame() { // axes, and what stands still
    const {xlim, ylim, xlabel, ylabel} = this.scene, run = this.run;
    this.width = this.stage.clientWidth || 720;
    const square = run.kind !== "curves", width = square ? Math.min(this.width, 640) : this.width;
    const left = 58, right = 12, top = 12, bottom = 52;
    const height = square ? width : Math.max(260, Math.min(460, width * 0.6));
    this.X = x => left + (x - xlim[0]) / (xlim[1] - xlim[0]) * (width - left - right);
    this.Y = y => height - bottom - (y - ylim[0]) / (ylim[1] - ylim[0]) * (height - top - bottom);
    this.svg = make("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${this.scene.title}: ${run.name}`});
    this.svg.style.maxWidth = `${width}px`;
    for (const y of ticks(...ylim, 5)) {
      this.svg.append(make("line", {x1: left, x2: width - right, y1: this.Y(y), y2: this.Y(y), class: "grid"}),
        make("text", {x: left - 8, y: this.Y(y) + 5, "text-anchor": "end"}, String(y)));
    }
    for (const x of ticks(...xlim, width < 500 ? 4 : 8)) {
      this.svg.append(make("line", {x1: this.X(x), x2: this.X(x), y1: top, y2: height - bottom, class: "grid"}),
        make("text", {x: this.X(x), y: height - bottom + 20, "text-anchor": "middle"}, String(x)));
    }
    this.svg.append(make("text", {x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle"}, xlabel),
      make("text", {x: 15, y: (height - bottom) / 2, "text-anchor": "middle",
        transform: `rotate(-90 15 ${(height - bottom) / 2})`}, ylabel));
    const area = {x: left, y: top, width: width - left - right, height: height - top - bottom};
    this.area = make("svg", {...area, viewBox: `${left} ${top} ${area.width} ${area.height}`}); // shows nothing beyond the axes
    this.svg.append(this.area);
    this.key.replaceChildren();
    const clip = (low, high) => value => Math.max(low, Math.min(high, value));
    this.clipY = clip(-40, height + 40);
    this.clipX = clip(-40, width + 40);
    if (run.kind === "curves") {
      const still = Object.entries(run.still), moving = Object.keys(run.moving);
      still.forEach(([name, values], i) => this.area.append(this.line(values, i, "still", name)));
      this.lines = moving.map((name, i) => {
        const path = this.line(run.moving[name][0], still.length + i, "moving", name);
        this.area.append(path);
        return path;
      });
    } else if (run.kind === "path") {
      this.trail = make("path", {class: "trail"});
      this.dot = make("circle", {r: 8});
      this.trail.style.stroke = this.dot.style.fill = `var(--c${this.number % 8})`;
      const [x, y] = [this.X(0), this.Y(0)];
      const cross = make("path", {d: `M${x - 9} ${y}H${x + 9}M${x} ${y - 9}V${y + 9}`, class: "trail"});
      cross.style.stroke = "var(--ink)";
      this.area.append(cross, this.trail, this.dot);
    } else if (run.kind === "points") {
      for (const [x, y] of run.still) {
        const dot = make("circle", {cx: this.X(x), cy: this.Y(y), r: 2});
        dot.style.fill = "var(--muted)";
        dot.style.opacity = "0.6";
        this.area.append(dot);
      }
      this.dots = run.points[0].map(() => make("circle", {r: 3}));
      for (const dot of this.dots) {
        dot.style.fill = `var(--c${this.number % 8})`;
        dot.style.opacity = "0.75";
      }
      this.area.append(...this.dots);
    } else {
      this.levels ??= new Map();
      if (!this.levels.has(run)) this.levels.set(run, Uint8Array.from(atob(run.levels), c => c.charCodeAt(0)));
      this.canvas = make("canvas", {width: run.side, height: run.side});
      this.picture = make("image", {...area, preserveAspectRatio: "none"});
      this.area.append(this.picture);
      for (const [x, y] of run.examples) {
        const dot = make("circle", {cx: this.X(x), cy: this.Y(y), r: 1.6});
        dot.style.fill = "#fff";
        this.area.append(dot);
      }
    }
    this.stage.replaceChildren(this.svg);
    this.draw();
  }
  line(values, color, kind, name) {
    const path = make("path", {d: this.curve(values), class: kind}), mark = make("i", {class: kind});
    path.style.stroke = mark.style.borderTopColor = `var(--c${color % 8})`;
    this.key.append(make("span", {}, mark, name));
    return path;
  }
  curve(values) {
    let path = "", pen = false;
    values.forEach((y, i) => {
      if (y === null) { pen = false; return; }
      path += `${pen ? "L" : "M"}${this.X(this.run.x[i]).toFixed(1)} ${this.clipY(this.Y(y)).toFixed(1)}`;
      pen = true;
    });
    return path;
  }
  draw() {
    const run = this.run, at = Math.round(this.share * (run.times.length - 1));
    this.slider.value = String(Math.round(this.share * 1000));
    this.clock.textContent = `${this.scene.clock} ${run.times[at]}`;
    if (run.kind === "curves") {
      Object.values(run.moving).forEach((frames, i) => this.lines[i].setAttribute("d", this.curve(frames[at])));
    } else if (run.kind === "path") {
      const places = run.points.slice(0, at + 1).map(([x, y]) => [this.clipX(this.X(x)), this.clipY(this.Y(y))]);
      this.trail.setAttribute("d", "M" + places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L"));
      const [x, y] = places[at];
      this.dot.setAttribute("cx", x);
      this.dot.setAttribute("cy", y);
    } else if (run.kind === "points") {
      run.points[at].forEach(([x, y], i) => {
        this.dots[i].setAttribute("cx", this.clipX(this.X(x)).toFixed(1));
        this.dots[i].setAttribute("cy", this.clipY(this.Y(y)).toFixed(1));
      });
    } else {
      const side = run.side, levels = this.levels.get(run), context = this.canvas.getContext("2d");
      const pixels = context.createImageData(side, side);
      for (let row = 0; row < side; row++) {
        for (let column = 0; column < side; column++) {
          const level = levels[(at * side + side - 1 - row) * side + column] / 255, place = 4 * (row * side + column);
          pixels.data.set([Math.round(20 + 235 * level), Math.round(40 + 185 * level), Math.round(110 - 40 * level), 255],
            place); // blue to yellow, as cividis
        }
      }
      context.putImageData(pixels, 0, 0);
      this.picture.setAttribute("href", this.canvas.toDataURL());
      const [low, high] = run.ranges[at];
      this.key.replaceChildren(make("span", {}, `dark blue ${low}, yellow ${high}`));
    }
  }
}
const players = [...document.querySelectorAll(".scene")].map((node, i) => new Scene(node, scenes[i]));
const chosen = players[+asked.get("scene") || 0];
if (chosen) {
  if (asked.has("run")) chosen.choose(Math.min(chosen.scene.runs.length - 1, +asked.get("run") || 0));
  if (asked.has("at")) { chosen.share = Math.max(0, Math.min(1, asked.get("at") / 100 || 0)); chosen.draw(); }
}
