// Charts on uPlot. A page says where one is and what it is drawn from, <div id="…" data-charts="/ui/….json"
// hx-preserve="true">, and the answer says the rest: its shape is in doc.go. All charts of a page share cursor and zoom.
(function () {
  "use strict";
  var doc = document, boxes = [], zoom = null, held = null;
  var palette = ["vb", "vc", "vd", "ve", "va"];
  function color(name) { return getComputedStyle(doc.documentElement).getPropertyValue(name).trim(); }
  function paint(name, i) {
    if (name === "new") return color("--solid");
    if (name === "stable") return color("--soft");
    if (/^(pass|hold|fail)$/.test(name)) return color("--" + name + "-solid");
    return color(/^v[a-e]$/.test(name) ? "--" + name : "--" + palette[i % palette.length]);
  }
  function make(tag, name, text) {
    var e = doc.createElement(tag);
    if (name) e.className = name;
    if (text) e.textContent = text;
    return e;
  }

  // Numbers and times as people read them.
  function digits(v) { return Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3)); }
  var units = {
    rate: function (v) { return digits(v) + "/s"; },
    share: function (v) { return +(100 * v).toFixed(Math.abs(v) < 0.1 ? 2 : 1) + " %"; },
    change: function (v) { return (v > 0 ? "+" : "") + +(100 * v).toPrecision(3) + " %"; },
    signed: function (v) { return (v > 0 ? "+" : "") + digits(v); },
    seconds: function (v) { return v === 0 ? "0" : Math.abs(v) < 1e-3 ? digits(1e6 * v) + " µs" : Math.abs(v) < 1 ? digits(1e3 * v) + " ms" : Math.abs(v) < 120 ? digits(v) + " s" : digits(v / 60) + " min"; },
    bytes: function (v) {
      var i = 0;
      while (Math.abs(v) >= 1000 && i < 4) { v /= 1000; i++; }
      return digits(v) + " " + ["B", "kB", "MB", "GB", "TB"][i];
    }
  };
  function show(unit, v) {
    if (v == null) return "–";
    return units[unit] ? units[unit](v) : digits(v) + (unit ? " " + unit : "");
  }
  function clock(t) {
    var iso = new Date(t * 1000).toISOString();
    return (Date.now() / 1000 - t > 72000 ? iso.slice(5, 10) + " " : "") + iso.slice(11, 19);
  }
  function stamp(t) { return new Date(Math.round(t) * 1000).toISOString().slice(0, 19) + "Z"; }

  // Boxes are found, fed and fed again.
  function each(f) { boxes.forEach(function (b) { b.plots.forEach(function (p) { f(p, b); }); }); }
  function find() {
    boxes = boxes.filter(function (b) {
      if (b.el.isConnected) return true;
      clear(b);
      return false;
    });
    doc.querySelectorAll("[data-charts]").forEach(function (el) {
      if (!boxes.some(function (b) { return b.el === el; })) boxes.push({ el: el, plots: [], key: "", asked: 0, url: "" });
    });
  }
  function draw() {
    if (!window.uPlot) return;
    find();
    boxes.forEach(ask);
  }
  function ask(b) {
    var url = b.el.dataset.charts, wait = b.url === url ? b.asked + 900 - Date.now() : 0;
    if (wait > 0) {
      if (!b.later) b.later = setTimeout(function () { b.later = 0; if (b.el.isConnected) ask(b); }, wait);
      return;
    }
    b.asked = Date.now(); b.url = url;
    fetch(url, { headers: { "HX-Request": "true" } }).then(function (r) { return r.ok ? r.json() : Promise.reject(r.status); }).then(function (data) {
      if (b.url === url && b.el.isConnected) fill(b, data);
    }).catch(function () { if (!b.plots.length) b.el.textContent = "The numbers of this chart are not to be had just now."; });
  }
  function fill(b, data) {
    b.data = data;
    var key = JSON.stringify([b.el.clientWidth, data.charts.map(function (c) { return [c.title, c.unit, c.low, c.high, c.series.map(function (s) { return [s.name, s.paint]; })]; })]);
    if (key !== b.key || !b.plots.length) { build(b); b.key = b.plots.length ? key : ""; return; }
    b.plots.forEach(function (p, i) {
      p.spec = data.charts[i];
      p.plot.setData(columns(data, p.spec), !zoom);
      if (zoom) p.plot.redraw();
      name(p);
    });
  }
  function clear(b) {
    b.plots.forEach(function (p) { p.plot.destroy(); });
    b.plots = [];
    if (held && held.box === b) held = null;
  }
  function build(b) {
    clear(b);
    b.el.textContent = "";
    b.el.classList.toggle("charts", b.data.charts.length > 0);
    if (!b.data.charts.length) { b.el.textContent = b.data.empty || "Nothing is known of this time."; return; }
    var all = b.data.charts.map(function (spec) { // all panels first: each is as wide as the others leave it
      var p = { box: b, spec: spec, panel: make("div", "chart"), bar: make("p", "chart-bar"), said: make("p", "unseen"), tip: make("div", "chart-tip") };
      var head = make("div", "chart-head");
      head.appendChild(make("h3", "", spec.title));
      head.appendChild(p.bar);
      p.bar.hidden = p.tip.hidden = true;
      p.said.setAttribute("role", "status");
      p.panel.append(head, p.said);
      b.el.appendChild(p.panel);
      return p;
    });
    all.forEach(function (p) {
      p.plot = new uPlot(options(p), columns(b.data, p.spec), p.panel);
      p.plot.over.appendChild(p.tip);
      listen(p);
      name(p);
    });
    b.plots = all;
    if (zoom) all.forEach(function (p) { p.plot.setScale("x", zoom); });
  }
  // Of a series with an interval come its upper and lower bound first, which are drawn as a band.
  function columns(data, spec) {
    return spec.series.reduce(function (all, s) { return all.concat(s.high ? [s.high, s.low, s.y] : [s.y]); }, [spec.t || data.t]);
  }
  function options(p) {
    var spec = p.spec, unit = spec.unit, bands = [], none = { width: 0, points: { show: false }, class: "chart-none" };
    var axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    var series = [{ label: "Time", value: function (_, v) { return v == null ? "–" : clock(v); } }];
    spec.series.forEach(function (s, i) {
      var c = paint(s.paint, i), value = function (_, v) { return show(s.unit || unit, v); };
      if (s.high) {
        bands.push({ series: [series.length, series.length + 1], fill: c + "38" });
        series.push(Object.assign({ label: s.name + " at most" }, none), Object.assign({ label: s.name + " at least" }, none));
      }
      series.push({ label: s.name, stroke: c, width: s.quiet ? 0 : s.paint === "new" || s.high ? 2.5 : 1.5, dash: s.paint === "stable" ? [5, 3] : [], scale: s.quiet ? "quiet" : "y",
        fill: s.area ? c + "30" : undefined, points: { show: !s.quiet && s.y.filter(function (v) { return v != null; }).length < 4 }, value: value });
    });
    return {
      width: p.panel.clientWidth - 32, height: spec.height || 220, tzDate: function (ts) { return uPlot.tzDate(new Date(ts * 1000), "UTC"); },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false, dist: 5 }, bind: { dblclick: function () { return wholeTime; } },
        sync: { key: "page", scales: ["x", null], filters: { pub: function (type) { return type === "mousemove"; }, sub: function () { return true; } } } },
      scales: { y: { range: function (_, lo, hi) { return span(p.spec, lo, hi); } }, quiet: { range: [0, 1] } },
      axes: [Object.assign({ values: [[86400, "{YYYY}-{MM}-{DD}"], [60, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1], [1, "{HH}:{mm}:{ss}"]], space: 70 }, axis),
        Object.assign({ size: 64, values: function (_, all) { return all.map(function (v) { return show(unit, v); }); } }, axis)],
      bands: bands, series: series,
      hooks: { drawAxes: [function (u) { shades(u, p); }], draw: [function (u) { lines(u, p); marks(u, p.box.data.marks || []); }],
        setCursor: [function () { tip(p); }], setSelect: [function (u) { dragged(p, u); }] }
    };
  }
  function span(spec, lo, hi) {
    (spec.limits || []).forEach(function (l) { hi = Math.max(hi == null ? l.y : hi, l.y); });
    var low = spec.low != null ? spec.low : Math.min(0, lo || 0);
    return [low, spec.high != null ? spec.high : Math.max(1.1 * (hi || 0), spec.least || 0) || low + 1];
  }
  function name(p) {
    var last = p.spec.series.map(function (s) {
      var known = s.y.filter(function (v) { return v != null; });
      return s.name + " " + (known.length ? show(s.unit || p.spec.unit, known[known.length - 1]) : "unknown");
    });
    var over = p.plot.over;
    over.setAttribute("role", "group"); over.setAttribute("aria-roledescription", "chart");
    over.setAttribute("aria-label", p.spec.title + ": " + (last.length > 6 ? last.length + " lines" : last.join(", ")) + ". Arrow keys read it.");
    over.tabIndex = 0;
  }

  // What is drawn beside the lines: times that stand out, limits, changes.
  function shades(u, p) {
    var c = u.ctx;
    c.save();
    (p.box.data.spans || []).forEach(function (s) {
      var from = Math.max(u.bbox.left, u.valToPos(s.from, "x", true)), to = Math.min(u.bbox.left + u.bbox.width, u.valToPos(s.to, "x", true));
      if (to <= from) return;
      c.fillStyle = color(s.tone && s.tone !== "calm" ? "--" + s.tone + "-tint" : "--tint");
      c.fillRect(from, u.bbox.top, Math.max(2, to - from), u.bbox.height);
    });
    c.restore();
  }
  function lines(u, p) {
    var c = u.ctx, ratio = window.devicePixelRatio || 1;
    c.save();
    c.font = 11 * ratio + "px system-ui, sans-serif"; c.lineWidth = ratio;
    (p.spec.limits || []).concat(p.spec.zero ? [{ y: 0, tone: "ink" }] : []).forEach(function (l) {
      var y = Math.round(u.valToPos(l.y, "y", true));
      if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
      c.strokeStyle = c.fillStyle = color("--" + (l.tone && l.tone !== "calm" ? l.tone : l.tone === "calm" ? "soft" : "fail"));
      c.setLineDash(l.tone === "ink" ? [] : [6 * ratio, 3 * ratio]);
      c.beginPath(); c.moveTo(u.bbox.left, y); c.lineTo(u.bbox.left + u.bbox.width, y); c.stroke();
      c.textAlign = "left";
      if (l.text) c.fillText(l.text, u.bbox.left + 4 * ratio, y - 4 * ratio);
    });
    c.restore();
  }
  function marks(u, all) {
    var c = u.ctx, ratio = window.devicePixelRatio || 1, edge = -1e9, row = 0;
    c.save();
    c.font = 11 * ratio + "px system-ui, sans-serif"; c.lineWidth = ratio; c.setLineDash([3 * ratio, 3 * ratio]);
    all.forEach(function (m) {
      var x = Math.round(u.valToPos(m.t, "x", true));
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
      c.strokeStyle = c.fillStyle = m.tone === "calm" || !m.tone ? color("--soft") : color("--" + m.tone);
      c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke();
      var w = c.measureText(m.text).width, right = x + w + 6 * ratio > u.bbox.left + u.bbox.width;
      row = x < edge ? row + 1 : 0;
      if (row > 3) return; // the tooltip says the others
      c.textAlign = right ? "right" : "left";
      c.fillText(m.text, x + (right ? -4 : 4) * ratio, u.bbox.top + (11 + 13 * row) * ratio);
      edge = x + w + 8 * ratio;
    });
    c.restore();
  }

  // What is under the pointer.
  function near(p, px) {
    return (p.box.data.marks || []).filter(function (m) { return Math.abs(p.plot.valToPos(m.t, "x") - px) < 6; });
  }
  function read(p, i) {
    return p.spec.series.filter(function (s, k) { return s.y[i] != null; }).map(function (s) {
      var unit = s.unit || p.spec.unit;
      return { name: s.name, at: p.spec.series.indexOf(s), y: s.y[i], paint: s.paint, text: show(unit, s.y[i]) + (s.high && s.high[i] != null ? " (" + show(unit, s.low[i]) + " to " + show(unit, s.high[i]) + ")" : "") };
    });
  }
  function tip(p) {
    var u = p.plot, i = u && u.cursor.idx, left = u && u.cursor.left;
    if (!u || held !== p || i == null || left < 0) { p.tip.hidden = true; return; }
    p.tip.textContent = "";
    p.tip.appendChild(make("b", "", clock(u.data[0][i]) + " UTC"));
    var all = read(p, i).sort(function (a, b) { return b.y - a.y; });
    all.slice(0, 12).forEach(function (r) {
      var row = make("span"), dot = make("i");
      dot.style.background = paint(r.paint, r.at);
      row.append(dot, make("span", "", r.name), make("b", "", r.text));
      p.tip.appendChild(row);
    });
    if (all.length > 12) p.tip.appendChild(make("span", "soft", "and " + (all.length - 12) + " more"));
    if (!all.length) p.tip.appendChild(make("span", "soft", "nothing is known"));
    near(p, left).slice(0, 5).forEach(function (m) { p.tip.appendChild(make("em", m.tone || "calm", m.text)); });
    p.tip.hidden = false;
    var wide = p.tip.offsetWidth, room = u.over.clientWidth;
    p.tip.style.left = Math.max(Math.min(4, room - wide), Math.min(room - wide, left + 14 + wide > room ? left - wide - 14 : left + 14)) + "px";
  }

  // Where the logs of a time are; of narrows them to those of one line.
  function logsAt(logs, from, to, of) {
    var at = new URL(logs, location.href), q = at.searchParams;
    new URLSearchParams(of || "").forEach(function (v, k) { q.set(k, v); });
    q.set("from", stamp(Math.floor(from)));
    q.set("to", stamp(Math.ceil(to)));
    return at.pathname + at.search;
  }
  // The lines that have values in a time: the one nearest to the pointer first, or the highest.
  function within(p, from, to, pointed) {
    var u = p.plot, here = u.cursor.idx, out = [];
    p.spec.series.forEach(function (s) {
      if (!s.of) return;
      var most = null;
      u.data[0].forEach(function (x, i) { if (x >= from && x <= to && s.y[i] != null && (most == null || s.y[i] > most)) most = s.y[i]; });
      if (most == null) return;
      var at = pointed && here != null && s.y[here] != null ? s.y[here] : most;
      out.push({ name: s.name, of: s.of, far: pointed && u.cursor.top >= 0 ? Math.abs(u.valToPos(at, "y") - u.cursor.top) : -most });
    });
    return out.sort(function (a, b) { return a.far - b.far; });
  }

  // A time is chosen by drag or click, or with the keys; then one can go to its logs, or to what changed.
  function bar(p, from, to, by) {
    each(function (q) { if (q !== p) { q.bar.hidden = true; q.plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false); } });
    p.bar.textContent = "";
    p.bar.hidden = false;
    p.bar.appendChild(make("span", "soft", clock(from) + " – " + clock(to).slice(-8)));
    var logs = p.box.data.logs, first = null;
    if (logs) {
      first = make("a", "", "Logs of this time");
      first.href = logsAt(logs, from, to);
      p.bar.appendChild(first);
      within(p, from, to, by === "click").slice(0, 4).forEach(function (s) {
        var a = make("a", "", "of " + s.name);
        a.href = logsAt(logs, from, to, s.of);
        a.setAttribute("aria-label", "Logs of this time of " + s.name);
        p.bar.appendChild(a);
      });
    }
    (p.box.data.marks || []).filter(function (m) { return m.href && m.t >= from && m.t <= to; }).slice(0, 3).forEach(function (m) {
      var a = make("a", "", m.text);
      a.href = m.href;
      p.bar.appendChild(a);
    });
    var reset = make("button", "quiet", zoom ? "Whole time" : "Close");
    reset.type = "button";
    reset.addEventListener("click", function () { wholeTime(); p.plot.over.focus({ preventScroll: true }); });
    p.bar.appendChild(reset);
    p.box.el.dispatchEvent(new CustomEvent("charts:span", { bubbles: true, detail: { from: Math.floor(from), to: Math.ceil(to), by: by } }));
    return first || reset;
  }
  function dragged(p, u) {
    if (u.select.width < 5) return;
    var from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
    p.dragged = Date.now();
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    zoom = { min: from, max: to };
    each(function (q) { q.plot.setScale("x", zoom); });
    bar(p, from, to, "drag");
  }
  function pinned(p, i) {
    var t = p.plot.data[0], step = t.length > 1 ? t[1] - t[0] : 60;
    if (i == null || t[i] == null || (!p.box.data.logs && !(p.box.data.marks || []).length)) return null;
    var from = t[i] - 2 * step, to = t[i] + step, left = Math.max(0, p.plot.valToPos(from, "x"));
    var at = bar(p, from, to, "click");
    p.plot.setSelect({ left: left, width: Math.min(p.plot.over.clientWidth, p.plot.valToPos(to, "x")) - left, top: 0, height: p.plot.over.clientHeight }, false);
    return at;
  }
  function wholeTime() {
    zoom = null;
    each(function (p, b) {
      p.bar.hidden = true;
      p.plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      p.plot.setData(columns(b.data, p.spec));
    });
  }
  function listen(p) {
    var over = p.plot.over;
    over.addEventListener("mouseenter", function () { held = p; });
    over.addEventListener("focus", function () { held = p; });
    over.addEventListener("blur", function () { p.tip.hidden = true; });
    over.addEventListener("click", function () { if (Date.now() - (p.dragged || 0) > 300) pinned(p, p.plot.cursor.idx); });
    over.addEventListener("keydown", function (e) {
      var t = p.plot.data[0], sc = p.plot.scales.x, i = p.plot.cursor.idx, by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
      if (e.key === "Escape") { wholeTime(); return; }
      if (e.key === "Enter") { var at = pinned(p, i); if (at) { e.preventDefault(); at.focus(); } return; }
      if (e.key === "Home") { i = 0; by = 0; } else if (e.key === "End") { i = t.length - 1; by = 0; }
      if (by == null) return;
      e.preventDefault();
      i = Math.max(0, Math.min(t.length - 1, i == null || p.plot.cursor.left < 0 ? t.length - 1 : i + by));
      while (t[i] < sc.min && i < t.length - 1) i++;
      while (t[i] > sc.max && i > 0) i--;
      held = p;
      p.plot.setCursor({ left: p.plot.valToPos(t[i], "x"), top: over.clientHeight / 2 }, true, true);
      p.said.textContent = clock(t[i]) + ": " + (read(p, i).map(function (r) { return r.name + " " + r.text; }).concat(near(p, p.plot.valToPos(t[i], "x")).map(function (m) { return m.text; })).join(", ") || "nothing is known");
    });
  }

  function again() { boxes.forEach(function (b) { b.key = ""; if (b.data && b.el.isConnected) fill(b, b.data); }); }
  doc.addEventListener("htmx:afterSwap", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  var resized;
  addEventListener("resize", function () { clearTimeout(resized); resized = setTimeout(again, 200); });
  setInterval(function () { // pages without a live topic say how often their charts want news
    if (!doc.hidden) boxes.forEach(function (b) { if (b.el.isConnected && b.el.dataset.every && Date.now() - b.asked >= 1000 * b.el.dataset.every) ask(b); });
  }, 1000);
  draw();
})();
