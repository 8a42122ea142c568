/* The template editor: line numbers, the mark on a wrong line, characters that cannot be seen, the key of the preview.
   Without script: a plain text area, the line's number in the message, and the buttons. */
"use strict";

(() => {
  // No-break and other odd spaces, zero-width and bidirectional characters: pasting brings them in.
  const UNSEEN = /[\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\u{e0000}-\u{e007f}]/gu;

  function drawLine(row, text) {
    if (row.textContent === text && row.dataset.drawn) return;
    row.dataset.drawn = "yes";
    row.replaceChildren();
    let start = 0;
    for (const found of text.matchAll(UNSEEN)) {
      const mark = document.createElement("mark");
      mark.textContent = found[0];
      row.append(text.slice(start, found.index), mark);
      start = found.index + found[0].length;
    }
    row.append(text.slice(start));
  }

  class Editor {
    constructor(root) {
      this.root = root;
      this.area = root.querySelector("[data-editor-text]");
      this.lines = document.createElement("div");
      this.lines.className = "editor-lines";
      this.lines.setAttribute("aria-hidden", "true");
      root.prepend(this.lines);
      root.dataset.numbered = "";
      this.area.addEventListener("input", () => this.draw());
      this.area.addEventListener("scroll", () => this.follow(), { passive: true });
      // Firefox and Chromium give the text area's scrollbar a width that depends on its content: follow every change.
      new ResizeObserver(() => this.follow()).observe(this.area);
      this.draw();
      this.mark(root.dataset.line);
    }

    draw() {
      const texts = this.area.value.split("\n");
      while (this.lines.childElementCount > texts.length) this.lines.lastElementChild.remove();
      while (this.lines.childElementCount < texts.length) this.lines.append(document.createElement("div"));
      texts.forEach((text, index) => drawLine(this.lines.children[index], text));
      this.follow();
    }

    follow() {
      this.lines.scrollTop = this.area.scrollTop;
    }

    mark(line) {
      this.lines.querySelector("[data-wrong]")?.removeAttribute("data-wrong");
      this.lines.children[Number(line) - 1]?.setAttribute("data-wrong", "");
    }
  }

  const root = document.querySelector("[data-editor]");
  if (!root) return;
  const editor = new Editor(root);

  document.addEventListener("htmx:after:swap", () => {
    editor.mark(document.getElementById("preview-status")?.dataset.line);
  });

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    const form = editor.area.form;
    const button = event.key === "Enter" && form.querySelector("#preview-button");
    if (!button) return;
    event.preventDefault();
    form.requestSubmit(button);
  });
})();
