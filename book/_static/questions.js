// Questions with a key: what is said to an answer stands, folded, below each form. "Check" copies it
// into the form, where a screen reader hears it.
"use strict"; // so that what is declared in the block stays in it
{
  const NOTHING = "Choose an option, or write a number.";
  const UNKNOWN = "No. This number has no name here: work it out once more, or open the answer.";

  const near = (given, key) =>
    Math.abs(toNumber(given) - Number(key.dataset.key)) <= Number(key.dataset.tolerance) + 1e-9;

  function find(form, given) {
    const keys = [...form.parentElement.querySelectorAll("[data-key]")];
    const isChoice = form.querySelector("[type=radio]");
    return keys.find(key => (isChoice ? key.dataset.key === given : near(given, key)));
  }

  function answer(form) {
    const said = form.querySelector(".said");
    const given = (new FormData(form).get("answer") ?? "").trim();
    const key = given && find(form, given);
    said.classList.toggle("right", Boolean(key) && "right" in key.dataset);
    said.classList.toggle("wrong", Boolean(given) && !(key && "right" in key.dataset));
    if (key) said.replaceChildren(...[...key.childNodes].map(node => node.cloneNode(true)));
    else said.textContent = given ? UNKNOWN : NOTHING;
  }

  for (const form of document.querySelectorAll(".question form")) {
    const button = form.querySelector("button");
    button.hidden = button.disabled = false;
    form.addEventListener("submit", event => {
      event.preventDefault();
      answer(form);
    });
  }
}
