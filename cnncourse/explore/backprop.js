// @ts-check
// Chapter "The way back": which weight and which pixel receive which product.

import { toGrid } from "./arithmetic.js";
import {
  change,
  choice,
  clamp,
  draw,
  follow,
  frame,
  make,
  number,
  outline,
  picture,
  slider,
  surface,
} from "./parts.js";

/**
 * @typedef {import("./arithmetic.js").Grid} Grid
 * @typedef {{ stride: number, padding: number, dilation: number }} Layer
 * @typedef {{ i: number, j: number, a: number, b: number, u: number, v: number }} Turn
 * One turn of the inner loop: output (i, j), weight (a, b), pixel (u, v), less than zero in a frame.
 * @typedef {{ text: string, marked?: boolean, framed?: boolean, chosen?: boolean }} Cell
 */

const LAYER = ["stride", "padding", "dilation"];
const KEYS = [...LAYER, "target", "row", "column", "x", "kernel"];
// White; what belongs to the choice; the choice; a frame; what of a frame belongs to the choice.
const PAINTS = [[255, 255, 255], [255, 224, 178], [245, 172, 74], [226, 226, 226], [232, 206, 166]];

/**
 * How many windows fit along an axis.
 * @param {number} n
 * @param {number} k
 * @param {Layer} layer
 */
export function outSize(n, k, { stride, padding, dilation }) {
  return Math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1;
}

/**
 * Every product of a layer: which output, which weight, which pixel.
 * @param {Grid} x
 * @param {Grid} kernel
 * @param {Layer} layer
 */
export function turns(x, kernel, layer) {
  const { stride, padding, dilation } = layer;
  const [h, w] = [outSize(x.h, kernel.h, layer), outSize(x.w, kernel.w, layer)];
  /** @type {Turn[]} */
  const found = [];
  for (let k = 0; k < h * w * kernel.h * kernel.w; k++) {
    const [out, inside] = [Math.floor(k / kernel.values.length), k % kernel.values.length];
    const [i, j] = [Math.floor(out / w), out % w];
    const [a, b] = [Math.floor(inside / kernel.w), inside % kernel.w];
    const [u, v] = [i * stride + a * dilation - padding, j * stride + b * dilation - padding];
    found.push({ i, j, a, b, u, v });
  }
  return { h, w, found };
}

/**
 * The number at a place, zero outside of the grid.
 * @param {Grid} grid
 * @param {number} i
 * @param {number} j
 */
function value(grid, i, j) {
  return i < 0 || j < 0 || i >= grid.h || j >= grid.w ? 0 : grid.values[i * grid.w + j];
}

/**
 * @param {Grid} x
 * @param {Grid} kernel
 * @param {Layer} layer
 */
export function forward(x, kernel, layer) {
  const { h, w, found } = turns(x, kernel, layer);
  const values = new Float64Array(h * w);
  for (const { i, j, a, b, u, v } of found) {
    values[i * w + j] += value(x, u, v) * value(kernel, a, b);
  }
  return { values, h, w };
}

/**
 * Each product again: the gradient of its output goes to both factors.
 * @param {Grid} delta the gradient of the output
 * @param {Grid} x
 * @param {Grid} kernel
 * @param {Layer} layer
 */
export function backward(delta, x, kernel, layer) {
  const p = layer.padding;
  const [h, w] = [x.h + 2 * p, x.w + 2 * p];
  const framed = { values: new Float64Array(h * w), h, w };
  const weights = { ...kernel, values: new Float64Array(kernel.values.length) };
  for (const { i, j, a, b, u, v } of turns(x, kernel, layer).found) {
    framed.values[(u + p) * w + v + p] += value(delta, i, j) * value(kernel, a, b);
    weights.values[a * kernel.w + b] += value(delta, i, j) * value(x, u, v);
  }
  return { framed, weights };
}

/**
 * The gradients that the outputs are given: 1, 2, 3, 4, and again from 1.
 * @param {number} h
 * @param {number} w
 */
export function deltas(h, w) {
  return { values: Array.from({ length: h * w }, (_, k) => k % 4 + 1), h, w };
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "The way there and the way back",
    hint: "tap or point at one output after the other. Then find a pixel that receives nothing.",
    keys: KEYS,
  });
  // What each panel lets a reader choose.
  const kinds = ["a pixel", "a weight", "an output"];
  const there = ["x", "kernel", "y"].map(picture);
  const back = ["gradient of x", "of the kernel", "δ"].map(picture);
  const way = (
    /** @type {string} */ title,
    /** @type {ReturnType<typeof picture>[]} */ [large, ...small],
  ) => {
    const line = make("div", { class: "explorer-pair" }, ...small.map((one) => one.element));
    return make("div", { class: "explorer-way" }, make("b", {}, title), large.element, line);
  };
  stage.classList.add("explorer-ways");
  stage.append(way("The way there", there), way("The way back", back));

  const now = () => {
    const [x, kernel] = [toGrid(model.get("x")), toGrid(model.get("kernel"))];
    const [stride, padding, dilation] = LAYER.map((key) => model.get(key));
    const layer = { stride, padding, dilation };
    const { h, w, found } = turns(x, kernel, layer);
    const kind = model.get("target");
    const p = kind === "a pixel" ? padding : 0;
    const size = { "an output": { h, w }, "a pixel": x, "a weight": kernel }[
      /** @type {"an output" | "a pixel" | "a weight"} */ (kind)
    ];
    const row = clamp(model.get("row"), -p, size.h - 1 + p);
    const column = clamp(model.get("column"), -p, size.w - 1 + p);
    return { x, kernel, layer, h, w, found, kind, row, column };
  };

  [...there, ...back].forEach((panel, k) => {
    const kind = kinds[k % 3];
    const first = () => (kind === "a pixel" ? model.get("padding") : 0);
    surface(panel, {
      to(across, down) {
        const [w, h] = panel.marks.getAttribute("viewBox").split(" ").slice(2).map(Number);
        const row = clamp(Math.floor(down * h), 0, h - 1) - first();
        const column = clamp(Math.floor(across * w), 0, w - 1) - first();
        change(model, { target: kind, row, column });
      },
      by(right, down) {
        change(model, { target: kind });
        const { row, column } = now();
        change(model, { row: row + down, column: column + right });
        const kept = now();
        change(model, { row: kept.row, column: kept.column });
      },
    });
  });
  controls.append(
    choice(model, "target", "Point at"),
    ...LAYER.map((key) => slider(model, key, key)),
  );

  /**
   * @param {ReturnType<typeof picture>} panel
   * @param {number} h
   * @param {number} w
   * @param {number} unit cells along the width of a column
   * @param {(i: number, j: number) => Cell} cell
   */
  const fill = (panel, h, w, unit, cell) => {
    const cells = Array.from({ length: h * w }, (_, k) => cell(Math.floor(k / w), k % w));
    const paint = (/** @type {Cell} */ { chosen, marked, framed }) => {
      if (chosen) return 2;
      return (framed ? 3 : 0) + (marked ? 1 : 0);
    };
    panel.paint(cells.map(paint), h, w, (k) => PAINTS[k]);
    panel.element.style.width = `${100 * w / unit}%`;
    const texts = cells.map(({ text, marked, chosen }, k) =>
      draw("text", {
        x: k % w + 0.5,
        y: Math.floor(k / w) + 0.5,
        "text-anchor": "middle",
        "dominant-baseline": "central",
        "font-size": Math.min(0.46, 1.6 / text.length),
        "font-weight": marked || chosen ? 700 : 400,
        fill: marked || chosen ? "#000" : "#555",
      }, text)
    );
    const lines = Array.from({ length: h * w }, (_, k) =>
      draw("rect", {
        ...{ x: k % w, y: Math.floor(k / w), width: 1, height: 1 },
        class: "explorer-cell",
      }));
    const at = cells.findIndex(({ chosen }) => chosen);
    const mark = at < 0 ? [] : outline(Math.floor(at / w), at % w, 1, 1);
    panel.marks.replaceChildren(...lines, ...mark, ...texts);
  };

  const show = () => {
    const { x, kernel, layer, h, w, found, kind, row, column } = now();
    const p = layer.padding;
    const delta = deltas(h, w);
    const y = forward(x, kernel, layer);
    const { framed, weights } = backward(delta, x, kernel, layer);
    const isOutput = kind === "an output";
    const chosen = (/** @type {Turn} */ { i, j, a, b, u, v }) => {
      const [r, c] = isOutput ? [i, j] : kind === "a pixel" ? [u, v] : [a, b];
      return r === row && c === column;
    };
    const met = found.filter(chosen);
    const [outputs, inside, pixels] = [
      new Map(met.map((turn) => [`${turn.i},${turn.j}`, turn])),
      new Map(met.map((turn) => [`${turn.a},${turn.b}`, turn])),
      new Map(met.map((turn) => [`${turn.u},${turn.v}`, turn])),
    ];
    const d = (/** @type {Turn} */ { i, j }) => number(value(delta, i, j));
    const weight = (/** @type {Turn} */ { a, b }) => number(value(kernel, a, b));
    const pixel = (/** @type {Turn} */ { u, v }) => number(value(x, u, v));
    const isAt = (/** @type {string} */ what, /** @type {number} */ i, /** @type {number} */ j) =>
      kind === what && i === row && j === column;
    const unit = Math.max(x.w + 2 * p, kernel.w + w + 1);
    stage.style.gridTemplateColumns = `repeat(auto-fit, minmax(min(100%, ${unit * 1.3}rem), 1fr))`;

    /**
     * @param {(turn: Turn | undefined, u: number, v: number) => string} text
     * @param {boolean} [involved] whether the choice meets this panel at all
     */
    const pixelCell =
      (text, involved = true) => (/** @type {number} */ i, /** @type {number} */ j) => {
        const [u, v] = [i - p, j - p];
        const turn = pixels.get(`${u},${v}`);
        return {
          text: text(turn, u, v),
          marked: Boolean(turn && involved),
          chosen: isAt("a pixel", u, v),
          framed: u < 0 || v < 0 || u >= x.h || v >= x.w,
        };
      };
    /**
     * @param {(turn: Turn | undefined, a: number, b: number) => string} text
     * @param {boolean} [involved]
     */
    const weightCell =
      (text, involved = true) => (/** @type {number} */ a, /** @type {number} */ b) => {
        const turn = inside.get(`${a},${b}`);
        return {
          text: text(turn, a, b),
          marked: Boolean(turn && involved),
          chosen: isAt("a weight", a, b),
        };
      };
    /** @param {(turn: Turn | undefined, i: number, j: number) => string} text */
    const outputCell = (text) => (/** @type {number} */ i, /** @type {number} */ j) => {
      const turn = outputs.get(`${i},${j}`);
      return { text: text(turn, i, j), marked: Boolean(turn), chosen: isAt("an output", i, j) };
    };
    const [H, W] = [framed.h, framed.w];
    fill(there[0], H, W, unit, pixelCell((_, u, v) => number(value(x, u, v))));
    fill(there[1], kernel.h, kernel.w, unit, weightCell((_, a, b) => number(value(kernel, a, b))));
    fill(there[2], h, w, unit, outputCell((_, i, j) => number(value(y, i, j))));
    fill(
      back[0],
      H,
      W,
      unit,
      pixelCell((turn, u, v) => {
        if (isOutput) return turn ? `${d(turn)}·${weight(turn)}` : "";
        return number(value(framed, u + p, v + p));
      }, isOutput),
    );
    fill(
      back[1],
      kernel.h,
      kernel.w,
      unit,
      weightCell((turn, a, b) => {
        if (isOutput) return turn ? `${d(turn)}·${pixel(turn)}` : "";
        return number(value(weights, a, b));
      }, isOutput),
    );
    fill(
      back[2],
      h,
      w,
      unit,
      outputCell((turn, i, j) => {
        if (isOutput || !turn) return number(value(delta, i, j));
        return `${d(turn)}·${kind === "a pixel" ? weight(turn) : pixel(turn)}`;
      }),
    );
    back[0].name.textContent = isOutput ? "to x: δ · weight" : "gradient of x";
    back[1].name.textContent = isOutput ? "δ · pixel" : "of kernel";
    const other = kind === "a pixel" ? weight : pixel;
    const terms = met.slice(0, 9).map((turn) => `${d(turn)} × ${other(turn)}`).join(" + ");
    const rest = met.length > 9 ? ` + ${met.length - 9} more` : "";
    const place = `(${number(row)}, ${number(column)})`;
    const windows = met.length === 1 ? "1 window" : `${met.length} windows`;
    if (isOutput) {
      const turn = met.find(({ u, v }) => u >= 0 && v >= 0) ?? met[0];
      const mine = d(turn);
      const [to, from] = [`pixel (${turn.u}, ${turn.v})`, `weight (${turn.a}, ${turn.b})`];
      say(
        `Output ${place} has δ = ${mine}. Each pixel of its window receives ${mine} times its weight, and each weight ${mine} times its pixel: ${to} receives ${mine} × ${
          weight(turn)
        }, ${from} ${mine} × ${pixel(turn)}.`,
      );
    } else if (kind === "a weight") {
      const sum = number(value(weights, row, column));
      say(`Weight ${place} is used in ${windows}: ${terms}${rest} = ${sum}.`);
    } else {
      const sum = number(value(framed, row + p, column + p));
      const inFrame = row < 0 || column < 0 || row >= x.h || column >= x.w;
      const name = inFrame ? `Pixel ${place} of the frame` : `Pixel ${place}`;
      say(
        met.length
          ? `${name} lies in ${windows}: ${terms}${rest} = ${sum}${
            inFrame ? ", and is cut off" : ""
          }.`
          : `${name} lies in no window: its gradient is 0.`,
      );
    }
  };
  return follow(model, KEYS, show);
}

export default { render };
