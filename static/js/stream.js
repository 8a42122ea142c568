/* Opens the streams of a page: [data-stream] is the address whose events replace what is inside, until one is called
   "done". Without script the page reloads itself.

   The attribute is set here and not in the page, because htmx begins in a task of its own as soon as it is loaded: an
   extension that arrives a moment later would find its elements looked at already, and never open them. This script comes
   after the extension, and its task after that of htmx. */
"use strict";

setTimeout(() => {
  for (const element of document.querySelectorAll("[data-stream]")) {
    element.setAttribute("hx-sse:connect", element.dataset.stream);
    htmx.process(element);
  }
});
