"use strict";
// Strokes are kept in pixels of the picture and drawn anew on a finer canvas over it. Text only ever enters by textContent.
const data = JSON.parse(document.getElementById("data").textContent);
const element = name => document.getElementById(name);
const canvas = element("canvas"), context = canvas.getContext("2d");
const FINENESS = Math.max(1, Math.round(1024 / Math.max(data.width, data.height))); // of the canvas, for each pixel
const HINTS = {
  color: "Paint colors that the picture should have.",
  sketch: "Draw lines where the picture should have edges.",
  warp: "Press on a part and drag it to where it should be.",
  erase: "Take strokes away.",
  pick: "Press where the picture has the color you want.",
};
const SHOWN = "#ff3fb4"; // of edges and moves, which have no color of their own
let tool = "color", strokes = [], current = null, pointer = null;

canvas.width = data.width * FINENESS;
canvas.height = data.height * FINENESS;
const size = element("size"), longest = Math.max(data.width, data.height);
Object.assign(size, {min: 0.5, max: Math.max(2, Math.round(longest / 5)), step: longest > 64 ? 1 : 0.5,
  value: Math.max(1, Math.round(longest / 20))});

const sizes = {color: +size.value, sketch: Math.max(0.5, Math.round(longest / 64)), warp: +size.value * 2, erase: +size.value};

function choose(name) {
  if (sizes[tool]) sizes[tool] = +size.value;
  tool = name;
  if (sizes[tool]) size.value = sizes[tool];
  for (const button of document.querySelectorAll("[data-tool]"))
    button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  element("hint").textContent = HINTS[name];
  refresh();
}
function place(event) {
  const box = canvas.getBoundingClientRect();
  const round = value => Math.round(value * 100) / 100;
  return [round((event.clientX - box.left) / box.width * data.width), round((event.clientY - box.top) / box.height * data.height)];
}
function path(target, points, scale) {
  target.beginPath();
  target.moveTo(points[0][0] * scale, points[0][1] * scale);
  for (const [x, y] of points.slice(1)) target.lineTo(x * scale, y * scale);
  if (points.length === 1) target.lineTo(points[0][0] * scale + 0.01, points[0][1] * scale);
}
function draw(target, stroke, scale, colorsOnly) {
  const erases = stroke.tool === "erase", colored = stroke.tool === "color";
  if (colorsOnly && !erases && !colored) return;
  target.save();
  target.lineCap = target.lineJoin = "round";
  target.globalCompositeOperation = erases ? "destination-out" : "source-over";
  if (stroke.tool === "warp") {
    const [[x0, y0], [x1, y1]] = [stroke.points[0], stroke.points[stroke.points.length - 1]].map(p => p.map(v => v * scale));
    target.strokeStyle = SHOWN;
    target.lineWidth = Math.max(2, scale / 6);
    target.setLineDash([scale / 2, scale / 3]);
    for (const [x, y] of [[x0, y0], [x1, y1]]) {
      target.beginPath();
      target.arc(x, y, stroke.radius * scale, 0, 2 * Math.PI);
      target.stroke();
      target.setLineDash([]);
    }
    target.beginPath();
    target.moveTo(x0, y0);
    target.lineTo(x1, y1);
    target.stroke();
  } else {
    target.strokeStyle = colored ? stroke.color : SHOWN;
    target.lineWidth = Math.max(1, 2 * stroke.radius * scale);
    path(target, stroke.points, scale);
    target.stroke();
  }
  target.restore();
}
function asJson() {
  return JSON.stringify({width: data.width, height: data.height, strokes});
}
function refresh() {
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const stroke of current ? [...strokes, current] : strokes) draw(context, stroke, FINENESS, false);
  element("shown").textContent = `${size.value} pixels`;
  for (const name of ["undo", "clear", "save-json"]) element(name).disabled = !strokes.length;
  element("save-png").disabled = !strokes.some(stroke => stroke.tool === "color");
  element("text").textContent = asJson();
}
function tell(text) { element("told").textContent = text; }

function pick([x, y]) {
  const small = Object.assign(document.createElement("canvas"), {width: data.width, height: data.height});
  const pen = small.getContext("2d");
  pen.drawImage(element("picture"), 0, 0, data.width, data.height);
  const at = (value, side) => Math.min(side - 1, Math.max(0, Math.floor(value)));
  const [r, g, b] = pen.getImageData(at(x, data.width), at(y, data.height), 1, 1).data;
  element("color").value = "#" + [r, g, b].map(value => value.toString(16).padStart(2, "0")).join("");
  choose("color");
}

canvas.addEventListener("pointerdown", event => {
  if (pointer !== null || event.button > 0) return;
  event.preventDefault();
  if (tool === "pick") return pick(place(event));
  pointer = event.pointerId;
  canvas.setPointerCapture(pointer);
  current = {tool, points: [place(event)], radius: +size.value};
  if (tool === "color") current.color = element("color").value;
  refresh();
});
canvas.addEventListener("pointermove", event => {
  if (event.pointerId !== pointer) return;
  const moves = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const each of moves.length ? moves : [event]) {
    const [x, y] = place(each), [u, v] = current.points[current.points.length - 1];
    if (Math.hypot(x - u, y - v) >= 0.2) current.points.push([x, y]);
  }
  if (tool === "warp" && current.points.length > 2) current.points.splice(1, current.points.length - 2);
  refresh();
});
function finish(event) {
  if (event.pointerId !== pointer) return;
  const useful = event.type === "pointerup" && (current.tool !== "warp" || current.points.length > 1);
  if (useful) strokes.push(current);
  pointer = current = null;
  refresh();
  tell(useful ? `Strokes: ${strokes.length}.` : "");
}
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, finish);

function save(name, address) {
  const link = Object.assign(document.createElement("a"), {href: address, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  tell(`Saved as ${name}, among this browser's downloads.`);
  element("command").textContent = `${data.command} strokes=${name}`;
}
element("save-json").addEventListener("click", () =>
  save("strokes.json", "data:application/json;charset=utf-8," + encodeURIComponent(asJson())));
element("save-png").addEventListener("click", () => {
  const whole = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
  for (const stroke of strokes) draw(whole.getContext("2d"), stroke, FINENESS, true);
  save("strokes.png", whole.toDataURL("image/png"));
  if (strokes.some(stroke => stroke.tool === "sketch" || stroke.tool === "warp"))
    tell("Saved as strokes.png, which holds colors alone: edges and moves are in strokes.json.");
});
function undo() {
  strokes.pop();
  refresh();
  tell(`Strokes: ${strokes.length}.`);
}
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", () => { strokes = []; refresh(); tell("No strokes."); });
document.addEventListener("keydown", event => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && strokes.length) { event.preventDefault(); undo(); }
});
for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));
element("color").addEventListener("input", () => choose("color"));
size.addEventListener("input", refresh);
element("command").textContent = `${data.command} strokes=strokes.json`;
const asked = new URLSearchParams(location.hash.slice(1)); // #strokes=JSON&theme=dark
if (asked.get("theme")) document.documentElement.dataset.theme = asked.get("theme");
try {
  const given = JSON.parse(asked.get("strokes") || "[]");
  if (Array.isArray(given)) strokes = given.filter(each => each && HINTS[each.tool] && Array.isArray(each.points) && each.points.length);
} catch { tell("The strokes in the address are no JSON."); }
choose("color");
