// @ts-check
// Chapter "The shift test": a small digit on a canvas, seven networks that read it, and a map of
// where each of them is wrong.

import { forward, readNetwork } from "./network.js";
import { follow, frame, grey, make, picture, slider } from "./parts.js";
import { highest, legend, mapOfPlaces, movable, survey } from "./where.js";

/** @typedef {import("./network.js").Network} Network */

const SIDE = 28; // of the canvas
const SMALL = SIDE / 2; // of a digit on it
const FAR = 7; // pixels that it can move to every side
const PLACES = 2 * FAR + 1;
const KEYS = ["digit", "right", "down"];

/** @type {Record<string, string>} */
const NAMES = {
  perceptron: "perceptron",
  circular: "circular",
  zeros: "zeros",
  stride: "stride",
  max_pool: "max-pool",
  blur_pool: "blur-pool",
  dense: "dense end",
};

/**
 * Halve a picture, each pixel the mean of a square of 2 x 2, and lay it on an empty canvas: in the
 * middle, or as many pixels further down and to the right.
 * @param {ArrayLike<number>} bytes 28 x 28, from 0 to 255
 * @param {number} down
 * @param {number} right
 */
export function onCanvas(bytes, down = 0, right = 0) {
  const values = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < SMALL; i++) {
    for (let j = 0; j < SMALL; j++) {
      const k = 2 * i * SIDE + 2 * j;
      const mean = (bytes[k] + bytes[k + 1] + bytes[k + SIDE] + bytes[k + SIDE + 1]) / 4;
      values[(i + FAR + down) * SIDE + j + FAR + right] = mean / 255;
    }
  }
  return { shape: [1, SIDE, SIDE], values };
}

/**
 * What is said: who reads the digit now, and how many places each network gets wrong.
 * @param {number} digit
 * @param {Record<string, number>} answers of the networks that have answered
 */
export function told(digit, answers) {
  const who = (/** @type {boolean} */ right) =>
    Object.keys(answers).filter((name) => (answers[name] === digit) === right);
  const names = (/** @type {string[]} */ list) => list.map((name) => NAMES[name]).join(", ");
  const wrong = who(false).map((name) => `${NAMES[name]} says ${answers[name]}`);
  if (!wrong.length) return `All seven read ${digit}.`;
  return `Right: ${names(who(true)) || "none"}. Wrong: ${wrong.join(", ")}.`;
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say, wait } = frame({ model, el }, {
    title: "A digit moves, and seven networks read it",
    hint: "drag the eight one pixel down and two to the right. Which networks change their answer?",
    keys: KEYS,
  });
  const seen = picture("Drag the digit");
  const names = Object.keys(NAMES);
  /** @type {Record<string, Network>} */
  const networks = {};
  for (const name of names) networks[name] = readNetwork(model.get(name));
  const maps = names.map((name) => mapOfPlaces(model, NAMES[name], FAR));
  movable(model, seen, FAR, SIDE);
  stage.append(
    make("div", { class: "explorer-canvas" }, seen.element),
    make("div", { class: "explorer-networks" }, ...maps.map(({ element }) => element), legend()),
  );
  controls.append(
    slider(model, "digit", "Digit"),
    slider(model, "right", "To the right"),
    slider(model, "down", "Down"),
  );

  const bytes = () => {
    const file = model.get("digits");
    const first = file.byteOffset + model.get("digit") * SIDE * SIDE;
    return new Uint8Array(file.buffer, first, SIDE * SIDE);
  };
  const asked = survey(model, {
    names,
    far: FAR,
    ask(name, down, right) {
      const outputs = forward(networks[name], onCanvas(bytes(), down, right));
      return highest(outputs[outputs.length - 1].values);
    },
    show(found) {
      const k = (model.get("down") + FAR) * PLACES + model.get("right") + FAR;
      maps.forEach(({ show }, n) => show(found[names[n]], model.get("digit")));
      const now = Object.fromEntries(names.map((name) => [name, found[name][k]]));
      if (!Object.values(now).includes(-1)) say(told(model.get("digit"), now));
    },
  });
  let known = -1;
  const show = () => {
    const canvas = onCanvas(bytes(), model.get("down"), model.get("right"));
    wait();
    seen.paint(canvas.values, SIDE, SIDE, grey(0, 1));
    asked.go(known !== model.get("digit"));
    known = model.get("digit");
  };
  const end = follow(model, KEYS, show);
  return () => {
    end();
    asked.stop();
  };
}

export default { render };
