/* The queue by keyboard. Without script: the same buttons, in the order of reading; after an answer the page begins anew. */
"use strict";

const rows = () => $$("[data-review]:not([hidden])");
const rowOf = (element) => element?.closest?.("[data-review]");
let here = null; // the id of the row one is at, also while its focus is lost for a moment
let onward = [];
let led = 0; // "g r" goes to the releases, it reviews nothing

const current = () => rowOf(document.activeElement) ?? (here && document.getElementById(here));

function goToRow(row) {
  if (!row) return;
  here = row.id;
  $(".change-words a", row)?.focus();
  row.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = rows();
  const at = all.indexOf(current());
  goToRow(all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))]);
}

/* The row that follows, or the one before where there is none. */
function beside(row) {
  const all = rows();
  const at = all.indexOf(row);
  return [...all.slice(at + 1), ...all.slice(0, at).reverse()];
}

/* What is right is sent in the background, one after the other, while one reads on. What is refused comes back. */
const outbox = [];
let sending = false;

function send(form, button) {
  const row = rowOf(form);
  const next = beside(row)[0];
  outbox.push({ id: row.id, url: form.action, body: new URLSearchParams(new FormData(form, button)) });
  row.hidden = true;
  count(-1);
  goToRow(next);
  if (!sending) sendAll();
}

async function sendAll() {
  sending = true;
  while (outbox.length) {
    const answer = outbox[0];
    // The header has a session that is over answer with 401 instead of a way to sign in; a plain redirection is a yes.
    const got = await fetch(answer.url, { method: "POST", body: answer.body, redirect: "manual", headers: { "HX-Request": "true", "HX-Current-URL": location.href } }).catch(() => null);
    outbox.shift();
    const row = document.getElementById(answer.id);
    if (got?.type === "opaqueredirect") row?.remove();
    else await bringBack(row, got);
  }
  sending = false;
  if (!rows().length && $("#queue [data-total]")) location.reload();
}

async function bringBack(row, got) {
  const onward = got?.headers.get("HX-Redirect");
  if (onward) return location.assign(onward);
  const page = new DOMParser().parseFromString(got ? await got.text() : "", "text/html");
  say($("#queue .notice p:last-child, .lead", page)?.textContent.trim() || "The server could not be reached. Nothing was saved.", got?.status === 422 ? "warning" : "danger");
  if (!row) return;
  // Answered by somebody else meanwhile: it is no longer part of the queue.
  if (got?.status === 422 && !page.getElementById(row.id)) return row.remove();
  row.hidden = false;
  count(1);
  goToRow(row);
}

function count(by) {
  const head = $("#queue [data-total]");
  if (!head) return;
  const left = Number(head.dataset.total) + by;
  head.dataset.total = left;
  head.textContent = left === 1 ? "1 change" : `${left} changes`;
  $("#queue-said").textContent = `${head.textContent} left`;
}

addEventListener("beforeunload", (event) => {
  if (outbox.length) event.preventDefault();
});

on("submit", (event) => {
  const { target: form, submitter } = event;
  if (!rowOf(form) || submitter?.value !== "reviewed" || $("textarea", form)?.value.trim() || !submitter.dataset.keyFor) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  send(form, submitter);
}, { capture: true });

function press(key) {
  const row = current() ?? rows()[0];
  const button = row && !row.hidden && $(`[data-key-for="${key}"]`, row);
  if (!button || button.form.matches(".htmx-request")) return;
  const more = button.closest("details");
  if (!more) return button.form.requestSubmit(button);
  more.open = true;
  more.dataset.meant = key;
  $("textarea", more).focus();
}

on("keydown", (event) => {
  const area = event.target.closest?.("[data-review] textarea");
  if (area && event.key === "Escape") {
    area.closest("details").open = false;
    return goToRow(rowOf(area));
  }
  if (area && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const more = area.closest("details");
    const button = $(`[data-key-for="${more.dataset.meant}"]`, more) ?? $("button", more);
    return button.form.requestSubmit(button);
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog")) return;
  const follows = led && event.timeStamp - led < 1500;
  led = event.key === "g" && !follows ? event.timeStamp : 0;
  if (follows) return;
  if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else if (["r", "q", "d"].includes(event.key)) press(event.key);
  else return;
  event.preventDefault();
});

on("focusin", ({ target }) => {
  const row = rowOf(target);
  if (row) here = row.id;
});

/* A query or a dispute brings a new list: go on with the row that came after. */
on("htmx:before:request", ({ target }) => {
  const row = rowOf(target);
  if (row) onward = beside(row).map((each) => each.id);
});

on("htmx:after:swap", () => {
  const queue = $("#queue");
  if (!queue || (!onward.length && !here)) return;
  for (const { id } of outbox) document.getElementById(id)?.toggleAttribute("hidden", true);
  $("#queue-said").textContent = queue.dataset.words;
  const wrong = $("[aria-invalid=true]", queue);
  const next = onward.map((id) => document.getElementById(id)).find(Boolean) ?? rows()[0];
  onward = [];
  if (wrong) wrong.focus();
  else goToRow(next);
});
