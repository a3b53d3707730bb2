// @ts-check
// Chapter "LeNet": every map of every layer, for a picture that the reader draws, moves or spoils.

import { forward, readNetwork, scales } from "./network.js";
import { softmax } from "./operators.js";
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
  signed,
  slider,
  toggle,
} from "./parts.js";
import { canvasToDraw, chooser, DIGITS, names, pictures, recipeOf } from "./lenet_picture.js";
import { altered, enlarged, field, moved, SIDE, strip } from "./xray.js";

/** @typedef {import("./parts.js").Model} Model */
/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./operators.js").Tensor} Tensor */
/** @typedef {ReturnType<typeof scales>[0]} Scale */

const PICTURE = ["picture", "drawing", "right", "down", "noise"];
const NETWORK = ["net", "activation", "scale"];
const KEYS = [...PICTURE, ...NETWORK, "layer", "channel", "scales"];
const WIDEST = 175; // pixels of the maps of conv2, side by side
const BETWEEN = [190, 196, 204]; // the grey of what holds no number
const HINTS = {
  picture:
    "draw a digit, or press “Move” and drag the picture slowly down. When does the answer change?",
  scales: "drag “Training” to the right. After how many epochs does the signal reach fc3?",
};
/** @type {Record<string, string>} */
const RECIPES = {
  lenet_modern_mnist: "digits",
  lenet_sigmoid: "clothes, sigmoid",
  relu: "clothes, ReLU",
  one_cycle: "clothes, last recipe",
};
/**
 * Return what gives the network of the state, and reads a file only once.
 * @param {Model} model
 */
function networks(model) {
  let [file, asked] = [null, ""];
  /** @type {Network} */
  let read;
  /** @type {Network} */
  let network;
  return () => {
    const wanted = JSON.stringify(NETWORK.map((key) => model.get(key)));
    if (file === model.get("weights") && asked === wanted) return network;
    if (file !== model.get("weights")) read = readNetwork(file = model.get("weights"));
    asked = wanted;
    const fresh = read.about.epoch === 0;
    network = fresh ? altered(read, model.get("activation"), model.get("scale")) : read;
    return network;
  };
}

/** A bar from 0 to 1. */
function bar() {
  const inner = make("span");
  const show = (/** @type {number} */ part) => inner.style.width = `${100 * clamp(part, 0, 1)}%`;
  return { element: make("span", { class: "xray-bar" }, inner), show };
}

/** The ten probabilities. */
function answers() {
  const rows = DIGITS.map(() => {
    const [name, share, length] = [make("th", { scope: "row" }), make("td"), bar()];
    const element = make("tr", {}, name, make("td", {}, length.element), share);
    return { element, name, share, length };
  });
  const table = make("table", { class: "xray-answers" });
  table.append(make("caption", {}, "What it answers"), ...rows.map(({ element }) => element));
  const show = (/** @type {ArrayLike<number>} */ shares, /** @type {string[]} */ words) =>
    rows.forEach(({ element, name, share, length }, k) => {
      name.textContent = words[k];
      share.textContent = shares[k].toFixed(2);
      length.show(shares[k]);
      element.classList.toggle("xray-best", shares[k] === Math.max(...Array.from(shares)));
    });
  return { table, show };
}

/**
 * The maps of every layer, one row for each; a press or arrow keys choose a map.
 * @param {Model} model
 */
function layerRows(model) {
  /** @type {string[]} */
  const all = model.get("limits").layer;
  const rows = all.map((name) => {
    const row = picture(name);
    return { ...row, layer: name, count: 1, bars: [bar(), bar()] };
  });
  const element = make("div", {
    class: "xray-layers",
    tabindex: 0,
    role: "application",
    "aria-label": "Layers: arrow keys choose a map",
  }, ...rows.map((row) => row.element));
  const count = (/** @type {number} */ k) => rows[k].count;
  drag(element, {
    to(_across, _down, event) {
      rows.forEach((row, k) => {
        const { left, top, right, bottom, width } = row.panel.getBoundingClientRect();
        const [x, y] = [event.clientX, event.clientY];
        if (x < left || x >= right || y < top || y >= bottom) return;
        const channel = Math.floor((x - left) / width * count(k));
        change(model, { layer: row.layer, channel });
      });
    },
    by(right, down) {
      const k = clamp(all.indexOf(model.get("layer")) + down, 0, all.length - 1);
      const channel = Math.min(model.get("channel"), count(k) - 1) + right;
      change(model, { layer: all[k], channel: clamp(channel, 0, count(k) - 1) });
    },
  });
  return { element, rows };
}

/**
 * Which network, after how many epochs; before its training, with what activation and scale.
 * @param {Model} model
 * @param {() => Network} network
 */
function recipes(model, network) {
  /** @type {string[]} */
  const all = model.get("limits").net;
  const ofRecipe = (/** @type {string} */ name) => all.filter((net) => recipeOf(net) === name);
  const select = make(
    "select",
    { change: () => change(model, { net: ofRecipe(select.value).at(-1) }) },
    ...Object.entries(RECIPES).map(([value, words]) => make("option", { value }, words)),
  );
  const epoch = make("input", {
    type: "range",
    min: 0,
    input: () => change(model, { net: ofRecipe(select.value)[Number(epoch.value)] }),
  });
  const told = make("output");
  const training = make("label", {}, make("span", {}, "Training"), epoch, told);
  const fresh = [
    choice(model, "activation", "Activation", { own: "as in the recipe" }),
    slider(model, "scale", "First weights times", { step: 0.25, format: (v) => number(v) }),
  ];
  const show = () => {
    const { about } = network();
    select.value = recipeOf(model.get("net"));
    const nets = ofRecipe(select.value);
    epoch.max = nets.length - 1;
    epoch.value = nets.indexOf(model.get("net"));
    epoch.hidden = nets.length === 1;
    for (const control of fresh) control.hidden = about.epoch !== 0;
    const right = `${
      Math.round(100 * about.validation_accuracy)
    } % of the validation pictures right`;
    told.textContent = about.epoch ? `${about.epoch} epochs: ${right}` : "before the first step";
    epoch.setAttribute("aria-valuetext", told.textContent);
  };
  const which = make("label", {}, make("span", {}, "Network"), select);
  return { elements: [which, training, ...fresh], show };
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "LeNet under X-ray",
    hint: model.get("scales") ? HINTS.scales : HINTS.picture,
    keys: KEYS,
  });
  const network = networks(model);
  const { example, chosen } = pictures(model);
  const [seen, large] = [canvasToDraw(model, chosen, () => show()), picture("")];
  const [answered, layers, recipe] = [answers(), layerRows(model), recipes(model, network)];
  const left = make("div", { class: "explorer-stage xray-side" });
  left.append(seen.element, answered.table, controls);
  const right = make("div", { class: "xray-right" }, layers.element, large.element);
  stage.append(chooser(model, example), left, right);
  controls.append(
    ...recipe.elements,
    slider(model, "noise", "Noise", {
      step: 0.05,
      format: (part) => `${Math.round(100 * part)} %`,
    }),
    toggle(model, "scales", "signal and gradient"),
  );

  /** @type {Network | null} */
  let measured = null;
  /** @type {Scale[]} */
  let found = [];
  /** In a frame of its own: ten pictures, forward and backward. */
  const measure = () => {
    measured = network();
    const images = DIGITS.map((_, k) => moved(example(k), 0, 0, 0));
    found = scales(measured, images, DIGITS.map(Number));
    show();
  };

  /** @param {Tensor[]} outputs */
  const showLayers = (outputs) => {
    const order = network().layers.map(({ name }) => name);
    layers.rows.forEach((row) => {
      const output = outputs[order.indexOf(row.layer)];
      const { pixels, height, width, step } = strip(output);
      row.count = output.shape[0];
      row.paint(pixels, height, width, coloured(output.values));
      row.panel.style.width = `${100 * width / WIDEST}%`;
      const isChosen = row.layer === model.get("layer");
      const x = step * Math.min(model.get("channel"), row.count - 1);
      const size = { y: 0, width: output.shape[2] ?? 1, height };
      row.marks.replaceChildren(...(isChosen ? framed({ x, ...size }) : []));
      const words = make("span", {}, make("b", {}, row.layer), ` ${output.shape.join(" × ")}`);
      row.name.replaceChildren(words);
      const scale = found.find(({ name }) => name === row.layer);
      if (model.get("scales") && scale) row.name.append(showScale(row.bars, scale));
    });
  };

  /**
   * The chosen map, large, and in the picture what its largest number sees.
   * @param {Tensor[]} outputs
   */
  const showChosen = (outputs) => {
    const name = model.get("layer");
    const k = network().layers.findIndex((layer) => layer.name === name);
    const channel = Math.min(model.get("channel"), outputs[k].shape[0] - 1);
    const { map, h, w, i, j, value, isFlat } = enlarged(outputs[k], channel);
    const { top, left, size } = field(network(), k, i, j);
    large.paint(map, h, w, coloured(outputs[k].values));
    const around = { x: left, y: top, width: size, height: size };
    large.marks.replaceChildren(...(isFlat ? [] : framed({ x: j, y: i, width: 1, height: 1 })));
    seen.marks.replaceChildren(...(isFlat ? [] : framed(around)), ...seen.pen().marks);
    const isMap = outputs[k].shape.length > 1;
    large.name.textContent = `${name}, ${isMap ? "channel" : "number"} ${channel}`;
    if (isFlat) return `${large.name.textContent} is ${number(value)} everywhere.`;
    const where = isMap ? ` is largest at row ${i}, column ${j}` : "";
    return `${large.name.textContent}${where}: ${number(value)}.`;
  };

  const show = () => {
    if (network().about.recipe !== recipeOf(model.get("net"))) return say("Loading the weights.");
    const image = moved(chosen(), model.get("right"), model.get("down"), model.get("noise"));
    const outputs = forward(network(), image);
    const shares = softmax(outputs[outputs.length - 1].values);
    if (model.get("scales") && measured !== network()) requestAnimationFrame(measure);
    seen.paint(image.values, SIDE, SIDE, grey(0, 1));
    answered.show(shares, names(model));
    recipe.show();
    showLayers(outputs);
    const words = [seen.pen().words, inWords(shares, names(model)), showChosen(outputs)];
    say([...words, model.get("scales") ? through(found) : ""].join(" ").trim());
  };
  return follow(model, [...KEYS, "weights"], show);
}

/**
 * White at zero, on the scale of one layer; grey where there is no number.
 * @param {Float32Array} values
 */
function coloured(values) {
  const colour = signed(values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  return (/** @type {number} */ value) => (Number.isNaN(value) ? BETWEEN : colour(value));
}

/** @param {import("./parts.js").Attributes} place */
function framed(place) {
  return ["explorer-window-out", "explorer-window"].map((name) =>
    draw("rect", { ...place, class: name })
  );
}

/**
 * How much of the difference between pictures a layer passes on, and how much it is told to change.
 * @param {ReturnType<typeof bar>[]} bars
 * @param {Scale} scale
 */
function showScale(bars, { signal, weightGradient }) {
  const parts = [["signal", signal], ["gradient", weightGradient]].map(([word, value], k) => {
    if (value === null) return "";
    bars[k].show((Math.log10(Number(value)) + 5) / 6); // from a hundred-thousandth to ten
    return make(
      "span",
      {},
      make("span", {}, `${word} ${number(Number(value), 2)}`),
      bars[k].element,
    );
  });
  return make("span", { class: "xray-scales" }, ...parts);
}

/**
 * @param {ArrayLike<number>} shares
 * @param {string[]} words
 */
function inWords(shares, words) {
  const order = DIGITS.map(Number).sort((a, b) => shares[b] - shares[a]);
  const [first, second] = order.map((k) => `${words[k]} (${shares[k].toFixed(2)})`);
  return `LeNet answers ${first}, then ${second}.`;
}

/** @param {Scale[]} found */
function through(found) {
  const [first, last] = ["conv1", "fc3"].map((name) => found.find((scale) => scale.name === name));
  if (!first || !last) return "";
  const signal = compared(last.signal / first.signal);
  const gradient = compared(Number(first.weightGradient) / Number(last.weightGradient));
  return `The signal in fc3 is ${signal} than in conv1; ` +
    `the gradient of conv1's weights is ${gradient} than that of fc3's.`;
}

/** @param {number} ratio */
function compared(ratio) {
  return ratio < 1 ? `${number(1 / ratio, 2)} times smaller` : `${number(ratio, 2)} times larger`;
}

export default { render };
