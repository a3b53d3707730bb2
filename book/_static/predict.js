// Predict, then see: what answers a question stays folded until the reader has guessed, or does not
// want to. The key stands in a template of the form. Nothing is sent, and nothing is remembered.
"use strict"; // so that what is declared in the block stays in it
{
  const FOLD = "until-found"; // hidden, but the browser's search finds it and opens it
  const SHOW = "Show without a guess";
  const HIDE = "Fold away again";

  // The outputs and the text behind a question, up to the next code behind a text, or a heading. A
  // text right before the next question belongs to that one.
  function answering(box, cells) {
    const parts = [];
    let [part, isTold] = [box.nextElementSibling, false];
    for (; part && !part.matches("section, .predict"); part = part.nextElementSibling) {
      const isCell = part.matches(".cell");
      if (isCell && isTold && --cells < 1) break;
      isTold = !isCell;
      parts.push(...(isCell ? part.querySelectorAll(".cell_output") : [part]));
    }
    if (isTold && part?.matches(".predict")) parts.pop();
    return parts;
  }

  // 6x24x24, (6, 24, 24) and 6,24,24 are one shape; 83, 83 % and 0.83 are one share.
  function numbers(text, answer) {
    if (/ × |, /.test(answer)) return (text.match(/[-−]?\d+(\.\d+)?/g) ?? []).map(toNumber);
    const number = toNumber(text.replace(/[a-z%\s]+$/i, ""));
    if (!answer.includes("%")) return [text.includes("%") ? number / 100 : number];
    const isShare = !text.includes("%") && number <= 1 && parseFloat(answer) > 1;
    return [isShare ? 100 * number : number];
  }

  const within = (some, others, distance) =>
    some.length === others.length && some.every((one, k) => Math.abs(one - others[k]) <= distance + 1e-9);

  function start(box) {
    const form = box.querySelector("form");
    const [check, show] = form.querySelectorAll("button");
    const said = form.querySelector(".said");
    const key = form.querySelector("template");
    const { answer, near, cells } = key.dataset;
    const isChoice = Boolean(form.querySelector("[type=radio]"));
    const parts = answering(box, cells);
    const beside = document.createElement("p"); // the guess, next to the result
    beside.className = "guess";
    parts[0]?.before(beside);
    const measured = document.createElement("p");
    measured.append("This is measured. Nobody can work it out on paper.");
    let [guess, verdict] = ["", ""];

    const quoted = text => (isChoice ? `“${text}”` : text);
    const told = text => (text ? `You said ${quoted(text)}; it is ${quoted(answer)}.` : `It is ${quoted(answer)}.`);

    function toggle(isOpen) {
      for (const part of parts) part.hidden = isOpen ? false : FOLD;
      show.textContent = isOpen ? HIDE : SHOW;
      show.ariaExpanded = isOpen;
      beside.textContent = isOpen ? verdict : "The output waits for your guess.";
      dispatchEvent(new Event("resize")); // boxes have a width only now
    }

    function say(kind, head, words) {
      const first = document.createElement("p");
      first.append(head);
      said.className = `said ${kind}`;
      said.replaceChildren(first, ...(words?.hasChildNodes() ? [words.cloneNode(true)] : []));
    }

    function reveal(kind, head, words) {
      verdict = guess && head;
      say(kind, head, words);
      toggle(true);
    }

    function refuse() {
      const sample = form.querySelector("label").textContent.match(/such as .*\d/)?.[0] ?? "such as 2";
      const ask = isChoice ? "Choose an answer first" : `Write a number first, ${sample}`;
      say("", guess ? `Write your guess as digits, ${sample}.` : `${ask}, or show the output without a guess.`);
    }

    /** What a guess without a name may be told: how many numbers, how many right, or which side. */
    function hint(given, right) {
      if (given.length !== right.length) return `The question asks for ${right.length} number${right.length > 1 ? "s" : ""}.`;
      if (right.length === 1) return given[0] < right[0] ? "That is too small." : "That is too large.";
      const hits = given.filter((number, place) => number === right[place]).length;
      return `${hits} of the ${right.length} numbers are right.`;
    }

    function answerNumber() {
      const [given, right] = [numbers(guess, answer), numbers(answer, answer)];
      if (!given.length || given.some(isNaN)) return refuse();
      const wordsFor = some => [...key.content.children].find(one => within(some, numbers(one.dataset.key, answer), 0));
      const words = wordsFor(given);
      if (within(given, right, 0)) return reveal("right", `You said ${guess}. That is right.`, words);
      if (near && within(given, right, parseFloat(near))) {
        return reveal("right", `You said ${guess}; it is ${answer}. That is near.`, words ?? wordsFor(right));
      }
      if (words || near) return reveal("wrong", told(guess), words ?? measured);
      say("wrong", `You said ${guess}. ${hint(given, right)} Try once more, or show the output.`);
      toggle(false);
    }

    function answerChoice() {
      const words = [...key.content.children].find(one => one.dataset.key === guess);
      if (guess === answer) reveal("right", `You said ${quoted(guess)}. That is right.`, words);
      else reveal("wrong", told(guess), words);
    }

    form.addEventListener("submit", event => {
      event.preventDefault();
      guess = (new FormData(form).get("guess") ?? "").trim();
      if (guess === "") refuse();
      else if (isChoice) answerChoice();
      else answerNumber();
    });
    show.addEventListener("click", () => {
      if (show.ariaExpanded === "true") return toggle(false);
      reveal("", told(guess));
    });
    for (const part of parts) part.addEventListener("beforematch", () => toggle(true));
    form.hidden = false;
    toggle(false);
    return target => parts.some(part => part.contains(target)) && toggle(true);
  }

  const openers = [...document.querySelectorAll(".predict")].map(start);

  // A link may lead into what is folded, or below it. That to an explorer ends in its state.
  function follow() {
    const target = document.getElementById(location.hash.slice(1).split("?")[0]);
    openers.forEach(open => open(target));
    target?.scrollIntoView();
  }

  if (location.hash) follow();
  addEventListener("hashchange", follow);
}
