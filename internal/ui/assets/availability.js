// The strip of minutes: what a minute was is said below it, for the pointer, the finger and the keys.
(function () {
  "use strict";
  var heat = document.getElementById("heat"), tip = document.getElementById("heat-tip");
  if (!heat || !tip) return;
  var cells = Array.from(heat.querySelectorAll("rect")), at = -1, wide = 60;
  if (!cells.length) return;
  var texts = cells.map(function (c) { return c.textContent; }), lead = Math.round(cells[0].getAttribute("x") / 10);
  function go(i) {
    if (i < 0 || i >= cells.length) return;
    if (at >= 0) cells[at].classList.remove("at");
    at = i;
    cells[at].classList.add("at");
    tip.textContent = texts[at];
  }
  function under(e) { // the cells are low: the whole column of a row is theirs
    var box = heat.getBoundingClientRect(), view = heat.viewBox.baseVal;
    var x = Math.floor((e.clientX - box.left) / box.width * wide), y = Math.floor((e.clientY - box.top) / box.height * (view.height / 14));
    go(y * wide + x - lead);
  }
  heat.addEventListener("pointermove", under);
  heat.addEventListener("pointerdown", under);
  heat.addEventListener("keydown", function (e) {
    var by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[e.key];
    if (!by || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    if (at < 0) { go(by > 0 ? 0 : cells.length - 1); if (!e.shiftKey) return; }
    if (!e.shiftKey) { go(at + by); return; }
    for (var i = at + Math.sign(by); i >= 0 && i < cells.length; i += Math.sign(by)) {
      if (cells[i].classList.contains("bad")) { go(i); return; }
    }
  });
})();
