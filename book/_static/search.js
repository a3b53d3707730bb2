// The search of the book: as a reader types, the sections that hold the words, the best ones first.
// The sections stand in sections.js, which tools/pages/search.py writes and a first letter loads.
"use strict"; // so that what is declared in the block stays in it
{
  const ROOT = document.documentElement.dataset.content_root;
  const MOST = 20;
  const COMMON = new Set(
    ("a an and are as at be by can do does for from how i in is it its of on or that the this to " +
      "was what when where which who why with you").split(" "));
  // What a hit counts, by the part of the section where it is.
  const WEIGHTS = { title: 10, terms: 10, page: 4, code: 1 };
  const MOST_IN_TEXT = 4;
  const LENGTH = 190; // of an excerpt, in characters

  let loaded;

  function loadSections() {
    loaded ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = `${ROOT}sections.js`;
      script.onload = () => done(window.SECTIONS);
      script.onerror = failed;
      document.head.append(script);
    });
    return loaded;
  }

  const WORD = "[\\p{L}\\p{N}]";

  // "pooling" also finds "pools": endings are cut from both.
  function forms(word) {
    const stem = word.length > 4 ? word.replace(/(ing|ions?|ed|es|s)$/, "") : word;
    return new RegExp(`(?<!${WORD})${stem}(?:ing|ions?|ional|ed|es|s)?(?!${WORD})`, "giu");
  }

  // A word that nobody wrote is half typed: what begins with it counts.
  function pattern(word, sections) {
    const whole = forms(word);
    const isKnown = sections.some(section => Object.values(section).some(text => count(text, whole)));
    return isKnown ? whole : new RegExp(`(?<!${WORD})${word}${WORD}*`, "giu");
  }

  function patterns(query, sections) {
    const words = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
    const rare = words.filter(word => !COMMON.has(word));
    return [...new Set(rare.length ? rare : words)].map(word => pattern(word, sections));
  }

  const count = (text, wanted) => text.match(wanted)?.length ?? 0;

  function score(section, wanted) {
    const parts = Object.entries(WEIGHTS);
    const outside = parts.map(([part, weight]) => (count(section[part], wanted) ? weight : 0));
    const hits = count(section.text, wanted);
    const length = section.text.length / 1000; // in a long section a word says less
    return Math.max(...outside) + (hits && (MOST_IN_TEXT * hits) / (hits + length));
  }

  // Sections with all words; where there is none, those with the most of them.
  function rank(sections, wanted) {
    const scored = sections.map(section => {
      const scores = wanted.map(word => score(section, word));
      return { section, hits: scores.filter(Boolean).length, sum: scores.reduce((a, b) => a + b, 0) };
    });
    const most = Math.max(0, ...scored.map(one => one.hits));
    const best = scored.filter(one => most > 0 && one.hits === most);
    return best.sort((a, b) => b.sum - a.sum).map(one => one.section);
  }

  // The place from which on most of the words, and most different ones, stand close together.
  function bestPlace(text, wanted) {
    const hits = wanted.flatMap(word => [...text.matchAll(word)].map(hit => ({ word, at: hit.index })));
    const near = from => hits.filter(hit => hit.at >= from && hit.at < from + LENGTH / 2);
    const value = from => 10 * new Set(near(from).map(hit => hit.word)).size + near(from).length;
    return hits.map(hit => hit.at).sort((a, b) => value(b) - value(a) || a - b)[0] ?? 0;
  }

  function excerpt(text, wanted) {
    const place = bestPlace(text, wanted) - LENGTH / 3;
    const start = place <= 0 ? 0 : text.indexOf(" ", place) + 1;
    const end = text.length - start < LENGTH ? text.length : text.lastIndexOf(" ", start + LENGTH);
    return (start ? "… " : "") + text.slice(start, end) + (end < text.length ? " …" : "");
  }

  function element(name, ...content) {
    const made = document.createElement(name);
    made.append(...content);
    return made;
  }

  function marked(text, wanted) {
    const pieces = text.split(new RegExp(`(${wanted.map(word => word.source).join("|")})`, "giu"));
    return pieces.map((piece, place) => (place % 2 ? element("mark", piece) : piece));
  }

  function result(section, wanted) {
    const link = element("a", ...marked(section.title, wanted));
    link.href = ROOT + section.url;
    const from = section.page ? [element("span", section.page)] : [];
    return element("li", link, ...from, element("p", ...marked(excerpt(section.text, wanted), wanted)));
  }

  function say(found) {
    if (!found.length) return "Nothing found.";
    if (found.length > MOST) return `${found.length} sections, the first ${MOST} of them here.`;
    return found.length === 1 ? "One section." : `${found.length} sections.`;
  }

  async function show(query, status, list) {
    const sections = query.trim() ? await loadSections() : [];
    const wanted = patterns(query, sections);
    const found = rank(sections, wanted);
    status.textContent = wanted.length ? say(found) : "";
    list.replaceChildren(...found.slice(0, MOST).map(section => result(section, wanted)));
  }

  function addResults(form) {
    const input = form.elements.q;
    const status = element("p");
    status.setAttribute("role", "status");
    const list = element("ol");
    const box = element("div", status, list);
    box.className = "search-results";
    form.after(box);
    input.addEventListener("input", () => show(input.value, status, list));
    return () => show(input.value, status, list);
  }

  for (const form of document.querySelectorAll("form.bd-search")) {
    const update = addResults(form);
    if (form.closest("dialog")) continue;
    form.elements.q.value = new URLSearchParams(location.search).get("q") ?? "";
    form.elements.q.focus();
    update();
  }
}
