// Small repairs to the markup of the theme and of notebook outputs, for keyboards and screen readers.

// A box that scrolls sideways must be reachable with the keyboard, and only while it does scroll.
const BOXES = "pre, .cell_output .output, .pst-scrollable-table-container, div.math";

function markScrollingBoxes() {
  for (const box of document.querySelectorAll(BOXES)) {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// The logo and the search button of the sidebar stand outside every landmark.
function nameSidebar() {
  const sidebar = document.getElementById("pst-primary-sidebar");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");
}

// A data frame has a header cell with nothing in it above its row labels.
function dropEmptyHeaders() {
  for (const header of document.querySelectorAll("th:empty")) {
    header.replaceWith(document.createElement("td"));
  }
}

// Sphinx gives each work of a list of sources a role that has been withdrawn.
function nameSources() {
  for (const work of document.querySelectorAll('[role="doc-biblioentry"]')) {
    work.setAttribute("role", "listitem");
  }
}

// What folds the pages below a chapter open is an arrow without words.
function nameArrows() {
  for (const arrow of document.querySelectorAll(".has-children > details > summary")) {
    const chapter = arrow.closest(".has-children").querySelector("a").textContent.trim();
    arrow.setAttribute("aria-label", `Pages below ${chapter}`);
  }
}

nameSidebar();
nameSources();
nameArrows();
dropEmptyHeaders();
markScrollingBoxes();
window.addEventListener("resize", markScrollingBoxes);
document.fonts?.ready.then(markScrollingBoxes);
