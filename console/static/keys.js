// The keyboard. Keys and what they do come from the map (#keys), so that the map tells the truth; an element with
// data-key="c" is pressed by c (a field is focused), or only focused where it also has data-key-focus; then the focus goes
// to the first match of data-key-then.
// A small listener of our own: it goes by the letter that is typed, wherever it sits, also one that needs Shift on
// this keyboard (? and / do on many), and waits for the second key of a pair.
import { openPalette } from "./palette.js";

const byId = (id) => document.getElementById(id);
const PAIR_MS = 1200;
const TYPED = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]";
const map = byId("keys");
const doings = new Map([...(map?.querySelectorAll("[data-press]") ?? [])].map((entry) => [entry.dataset.press, entry.dataset.does]));
const seen = (element) => element.checkVisibility?.({ visibilityProperty: true }) ?? element.offsetParent !== null;
const singleKeys = () => document.body.dataset.keys !== "off";

// ---- rows ----
let current = ""; // id of the link of the row the keyboard is at
let place = 0;
const rowLinks = () => [...document.querySelectorAll("#main .row-link")].filter(seen);
const here = () => rowLinks().findIndex((link) => link.id === current);
const rowOf = (link) => link?.closest("tr, li, article") ?? null;
const checkOf = (link) => rowOf(link)?.querySelector(".row-check");

function mark(link) {
  for (const other of document.querySelectorAll(".row-link[aria-current]")) other.removeAttribute("aria-current");
  current = link?.id ?? "";
  if (!link) return;
  link.setAttribute("aria-current", "true");
  place = rowLinks().indexOf(link);
}
function move(step) {
  const links = rowLinks();
  if (!links.length) return null;
  const at = here();
  const next = links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)];
  next.focus({ preventScroll: true });
  mark(next);
  (rowOf(next) ?? next).scrollIntoView({ block: "nearest" });
  return next;
}
const check = (link, on) => { const box = checkOf(link); if (box && box.checked !== on) box.click(); };
function extend(step) {
  check(rowLinks()[Math.max(here(), 0)], true);
  check(move(step), true);
}
document.addEventListener("focusin", (event) => { if (event.target.matches(".row-link")) mark(event.target); });
// A swap may have taken the row away: the keyboard goes on at what stands there now.
document.addEventListener("htmx:after:swap", () => {
  if (!current) return;
  const links = rowLinks(), lost = document.activeElement === document.body;
  const link = byId(current) ?? links[Math.min(place, links.length - 1)];
  if (!link) { mark(null); return; }
  mark(link);
  if (lost) link.focus({ preventScroll: true });
});

// ---- from one alert to its neighbour in the list it was opened from ----
const LIST = "ronda-list";
const onAlert = /^\/alerts\/[^/]+$/;
function remember() {
  const paths = rowLinks().map((link) => link.pathname).filter((path) => onAlert.test(path));
  if (paths.length) try { sessionStorage.setItem(LIST, JSON.stringify(paths)); } catch { /* private window */ }
}
if (!onAlert.test(location.pathname)) document.addEventListener("click", (event) => { if (event.target.closest?.(".row-link")) remember(); });
function beside(step) {
  let paths = [];
  try { paths = JSON.parse(sessionStorage.getItem(LIST) ?? "[]"); } catch { /* none */ }
  const at = paths.indexOf(location.pathname);
  if (at >= 0 && paths[at + step]) location.href = paths[at + step];
}

// ---- what keys press ----
function target(key) {
  const wanted = `[data-key="${CSS.escape(key)}"]`;
  const inRow = rowOf(byId(current))?.querySelectorAll(wanted) ?? [];
  const usable = (element) => seen(element) && !element.disabled;
  return [...inRow].filter(usable).at(-1) ?? [...document.querySelectorAll(wanted)].filter(usable).at(-1);
}
export function press(element) {
  if (element.matches(TYPED) || "keyFocus" in element.dataset) {
    element.focus();
    element.scrollIntoView({ block: "nearest" });
  } else element.click();
  if (element.dataset.keyThen) [...document.querySelectorAll(element.dataset.keyThen)].find(seen)?.focus();
}
export const titleOf = (element) => element.dataset.keyTitle ?? element.getAttribute("aria-label") ?? (element.labels?.[0] ?? element).textContent.trim().replace(/\s+/g, " ");
export const pressable = () => [...document.querySelectorAll("[data-key]")].filter((element) => seen(element) && !element.disabled);

function showMap() {
  const list = map.querySelector("#keys-here dl"), acts = new Map(pressable().map((element) => [element.dataset.key, element]));
  list.replaceChildren(...[...acts].map(([key, element]) => {
    const entry = document.createElement("div"), cap = document.createElement("kbd"), term = document.createElement("dt"), words = document.createElement("dd");
    cap.textContent = key;
    term.append(cap);
    words.textContent = titleOf(element);
    entry.append(term, words);
    return entry;
  }));
  byId("keys-here").hidden = acts.size === 0;
  map.showModal();
}
function search() {
  const field = [...document.querySelectorAll("[data-search], #q, input[type=search]")].find(seen);
  if (field) { field.focus(); field.select(); } else location.href = "/jump";
}
const DOES = {
  "row:next": () => move(1),
  "row:previous": () => move(-1),
  "row:open": () => byId(current)?.click(),
  "row:select": () => checkOf(byId(current))?.click(),
  "row:extend-next": () => extend(1),
  "row:extend-previous": () => extend(-1),
  "list:next": () => beside(1),
  "list:previous": () => beside(-1),
  clear: () => document.querySelectorAll(".row-check:checked").forEach((box) => box.click()),
  search,
  palette: openPalette,
  map: showMap,
};
function act(name) {
  const [kind, id] = name.split(/:(.*)/s);
  if (kind === "press") byId(id)?.click(); // a place this person may not see has no link
  else DOES[name]();
}

// ---- hearing ----
let first = "", firstAt = 0;
function pressed(event) {
  if (event.ctrlKey || event.metaKey) return event.altKey ? "" : `mod+${event.key.toLowerCase()}`;
  return event.altKey ? "" : event.key;
}
document.addEventListener("keydown", (event) => {
  if (!map || event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  const key = pressed(event), single = !key.startsWith("mod+");
  if (!key || key === "Shift") return;
  const pair = event.timeStamp - firstAt < PAIR_MS ? `${first} ${key}` : "";
  first = "";
  if (key === "Escape" && (byId("user-menu")?.open || ("popover" in HTMLElement.prototype && document.querySelector(":popover-open")))) return;
  if (single && (!singleKeys() || event.target.matches(TYPED))) return;
  if (doings.has(pair)) act(doings.get(pair));
  else if (single && [...doings.keys()].some((known) => known.startsWith(`${key} `))) { first = key; firstAt = event.timeStamp; }
  else if (doings.has(key) && (!event.repeat || key === "j" || key === "k")) act(doings.get(key));
  else {
    const element = single && !event.repeat && target(key);
    if (!element) return;
    press(element);
  }
  event.preventDefault();
});

// ---- the map and its switch ----
if (map) {
  for (const button of document.querySelectorAll('[data-opens="keys"]')) {
    button.hidden = false;
    button.addEventListener("click", showMap);
  }
  byId("keys-on").addEventListener("change", (event) => {
    document.body.dataset.keys = event.target.checked ? "on" : "off";
    const form = byId("keys-form");
    fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual", keepalive: true });
  });
}
