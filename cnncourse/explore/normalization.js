// @ts-check
// Chapter "Normalization": one spot of a batch is changed; which outputs move?

import { slide } from "./arithmetic.js";
import {
  change,
  choice,
  clamp,
  drag,
  draw,
  follow,
  frame,
  make,
  number,
  picture,
  signed,
  slider,
  toggle,
} from "./parts.js";

const [PIXELS, SIDE, CHANNELS, GROUPS] = [28, 13, 4, 2];
const PLACES = SIDE * SIDE;
const SPOT = [4, 9]; // rows and columns of a tile that are changed
const [EPS, MOMENTUM] = [1e-5, 0.1];
const KEYS = ["norm", "training", "n", "picture", "channel", "added", "seen"];
const ORDER = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];
/** @type {Record<string, string>} */
const WHOSE = {
  batch: "this channel",
  layer: "this picture",
  instance: "this tile",
  group: "this group",
};
const KERNELS = [
  [1, 1, 1, 1, 1, 1, 1, 1, 1].map((weight) => weight / 3),
  [1, 0, -1, 2, 0, -2, 1, 0, -1],
  [1, 2, 1, 0, 0, 0, -1, -2, -1],
  [0, 1, 0, 1, -4, 1, 0, 1, 0].map((weight) => weight / 2),
];

/**
 * Four channels of each of the first n garments, picture by picture: convolutions with a stride of 2.
 * @param {ArrayLike<number>} bytes
 * @param {number} n
 */
export function features(bytes, n) {
  const x = new Float64Array(n * CHANNELS * PLACES);
  for (let p = 0; p < n; p++) {
    const first = p * PIXELS * PIXELS;
    const values = Array.from({ length: PIXELS * PIXELS }, (_, k) => bytes[first + k] / 255);
    KERNELS.forEach((kernel, c) => {
      const dot = (/** @type {number[]} */ seen) =>
        seen.reduce((sum, value, k) => sum + value * kernel[k], 0);
      const map = slide({ values, h: PIXELS, w: PIXELS }, 3, 2, dot);
      x.set(map.values, (p * CHANNELS + c) * PLACES);
    });
  }
  return x;
}

/**
 * Add a number to the spot in the middle of one tile.
 * @param {ArrayLike<number>} x
 * @param {number} tile
 * @param {number} added
 */
export function spotted(x, tile, added) {
  const inside = (/** @type {number} */ k) => k >= SPOT[0] && k < SPOT[1];
  return Float64Array.from(x, (value, k) => {
    const place = k - tile * PLACES;
    const within = place >= 0 && place < PLACES && inside(Math.floor(place / SIDE)) &&
      inside(place % SIDE);
    return within ? value + added : value;
  });
}

/**
 * Number the mean that a tile uses: tiles of one number share it.
 * @param {string} norm
 * @param {number} tile
 */
export function meanOf(norm, tile) {
  const [p, c] = [Math.floor(tile / CHANNELS), tile % CHANNELS];
  /** @type {Record<string, number>} */
  const numbers = {
    batch: c,
    layer: p,
    instance: tile,
    group: p * GROUPS + Math.floor(c * GROUPS / CHANNELS),
  };
  return numbers[norm];
}

/** @typedef {{ mean: number, variance: number, count: number }} Statistics */

/**
 * Mean, variance and how many numbers they are taken over.
 * @param {ArrayLike<number>} values
 * @returns {Statistics}
 */
export function statistics(values) {
  const list = Array.from(values);
  const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
  const variance = list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / list.length;
  return { mean, variance, count: list.length };
}

/**
 * The numbers that share a mean with a tile.
 * @param {ArrayLike<number>} x
 * @param {string} norm
 * @param {number} tile
 */
export function sharing(x, norm, tile) {
  const wanted = meanOf(norm, tile);
  return Array.from(x).filter((_, k) => meanOf(norm, Math.floor(k / PLACES)) === wanted);
}

/**
 * Normalize each tile with the statistics of those that share its mean.
 * @param {ArrayLike<number>} x
 * @param {string} norm
 */
export function normalize(x, norm) {
  /** @type {Map<number, Statistics>} */
  const found = new Map();
  return scaled(x, (tile) => {
    const key = meanOf(norm, tile);
    if (!found.has(key)) found.set(key, statistics(sharing(x, norm, tile)));
    return /** @type {Statistics} */ (found.get(key));
  });
}

/**
 * What batch normalization remembers of each channel after some batches, all of them x.
 * @param {ArrayLike<number>} x
 * @param {number} batches
 */
export function running(x, batches) {
  const old = (1 - MOMENTUM) ** batches;
  return Array.from({ length: CHANNELS }, (_, c) => {
    const { mean, variance, count } = statistics(sharing(x, "batch", c));
    const unbiased = variance * count / (count - 1);
    return { mean: (1 - old) * mean, variance: old + (1 - old) * unbiased, count };
  });
}

/**
 * Batch normalization in evaluation: with what it remembers.
 * @param {ArrayLike<number>} x
 * @param {Statistics[]} remembered
 */
export function evaluated(x, remembered) {
  return scaled(x, (tile) => remembered[tile % CHANNELS]);
}

/**
 * @param {ArrayLike<number>} x
 * @param {(tile: number) => Statistics} statisticsOf
 */
function scaled(x, statisticsOf) {
  const y = new Float64Array(x.length);
  for (let tile = 0; tile < x.length / PLACES; tile++) {
    const { mean, variance } = statisticsOf(tile);
    const scale = 1 / Math.sqrt(variance + EPS);
    for (let k = tile * PLACES; k < (tile + 1) * PLACES; k++) y[k] = (x[k] - mean) * scale;
  }
  return y;
}

/**
 * How far the numbers of each tile have moved, on average.
 * @param {ArrayLike<number>} after
 * @param {ArrayLike<number>} before
 */
export function moves(after, before) {
  const sums = Array(after.length / PLACES).fill(0);
  for (let k = 0; k < after.length; k++) {
    sums[Math.floor(k / PLACES)] += Math.abs(after[k] - before[k]);
  }
  return sums.map((sum) => sum / PLACES);
}

const fixed = (/** @type {number} */ value) => number(Math.round(value * 100) / 100, 15);

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "Which outputs read which inputs",
    hint:
      "one spot of x is changed, and frames mark the outputs that change with it. Which still do if you switch training mode off?",
    keys: KEYS,
  });
  const [input, output] = [picture("Before: x"), picture("After: y")];
  const [before, after] = [distribution("x"), distribution("y")];
  const both = make("div", { class: "explorer-histograms" }, before.element, after.element);
  stage.append(input.element, output.element, both);

  const { buffer, byteOffset, byteLength } = model.get("garments");
  const all = features(new Uint8Array(buffer, byteOffset, byteLength), ORDER.length);
  /** @returns {Record<string, any>} */
  const now = () => {
    const state = Object.fromEntries(KEYS.map((key) => [key, model.get(key)]));
    const p = clamp(state.picture, 0, state.n - 1);
    const x = all.subarray(0, state.n * CHANNELS * PLACES);
    const remembers = state.norm === "batch" && !state.training;
    return { ...state, remembers, p, c: state.channel, tile: p * CHANNELS + state.channel, x };
  };
  const choose = (/** @type {number} */ p, /** @type {number} */ c) =>
    change(model, { picture: clamp(p, 0, now().n - 1), channel: clamp(c, 0, CHANNELS - 1) });
  for (const [name, { panel }] of Object.entries({ x: input, y: output })) {
    panel.tabIndex = 0;
    panel.removeAttribute("aria-hidden");
    panel.setAttribute("role", "application");
    panel.setAttribute("aria-label", `${name}: arrow keys choose what is changed`);
    drag(panel, {
      to: (across, down) => choose(Math.floor(down * now().n), Math.floor(across * CHANNELS)),
      by: (right, down) => choose(now().p + down, now().c + right),
    });
  }
  const memory = slider(model, "seen", "Batches seen in training");
  controls.append(
    choice(model, "norm", "Normalization"),
    toggle(model, "training", "training mode"),
    slider(model, "n", "Pictures in the batch"),
    slider(model, "added", "Added to the spot", { format: number }),
    memory,
  );

  const show = () => {
    const { norm, training, n, seen, added, remembers, p, c, tile, x } = now();
    const remembered = running(x, seen);
    const f = (/** @type {Float64Array} */ values) =>
      remembers ? evaluated(values, remembered) : normalize(values, norm);
    const changed = spotted(x, tile, added);
    const y = f(changed);
    const distances = moves(y, f(x));
    const moved = distances.flatMap((distance, k) => distance > 1e-6 ? [k] : []);
    const shared = distances.flatMap((_, k) => meanOf(norm, k) === meanOf(norm, tile) ? [k] : []);
    paintTiles(input, changed, n, 4);
    paintTiles(output, y, n, 3);
    input.marks.replaceChildren(
      ...frames(remembers ? [] : shared, "explorer-shared"),
      ...frames([tile]),
    );
    output.marks.replaceChildren(...frames(moved));
    const [old, used] = [sharing(changed, norm, tile), sharing(y, norm, tile)].map(statistics);
    before.show(WHOSE[norm], sharing(changed, norm, tile), old);
    after.show(WHOSE[norm], sharing(y, norm, tile), used);
    memory.querySelector("input").disabled = !remembers;
    const elsewhere = moved.filter((k) => Math.floor(k / CHANNELS) !== p).map((k) => distances[k]);
    const pictures = new Set(moved.map((k) => Math.floor(k / CHANNELS))).size;
    const others = elsewhere.length
      ? `In the other pictures they moved by ${fixed(statistics(elsewhere).mean)} on average.`
      : "No other picture moved.";
    const source = remembers
      ? `Running mean ${fixed(remembered[c].mean)}, running std ${
        fixed(Math.sqrt(remembered[c].variance))
      }.`
      : `${old.count} numbers share one mean${shared.length > 1 ? " (dashed frames)" : ""}.`;
    say(
      `${norm[0].toUpperCase()}${norm.slice(1)} normalization, ` +
        `${training ? "training" : "evaluation"}; changed: ${ORDER[p]} picture, ${
          ORDER[c]
        } channel. ` +
        `Moved: ${moved.length} of ${distances.length} tiles, in ${pictures} of ${n} ${
          n === 1 ? "picture" : "pictures"
        }. ` +
        `${others} ${source}`,
    );
  };
  return follow(model, KEYS, show);
}

/**
 * Draw tiles, a picture a row and a channel a column, with a line between them.
 * @param {ReturnType<typeof picture>} panel
 * @param {Float64Array} values
 * @param {number} n
 * @param {number} most
 */
function paintTiles({ paint }, values, n, most) {
  const [h, w] = [n * (SIDE + 1) - 1, CHANNELS * (SIDE + 1) - 1];
  const laid = Array.from({ length: h * w }, (_, k) => {
    const [i, j] = [Math.floor(k / w), k % w];
    const [row, column] = [i % (SIDE + 1), j % (SIDE + 1)];
    if (row === SIDE || column === SIDE) return NaN;
    const tile = Math.floor(i / (SIDE + 1)) * CHANNELS + Math.floor(j / (SIDE + 1));
    return values[tile * PLACES + row * SIDE + column];
  });
  const colour = signed(most);
  paint(laid, h, w, (value) => Number.isNaN(value) ? [90, 90, 90] : colour(value));
}

/**
 * A frame around each of some tiles.
 * @param {number[]} tiles
 * @param {string} [name] of the class, written out: a page drops rules that no script names
 */
function frames(tiles, name = "explorer-window") {
  return tiles.flatMap((tile) => {
    const [y, x] = [Math.floor(tile / CHANNELS), tile % CHANNELS].map((k) => k * (SIDE + 1));
    const place = { x: x + 0.5, y: y + 0.5, width: SIDE - 1, height: SIDE - 1 };
    return ["explorer-window-out", name].map((kind) => draw("rect", { ...place, class: kind }));
  });
}

/**
 * The share of values in each of `bins` equal parts; what lies outside counts at the ends.
 * @param {ArrayLike<number>} values
 * @param {number} most
 * @param {number} bins
 */
export function histogram(values, most, bins) {
  const shares = Array(bins).fill(0);
  for (const value of Array.from(values)) {
    const bin = Math.floor((value + most) / (2 * most) * bins);
    shares[clamp(bin, 0, bins - 1)] += 1 / values.length;
  }
  return shares;
}

/**
 * A histogram from -6 to 6, with mean and standard deviation in words.
 * @param {string} title
 */
function distribution(title) {
  const [most, bins] = [6, 24];
  const bars = draw("path", { class: "explorer-bars" });
  const axis = draw("path", { class: "explorer-axis", d: `M0 10H${bins}M${bins / 2} 10V0` });
  const svg = draw("svg", { viewBox: `0 0 ${bins} 10.1`, "aria-hidden": "true" }, bars, axis);
  const ends = [-most, 0, most].map((place) => make("span", {}, number(place)));
  const scale = make("div", { class: "explorer-scale", "aria-hidden": "true" }, ...ends);
  const words = make("div", {});
  const name = make("figcaption", {});
  const element = make("div", {}, name, svg, scale, words);
  /**
   * @param {string} whose
   * @param {number[]} values
   * @param {Statistics} statistics
   */
  function show(whose, values, { mean, variance }) {
    name.textContent = `${title} of ${whose}`;
    const shares = histogram(values, most, bins);
    const top = Math.max(...shares);
    const bar = (/** @type {number} */ share, /** @type {number} */ k) =>
      `M${k + 0.05} 10v${-9.5 * share / top}h0.9V10z`;
    bars.setAttribute("d", shares.map(bar).join(""));
    words.textContent = `mean ${fixed(mean)}, std ${fixed(Math.sqrt(variance))}`;
  }
  return { element, show };
}

export default { render };
