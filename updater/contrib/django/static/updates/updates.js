/* Progress of a run: asks every second and a half, keeps asking while the site restarts, loads the page again at the end. */
(function () {
  "use strict";

  var EVERY = 1500;
  var FINAL = ["done", "failed", "rolled_back", "blocked", "needs_human", "cancelled", "interrupted", "unknown"];

  function start(box) {
    var line = box.querySelector("[data-tagship-line]");
    var bar = box.querySelector("progress");
    var bytes = box.querySelector("[data-tagship-bytes]");
    var log = document.querySelector("[data-tagship-log]");
    var cancel = document.querySelector("[data-tagship-cancel] button");
    var spoken = null;
    var offset = -1;
    var away = 0;

    function say(text) {
      if (text !== spoken) {
        spoken = text;
        line.textContent = text;
      }
    }

    function label(phase) {
      var item = phase && box.querySelector('[data-phase="' + phase + '"]');
      return item ? item.dataset.label : "";
    }

    function showPhases(found) {
      var reached = false;
      box.querySelectorAll("[data-phase]").forEach(function (item) {
        var current = item.dataset.phase === found.phase;
        if (!found.phase || !label(found.phase)) { return; }
        reached = reached || current;
        item.dataset.state = current ? "current" : reached ? "" : "done";
        if (current) { item.setAttribute("aria-current", "step"); } else { item.removeAttribute("aria-current"); }
      });
    }

    function size(number) {
      var units = ["B", "kB", "MB", "GB"];
      var place = 0;
      while (number >= 1000 && place < 3) { number /= 1000; place += 1; }
      return number.toLocaleString(undefined, { maximumFractionDigits: 1 }) + " " + units[place];
    }

    function show(found) {
      showPhases(found);
      if (typeof found.percent === "number") { bar.value = found.percent; } else { bar.removeAttribute("value"); }
      bytes.textContent = found.bytes_total ? size(found.bytes_done || 0) + " / " + size(found.bytes_total) : "";
      var phase = label(found.phase);
      if (found.state === "requested") { say(box.dataset.textWaiting); }
      else { say([phase, found.message].filter(Boolean).join(": ")); }
      if (cancel && found.state === "running") {
        cancel.textContent = cancel.dataset.running;
        cancel.disabled = !found.can_cancel;
      }
      if (log && found.log) {
        log.textContent = offset < 0 ? found.log : log.textContent + found.log;
        log.scrollTop = log.scrollHeight;
      }
      offset = found.log_tail_offset || 0;
    }

    function later() {
      away += 1;
      window.setTimeout(ask, Math.min(EVERY * (1 + away / 10), 5000));
    }

    function ask() {
      var url = box.dataset.tagshipProgress + (offset > 0 ? "?offset=" + offset : "");
      fetch(url, { headers: { Accept: "application/json" }, cache: "no-store", credentials: "omit" })
        .then(function (answer) {
          if (answer.headers.get("X-Tagship-Maintenance")) { say(box.dataset.textMaintenance); return later(); }
          if (!answer.ok) { say(box.dataset.textAway); return later(); }
          return answer.json().then(function (found) {
            away = 0;
            show(found);
            if (FINAL.indexOf(found.state) >= 0) { window.setTimeout(reload, 500); } else { window.setTimeout(ask, EVERY); }
          });
        })
        .catch(function () { say(box.dataset.textAway); later(); });
    }

    /* Only when the site answers: a page that cannot be loaded would take this one away. */
    function reload() {
      fetch(window.location.href, { method: "HEAD", cache: "no-store", credentials: "same-origin" })
        .then(function (answer) { if (answer.status < 500) { window.location.reload(); } else { window.setTimeout(reload, EVERY); } })
        .catch(function () { window.setTimeout(reload, EVERY); });
    }

    ask();
  }

  document.querySelectorAll("[data-tagship-progress]").forEach(start);

  /* A button that was pressed must not be pressed twice. */
  document.querySelectorAll(".tagship form").forEach(function (form) {
    form.addEventListener("submit", function () {
      window.setTimeout(function () { form.querySelectorAll("button").forEach(function (button) { button.disabled = true; }); }, 0);
    });
  });
}());
