// The theme makes code that scrolls sideways reachable by keyboard, but looks for it only when the
// page is loaded or resized. Make it look again after a fold was opened.
"use strict";
document.addEventListener("click", (event) => {
  if (event.target.closest("summary, .toggle, .toggle-button")) {
    setTimeout(() => window.dispatchEvent(new Event("resize")), 100);
  }
});
