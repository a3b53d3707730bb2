// @ts-check
// What LeNet under X-ray computes beside the network itself. Nothing here draws.

import { clamp } from "./parts.js";

/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./operators.js").Tensor} Tensor */

export const SIDE = 28; // pixels of a picture
const GAP = 1; // pixels between the maps of a layer
const BAR = 6; // pixels: the height at which the numbers of a dense layer are drawn
const COLUMNS = 12; // numbers of a dense layer in a row, where it is drawn large
/** @type {Record<string, string>} */
const TYPES = { sigmoid: "Sigmoid", tanh: "Tanh", ReLU: "ReLU" };

// The picture.

/** Pixels drawn at random, always the same ones: a congruential generator of 32 bits. */
export function randomPixels() {
  let state = 1;
  return Float32Array.from({ length: SIDE * SIDE }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

/**
 * Move a picture, with black behind it, and mix it with random pixels.
 * @param {ArrayLike<number>} values
 * @param {number} right
 * @param {number} down
 * @param {number} noise the part of random pixels, 0 to 1
 * @returns {Tensor}
 */
export function moved(values, right, down, noise) {
  const random = randomPixels();
  const inside = (/** @type {number} */ k) => k >= 0 && k < SIDE;
  const pixels = random.map((pixel, k) => {
    const [i, j] = [Math.floor(k / SIDE) - down, (k % SIDE) - right];
    const value = inside(i) && inside(j) ? values[i * SIDE + j] : 0;
    return (1 - noise) * value + noise * pixel;
  });
  return { shape: [1, SIDE, SIDE], values: pixels };
}

/**
 * Draw a soft line of the width of MNIST's digits.
 * @param {ArrayLike<number>} values
 * @param {number[]} from row and column
 * @param {number[]} to
 */
export function withLine(values, [i0, j0], [i1, j1]) {
  const square = (i1 - i0) ** 2 + (j1 - j0) ** 2;
  return Array.from(values, (value, k) => {
    const [i, j] = [Math.floor(k / SIDE) + 0.5 - i0, (k % SIDE) + 0.5 - j0];
    const along = square ? clamp((i * (i1 - i0) + j * (j1 - j0)) / square, 0, 1) : 0;
    const distance = Math.hypot(i - along * (i1 - i0), j - along * (j1 - j0));
    return Math.max(value, Math.round(10 * clamp(2 - distance, 0, 1)) / 10);
  });
}

// The network.

/**
 * A network before its training, with another activation, and its weights times a number.
 * @param {Network} network
 * @param {string} activation
 * @param {number} scale
 * @returns {Network}
 */
export function altered(network, activation, scale) {
  const layers = network.layers.map((layer) =>
    layer.name.startsWith("act") ? { ...layer, type: TYPES[activation] ?? layer.type } : layer
  );
  /** @param {[string, Tensor]} entry @returns {[string, Tensor]} */
  const scaled = ([name, { shape, values }]) => [
    name,
    { shape, values: name.endsWith(".weight") ? values.map((value) => scale * value) : values },
  ];
  const weights = Object.fromEntries(Object.entries(network.weights).map(scaled));
  return { ...network, layers, weights };
}

/**
 * The pixels that a unit of a layer sees: the first row and column, and how many.
 * @param {Network} network
 * @param {number} k the layer
 * @param {number} i
 * @param {number} j
 */
export function field({ layers }, k, i, j) {
  let [start, size, jump] = [0, 1, 1];
  for (const layer of layers.slice(0, k + 1)) {
    if (layer.type === "Flatten") return { top: 0, left: 0, size: SIDE };
    if (!layer.kernel_size) continue;
    start -= jump * layer.padding[0];
    size += jump * (layer.kernel_size[0] - 1);
    jump *= layer.stride[0];
  }
  return { top: start + jump * i, left: start + jump * j, size };
}

/**
 * One map, and the place of its largest number, which a flat map of equal numbers lacks; or all
 * numbers of a dense layer in rows, and the place of the chosen one.
 * @param {Tensor} output
 * @param {number} channel
 */
export function enlarged({ shape: [c, h, w], values }, channel) {
  if (!h) {
    const rows = Math.ceil(c / COLUMNS);
    const map = Float32Array.from({ length: rows * COLUMNS }, (_, k) => values[k] ?? NaN);
    const value = values[channel];
    return { map, h: rows, w: COLUMNS, ...placeOf(channel, COLUMNS), value, isFlat: false };
  }
  const map = values.slice(channel * h * w, (channel + 1) * h * w);
  const value = Math.max(...map);
  return {
    map,
    h,
    w,
    ...placeOf(map.indexOf(value), w),
    value,
    isFlat: value === Math.min(...map),
  };
}

/**
 * @param {number} k
 * @param {number} w
 */
function placeOf(k, w) {
  return { i: Math.floor(k / w), j: k % w };
}

/**
 * The maps of a layer side by side, or the numbers of a dense layer as a bar.
 * @param {Tensor} output
 */
export function strip({ shape: [c, h = 0, w = 1], values }) {
  const [height, step] = h ? [h, w + GAP] : [BAR, 1];
  const width = h ? c * step - GAP : c;
  const pixels = Array.from({ length: height * width }, (_, k) => {
    const [i, j] = [h ? Math.floor(k / width) : 0, k % width];
    const [channel, column] = [Math.floor(j / step), j % step];
    return column < w ? values[(channel * (h || 1) + i) * w + column] : NaN;
  });
  return { pixels, height, width, step };
}
