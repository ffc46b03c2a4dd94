// Figures that answer when touched. Each stands below the figure of a cell with the tag
// "explorer-lnp" or "explorer-basis"; without this script, that figure is what a reader has.
// The numbers of the first are in the page, computed by a cell of the chapter.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS(SVG, tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A plot: axes with ticks, and functions from data to pixels.
function plot({ x, y, xLabel, yLabel, width = 360, height = 250 }) {
  const box = { left: 56, right: width - 16, top: 10, bottom: height - 44 };
  const toX = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * (box.right - box.left);
  const toY = (v) => box.bottom - ((v - y[0]) / (y[1] - y[0])) * (box.bottom - box.top);
  const svg = element("svg:svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const data = element("svg:g");
  const axes = element("svg:g", { class: "axes" });
  axes.append(
    element("svg:path", {
      d: `M${box.left} ${box.top}V${box.bottom}H${box.right}`,
      fill: "none",
      stroke: "currentColor",
    }),
  );
  const text = (content, px, py, more = {}) =>
    axes.append(element("svg:text", { x: px, y: py, "text-anchor": "middle", ...more }, content));
  for (const v of ticks(x)) text(String(v), toX(v), box.bottom + 17);
  for (const v of ticks(y)) text(String(v), box.left - 6, toY(v) + 5, { "text-anchor": "end" });
  text(xLabel, (box.left + box.right) / 2, height - 6);
  const middle = (box.top + box.bottom) / 2;
  text(yLabel, 14, middle, { transform: `rotate(-90 14 ${middle})` });
  svg.append(data, axes);
  return { svg, data, toX, toY, box };
}

function ticks([low, high]) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
    found.push(Number((k * step).toPrecision(6)));
  }
  return found;
}

const path = (points) => "M" + points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L");

function slider(label, { min, max, step, value }, onInput) {
  const shown = element("output", {}, String(value));
  const input = element("input", { type: "range", min, max, step, value });
  const changed = () => {
    shown.textContent = input.value;
    onInput();
  };
  input.addEventListener("input", changed);
  const row = element("label", {}, element("span", {}, label), input, shown);
  return {
    row,
    get value() {
      return Number(input.value);
    },
    set value(v) {
      input.value = v;
      shown.textContent = input.value;
    },
  };
}

function frame(cell, title, ...children) {
  const heading = element("p", { class: "explorer-title" }, title);
  const figure = element("div", { class: "explorer", role: "group", "aria-label": title });
  figure.append(heading, ...children);
  cell.append(figure);
  return figure;
}

// Two sliders for the LNP model; its rate over the observed one, and its log-likelihood.
function exploreModel(cell, lnp) {
  const { weights, sums, nSpikes, weightedCount, binSize, edges, observed, best } = lnp;
  const top = Math.max(...observed) * 1.15;
  const rate = plot({ x: [0, edges.at(-1)], y: [0, top], xLabel: "Current (pA)", yLabel: "Rate (Hz)" });
  observed.forEach((hz, i) => {
    rate.data.append(
      element("svg:rect", {
        x: rate.toX(edges[i]),
        width: rate.toX(edges[i + 1]) - rate.toX(edges[i]) - 1,
        y: rate.toY(hz),
        height: rate.toY(0) - rate.toY(hz),
        class: "bar",
      }),
    );
  });
  const curve = element("svg:path", { class: "curve", fill: "none" });
  rate.data.append(curve);

  const range = { b: [-14, -6], w: [weights[0], weights.at(-1)] };
  // The sum of exp(w x) is known for the weights that the slider takes, and for the best one.
  const known = (w) => {
    const k = Math.round(((w - weights[0]) / (weights.at(-1) - weights[0])) * (weights.length - 1));
    return { w: weights[k], sum: sums[k] };
  };
  const logLikelihood = ({ w, b, sum }) => nSpikes * b + weightedCount * w - Math.exp(b) * sum;
  const lostPerSpike = (model) => (logLikelihood(best) - logLikelihood(model)) / nSpikes / Math.LN2;

  const map = plot({ x: range.w, y: range.b, xLabel: "Weight w (per 100 pA)", yLabel: "Intercept b" });
  const cellsX = 25;
  const cellsY = 20;
  for (let i = 0; i < cellsX; i++) {
    for (let j = 0; j < cellsY; j++) {
      const w = range.w[0] + ((i + 0.5) / cellsX) * (range.w[1] - range.w[0]);
      const b = range.b[0] + ((j + 0.5) / cellsY) * (range.b[1] - range.b[0]);
      const lost = lostPerSpike({ ...known(w), b });
      map.data.append(
        element("svg:rect", {
          x: map.box.left + (i * (map.box.right - map.box.left)) / cellsX,
          y: map.box.bottom - ((j + 1) * (map.box.bottom - map.box.top)) / cellsY,
          width: (map.box.right - map.box.left) / cellsX + 0.5,
          height: (map.box.bottom - map.box.top) / cellsY + 0.5,
          class: "bar",
          opacity: (0.9 / (1 + lost)).toFixed(3),
        }),
      );
    }
  }
  const cross = [map.toX(best.w), map.toY(best.b)];
  map.data.append(
    element("svg:path", {
      d: `M${cross[0] - 7} ${cross[1]}h14M${cross[0]} ${cross[1] - 7}v14`,
      stroke: "currentColor",
      "stroke-width": 2,
    }),
  );
  const dot = element("svg:circle", { r: 6, class: "dot" });
  map.data.append(dot);

  const said = element("p", { class: "explorer-says", "aria-live": "polite" });
  const w = slider("Weight w (per 100 pA)", { min: range.w[0], max: range.w[1], step: 0.1, value: 2 }, draw);
  const b = slider("Intercept b", { min: range.b[0], max: range.b[1], step: 0.05, value: -8 }, draw);
  const button = element("button", { type: "button" }, "Go to the optimum");
  button.addEventListener("click", () => {
    w.value = best.w;
    b.value = best.b;
    draw(best);
  });

  function draw(model = { ...known(w.value), b: b.value }) {
    const points = [];
    for (let pa = 0; pa <= edges.at(-1); pa += 1) {
      const hz = Math.exp(model.b + (model.w * pa) / 100) / binSize;
      points.push([rate.toX(pa), rate.toY(Math.min(hz, top))]);
      if (hz > top) break;
    }
    curve.setAttribute("d", path(points));
    dot.setAttribute("cx", map.toX(model.w));
    dot.setAttribute("cy", map.toY(model.b));
    const ratio = (Math.exp(model.b) * model.sum) / nSpikes;
    said.textContent =
      `Log-likelihood: ${lostPerSpike(model).toFixed(3)} bits per spike below the optimum. ` +
      `Expected spikes: ${ratio.toFixed(2)} times those observed.`;
  }

  frame(
    cell,
    "Move the model",
    element("div", { class: "explorer-plots" }, rate.svg, map.svg),
    w.row,
    b.row,
    button,
    said,
    element(
      "p",
      { class: "explorer-note" },
      "First: observed rate (bars) and the model's (line). Second: the darker, the more probable the spikes; " +
        "the cross is the optimum, the dot is your model. Arrow keys move a slider.",
    ),
  );
  draw();
}

// Raised cosines on a logarithmic axis, as nemos.basis.RaisedCosineLogConv evaluates them.
function bumps(nFunctions, nLags) {
  const stretch = 50;
  const spacing = 1 / (nFunctions + 1);
  return Array.from({ length: nFunctions }, (_, j) =>
    Array.from({ length: nLags }, (_, k) => {
      const at = Math.log((stretch * k) / (nLags - 1) + 1) / Math.log(stretch + 1);
      const phase = Math.min(Math.max(((at - j * spacing) / spacing) * (Math.PI / 2), -Math.PI), Math.PI);
      return 0.5 * (Math.cos(phase) + 1);
    }),
  );
}

// Number of functions, window and weights of a history basis; the filter that they make.
function exploreBasis(cell) {
  const plots = element("div", { class: "explorer-plots" });
  const sliders = element("div", { class: "explorer-weights" });
  const said = element("p", { class: "explorer-says", "aria-live": "polite" });
  const n = slider("Number of functions", { min: 2, max: 12, step: 1, value: 8 }, remake);
  const length = slider("Window (ms)", { min: 20, max: 400, step: 10, value: 200 }, draw);
  let weights = [];

  function remake() {
    const before = weights.map((s) => s.value);
    weights = Array.from({ length: n.value }, (_, j) =>
      slider(`Weight ${j + 1}`, { min: -1, max: 1, step: 0.1, value: before[j] ?? (j < 2 ? 1 : j < 4 ? -0.4 : 0) }, draw),
    );
    sliders.replaceChildren(...weights.map((s) => s.row));
    draw();
  }

  function draw() {
    const nLags = length.value;
    const shapes = bumps(n.value, nLags);
    const filter = shapes[0].map((_, k) => shapes.reduce((sum, s, j) => sum + weights[j].value * s[k], 0));
    const reach = Math.max(1, ...filter.map(Math.abs));
    const above = plot({ x: [0, nLags], y: [0, 1], xLabel: "Lag (ms)", yLabel: "Basis" });
    const below = plot({ x: [0, nLags], y: [-reach, reach], xLabel: "Lag (ms)", yLabel: "Filter" });
    const line = (p, values, cls) =>
      p.data.append(
        element("svg:path", { class: cls, fill: "none", d: path(values.map((v, k) => [p.toX(k + 1), p.toY(v)])) }),
      );
    shapes.forEach((s) => line(above, s, "thin"));
    line(below, filter.map(() => 0), "thin");
    line(below, filter, "curve");
    plots.replaceChildren(above.svg, below.svg);
    const peak = filter.reduce((best, v, k) => (Math.abs(v) > Math.abs(filter[best]) ? k : best), 0);
    said.textContent =
      `${n.value} numbers instead of ${nLags}. The filter is largest, ${filter[peak].toFixed(2)}, ` +
      `at a lag of ${peak + 1} ms.`;
  }

  frame(
    cell,
    "Move the filter",
    plots,
    n.row,
    length.row,
    sliders,
    said,
    element("p", { class: "explorer-note" }, "Each weight scales one bump; the filter is their sum. Arrow keys move a slider."),
  );
  remake();
}

document.querySelectorAll(".tag_explorer-lnp").forEach((cell) =>
  exploreModel(cell, JSON.parse(document.getElementById("explorer-lnp-data").textContent)),
);
document.querySelectorAll(".tag_explorer-basis").forEach((cell) => exploreBasis(cell));
