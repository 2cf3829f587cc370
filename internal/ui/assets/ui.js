// What pages do beyond being read: stay live, ask before something is done, take keys.
(function () {
  "use strict";
  var doc = document, htmx = window.htmx;
  var $ = function (id) { return doc.getElementById(id); };
  doc.documentElement.classList.add("scripted");

  // Times age without the server.
  function ago(then) {
    var s = Math.max(0, (Date.now() - then) / 1000);
    if (s < 5) return "now";
    if (s < 60) return Math.floor(s) + " s ago";
    if (s < 3600) return Math.floor(s / 60) + " min ago";
    if (s < 172800) return Math.floor(s / 3600) + " h ago";
    return Math.floor(s / 86400) + " d ago";
  }
  function age() {
    doc.querySelectorAll("time[data-ago]").forEach(function (t) {
      var text = ago(Date.parse(t.dateTime));
      if (t.textContent !== text) t.textContent = text;
    });
  }
  setInterval(age, 1000);

  // A signal of the server makes the page fetch its moving part. Nothing is swapped under a selection, under a
  // pointer that is pressed (the click would be lost), or while a question is asked; what was opened stays open.
  var topic = doc.body.dataset.live, source = null, busy = false, again = false, opened = [], pressed = 0, asking = 0;
  var here = location.pathname + location.search;
  // Somebody writes in a form of the page: it has the focus, or something in it that is not sent yet.
  function writing() {
    return Array.from(doc.querySelectorAll("#live details.entry[open]")).some(function (d) {
      return d.contains(doc.activeElement) || d.querySelector(".alert") || Array.from(d.querySelectorAll("input, textarea, select")).some(function (f) {
        return f.tagName === "SELECT" ? !f.options[f.selectedIndex].defaultSelected && f.selectedIndex > 0 : f.value !== f.defaultValue;
      });
    });
  }
  function quietly() {
    var s = getSelection();
    return !asking && !writing() && Date.now() - pressed > 3000 && !doc.querySelector("dialog[open]") && (!s || s.isCollapsed || !$("live").contains(s.anchorNode));
  }
  function refresh() {
    if (busy || !quietly()) { again = true; return; }
    busy = true; again = false;
    htmx.ajax("GET", here, { target: "#live", swap: "innerHTML" }).then(done, done);
  }
  function done() {
    busy = false;
    if (again) setTimeout(refresh, 300);
  }
  function released() { // the click comes after it
    pressed = 0;
    setTimeout(function () { if (again) refresh(); }, 50);
  }
  doc.addEventListener("pointerdown", function () { pressed = Date.now(); });
  doc.addEventListener("pointerup", released);
  doc.addEventListener("pointercancel", released);
  addEventListener("blur", released);
  doc.addEventListener("htmx:beforeRequest", function (e) { if (e.detail.target.id !== "live") asking++; });
  doc.addEventListener("htmx:afterRequest", function (e) {
    if (e.detail.target.id === "live") return;
    asking = Math.max(0, asking - 1);
    if (again) setTimeout(refresh, 50);
  });
  doc.addEventListener("selectionchange", function () { if (again && !busy) setTimeout(function () { if (again) refresh(); }, 200); });
  doc.addEventListener("htmx:beforeSwap", function (e) {
    if (e.detail.target.id !== "live") return;
    if (e.detail.xhr.status >= 400) { e.detail.shouldSwap = false; return; }
    if (!quietly()) { e.detail.shouldSwap = false; again = true; return; } // somebody began meanwhile
    opened = Array.from(doc.querySelectorAll("#live details[open]"), function (d) { return d.id; });
  });
  doc.addEventListener("htmx:afterSwap", function (e) {
    if (e.detail.target.id === "ask-body") {
      htmx.process(e.detail.target); // else its form is one like others for a moment
      $("ask").showModal();
      return;
    }
    if ($("ask") && $("ask").open) htmx.process($("ask-body")); // a question that is asked again
    doc.querySelectorAll("#live details.entry[open]").forEach(function (d) { htmx.process(d); }); // a form that is, too
    if (e.detail.target.id !== "live") return;
    htmx.process(e.detail.target); // else what is pressed at once leads away from the page
    opened.forEach(function (id) { var d = id && $(id); if (d) d.open = true; });
    age(); say();
  });
  function connect() {
    if (!topic || !htmx || source || doc.hidden) return;
    source = new EventSource("/ui/live?topic=" + encodeURIComponent(topic));
    source.addEventListener("changed", refresh);
    source.onopen = function () { pulse(true); };
    source.onerror = function () {
      pulse(false);
      if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(connect, 5000); refresh(); }
    };
  }
  function pulse(ok) {
    var p = $("pulse");
    if (!p) return;
    p.hidden = false; p.classList.toggle("lost", !ok); p.textContent = ok ? "live" : "connecting";
  }
  doc.addEventListener("visibilitychange", function () { // a hidden page holds no connection
    if (doc.hidden) { if (source) source.close(); source = null; return; }
    if (topic && htmx) { connect(); refresh(); }
  });
  addEventListener("pageshow", function (e) { if (e.persisted) location.reload(); });

  // What changed is said once to those who listen.
  var said = null;
  function say() {
    var h = $("headline"), text = h ? h.textContent : null;
    if (said !== null && text !== null && text !== said) $("said").textContent = text;
    said = text;
  }

  // Forms of the page: the first field is ready when one is opened, and it is closed when it is done with.
  function fold(d) {
    d.querySelector("form").reset();
    var trouble = d.querySelector(".alert");
    if (trouble) trouble.remove();
    d.open = false;
    d.querySelector("summary").focus();
    refresh();
  }
  doc.addEventListener("click", function (e) {
    var s = e.target.closest("details.entry > summary"), to = e.target.closest('a[href^="#do-"]'), cancel = e.target.closest("details.entry [data-fold]");
    if (cancel) { e.preventDefault(); fold(cancel.closest("details.entry")); return; }
    var d = s ? s.parentNode : to && doc.querySelector(to.getAttribute("href"));
    if (!d) return;
    if (to) { e.preventDefault(); d.open = true; }
    setTimeout(function () {
      var f = d.open && d.querySelector("input:not([type=hidden]), textarea, select");
      if (f) { f.focus({ preventScroll: true }); d.scrollIntoView({ block: "nearest" }); } else if (again) refresh();
    }, 0);
  });
  doc.addEventListener("keydown", function (e) {
    var d = e.key === "Escape" && e.target.closest && e.target.closest("details.entry[open]");
    if (d) fold(d);
  });
  doc.addEventListener("focusout", function () { if (again) setTimeout(function () { if (again) refresh(); }, 50); });

  // Dialogs.
  doc.addEventListener("click", function (e) {
    var open = e.target.closest("[data-open]"), close = e.target.closest("[data-close]");
    if (open) $(open.dataset.open).showModal();
    if (close && close.closest("dialog")) { e.preventDefault(); close.closest("dialog").close(); }
  });
  doc.addEventListener("done", function (e) {
    var d = e.target.closest("details.entry"), back = e.target.querySelector("[data-close], [data-fold]");
    if ($("ask").open) $("ask").close();
    else if (d) fold(d);
    else if (back) location.href = back.href; // a question that is a page by itself
  });
  doc.querySelectorAll("dialog").forEach(function (d) {
    d.addEventListener("close", function () { if (again) refresh(); });
    d.addEventListener("click", function (e) { if (e.target === d) d.close(); });
  });

  // Another signal has other settings.
  doc.addEventListener("change", function (e) {
    if (e.target.matches("[data-recheck]")) e.target.form.requestSubmit(e.target.form.querySelector('[value="check"]'));
  });

  // Keys of one letter, which can be turned off.
  var waiting = 0, keysOn = $("keys-on");
  function remembered() { try { return localStorage.getItem("keys") !== "off"; } catch (_) { return true; } }
  if (keysOn) {
    keysOn.checked = remembered();
    keysOn.addEventListener("change", function () { try { localStorage.setItem("keys", keysOn.checked ? "on" : "off"); } catch (_) { } });
  }
  function step(by) {
    var items = Array.from(doc.querySelectorAll("[data-item]")), at = items.findIndex(function (i) { return i.contains(doc.activeElement); });
    var next = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : at + by];
    var to = next && (next.matches("summary") ? next : next.querySelector("summary, h2 a, th a"));
    if (to) to.focus();
  }
  // Where several things have the same key, it is for the one that is looked at.
  function keyed(key) {
    var item = doc.activeElement && doc.activeElement.closest("[data-item]"), which = '[data-key="' + key + '"]';
    return (item && item.querySelector(which)) || doc.querySelector(which);
  }
  doc.addEventListener("keydown", function (e) {
    if (e.ctrlKey || e.metaKey || e.altKey || !keysOn || !keysOn.checked) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || doc.querySelector("dialog[open]")) return;
    var second = Date.now() - waiting < 1200;
    waiting = 0;
    var go = second && /^[a-z]$/.test(e.key) && doc.querySelector('#help [data-go="' + e.key + '"]');
    if (go) { location.href = go.dataset.to; return; }
    if (e.key === "g") { waiting = Date.now(); return; }
    if (e.key === "?") { $("help").showModal(); return; }
    if (e.key === "j" || e.key === "k") { step(e.key === "j" ? 1 : -1); return; }
    var action = /^[a-z]$/.test(e.key) && keyed(e.key);
    if (action) { e.preventDefault(); action.click(); }
  });
  doc.addEventListener("keydown", function (e) { // what looks like a button is pressed like one
    if (e.key === " " && e.target.matches('a[role="button"]')) { e.preventDefault(); e.target.click(); }
  });

  say(); connect();
})();
