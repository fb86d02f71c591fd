"use strict";
// A latent is a point of a plane through three latents of the seed, with codes set in it. Text only enters by textContent.
const element = name => document.getElementById(name);
const data = JSON.parse(element("data").textContent);
const [channels, height, width] = data.shape;
const size = data.latent.reduce((product, side) => product * side, 1);
const latents = new Float32Array(bytes(data.latents).buffer);
const count = latents.length / size;
const state = {x: 0, y: 0, number: 0, label: 0, truncation: 1, codes: {}};
const canvas = element("picture"), context = canvas.getContext("2d");
let session = null, busy = false, changed = false;
canvas.width = width;
canvas.height = height;
canvas.style.width = `min(100%, calc(78vh * ${width / height}))`;

function bytes(text) {
  const raw = atob(text), array = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
  return array;
}
function taken(name) { // out of the page, which need not keep the text
  const node = element(name), array = bytes(node.textContent);
  node.remove();
  return array;
}
function tell(text) { element("told").textContent = text; }
const numbered = number => latents.slice((number % count) * size, (number % count + 1) * size);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

function across(vector, others, length) { // what of a vector is at right angles to others, at a given length
  const left = vector.slice();
  for (const other of others) {
    const share = dot(left, other) / dot(other, other);
    for (let i = 0; i < size; i++) left[i] -= share * other[i];
  }
  const scale = length / Math.sqrt(dot(left, left));
  return left.map(value => value * scale);
}
function planeOf(number) {
  const middle = numbered(number), right = numbered(number + 1), up = numbered(number + 2);
  if (!data.round) return {middle, right: right.map((v, i) => v - middle[i]), up: up.map((v, i) => v - middle[i])};
  const length = Math.sqrt(dot(middle, middle)); // which all points keep, as typical latents of a normal law do
  const first = across(right, [middle], length);
  return {middle, right: first, up: across(up, [middle, first], length)};
}
let plane = planeOf(0);

function latent() {
  const {x, y} = state, {middle, right, up} = plane, radius = Math.hypot(x, y), angle = radius * Math.PI / 2;
  const [kept, moved] = data.round ? [Math.cos(angle), radius ? Math.sin(angle) / radius : 0] : [1, 1];
  const z = middle.map((value, i) => kept * value + moved * (x * right[i] + y * up[i]));
  if (!data.round) for (let i = 0; i < size; i++) z[i] = Math.min(data.high, Math.max(data.low, z[i]));
  for (const code of data.codes) {
    const value = state.codes[code.name], [first, last] = [code.numbers[0], code.numbers[code.numbers.length - 1]];
    code.places.forEach((place, i) => {
      if (value === null) z[place] = middle[place];
      else z[place] = code.categories === null ? first[i] + (value + 1) / 2 * (last[i] - first[i]) : code.numbers[value][i];
    });
  }
  return z;
}
function inputs() {
  const given = {z: new ort.Tensor("float32", latent(), [1, ...data.latent])};
  if (data.classes.length) given.labels = new ort.Tensor("int64", BigInt64Array.of(BigInt(state.label)), [1]);
  if (data.truncation) given.truncation = new ort.Tensor("float32", Float32Array.of(state.truncation), []);
  return given;
}
function paint(values) { // [C, H, W] in [-1, 1]
  const picture = context.createImageData(width, height), plane = width * height;
  const level = value => Math.min(255, Math.max(0, Math.floor((value + 1) * 127.5 + 0.5)));
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = channels === 2 && c === 2 ? 0 : level(values[channels === 1 ? i : c * plane + i]);
    picture.data[4 * i + 3] = channels === 4 ? level(values[3 * plane + i]) : 255;
  }
  context.putImageData(picture, 0, 0);
}
async function draw() { // one at a time; what changes meanwhile is drawn afterwards
  changed = true;
  if (busy || !session) return;
  busy = true;
  try {
    while (changed) {
      changed = false;
      const start = performance.now();
      const {images} = await session.run(inputs());
      paint(images.data);
      tell(`Drawn in ${Math.max(1, Math.round(performance.now() - start))} ms.`);
      await new Promise(requestAnimationFrame);
    }
  } catch (error) {
    tell(`The generator failed: ${error.message}`);
  }
  busy = false;
}
function move(x, y) {
  const inside = value => Math.round(Math.min(1, Math.max(-1, value)) * 100) / 100;
  [state.x, state.y] = [inside(x), inside(y)];
  const point = element("point");
  point.setAttribute("cx", state.x);
  point.setAttribute("cy", -state.y);
  element("place").textContent = `Now ${state.x.toFixed(2)} to the right, ${state.y.toFixed(2)} up.`;
  draw();
}
function line(name, input, show) { // a control with its name and its value
  const label = document.createElement("label"), title = document.createElement("span"), output = document.createElement("output");
  label.className = "line";
  title.textContent = name;
  input.id = `set-${name.replace(" ", "-")}`;
  const refresh = () => { output.textContent = show(input.value); };
  input.addEventListener("input", () => { refresh(); draw(); });
  refresh();
  label.append(title, input, output);
  element("controls").append(label);
}
function range(name, values, act, drawn = false) {
  const input = Object.assign(document.createElement("input"), {type: "range"}, values);
  input.addEventListener("input", () => { drawn = false; act(Number(input.value)); });
  line(name, input, value => drawn ? "as drawn" : Number(value).toFixed(values.step < 1 ? 2 : 0));
}
function choice(name, options, act) {
  const input = document.createElement("select");
  options.forEach((option, i) => input.add(new Option(option, i)));
  input.addEventListener("input", () => act(Number(input.value)));
  line(name, input, () => "");
}
function arrange() {
  range("image", {min: 0, max: count - 1, step: 1, value: 0}, value => {
    state.number = value;
    plane = planeOf(value);
    element("which").textContent = value;
  });
  if (data.classes.length) choice("class", data.classes, value => { state.label = value; });
  for (const code of data.codes) {
    state.codes[code.name] = null; // as the image of the seed has it, until it is set
    const act = value => { state.codes[code.name] = value; };
    if (code.categories === null) range(code.name, {min: -code.farthest, max: code.farthest, step: 0.05, value: 0}, act, true);
    else choice(code.name, ["as drawn", ...Array(code.categories).keys()], value => act(value ? value - 1 : null));
  }
  if (data.truncation) range("truncation", {min: 0, max: 1.5, step: 0.05, value: 1}, value => { state.truncation = value; });
  const board = element("plane");
  const follow = event => {
    const to = new DOMPoint(event.clientX, event.clientY).matrixTransform(board.getScreenCTM().inverse());
    move(to.x, -to.y);
  };
  board.addEventListener("pointerdown", event => { board.setPointerCapture(event.pointerId); follow(event); });
  board.addEventListener("pointermove", event => { if (board.hasPointerCapture(event.pointerId)) follow(event); });
  board.addEventListener("keydown", event => {
    const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key] || [0, 0];
    if (event.key === "Home") move(0, 0);
    else if (dx || dy) move(state.x + dx * 0.05, state.y + dy * 0.05);
    else return;
    event.preventDefault();
  });
  element("middle").addEventListener("click", () => move(0, 0));
  move(0, 0);
}
async function begin() {
  arrange();
  if (typeof ort === "undefined") return tell("The page is damaged: its runtime did not load.");
  try {
    const packed = new Blob([taken("program")]).stream().pipeThrough(new DecompressionStream("gzip"));
    ort.env.wasm.wasmBinary = await new Response(packed).arrayBuffer();
    ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(new Blob([taken("module")], {type: "text/javascript"}))};
    ort.env.wasm.numThreads = 1;
    session = await ort.InferenceSession.create(taken("model"), {executionProviders: ["wasm"]});
    await draw();
  } catch (error) {
    tell(`The generator could not be loaded: ${error.message}`);
  }
}
begin();
