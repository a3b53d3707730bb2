// @ts-check
// Chapter "Pooling": a pattern that the reader moves under windows that stay.

import { slide, toGrid } from "./arithmetic.js";
import {
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
  slider,
} from "./parts.js";

/** @typedef {import("./arithmetic.js").Grid} Grid */

const SIDE = 32; // of the patterns
const SMALLEST = 12; // side that three layers can halve
const KEYS = ["x", "picture", "right", "down", "layers"];

/** @type {Record<string, (i: number, j: number) => number>} */
const PATTERNS = {
  "fine stripes": (_, j) => (1 + Math.cos(2 * Math.PI * 7 / 16 * j)) / 2,
  "checkerboard": (i, j) => (i + j + 1) % 2,
  "one bright pixel": (i, j) => Number(i === SIDE / 2 && j === SIDE / 2),
  "rings": (i, j) => {
    const middle = (SIDE - 1) / 2;
    return (1 + Math.cos(Math.PI * ((i - middle) ** 2 + (j - middle) ** 2) / SIDE)) / 2;
  },
};

/**
 * @param {string} name of one of the patterns
 * @returns {Grid}
 */
export function pattern(name) {
  const values = Array.from(
    { length: SIDE * SIDE },
    (_, k) => PATTERNS[name](Math.floor(k / SIDE), k % SIDE),
  );
  return { values, h: SIDE, w: SIDE };
}

/**
 * Continue a picture by one pixel on each side, mirrored at its border.
 * @param {Grid} x
 */
function reflected(x) {
  const [h, w] = [x.h + 2, x.w + 2];
  const back = (/** @type {number} */ k, /** @type {number} */ side) =>
    side - 1 - Math.abs(side - 1 - Math.abs(k - 1));
  const values = Array.from(
    { length: h * w },
    (_, k) => x.values[back(Math.floor(k / w), x.h) * x.w + back(k % w, x.w)],
  );
  return { values, h, w };
}

const BLUR = [1, 2, 1, 2, 4, 2, 1, 2, 1].map((weight) => weight / 16);
const largest = (/** @type {number[]} */ seen) => Math.max(...seen);
const mean = (/** @type {number[]} */ seen) => seen.reduce((sum, v) => sum + v, 0) / seen.length;
const weighted = (/** @type {number[]} */ seen) => seen.reduce((sum, v, k) => sum + v * BLUR[k], 0);
const blurred = (/** @type {Grid} */ x) => slide(reflected(x), 3, 2, weighted);

/** @type {Record<string, (x: Grid) => Grid>} each halves height and width */
const WAYS = {
  "every second pixel": (x) => slide(x, 1, 2, mean),
  "largest": (x) => slide(x, 2, 2, largest),
  "mean": (x) => slide(x, 2, 2, mean),
  "blurred": blurred,
  "largest, blurred": (x) => blurred(slide(x, 2, 1, largest)),
};

/**
 * Halve a picture as often as there are layers.
 * @param {Grid} x
 * @param {string} way
 * @param {number} layers
 */
export function pooled(x, way, layers) {
  let y = x;
  for (let layer = 0; layer < layers; layer++) y = WAYS[way](y);
  return y;
}

/**
 * Move a picture; what leaves on one side comes in on the other.
 * @param {Grid} x
 * @param {number} down
 * @param {number} right
 * @returns {Grid}
 */
export function moved(x, down, right) {
  const from = (/** @type {number} */ k, /** @type {number} */ side) => (k % side + side) % side;
  const values = Array.from({ length: x.h * x.w }, (_, k) => {
    const [i, j] = [from(Math.floor(k / x.w) - down, x.h), from(k % x.w - right, x.w)];
    return x.values[i * x.w + j];
  });
  return { ...x, values };
}

/**
 * ||after - before|| / ||before||: 0 of 0 is 0, and more than 0 infinite.
 * @param {Grid} after
 * @param {Grid} before
 */
export function changeOf(after, before) {
  const norm = (/** @type {number[]} */ values) => Math.hypot(...values);
  const [old, now] = [Array.from(before.values), Array.from(after.values)];
  const error = norm(now.map((value, k) => value - old[k]));
  return error === 0 ? 0 : error / norm(old);
}

/**
 * The standard deviation of a map, as a share of that of the picture.
 * @param {Grid} y
 * @param {Grid} x
 */
export function contrast(y, x) {
  const spread = (/** @type {Grid} */ { values }) => {
    const list = Array.from(values);
    const middle = mean(list);
    return Math.sqrt(mean(list.map((value) => (value - middle) ** 2)));
  };
  return spread(y) / (spread(x) || 1);
}

/**
 * How far the map of the moved picture is from the map moved: the largest difference of a pixel.
 * `margin` leaves out the strip that came in, and this many pixels at each border, where a blur sees
 * the mirror; with nothing left to compare, the distance is infinite.
 * @param {Grid} x
 * @param {string} way
 * @param {{ layers: number, down: number, right: number, margin: number }} state
 */
export function distanceFromMoved(x, way, { layers, down, right, margin }) {
  const [dy, dx] = [down, right].map((pixels) => pixels / 2 ** layers);
  if (!Number.isInteger(dy) || !Number.isInteger(dx)) return Infinity;
  const after = pooled(moved(x, down, right), way, layers);
  const expected = moved(pooled(x, way, layers), dy, dx);
  const inside = (
    /** @type {number} */ k,
    /** @type {number} */ side,
    /** @type {number} */ step,
  ) => !margin || (k >= margin + Math.max(step, 0) && k < side - margin + Math.min(step, 0));
  const differences = Array.from(after.values, (value, k) => {
    const [i, j] = [Math.floor(k / after.w), k % after.w];
    const counts = inside(i, after.h, dy) && inside(j, after.w, dx);
    return counts ? Math.abs(value - expected.values[k]) : -1;
  }).filter((difference) => difference >= 0);
  return differences.length ? Math.max(...differences) : Infinity;
}

const two = (/** @type {number} */ value) => value === Infinity ? "from nothing" : value.toFixed(2);

/**
 * Say a move in words.
 * @param {number} right
 * @param {number} down
 */
export function moveInWords(right, down) {
  const parts = [
    [right, right < 0 ? "to the left" : "to the right"],
    [down, down < 0 ? "up" : "down"],
  ].filter(([pixels]) => pixels).map(([pixels, where]) => `${Math.abs(Number(pixels))} ${where}`);
  return parts.length ? `Moved ${parts.join(" and ")}.` : "Not moved.";
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "A pattern under windows",
    hint: "drag the stripes one pixel to the right. How far do the wide, false stripes jump?",
    keys: KEYS,
  });
  const withFacts = (/** @type {string} */ title) => {
    const facts = make("div", { class: "explorer-facts" });
    const panel = picture(title);
    panel.element.append(facts);
    return { facts, ...panel };
  };
  const seen = withFacts("Picture: drag it");
  const panels = Object.keys(WAYS).map((way) => ({ way, ...withFacts(way) }));
  const legend = make(
    "p",
    { class: "explorer-legend" },
    "Change: the distance to the map before the move, as a share of its norm. ",
    "Contrast: the spread of its numbers, as a share of that of the picture.",
  );
  stage.append(
    seen.element,
    make("div", { class: "explorer-maps" }, ...panels.map(({ element }) => element), legend),
  );

  const now = () => {
    const [right, down, layers] = ["right", "down", "layers"].map((key) => model.get(key));
    const given = toGrid(model.get("x"));
    // A link can hold a smaller one than Python would.
    const fits = Math.min(given.h, given.w) >= SMALLEST;
    const name = model.get("picture");
    const x = name in PATTERNS ? pattern(name) : fits ? given : pattern("fine stripes");
    return { x, right, down, layers };
  };

  const moveTo = (/** @type {number} */ right, /** @type {number} */ down) => {
    const [low, high] = model.get("limits").right;
    change(model, { right: clamp(right, low, high), down: clamp(down, low, high) });
  };
  let from = { across: 0, along: 0, right: 0, down: 0 };
  const surface = seen.panel;
  surface.tabIndex = 0;
  surface.removeAttribute("aria-hidden");
  surface.setAttribute("role", "application");
  surface.setAttribute("aria-label", "Picture: arrow keys move it");
  drag(surface, {
    to(across, along, event) {
      const { x, right, down } = now();
      if (event.type === "pointerdown") from = { across, along, right, down };
      const pixels = [(across - from.across) * x.w, (along - from.along) * x.h].map(Math.round);
      moveTo(from.right + pixels[0], from.down + pixels[1]);
    },
    by: (right, down) => moveTo(now().right + right, now().down + down),
  });
  controls.append(
    choice(model, "picture", "Picture", { given: "a feature map" }),
    slider(model, "right", "To the right", { format: number }),
    slider(model, "down", "Down", { format: number }),
    slider(model, "layers", "Pooling layers"),
  );

  const show = () => {
    const { x, right, down, layers } = now();
    const list = Array.from(x.values);
    const colour = grey(Math.min(...list), Math.max(...list));
    const after = moved(x, down, right);
    seen.paint(after.values, x.h, x.w, colour);
    seen.marks.replaceChildren(...corners(x, 2 ** layers));
    seen.facts.replaceChildren(...factLines(changeOf(after, x)));
    const facts = panels.map(({ way, paint, facts }) => {
      const [y, before] = [pooled(after, way, layers), pooled(x, way, layers)];
      paint(y.values, y.h, y.w, colour);
      const [everywhere, inside] = [0, layers].map((margin) =>
        distanceFromMoved(x, way, { layers, down, right, margin }) < 1e-9
      );
      const along = (right || down) && (everywhere || inside);
      const fact = {
        way,
        change: changeOf(y, before),
        contrast: contrast(y, x),
        along,
        everywhere,
      };
      const lines = [`contrast ${two(fact.contrast)}`, along ? "moved along" : ""];
      facts.replaceChildren(
        ...factLines(fact.change),
        ...lines.map((line) => make("div", {}, line)),
      );
      return fact;
    });
    const all = (/** @type {"change" | "contrast"} */ what) =>
      facts.map((fact) => `${fact.way} ${two(fact[what])}`).join("; ");
    const kept = facts.filter(({ along }) => along);
    const which = kept.length === facts.length ? "all maps" : kept.map(({ way }) => way).join("; ");
    const where = kept.every(({ everywhere }) => everywhere) ? "" : " away from the border";
    const along = kept.length ? ` Moved along exactly${where}: ${which}.` : "";
    const share = right || down ? `Change: ${all("change")}.${along}` : "";
    say(`${moveInWords(right, down)} ${share || `Contrast left: ${all("contrast")}.`}`);
  };
  return follow(model, KEYS, show);
}

/**
 * The corners of windows, which stay where they are.
 * @param {Grid} x
 * @param {number} stride
 */
function corners(x, stride) {
  /** @type {string[]} */
  const points = [];
  for (let i = 0; i <= x.h; i += stride) {
    for (let j = 0; j <= x.w; j += stride) points.push(`M${j} ${i}h0`);
  }
  return ["explorer-corners-out", "explorer-corners"].map((name) =>
    draw("path", { d: points.join(""), class: name })
  );
}

/**
 * A change as a number and as a bar; two maps of one norm with nothing in common fill it.
 * @param {number} change
 */
function factLines(change) {
  const width = `${100 * clamp(change / Math.SQRT2, 0, 1)}%`;
  const bar = make("div", { class: "explorer-bar" }, make("span", { style: `width: ${width}` }));
  return [make("div", {}, `change ${two(change)}`), bar];
}

export default { render };
