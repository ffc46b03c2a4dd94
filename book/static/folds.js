// The theme lets the keyboard reach code that scrolls sideways, but looks for it only when the
// page is loaded or resized: look again when a fold was opened.
"use strict";
document.addEventListener("click", (event) => {
  if (event.target.closest("summary, .toggle, .toggle-button")) {
    setTimeout(() => window.dispatchEvent(new Event("resize")), 100);
  }
});
