// @ts-check
// What explorers are made of: the box, controls that follow the model, pictures, dragging.

/**
 * What a module is given, on a page as in a notebook: the names of anywidget.
 * @typedef {{
 *   get(key: string): any,
 *   set(key: string, value: any): void,
 *   save_changes(): void,
 *   on(event: string, callback: () => void): void,
 *   off(event: string, callback: () => void): void,
 * }} Model
 * @typedef {{ model: Model, el: HTMLElement }} Context
 * @typedef {Record<string, any>} Attributes
 * @typedef {Node | string} Child
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element; an attribute that is a function listens, one that is false or null is left out.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * The same for what is drawn.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * @param {Element} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Set values that belong together, and tell Python of them.
 * @param {Model} model
 * @param {Record<string, any>} values
 */
export function change(model, values) {
  for (const [key, value] of Object.entries(values)) model.set(key, value);
  model.save_changes();
}

/**
 * Call `show` now and once a frame after any of the keys has changed; return what ends this.
 * @param {Model} model
 * @param {string[]} keys
 * @param {() => void} show
 */
export function follow(model, keys, show) {
  let waiting = 0;
  const later = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      show();
    });
  };
  for (const key of keys) model.on(`change:${key}`, later);
  show();
  return () => {
    cancelAnimationFrame(waiting);
    for (const key of keys) model.off(`change:${key}`, later);
  };
}

/**
 * The box of an explorer: what to try first, a place to draw, controls, what is said, a way back.
 * `say` waits until nothing has changed for a moment, so that a screen reader is not interrupted.
 * `wait` shows dots, which are not spoken, in the place of words that hold no longer.
 * @param {Context} context
 * @param {{ title: string, hint: string, keys: string[] }} words `keys` go back on "Reset"
 */
export function frame({ model, el }, { title, hint, keys }) {
  const first = Object.fromEntries(keys.map((key) => [key, model.get(key)]));
  const stage = make("div", { class: "explorer-stage" });
  const controls = make("div", { class: "explorer-controls" });
  const said = make("p", { class: "explorer-said", role: "status" });
  const reset = button("Reset", () => change(model, first));
  el.append(make(
    "div",
    // JupyterLab keeps arrow keys for itself without this.
    {
      class: `explorer-box explorer-${model.get("kind")}`,
      role: "group",
      "aria-label": title,
      "data-lm-suppress-shortcuts": "true",
    },
    make("p", { class: "explorer-hint" }, make("b", {}, "Try first: "), hint),
    stage,
    controls,
    make("div", { class: "explorer-end" }, said, reset),
  ));
  let [waiting, next] = [0, ""];
  const say = (/** @type {string} */ text) => {
    if (text === next) return; // the same once more need not wait once more
    next = text;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      said.removeAttribute("aria-busy");
      if (said.textContent !== text) said.textContent = text;
    }, said.textContent ? 250 : 0);
  };
  const wait = () => {
    next = "";
    clearTimeout(waiting);
    said.setAttribute("aria-busy", "true");
  };
  return { stage, controls, say, wait };
}

/**
 * @param {string} text
 * @param {() => void} press
 * @param {Attributes} [attributes]
 */
export function button(text, press, attributes = {}) {
  return make(
    "button",
    { type: "button", class: "explorer-button", click: press, ...attributes },
    text,
  );
}

/**
 * A slider for a number of the model, within the limits that Python has for it, or through a list.
 * @param {Model} model
 * @param {string} key
 * @param {string} label
 * @param {{ step?: number, values?: number[], format?: (value: number) => string }} [options]
 */
export function slider(model, key, label, { step = 1, values, format = String } = {}) {
  const [min, max] = values ? [0, values.length - 1] : model.get("limits")[key];
  // The range itself says its value, in `aria-valuetext`.
  const shown = make("span", { class: "explorer-value", "aria-hidden": "true" });
  const range = make("input", {
    type: "range",
    min,
    max,
    step,
    input: () => change(model, { [key]: values ? values[range.value] : Number(range.value) }),
  });
  follow(model, [key], () => {
    const value = model.get(key);
    range.value = values ? values.findLastIndex((one) => one <= value) : value;
    shown.textContent = format(value);
    range.setAttribute("aria-valuetext", shown.textContent);
  });
  return make("label", { class: "explorer-slider" }, make("span", {}, label), range, shown);
}

/**
 * A list to choose from; Python's limits name what it may hold.
 * @param {Model} model
 * @param {string} key
 * @param {string} label
 * @param {Record<string, string>} [names] what a reader sees in place of Python's word
 */
export function choice(model, key, label, names = {}) {
  const options = model.get("limits")[key].map((/** @type {string} */ value) =>
    make("option", { value }, names[value] ?? value)
  );
  const select = make(
    "select",
    { change: () => change(model, { [key]: select.value }) },
    ...options,
  );
  follow(model, [key], () => {
    select.value = model.get(key);
  });
  return make("label", { class: "explorer-choice" }, make("span", {}, label), select);
}

/**
 * @param {Model} model
 * @param {string} key
 * @param {string} label
 */
export function toggle(model, key, label) {
  const box = make("input", {
    type: "checkbox",
    change: () => change(model, { [key]: box.checked }),
  });
  follow(model, [key], () => {
    box.checked = model.get(key);
  });
  return make("label", { class: "explorer-toggle" }, box, label);
}

/**
 * A picture of h x w numbers with a drawing on top, in whose units a pixel is 1 x 1. Hidden from a
 * screen reader: `say` tells what it shows.
 * @param {string} title
 */
export function picture(title) {
  const canvas = make("canvas", { class: "explorer-pixels" });
  const marks = draw("svg", { class: "explorer-marks" });
  const name = make("figcaption", {}, title);
  const panel = make("div", { class: "explorer-panel", "aria-hidden": "true" }, canvas, marks);
  const element = make("div", { class: "explorer-picture" }, name, panel);
  /**
   * @param {ArrayLike<number>} values row by row
   * @param {number} h
   * @param {number} w
   * @param {(value: number) => number[]} colour from a value to red, green and blue of 0 to 255
   */
  function paint(values, h, w, colour) {
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      marks.setAttribute("viewBox", `0 0 ${w} ${h}`);
      panel.style.aspectRatio = `${w} / ${h}`;
    }
    const pixels = new ImageData(w, h);
    for (let k = 0; k < h * w; k++) pixels.data.set([...colour(values[k]), 255], 4 * k);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }
  return { element, panel, marks, paint, name };
}

/**
 * A drawing in CSS pixels: `paint` fills it for a width and returns its height. It is called by
 * `again`, and when the width changes.
 * @param {(svg: SVGSVGElement, width: number) => number} paint
 * @param {Attributes} [attributes]
 */
export function sheet(paint, attributes = {}) {
  const svg = draw("svg", { class: "explorer-sheet", ...attributes });
  let drawn = 0;
  const again = () => {
    drawn = svg.getBoundingClientRect().width;
    const width = Math.round(drawn) || 640;
    const height = paint(svg, width);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
  };
  const resized = () => svg.getBoundingClientRect().width !== drawn && again();
  new ResizeObserver(() => requestAnimationFrame(resized)).observe(svg);
  return { svg, again };
}

/**
 * From black at `low` to white at `high`.
 * @param {number} low
 * @param {number} high
 */
export function grey(low, high) {
  return (/** @type {number} */ value) => {
    const level = 255 * clamp((value - low) / (high - low || 1), 0, 1);
    return [level, level, level];
  };
}

/**
 * White at zero, blue below and orange above; negative is the darker one, so it reads in grey.
 * @param {number} most
 */
export function signed(most) {
  return (/** @type {number} */ value) => {
    const part = clamp(Math.abs(value) / (most || 1), 0, 1);
    const end = value < 0 ? [0, 70, 140] : [230, 140, 0];
    return end.map((level) => 255 + (level - 255) * part);
  };
}

/**
 * Black or white, whichever is read on a ground of this colour.
 * @param {number[]} colour red, green and blue
 */
export function ink([red, green, blue]) {
  const light = [red, green, blue].map((level) => (level / 255) ** 2.2);
  // As far from black as from white, by the contrast that WCAG defines.
  return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] > 0.179 ? "#000" : "#fff";
}

/**
 * The numbers of a small picture, each in its pixel.
 * @param {import("./arithmetic.js").Grid} grid
 * @param {(value: number) => number[]} colour with which the picture is painted
 * @param {(value: number) => string} [say]
 */
export function written({ values, h, w }, colour, say = number) {
  if (Math.max(h, w) > 8) return [];
  return Array.from(values, (value, k) => {
    const text = say(value);
    return draw("text", {
      x: k % w + 0.5,
      y: Math.floor(k / w) + 0.5,
      "text-anchor": "middle",
      "dominant-baseline": "central",
      "font-size": Math.min(0.36, 1.5 / text.length),
      fill: ink(colour(value)),
    }, text);
  });
}

/**
 * A mark around a window of h x w pixels, seen on any ground.
 * @param {number} row
 * @param {number} column
 * @param {number} h
 * @param {number} w
 * @param {string} [name] a class for the line
 */
export function outline(row, column, h, w, name = "explorer-window") {
  const place = { x: column, y: row, width: w, height: h };
  return ["explorer-window-out", name].map((line) => draw("rect", { ...place, class: line }));
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/**
 * A number as the book writes it: few digits, a true minus sign, a dash where there is none.
 * @param {number} value
 * @param {number} [digits]
 */
export function number(value, digits = 3) {
  if (Number.isNaN(value)) return "–";
  const text = String(Number(value.toPrecision(digits)) || 0);
  return text.replace("-", "−");
}

/**
 * Follow a finger or a pointer over an element, and arrow keys when it has the focus. `to` takes the
 * place as fractions of width and height, `by` takes steps to the right and down.
 * @param {HTMLElement | SVGElement} element
 * @param {{
 *   to?: (x: number, y: number, event: PointerEvent) => void,
 *   by?: (right: number, down: number, event: KeyboardEvent) => void,
 *   hover?: boolean,
 *   slides?: boolean,
 * }} reactions `hover`: a mouse need not be pressed; `slides`: `by` gets the other keys of a slider
 * too, as four steps and as infinitely many
 */
export function drag(element, { to, by, hover = false, slides = false }) {
  const move = (/** @type {PointerEvent} */ event) => {
    const box = element.getBoundingClientRect();
    to?.((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, event);
  };
  element.classList.add("explorer-drag");
  element.addEventListener("pointerdown", (event) => {
    const pressed = /** @type {PointerEvent} */ (event);
    element.setPointerCapture(pressed.pointerId);
    move(pressed);
  });
  element.addEventListener("pointermove", (event) => {
    const moved = /** @type {PointerEvent} */ (event);
    if (moved.buttons || (hover && moved.pointerType === "mouse")) move(moved);
  });
  /** @type {Record<string, [number, number]>} */
  const steps = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
    ...slides &&
      { Home: [-Infinity, 0], End: [Infinity, 0], PageUp: [0, -4], PageDown: [0, 4] },
  };
  element.addEventListener("keydown", (event) => {
    const pressed = /** @type {KeyboardEvent} */ (event);
    if (!by || !(pressed.key in steps)) return;
    pressed.preventDefault();
    by(...steps[pressed.key], pressed);
  });
}

/**
 * Let a reader point into a picture: with a mouse or a finger, and with arrow keys.
 * @param {ReturnType<typeof picture>} shown
 * @param {Parameters<typeof drag>[1]} reactions
 */
export function surface({ panel, name }, reactions) {
  panel.tabIndex = 0;
  panel.removeAttribute("aria-hidden");
  panel.setAttribute("role", "application");
  panel.setAttribute("aria-label", `${name.textContent}: arrow keys`);
  drag(panel, { hover: true, ...reactions });
}
