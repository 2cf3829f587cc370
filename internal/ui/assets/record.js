// The proof of an event, checked here: the event's hash from what it holds, the leaf from that, the way up, and the signature over the end.
(function () {
  "use strict";
  var list = document.getElementById("proof"), verdict = document.getElementById("proof-verdict");
  if (!list || !verdict || !window.crypto || !crypto.subtle) return;

  function bytes(hex) { var b = new Uint8Array(hex.length / 2); for (var i = 0; i < b.length; i++) b[i] = parseInt(hex.substr(2 * i, 2), 16); return b; }
  function hex(b) { return Array.from(b, function (x) { return x.toString(16).padStart(2, "0"); }).join(""); }
  function base64(text) { return Uint8Array.from(atob(text), function (c) { return c.charCodeAt(0); }); }
  function join() {
    var n = 0, at = 0, i;
    for (i = 0; i < arguments.length; i++) n += arguments[i].length;
    var out = new Uint8Array(n);
    for (i = 0; i < arguments.length; i++) { out.set(arguments[i], at); at += arguments[i].length; }
    return out;
  }
  function eight(n) { var b = new Uint8Array(8); new DataView(b.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(n))); return b; }
  function text(s) { return new TextEncoder().encode(s); }
  function field(b) { return join(eight(b.length), b); }
  async function sha(b) { return new Uint8Array(await crypto.subtle.digest("SHA-256", b)); }
  function node(left, right) { return sha(join(new Uint8Array([1]), left, right)); }

  function eventHash(p) {
    var e = p.event;
    return sha(join(field(text(e.prev)), eight(e.seq), eight(p.micros), field(text(e.type)), field(text(e.actor)), field(text(e.subject)), field(text(p.data))));
  }
  function row(what, boxes) {
    var li = document.createElement("li"), label = document.createElement("span"), frame = document.createElement("div");
    label.className = "what"; label.textContent = what;
    frame.className = boxes.length > 1 ? "pair" : "one";
    boxes.forEach(function (b) {
      var c = document.createElement("code");
      c.textContent = b.hash; c.title = b.title || b.hash; if (b.look) c.className = b.look;
      frame.appendChild(c);
    });
    li.appendChild(label); li.appendChild(frame); list.appendChild(li);
  }
  // climb goes from the leaf to the root as RFC 9162, 2.1.3.2 says; numbers are halved without bits, which end at 32.
  async function climb(p, leaf) {
    var at = p.event.seq - 1, last = p.size - 1, h = leaf, level = 0;
    for (var i = 0; i < p.path.length; i++) {
      var beside = bytes(p.path[i]), left = at % 2 === 1 || at === last;
      if (last === 0) throw new Error("the proof is longer than the tree is high");
      level++;
      row("level " + level, left ? [{ hash: p.path[i] }, { hash: hex(h), look: "own" }] : [{ hash: hex(h), look: "own" }, { hash: p.path[i] }]);
      h = left ? await node(beside, h) : await node(h, beside);
      if (left) while (at % 2 === 0 && at !== 0) { at = Math.floor(at / 2); last = Math.floor(last / 2); }
      at = Math.floor(at / 2); last = Math.floor(last / 2);
    }
    if (last !== 0) throw new Error("the proof ends before the root");
    return h;
  }
  // signed says whether the log's key signed the checkpoint; undefined where this browser knows no Ed25519.
  async function signed(p, note) {
    for (var i = 0; i < p.keys.length; i++) {
      var parts = p.keys[i].split("+"), name = parts[0], raw = base64(parts.slice(2).join("+"));
      for (var k = 0; k < note.sigs.length; k++) {
        if (note.sigs[k].name !== name || hex(note.sigs[k].raw.slice(0, 4)) !== parts[1]) continue;
        try {
          var key = await crypto.subtle.importKey("raw", raw.slice(1), { name: "Ed25519" }, false, ["verify"]);
          return await crypto.subtle.verify({ name: "Ed25519" }, key, note.sigs[k].raw.slice(4), text(note.text));
        } catch (err) { return undefined; }
      }
    }
    return false;
  }
  function read(checkpoint) {
    var cut = checkpoint.indexOf("\n\n"), lines = checkpoint.slice(0, cut).split("\n");
    return { text: checkpoint.slice(0, cut + 1), origin: lines[0], size: Number(lines[1]), root: hex(base64(lines[2])),
      sigs: checkpoint.slice(cut + 2).split("\n").filter(Boolean).map(function (l) { var w = l.split(" "); return { name: w[1], raw: base64(w[2]) }; }) };
  }
  function say(good, words) {
    verdict.textContent = "";
    var badge = document.createElement("span");
    badge.className = "badge " + (good ? "pass" : "fail"); badge.textContent = good ? "proved" : "does not hold";
    verdict.appendChild(badge); verdict.appendChild(document.createTextNode(" " + words));
    verdict.dataset.proved = String(good);
  }
  async function check() {
    var answer = await fetch(list.dataset.proof, { credentials: "same-origin" });
    if (!answer.ok) throw new Error("the proof could not be fetched: " + answer.status);
    var p = await answer.json(), note = read(p.checkpoint);
    var own = p.removed ? bytes(p.event.hash) : await eventHash(p);
    row(p.removed ? "hash of the event; its content was removed" : "hash of the event, from its number, time, type, actor, subject, data and the hash before", [{ hash: hex(own), look: hex(own) === p.event.hash ? "own" : "bad" }]);
    if (hex(own) !== p.event.hash) return say(false, "What the event holds is not what its hash was made of.");
    var leaf = await sha(join(new Uint8Array([0]), own));
    row("leaf", [{ hash: hex(leaf), look: "own" }]);
    var root = hex(await climb(p, leaf)), fits = root === note.root && note.size === p.size;
    row("root of the tree of " + p.size + " events", [{ hash: root, look: fits ? "good" : "bad" }]);
    if (!fits) return say(false, "The way from the event does not end at the hash that the log signed, " + note.root + ".");
    var by = await signed(p, note);
    if (by === false) return say(false, "The checkpoint is not signed by the log.");
    say(true, "This event is number " + p.event.seq + " of the " + p.size + " that " + note.origin + " signed" + (by ? "; the signature was checked." : "; this browser cannot check the signature itself."));
  }
  check().catch(function (err) { say(false, err.message); });
})();
