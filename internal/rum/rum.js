// Ringfence: how a page is for its users. No cookies, no storage, no dependencies; it never throws into the page.
(function (w, d, n, p) {
  "use strict";
  if (w.ringfence) return;
  var quiet = n.doNotTrack === "1" || w.doNotTrack === "1" || n.globalPrivacyControl === true;
  var me = d.currentScript, url = me && me.src ? me.src.replace(/rum\.js.*$/, "rum") : "/.ringfence/rum";
  var data = me ? me.dataset : {}, page = data.page || location.pathname;
  var vitals = {}, errors = {}, kept = 0, events = [], seen = false, settled = false, total = 0;
  if (data.sample && Math.random() * 100 >= +data.sample) quiet = true;

  // Which version, ring and variants this page came with.
  function origin() {
    var said = "", m = d.querySelector('meta[name="ringfence"]');
    try {
      p.getEntriesByType("navigation")[0].serverTiming.forEach(function (t) { if (t.name === "rf") said = t.description; });
    } catch (_) { }
    said = (said || (m && m.content) || "").split(";");
    var flags = {};
    (said[2] || "").split(",").forEach(function (f) {
      var i = f.lastIndexOf("=");
      if (i > 0) flags[f.slice(0, i)] = f.slice(i + 1);
    });
    return { v: said[0] || "", r: said[1] || "", f: flags };
  }

  function watch(type, options, each) {
    try {
      if (!(PerformanceObserver.supportedEntryTypes || []).includes(type)) return;
      var o = new PerformanceObserver(function (l) { try { l.getEntries().forEach(each); } catch (_) { } });
      o.observe(Object.assign({ type: type, buffered: true }, options));
      drains.push(function () { try { o.takeRecords().forEach(each); } catch (_) { } });
    } catch (_) { }
  }
  var drains = [], active = 0, shifted = 0, first = 0, last = 0, slow = [], hiddenAt = d.visibilityState === "hidden" ? 0 : Infinity;
  function measure() {
    try {
      var nav = p.getEntriesByType("navigation")[0];
      if (nav) {
        active = nav.activationStart || 0;
        if (nav.responseStart > 0) vitals.ttfb = Math.max(0, nav.responseStart - active);
      }
    } catch (_) { }
    watch("paint", {}, function (e) { if (e.name === "first-contentful-paint" && e.startTime < hiddenAt) vitals.fcp = Math.max(0, e.startTime - active); });
    watch("largest-contentful-paint", {}, function (e) { if (!settled && e.startTime < hiddenAt) vitals.lcp = Math.max(0, e.startTime - active); });
    if (w.LayoutShift) vitals.cls = 0;
    watch("layout-shift", {}, function (e) { // the worst window: shifts less than 1 s apart, 5 s at most
      if (e.hadRecentInput) return;
      if (shifted && e.startTime - last < 1000 && e.startTime - first < 5000) shifted += e.value;
      else { shifted = e.value; first = e.startTime; }
      last = e.startTime;
      vitals.cls = Math.max(vitals.cls || 0, shifted);
    });
    var interaction = function (e) { // the slowest of interactions, but for one in fifty
      if (!e.interactionId && e.entryType !== "first-input") return;
      var same = slow.find(function (s) { return s.id === e.interactionId; });
      if (same) same.took = Math.max(same.took, e.duration);
      else slow.push({ id: e.interactionId, took: e.duration });
      slow.sort(function (a, b) { return b.took - a.took; });
      slow.length = Math.min(slow.length, 10);
      var many = p.interactionCount || slow.length;
      vitals.inp = slow[Math.min(slow.length - 1, Math.floor(many / 50))].took;
    };
    watch("event", { durationThreshold: 40 }, interaction);
    watch("first-input", {}, interaction);
  }

  function error(kind, message, source) {
    message = String(message == null ? "unknown" : message).slice(0, 200);
    source = String(source || "").replace(/[?#][^:]*/, "").replace(location.origin, "").slice(0, 200);
    var key = kind + message + source, e = errors[key];
    if (e) { e.n = Math.min(e.n + 1, 1000); return; }
    if (kept >= 10 || total >= 60) return;
    kept++; total++;
    errors[key] = { k: kind, m: message, s: source, n: 1 };
    if (kept >= 10) send();
  }
  function where(e) {
    var line = e && e.stack && String(e.stack).split("\n").find(function (l) { return /:\d+:\d+/.test(l); });
    var m = line && line.match(/((?:https?:\/\/|\/)[^\s()]*:\d+:\d+)/);
    return m ? m[1] : "";
  }

  function send() {
    try {
      if (quiet) return;
      drains.forEach(function (f) { f(); });
      var list = Object.values(errors), first = !seen;
      if (seen && !list.length && !events.length) return;
      var from = origin(), body = { p: page, v: from.v, r: from.r, f: from.f, e: list, c: events };
      if (first) { body.n = 1; body.m = vitals; }
      errors = {}; kept = 0; events = []; seen = true;
      body = JSON.stringify(body);
      if (!(n.sendBeacon && n.sendBeacon(url, body))) fetch(url, { method: "POST", body: body, keepalive: true, credentials: "same-origin" }).catch(function () { });
    } catch (_) { }
  }
  function leave() { if (d.visibilityState === "hidden") { hiddenAt = Math.min(hiddenAt, p.now()); send(); } }

  w.ringfence = {
    event: function (name, value) { // something that a user did
      try {
        if (quiet || total >= 200) return;
        total++;
        var e = { n: String(name).slice(0, 64) };
        if (typeof value === "number" && isFinite(value)) e.x = value;
        if (events.push(e) >= 20) send();
      } catch (_) { }
    },
    error: function (e) { try { if (!quiet) error("caught", e && e.message || e, where(e)); } catch (_) { } },
    page: function (path) { // a page of an application that loads none anew
      try {
        if (!quiet) { send(); page = String(path); seen = false; settled = true; vitals = {}; slow = []; shifted = 0; }
      } catch (_) { }
    },
    send: send
  };
  if (quiet) return;
  measure();
  w.addEventListener("error", function (e) { try { if (e instanceof ErrorEvent) error("error", e.message, e.filename ? e.filename + ":" + e.lineno + ":" + e.colno : where(e.error)); } catch (_) { } });
  w.addEventListener("unhandledrejection", function (e) { try { error("rejection", e.reason && e.reason.message || e.reason, where(e.reason)); } catch (_) { } });
  ["keydown", "click"].forEach(function (t) { d.addEventListener(t, function (e) { if (e.isTrusted) settled = true; }, { capture: true, passive: true }); });
  d.addEventListener("visibilitychange", leave, true);
  w.addEventListener("pagehide", send, true);
})(window, document, navigator, performance);
