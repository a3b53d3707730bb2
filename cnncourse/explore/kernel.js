// @ts-check
// Chapter "Cross-correlation": a kernel that the reader shapes, over a picture that the reader makes.

import { corr2d, flip, toGrid, toRows } from "./arithmetic.js";
import {
  button,
  change,
  choice,
  clamp,
  drag,
  draw,
  follow,
  frame,
  grey,
  make,
  number,
  picture,
  signed,
  toggle,
} from "./parts.js";

/** @typedef {import("./parts.js").Model} Model */

const SIDE = 28; // of what a reader draws or opens
const KEYS = ["x", "kernel", "picture", "turned", "row", "column"];

/** @type {Record<string, number[][]>} */
const KERNELS = {
  "vertical edges": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
  "horizontal edges": [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
  "mean": Array(3).fill(Array(3).fill(0.111)),
  "sharper": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  "the pixel itself": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  "one to nine": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
};

/**
 * What lies under the kernel at one place, in reading order, and the sum of the products.
 * @param {import("./arithmetic.js").Grid} x
 * @param {import("./arithmetic.js").Grid} kernel
 * @param {number} row
 * @param {number} column
 */
export function products(x, kernel, row, column) {
  const pairs = Array.from(kernel.values, (weight, k) => {
    const [a, b] = [Math.floor(k / kernel.w), k % kernel.w];
    return [x.values[(row + a) * x.w + column + b], weight];
  });
  return { pairs, sum: pairs.reduce((sum, [pixel, weight]) => sum + pixel * weight, 0) };
}

/**
 * One white pixel, or a white square, in the middle of a black picture.
 * @param {number} side
 * @param {number} white
 */
export function square(side, white) {
  const first = Math.floor((side - white) / 2);
  const inside = (/** @type {number} */ k) => k >= first && k < first + white;
  return Array.from(
    { length: side },
    (_, i) => Array.from({ length: side }, (_, j) => Number(inside(i) && inside(j))),
  );
}

/**
 * Cut a kernel to a smaller side, or put zeros around it.
 * @param {number[][]} kernel
 * @param {number} side
 */
export function resized(kernel, side) {
  const shift = Math.floor((side - kernel.length) / 2);
  return Array.from(
    { length: side },
    (_, a) => Array.from({ length: side }, (_, b) => kernel[a - shift]?.[b - shift] ?? 0),
  );
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "A kernel over a picture",
    hint: "choose “one white pixel”, and change a weight. Where in the map does it show?",
    keys: KEYS,
  });
  const given = model.get("x");
  const [seen, map] = [picture("Picture"), picture("Map: what the kernel answers")];
  const weights = make("div", { class: "explorer-weights", role: "group", "aria-label": "Kernel" });
  const middle = make(
    "div",
    { class: "explorer-picture" },
    make("figcaption", {}, "Kernel"),
    weights,
  );
  stage.append(seen.element, middle, map.element);

  const now = () => {
    const [x, kernel] = [toGrid(model.get("x")), toGrid(model.get("kernel"))];
    const used = model.get("turned") ? flip(kernel) : kernel;
    const y = corr2d(x, used);
    const row = clamp(model.get("row"), 0, y.h - 1);
    const column = clamp(model.get("column"), 0, y.w - 1);
    return { x, kernel, used, y, row, column };
  };

  let pen = 1;
  const drawing = () => model.get("picture") === "drawing";
  const moveTo = (/** @type {number} */ i, /** @type {number} */ j) => {
    const { y } = now();
    change(model, { row: clamp(i, 0, y.h - 1), column: clamp(j, 0, y.w - 1) });
  };
  for (const panel of [seen, map]) {
    panel.panel.tabIndex = 0;
    panel.panel.removeAttribute("aria-hidden");
    panel.panel.setAttribute("role", "application");
    drag(panel.panel, {
      to(across, down, event) {
        const { x, y, kernel } = now();
        const size = panel === seen ? x : y;
        const [i, j] = [Math.floor(down * size.h), Math.floor(across * size.w)];
        if (panel === map) return moveTo(i, j);
        if (!drawing()) return moveTo(i - (kernel.h >> 1), j - (kernel.w >> 1));
        if (i < 0 || j < 0 || i >= x.h || j >= x.w) return;
        if (event.type === "pointerdown") pen = 1 - Math.round(x.values[i * x.w + j]);
        const rows = toRows(x);
        rows[i][j] = pen;
        change(model, { x: rows });
      },
      by: (right, down) => moveTo(now().row + down, now().column + right),
    });
  }
  seen.panel.setAttribute("aria-label", "Picture: arrow keys move the window");
  map.panel.setAttribute("aria-label", "Map: arrow keys move the window");

  const setWeight = (/** @type {number} */ k, /** @type {number} */ value) => {
    const { kernel } = now();
    const [low, high] = model.get("limits").kernel;
    const values = Array.from(kernel.values);
    values[k] = clamp(Math.round(value * 10) / 10, low, high);
    change(model, { kernel: toRows({ ...kernel, values }) });
  };
  const showWeights = () => {
    const { kernel } = now();
    const [low, high] = model.get("limits").kernel;
    while (weights.children.length > kernel.values.length) weights.lastChild.remove();
    for (let k = weights.children.length; k < kernel.values.length; k++) {
      weights.append(weightCell(k, low, high));
    }
    weights.style.gridTemplateColumns = `repeat(${kernel.w}, 1fr)`;
    const colour = signed(Math.max(1, ...Array.from(kernel.values, Math.abs)));
    Array.from(kernel.values).forEach((value, k) => {
      const level = colour(value);
      const cell = weights.children[k];
      cell.textContent = number(value);
      cell.style.background = `rgb(${level})`;
      cell.style.color = level[1] < 110 ? "#fff" : "#000";
      cell.setAttribute("aria-valuenow", value);
      cell.setAttribute(
        "aria-label",
        `Weight, row ${Math.floor(k / kernel.w)}, column ${k % kernel.w}`,
      );
    });
  };
  const weightCell = (
    /** @type {number} */ k,
    /** @type {number} */ low,
    /** @type {number} */ high,
  ) => {
    const role = { role: "slider", tabindex: 0, "aria-valuemin": low, "aria-valuemax": high };
    const cell = make("div", { class: "explorer-weight", ...role });
    let from = { y: 0, value: 0 };
    drag(cell, {
      to(_x, _y, event) {
        const value = now().kernel.values[k];
        if (event.type === "pointerdown") from = { y: event.clientY, value };
        else setWeight(k, from.value + Math.round((from.y - event.clientY) / 6) / 2);
      },
      by: (right, down) => setWeight(k, now().kernel.values[k] + (right - down) / 2),
    });
    return cell;
  };

  const file = make("input", {
    type: "file",
    accept: "image/*",
    class: "explorer-file",
    change: async () => change(model, { picture: "file", x: await pixelsOf(file.files[0]) }),
  });
  const presets = make(
    "select",
    {
      change: () => {
        if (presets.value) change(model, { kernel: KERNELS[presets.value] });
        presets.value = "";
      },
    },
    make("option", { value: "" }, "choose…"),
    ...Object.keys(KERNELS).map((name) => make("option", {}, name)),
  );
  const size = button("", () => {
    const { kernel } = now();
    const side = kernel.h === 5 ? 3 : 5;
    change(model, { kernel: resized(model.get("kernel"), side) });
  });
  controls.append(
    choice(model, "picture", "Picture", { given: "that of the book", file: "a file of yours…" }),
    make("label", {}, make("span", {}, "Kernels"), presets),
    toggle(model, "turned", "turn the kernel by 180° (a convolution)"),
    size,
    file,
  );

  let shown = model.get("picture");
  const choosePicture = () => {
    const name = model.get("picture");
    file.hidden = name !== "file";
    if (name === shown) return;
    shown = name;
    const garment = () => {
      const bytes = new Uint8Array(
        model.get("garment").buffer,
        model.get("garment").byteOffset,
        SIDE * SIDE,
      );
      return toRows({ values: Array.from(bytes, (byte) => byte / 255), h: SIDE, w: SIDE });
    };
    /** @type {Record<string, () => number[][]>} */
    const pictures = {
      given: () => given,
      "one white pixel": () => square(9, 1),
      "a white square": () => square(16, 8),
      "a garment": garment,
      drawing: () => square(12, 0),
    };
    if (name in pictures) change(model, { x: pictures[name]() });
  };

  const show = () => {
    const { x, kernel, used, y, row, column } = now();
    const [low, high] = [Math.min(0, ...Array.from(x.values)), Math.max(...Array.from(x.values))];
    seen.paint(x.values, x.h, x.w, grey(low, high || 1));
    map.paint(y.values, y.h, y.w, signed(Math.max(...Array.from(y.values, Math.abs))));
    const window = (/** @type {number} */ h, /** @type {number} */ w) =>
      ["explorer-window-out", "explorer-window"].map((name) =>
        draw("rect", { x: column, y: row, width: w, height: h, class: name })
      );
    seen.marks.replaceChildren(...written(x, low, high), ...window(kernel.h, kernel.w));
    map.marks.replaceChildren(...written(y), ...window(1, 1));
    size.textContent = kernel.h === 5 ? "3 × 3 weights" : "5 × 5 weights";
    showWeights();
    const { pairs, sum } = products(x, used, row, column);
    const terms = pairs.filter(([pixel, weight]) => pixel && weight);
    const sums = terms.slice(0, 9).map(([pixel, weight]) => `${number(pixel)} × ${number(weight)}`);
    const rest = terms.length > 9 ? ` + ${terms.length - 9} more` : "";
    say(
      `Row ${row}, column ${column}: ${sums.join(" + ") || "only zeros"}${rest} = ${number(sum)}.`,
    );
  };
  const ends = [follow(model, ["picture"], choosePicture), follow(model, KEYS, show)];
  return () => ends.forEach((end) => end());
}

/**
 * The numbers of a small picture, each in its pixel.
 * @param {import("./arithmetic.js").Grid} grid
 * @param {number} [low]
 * @param {number} [high] of the greys below; without them the ground is light or strong by size
 */
function written({ values, h, w }, low, high) {
  if (Math.max(h, w) > 8) return [];
  const most = Math.max(...Array.from(values, Math.abs));
  return Array.from(values, (value, k) => {
    const light = low === undefined || high === undefined
      ? value >= 0 || -value < most / 2
      : (value - low) / (high - low || 1) > 0.5;
    const place = { x: k % w + 0.5, y: Math.floor(k / w) + 0.62, "text-anchor": "middle" };
    return draw(
      "text",
      { ...place, "font-size": 0.36, fill: light ? "#000" : "#fff" },
      number(value),
    );
  });
}

/**
 * Read a picture of the reader's, in grey: it never leaves the page.
 * @param {File} file
 */
async function pixelsOf(file) {
  const image = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const side = Math.min(image.width, image.height);
  const [left, top] = [(image.width - side) / 2, (image.height - side) / 2];
  context.drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const values = Array.from({ length: SIDE * SIDE }, (_, k) => {
    const [red, green, blue] = data.slice(4 * k);
    return Math.round((0.299 * red + 0.587 * green + 0.114 * blue) / 2.55) / 100;
  });
  return toRows({ values, h: SIDE, w: SIDE });
}

export default { render };
