// @ts-check
// Chapter "The shift test": a small digit on a canvas, seven networks that read it, and a map of
// where each of them is wrong.

import { forward, readNetwork } from "./network.js";
import {
  change,
  clamp,
  follow,
  frame,
  grey,
  make,
  outline,
  picture,
  slider,
  surface,
} from "./parts.js";

/** @typedef {import("./network.js").Network} Network */

const SIDE = 28; // of the canvas
const SMALL = SIDE / 2; // of a digit on it
const FAR = 7; // pixels that it can move to every side
const PLACES = 2 * FAR + 1;
const WRONG = [176, 62, 0];
const RIGHT = [255, 255, 255];
const UNKNOWN = [160, 160, 160];
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
 * The class with the highest score; on a tie the lowest class.
 * @param {ArrayLike<number>} scores
 */
export function highest(scores) {
  let best = 0;
  for (let k = 1; k < scores.length; k++) if (scores[k] > scores[best]) best = k;
  return best;
}

/**
 * All places of the digit, the middle first, then those further and further out.
 * @returns {number[][]} pairs of down and right
 */
export function places() {
  const all = Array.from(
    { length: PLACES * PLACES },
    (_, k) => [Math.floor(k / PLACES) - FAR, k % PLACES - FAR],
  );
  const reach = (/** @type {number[]} */ [down, right]) =>
    Math.max(Math.abs(down), Math.abs(right));
  return all.sort((one, other) => reach(one) - reach(other));
}

/**
 * Where the middle of a map lies: place 0 is up and left.
 * @param {number} down
 * @param {number} right
 */
const at = (down, right) => (down + FAR) * PLACES + right + FAR;

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
  const { stage, controls, say } = frame({ model, el }, {
    title: "A digit moves, and seven networks read it",
    hint: "drag the eight one pixel down and two to the right. Which networks change their answer?",
    keys: KEYS,
  });
  const seen = picture("Drag the digit");
  const maps = make("div", { class: "explorer-networks" });
  const names = Object.keys(NAMES);
  /** @type {Record<string, Network>} */
  const networks = {};
  for (const name of names) networks[name] = readNetwork(model.get(name));
  const cards = names.map((name) => card(name));
  maps.append(...cards.map(({ element }) => element));
  stage.append(make("div", { class: "explorer-canvas" }, seen.element), maps);
  controls.append(
    slider(model, "digit", "Digit"),
    slider(model, "right", "To the right"),
    slider(model, "down", "Down"),
  );

  const moveTo = (/** @type {number} */ down, /** @type {number} */ right) =>
    change(model, { down: clamp(down, -FAR, FAR), right: clamp(right, -FAR, FAR) });
  let hold = [0, 0];
  surface(seen, {
    to(across, along, event) {
      const place = [Math.floor(along * SIDE), Math.floor(across * SIDE)];
      if (event.type === "pointerdown") {
        hold = [place[0] - model.get("down"), place[1] - model.get("right")];
      } else moveTo(place[0] - hold[0], place[1] - hold[1]);
    },
    by: (right, down) => moveTo(model.get("down") + down, model.get("right") + right),
    hover: false,
  });

  /** @param {string} name */
  function card(name) {
    const map = picture(NAMES[name]);
    const answer = make("span", { class: "explorer-answer" });
    map.element.append(answer);
    surface(map, {
      to: (across, along) =>
        moveTo(Math.floor(along * PLACES) - FAR, Math.floor(across * PLACES) - FAR),
      by: (right, down) => moveTo(model.get("down") + down, model.get("right") + right),
      hover: false,
    });
    return { name, map, answer, element: map.element };
  }

  // What has been computed for the digit: an answer for each network and place, -1 for none yet.
  let digit = -1;
  /** @type {Record<string, Int8Array>} */
  let found = {};
  const order = places();
  const bytes = () => {
    const file = model.get("digits");
    return new Uint8Array(file.buffer, file.byteOffset + digit * SIDE * SIDE, SIDE * SIDE);
  };
  const ask = (
    /** @type {string} */ name,
    /** @type {number} */ down,
    /** @type {number} */ right,
  ) => {
    const outputs = forward(networks[name], onCanvas(bytes(), down, right));
    found[name][at(down, right)] = highest(outputs[outputs.length - 1].values);
  };
  /** The next question: for where the digit is now, then for all other places. */
  const next = () => {
    const [down, right] = [model.get("down"), model.get("right")];
    const here = names.find((name) => found[name][at(down, right)] < 0);
    if (here) return { name: here, down, right };
    for (const [i, j] of order) {
      const name = names.find((one) => found[one][at(i, j)] < 0);
      if (name) return { name, down: i, right: j };
    }
    return null;
  };

  let working = 0;
  // A frame has 16 ms: questions are asked for half of them, and one at least.
  const work = () => {
    working = 0;
    const start = performance.now();
    let question = next();
    if (!question) return;
    do {
      ask(question.name, question.down, question.right);
      question = next();
    } while (question && performance.now() - start < 8);
    showAnswers();
    if (question && el.isConnected) working = requestAnimationFrame(work);
  };

  const showAnswers = () => {
    const place = at(model.get("down"), model.get("right"));
    const [row, column] = [model.get("down") + FAR, model.get("right") + FAR];
    /** @type {Record<string, number>} */
    const now = {};
    for (const { name, map, answer } of cards) {
      const answers = found[name];
      map.paint(
        answers,
        PLACES,
        PLACES,
        (value) => value < 0 ? UNKNOWN : value === digit ? RIGHT : WRONG,
      );
      map.marks.replaceChildren(...outline(row, column, 1, 1));
      const [known, wrong] = [
        answers.filter((one) => one >= 0),
        answers.filter((one) => one >= 0 && one !== digit),
      ];
      const counted = known.length < answers.length
        ? "…"
        : `, wrong at ${wrong.length} of ${answers.length}`;
      if (answers[place] >= 0) now[name] = answers[place];
      const verdict = answers[place] === digit ? "✓" : "✗";
      answer.textContent = answers[place] < 0 ? "" : `${verdict} reads ${answers[place]}${counted}`;
    }
    if (Object.keys(now).length === names.length) say(told(digit, now));
  };

  const show = () => {
    if (digit !== model.get("digit")) {
      digit = model.get("digit");
      found = Object.fromEntries(
        names.map((name) => [name, new Int8Array(PLACES * PLACES).fill(-1)]),
      );
    }
    const canvas = onCanvas(bytes(), model.get("down"), model.get("right"));
    seen.paint(canvas.values, SIDE, SIDE, grey(0, 1));
    showAnswers();
    working ||= requestAnimationFrame(work);
  };
  const end = follow(model, KEYS, show);
  return () => {
    end();
    cancelAnimationFrame(working);
  };
}

export default { render };
