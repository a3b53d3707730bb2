// @ts-check
// Chapter "Cross-correlation": a hidden kernel of two weights, the error over both, and a descent.

import { corr2d, toGrid } from "./arithmetic.js";
import {
  button,
  change,
  choice,
  clamp,
  draw,
  follow,
  frame,
  grey,
  make,
  number,
  outline,
  picture,
  signed,
  slider,
  surface,
  written,
} from "./parts.js";

/**
 * @typedef {import("./arithmetic.js").Grid} Grid
 * @typedef {[number, number]} Weights
 * @typedef {{ aa: number, ab: number, bb: number, hidden: Weights }} Landscape
 */

const KEYS = ["data", "shape", "first", "second", "rate", "steps", "revealed", "hidden", "noise"];
const [GARMENT, SNEAKER, T_SHIRT] = [28, 7, 0]; // their side, and their places in the file
const [FINE, MOST] = [128, 3]; // pixels of the drawn error, and the largest weight on it
const LARGEST = 10_000; // error at which a descent that leads upwards ends
const BANDS = [0.001, 0.02, 0.1, 0.3, 0.7, 1.5, 3, 6, 12, 24];

/** @param {Grid} kernel */
const isUpright = (kernel) => kernel.h === 2;

/**
 * The mean squared error of a kernel of two weights, as a function of how far each is off: the mean
 * of the squares of both pixels under the kernel, and of their product, say all of it.
 * @param {Grid} x
 * @param {Grid} kernel the hidden one
 * @returns {Landscape}
 */
export function landscape(x, kernel) {
  const tall = isUpright(kernel);
  const [h, w] = tall ? [x.h - 1, x.w] : [x.h, x.w - 1];
  const found = { aa: 0, ab: 0, bb: 0 };
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const a = x.values[i * x.w + j];
      const b = x.values[tall ? (i + 1) * x.w + j : i * x.w + j + 1];
      found.aa += a * a / (h * w);
      found.ab += a * b / (h * w);
      found.bb += b * b / (h * w);
    }
  }
  return { ...found, hidden: [kernel.values[0], kernel.values[1]] };
}

/**
 * @param {Landscape} over
 * @param {Weights} weights
 */
export function error({ aa, ab, bb, hidden }, [a, b]) {
  const [u, v] = [a - hidden[0], b - hidden[1]];
  return Math.max(0, aa * u * u + 2 * ab * u * v + bb * v * v);
}

/**
 * @param {Landscape} over
 * @param {Weights} weights
 * @returns {Weights}
 */
export function gradient({ aa, ab, bb, hidden }, [a, b]) {
  const [u, v] = [a - hidden[0], b - hidden[1]];
  return [2 * (aa * u + ab * v), 2 * (ab * u + bb * v)];
}

/**
 * Step down the gradient: the start, and where each step leads.
 * @param {Landscape} over
 * @param {Weights} start
 * @param {number} rate
 * @param {number} steps
 */
export function descend(over, start, rate, steps) {
  const path = [start];
  for (let k = 0; k < steps; k++) {
    const slope = gradient(over, path[k]);
    path.push([path[k][0] - rate * slope[0], path[k][1] - rate * slope[1]]);
  }
  return path;
}

/**
 * Whether some change of the weights changes no output: the two columns of windows are one.
 * @param {Landscape} over
 */
export function isBlind({ aa, ab, bb }) {
  return aa * bb - ab * ab < 1e-9 * (aa + bb) ** 2;
}

/**
 * The first step after which the weights stand still, or the last one.
 * @param {Weights[]} path
 */
export function arrival(path) {
  const still = path.findIndex((point, k) =>
    k > 0 && Math.hypot(point[0] - path[k - 1][0], point[1] - path[k - 1][1]) < 2e-4
  );
  return still < 0 ? path.length - 1 : still;
}

/**
 * A descent up to the first point whose error is beyond the largest that is told.
 * @param {Landscape} over
 * @param {Weights[]} path
 */
export function held(over, path) {
  const lost = path.findIndex((point) => !(error(over, point) <= LARGEST));
  return lost < 0 ? path : path.slice(0, lost + 1);
}

/**
 * An error as it stands in words and beside the meter.
 * @param {number} value
 */
export function toldError(value) {
  return value <= LARGEST ? value.toFixed(4) : "more than 10,000";
}

/** @param {number} value */
function blue(value) {
  const band = BANDS.filter((edge) => value > edge).length / BANDS.length;
  return [247 - 230 * band, 251 - 185 * band, 255 - 120 * band];
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "Find the hidden kernel",
    hint:
      "drag the dot until the error is 0, or let it descend. Is it the hidden kernel? Reveal it.",
    keys: KEYS,
  });
  const ground = picture("Error of each kernel: light is low");
  const top = Object.fromEntries(
    ["data", "hidden", "found"].map((name) => [name, picture(name)]),
  );
  const maps = Object.fromEntries(["hidden", "found"].map((name) => [name, picture(name)]));
  const unseen = Object.fromEntries(
    ["data", "hidden", "found"].map((name) => [name, picture(name)]),
  );
  const meter = make("div", { class: "explorer-meter", "aria-hidden": "true" });
  const rows = [[top.hidden, top.found], [top.data, maps.hidden, maps.found], Object.values(unseen)]
    .map((row) => make("div", { class: "explorer-three" }, ...row.map((one) => one.element)));
  rows[0].prepend(meter);
  ground.element.classList.add("explorer-ground");
  stage.append(ground.element, make("div", { class: "explorer-maps" }, ...rows));

  const shape = () => (model.get("shape") === "side by side" ? { h: 1, w: 2 } : { h: 2, w: 1 });
  const garment = (/** @type {number} */ place) => {
    const bytes = /** @type {DataView} */ (model.get("garments"));
    const size = GARMENT * GARMENT;
    const values = Array.from({ length: size }, (_, k) => bytes.getUint8(place * size + k) / 255);
    return { values, h: GARMENT, w: GARMENT };
  };
  const stripes = toGrid(Array(6).fill([1, 1, 0, 0, 0, 0, 1, 1]));
  const seen = () => {
    if (model.get("data") === "stripes") return stripes;
    return model.get("data") === "noise" ? toGrid(model.get("noise")) : garment(SNEAKER);
  };
  const hidden = () => ({ values: model.get("hidden")[0], ...shape() });
  const start = () => /** @type {Weights} */ ([model.get("first"), model.get("second")]);
  const pathOf = (/** @type {number} */ steps) => {
    const over = landscape(seen(), hidden());
    return held(over, descend(over, start(), model.get("rate"), steps));
  };

  const place = (/** @type {number} */ first, /** @type {number} */ second) => {
    const tidy = (/** @type {number} */ value) => Math.round(clamp(value, -MOST, MOST) * 20) / 20;
    change(model, { first: tidy(first), second: tidy(second) });
  };
  surface(ground, {
    hover: false,
    to: (across, down) => {
      stop();
      place(MOST * (2 * across - 1), MOST * (1 - 2 * down));
    },
    by: (right, down) => {
      stop();
      place(model.get("first") + right / 10, model.get("second") - down / 10);
    },
  });

  // The descent runs a step in two frames, or is at once at its end where motion is not wanted.
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const last = model.get("limits").steps[1];
  let running = 0;
  const stop = () => {
    cancelAnimationFrame(running);
    running = 0;
    run.textContent = "Let it descend";
  };
  const go = () => {
    const end = arrival(pathOf(last));
    if (still.matches) return change(model, { steps: end });
    const first = model.get("steps") < end ? model.get("steps") : 0;
    let frames = 0;
    const next = () => {
      const steps = Math.min(end, first + Math.floor(frames++ / 2));
      change(model, { steps });
      if (steps === end) stop();
      else running = requestAnimationFrame(next);
    };
    run.textContent = "Stop";
    running = requestAnimationFrame(next);
  };
  const run = button("Let it descend", () => running ? stop() : go());
  const reveal = button("", () => change(model, { revealed: !model.get("revealed") }));
  controls.append(
    choice(model, "data", "Data"),
    choice(model, "shape", "Two weights"),
    slider(model, "steps", "Steps"),
    run,
    slider(model, "rate", "Rate", { step: 0.05, format: (value) => value.toFixed(2) }),
    reveal,
  );

  const at = ([a, b] = [0, 0]) => [
    FINE * clamp(0.5 + a / (2 * MOST), -1, 2),
    FINE * clamp(0.5 - b / (2 * MOST), -1, 2),
  ];
  const line = (/** @type {Weights[]} */ points, /** @type {string} */ name) => {
    const corners = points.map((point) => at(point).join()).join(" ");
    return ["explorer-window-out", name].map((kind) =>
      draw("polyline", { points: corners, class: kind })
    );
  };
  const names =
    () => (model.get("shape") === "side by side" ? ["left", "right"] : ["upper", "lower"]);
  const axes = () => {
    const ticks = [-2, 2].flatMap((tick) => {
      const [[x], [, y]] = [at([tick, 0]), at([0, tick])];
      return [[x, FINE / 2 + 7, number(tick)], [FINE / 2 - 5, y + 2, number(tick)]];
    });
    const titles = names().map((name) => `${name} weight`);
    const text = [...ticks, [FINE - 20, FINE / 2 - 2, titles[0]], [FINE / 2 + 21, 6, titles[1]]];
    return [
      draw("path", { d: `M0 ${FINE / 2}H${FINE}M${FINE / 2} 0V${FINE}`, class: "explorer-axes" }),
      ...text.map(([x, y, words]) => draw("text", { x, y, class: "explorer-tick" }, String(words))),
    ];
  };
  const star = (/** @type {Weights} */ point) => {
    const [x, y] = at(point);
    const corners = Array.from({ length: 10 }, (_, k) => {
      const [angle, far] = [Math.PI * (k / 5 - 0.5), k % 2 ? 2.2 : 5.5];
      return [x + far * Math.cos(angle), y + far * Math.sin(angle)].join();
    });
    return draw("polygon", { points: corners.join(" "), class: "explorer-star" });
  };

  let painted = "";
  const paintGround = (/** @type {Landscape} */ over) => {
    const key = JSON.stringify(over);
    if (key === painted) return;
    painted = key;
    const values = Float64Array.from({ length: FINE * FINE }, (_, k) => {
      const [i, j] = [Math.floor(k / FINE), k % FINE];
      const step = 2 * MOST / FINE;
      return error(over, [(j + 0.5) * step - MOST, MOST - (i + 0.5) * step]);
    });
    ground.paint(values, FINE, FINE, blue);
  };
  const mark = (/** @type {Landscape} */ over, /** @type {Weights[]} */ path) => {
    const end = path[path.length - 1];
    const dots = path.slice(1, 60).map((point) => {
      const [cx, cy] = at(point);
      return draw("circle", { cx, cy, r: 1.1, class: "explorer-footprint" });
    });
    const [cx, cy] = at(end);
    const [x, y] = at(path[0]);
    const found = [...axes(), ...line(path, "explorer-window"), ...dots];
    if (model.get("revealed")) {
      const long = Math.hypot(over.ab, over.aa) || 1;
      const along = (/** @type {number} */ t) => /** @type {Weights} */ ([
        over.hidden[0] - t * over.ab / long,
        over.hidden[1] + t * over.aa / long,
      ]);
      if (isBlind(over)) found.push(...line([along(-9), along(9)], "explorer-fits"));
      found.push(star(over.hidden));
    }
    found.push(
      ...path.length > 1 ? outline(y - 2, x - 2, 4, 4) : [],
      draw("circle", { cx, cy, r: 4, class: "explorer-dot" }),
    );
    ground.marks.replaceChildren(...found);
  };

  const showMaps = (/** @type {Weights} */ end) => {
    const open = model.get("revealed");
    const x = seen();
    const yours = { values: end, ...shape() };
    const weight = signed(MOST);
    const show = (
      /** @type {ReturnType<typeof picture>} */ panel,
      /** @type {string} */ title,
      /** @type {Grid} */ grid,
      /** @type {(value: number) => number[]} */ colour,
      { numbers = false } = {},
    ) => {
      panel.name.textContent = title;
      panel.paint(grid.values, grid.h, grid.w, colour);
      panel.marks.replaceChildren(...numbers ? written(grid, colour) : []);
    };
    const data = (/** @type {Grid} */ { values }) =>
      grey(Math.min(0, ...Array.from(values)), Math.max(...Array.from(values)));
    show(top.data, "data", x, data(x));
    show(top.found, "yours", { ...yours, values: end.map((w) => clamp(w, -99, 99)) }, weight, {
      numbers: true,
    });
    const closed = () => [110, 110, 110];
    show(top.hidden, "hidden", hidden(), open ? weight : closed, { numbers: open });
    if (!open) top.hidden.marks.replaceChildren(...written(hidden(), closed, () => "?"));
    for (const one of [top.hidden, top.found]) {
      one.panel.style.width = isUpright(yours) ? "50%" : "";
    }
    const pair = (
      /** @type {Record<string, ReturnType<typeof picture>>} */ panels,
      /** @type {Grid} */ from,
    ) => {
      const wanted = corr2d(from, hidden());
      const colour = signed(Math.max(...Array.from(wanted.values, Math.abs)));
      show(panels.hidden, "its map", wanted, colour);
      show(panels.found, "your map", corr2d(from, yours), colour);
    };
    pair(maps, x);
    rows[2].hidden = !open;
    if (open) {
      const shirt = garment(T_SHIRT);
      show(unseen.data, "not seen", shirt, data(shirt));
      pair(unseen, shirt);
    }
  };

  const show = () => {
    const over = landscape(seen(), hidden());
    const path = pathOf(model.get("steps"));
    const end = path[path.length - 1];
    const between = isUpright(hidden()) ? "over" : "beside";
    const kernel = (/** @type {Weights} */ [a, b]) => `${number(a)} ${between} ${number(b)}`;
    const low = error(over, end);
    paintGround(over);
    mark(over, path);
    showMaps(end);
    meter.replaceChildren("error", make("b", {}, toldError(low)));
    reveal.textContent = model.get("revealed") ? "Hide it" : "Reveal";
    const steps = path.length - 1;
    const grows = steps > 0 && low > error(over, path[0]);
    ground.name.textContent = steps
      ? "Light is a low error. Square: start; dot: your kernel"
      : "Error of each kernel: light is low";
    const parts = [
      `Your kernel${steps ? `, after ${steps} ${steps > 1 ? "steps" : "step"}` : ""}: ${
        kernel(end)
      }.`,
      `The error is ${toldError(low)}.`,
      grows ? "The steps are too long: the error grows." : "",
      low > LARGEST ? "The descent ends here." : "",
    ];
    if (model.get("revealed")) {
      const shirt = error(landscape(garment(T_SHIRT), hidden()), end);
      parts.push(
        `The hidden one: ${kernel(over.hidden)}.`,
        isBlind(over)
          ? "All kernels on the dashed line fit these data."
          : "No other fits these data.",
        `On a T-shirt that was not seen the error of yours is ${toldError(shirt)}.`,
      );
    }
    say(parts.filter(Boolean).join(" "));
  };
  const end = follow(model, KEYS, show);
  return () => {
    stop();
    end();
  };
}

export default { render };
