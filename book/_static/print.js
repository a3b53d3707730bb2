// On paper nothing can be opened: before printing, each answer moves to the end of the chapter,
// under the name of its exercise, and all else that is folded opens. Afterwards all is as it was.
"use strict"; // so that what is declared in the block stays in it
{
  let undo = [];

  function open(details) {
    if (details.open) return;
    details.open = true;
    undo.push(() => { details.open = false; });
  }

  const isAnswer = details => /^answer/i.test(details.querySelector("summary")?.textContent.trim() ?? "");

  // The nearest bold text before the answer names the exercise.
  function nameOf(details) {
    let block = details.previousElementSibling;
    while (block && !block.querySelector("strong")) block = block.previousElementSibling;
    return block?.querySelector("strong").textContent ?? "";
  }

  function moveToEnd(answers, article) {
    const end = document.createElement("section");
    const title = document.createElement("h2");
    title.textContent = "Answers";
    end.append(title);
    for (const details of answers) {
      const name = document.createElement("h3");
      name.append(nameOf(details));
      const place = document.createComment("");
      details.replaceWith(place);
      end.append(name, ...details.querySelector(".sd-summary-content").cloneNode(true).childNodes);
      undo.push(() => place.replaceWith(details));
    }
    article.append(end);
    undo.push(() => end.remove());
  }

  function toPaper() {
    const article = document.querySelector("article");
    const folded = [...article.querySelectorAll("details")];
    const answers = folded.filter(isAnswer);
    folded.filter(details => !isAnswer(details)).forEach(open);
    if (answers.length) moveToEnd(answers, article);
    const { theme } = document.documentElement.dataset;
    document.documentElement.dataset.theme = "light";
    undo.push(() => { document.documentElement.dataset.theme = theme; });
  }

  function toScreen() {
    undo.reverse().forEach(step => step());
    undo = [];
  }

  window.addEventListener("beforeprint", toPaper);
  window.addEventListener("afterprint", toScreen);
}
