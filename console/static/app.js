// What HTML cannot do by itself: keeping ages current, the live chip, themes. The keyboard (keys.js) and the queue (queue.js) have their own.
// Every page works without this file.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const words = JSON.parse(document.body.dataset.words);
  const live = byId("live");
  const chip = byId("live-chip");

  // ---- ages ----
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  function age(seconds) {
    const size = Math.abs(seconds);
    if (size < 5) return words.now;
    const [unit, name] = UNITS.find(([least]) => size >= least);
    const time = `${Math.floor(size / unit)} ${name}`;
    return seconds > 0 ? time : words.ahead.replace("{time}", time);
  }
  function tick() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = age((Date.now() - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  }
  setInterval(tick, 5000);

  // ---- the live chip ----
  let paused = false;
  function say(state) {
    if (!chip) return;
    chip.hidden = false;
    chip.dataset.state = state;
    byId("live-words").textContent = words[state];
  }
  if (live && chip) {
    say("off");
    live.addEventListener("htmx:sse:after:connection", () => say(paused ? "paused" : "live"));
    live.addEventListener("htmx:sse:error", (event) => {
      if (event.detail.status === 401) location.reload(); // the session is over: the page itself asks to sign in
      else say("lost");
    });
    live.addEventListener("htmx:sse:before:connection", (event) => { if (event.detail.connection.attempt > 0) say("lost"); });
    live.addEventListener("htmx:sse:close", (event) => { if (event.detail.reason !== "removed") say("lost"); });
    // The first connection is an ordinary request, which is not tried again by itself.
    live.addEventListener("htmx:error", () => { say("lost"); setTimeout(() => location.reload(), 15000); });
    live.addEventListener("htmx:response:error", () => say("lost"));
    if (chip.tagName === "BUTTON") {
      chip.addEventListener("click", () => {
        paused = !paused;
        chip.setAttribute("aria-pressed", String(paused));
        say(paused ? "paused" : "live");
        if (!paused) live.dispatchEvent(new CustomEvent("ronda:resume"));
      });
    }
    live.addEventListener("htmx:sse:before:message", (event) => { if (paused) event.preventDefault(); });
  }

  // ---- lists ----
  // "Show the next 50" replaces itself: the keyboard goes on at the first new row.
  let nextRow = null;
  document.addEventListener("htmx:before:swap", (event) => {
    const more = event.detail.tasks.find((task) => task.swapSpec?.style === "beforeend");
    if (more && event.detail.ctx.sourceElement?.id === "load-more") nextRow = { body: more.target, at: more.target.rows.length };
  });
  document.addEventListener("htmx:after:swap", (event) => {
    tick();
    // A morph keeps what was typed, also what was just saved.
    const { sourceElement, response } = event.detail.ctx ?? {};
    if (sourceElement?.id === "note-form" && response?.status === 200) byId("note-form").reset();
    if (nextRow) {
      nextRow.body.rows[nextRow.at]?.querySelector("a, summary")?.focus({ preventScroll: true });
      nextRow = null;
    }
    checkVersion();
  });

  // ---- what the reader asked for, while it is on its way: console.css shows it ----
  const busy = new WeakMap(); // an answer may name another target
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
    if (!ctx.sourceElement?.matches("a, button, form") || !ctx.target) return;
    busy.set(ctx, ctx.target);
    ctx.target.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => busy.get(ctx)?.removeAttribute("aria-busy"));

  // ---- one alert: somebody else changed it ----
  let newest = 0;
  function checkVersion() {
    const desk = byId("desk"), bar = byId("changed");
    if (desk && bar) bar.hidden = newest <= Number(desk.dataset.version) || desk.querySelector(".htmx-request") !== null;
  }
  live?.addEventListener("ronda:alert", (event) => {
    newest = Math.max(newest, Number(event.detail.data));
    setTimeout(checkVersion, 400); // our own act's answer may still be on its way
  });

  // Times are shown in the browser's zone while the profile names none.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const secure = location.protocol === "https:" ? "; secure" : "";
  if (zone && !document.cookie.includes(`ronda_zone=${zone}`)) document.cookie = `ronda_zone=${zone}; path=/; max-age=31536000; samesite=lax${secure}`;

  // ---- offline ----
  function connection() {
    const strip = byId("offline");
    if (!strip || strip.hidden === navigator.onLine) return;
    strip.hidden = navigator.onLine;
    byId("status-region").textContent = navigator.onLine ? "" : strip.textContent.trim();
  }
  addEventListener("offline", connection);
  addEventListener("online", connection);
  connection();

  // ---- small things ----
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-dismiss]")) byId("alert-region").replaceChildren();
    const menu = byId("user-menu");
    if (menu?.open && !menu.contains(event.target)) menu.open = false;
  });
  byId("theme-form")?.addEventListener("submit", (event) => {
    const theme = event.submitter?.value;
    if (!theme) return;
    event.preventDefault();
    document.cookie = `ronda_theme=${theme}; path=/; max-age=31536000; samesite=lax${secure}`;
    document.documentElement.dataset.theme = theme;
    fetch(event.target.action, { method: "POST", body: new URLSearchParams([...new FormData(event.target), ["theme", theme]]), redirect: "manual" });
    for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === theme));
  });

  // ---- the menu, by keyboard ----
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && byId("user-menu")?.open) { byId("user-menu").open = false; byId("user-summary").focus(); }
  });
})();
