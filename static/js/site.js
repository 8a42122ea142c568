/* What the pages gain when scripts run. Everything here listens on the document and is asked for by data- attributes;
   each part has a way without script, named beside it. */
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (type, listener, options) => document.addEventListener(type, listener, options);
const fire = (element, ...types) => types.forEach((type) => element.dispatchEvent(new Event(type, { bubbles: true })));

/* Toasts: said once by the live region, gone after a while unless one is looking at them. Without script: a banner. */
const LINGER = 10000;

function linger(toast) {
  if (toast.dataset.tone === "danger" || toast.dataset.tone === "warning" || toast.dataset.lingers) return;
  toast.dataset.lingers = "yes";
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, LINGER) : toast.remove());
  setTimeout(leave, LINGER);
}

function say(words, tone = "good") {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.dataset.tone = tone;
  const text = document.createElement("p");
  text.textContent = words;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  toast.append(text, close);
  $("#toasts")?.append(toast);
  linger(toast);
}

/* A share: the number is the field, range and presets fill it. Without script: only the number is shown. */
function followNumber(number) {
  const range = $(`[data-range-for="${number.id}"]`);
  if (range) {
    range.value = number.value || range.min;
    range.style.setProperty("--filled", `${((range.value - range.min) / (range.max - range.min)) * 100}%`);
  }
  for (const preset of $$(`[data-preset-for="${number.id}"]`)) {
    preset.setAttribute("aria-pressed", String(number.value !== "" && Number(preset.dataset.preset) === Number(number.value)));
  }
}

function setNumber(id, value, ...events) {
  const number = document.getElementById(id);
  if (!number || number.disabled) return;
  number.value = value;
  fire(number, ...events);
}

/* Unsaved work. Without script: the button "Save draft". A form that came back unsaved is unsaved from the start. */
const beginnings = new WeakMap();
/* What is no work, such as a choice of what is shown, has `data-passing`. */
function fieldsOf(form) {
  const fields = new URLSearchParams(new FormData(form));
  for (const { name } of $$("[data-passing]", form)) fields.delete(name);
  return fields;
}

function changedNames(form) {
  const before = beginnings.get(form);
  if (!before) return [];
  const after = fieldsOf(form);
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.getAll(name).join("\n") !== after.getAll(name).join("\n"));
}

const isUnsaved = (form) => form.dataset.sent === undefined && (form.dataset.guard !== "" || changedNames(form).length > 0);
const unsavedForm = () => $$("form[data-guard]").find(isUnsaved);

/* The words beside a field: of its group where it stands in one. */
function wordsFor(form, name) {
  const found = form.elements[name];
  const field = found instanceof RadioNodeList ? found[0] : found;
  const label = field?.closest("fieldset")?.querySelector("legend") ?? field?.labels?.[0];
  return label?.firstChild?.textContent.trim() || name.replaceAll("_", " ");
}

function listChanges(form, list) {
  list.replaceChildren(...changedNames(form).map((name) => {
    const item = document.createElement("li");
    item.textContent = wordsFor(form, name);
    return item;
  }));
}

function showChanges(form) {
  const actions = $(".form-actions", form);
  if (!actions) return;
  let guard = $(".guard", actions);
  if (!guard) {
    guard = document.createElement("details");
    guard.className = "guard menu";
    const [note, fields] = ["summary", "ul"].map((name) => document.createElement(name));
    note.className = "guard-note";
    fields.className = "changed-fields";
    guard.append(note, fields);
    actions.append(guard);
  }
  const count = changedNames(form).length;
  const words = count === 0 ? "" : count === 1 ? "1 unsaved change" : `${count} unsaved changes`;
  $("summary", guard).textContent = words || (form.dataset.guard === "" ? "" : "Not saved");
  guard.hidden = !isUnsaved(form);
  listChanges(form, $("ul", guard));
}

/* Drafts: kept by the server at the latest 5 s after the first change that it does not have. `[data-autosave]` asks. */
const KEEP = 5000;
const waiting = new WeakMap();
const isKept = (form) => form.dataset.draft !== undefined;

function keepSoon(form) {
  if (!isKept(form) || waiting.has(form) || !isUnsaved(form)) return;
  waiting.set(form, setTimeout(() => keepNow(form), KEEP));
}

function keepNow(form) {
  clearTimeout(waiting.get(form));
  waiting.delete(form);
  if (form.dataset.sent === undefined) $("[data-autosave]")?.dispatchEvent(new Event("keep"));
}

function typed(form) {
  delete form.dataset.sent; // the page it was sent for never came
  showChanges(form);
  keepSoon(form);
}

/* Leaving by a link asks; closing the tab is asked by the browser itself. */
let leaving = null;

function go(href) {
  const form = unsavedForm();
  const dialog = $("#leave");
  if (!form || !dialog) return location.assign(href);
  leaving = { form, href };
  listChanges(form, $("#leave-changes"));
  $("#leave-save").hidden = !isKept(form);
  dialog.showModal();
}

async function leave(how) {
  const { form, href } = leaving;
  if (how === "save" && !(await keptOnLeaving(form))) return $("#leave").close();
  for (const each of $$("form[data-guard]")) each.dataset.sent = "";
  location.assign(href);
}

async function keptOnLeaving(form) {
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
  const answer = await fetch(form.dataset.draft, { method: "POST", body: fieldsOf(form), headers }).catch(() => null);
  if (!answer?.ok) say("The draft could not be saved. What you typed is still here.", "danger");
  return answer?.ok;
}

/* "Saved 12 s ago" goes on counting. */
setInterval(() => {
  for (const time of $$("time[data-counts]")) {
    time.dataset.counts ||= performance.now();
    const seconds = Math.round((performance.now() - time.dataset.counts) / 1000);
    time.textContent = seconds < 5 ? "just now" : seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
  }
}, 1000);

/* Whatever is new on the page, at load and after each swap. */
function prepare(root) {
  for (const form of $$("form[data-guard]", root)) {
    if (beginnings.has(form)) continue;
    beginnings.set(form, fieldsOf(form));
    if ($("#error-summary")) form.dataset.guard = "unsaved";
    showChanges(form);
    keepSoon(form);
  }
  for (const time of $$("time[datetime]", root)) {
    if (time.dataset.local) continue;
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    time.dataset.local = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    time.title = `${time.dataset.local} here · ${time.title}`;
  }
  $$(".slider input[type=number]", root).forEach(followNumber);
  $$(".toast", root).forEach(linger);
}

/* The caret goes to a line of a text, or to what is wrong on it; the site counts characters, a browser their halves.
   Without script: line and column stand in the message. */
function goToLine(area, line, column, length) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  const signs = [...(lines[line - 1] ?? "")];
  const from = start + signs.slice(0, column - 1).join("").length;
  area.focus();
  if (column) area.setSelectionRange(from, from + signs.slice(column - 1, column - 1 + length).join("").length);
  else area.setSelectionRange(start, start + signs.join("").length);
  area.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(area).lineHeight));
}

async function copy(button) {
  const said = button.getAttribute("aria-label");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say("Copied.");
  } catch {
    const source = button.previousElementSibling;
    if (source) getSelection().selectAllChildren(source);
    say("Copying is not allowed here. The text is selected: copy it by keyboard.", "info");
  }
  if (said) button.setAttribute("aria-label", said);
}

function chooseTheme(theme) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of $$("[data-theme-choice] [name=theme]")) button.setAttribute("aria-pressed", String(button.value === theme));
}

/* Buttons with `commandfor` need no script where browsers know them; this serves those that do not yet. */
function command(button) {
  const dialog = document.getElementById(button.getAttribute("commandfor"));
  if (button.getAttribute("command") === "close") dialog?.close();
  else if (dialog && !dialog.open) dialog.showModal();
}

on("click", (event) => {
  const { target } = event;
  if (!(target instanceof Element)) return;
  const button = target.closest("button, a, [data-line]");
  if (button?.dataset.preset) setNumber(button.dataset.presetFor, button.dataset.preset, "input", "change");
  if (button?.dataset.copy !== undefined) copy(button);
  if (button?.dataset.dismiss !== undefined) button.closest(".toast")?.remove();
  if (button?.dataset.caretFor) {
    const area = document.getElementById(button.dataset.caretFor);
    if (area) {
      event.preventDefault();
      const { line, column, length } = button.dataset;
      goToLine(area, Number(line), Number(column ?? 0), Number(length ?? 1));
    }
  }
  if (button?.hasAttribute("commandfor") && !("commandForElement" in button)) command(button);
  for (const menu of $$("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  if (button?.dataset.leave) leave(button.dataset.leave);
  else if (button?.matches("a[href]") && isLeaving(event, button)) {
    event.preventDefault();
    go(button.href);
  }
});

/* A plain click on a link to another page, while there is unsaved work on this one. */
function isLeaving(event, link) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return false;
  if (link.target || link.hasAttribute("download") || link.hash && link.href.startsWith(`${location.href.split("#")[0]}#`)) return false;
  return unsavedForm() !== undefined;
}

on("input", ({ target }) => {
  if (target.dataset?.rangeFor) setNumber(target.dataset.rangeFor, target.value, "input");
  else if (target.matches?.(".slider input[type=number]")) followNumber(target);
  const form = target.closest?.("form[data-guard]");
  if (form) typed(form);
});

on("change", ({ target }) => {
  if (target.dataset?.rangeFor) setNumber(target.dataset.rangeFor, target.value, "change");
  const form = target.closest?.("form[data-guard]");
  if (form) typed(form);
});

/* A second click sends nothing twice. HTMX answers for its own forms: they arrive here already prevented. */
on("submit", (event) => {
  const form = event.target;
  if (form.dataset.themeChoice !== undefined && event.submitter) {
    event.preventDefault();
    chooseTheme(event.submitter.value);
    return;
  }
  if (event.defaultPrevented || form.method !== "post") return;
  if (event.submitter?.formTarget === "_blank") return; // this page stays as it is
  if (form.dataset.guard !== undefined) form.dataset.sent = "";
  if (form.dataset.noSubmitOnce !== undefined) return;
  if (form.getAttribute("aria-busy") === "true") event.preventDefault();
  else form.setAttribute("aria-busy", "true");
});

/* The page may come back out of the browser's memory as it was left. */
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of $$("form")) {
    form.removeAttribute("aria-busy");
    delete form.dataset.sent;
  }
});

addEventListener("beforeunload", (event) => {
  if (unsavedForm()) event.preventDefault();
});

/* Another tab or window: who knows whether this one is come back to. */
on("visibilitychange", () => {
  if (document.hidden) $$("form[data-draft]").filter(isUnsaved).forEach(keepNow);
});

/* What a request takes along is what the server has once it says, by HX-Trigger, that it is saved. */
const sent = new WeakMap();

on("htmx:before:request", (event) => {
  const form = event.target.matches?.("[data-autosave]") && $("form[data-draft]");
  if (!form) return;
  if (form.dataset.sent === undefined) sent.set(form, fieldsOf(form));
  else event.preventDefault(); // it is being saved as a version
});

on("saved", () => {
  const form = $("form[data-draft]");
  if (!form || !sent.has(form)) return;
  clearTimeout(waiting.get(form));
  waiting.delete(form);
  beginnings.set(form, sent.get(form));
  form.dataset.guard = "";
  showChanges(form);
  keepSoon(form);
});

/* Keys. Without script: the same places are in the navigation. */
let leader = 0;

on("keydown", (event) => {
  if (event.key === "Escape") $$("details.menu[open]").forEach((menu) => { menu.open = false; $("summary", menu).focus(); });
  if ((event.ctrlKey || event.metaKey) && event.key === "s" && $("form[data-draft]")) {
    event.preventDefault();
    keepNow($("form[data-draft]"));
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
  if (event.timeStamp - leader < 1500 && leader) {
    leader = 0;
    const place = $(`[data-key="${CSS.escape(event.key)}"]`);
    if (place) go(place.href);
  } else if (event.key === "g") {
    leader = event.timeStamp;
  } else if (event.key === "/" && $("[data-search]")) {
    event.preventDefault();
    $("[data-search]").select();
  } else if (event.key === "?") {
    $("#keys")?.showModal();
  }
});

/* HTMX: what is waited for is marked; what was refused is said; focus never falls to the page's top. */
on("htmx:before:request", ({ detail }) => detail.ctx.target?.setAttribute?.("aria-busy", "true"));
on("htmx:finally:request", ({ detail }) => detail.ctx.target?.removeAttribute?.("aria-busy"));

on("htmx:response:error", ({ detail }) => {
  const { status, headers } = detail.ctx.response;
  if (status === 422 || headers.get("HX-Redirect")) return;
  const page = new DOMParser().parseFromString(detail.ctx.text ?? "", "text/html");
  const words = ["h1", ".lead"].map((part) => $(part, page)?.textContent.trim()).filter(Boolean).join(". ");
  const id = headers.get("X-Request-Id");
  say(`${words || `The server answered ${status}`}${id && status >= 500 ? ` (request ${id})` : ""}`, "danger");
});
on("htmx:error", ({ target }) => {
  if (!target.matches?.("[data-autosave]")) return say("The server could not be reached. Nothing was saved.", "danger");
  $("#draft-state").textContent = "Not kept: the server cannot be reached. Trying again.";
  keepSoon($("form[data-draft]"));
});

on("htmx:after:swap", ({ detail }) => {
  prepare(document);
  const summary = $("#error-summary");
  const target = detail.ctx.target;
  if (summary && target?.contains?.(summary)) summary.focus();
  else if (document.activeElement === document.body && target?.isConnected && target !== document.body) {
    if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }
});

prepare(document);
