// @ts-check
// Where networks are wrong: a digit can be moved over its canvas, and each network has a map with a
// pixel for each place. The maps fill while nothing else is to be done.

import { change, clamp, drag, make, outline, picture, surface } from "./parts.js";

/** @typedef {import("./parts.js").Model} Model */

const WRONG = [176, 62, 0];
const RIGHT = [255, 255, 255];
const UNKNOWN = [160, 160, 160];
const [PIECE, LONG_PIECE] = [4, 12]; // milliseconds of a frame in which networks are asked
const REST = 300; // milliseconds without a change, after which nobody waits for a frame

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
 * All places of a digit, the middle first, then those further and further out.
 * @param {number} far pixels that it moves to every side
 * @returns {number[][]} pairs of down and right
 */
export function places(far) {
  const side = 2 * far + 1;
  const all = Array.from(
    { length: side * side },
    (_, k) => [Math.floor(k / side) - far, k % side - far],
  );
  const reach = (/** @type {number[]} */ [down, right]) =>
    Math.max(Math.abs(down), Math.abs(right));
  return all.sort((one, other) => reach(one) - reach(other));
}

/**
 * Move the digit, within its limits.
 * @param {Model} model
 * @param {number} far
 * @param {number} down
 * @param {number} right
 */
export function moveTo(model, far, down, right) {
  change(model, { down: clamp(down, -far, far), right: clamp(right, -far, far) });
}

/**
 * Let a reader drag a picture from where it is held.
 * @param {Model} model
 * @param {ReturnType<typeof picture>} seen
 * @param {number} far
 * @param {number} side pixels of the picture
 */
export function movable(model, seen, far, side) {
  const now = () => [model.get("down"), model.get("right")];
  let [down0, right0] = [0, 0];
  surface(seen, {
    to(across, along, event) {
      const [i, j] = [Math.floor(along * side), Math.floor(across * side)];
      if (event.type === "pointerdown") [down0, right0] = [i - now()[0], j - now()[1]];
      else moveTo(model, far, i - down0, j - right0);
    },
    by: (right, down) => moveTo(model, far, now()[0] + down, now()[1] + right),
    hover: false,
  });
}

/**
 * The map of a network, its answer below in words; a press chooses a place. Keys do so at the digit,
 * which is one stop for all maps.
 * @param {Model} model
 * @param {string} label
 * @param {number} far
 */
export function mapOfPlaces(model, label, far) {
  const side = 2 * far + 1;
  const now = () => [model.get("down"), model.get("right")];
  const map = picture(label);
  const told = make("span", { class: "explorer-answer" });
  map.element.append(told);
  drag(map.panel, {
    to: (across, along) =>
      moveTo(model, far, Math.floor(along * side) - far, Math.floor(across * side) - far),
  });
  /**
   * @param {Int8Array} answers
   * @param {number} digit the right answer
   */
  const show = (answers, digit) => {
    const colour = (/** @type {number} */ answer) =>
      answer < 0 ? UNKNOWN : answer === digit ? RIGHT : WRONG;
    map.paint(answers, side, side, colour);
    const [row, column] = now().map((steps) => steps + far);
    map.marks.replaceChildren(...outline(row, column, 1, 1));
    const answer = answers[row * side + column];
    const wrong = answers.filter((one) => one !== digit).length;
    const count = answers.includes(-1) ? "…" : `wrong: ${wrong} / ${answers.length}`;
    told.textContent = answer < 0
      ? ""
      : `${answer === digit ? "✓" : "✗"} reads ${answer}\n${count}`;
  };
  return { element: map.element, show };
}

/** What the colours of the maps mean; grey is gone when all places have been asked. */
export function legend() {
  return make(
    "p",
    { class: "explorer-legend" },
    "Each map has a pixel for each place of the digit: white where the answer is right, dark orange " +
      "where it is wrong, grey where the network has not been asked yet.",
  );
}

/**
 * Ask networks for their answers: where the digit is now, then at all other places.
 * @param {Model} model
 * @param {{
 *   names: string[],
 *   far: number,
 *   ask: (name: string, down: number, right: number) => number,
 *   show: (found: Record<string, Int8Array>) => void,
 * }} task `show` is called after each piece; an answer of -1 is not known yet
 */
export function survey(model, { names, far, ask, show }) {
  const side = 2 * far + 1;
  const order = places(far);
  /** @type {Record<string, Int8Array>} */
  let found = {};
  let waiting = 0;
  let changed = 0;
  /** @param {number[]} place */
  const open = ([down, right]) => {
    const k = (down + far) * side + right + far;
    const name = names.find((one) => found[one][k] < 0);
    return name ? { name, k, down, right } : null;
  };
  const next = () => {
    const here = open([model.get("down"), model.get("right")]);
    const place = here ? null : order.find((one) => open(one));
    return here ?? (place ? open(place) : null);
  };
  const work = () => {
    waiting = 0;
    const start = performance.now();
    const piece = start - changed < REST ? PIECE : LONG_PIECE;
    let question = next();
    if (!question) return;
    do {
      found[question.name][question.k] = ask(question.name, question.down, question.right);
      question = next();
    } while (question && performance.now() - start < piece);
    show(found);
    if (question) waiting = requestAnimationFrame(work);
  };
  /** @param {boolean} afresh whether what was found holds no longer */
  const go = (afresh) => {
    changed = performance.now();
    if (afresh) {
      const none = () => new Int8Array(side * side).fill(-1);
      found = Object.fromEntries(names.map((name) => [name, none()]));
    }
    show(found);
    waiting ||= requestAnimationFrame(work);
  };
  return { go, stop: () => cancelAnimationFrame(waiting) };
}
