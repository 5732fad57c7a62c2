// Ask the live parts of a page to look again when the server says so, while somebody looks at the page.
"use strict";
(() => {
  const status = document.getElementById("live");
  const problem = document.getElementById("problem");
  let source = null;

  const say = (word, on) => {
    if (status.textContent !== word) status.textContent = word;
    status.classList.toggle("on", on);
  };

  // A form that somebody fills in is not taken away.
  const filling = "details[open] form, input:focus, textarea:focus, select:focus";

  // What has not changed stays as it is: a selection, a place in the page.
  const shown = new Map();
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, serverResponse, target } = event.detail;
    if (!requestConfig.triggeringEvent || requestConfig.triggeringEvent.type !== "look") return;
    if (target.id !== "problem") problem.replaceChildren();
    if (target.querySelector(filling)) {
      event.detail.shouldSwap = false;
      return;
    }
    if (shown.get(requestConfig.path) === serverResponse) event.detail.shouldSwap = false;
    shown.set(requestConfig.path, serverResponse);
  });

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
