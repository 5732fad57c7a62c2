// Ask the live parts of a page to look again when the server says so, while somebody looks at the page.
"use strict";
(() => {
  const status = document.getElementById("live");
  let source = null;

  const say = (word, on) => {
    if (status.textContent !== word) status.textContent = word;
    status.classList.toggle("on", on);
  };

  const connect = () => {
    if (source || document.hidden) return;
    source = new EventSource("/live");
    source.addEventListener("look", () => {
      say("live", true);
      htmx.trigger(document.body, "look");
    });
    source.addEventListener("error", () => say("console ended or busy", false));
  };

  const pause = () => {
    if (source) source.close();
    source = null;
    say("paused", false);
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : connect()));
  addEventListener("pagehide", pause);
  addEventListener("pageshow", connect);
})();
