// Says some minutes ahead that this session ends. Whatever is asked of the server, in any tab, keeps it; so does the button.
const byId = (id) => document.getElementById(id);
const note = byId("session-note"), sentence = byId("session-words"), stay = byId("session-stay"), again = byId("session-again");
const words = JSON.parse(note.dataset.words);
const idle = Number(note.dataset.idle) * 1000;
const last = Date.now() + Number(note.dataset.left) * 1000; // not even work keeps it longer
const ahead = Math.min(5 * 60_000, idle / 4);
const USED = "ronda-used"; // when the server was asked last; shared by the tabs
const use = () => localStorage.setItem(USED, String(Date.now()));

let said = "";
function look() {
  const end = Math.min(Number(localStorage.getItem(USED)) + idle, last), left = end - Date.now();
  const state = left > ahead ? "" : left <= 0 ? "over" : end === last ? "last" : "idle";
  note.hidden = !state;
  stay.hidden = state !== "idle";
  again.hidden = state !== "over";
  const time = `${Math.max(1, Math.round(left / 60_000))} min`, text = state ? words[state].replace("{time}", time) : "";
  sentence.textContent = text;
  if (state !== said) byId("status-region").textContent = text;
  said = state;
}
stay.addEventListener("click", async () => {
  const answer = await fetch("/session").catch(() => null); // offline is said elsewhere
  if (answer?.status === 401) location.reload();
  if (!answer?.ok) return;
  use();
  look();
  byId("main").focus({ preventScroll: true }); // the button that was pressed is gone
});
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => { if (ctx.response.status < 400) { use(); look(); } });
document.addEventListener("visibilitychange", look);
setInterval(look, 5000);
use();
look();
