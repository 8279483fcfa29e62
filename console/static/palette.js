// Ctrl+K: places, the acts of this page, and whatever has the typed id. A combobox whose list is filtered as one types.
import { press, pressable, titleOf } from "./keys.js";

const byId = (id) => document.getElementById(id);
const WAIT_MS = 180, SHORTEST = 3;
const palette = byId("palette"), input = byId("palette-input"), list = byId("palette-list"), none = byId("palette-none");
const plain = (text) => text.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
let asked, entries = [], chosen = 0;

function option(words, key, run, icon) {
  const item = document.createElement("li");
  item.setAttribute("role", "option");
  if (icon) item.append(icon.cloneNode(true));
  const name = document.createElement("span");
  name.textContent = words;
  item.append(name);
  if (key) { const cap = document.createElement("kbd"); cap.textContent = key; item.append(cap); }
  return { item, run, words: plain(words) };
}
function known() {
  const keys = new Map([...document.querySelectorAll('#keys [data-does^="press:"]')].map((entry) => [entry.dataset.does.slice(6), entry.dataset.press]));
  const places = [...document.querySelectorAll('.nav a[href], #to-settings')].map((link) =>
    option((link.querySelector("span") ?? link).textContent.trim(), keys.get(link.id), () => link.click(), link.querySelector("svg")));
  const acts = pressable().map((element) => option(titleOf(element), element.dataset.key, () => press(element), element.querySelector("svg")));
  return [...acts, ...places];
}
function choose(index) {
  const items = list.children;
  chosen = items.length ? (index + items.length) % items.length : 0;
  for (const [place, item] of [...items].entries()) {
    item.id ||= `palette-${place}`;
    item.setAttribute("aria-selected", String(place === chosen));
  }
  const item = items[chosen];
  if (item) { input.setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); }
  else input.removeAttribute("aria-activedescendant");
}
function filter() {
  const parts = plain(input.value).split(/\s+/).filter(Boolean);
  list.replaceChildren(...entries.filter((entry) => parts.every((part) => entry.words.includes(part))).map((entry) => entry.item));
  [...list.children].forEach((item, place) => { item.id = `palette-${place}`; });
  none.hidden = list.children.length > 0 || parts.length === 0;
  choose(0);
}
async function ask(words) {
  const answer = await fetch(`/jump?${new URLSearchParams({ q: words })}`, { headers: { "HX-Request": "true" } });
  if (!answer.ok || words !== input.value.trim()) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("[data-href]");
  list.append(...[...found].map((item) => document.adoptNode(item)));
  none.hidden = list.children.length > 0;
  choose(chosen);
}
function run(item) {
  palette.close();
  if (item.dataset.href) location.href = item.dataset.href;
  else entries.find((entry) => entry.item === item)?.run();
}
export function openPalette() {
  entries = known(); // before the dialog hides the page
  input.value = "";
  filter();
  palette.showModal();
}
if (palette) {
  input.addEventListener("input", () => {
    filter();
    clearTimeout(asked);
    const words = input.value.trim();
    if (words.length >= SHORTEST) asked = setTimeout(() => ask(words), WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) choose(chosen + step);
    else if (event.key === "Enter" && list.children[chosen]) run(list.children[chosen]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => { const item = event.target.closest("[role=option]"); if (item) run(item); });
  palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
}
