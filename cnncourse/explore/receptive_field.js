// @ts-check
// Chapter "Locality": a unit of a deep stack, the pixels that it sees, and how much each of them counts.

import { button, change, clamp, drag, draw, follow, frame, make, number, sheet } from "./parts.js";

const PIXELS = 33; // of the row
const KEYS = ["layers", "weight", "level", "unit"];
const COLUMNS = ["kernel", "stride", "dilation"];
const OPTIONS = [[1, 2, 3, 4, 5], [1, 2, 3], [1, 2, 3, 4, 8, 16]];
const DEPTH = 5;

/** @type {Record<string, number[][]>} kernel, stride and dilation, pixels first */
const STACKS = {
  "five kernels of 3": Array(5).fill([3, 1, 1]),
  "stride 2 at the bottom": [[3, 2, 1], [3, 1, 1], [3, 1, 1], [3, 1, 1]],
  "stride 2 at the top": [[3, 1, 1], [3, 1, 1], [3, 1, 1], [3, 2, 1]],
  "dilation 2 everywhere": Array(4).fill([3, 1, 2]),
  "kernels of 2, dilations that double": [1, 2, 4, 8, 16].map((d) => [2, 1, d]),
};

/**
 * A layer: kernel, stride, dilation, and how many zeros stand before the row.
 * @typedef {{ k: number, s: number, d: number, p: number }} Layer
 * @typedef {{ count: number, size: number, jump: number, start: number }} Level
 */

/**
 * Read the layers of the model; an address may hold what Python would refuse.
 * @param {number[][]} rows
 * @returns {Layer[]}
 */
export function readLayers(rows) {
  return rows.slice(0, DEPTH).map((row) => {
    const [k, s, d] = OPTIONS.map((options, c) =>
      clamp(Math.round(row[c] ?? 1), 1, options[options.length - 1])
    );
    return { k, s, d, p: Math.floor((k - 1) * d / 2) };
  });
}

/**
 * Units of each level, pixels first; what a unit sees, and where the field of unit 0 has its middle.
 * Zeros on both sides keep the row as long as it is, at stride 1.
 * @param {Layer[]} layers
 * @param {number} w
 * @returns {Level[]}
 */
export function levels(layers, w) {
  const found = [{ count: w, size: 1, jump: 1, start: 0 }];
  layers.forEach(({ k, s, d, p }, l) => {
    const { count, size, jump, start } = found[l];
    const reach = (k - 1) * d;
    found.push({
      count: Math.floor((count - 1) / s) + 1,
      size: size + reach * jump,
      jump: jump * s,
      start: start + (reach / 2 - p) * jump,
    });
  });
  return found;
}

/**
 * The gradient of one unit with respect to the units of each level below it, pixels first.
 * @param {Layer[]} layers
 * @param {number[][]} weight a row for each layer
 * @param {number} level of the unit, 1 for the layer over the pixels
 * @param {number} unit
 * @param {number} w
 */
export function gradients(layers, weight, level, unit, w) {
  const counts = levels(layers, w).map(({ count }) => count);
  let above = new Float64Array(counts[level]);
  above[unit] = 1;
  const found = [above];
  for (let l = level - 1; l >= 0; l--) {
    const below = new Float64Array(counts[l]);
    above.forEach((gradient, u) => {
      for (const [b, j] of under(layers[l], u, counts[l])) below[j] += gradient * weight[l][b];
    });
    found.unshift(below);
    above = below;
  }
  return found;
}

/**
 * What unit u of a layer reads: pairs of a weight's place and a unit below.
 * @param {Layer} layer
 * @param {number} u
 * @param {number} count of units below
 */
function under({ k, s, d, p }, u, count) {
  return Array.from({ length: k }, (_, b) => [b, u * s + b * d - p])
    .filter(([_, j]) => j >= 0 && j < count);
}

/**
 * How many of the pixels that count most hold this share of the gradient.
 * @param {number} share
 * @param {ArrayLike<number>} gradient
 */
export function hold(share, gradient) {
  const most = Array.from(gradient, Math.abs).sort((a, b) => b - a);
  const whole = share * most.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  return 1 + most.findIndex((value) => (sum += value) >= whole * (1 - 1e-9));
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "The cone below a unit",
    hint: "set the stride of layer 1 to 2. Does the field grow by two pixels, or by more?",
    keys: KEYS,
  });

  const now = () => {
    const layers = readLayers(model.get("layers"));
    const found = levels(layers, PIXELS);
    const level = clamp(model.get("level"), 1, layers.length);
    const unit = clamp(model.get("unit"), 0, found[level].count - 1);
    const given = model.get("weight");
    const weight = layers.map(({ k }, l) =>
      Array.from({ length: k }, (_, b) => given[l]?.[b] ?? 1)
    );
    return { layers, found, level, unit, weight };
  };
  const centre = (/** @type {Level} */ { start, jump }, /** @type {number} */ unit) =>
    start + unit * jump;
  /** Choose the unit of a level that is nearest to a place over the row. */
  const choose = (/** @type {Level[]} */ found, /** @type {number} */ level, place = 0) => {
    const { count, start, jump } = found[level];
    return { level, unit: clamp(Math.round((place - start) / jump), 0, count - 1) };
  };
  /** Put other layers in place; the unit stays where it is over the row, and the top one on top. */
  const rebuild = (/** @type {number[][]} */ rows) => {
    const { layers, found, level, unit } = now();
    const next = readLayers(rows);
    const top = level === layers.length ? next.length : Math.min(level, next.length);
    const place = centre(found[level], unit) - found[level].start;
    const after = levels(next, PIXELS);
    change(model, { layers: rows, ...choose(after, top, place + after[top].start) });
  };
  const rowsNow = () => now().layers.map(({ k, s, d }) => [k, s, d]);

  // The drawing: levels from top to bottom, then the row of pixels, then a bar for each.
  const [LEFT, STEP, FIELD, BAR] = [56, 38, 20, 56];
  const scale = (/** @type {Level[]} */ found, /** @type {number} */ width) => {
    const last = Math.max(...found.map((level) => centre(level, level.count - 1)));
    const step = (width - LEFT) / (last + 2);
    const x = (/** @type {number} */ place) => LEFT + (place + 1) * step;
    const y = (/** @type {number} */ level) => 16 + STEP * (found.length - 1 - level);
    return { x, y, step };
  };
  const { svg, again } = sheet((svg, width) => {
    const { layers, found, level, unit, weight } = now();
    const { x, y, step } = scale(found, width);
    const all = gradients(layers, weight, level, unit, PIXELS);
    svg.replaceChildren(
      ...all.slice(1).map((above, l) => edges(above, l)),
      ...found.map((_, l) => row(l)),
      ...bracket(),
      ...bars(all[0]),
    );
    return y(0) + FIELD + 14 + BAR;

    function edges(/** @type {Float64Array} */ above, /** @type {number} */ l) {
      const [from, to] = [found[l + 1], found[l]];
      const lines = Array.from(
        above,
        (gradient, u) =>
          gradient
            ? under(layers[l], u, to.count).map(([_, j]) =>
              `M${x(centre(from, u))} ${y(l + 1)}L${x(centre(to, j))} ${y(l)}`
            )
            : [],
      );
      return draw("path", { d: lines.flat().join(""), class: "explorer-edges" });
    }
    function row(/** @type {number} */ l) {
      const radius = clamp(step * 0.34, 1.6, 5);
      const units = Array.from({ length: found[l].count }, (_, u) => {
        const [cx, cy] = [x(centre(found[l], u)), y(l)];
        const of = all[l]?.[u] ? "explorer-unit explorer-seen" : "explorer-unit";
        const square = { x: cx - radius, y: cy - radius, width: 2 * radius, height: 2 * radius };
        return l
          ? draw("circle", { cx, cy, r: radius, class: of })
          : draw("rect", { ...square, class: of });
      });
      const chosen = l === level
        ? [draw("circle", {
          cx: x(centre(found[l], unit)),
          cy: y(l),
          r: radius + 4,
          class: "explorer-window",
        })]
        : [];
      const name = draw("text", { x: 0, y: y(l) + 4 }, l ? `layer ${l}` : "pixels");
      return draw("g", {}, name, ...units, ...chosen);
    }
    function bracket() {
      const middle = centre(found[level], unit);
      const reach = found[level].size / 2;
      const [low, high, base] = [Math.max(-1, middle - reach), middle + reach, y(0) + FIELD];
      const end = Math.min(high, (width - LEFT) / step - 1);
      const left = low > -1 ? `M${x(low)} ${base - 5}v10` : "";
      const right = end === high ? `M${x(end)} ${base - 5}v10` : "";
      const d = `M${x(low)} ${base}L${x(end)} ${base}${left}${right}`;
      const name = draw("text", { x: 0, y: base + 4 }, "field");
      return [name, draw("path", { d, class: "explorer-bracket" })];
    }
    function bars(/** @type {Float64Array} */ gradient) {
      const most = Math.max(...gradient.map(Math.abs)) || 1;
      const base = y(0) + FIELD + 10 + BAR;
      const label = draw("text", { x: 0, y: base - BAR / 2 }, "gradient");
      return [
        label,
        ...Array.from(gradient, (value, pixel) => {
          const height = Math.abs(value) / most * BAR;
          const across = { x: x(pixel) - step * 0.35, width: step * 0.7 };
          return draw("rect", { ...across, y: base - height, height, class: "explorer-bar" });
        }),
      ];
    }
  }, {
    tabindex: 0,
    role: "application",
    "aria-label": "The stack: arrow keys choose a unit",
  });
  svg.classList.add("explorer-across");
  drag(svg, {
    to(across, down) {
      const { found, layers } = now();
      const { width, height } = svg.getBoundingClientRect();
      const { step } = scale(found, width);
      const level = clamp(
        layers.length - Math.round((down * height - 16) / STEP),
        1,
        layers.length,
      );
      change(model, choose(found, level, (across * width - LEFT) / step - 1));
    },
    by(right, down) {
      const { found, layers, level, unit } = now();
      if (right) return change(model, { unit: clamp(unit + right, 0, found[level].count - 1) });
      const next = clamp(level - down, 1, layers.length);
      change(model, choose(found, next, centre(found[level], unit)));
    },
  });

  // The table: what is chosen for each layer, and what follows.
  const lines = Array.from({ length: DEPTH }, (_, l) => {
    const selects = COLUMNS.map((name, c) => {
      const select = make("select", {
        "aria-label": `Layer ${l + 1}: ${name}`,
        change: () => {
          const rows = rowsNow();
          rows[l][c] = Number(select.value);
          rebuild(rows);
        },
      }, ...OPTIONS[c].map((value) => make("option", {}, String(value))));
      return select;
    });
    const [size, jump] = [make("td"), make("td")];
    const cells = selects.map((select) => make("td", {}, select));
    const name = make("th", { scope: "row" }, String(l + 1));
    return { line: make("tr", {}, name, ...cells, size, jump), selects, size, jump };
  });
  const head = ["layer", ...COLUMNS, "size", "jump"].map((name) =>
    make("th", { scope: "col" }, name)
  );
  const body = make("tbody");
  const table = make(
    "table",
    { class: "explorer-layers" },
    make("thead", {}, make("tr", {}, ...head)),
    body,
  );
  const showTable = () => {
    const { layers, found } = now();
    if (body.children.length !== layers.length) {
      body.replaceChildren(...layers.map((_, l) => lines[l].line).reverse());
    }
    layers.forEach(({ k, s, d }, l) => {
      const { selects, size, jump } = lines[l];
      [k, s, d].forEach((value, c) => selects[c].value = String(value));
      size.textContent = String(found[l + 1].size);
      jump.textContent = String(found[l + 1].jump);
    });
    more.disabled = layers.length === DEPTH;
    fewer.disabled = layers.length === 1;
  };
  const more = button("Add a layer", () => rebuild([...rowsNow(), [3, 1, 1]]));
  const fewer = button("Remove the top layer", () => rebuild(rowsNow().slice(0, -1)));
  const random = () => Math.round(200 * Math.random() - 100) / 100;
  const fill = (/** @type {() => number} */ value) => () =>
    change(model, {
      weight: Array.from({ length: DEPTH }, () => Array.from({ length: 5 }, value)),
    });
  const stacks = make(
    "select",
    {
      change: () => {
        if (stacks.value) rebuild(STACKS[stacks.value]);
        stacks.value = "";
      },
    },
    make("option", { value: "" }, "choose…"),
    ...Object.keys(STACKS).map((name) => make("option", {}, name)),
  );
  stage.append(svg);
  controls.append(
    table,
    make(
      "div",
      { class: "explorer-beside" },
      make("label", {}, make("span", {}, "Stacks"), stacks),
      more,
      fewer,
      button("Random weights", fill(random)),
      button("All weights 1", fill(() => 1)),
    ),
  );

  const show = () => {
    again();
    showTable();
    const { layers, found, level, unit, weight } = now();
    const { size } = found[level];
    const first = centre(found[level], unit) - (size - 1) / 2;
    const steps = layers.slice(0, level).map(({ k, d }, l) => `${(k - 1) * d} · ${found[l].jump}`);
    const [gradient] = gradients(layers, weight, level, unit, PIXELS);
    const counting = gradient.filter(Boolean).length;
    const inside = Math.min(PIXELS, first + size) - Math.max(0, first);
    const outside = inside < size
      ? ` ${inside} of them ${inside === 1 ? "is" : "are"} in the row.`
      : "";
    const most = hold(0.95, gradient);
    const holding = most === 1 ? "pixel holds" : "pixels hold";
    const holes = counting < inside
      ? ` The gradient is zero at ${inside - counting} of these pixels.`
      : "";
    say(
      `Unit ${unit} of layer ${level}: 1 + ${steps.join(" + ")} = ${size} ` +
        `${size === 1 ? "pixel" : "pixels"}, from ${number(first)} to ${
          number(first + size - 1)
        }.` +
        outside +
        (counting
          ? `${holes} ${most} ${holding} 95 % of the gradient.`
          : " The gradient is zero everywhere."),
    );
  };
  return follow(model, KEYS, show);
}

export default { render };
