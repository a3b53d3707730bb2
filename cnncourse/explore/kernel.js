// @ts-check
// Chapter "Cross-correlation": a kernel that the reader shapes, over a picture that the reader makes.

import { corr2d, flip, toGrid, toRows } from "./arithmetic.js";
import {
  button,
  change,
  choice,
  clamp,
  drag,
  follow,
  frame,
  grey,
  ink,
  make,
  number,
  outline,
  picture,
  signed,
  surface,
  toggle,
  written,
} from "./parts.js";

/** @typedef {import("./parts.js").Model} Model */

const [SIDE, SHEET] = [28, 12]; // of a picture that a reader opens, and of an empty one to draw on
const KEYS = ["kernel", "picture", "drawn", "turned", "row", "column"];

/** @type {Record<string, number[][]>} */
const KERNELS = {
  "vertical edges": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
  "horizontal edges": [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
  "mean": Array(3).fill(Array(3).fill(1 / 9)),
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
 * Cut a kernel around its middle, or put zeros around it.
 * @param {number[][]} kernel
 * @param {number} h
 * @param {number} [w]
 */
export function resized(kernel, h, w = h) {
  const down = Math.floor((h - kernel.length) / 2);
  const right = Math.floor((w - kernel[0].length) / 2);
  return Array.from(
    { length: h },
    (_, a) => Array.from({ length: w }, (_, b) => kernel[a - down]?.[b - right] ?? 0),
  );
}

/**
 * The first garment of the file, as numbers from zero to one.
 * @param {DataView} bytes
 */
export function garment(bytes) {
  const values = Array.from({ length: SIDE * SIDE }, (_, k) => bytes.getUint8(k) / 255);
  return toRows({ values, h: SIDE, w: SIDE });
}

/**
 * What to try first with a picture: one with a single white pixel, one in a frame of zeros, another.
 * @param {number[][]} rows
 */
export function hint(rows) {
  if (rows.flat().filter((value) => value !== 0).length === 1) {
    return "step the window over the picture. Which weight meets the white pixel first, which last?";
  }
  const edges = [rows[0], rows.at(-1), rows.map((row) => row[0]), rows.map((row) => row.at(-1))];
  return edges.flat().some(Boolean)
    ? "move the window over the picture. Then change a weight: where in the map does it show?"
    : "move the window from the corner to the middle. Where does it leave the frame of zeros?";
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "A kernel over a picture",
    hint: hint(model.get("given")),
    keys: KEYS,
  });
  const [seen, map, shares] = ["Picture", "Map", "Products"].map(picture);
  const weights = make("div", { class: "explorer-weights", role: "group", "aria-label": "Kernel" });
  const name = make("figcaption", {}, "Kernel");
  const middle = make("div", { class: "explorer-picture" }, name, weights);
  stage.classList.add("explorer-four");
  stage.append(seen.element, middle, shares.element, map.element);

  /** @type {Record<string, () => number[][]>} */
  const pictures = {
    "given": () => model.get("given"),
    "one white pixel": () => square(9, 1),
    "a white square": () => square(16, 8),
    "a garment": () => garment(model.get("garments")),
    "yours": () => model.get("drawn"),
  };
  const now = () => {
    const x = toGrid(pictures[model.get("picture")]());
    const rows = model.get("kernel");
    // A picture may be smaller than the kernel that was made for another.
    const kernel = toGrid(
      resized(rows, Math.min(x.h, rows.length), Math.min(x.w, rows[0].length)),
    );
    const used = model.get("turned") ? flip(kernel) : kernel;
    const y = corr2d(x, used);
    const place = pointed?.instead === stored() ? pointed : null;
    const row = clamp(place?.row ?? model.get("row"), 0, y.h - 1);
    const column = clamp(place?.column ?? model.get("column"), 0, y.w - 1);
    return { x, kernel, used, y, row, column };
  };

  // A mouse that only points shows another window; what is done next, by hand or key, keeps it.
  const stored = () => `${model.get("row")} ${model.get("column")}`;
  /** @type {{ row: number, column: number, instead: string } | null} */
  let pointed = null;
  const keep = () => {
    if (pointed?.instead === stored()) change(model, { row: pointed.row, column: pointed.column });
    pointed = null;
  };
  for (const event of ["pointerdown", "keydown"]) {
    stage.parentElement.addEventListener(event, keep, true);
  }

  const drawing = () => model.get("picture") === "yours";
  let pen = { row: 0, column: 0, value: 1 }; // where the keyboard draws, and what a stroke puts down
  const moveTo = (/** @type {number} */ i, /** @type {number} */ j, event = new Event("")) => {
    const { y } = now();
    const place = { row: clamp(i, 0, y.h - 1), column: clamp(j, 0, y.w - 1) };
    const points = event instanceof PointerEvent && !event.buttons;
    if (!points) return change(model, place);
    pointed = { ...place, instead: stored() };
    show();
  };
  const middleAt = (/** @type {number} */ i, /** @type {number} */ j, event = new Event("")) => {
    const { kernel } = now();
    moveTo(i - (kernel.h >> 1), j - (kernel.w >> 1), event);
  };
  const put = (/** @type {number} */ value) => {
    const rows = toRows(now().x);
    rows[pen.row][pen.column] = value;
    change(model, { drawn: rows });
  };
  const stroke = (
    /** @type {number} */ i,
    /** @type {number} */ j,
    /** @type {PointerEvent} */ event,
  ) => {
    const { x } = now();
    [i, j] = [clamp(i, 0, x.h - 1), clamp(j, 0, x.w - 1)];
    const starts = event.type === "pointerdown";
    pen = { row: i, column: j, value: starts ? 1 - Math.round(x.values[i * x.w + j]) : pen.value };
    if (event.buttons) put(pen.value);
  };
  const stepPen = (/** @type {number} */ right, /** @type {number} */ down) => {
    const { x } = now();
    pen.row = clamp(pen.row + down, 0, x.h - 1);
    pen.column = clamp(pen.column + right, 0, x.w - 1);
    middleAt(pen.row, pen.column);
    show();
  };
  const step = (/** @type {number} */ right, /** @type {number} */ down) =>
    moveTo(now().row + down, now().column + right);
  surface(seen, {
    to(across, down, event) {
      const { x } = now();
      const [i, j] = [Math.floor(down * x.h), Math.floor(across * x.w)];
      if (drawing()) stroke(i, j, event);
      middleAt(i, j, event);
    },
    by: (right, down) => (drawing() ? stepPen : step)(right, down),
  });
  surface(map, {
    to(across, down, event) {
      const { y } = now();
      moveTo(Math.floor(down * y.h), Math.floor(across * y.w), event);
    },
    by: step,
  });
  seen.panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (!drawing() || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    const { x } = now();
    put(1 - Math.round(x.values[pen.row * x.w + pen.column]));
  });

  const setWeight = (/** @type {number} */ k, /** @type {number} */ value) => {
    const { kernel } = now();
    const [low, high] = model.get("limits").kernel;
    const values = Array.from(kernel.values);
    values[k] = clamp(Math.round(value * 10) / 10, low, high);
    change(model, { kernel: toRows({ ...kernel, values }) });
  };
  const weightCell = (/** @type {number} */ k) => {
    const [low, high] = model.get("limits").kernel;
    const role = { role: "slider", tabindex: 0, "aria-valuemin": low, "aria-valuemax": high };
    const cell = make("div", { class: "explorer-weight", ...role });
    let from = { y: 0, value: 0 };
    drag(cell, {
      slides: true,
      to(_x, _y, event) {
        const value = now().kernel.values[k];
        if (event.type === "pointerdown") from = { y: event.clientY, value };
        else setWeight(k, from.value + Math.round((from.y - event.clientY) / 6) / 2);
      },
      by: (right, down) => setWeight(k, now().kernel.values[k] + (right - down) / 2),
    });
    return cell;
  };
  const showWeights = (/** @type {import("./arithmetic.js").Grid} */ kernel) => {
    while (weights.children.length > kernel.values.length) weights.lastChild.remove();
    for (let k = weights.children.length; k < kernel.values.length; k++) {
      weights.append(weightCell(k));
    }
    weights.style.gridTemplateColumns = `repeat(${kernel.w}, 1fr)`;
    const colour = signed(Math.max(1, ...Array.from(kernel.values, Math.abs)));
    Array.from(kernel.values).forEach((value, k) => {
      const cell = weights.children[k];
      cell.textContent = number(value);
      cell.style.background = `rgb(${colour(value)})`;
      cell.style.color = ink(colour(value));
      cell.setAttribute("aria-valuenow", value);
      cell.setAttribute("aria-valuetext", number(value));
      const place = `row ${Math.floor(k / kernel.w)}, column ${k % kernel.w}`;
      cell.setAttribute("aria-label", `Weight, ${place}`);
    });
  };

  const presets = make(
    "select",
    {
      change: () => {
        if (presets.value) change(model, { kernel: KERNELS[presets.value] });
        presets.value = "";
      },
    },
    make("option", { value: "" }, "choose…"),
    ...Object.keys(KERNELS).map((key) => make("option", {}, key)),
  );
  const larger = () => model.get("kernel").length < 5;
  const size = button("", () => {
    change(model, { kernel: resized(model.get("kernel"), larger() ? 5 : 3) });
  });
  const file = make("input", {
    type: "file",
    accept: "image/*",
    change: async () => {
      if (!file.files.length) return; // the reader chose none after all
      try {
        change(model, { drawn: await pixelsOf(file.files[0]) });
      } catch {
        say("This file is not a picture that the browser can read.");
      }
    },
  });
  const own = make(
    "div",
    { class: "explorer-own" },
    make("span", {}, "Draw on it: press, or arrow keys and space."),
    button("Empty", () => change(model, { drawn: square(SHEET, 0) })),
    make("label", {}, "Or open a file; it stays in this browser:", file),
  );
  controls.append(
    choice(model, "picture", "Picture", { given: "that of the book", yours: "draw or open one…" }),
    make("label", {}, make("span", {}, "Kernels"), presets),
    toggle(model, "turned", "turn the kernel by 180° (a convolution)"),
    size,
    own,
  );

  const show = () => {
    const { x, kernel, used, y, row, column } = now();
    const [low, high] = [Math.min(0, ...Array.from(x.values)), Math.max(...Array.from(x.values))];
    const black = grey(low, high || 1);
    const answer = signed(Math.max(...Array.from(y.values, Math.abs)));
    const { pairs, sum } = products(x, used, row, column);
    const terms = { values: pairs.map(([pixel, weight]) => pixel * weight), h: used.h, w: used.w };
    const share = signed(Math.max(...terms.values.map(Math.abs)));
    seen.paint(x.values, x.h, x.w, black);
    map.paint(y.values, y.h, y.w, answer);
    shares.paint(terms.values, terms.h, terms.w, share);
    [pen.row, pen.column] = [clamp(pen.row, 0, x.h - 1), clamp(pen.column, 0, x.w - 1)];
    const keys = drawing() ? "move the pen, space draws" : "move the window";
    seen.panel.setAttribute("aria-label", `Picture: arrow keys ${keys}`);
    const at = drawing() ? outline(pen.row, pen.column, 1, 1, "explorer-pen") : [];
    const window = outline(row, column, kernel.h, kernel.w);
    seen.marks.replaceChildren(...written(x, black), ...window, ...at);
    map.marks.replaceChildren(...written(y, answer), ...outline(row, column, 1, 1));
    shares.marks.replaceChildren(...written(terms, share));
    shares.name.textContent = `Products, in all ${number(sum)}`;
    name.textContent = model.get("turned") ? "Kernel, laid down turned" : "Kernel";
    size.textContent = larger() ? "5 × 5 weights" : "3 × 3 weights";
    size.disabled = larger() && Math.min(x.h, x.w) < 5;
    own.hidden = !drawing();
    showWeights(kernel);
    const met = pairs.filter(([pixel, weight]) => pixel && weight);
    const sums = met.slice(0, 9).map(([pixel, weight]) => `${number(pixel)} × ${number(weight)}`);
    const rest = met.length > 9 ? ` + ${met.length - 9} more` : "";
    const under = x.values[pen.row * x.w + pen.column];
    const shade = { 0: "black", 1: "white" }[under] ?? `grey, ${number(under)}`;
    const penAt = `Pen at row ${pen.row}, column ${pen.column}, ${shade}. `;
    say(
      `${drawing() ? penAt : ""}Row ${row}, column ${column}: ${
        sums.join(" + ") || "only zeros"
      }${rest} = ${number(sum)}.`,
    );
  };
  return follow(model, KEYS, show);
}

/**
 * Read a picture of the reader's, in grey: it stays in this browser.
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
