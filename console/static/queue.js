// The live queue: new rows wait behind a bar, time left is kept current, rows are selected. The page works without this file.
const byId = (id) => document.getElementById(id);
const live = byId("live");
const bar = byId("new-bar");
const rows = () => byId("queue-rows");

// ---- new rows ----
const MOST_ROWS = 300;
const fresh = new Set(); // ids of new alerts behind the bar
const refresh = () => htmx.ajax("GET", live.dataset.refresh, { source: live, target: "#queue-body", swap: "outerMorph" });

// Rows are only inserted where nobody is looking or typing, and nothing is selected.
function handsOff() {
  const body = rows();
  return body.dataset.live === "rows" && window.scrollY < 40 && !body.contains(document.activeElement)
    && !body.matches(":hover") && body.rows.length < MOST_ROWS && !picks().some((box) => box.checked);
}
function showBar() {
  const words = fresh.size === 1 ? bar.dataset.one : bar.dataset.many.replace("{n}", fresh.size);
  if (fresh.size) byId("new-words").textContent = words;
  bar.hidden = fresh.size === 0;
  byId("status-region").textContent = fresh.size ? words : "";
}
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  if (ctx.sourceElement !== live || !rows()) return;
  let arrived = false;
  for (const task of tasks.filter((each) => each.target === rows())) {
    for (const row of [...task.fragment.querySelectorAll("tr.alert-row")]) {
      arrived = true;
      if (byId(row.id)) {
        // Known already: patch it where it stands.
        const patch = document.createDocumentFragment();
        patch.append(row);
        tasks.push({ ...task, fragment: patch, target: byId(row.id), swapSpec: { style: "outerMorph" } });
      } else if (handsOff()) {
        row.classList.add("is-new");
      } else {
        fresh.add(row.id);
        row.remove();
      }
    }
    if (!task.fragment.querySelector("tr")) tasks.splice(tasks.indexOf(task), 1);
  }
  if (!arrived) return;
  if (rows().dataset.live === "first" && fresh.size) {
    fresh.clear();
    refresh();
  }
  showBar();
});
byId("new-button").addEventListener("htmx:after:swap", () => {
  fresh.clear();
  showBar();
  window.scrollTo({ top: 0 });
  rows()?.querySelector(".row-link")?.focus({ preventScroll: true });
});
live.addEventListener("ronda:resume", refresh);
live.addEventListener("ronda:reload", () => {
  if (rows() && rows().dataset.live !== "bar" && window.scrollY < 40 && !rows().contains(document.activeElement)) refresh();
  else { byId("new-words").textContent = bar.dataset.changed; bar.hidden = false; }
});

// ---- the tab's title says how many are to do ----
const title = document.title;
function retitle() {
  const number = byId("count-todo")?.textContent.trim();
  document.title = number ? `(${number}) ${title}` : title;
}

// ---- time left ----
const SOON_S = 30 * 60;
const MARKS = { ok: "clock", soon: "triangle-alert", overdue: "circle-alert" };
function span(seconds) {
  const minutes = Math.floor(Math.abs(seconds) / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}
function tick() {
  const words = rows()?.dataset.due ? JSON.parse(rows().dataset.due) : null;
  if (!words) return;
  for (const time of document.querySelectorAll("time[data-due]")) {
    const left = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const state = left <= 0 ? "overdue" : left <= SOON_S ? "soon" : "ok";
    const text = span(left), due = time.closest(".due");
    if (time.textContent !== text) time.textContent = text;
    if (due.classList.contains(`due-${state}`)) continue;
    due.className = `due due-${state}`;
    due.querySelector(".due-word").textContent = words[state];
    const use = due.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${MARKS[state]}`));
  }
}
setInterval(tick, 10000);

// ---- selection ----
let anchor = null; // where a range begins
const picks = () => [...document.querySelectorAll(".pick input")];
function picked() {
  const boxes = picks(), number = boxes.filter((box) => box.checked).length;
  const all = byId("pick-all"), words = byId("picked-count");
  if (all) {
    all.hidden = false;
    all.checked = number > 0 && number === boxes.length;
    all.indeterminate = number > 0 && number < boxes.length;
  }
  if (!words) return;
  byId("pick-none").hidden = false;
  const matching = byId("matching")?.checked;
  words.hidden = Boolean(matching);
  words.textContent = number === 1 ? words.dataset.one : words.dataset.many.replace("{n}", number);
}
document.addEventListener("click", (event) => {
  const box = event.target.closest(".pick input");
  if (box) {
    const boxes = picks(), from = boxes.indexOf(byId(anchor)), to = boxes.indexOf(box);
    if (event.shiftKey && from >= 0) {
      for (const each of boxes.slice(Math.min(from, to), Math.max(from, to) + 1)) each.checked = box.checked;
    }
    anchor = box.id;
  }
  if (event.target.closest("#pick-none")) {
    for (const each of picks()) each.checked = false;
    if (byId("matching")) byId("matching").checked = false;
    picked();
    byId("pick-all")?.focus();
  }
  for (const panel of document.querySelectorAll("details.panel[open]")) if (!panel.contains(event.target)) panel.open = false;
});
document.addEventListener("change", (event) => {
  if (event.target.id === "pick-all") for (const each of picks()) each.checked = event.target.checked;
  if (event.target.matches("#pick-all, #matching, .pick input")) picked();
});
document.addEventListener("keydown", (event) => {
  const panel = event.target.closest?.("details.panel[open]");
  if (event.key !== "Escape" || !panel) return;
  panel.open = false;
  panel.querySelector("summary").focus();
});

document.addEventListener("htmx:after:swap", () => { retitle(); tick(); picked(); });
retitle();
tick();
picked();
