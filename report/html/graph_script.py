"""The one script of the HTML report: it draws the graph from the data on the page.

It loads nothing and writes text only as text. The page's policy names it by its hash, so that no
other runs.
"""

from __future__ import annotations

import base64
from hashlib import sha256

from .markup import Markup

SCRIPT = Markup(r"""
"use strict";
for (const figure of document.querySelectorAll("figure.graph")) {
  const data = JSON.parse(figure.parentNode.querySelector(".graph-data").textContent);
  const count = data.x.length, W = 206, H = 74, BOX = 184, TALL = 42, LEAST = .001;
  const canvas = figure.querySelector("canvas"), pen = canvas.getContext("2d");
  const select = figure.querySelector("select"), find = figure.querySelector("input");
  const said = figure.querySelector("output"), legend = figure.querySelector(".legend");
  const most = Math.max(1e-9, ...[...data.time, ...data.before].map(Number));
  const readers = data.x.map(() => []), reads = data.x.map(() => []), rows = [];
  for (const [from, to] of data.edges) { readers[from].push(to); reads[to].push(from); }
  data.layer.forEach((layer, node) => (rows[layer] = rows[layer] || []).push(node));
  for (const row of rows) row.sort((a, b) => data.x[a] - data.x[b]);
  const left = Math.min(...data.x) * W - W / 2, right = Math.max(...data.x) * W + W / 2;
  let zoom = 1, x0 = 0, y0 = 0, wide = 0, high = 0, chosen = -1, hits = new Set(), due = false;
  let colours = {};
  const NAMES = { int8: "after", float16: "amber", int16: "violet", int4: "good", CPU: "bad" };

  const rgb = text => {
    const digits = text.length < 5 ? text.slice(1).replace(/./g, "$&$&") : text.slice(1);
    return [0, 2, 4].map(at => parseInt(digits.slice(at, at + 2), 16));
  };
  const mix = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * t));
  const css = c => `rgb(${c})`;
  const light = c => { const [r, g, b] = c.map(v => { v /= 255;
      return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const inkOn = c => light(c) > .18 ? "#000" : "#fff";
  function readColours() {
    const style = getComputedStyle(figure);
    for (const name of ["card", "ink", "muted", "track", "before", "after", "bad", "good", "amber",
                        "violet"])
      colours[name] = rgb(style.getPropertyValue("--" + name).trim());
  }
  const kindColour = kind => colours[NAMES[kind] || "track"];
  const warmth = t => mix(colours.track, colours.after, Math.sqrt(t));
  const noise = db => mix(colours.bad, colours.track, Math.min(Math.max((db - 10) / 35, 0), 1));
  function fill(node) {
    if (select.value == "format") return kindColour(data.kinds[data.kind[node]]);
    const value = data[select.value][node];
    if (value === null) return colours.card;
    return select.value == "time" ? warmth(value / most) : noise(value);
  }
  const plain = (value, unit) => value === null ? "-" : `${value} ${unit}`;
  const figures = node => ({ time: plain(data.time[node], data.unit),
    noise: plain(data.noise[node], "dB"), format: data.kinds[data.kind[node]] });

  function showLegend() {
    const steps = select.value == "format" ? data.kinds.map(kind => [kind, kindColour(kind)]) :
      select.value == "time" ? [0, .25, 1].map(t =>
        [`${Number((t * most).toPrecision(2))} ${data.unit}`, warmth(t)]) :
      [10, 25, 45].map(db => [`${db} dB`, noise(db)]);
    legend.replaceChildren(...steps.map(([words, colour]) => {
      const entry = document.createElement("span"), sample = document.createElement("i");
      sample.style.background = css(colour);
      entry.append(sample, words);
      return entry;
    }));
  }

  const cut = (text, size) => text.length > size ? "…" + text.slice(1 - size) : text;
  function draw() {
    due = false;
    const dots = devicePixelRatio || 1;
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, wide, high);
    pen.setTransform(dots * zoom, 0, 0, dots * zoom, dots * x0, dots * y0);
    const first = Math.floor(-y0 / zoom / H) - 1, last = Math.ceil((high - y0) / zoom / H) + 1;
    const near = chosen < 0 ? new Set() : new Set([chosen]);
    for (const marked of [false, true]) {
      pen.beginPath();
      for (const edge of data.edges) {
        const [a, b] = edge;
        if (data.layer[b] < first || data.layer[a] > last) continue;
        if ((near.has(a) || near.has(b)) != marked) continue;
        let x = data.x[a] * W, y = data.layer[a] * H + TALL / 2;
        pen.moveTo(x, y);
        for (let k = 2; k <= edge.length; k++) {
          const end = k == edge.length;
          const tx = (end ? data.x[b] : edge[k]) * W;
          const ty = end ? data.layer[b] * H - TALL / 2 : (data.layer[a] + k - 1) * H;
          if (zoom < .25 || tx == x) pen.lineTo(tx, ty);
          else pen.bezierCurveTo(x, (y + ty) / 2, tx, (y + ty) / 2, tx, ty);
          x = tx; y = ty;
        }
      }
      pen.strokeStyle = css(marked ? colours.after : colours.before);
      pen.lineWidth = Math.max(marked ? 2.5 : 1.2, (marked ? 1.6 : .6) / zoom);
      pen.stroke();
    }
    pen.textAlign = "center"; pen.textBaseline = "middle";
    for (let layer = Math.max(first, 0); layer <= Math.min(last, rows.length - 1); layer++)
      for (const node of rows[layer] || []) box(node);
  }
  function box(node) {
    const x = data.x[node] * W, y = data.layer[node] * H, colour = fill(node);
    if ((x + BOX) * zoom + x0 < 0 || (x - BOX) * zoom + x0 > wide) return;
    pen.fillStyle = css(colour);
    pen.fillRect(x - BOX / 2, y - TALL / 2, BOX, TALL);
    const hit = hits.has(node), own = node == chosen;
    pen.strokeStyle = css(own || hit ? colours.ink : colours.before);
    pen.lineWidth = own ? Math.max(4, 3 / zoom) : hit ? Math.max(2.5, 2 / zoom) : 1;
    pen.setLineDash(hit && !own ? [6, 3] : []);
    if (own || hit || zoom > .2) pen.strokeRect(x - BOX / 2, y - TALL / 2, BOX, TALL);
    pen.setLineDash([]);
    if (zoom < .45) return;
    pen.fillStyle = inkOn(colour);
    pen.font = "600 13px system-ui, sans-serif";
    pen.fillText(cut(`${data.op[node]}  ${figures(node)[select.value]}`, 30), x, y - 9, BOX - 8);
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(cut(data.name[node], 28), x, y + 10, BOX - 8);
  }
  function redraw() { if (!due) { due = true; requestAnimationFrame(draw); } }

  function scaleTo(next, px = wide / 2, py = high / 2) {
    next = Math.min(Math.max(next, LEAST), 3);
    x0 = px - (px - x0) * next / zoom; y0 = py - (py - y0) * next / zoom;
    zoom = next; redraw();
  }
  function all() {
    zoom = Math.max(Math.min(wide / (right - left), high / (rows.length * H), 1), LEAST);
    x0 = wide / 2 - zoom * (left + right) / 2;
    y0 = high / 2 - zoom * (rows.length - 1) * H / 2; redraw();
  }
  function begin() {
    all();
    if (zoom < .5) { zoom = .8; see(0); y0 = TALL; }
  }
  function see(node) {
    x0 = wide / 2 - zoom * data.x[node] * W; y0 = high / 2 - zoom * data.layer[node] * H; redraw();
  }
  function choose(node) {
    chosen = node;
    const value = figures(node), more = [value.time];
    if (data.before[node] !== null) more.push(`${plain(data.before[node], data.unit)} before`);
    if (data.noise[node] !== null) more.push(value.noise);
    const from = reads[node].map(one => data.name[one]).join(", ");
    said.textContent = `${data.op[node]} ${data.name[node]}: ${more.join(", ")}. ` +
      `${data.about[node]}.` + (data.joins[node] ? ` Joins ${data.joins[node]}.` : "") +
      (from ? ` Reads ${from}.` : "");
    redraw();
  }
  function go(node) {
    if (node === undefined) return;
    choose(node);
    if (zoom < .45) zoom = .8;
    see(node);
  }
  function beside(step) {
    const row = rows[data.layer[chosen]];
    go(row[row.indexOf(chosen) + step]);
  }

  function size() {
    const dots = devicePixelRatio || 1;
    wide = canvas.clientWidth; high = canvas.clientHeight;
    canvas.width = wide * dots; canvas.height = high * dots;
  }
  const MOVES = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  canvas.addEventListener("keydown", event => {
    const key = event.key;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key in MOVES && event.shiftKey) {
      x0 += 60 * MOVES[key][0]; y0 += 60 * MOVES[key][1]; redraw();
    } else if (key in MOVES && chosen < 0) go(0);
    else if (key == "ArrowDown") go(readers[chosen][0]);
    else if (key == "ArrowUp") go(reads[chosen][0]);
    else if (key == "ArrowLeft") beside(-1);
    else if (key == "ArrowRight") beside(1);
    else if (key == "+" || key == "=") scaleTo(zoom * 1.25);
    else if (key == "-") scaleTo(zoom / 1.25);
    else if (key == "0") all();
    else if (key == "Home") go(0);
    else if (key == "End") go(count - 1);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("wheel", event => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    scaleTo(zoom * Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
  }, { passive: false });
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", event => {
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    canvas.setPointerCapture(event.pointerId); moved = 0;
  });
  canvas.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId), now = [event.offsetX, event.offsetY];
    if (!before) return;
    fingers.set(event.pointerId, now);
    const other = [...fingers].find(([id]) => id != event.pointerId);
    if (other) {
      const apart = at => Math.hypot(at[0] - other[1][0], at[1] - other[1][1]) || 1;
      scaleTo(zoom * apart(now) / apart(before), ...other[1]);
    }
    x0 += now[0] - before[0]; y0 += now[1] - before[1];
    moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]); redraw();
  });
  canvas.addEventListener("pointerup", event => {
    fingers.delete(event.pointerId);
    if (moved > 4) return;
    const x = (event.offsetX - x0) / zoom, y = (event.offsetY - y0) / zoom;
    const row = rows[Math.round(y / H)] || [];
    const node = row.find(one => Math.abs(data.x[one] * W - x) < BOX / 2);
    if (node !== undefined) choose(node);
  });
  canvas.addEventListener("pointercancel", event => fingers.delete(event.pointerId));
  select.addEventListener("change", () => { showLegend(); redraw(); });
  let turn = 0;
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().trim();
    hits = new Set(words ? data.name.map((_, node) => node).filter(node =>
      `${data.op[node]} ${data.name[node]} ${data.joins[node]} ${data.about[node]}`
        .toLowerCase().includes(words)) : []);
    turn = 0;
    said.textContent = words ? `${hits.size} of ${count} found; Enter goes to the next.` : "";
    redraw();
  });
  find.addEventListener("keydown", event => {
    if (event.key != "Enter" || !hits.size) return;
    event.preventDefault();
    go([...hits][turn++ % hits.size]);
  });
  figure.querySelector(".controls").addEventListener("click", event => {
    const button = event.target.type == "button" ? event.target.value : "";
    if (button == "in") scaleTo(zoom * 1.4);
    if (button == "out") scaleTo(zoom / 1.4);
    if (button == "all") all();
  });
  const theme = () => { readColours(); showLegend(); redraw(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
  matchMedia("print").addEventListener("change", () => { theme(); draw(); });
  for (const option of select.options)
    option.disabled = option.value == "noise" && data.noise.every(value => value === null);
  figure.hidden = false;
  readColours(); size(); begin(); showLegend();
  // a new size clears it, and printing waits for no frame
  new ResizeObserver(() => { size(); draw(); }).observe(canvas);
}
""")
HASH = "sha256-" + base64.b64encode(sha256(SCRIPT.encode()).digest()).decode()
