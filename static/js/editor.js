/* The template editor. Over the text area lies nothing, under it a copy of its text, line by line, in colours: the text area
   shows the caret and the selection, the copy the letters, the line numbers and what is wrong. So caret, undo, spelling
   by ear, the browser's own search and everything else stay the browser's.
   Without script: a plain text area, lines and columns in the messages, and the buttons. */
"use strict";

(() => {
  // No-break and other odd spaces, zero-width and bidirectional characters: pasting brings them in.
  const UNSEEN = /[\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\u{e0000}-\u{e007f}]/gu;
  const SPACES = / +|\t+/g;
  const INDENT = "  ";

  /* Colours. A line is read from the state that the line before it ended in: "" is text, "#" a comment, "!" raw text, "%" and
     "{" the inside of a tag, with the quote behind it where a string goes on. */
  const OPENING = /\{\{|\{%|\{#/g;
  const RAW_END = /\{%[-+]?\s*endraw/g;
  const INSIDE = /([-+]?[%}]\})|("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(\d[\d_.]*)|([\p{L}_][\p{L}\p{N}_]*)|(\|)|\S/gu;
  const WORDS = new Set("for in if elif else endif endfor set endset with endwith filter endfilter include import from as block endblock extends macro endmacro call endcall raw endraw autoescape endautoescape do not and or is recursive ignore missing without context".split(" "));
  const CONSTANTS = new Set("true false none True False None loop".split(" "));

  function read(text, state) {
    const found = [];
    let at = 0;
    let isRaw = false; // whether the tag being read begins raw text
    const end = (index, kind) => {
      if (index > at) found.push([at, index, kind]);
      at = index;
    };
    const upTo = (pattern) => {
      pattern.lastIndex = at;
      return pattern.exec(text);
    };
    while (at < text.length) {
      if (state === "#") {
        const close = text.indexOf("#}", at);
        end(close < 0 ? text.length : close + 2, "jc");
        if (close < 0) return [found, state];
        state = "";
      } else if (state === "!") {
        const close = upTo(RAW_END);
        at = close ? close.index : text.length;
        if (!close) return [found, state];
        end(at + 2, "jd");
        state = "%";
      } else if (state === "") {
        const open = upTo(OPENING);
        if (!open) return [found, state];
        at = open.index;
        state = open[0][1];
        if (state !== "#") end(at + 2, "jd");
      } else if (state.length > 1) {
        const rest = new RegExp(`(?:[^${state[1]}\\\\]|\\\\.)*${state[1]}`, "y");
        rest.lastIndex = at;
        const close = rest.exec(text);
        end(close ? rest.lastIndex : text.length, "js");
        if (!close) return [found, state];
        state = state[0];
      } else {
        let closed = false;
        let before = "";
        INSIDE.lastIndex = at;
        for (let part; (part = INSIDE.exec(text)); ) {
          const [whole, closing, string, number, word, pipe] = part;
          at = part.index;
          if (closing && closing.endsWith(state === "%" ? "%}" : "}}")) {
            end(at + whole.length, "jd");
            closed = true;
            break;
          }
          const next = at + whole.length;
          if (string) {
            end(next, "js");
            if (string.length < 2 || !string.endsWith(string[0])) return [found, state + string[0]];
          } else if (number) end(next, "jn");
          else if (word && before === "|") end(next, "jf");
          else if (word && before !== "." && WORDS.has(word)) {
            end(next, "jk");
            isRaw = word === "raw" && state === "%";
          } else if (word && before !== "." && CONSTANTS.has(word)) end(next, "jn");
          else if (word && before !== "is") end(next, "jv");
          else if (word) end(next, "jf");
          else if (pipe) end(next, "jd");
          at = next;
          before = pipe ? "|" : word === "not" && before === "is" ? "is" : whole;
        }
        if (!closed) return [found, state];
        state = isRaw ? "!" : "";
        isRaw = false;
      }
    }
    return [found, state];
  }

  /* The pieces of a line: where anything begins or ends it is cut, and each piece has the classes of all that covers it. */
  function fill(row, showsSpaces) {
    const { text, node } = row;
    const over = row.marks.map(([from, to, severity]) => [from, to, severity]);
    for (const each of text.matchAll(UNSEEN)) over.push([each.index, each.index + each[0].length, "unseen"]);
    if (showsSpaces) for (const each of text.matchAll(SPACES)) over.push([each.index, each.index + each[0].length, each[0][0] === "\t" ? "wt" : "ws"]);
    const parts = over.length ? cut(row.parts, over, text.length) : row.parts;
    const nodes = [];
    let at = 0;
    for (const [from, to, kind] of parts) {
      if (from > at) nodes.push(text.slice(at, from));
      const piece = document.createElement("span");
      piece.className = kind;
      piece.textContent = text.slice(from, to);
      nodes.push(piece);
      at = to;
    }
    if (at < text.length) nodes.push(text.slice(at));
    node.replaceChildren(...nodes);
  }

  function cut(parts, over, length) {
    const all = [...parts, ...over];
    const edges = [...new Set([0, length, ...all.flatMap(([from, to]) => [from, to])])].sort((a, b) => a - b);
    return edges.slice(0, -1).flatMap((from, index) => {
      const to = edges[index + 1];
      const kinds = all.filter((each) => each[0] <= from && each[1] >= to).map((each) => each[2]);
      return kinds.length ? [[from, to, kinds.join(" ")]] : [];
    });
  }

  /* The site counts characters, a browser halves of them. */
  const unit = (text, characters) => [...text].slice(0, characters).join("").length;

  class Editor {
    constructor(root) {
      this.area = root.querySelector("[data-editor-text]");
      this.lines = document.createElement("div");
      this.lines.className = "editor-lines";
      this.lines.setAttribute("aria-hidden", "true");
      root.prepend(this.lines);
      this.rows = [];
      this.spaces = document.getElementById("f-spaces");
      root.dataset.numbered = "";
      this.area.setAttribute("aria-describedby", `${this.area.getAttribute("aria-describedby")} f-body-keys`);
      this.area.addEventListener("input", () => this.draw());
      this.area.addEventListener("scroll", () => this.follow(), { passive: true });
      this.area.addEventListener("keydown", (event) => this.key(event));
      this.area.addEventListener("blur", () => { this.leaves = false; });
      this.spaces?.addEventListener("change", () => this.showSpaces());
      // Firefox and Chromium give the text area's scrollbar a width that depends on its content: follow every change.
      new ResizeObserver(() => this.follow()).observe(this.area);
      root.toggleAttribute("data-spaces", Boolean(this.spaces?.checked));
      this.root = root;
      this.draw();
      this.mark();
    }

    /* Only lines that changed are made again, and those behind them as far as their beginning means something else now. */
    draw() {
      const { rows } = this;
      const texts = this.area.value.split("\n");
      let head = 0;
      while (head < rows.length && head < texts.length && rows[head].text === texts[head]) head += 1;
      let tail = 0;
      while (tail < rows.length - head && tail < texts.length - head && rows[rows.length - 1 - tail].text === texts[texts.length - 1 - tail]) tail += 1;
      const fresh = texts.slice(head, texts.length - tail);
      const gone = rows.slice(head, rows.length - tail);
      const made = fresh.map((text, index) => ({ text, node: gone[index]?.node ?? document.createElement("div"), parts: [], marks: [], start: null, end: null }));
      gone.slice(fresh.length).forEach((row) => row.node.remove());
      const behind = rows[rows.length - tail]?.node ?? null;
      made.slice(gone.length).forEach((row) => this.lines.insertBefore(row.node, behind));
      rows.splice(head, gone.length, ...made);
      let state = rows[head - 1]?.end ?? "";
      for (let index = head; index < rows.length; index += 1) {
        const row = rows[index];
        if (index >= head + made.length && row.start === state) break;
        row.start = state;
        [row.parts, state] = read(row.text, state);
        row.end = state;
        fill(row, this.spaces?.checked);
      }
      this.follow();
    }

    follow() {
      this.lines.scrollTop = this.area.scrollTop;
    }

    showSpaces() {
      this.root.toggleAttribute("data-spaces", this.spaces.checked);
      for (const row of this.rows) fill(row, this.spaces.checked);
    }

    /* What the site found: beside the number of its line, and under the characters that it is about. */
    mark() {
      for (const row of this.rows) {
        if (!row.node.dataset.wrong && !row.marks.length) continue;
        delete row.node.dataset.wrong;
        if (row.marks.splice(0).length) fill(row, this.spaces?.checked);
      }
      const touched = new Set();
      for (const found of document.querySelectorAll("#preview-status .verdict")) {
        const { line, column, length } = found.querySelector("[data-line]")?.dataset ?? {};
        const row = this.rows[Number(line) - 1];
        if (!row) continue;
        const { severity } = found.dataset;
        if (row.node.dataset.wrong !== "error") row.node.dataset.wrong = severity;
        if (!column) continue;
        const from = unit(row.text, column - 1);
        row.marks.push([from, Math.max(from + 1, unit(row.text, column - 1 + Number(length ?? 1))), severity]);
        touched.add(row);
      }
      for (const row of touched) fill(row, this.spaces?.checked);
    }

    /* Tab indents, so there must be another way out for whoever has no mouse: Escape, then Tab. */
    key(event) {
      if (event.key === "Escape") this.leaves = true;
      else if (event.key === "Tab" && !this.leaves && !event.ctrlKey && !event.altKey && !event.metaKey) {
        event.preventDefault();
        if (event.shiftKey) this.outdent();
        else this.indent();
      } else if (event.key !== "Shift" && event.key !== "Tab") this.leaves = false;
    }

    indent() {
      const { value, selectionStart, selectionEnd } = this.area;
      if (!value.slice(selectionStart, selectionEnd).includes("\n")) this.put(selectionStart, selectionEnd, INDENT);
      else this.eachLine((line) => (line ? INDENT + line : line));
    }

    outdent() {
      this.eachLine((line) => line.replace(/^(?: {1,2}|\t)/, ""));
    }

    /* The lines that the selection touches become others, and stay selected; of one line the caret keeps its place. */
    eachLine(change) {
      const { value, selectionStart, selectionEnd } = this.area;
      const from = value.lastIndexOf("\n", selectionStart - 1) + 1;
      const isSeveral = value.slice(selectionStart, selectionEnd).includes("\n");
      const last = isSeveral && value[selectionEnd - 1] === "\n" ? selectionEnd - 1 : selectionEnd;
      const next = value.indexOf("\n", last);
      const to = next < 0 ? value.length : next;
      const before = value.slice(from, to);
      const after = before.split("\n").map(change).join("\n");
      if (before === after) return;
      this.put(from, to, after);
      const moved = after.length - before.length;
      if (isSeveral) this.area.setSelectionRange(from, from + after.length);
      else this.area.setSelectionRange(Math.max(from, selectionStart + moved), Math.max(from, selectionEnd + moved));
    }

    /* As if it were typed, so that undo takes it back. */
    put(from, to, text) {
      this.area.setSelectionRange(from, to);
      const isTyped = document.execCommand(text ? "insertText" : "delete", false, text);
      if (isTyped) return;
      this.area.setRangeText(text, from, to, "end");
      this.area.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  const root = document.querySelector("[data-editor]");
  if (!root) return;
  const editor = new Editor(root);

  document.addEventListener("htmx:after:swap", ({ target, detail }) => {
    editor.mark();
    const swapped = (detail.ctx?.target ?? target)?.id;
    if (swapped === "values") document.getElementById("writing").dispatchEvent(new Event("refresh")); // other values: another text
    if (swapped !== "all-samples") return;
    const table = document.getElementById("all-samples");
    table.scrollIntoView({ block: "start" });
    table.focus({ preventScroll: true });
  });

  // Who else is here: asked while somebody looks at this tab, and at once when they come back to it.
  const look = () => { if (!document.hidden) document.getElementById("others")?.dispatchEvent(new Event("look")); };
  setInterval(look, 30_000);
  document.addEventListener("visibilitychange", look);

  // Values that were changed are no longer those of the sample set.
  document.getElementById("values-card")?.addEventListener("input", ({ target }) => {
    const choice = document.getElementById("f-sample");
    if (choice && target.name?.startsWith("value-")) choice.value = "";
  });

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key !== "Enter") return;
    if (!event.target.closest?.("#editor")) return;
    event.preventDefault();
    document.getElementById("preview-button").click();
  });
})();
