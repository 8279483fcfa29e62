// The desk of an alert: the claim's time left and keeping it while somebody works, and the seconds an undo has left.
// Without this file the page says the same when it is loaded again.
const byId = (id) => document.getElementById(id);
const BEAT_MS = 60_000;
let used = Date.now(), beat = Date.now();
for (const sign of ["pointerdown", "pointermove", "keydown", "scroll", "focusin"]) {
  document.addEventListener(sign, () => { used = Date.now(); }, { passive: true, capture: true });
}

function clock(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
// Counted by the server's clock, which every part that comes from it brings along.
let said = "", ahead = 0;
function hear() {
  for (const part of document.querySelectorAll("[data-now]")) {
    if (part.dataset.now <= said) continue;
    said = part.dataset.now;
    ahead = Date.now() - Date.parse(said);
  }
}
const secondsTo = (iso) => Math.ceil((Date.parse(iso) - Date.now() + ahead) / 1000);

// A claim is kept while the page is seen and used: an empty chair gives it back.
function keep(lease) {
  const left = byId("lease-left"), seconds = secondsTo(left.dateTime);
  left.textContent = clock(Math.max(0, seconds));
  lease.toggleAttribute("data-short", seconds < 120);
  if (seconds <= 0) {
    lease.removeAttribute("data-keep");
    setTimeout(() => htmx.ajax("GET", byId("desk").dataset.href, { source: "#desk", target: "#desk", swap: "outerMorph" }), 1000);
  } else if (document.visibilityState === "visible" && Date.now() - beat >= BEAT_MS && used > beat) {
    beat = Date.now();
    htmx.ajax("POST", lease.dataset.keep, { source: lease, target: "#lease", swap: "outerMorph" });
  }
}

let told = "";
function count() {
  hear();
  const lease = document.querySelector("#lease[data-keep]");
  if (lease) keep(lease);
  for (const part of document.querySelectorAll("[data-until]")) {
    const seconds = secondsTo(part.dataset.until);
    const shown = part.querySelector("[data-seconds]");
    if (shown) shown.textContent = `${Math.max(0, seconds)} s`;
    part.hidden = seconds <= 0;
  }
  const toast = byId("undo-toast");
  if (toast && !toast.hidden && told !== toast.dataset.until) {
    told = toast.dataset.until;
    byId("status-region").textContent = `${byId("undo-words").textContent}. ${byId("undo").firstChild.textContent.trim()}: ${secondsTo(told)} s`;
  }
}
setInterval(count, 1000);
document.addEventListener("htmx:after:swap", count);
count();
