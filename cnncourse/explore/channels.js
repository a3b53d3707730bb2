// @ts-check
// Chapter "Channels": which channels a layer joins, what that costs, and a cheaper pair beside it.

import { change, clamp, drag, draw, follow, frame, make, number, sheet, slider } from "./parts.js";

const KEYS = ["in_channels", "out_channels", "kernel_size", "groups", "size", "output"];
const COUNTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
const SIZES = [8, 14, 16, 28, 32, 56, 64];
const FLOAT = 4; // bytes

/**
 * A convolution without bias that keeps the size.
 * @typedef {{ c: number, o: number, g: number, k: number }} Layer
 */

/**
 * The numbers of groups that divide both channels.
 * @param {number} c
 * @param {number} o
 */
export function divisors(c, o) {
  return Array.from({ length: Math.min(c, o) }, (_, g) => g + 1)
    .filter((g) => c % g === 0 && o % g === 0);
}

/**
 * The input channels that an output channel sees: the first one, and how many.
 * @param {Layer} layer
 * @param {number} output
 */
export function sees({ c, o, g }, output) {
  return { first: Math.floor(output / (o / g)) * (c / g), count: c / g };
}

/**
 * What layers in a row cost, on maps of size x size.
 * @param {Layer[]} layers
 * @param {number} size
 */
export function price(layers, size) {
  const weights = layers.map(({ c, o, g, k }) => o * (c / g) * k * k);
  const parameters = weights.reduce((sum, count) => sum + count, 0);
  const outputs = layers.reduce((sum, { o }) => sum + o, 0) * size * size;
  return { parameters, multiplyAdds: parameters * size * size, bytes: FLOAT * outputs };
}

/**
 * The layer in groups, the same without groups, and depthwise with a 1×1 layer behind it.
 * @param {Layer} layer
 */
export function stacks({ c, o, g, k }) {
  return {
    grouped: [{ c, o, g, k }],
    full: [{ c, o, g: 1, k }],
    separable: [{ c, o: c, g: c, k }, { c, o, g: 1, k: 1 }],
  };
}

const LINES = /** @type {const} */ ([
  ["parameters", "weights"],
  ["multiplyAdds", "multiply-adds"],
  ["bytes", "bytes of outputs"],
]);

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "The price of a layer",
    hint: "choose 6 groups. What is saved, and what does an output channel no longer see?",
    keys: KEYS,
  });
  const now = () => {
    const [c, o, kernel] = KEYS.slice(0, 3).map((key) => model.get(key));
    const k = kernel - 1 + kernel % 2; // an address may hold an even one
    const wanted = model.get("groups");
    const g = Math.max(...divisors(c, o).filter((count) => count <= wanted));
    const output = clamp(model.get("output"), 0, o - 1);
    return { layer: { c, o, g, k }, size: model.get("size"), output };
  };

  // Two drawings: a column of dots for the input, and one after each layer.
  const HEIGHT = 190;
  const y = (/** @type {number} */ channel, /** @type {number} */ count) =>
    Math.round(100 + 10 * (channel + 0.5) * (HEIGHT - 20) / count) / 10; // few digits, quick to read
  const drawings = /** @type {const} */ (["grouped", "separable"]).map((name) => {
    const title = make("figcaption");
    const { svg, again } = sheet((svg, width) => {
      const { layer, output } = now();
      const layers = stacks(layer)[name];
      const x = (/** @type {number} */ column) => 14 + column * (width - 28) / layers.length;
      const counts = [layer.c, ...layers.map(({ o }) => o)];
      // Who is seen by the chosen output, from the last column back to the input.
      let seen = new Set([output]);
      const parts = [];
      for (let l = layers.length - 1; l >= 0; l--) {
        const before = new Set();
        const [all, own] = [/** @type {string[]} */ ([]), /** @type {string[]} */ ([])];
        for (let to = 0; to < layers[l].o; to++) {
          const { first, count } = sees(layers[l], to);
          for (let from = first; from < first + count; from++) {
            const line = `M${x(l)} ${y(from, counts[l])}L${x(l + 1)} ${y(to, counts[l + 1])}`;
            (seen.has(to) ? own : all).push(line);
            if (seen.has(to)) before.add(from);
          }
        }
        parts.push(draw("path", { d: all.join(""), class: "explorer-faint" }));
        const thick = clamp(30 / counts[l], 0.9, 2.2);
        parts.push(
          draw("path", { d: own.join(""), class: "explorer-thick", "stroke-width": thick }),
        );
        parts.push(...dots(l + 1, seen));
        seen = before;
      }
      svg.replaceChildren(...parts, ...dots(0, seen));
      return HEIGHT;

      function dots(/** @type {number} */ column, /** @type {Set<number>} */ marked) {
        const radius = clamp(HEIGHT / counts[column] / 3, 1.3, 5);
        return Array.from({ length: counts[column] }, (_, channel) => {
          const place = { cx: x(column), cy: y(channel, counts[column]), r: radius };
          return draw("circle", {
            ...place,
            class: marked.has(channel) ? "explorer-dot explorer-dot-seen" : "explorer-dot",
          });
        });
      }
    }, {
      tabindex: 0,
      role: "slider",
      "aria-valuemin": 0,
      "aria-label": name === "grouped" ? "Output channel" : "Output channel of the pair",
    });
    drag(svg, {
      slides: true,
      to(_across, down) {
        const { layer } = now();
        const channel = Math.floor((down * HEIGHT - 10) / (HEIGHT - 20) * layer.o);
        change(model, { output: clamp(channel, 0, layer.o - 1) });
      },
      by(right, down) {
        const { layer, output } = now();
        change(model, { output: clamp(output + right + down, 0, layer.o - 1) });
      },
    });
    svg.classList.add("explorer-across");
    stage.append(make("div", { class: "explorer-joined" }, title, svg));
    return { name, title, svg, again };
  });

  // The table of prices: a number and a bar for each way, in parts of the layer without groups.
  const cells = LINES.map(([key, name]) => {
    const three = /** @type {const} */ (["grouped", "full", "separable"]).map((way) => {
      const [value, bar] = [make("span"), make("span", { class: "explorer-part" })];
      return { way, value, bar, cell: make("td", {}, value, bar) };
    });
    const line = make(
      "tr",
      {},
      make("th", { scope: "row" }, name),
      ...three.map(({ cell }) => cell),
    );
    return { key, three, line };
  });
  const heads = ["this layer", "without groups", "depthwise and 1×1"].map((name) =>
    make("th", { scope: "col" }, name)
  );
  stage.append(make(
    "table",
    { class: "explorer-prices" },
    make("thead", {}, make("tr", {}, make("td"), ...heads)),
    make("tbody", {}, ...cells.map(({ line }) => line)),
  ));
  const showPrices = () => {
    const { layer, size } = now();
    const ways = stacks(layer);
    for (const { key, three } of cells) {
      const values = three.map(({ way }) => price(ways[way], size)[key]);
      three.forEach(({ value, bar }, i) => {
        value.textContent = values[i].toLocaleString("en");
        bar.style.width = `${100 * values[i] / Math.max(...values)}%`;
      });
    }
  };

  const groups = make("select", { change: () => change(model, { groups: Number(groups.value) }) });
  const showGroups = () => {
    const { c, o, g } = now().layer;
    const options = divisors(c, o).map((count) => make("option", {}, String(count)));
    groups.replaceChildren(...options);
    groups.value = String(g);
  };
  controls.remove();
  stage.append(make(
    "div",
    { class: "explorer-sliders" },
    slider(model, "in_channels", "Input channels", { values: COUNTS }),
    slider(model, "out_channels", "Output channels", { values: COUNTS }),
    slider(model, "kernel_size", "Kernel", { step: 2, format: (k) => `${k} × ${k}` }),
    slider(model, "size", "Maps", { values: SIZES, format: (size) => `${size} × ${size}` }),
    make("label", {}, make("span", {}, "Groups"), groups),
  ));

  return follow(model, KEYS, () => {
    const { layer, size, output } = now();
    const { c, o, g, k } = layer;
    const { first, count } = sees(layer, output);
    drawings.forEach(({ name, title, svg, again }) => {
      const parts = g === 1 ? "without groups" : `${g} groups${g === c ? ": depthwise" : ""}`;
      title.textContent = name === "grouped" ? parts : "depthwise, then 1×1";
      again();
      svg.setAttribute("aria-valuemax", o - 1);
      svg.setAttribute("aria-valuenow", output);
    });
    showPrices();
    showGroups();
    const { grouped, full, separable } = stacks(layer);
    const share = (/** @type {Layer[]} */ way) =>
      number(price(way, size).multiplyAdds / price(full, size).multiplyAdds, 2);
    const range = count === 1 ? `channel ${first}` : `channels ${first} to ${first + count - 1}`;
    const shape = [o, count, k, k].join(",\u00a0");
    say(
      `Output ${output} sees input ${range}. Its kernel has ${count} × ${k} × ${k} weights; all of ` +
        `them have the shape (${shape}). The layer takes ${
          share(grouped)
        } of the multiply-adds of ` +
        `one without groups, the pair takes ${share(separable)}.`,
    );
  });
}

export default { render };
