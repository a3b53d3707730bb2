// @ts-check
// The picture of LeNet under X-ray: chosen, drawn, moved.

import { button, change, clamp, drag, follow, grey, make, outline, picture } from "./parts.js";
import { SIDE, withLine } from "./xray.js";

/** @typedef {import("./parts.js").Model} Model */

const MOST = 14; // pixels that a picture moves
export const DIGITS = [..."0123456789"];
export const CLOTHES = [
  "t-shirt",
  "trouser",
  "pullover",
  "dress",
  "coat",
  "sandal",
  "shirt",
  "sneaker",
  "bag",
  "ankle boot",
];

/** @param {string} net the name of a file, such as relu_epoch_2 */
export const recipeOf = (net) => net.replace(/_epoch_\d+$/, "");
/** @param {Model} model */
const isOfDigits = (model) => recipeOf(model.get("net")) === "lenet_modern_mnist";
/** @param {Model} model */
export const names = (model) => (isOfDigits(model) ? DIGITS : CLOTHES);

/**
 * Return what gives one of the ten pictures of the network's kind, and what is drawn.
 * @param {Model} model
 */
export function pictures(model) {
  const read = (/** @type {string} */ key) => {
    const { buffer, byteOffset, byteLength } = model.get(key);
    return Float32Array.from(new Uint8Array(buffer, byteOffset, byteLength), (byte) => byte / 255);
  };
  const [digits, garments] = [read("digits"), read("garments")];
  const example = (/** @type {number} */ k) =>
    (isOfDigits(model) ? digits : garments).subarray(k * SIDE ** 2, (k + 1) * SIDE ** 2);
  const drawn = () => {
    const rows = model.get("drawing");
    const pixel = (/** @type {number} */ k) => rows[Math.floor(k / SIDE)]?.[k % SIDE] ?? 0;
    return Float32Array.from({ length: SIDE ** 2 }, (_, k) => pixel(k));
  };
  const chosen = () => {
    const name = model.get("picture");
    return name === "drawing" ? drawn() : example(Number(name));
  };
  return { example, chosen };
}

/**
 * The picture: a finger or a pointer draws on it or moves it; arrow keys move a pen, with which the
 * space bar draws, or the picture. `pen` tells where the pen is, while the keyboard draws.
 * @param {Model} model
 * @param {() => Float32Array} chosen
 * @param {() => void} again called when the pen moves
 */
export function canvasToDraw(model, chosen, again) {
  const seen = picture("What LeNet sees");
  seen.panel.tabIndex = 0;
  seen.panel.removeAttribute("aria-hidden");
  seen.panel.setAttribute("role", "application");
  const moveTo = (/** @type {number} */ right, /** @type {number} */ down) =>
    change(model, { right: clamp(right, -MOST, MOST), down: clamp(down, -MOST, MOST) });
  const place = () => [model.get("right"), model.get("down")];
  let [draws, x0, y0, right0, down0] = [true, 0, 0, 0, 0];
  const pen = { row: SIDE / 2, column: SIDE / 2, seen: false };
  const line = (/** @type {number} */ x, /** @type {number} */ y) => {
    const [right, down] = place();
    const values = withLine(chosen(), [y0 - down, x0 - right], [y - down, x - right]);
    const rows = Array.from({ length: SIDE }, (_, i) => values.slice(i * SIDE, (i + 1) * SIDE));
    [x0, y0] = [x, y];
    change(model, { picture: "drawing", drawing: rows });
  };
  const reach = (/** @type {number} */ x, /** @type {number} */ y) => {
    if (!draws) return moveTo(right0 + Math.round(x - x0), down0 + Math.round(y - y0));
    const [row, column] = [y, x].map((at) => clamp(Math.floor(at), 0, SIDE - 1));
    Object.assign(pen, { row, column, seen: false });
    line(x, y);
  };
  const stepPen = (/** @type {number} */ right, /** @type {number} */ down) => {
    const [row, column] = [pen.row + down, pen.column + right].map((k) => clamp(k, 0, SIDE - 1));
    Object.assign(pen, { row, column, seen: true });
    again();
  };
  drag(seen.panel, {
    to(across, down, event) {
      const [x, y] = [across * SIDE, down * SIDE];
      if (event.type === "pointerdown") [x0, y0, right0, down0] = [x, y, ...place()];
      reach(x, y);
    },
    by(right, down) {
      if (draws) stepPen(right, down);
      else moveTo(model.get("right") + right, model.get("down") + down);
    },
  });
  seen.panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (!draws || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault(); // or the page would scroll
    pen.seen = true;
    [x0, y0] = [pen.column + 0.5, pen.row + 0.5];
    line(x0, y0);
    again();
  });
  seen.panel.addEventListener("blur", () => {
    if (!pen.seen) return;
    pen.seen = false;
    again();
  });
  const modes = ["Draw", "Move"].map((name) => {
    return button(name, () => press(name === "Draw"), {
      title: `${name} with a finger, a mouse or arrow keys`,
    });
  });
  const press = (/** @type {boolean} */ isDrawing) => {
    draws = isDrawing;
    const keys = draws ? "arrow keys move the pen, space draws" : "arrow keys move it";
    seen.panel.setAttribute("aria-label", `Picture: ${keys}`);
    modes.forEach((mode, k) => mode.setAttribute("aria-pressed", String((k === 0) === draws)));
  };
  press(true);
  const clear = button("Clear", () => {
    press(true);
    change(model, { picture: "drawing", drawing: [[0]], right: 0, down: 0, noise: 0 });
  });
  seen.element.append(make("div", { class: "xray-tools" }, ...modes, clear));
  const penNow = () => {
    if (!draws || !pen.seen) return { marks: [], words: "" };
    const { row, column } = pen;
    const [i, j] = [row - model.get("down"), column - model.get("right")];
    const inside = Math.min(i, j) >= 0 && Math.max(i, j) < SIDE;
    const level = inside ? chosen()[i * SIDE + j] : 0;
    const colour = level > 0.75 ? "white" : level < 0.25 ? "black" : "grey";
    return {
      marks: outline(row, column, 1, 1, "explorer-pen"),
      words: `Pen at row ${row}, column ${column}, ${colour}.`,
    };
  };
  return { ...seen, pen: penNow };
}

/**
 * Ten small pictures to choose from.
 * @param {Model} model
 * @param {(k: number) => Float32Array} example
 */
export function chooser(model, example) {
  const group = `lenet-${Math.random()}`; // radio buttons of one explorer belong together
  const all = DIGITS.map((value, k) => {
    const canvas = make("canvas", { width: SIDE, height: SIDE });
    const pick = () => change(model, { picture: value, right: 0, down: 0 });
    const radio = make("input", { type: "radio", name: group, value, change: pick });
    const show = () => {
      radio.checked = model.get("picture") === value;
      radio.setAttribute("aria-label", names(model)[k]);
      const pixels = new ImageData(SIDE, SIDE);
      example(k).forEach((level, n) => pixels.data.set([...grey(0, 1)(level), 255], 4 * n));
      canvas.getContext("2d").putImageData(pixels, 0, 0);
    };
    follow(model, ["net", "picture"], show);
    return make("label", { title: DIGITS[k] }, radio, canvas);
  });
  return make(
    "div",
    { class: "xray-thumbs", role: "radiogroup", "aria-label": "Pictures" },
    ...all,
  );
}
