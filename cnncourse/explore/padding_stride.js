// @ts-check
// Chapter "Padding and stride": every window over a row of pixels, and the law that counts them.

import { clamp, draw, follow, frame, make, number, sheet, slider } from "./parts.js";

const KEYS = ["size", "kernel_size", "padding", "stride", "dilation"];

/**
 * The numbers of one axis: pixels, kernel, padding per side, stride, dilation.
 * @typedef {{ n: number, k: number, p: number, s: number, d: number }} Axis
 */

/**
 * All windows: the pixels that each sees (below 0 and from n on they are padding), how many windows
 * see each pixel, and what the division of the law leaves.
 * @param {Axis} axis
 */
export function windows({ n, k, p, s, d }) {
  const span = d * (k - 1) + 1;
  const room = n + 2 * p - span;
  const out = room < 0 ? 0 : Math.floor(room / s) + 1;
  const seen = Array.from({ length: out }, (_, t) => pixelsOf(t));
  const used = Array.from(
    { length: n },
    (_, pixel) => seen.filter((window) => window.includes(pixel)).length,
  );
  const next = pixelsOf(out);
  return { span, room, out, seen, used, next, left: room < 0 ? 0 : room % s };

  function pixelsOf(/** @type {number} */ t) {
    return Array.from({ length: k }, (_, a) => t * s + a * d - p);
  }
}

/**
 * The law, once with letters and once with numbers; without dilation the kernel spans k pixels.
 * @param {Axis} axis
 */
export function law(axis) {
  const { n, k, p, s, d } = axis;
  const { room, out } = windows(axis);
  const [span, its] = d === 1 ? ["k", k] : ["d·(k − 1) − 1", `${d}·(${k} − 1) − 1`];
  const letters = `⌊(n + 2p − ${span}) / s⌋ + 1`;
  const filled = `⌊(${n} + 2·${p} − ${its}) / ${s}⌋ + 1`;
  const quotient = ` = ⌊${room} / ${s}⌋ + 1 = ⌊${number(room / s)}⌋ + 1 = ${out}`;
  return [letters, out ? filled + quotient : `${filled}, but the difference is ${number(room)}`];
}

/**
 * What is seen, in words.
 * @param {Axis} axis
 */
export function words(axis) {
  const { span, out, used, left } = windows(axis);
  const padded = axis.n + 2 * axis.p;
  if (!out) return `No window fits: the kernel spans ${span} pixels, the padded row has ${padded}.`;
  const unseen = used.flatMap((count, pixel) => count ? [] : [pixel]);
  const never = `No window sees ${unseen.length > 1 ? "pixels" : "pixel"} ${listed(unseen)}. `;
  const counts = used.filter(Boolean);
  const [low, high] = [Math.min(...counts), Math.max(...counts)];
  const often = low < high ? `${low} to ${high} times` : low === 1 ? "once" : `${low} times`;
  const who = unseen.length ? "Each of the others" : "Every pixel";
  return `${axis.n} ${axis.n > 1 ? "pixels" : "pixel"}, ${out} ${
    out > 1 ? "windows" : "window"
  }. ` +
    `${unseen.length ? never : ""}${counts.length ? `${who} is used ${often}. ` : ""}` +
    `Left over at the end: ${left}.`;
}

/**
 * @param {number[]} places
 */
function listed(places) {
  const last = places[places.length - 1];
  return places.length > 1 ? `${places.slice(0, -1).join(", ")} and ${last}` : String(last);
}

/** @param {import("./parts.js").Context} context */
function render({ model, el }) {
  const { stage, controls, say } = frame({ model, el }, {
    title: "Windows over a row of pixels",
    hint: "make the row one pixel shorter, then longer. When does the number of windows change?",
    keys: KEYS,
  });
  const now = () => {
    const [n, k, p, s, d] = KEYS.map((key) => model.get(key));
    return { n, k, p, s, d };
  };
  const LEFT = 66;

  const { svg, again } = sheet((svg, width) => {
    const axis = now();
    const { n, p } = axis;
    const { out, seen, used, next } = windows(axis);
    const end = Math.max(n + p, next[next.length - 1] + 1);
    const cell = Math.min(32, (width - LEFT) / (end + p));
    const line = clamp(300 / (out + 1), 9, 20);
    const x = (/** @type {number} */ pixel) => LEFT + (pixel + p) * cell;
    const head = cell > 17 ? 0 : 16; // small pixels have their numbers above
    const top = head + cell + 8;
    const y = (/** @type {number} */ t) => top + t * line;
    const bottom = y(out + 1) + 6;
    const every = Math.ceil(14 / line);
    const text = (
      /** @type {string | number} */ words,
      /** @type {Record<string, any>} */ place,
    ) => draw("text", { "dominant-baseline": "central", ...place }, String(words));

    svg.replaceChildren(
      text("pixel", { x: 0, y: Math.max(cell, head) / 2 }),
      ...Array.from({ length: n + 2 * p }, (_, place) => pixel(place - p)).flat(),
      ...seen.flatMap((window, t) => row(window, t, false)),
      ...row(next, out, true),
      text("used", { x: 0, y: bottom + 9 }),
      ...used.map((count, pixel) =>
        text(count, {
          ...middle(pixel, bottom + 9),
          style: `font-size: ${Math.min(13, cell + 2)}px`,
          "font-weight": count ? "normal" : "bold",
        })
      ),
    );
    return bottom + 22;

    function middle(/** @type {number} */ pixel, /** @type {number} */ y) {
      return { x: x(pixel) + cell / 2, y, "text-anchor": "middle" };
    }
    function pixel(/** @type {number} */ place) {
      const [left, size] = [x(place) + 1, cell - 2];
      const inside = place >= 0 && place < n;
      const named = inside && (!head || place % 5 === 0);
      const box = { x: left, y: head + 1, width: size, height: size };
      const unseen = inside && !used[place];
      const strokes = [0.33, 0.67, 1, 1.33, 1.67].map((part) => {
        const [low, high] = [Math.max(0, part - 1) * size, Math.min(1, part) * size];
        return `M${left + low} ${head + 1 + high}L${left + high} ${head + 1 + low}`;
      });
      return [
        draw("rect", { ...box, class: inside ? "explorer-pixel" : "explorer-padding" }),
        ...(unseen ? [draw("path", { d: strokes.join(""), class: "explorer-unseen" })] : []),
        ...(named
          ? [text(place, {
            ...middle(place, (head || cell) / 2),
            ...(unseen && !head ? { "font-weight": "bold", class: "explorer-halo" } : {}),
          })]
          : []),
      ];
    }
    function row(
      /** @type {number[]} */ window,
      /** @type {number} */ t,
      /** @type {boolean} */ ghost,
    ) {
      const level = y(t) + line / 2;
      const named = t % every === 0 && t + every <= out;
      const name = ghost ? "no room" : named ? `window ${t}` : "";
      const ends = [x(window[0]) + cell / 2, x(window[window.length - 1]) + cell / 2];
      const bar = draw("path", {
        d: `M${ends[0]} ${level}L${ends[1]} ${level}`,
        class: ghost ? "explorer-ghost" : "explorer-edges",
      });
      const side = Math.min(cell, line) - 2;
      const weights = window.map((place) => {
        const box = { x: x(place) + 1, y: level - side / 2, width: cell - 2, height: side };
        const inside = place >= 0 && place < n;
        return draw("rect", {
          ...box,
          class: ghost ? "explorer-ghost" : inside ? "explorer-seen" : "explorer-on-padding",
        });
      });
      return [text(name, { x: 0, y: level }), bar, ...weights];
    }
  }, { role: "img", "aria-label": "All windows; the words below say what they see" });

  const sliders = [
    ["size", "pixels n"],
    ["kernel_size", "kernel k"],
    ["padding", "padding p, per side"],
    ["stride", "stride s"],
    ["dilation", "dilation d"],
  ].map(([key, label]) => slider(model, key, label));
  const [letters, filled] = [make("div"), make("div")];
  controls.remove();
  stage.append(
    make("div", { class: "explorer-sliders" }, ...sliders),
    make("div", { class: "explorer-law" }, letters, filled),
    svg,
  );

  return follow(model, KEYS, () => {
    again();
    const [general, here] = law(now());
    letters.textContent = `windows = ${general}`;
    filled.textContent = `= ${here}`;
    say(words(now()));
  });
}

export default { render };
