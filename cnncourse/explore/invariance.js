// @ts-check
// Chapter "Invariance": a digit that is moved and whose pixels are shuffled, and what networks that
// were made for one order or the other make of it.

import { forward, readNetwork } from "./network.js";
import { follow, frame, grey, make, number, picture, slider, toggle } from "./parts.js";
import { highest, legend, mapOfPlaces, movable, survey } from "./where.js";

/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./operators.js").Tensor} Tensor */

const SIDE = 28;
const FAR = 4; // pixels that a digit moves to every side
const KEYS = ["digit", "right", "down", "shuffled"];
/** @typedef {Record<string, string>} Names */
/** @type {{ made: string, names: Names }} */
const IN_ORDER = {
  made: "pixels in order",
  names: { dense: "dense", conv_mean: "conv, mean", conv_max: "conv, largest" },
};
/** @type {{ made: string, names: Names }} */
const SHUFFLED = {
  made: "shuffled pixels",
  names: { dense_twin: "dense, weights shuffled", conv_mean_shuffled: "conv, mean" },
};
const NAMES = Object.keys({ ...IN_ORDER.names, ...SHUFFLED.names });

/**
 * The picture that networks see: a digit is moved, with black behind it, and then shuffled.
 * @param {ArrayLike<number>} bytes 28 x 28, from 0 to 255
 * @param {number} down
 * @param {number} right
 * @param {ArrayLike<number>} [order] from which place each pixel comes
 * @returns {Tensor}
 */
export function seenPicture(bytes, down, right, order) {
  const inside = (/** @type {number} */ k) => k >= 0 && k < SIDE;
  const values = new Float32Array(SIDE * SIDE).map((_, k) => {
    const place = order ? order[k] : k;
    const [i, j] = [Math.floor(place / SIDE) - down, place % SIDE - right];
    return inside(i) && inside(j) ? bytes[i * SIDE + j] / 255 : 0;
  });
  return { shape: [1, SIDE, SIDE], values };
}

/**
 * The network whose first layer has its weights in the order of the shuffled pixels.
 * @param {Network} network a dense one
 * @param {ArrayLike<number>} order
 * @returns {Network}
 */
export function twin(network, order) {
  const name = `${network.layers.find(({ type }) => type === "Linear")?.name}.weight`;
  const { shape, values } = network.weights[name];
  const columns = shape[1];
  const moved = values.map((_, k) => values[k - k % columns + order[k % columns]]);
  return { ...network, weights: { ...network.weights, [name]: { shape, values: moved } } };
}

/**
 * What is said: the order of the pixels, and what each network reads.
 * @param {boolean} shuffled
 * @param {Record<string, number>} answers
 */
export function told(shuffled, answers) {
  const parts = [IN_ORDER, SHUFFLED].map(({ made, names }) => {
    const read = Object.entries(names).map(([name, words]) => {
      return `${words.replace(",", "")} ${answers[name]}`;
    });
    return `Those made for ${made} read: ${read.join(", ")}.`;
  });
  return `The networks get ${(shuffled ? SHUFFLED : IN_ORDER).made}. ${parts.join(" ")}`;
}

/**
 * The numbers of a file, each of two bytes.
 * @param {DataView} file
 */
function readOrder(file) {
  return Uint16Array.from({ length: file.byteLength / 2 }, (_, k) => file.getUint16(2 * k, true));
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say, wait } = frame({ model, el }, {
    title: "A digit is moved and shuffled, and networks read it",
    hint: "drag the digit to the left until a network errs. Then shuffle the pixels: which map " +
      "comes back unchanged?",
    keys: KEYS,
  });
  const order = readOrder(model.get("order"));
  /** @type {Record<string, Network>} */
  const networks = {};
  for (const name of ["dense", "conv_mean", "conv_max", "conv_mean_shuffled"]) {
    networks[name] = readNetwork(model.get(name));
  }
  networks.dense_twin = twin(networks.dense, order);
  const [digit, seen] = [picture("Drag the digit"), picture("What they get")];
  const explained = legend();
  explained.append(" The percentage is for the order that a network was made for.");
  movable(model, digit, FAR, SIDE);
  const groups = [group(IN_ORDER), group(SHUFFLED)];
  const cards = Object.assign({}, ...groups.map((one) => one.cards));
  stage.append(
    make(
      "div",
      { class: "explorer-pictures" },
      digit.element,
      seen.element,
      toggle(model, "shuffled", "shuffle the pixels"),
    ),
    make(
      "div",
      { class: "explorer-groups" },
      ...groups.map(({ element }) => element),
      explained,
    ),
  );
  controls.append(
    slider(model, "digit", "Digit"),
    slider(model, "right", "To the right", { format: (steps) => number(steps) }),
    slider(model, "down", "Down", { format: (steps) => number(steps) }),
  );

  /** @param {{ made: string, names: Names }} networks of one order */
  function group({ made, names }) {
    const own = Object.entries(names).map(([name, label]) => {
      const map = mapOfPlaces(model, label, FAR);
      const share = Math.round(100 * networks[name].about.test_accuracy);
      map.element.append(
        make("span", { class: "explorer-share" }, `${share} % of test digits right`),
      );
      return { name, ...map };
    });
    const title = make("p", { class: "explorer-made" }, `Made for ${made}`);
    const other = make("span", {}, ` (not what they get)`);
    title.append(other);
    const fits = (/** @type {boolean} */ now) => other.hidden = now;
    const maps = make("div", { class: "explorer-networks" });
    maps.append(...own.map(({ element }) => element));
    const element = make("div", { role: "group", "aria-label": `Made for ${made}` }, title, maps);
    return { element, fits, cards: Object.fromEntries(own.map((one) => [one.name, one])) };
  }

  const bytes = () => {
    const file = model.get("digits");
    const first = file.byteOffset + model.get("digit") * SIDE * SIDE;
    return new Uint8Array(file.buffer, first, SIDE * SIDE);
  };
  const pixels = () => (model.get("shuffled") ? order : undefined);
  const asked = survey(model, {
    names: NAMES,
    far: FAR,
    ask(name, down, right) {
      const outputs = forward(networks[name], seenPicture(bytes(), down, right, pixels()));
      return highest(outputs[outputs.length - 1].values);
    },
    show(found) {
      const k = (model.get("down") + FAR) * (2 * FAR + 1) + model.get("right") + FAR;
      for (const name of NAMES) cards[name].show(found[name], model.get("digit"));
      const now = Object.fromEntries(NAMES.map((name) => [name, found[name][k]]));
      if (!Object.values(now).includes(-1)) say(told(model.get("shuffled"), now));
    },
  });
  let known = "";
  const show = () => {
    const [down, right] = [model.get("down"), model.get("right")];
    digit.paint(seenPicture(bytes(), down, right).values, SIDE, SIDE, grey(0, 1));
    seen.paint(seenPicture(bytes(), down, right, pixels()).values, SIDE, SIDE, grey(0, 1));
    wait();
    groups.forEach(({ fits }, k) => fits(model.get("shuffled") === (k === 1)));
    const wanted = `${model.get("digit")} ${model.get("shuffled")}`;
    asked.go(known !== wanted);
    known = wanted;
  };
  const end = follow(model, KEYS, show);
  return () => {
    end();
    asked.stop();
  };
}

export default { render };
