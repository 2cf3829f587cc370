// How the interval of an experiment's primary metric narrowed.
(function () {
  "use strict";
  var doc = document, plot = null, drawn = "", asked = 0;
  function color(name) { return getComputedStyle(doc.documentElement).getPropertyValue(name).trim(); }
  function stroke(paint) { return /^v[a-e]$/.test(paint) ? color("--" + paint) : color("--soft"); }
  function text(data, x) {
    if (x == null) return "–";
    var y = data.relative ? 100 * x : x;
    return (y > 0 ? "+" : "") + +y.toPrecision(3) + (data.relative ? " %" : "");
  }
  function draw() {
    var box = doc.getElementById("intervals");
    if (!box || !window.uPlot || Date.now() - asked < 900) return;
    asked = Date.now();
    fetch(box.dataset.series, { headers: { "HX-Request": "true" } }).then(function (r) { return r.ok ? r.json() : Promise.reject(r.status); }).then(function (data) {
      var key = JSON.stringify([data.variants.map(function (v) { return v.variant; }), box.clientWidth, data.low, data.high]);
      if (key === drawn && plot) { plot.setData(values(data)); return; }
      build(box, data); drawn = key;
    }).catch(function () { });
  }
  function values(data) {
    return data.variants.reduce(function (all, v) { return all.concat([v.high, v.low, v.effect]); }, [data.t, data.users]);
  }
  function build(box, data) {
    if (plot) plot.destroy();
    plot = null;
    box.textContent = ""; box.className = "intervals";
    if (data.t.length < 2 || data.low === data.high) { box.className = ""; box.textContent = "There is too little for a picture yet."; return; }
    var axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    var none = { points: { show: false }, width: 0 }, bands = [];
    var series = [{ label: "Time", value: function (_, v) { return v == null ? "–" : new Date(v * 1000).toISOString().slice(0, 16).replace("T", " "); } },
      Object.assign({ label: "Users", scale: "none", show: true, value: function (_, v) { return v == null ? "–" : v; } }, none)];
    data.variants.forEach(function (v, i) {
      var c = stroke(v.paint), at = 2 + 3 * i;
      bands.push({ series: [at, at + 1], fill: c + "38" });
      series.push(Object.assign({ label: v.variant + " at most", stroke: c, value: function (_, x) { return text(data, x); } }, none),
        Object.assign({ label: v.variant + " at least", stroke: c, value: function (_, x) { return text(data, x); } }, none),
        { label: v.variant, stroke: c, width: 2.5, points: { show: data.t.length < 4 }, value: function (_, x) { return text(data, x); } });
    });
    plot = new uPlot({
      width: box.clientWidth - 34, height: 280, tzDate: function (ts) { return uPlot.tzDate(new Date(ts * 1000), "UTC"); },
      cursor: { points: { size: 6 }, drag: { x: false, y: false } }, bands: bands, series: series,
      scales: { y: { range: [data.low, data.high] }, none: { range: [0, 1] } },
      axes: [Object.assign({ values: [[86400, "{YYYY}-{MM}-{DD}"], [60, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1]], space: 70 }, axis),
        Object.assign({ size: 64, values: function (_, all) { return all.map(function (v) { return text(data, v); }); } }, axis)],
      hooks: { drawAxes: [zero] }
    }, values(data), box);
  }
  function zero(u) {
    var y = Math.round(u.valToPos(0, "y", true)), c = u.ctx;
    c.save();
    c.strokeStyle = color("--ink"); c.lineWidth = window.devicePixelRatio || 1;
    c.beginPath(); c.moveTo(u.bbox.left, y); c.lineTo(u.bbox.left + u.bbox.width, y); c.stroke();
    c.restore();
  }
  function again() { drawn = ""; asked = 0; draw(); }
  doc.addEventListener("htmx:afterSwap", function (e) { if (e.detail.target.id === "live") draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  var resized;
  addEventListener("resize", function () { clearTimeout(resized); resized = setTimeout(again, 200); });
  draw();
})();
