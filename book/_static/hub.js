// The button "JupyterHub" needs the address of a hub. Where the book was built with the placeholder
// of _config.yml, ask the reader for it, remember the answer, and go there with the same notebook.
const PLACEHOLDER = "https://hub.example.org";
const REMEMBERED = "cnncourse-hub";

function hubAddress(answer) {
  const address = new URL(answer.includes("://") ? answer : `https://${answer}`);
  // Someone may paste the address of a page of the hub, which goes on with /hub/...
  return address.origin + address.pathname.replace(/\/hub(\/.*)?$/, "").replace(/\/$/, "");
}

function openOnHub(event) {
  event.preventDefault();
  const before = localStorage.getItem(REMEMBERED) ?? "";
  const answer = window.prompt("Address of your JupyterHub (ask your instructor):", before);
  if (!answer?.trim()) return;
  let hub;
  try {
    hub = hubAddress(answer.trim());
  } catch {
    window.alert(`“${answer}” is not an address. It looks like https://hub.your-school.edu`);
    return;
  }
  localStorage.setItem(REMEMBERED, hub);
  const link = event.currentTarget.href.replace(PLACEHOLDER, hub);
  window.open(link, "_blank", "noopener");
}

for (const link of document.querySelectorAll(`a[href^="${PLACEHOLDER}/"]`)) {
  link.addEventListener("click", openOnHub);
}
