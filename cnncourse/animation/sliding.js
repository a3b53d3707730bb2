for (const box of document.querySelectorAll(".sliding:not([data-ready])")) {
  box.dataset.ready = "";
  const find = (name) => box.querySelector(`.sliding-${name}`);
  const cells = (name) => [...find(name).rows].map((row) => [...row.cells]);
  const [image, kernel, output] = [cells("image"), cells("kernel"), cells("output").flat()];
  const words = [...box.querySelectorAll("li")].map((item) => item.textContent);
  const columns = image[0].length - kernel[0].length + 1, last = words.length - 1;
  const button = (text) => `<button type="button" class="sliding-${text.toLowerCase()}"
    data-lm-suppress-shortcuts="true">${text}</button>`;
  find("text").insertAdjacentHTML("afterend", `<div class="sliding-controls">
    ${button("Previous")}${button("Next")}${button("Play")}<label>Step <input type="range"
    class="sliding-range" max="${last}" data-lm-suppress-shortcuts="true"></label></div>`);
  const [text, play, range] = [find("text"), find("play"), find("range")];
  let step = 0, timer = null;

  function show(next) {
    step = Math.max(0, Math.min(last, next));
    const [top, left] = [Math.floor(step / columns), step % columns];
    image.forEach((row, i) => row.forEach((cell, j) => {
      const weight = kernel[i - top]?.[j - left]?.textContent;
      cell.classList.toggle("sliding-on", weight !== undefined);
      if (weight === undefined) delete cell.dataset.weight;
      else cell.dataset.weight = weight;
    }));
    output.forEach((cell, k) => {
      cell.textContent = k > step ? "" : words[k].split("= ").pop();
      cell.classList.toggle("sliding-on", k === step);
    });
    text.textContent = `Step ${step + 1} of ${last + 1}. ${words[step]}`;
    range.value = step;
    range.setAttribute("aria-valuetext", `${step + 1} of ${last + 1}`);
    find("previous").setAttribute("aria-disabled", step === 0);
    find("next").setAttribute("aria-disabled", step === last);
    if (step === last) stop();
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  function start() {
    if (step === last) show(0);
    timer = setInterval(() => (box.isConnected ? show(step + 1) : stop()), 1500);
    play.textContent = "Pause";
  }
  find("previous").onclick = () => { stop(); show(step - 1); };
  find("next").onclick = () => { stop(); show(step + 1); };
  range.oninput = () => { stop(); show(Number(range.value)); };
  play.onclick = () => (timer === null ? start() : stop());
  for (const mark of box.querySelectorAll("b")) mark.replaceWith(mark.textContent);
  show(0);
}
