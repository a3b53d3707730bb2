// @ts-check
// Chapter "Speed": how long a training step takes, and where its time goes, from a recorded grid.

import { choice, draw, follow, frame, ink, make, number, sheet, slider, toggle } from "./parts.js";

const KEYS = ["batch", "channels", "precision", "channels_last"];
const [BATCHES, CHANNELS] = [[32, 128, 512], [1, 2, 4]];
const PLAIN = { batch: 128, channels: 1, precision: "float32", channels_last: false };
/** What a reader calls the kinds of work, and their colours. */
const KINDS = {
  convolution: { name: "convolution", colour: [0, 114, 178] },
  pooling: { name: "pooling", colour: [230, 159, 0] },
  other: { name: "the rest", colour: [204, 121, 167] },
  update: { name: "update", colour: [0, 158, 115] },
};

/**
 * @typedef {{ batch: number, channels: number, precision: string, channels_last: boolean }} Setting
 * @typedef {Setting & {
 *   seconds: number, operations: number, parts: Record<string, number>,
 * }} Step
 * @typedef {{
 *   name: string, threads: number, floor: Record<string, number>, steps: Step[],
 * }} Speed
 * @typedef {{ kind: keyof typeof KINDS, forward: number, backward: number, whole: number }} Time
 */

/**
 * The step that was measured with the largest numbers up to those that are asked for.
 * @param {Speed} speed
 * @param {Setting} asked
 * @returns {Step}
 */
export function chosen({ steps }, asked) {
  const upTo = (/** @type {number[]} */ values, /** @type {number} */ most) =>
    Math.max(...values.filter((value) => value <= most));
  const wanted = {
    ...asked,
    batch: upTo(BATCHES, asked.batch),
    channels: upTo(CHANNELS, asked.channels),
  };
  const fits = (/** @type {Record<string, any>} */ step) =>
    Object.entries(wanted).every(([key, value]) => step[key] === value);
  return /** @type {Step} */ (steps.find(fits));
}

/**
 * Seconds of each kind of work, forward and backward; the update has one of both.
 * @param {Step} step
 * @returns {Time[]}
 */
export function times({ parts }) {
  return Object.keys(KINDS).map((name) => {
    const [forward, backward] = ["forward", "backward"].map((way) => parts[`${name} ${way}`] ?? 0);
    const kind = /** @type {keyof typeof KINDS} */ (name);
    return { kind, forward, backward, whole: forward + backward + (parts[name] ?? 0) };
  });
}

/**
 * What is said of a step.
 * @param {Speed} speed
 * @param {Step} step
 */
export function told(speed, step) {
  const plain = chosen(speed, PLAIN);
  const [each, plainly] = [step, plain].map(({ seconds, batch }) => seconds / batch);
  const work = step.operations / step.batch / (plain.operations / plain.batch);
  const against = step === plain
    ? "This is the plain step."
    : `A picture takes ${number(each / plainly, 2)} times as long as in the plain step, for ` +
      `${work === 1 ? "as many" : `${number(work, 3)} times the`} multiply-adds.`;
  const share = step.operations / step.seconds / speed.floor[step.precision];
  const parts = times(step);
  const whole = parts.reduce((sum, part) => sum + part.whole, 0);
  const percent = (/** @type {number} */ k) => `${number(100 * parts[k].whole / whole, 2)} %`;
  return `${number(1000 * step.seconds)} ms a step, ${perSecond(step)} pictures a second. ` +
    `${against} Convolutions take ${percent(0)} of it, and pooling, which multiplies nothing, ` +
    `${percent(1)}. As a matrix product, all multiply-adds would take ${number(100 * share, 2)} %.`;
}

const perSecond = (/** @type {Step} */ { batch, seconds }) =>
  Math.round(batch / seconds).toLocaleString("en");

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  /** @type {DataView} */
  const file = model.get("record");
  /** @type {Speed} */
  const speed = JSON.parse(new TextDecoder().decode(file)).devices.cpu;
  const plain = chosen(speed, PLAIN);
  const wide = chosen(speed, { ...PLAIN, channels: 4 });
  const { stage, controls, say } = frame({ model, el }, {
    title: "Where a training step spends its time",
    hint: `give LeNet four times its channels. A picture then needs ${
      number(wide.operations / plain.operations, 3)
    } times the multiply-adds. Guess first: how many times as long does it take?`,
    keys: KEYS,
  });
  const now = () =>
    chosen(
      speed,
      /** @type {Setting} */ (Object.fromEntries(KEYS.map((key) => [key, model.get(key)]))),
    );

  const { svg, again } = sheet((svg, width) => {
    const step = now();
    const alone = step.operations / speed.floor[step.precision];
    const longest = Math.max(...[step, plain].map(({ seconds, batch }) => seconds / batch));
    const x = (/** @type {number} */ seconds, /** @type {number} */ batch) =>
      width * seconds / batch / longest;
    const microseconds = (/** @type {number} */ seconds, /** @type {number} */ batch) =>
      `${number(1e6 * seconds / batch)} µs`;
    svg.replaceChildren(
      words(12, `The plain step: ${microseconds(plain.seconds, plain.batch)} for a picture`),
      ...stacked(plain, 18, 14),
      words(56, `Your step: ${microseconds(step.seconds, step.batch)} for a picture`),
      ...stacked(step, 62, 34),
      words(
        120,
        `Its multiply-adds alone, as a matrix product: ${microseconds(alone, step.batch)}`,
      ),
      draw("rect", {
        y: 126,
        width: Math.max(1, x(alone, step.batch)),
        height: 14,
        class: "explorer-floor",
      }),
    );
    return 142;

    function words(/** @type {number} */ y, /** @type {string} */ text) {
      return draw("text", { y }, text);
    }

    /** A bar of coloured parts; each has its name where there is room. */
    function stacked(
      /** @type {Step} */ { parts, seconds, batch },
      /** @type {number} */ y,
      /** @type {number} */ height,
    ) {
      const all = times(/** @type {Step} */ ({ parts }));
      const whole = all.reduce((sum, time) => sum + time.whole, 0);
      let left = 0;
      return all.flatMap(({ kind, whole: own }) => {
        const [start, length] = [left, x(seconds, batch) * own / whole];
        left += length;
        const { name, colour } = KINDS[kind];
        const place = { x: start, y, width: length, height, fill: `rgb(${colour})` };
        const bar = draw("rect", { ...place, class: "explorer-kind" });
        if (height < 20 || length < 7.5 * name.length) return [bar];
        const middle = { x: start + length / 2, y: y + height / 2 };
        const style = `fill: ${ink(colour)}`;
        return [
          bar,
          draw("text", {
            ...middle,
            style,
            "text-anchor": "middle",
            "dominant-baseline": "central",
          }, name),
        ];
      });
    }
  }, { "aria-hidden": "true" });

  const lines = Object.values(KINDS).map(({ name, colour }) => {
    const cells = [0, 1, 2, 3].map(() => make("td"));
    const swatch = make("span", { class: "explorer-swatch", style: `background: rgb(${colour})` });
    return {
      cells,
      line: make("tr", {}, make("th", { scope: "row" }, swatch, name), ...cells),
    };
  });
  const heads = ["forward", "backward", "both", "share"].map((name) =>
    make("th", { scope: "col" }, name)
  );
  const table = make(
    "table",
    { class: "explorer-times" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "ms a step"), ...heads)),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  const threads = `${speed.threads} ${speed.threads === 1 ? "thread" : "threads"}`;
  const source = make(
    "p",
    { class: "explorer-source" },
    `Measured with ${threads}: ${speed.name}.`,
  );
  stage.append(svg, table, source);
  controls.append(
    slider(model, "batch", "Batch", { values: BATCHES }),
    slider(model, "channels", "Channels", { values: CHANNELS, format: (times) => `× ${times}` }),
    choice(model, "precision", "Precision"),
    toggle(model, "channels_last", "channels last"),
  );

  return follow(model, KEYS, () => {
    const step = now();
    const all = times(step);
    const whole = all.reduce((sum, time) => sum + time.whole, 0);
    all.forEach(({ forward, backward, whole: own }, k) => {
      const ms = [forward, backward, own].map((seconds) =>
        seconds ? number(1000 * seconds, 2) : "–"
      );
      const texts = [...ms, `${number(100 * own / whole, 2)} %`];
      lines[k].cells.forEach((cell, i) => cell.textContent = texts[i]);
    });
    again();
    say(told(speed, step));
  });
}

export default { render };
