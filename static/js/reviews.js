/* The queue by keyboard. Without script: the same buttons, in the order of reading; after an answer the page begins anew. */
"use strict";

const rows = () => $$("[data-review]");
const rowOf = (element) => element?.closest?.("[data-review]");
const linkOf = (row) => row && $(".change-words a", row);
let here = null; // the id of the row one is at, also while its focus is lost for a moment
let onward = [];
let led = 0; // "g r" goes to the releases, it reviews nothing

function current() {
  return rowOf(document.activeElement) ?? (here && document.getElementById(here));
}

function goToRow(row) {
  if (!row) return;
  here = row.id;
  linkOf(row)?.focus();
  row.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = rows();
  const at = all.indexOf(current());
  goToRow(all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))]);
}

function press(key) {
  const row = current() ?? rows()[0];
  const button = row && $(`[data-key-for="${key}"]`, row);
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
  else if ("rqd".includes(event.key)) press(event.key);
  else return;
  event.preventDefault();
});

on("focusin", ({ target }) => {
  const row = rowOf(target);
  if (row) here = row.id;
});

/* After an answer the list is a new one: go on with the row that came after, or the one before where it was the last. */
on("htmx:before:request", ({ target }) => {
  const row = rowOf(target);
  if (!row) return;
  const all = rows().map((each) => each.id);
  const at = all.indexOf(row.id);
  onward = [...all.slice(at + 1), ...all.slice(0, at).reverse()];
});

on("htmx:after:swap", () => {
  const queue = $("#queue");
  if (!queue || !onward.length && !here) return;
  $("#queue-said").textContent = queue.dataset.words;
  const wrong = $("[aria-invalid=true]", queue);
  const next = onward.map((id) => document.getElementById(id)).find(Boolean) ?? rows()[0];
  onward = [];
  if (wrong) wrong.focus();
  else if (next) goToRow(next);
});
