// @ts-check
// Explorers on a page: the output of a notebook holds the state of each, and the script of its name,
// the same that a notebook runs, is fetched when the reader comes near. A link may carry a state:
// page.html#explore-padding_stride?stride=2&dilation=3
"use strict";
{
  const root = new URL("explorers/", document.currentScript.src);
  // Files call this with their text: a page that is read from a disk cannot fetch or import them.
  const waiting = new Map();
  window.explorer = (name, text) => waiting.get(name)?.(text);

  const files = new Map();
  /** The text of a file of the folder `explorers`, asked for once. */
  function load(name) {
    if (!files.has(name)) {
      files.set(name, new Promise((resolve, reject) => {
        waiting.set(name, resolve);
        const script = document.createElement("script");
        script.src = new URL(`${name}.js`, root).href;
        script.onerror = () => reject(new Error(`${name}.js is missing`));
        document.head.append(script);
      }));
    }
    return files.get(name);
  }

  const bytes = text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);

  const same = (a, b) =>
    a === b || (!(a instanceof DataView) && JSON.stringify(a) === JSON.stringify(b));

  /** The part of anywidget's model that a page needs. */
  class Model {
    constructor(state) {
      this.state = { ...state };
      this.events = new EventTarget();
    }
    get(key) {
      return this.state[key];
    }
    set(key, value) {
      if (same(this.state[key], value)) return;
      this.state[key] = value;
      this.events.dispatchEvent(new Event(`change:${key}`));
      this.events.dispatchEvent(new Event("change"));
    }
    save_changes() {}
    on(event, callback) {
      this.events.addEventListener(event, callback);
    }
    off(event, callback) {
      this.events.removeEventListener(event, callback);
    }
  }

  const within = (value, [low, high]) =>
    Number.isFinite(value) && value >= (low ?? -Infinity) && value <= (high ?? Infinity);
  const isRectangle = rows =>
    Array.isArray(rows) && rows.every(Array.isArray) && rows.length > 0 && rows.length <= 28
    && rows[0].length > 0 && rows[0].length <= 28 && rows.every(row => row.length === rows[0].length);

  const sides = rows => `${rows.length} x ${rows[0].length}`;

  /** Read a value as the address has it; undefined if it is none that Python would accept. */
  function read(text, like, limits) {
    let value = text;
    try {
      if (typeof like !== "string") value = JSON.parse(text);
    } catch {
      return undefined;
    }
    const fits = {
      boolean: () => typeof value === "boolean",
      string: () => limits.includes(value),
      number: () => within(value, limits) && (limits[2] === "float" || Number.isInteger(value)),
      object: () =>
        isRectangle(value) && value.flat().every(item => within(item, limits))
        && (limits[2] !== "fixed" || sides(value) === sides(like)),
    };
    return fits[typeof like]() ? value : undefined;
  }

  const asText = value => (typeof value === "string" ? value : JSON.stringify(value));

  /** The part of the address behind the name of this explorer, or nothing. */
  function asked(box) {
    const [id, query] = location.hash.slice(1).split("?");
    return id === box.id ? new URLSearchParams(query ?? "") : null;
  }

  function withAddress(box, state) {
    const given = {};
    for (const [key, text] of asked(box) ?? []) {
      if (!Object.hasOwn(state.limits, key)) continue;
      const value = read(text, state[key], state.limits[key]);
      if (value !== undefined) given[key] = value;
    }
    return given;
  }

  /** Keep in the address what differs from the first state, a moment after the last change. */
  function writeAddress(box, model, first) {
    let later = 0;
    model.on("change", () => {
      clearTimeout(later);
      later = setTimeout(() => {
        const query = new URLSearchParams();
        for (const key of Object.keys(first.limits)) {
          const text = asText(model.get(key));
          if (text !== asText(first[key])) query.set(key, text);
        }
        history.replaceState(history.state, "", `#${box.id}${query.size ? `?${query}` : ""}`);
      }, 300);
    });
  }

  /** Fetch a file; a name in braces in its path stands for the word that the model has there. */
  async function fill(model, key, path) {
    const name = () => path.replace(/\{(\w+)\}/g, (_, word) => model.get(word));
    const asked = name();
    const text = await load(asked);
    if (asked === name()) model.set(key, bytes(text)); // and not what was asked for before
  }

  async function mount(box) {
    const { script, state, files } = JSON.parse(box.querySelector("script").textContent);
    const model = new Model(state);
    const [text] = await Promise.all([
      load(script),
      ...Object.entries(files).map(([key, path]) => fill(model, key, path)),
    ]);
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const module = await import(address);
    URL.revokeObjectURL(address);
    for (const [key, path] of Object.entries(files)) {
      const again = () => fill(model, key, path).catch(error => console.error(error));
      for (const [, word] of path.matchAll(/\{(\w+)\}/g)) model.on(`change:${word}`, again);
    }
    const el = box.querySelector(".explorer-live");
    await module.default.render({ model, el });
    box.dataset.live = "";
    if (location.hash.includes("?") && asked(box)) box.scrollIntoView(); // its height has changed
    // After `render`, so that "Reset" leads back to the book's state, and not to a link's.
    const apply = () => {
      if (!asked(box)) return;
      const given = { ...state, ...withAddress(box, state) };
      for (const key of Object.keys(state.limits)) model.set(key, given[key]);
    };
    apply();
    addEventListener("hashchange", apply);
    writeAddress(box, model, state);
  }

  const started = new Set();
  function start(box) {
    near.unobserve(box);
    if (!started.has(box)) mount(box).catch(error => console.error(error));
    started.add(box);
  }

  const near = new IntersectionObserver(entries => {
    entries.filter(({ isIntersecting }) => isIntersecting).forEach(({ target }) => start(target));
  }, { rootMargin: "600px" });

  const goTo = () => {
    const box = [...document.querySelectorAll(".explorer")].find(one => location.hash.includes("?") && asked(one));
    if (!box) return;
    box.scrollIntoView();
    start(box); // what stands above may still fold, and lead away from it
  };
  document.querySelectorAll(".explorer").forEach(box => near.observe(box));
  addEventListener("hashchange", goTo);
  goTo();
}
