"use strict";
const find = (id) => document.getElementById(id);
const dashes = ["solid", "dash", "dot", "dashdot"];
const strokes = ["none", "10 5", "4 3", "10 3 3 3"];
const symbols = ["circle", "square", "diamond", "cross", "triangle-up", "x"];
const leastRegret = 1e-4; // a logarithmic axis has no 0
const names = board.agents.map((agent) => agent.label);
// Plotly reads some HTML and TeX in texts.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
const colourOf = (i) => palette[i % palette.length];
const dashOf = (i) => Math.floor(i / palette.length) % dashes.length;
const cut = (text, most = 28) => (text.length > most ? text.slice(0, most - 1) + "\u2026" : text);

function number(value, digits = 4) {
  if (value === null || value === undefined) return "-";
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential(1);
  if (Math.abs(value) >= 10 ** (digits - 1)) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(digits)));
}
// No finite regret means that nothing feasible was found.
const regret = (value) => (value === null ? "inf" : value === 0 ? "0" : Math.abs(value) < 1e-4 ? "<0.0001" : value.toFixed(4));
const interval = (e, text) => (e ? `${text(e[1])} to ${text(e[2])}` : "-");

function element(tag, text, properties = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, properties);
}

// A short piece of the line that stands for an agent in the figures.
function swatch(i) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const given = { x1: 0, x2: 26, y1: 6, y2: 6, stroke: colourOf(i), "stroke-width": 5, "stroke-dasharray": strokes[dashOf(i)] };
  for (const [name, value] of Object.entries(given)) line.setAttribute(name, value);
  made.setAttribute("class", "swatch");
  made.setAttribute("viewBox", "0 0 26 12");
  made.setAttribute("aria-hidden", "true");
  made.append(line);
  return made;
}

// A table whose columns are { title, text(row), key(row), number, swatch }, sorted by clicking.
const order = {};
function table(id, columns, rows, label) {
  const state = (order[id] ??= { column: -1, down: false });
  const sorted = [...rows];
  const column = columns[state.column];
  if (column?.key) {
    const sign = state.down ? -1 : 1;
    sorted.sort((a, b) => {
      const [x, y] = [column.key(a), column.key(b)];
      if (x === null || x === undefined) return y === null || y === undefined ? 0 : 1;
      if (y === null || y === undefined) return -1;
      return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
    });
  }
  const made = element("table");
  const head = made.createTHead().insertRow();
  columns.forEach((each, j) => {
    const cell = element("th", undefined, { scope: "col", className: each.number ? "number" : "" });
    if (each.key) {
      const button = element("button", each.title, { type: "button", title: each.doc ?? "sort" });
      if (j === state.column) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      button.addEventListener("click", () => {
        state.down = state.column === j ? !state.down : false;
        state.column = j;
        table(id, columns, rows, label);
        find(id).querySelectorAll("th button")[columns.slice(0, j).filter((c) => c.key).length].focus();
      });
      cell.append(button);
    } else cell.textContent = each.title;
    head.append(cell);
  });
  const body = made.createTBody();
  for (const row of sorted) {
    const line = body.insertRow();
    columns.forEach((each, j) => {
      const cell = element(j === 0 ? "th" : "td", undefined, { className: each.number ? "number" : "" });
      if (j === 0) cell.scope = "row";
      if (each.swatch) cell.append(swatch(each.swatch(row)));
      cell.append(each.marked?.(row) ? element("mark", each.text(row)) : each.text(row));
      line.append(cell);
    });
  }
  const scroll = element("div", undefined, { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", label);
  scroll.append(made);
  find(id).replaceChildren(scroll);
}

function plot(id, traces, layout) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--muted"),
    automargin: true, fixedrange: true,
  };
  const title = (given) => (given?.title ? { ...given, title: { text: plain(given.title), standoff: 6 } } : given);
  Plotly.react(id, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--text"), family: "system-ui, sans-serif", size: 13 },
    margin: { l: 50, r: 10, t: 10, b: 45 }, hovermode: "closest",
    hoverlabel: { bgcolor: colour("--card"), font: { color: colour("--text") } },
    legend: { orientation: "h", y: -0.22, yanchor: "top", x: 0 },
    ...layout, xaxis: { ...axis, ...title(layout.xaxis) }, yaxis: { ...axis, ...title(layout.yaxis) },
  }, { displayModeBar: false, responsive: true });
}

const lineOf = (i) => ({ color: colourOf(i), width: 2, dash: dashes[dashOf(i)], shape: "hv" });
const faint = (i) => colourOf(i) + "38";
const chosen = (i) => names[i].toLowerCase().includes(find("agents").value.trim().toLowerCase());
const indexOf = new Map(names.map((name, i) => [name, i]));
const taskAgents = (task) => task.agents.map((agent, j) => ({ ...agent, i: indexOf.get(agent.label), j })).filter((agent) => chosen(agent.i));
const visibleAt = (place) => (place < 12 ? true : "legendonly");

// Median and quartile band per agent; `curves[j]` is [low, middle, high] of the task's agent j.
function bands(task, x, curves, value = (y) => y, unit = "") {
  const agents = taskAgents(task).filter((agent) => curves[agent.j]);
  return agents.flatMap(({ i, j, label }, place) => {
    const [low, middle, high] = curves[j].map((each) => each.map((y) => (y === null ? null : value(y))));
    const known = low.map((y, k) => y !== null && high[k] !== null);
    const some = (each) => each.filter((_, k) => known[k]);
    const shared = { legendgroup: String(i), name: plain(label), mode: "lines", visible: visibleAt(place) };
    const edge = { ...shared, x: some(x), line: { width: 0, shape: "hv" }, hoverinfo: "skip", showlegend: false };
    return [
      { ...edge, y: some(low) },
      { ...edge, y: some(high), fill: "tonexty", fillcolor: faint(i) },
      { ...shared, x, y: middle, line: lineOf(i), hovertemplate: `%{y:.4~g} at %{x:,.4~g}${unit}` },
    ];
  });
}

// The scores after a tenth of the way: first ones can be worse by orders of magnitude.
function rangeOf(task, x, curves) {
  const shown = taskAgents(task).map((agent) => curves[agent.j]).filter(Boolean);
  const late = x[x.length - 1] / 10;
  const low = shown.flatMap((each) => each[0].filter((y, k) => y !== null && x[k] >= late));
  const high = shown.flatMap((each) => each[2].filter((y) => y !== null));
  const [least, most] = [Math.min(...low), Math.max(...high)];
  const margin = 0.05 * (most - least);
  return least < most && low.length ? [least - margin, most + margin] : undefined;
}

function selectedText(ranking) {
  if (!ranking) return "No task fits these filters.";
  const without = ranking.tasks.length - ranking.begun;
  return `${ranking.tasks.length} of ${board.tasks.length} tasks selected` + (without ? `, ${without} of them without any trial yet.` : ".");
}

function drawRanking() {
  const task = find("task").value;
  const key = task !== "" ? `|||${task}` : `${find("goals").value}|${find("env").value}|${find("budget").value}|`;
  const ranking = board.rankings.find((each) => each.selections.includes(key));
  find("selected").textContent = selectedText(ranking);
  const rows = ranking ? ranking.rows.filter((row) => chosen(row.agent)) : [];
  const best = (row) => (row.rank === null ? "-" : `${row.shared ? "=" : ""}${row.rank}${row.tied ? " \u2248" : ""}`);
  const range = ([low, high]) => (low === high ? String(low) : `${low} to ${high}`);
  table("ranking-table", [
    { title: "agent", text: (r) => names[r.agent], key: (r) => names[r.agent], swatch: (r) => r.agent },
    { title: "place", text: best, key: (r) => r.rank, number: true },
    { title: "IQM of regret", text: (r) => regret(r.iqm[0]), key: (r) => r.iqm[0], number: true },
    { title: "95% interval", text: (r) => interval(r.iqm, regret), number: true },
    { title: "improvement", text: (r) => number(r.improvement, 3), key: (r) => r.improvement, number: true },
    { title: "runs within 0.05", text: (r) => `${Math.round(100 * r.near)}%`, key: (r) => r.near, number: true },
    { title: "tasks", text: (r) => `${r.tasks} of ${ranking.begun}`, key: (r) => r.tasks, number: true },
    { title: "seeds", text: (r) => range(r.seeds), key: (r) => r.seeds[0], number: true },
    { title: "samples", text: (r) => r.samples.toLocaleString("en"), key: (r) => r.samples, number: true },
  ], rows, "Ranking of agents");
  plot("profile", rows.map((row, place) => ({
    x: board.thresholds.map((t) => Math.max(t, 5e-4)), y: row.profile, name: plain(names[row.agent]), mode: "lines",
    line: lineOf(row.agent), visible: visibleAt(place), hovertemplate: "%{y:.0%} of runs up to %{x:.3~g}",
  })), {
    xaxis: { type: "log", dtick: 1, title: "regret (0 at the left edge)" },
    yaxis: { title: "share of runs", tickformat: ".0%", range: [-0.02, 1.02] },
  });
  const places = rows.map((row) => ranking.rows.indexOf(row));
  const labels = rows.map((row) => plain(cut(names[row.agent])));
  plot("pairs", [{
    type: "heatmap", x: rows.map((_, j) => j), y: rows.map((_, j) => j), zmin: 0, zmax: 1, colorscale: "Cividis",
    z: places.map((a) => places.map((b) => ranking.pairs[a][b])), hoverongaps: false,
    text: rows.map((_, a) => rows.map((_, b) => `${labels[a]} over ${labels[b]}`)), hovertemplate: "%{text}: %{z:.2f}<extra></extra>",
    texttemplate: rows.length <= 10 ? "%{z:.2f}" : "", colorbar: { thickness: 10, outlinewidth: 0 },
  }], {
    xaxis: { tickvals: rows.map((_, j) => j), ticktext: labels, tickangle: -40, showgrid: false, zeroline: false },
    yaxis: { tickvals: rows.map((_, j) => j), ticktext: labels, autorange: "reversed", showgrid: false, zeroline: false },
  });
  const difference = ranking?.difference;
  find("difference-part").hidden = !difference;
  if (!difference) return;
  plot("difference", [{
    x: difference.ranks, y: difference.agents.map((i) => plain(cut(names[i]))), mode: "markers", type: "scatter",
    marker: { size: 10, color: difference.agents.map(colourOf) },
    error_x: { type: "constant", value: difference.critical_difference / 2, color: getComputedStyle(document.body).color },
    hovertemplate: "mean rank %{x:.2f}<extra></extra>",
  }], { xaxis: { title: "mean rank (bars: half the critical difference to either side)" }, yaxis: { autorange: "reversed" } });
  find("difference-note").textContent = `Friedman's test over ${difference.tasks} tasks: chi-square ${number(difference.chi_square)}, ` +
    `p ${number(difference.p_value, 2)}; critical difference ${number(difference.critical_difference, 3)} (Nemenyi, 5%). ` +
    "Agents whose bars overlap do not differ. It counts the agents that are on every selected task.";
}

const distinct = (values) => [...new Set(values)].filter((value) => value !== undefined);
const current = () => board.tasks[Number(find("shown").value)];

function drawCurves() {
  const task = current();
  if (!task.samples) return;
  const seconds = find("against").value === "seconds";
  const [x, curves] = seconds ? [task.seconds, task.time_curves] : [task.samples, task.curves];
  const { score, random } = task.optimum;
  const possible = !task.pareto && random !== null && score > random;
  find("as-regret-part").hidden = !possible;
  const asRegret = find("as-regret").checked && possible;
  const value = asRegret ? (y) => Math.max((score - y) / (score - random), leastRegret) : undefined;
  const axis = asRegret ? { type: "log", title: "regret" } : { title: "best score so far", range: rangeOf(task, x, curves) };
  plot("curves", bands(task, x, curves, value, seconds ? " s" : " designs"),
    { xaxis: { type: "log", dtick: 1, title: seconds ? "seconds of search and evaluation" : "designs evaluated" }, yaxis: axis });
}

function drawTargets() {
  const task = current();
  if (!task.targets) return;
  const target = task.targets[Number(find("within").value)];
  plot("ecdf", taskAgents(task).filter((agent) => target.ecdf[agent.j]).map(({ i, j, label }, place) => ({
    x: task.samples, y: target.ecdf[j], name: plain(label), mode: "lines", line: lineOf(i), visible: visibleAt(place),
    hovertemplate: "%{y:.0%} after %{x:,} designs",
  })), {
    xaxis: { type: "log", dtick: 1, title: "designs evaluated" },
    yaxis: { title: `share of runs within ${target.percent}%`, tickformat: ".0%", range: [-0.02, 1.02] },
  });
}

function drawFront(task) {
  find("front-part").hidden = !task.front;
  if (!task.front) return;
  const { front } = task;
  const names2 = front.metrics.slice(0, 2).map((name) => `${name}, times better`);
  const points = (list) => ({ x: list.map((p) => Math.exp(p[0])), y: list.map((p) => Math.exp(p[1] ?? 0)) });
  const traces = taskAgents(task).filter((agent) => front.fronts[agent.j]).map(({ i, j, label }, place) => ({
    ...points(front.fronts[j]), name: plain(label), mode: "markers", visible: visibleAt(place),
    marker: { color: colourOf(i), symbol: symbols[i % symbols.length], size: 8 }, hovertemplate: "%{x:.3f}, %{y:.3f}",
  }));
  const known = { ...points(front.best), name: front.known ? "true front" : "best of all agents", mode: "lines", line: { width: 1, dash: "dot", shape: "vh", color: getComputedStyle(document.body).color }, hoverinfo: "skip" };
  plot("front", [known, ...traces], { xaxis: { type: "log", title: names2[0] }, yaxis: { type: "log", title: names2[1] ?? "" } });
  plot("volume", bands(task, task.samples, front.curves, undefined, " designs"),
    { xaxis: { type: "log", dtick: 1, title: "designs evaluated" }, yaxis: { title: "hypervolume" } });
  const reference = front.reference.map((value, k) => {
    const at = task.designs.metrics.findIndex((m) => m.name === front.metrics[k]);
    const ratio = Math.exp(value);
    const usual = task.designs.default.metrics[at];
    const metric = usual === null ? "" : ` ${number(task.designs.metrics[at].direction === "minimise" ? usual / ratio : usual * ratio)},`;
    return `${front.metrics[k]}${metric} ${number(ratio)} times better than the default`;
  });
  find("front-note").textContent = `Hypervolume in logarithms of these ratios, from the reference point (${reference.join("; ")}); ` +
    `that of ${front.known ? "the true front" : "all designs found"} is ${number(front.hypervolume)}.` +
    (front.metrics.length > 2 ? " The figure shows the first two goals." : "");
}

function change(metric, before, after) {
  if (before === null || after === null || before === 0) return { share: null, kind: "" };
  const share = after / before - 1;
  if (Math.abs(share) < 5e-4 || metric.direction === "none") return { share, kind: "" };
  return { share, kind: (share < 0) === (metric.direction === "minimise") ? "better" : "worse" };
}

const percent = (share) => (share === null ? "-" : Math.abs(share) < 5e-4 ? "0.0%" : `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)}%`);

function drawDesigns(task) {
  const { parameters, metrics, default: usual, best, drawn } = task.designs;
  const rows = [{ ...usual, agent: "default design", score: 0 }, ...best];
  find("designs-note").textContent = `${task.pareto ? "The default design first, then designs of the front, spread over it" : "The default design first"}; marked values differ from it.`;
  const counted = metrics.map((m, j) => ({ title: m.name, doc: m.doc, text: (r) => number(r.metrics[j], 5), key: (r) => r.metrics[j], number: true }));
  table("designs-table", [
    { title: "found by", text: (r) => r.agent, key: (r) => r.agent },
    { title: "seed", text: (r) => String(r.seed ?? ""), key: (r) => r.seed, number: true },
    { title: "sample", text: (r) => String(r.sample ?? ""), key: (r) => r.sample, number: true },
    { title: "score", text: (r) => number(r.score), key: (r) => r.score, number: true },
    ...counted.slice(0, task.designs.counted),
    ...parameters.map((p, j) => ({ title: p.unit ? `${p.name} (${p.unit})` : p.name, doc: p.doc, text: (r) => r.values[j], key: (r) => r.values[j], marked: (r) => r.values[j] !== usual.values[j] })),
    ...counted.slice(task.designs.counted),
  ], rows, "Best designs");
  const told = metrics.map((m, j) => ({ m, before: usual.metrics[j], after: task.designs.top?.metrics[j] ?? null }));
  table("metrics-table", [
    { title: "metric", text: (r) => r.m.name },
    { title: "default", text: (r) => number(r.before, 5), number: true },
    { title: "best", text: (r) => number(r.after, 5), number: true },
    { title: "change", text: (r) => { const { share, kind } = change(r.m, r.before, r.after); return `${percent(share)} ${kind}`; }, key: (r) => change(r.m, r.before, r.after).share, number: true },
  ], told, "Metrics of the best design");
  const { rows: changes, reason } = task.changes;
  find("changes-note").textContent = reason ? `Not evaluated: ${reason}.` :
    "Score with this change alone in the default design (its score is 0), and what the best design loses without it. " +
    "What has an effect only with a change comes along; where the default has no effect, the change back is to the first value.";
  const effect = (value) => (value === null ? "infeasible" : value.toFixed(4));
  table("changes-table", [
    { title: "parameter", text: (r) => r.parameter, key: (r) => r.parameter },
    { title: "default", text: (r) => r.default },
    { title: "best", text: (r) => r.best },
    { title: "alone", text: (r) => effect(r.alone), key: (r) => r.alone, number: true },
    { title: "lost", text: (r) => effect(r.lost), key: (r) => r.lost, number: true },
  ], changes ?? [], "Effect of each change alone");
  find("changes-table").hidden = !changes;
  drawParallel(parameters, drawn);
}

// Lines over parameters, drawn in groups by score so that few traces are enough.
function drawParallel(parameters, drawn) {
  const width = parameters.length;
  const all = distinct(drawn.map((row) => number(row[width])));
  const groups = Math.min(5, all.length);
  const shades = ["#D55E00", "#E69F00", "#009E73", "#56B4E9", "#8a93a5"];
  const heights = parameters.map(({ values }) => values.map((_, k) => k / Math.max(1, values.length - 1)));
  const traces = [];
  for (let g = 0; g < groups; g++) {
    const part = drawn.filter((row) => Math.floor((all.indexOf(number(row[width])) * groups) / all.length) === g);
    const [x, y, text] = [[], [], []];
    part.forEach((row, k) => {
      // Lines of equal values lie beside each other.
      const shift = ((k + 0.5) / part.length - 0.5) * 0.03 + (groups / 2 - g) * 0.012;
      for (let j = 0; j < width; j++) {
        x.push(j);
        y.push(heights[j][row[j]] + shift);
        text.push(`${plain(parameters[j].name)}: ${plain(parameters[j].values[row[j]])}`);
      }
      x.push(null); y.push(null); text.push("");
    });
    const [low, high] = [part[part.length - 1], part[0]].map((row) => number(row[width]));
    traces.push({
      x, y, text, mode: "lines", line: { color: shades[g], width: 1.2 }, hovertemplate: "%{text}<extra></extra>",
      name: `${part.length} designs of score ${low === high ? low : `${low} to ${high}`}`,
    });
  }
  const style = getComputedStyle(document.documentElement);
  const room = find("parallel").clientWidth / width;
  const narrow = room < 30;
  const most = Math.max(4, Math.floor(room / 5.5));
  const values = parameters.flatMap((p, j) => p.values.map((value, k) => ({ j, k, value })))
    // Of a crowd of values those at the ends are enough.
    .filter(({ j, k }) => parameters[j].values.length <= 10 || k === 0 || k === parameters[j].values.length - 1);
  plot("parallel", traces.reverse(), {
    xaxis: { tickvals: parameters.map((_, j) => j), ticktext: parameters.map((p) => plain(cut(p.name, 22))), tickangle: -40, zeroline: false, range: [-0.3, width - 0.3] },
    yaxis: { showticklabels: false, showgrid: false, range: [-0.1, 1.1], zeroline: false },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    annotations: narrow ? [] : values.map(({ j, k, value }) => ({
      x: j, y: heights[j][k], text: plain(cut(value, most)), showarrow: false, xanchor: "left", xshift: 3, font: { size: 9 },
      bgcolor: style.getPropertyValue("--page").trim() + "b0", borderpad: 0,
    })),
  });
}

function drawImportance(task) {
  const found = task.importance.map((share, j) => [share, task.designs.parameters[j].name]).filter(([share]) => share !== null).sort((a, b) => a[0] - b[0]);
  find("importance-note").textContent = `Share of the score's variance that a parameter explains alone (epsilon squared), from ${task.importance_basis}.`;
  find("importance").style.height = `${6 + 1.6 * found.length}rem`;
  plot("importance", [{
    type: "bar", orientation: "h", x: found.map(([share]) => share), y: found.map(([, name]) => plain(name)),
    marker: { color: palette[0] }, hovertemplate: "%{x:.1%}<extra></extra>",
  }], { xaxis: { tickformat: ".0%", title: "share of variance" }, yaxis: {} });
}

const medianOf = (sorted) => (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;

// Regrets that are null are infinite: nothing feasible was found.
function drawBoxes() {
  const task = current();
  const byMethod = find("boxed").value === "method";
  const settings = taskAgents(task).filter((agent) => agent.regrets?.length)
    .map((agent) => ({ ...agent, method: board.agents[agent.i].method, values: agent.regrets.map((r) => r ?? Infinity).sort((a, b) => a - b) }));
  const methods = distinct(settings.map((agent) => agent.method)).sort();
  const groups = byMethod
    ? methods.map((method) => {
      const own = settings.filter((agent) => agent.method === method);
      return { name: `${method} (${own.length})`, colour: colourOf(own[0].i), values: own.map((agent) => medianOf(agent.values)), texts: own.map((agent) => agent.label) };
    })
    : methods.flatMap((method) => settings.filter((agent) => agent.method === method)
      .map((agent) => ({ name: agent.label, colour: colourOf(agent.i), values: agent.values, texts: [] })));
  const beyond = groups.filter((each) => each.values.some((value) => !Number.isFinite(value))).length;
  find("boxes-note").textContent = (byMethod ? "A point is the median over seeds of one setting; in brackets the number of settings." : "A point is a run; settings of one method stand together.") +
    (beyond ? ` Runs without a feasible design are not drawn (${beyond} boxes lack some).` : "");
  find("boxes").style.height = `${Math.max(22, 6 + 2.2 * groups.length)}rem`;
  // Places and not names, so that equal shortened names stay apart.
  plot("boxes", groups.map(({ name, colour, values, texts }, place) => ({
    type: "box", orientation: "h", x: values.map((value) => (Number.isFinite(value) ? value : null)), y: values.map(() => place), name: plain(name), marker: { color: colour, size: 5 },
    width: 0.6, text: texts.map(plain), boxpoints: "all", jitter: 0.5, pointpos: 0, hovertemplate: byMethod ? "%{text}: %{x:.4f}<extra></extra>" : "%{x:.4f}<extra></extra>",
  })), {
    showlegend: false, xaxis: { title: byMethod ? "median regret of a setting" : "regret", rangemode: "tozero" },
    yaxis: { tickvals: groups.map((_, place) => place), ticktext: groups.map(({ name }) => plain(cut(name))), range: [groups.length - 0.4, -0.6], zeroline: false, showgrid: false },
  });
}

function drawTask() {
  const task = current();
  find("task-name").textContent = task.name;
  for (const part of document.querySelectorAll("#tasks > *:not(#task-name):not(.filters):not(#task-text):not(#agents-table)")) {
    part.hidden = !task.samples;
  }
  const agents = taskAgents(task);
  const state = (a) => (a.complete === a.planned ? String(a.complete) : `${a.complete} of ${a.planned}, ${a.partial} partial`);
  const counted = (task.designs?.metrics ?? []).filter((m) => task.shown.includes(m.name));
  table("agents-table", [
    { title: "agent", text: (a) => a.label, key: (a) => a.label, swatch: (a) => a.i },
    { title: "best score", text: (a) => number(a.score?.[0]), key: (a) => a.score?.[0], number: true },
    { title: "95% interval", text: (a) => interval(a.score, number), number: true },
    { title: "regret", text: (a) => (a.regret ? regret(a.regret[0]) : "-"), key: (a) => a.regret?.[0], number: true },
    { title: "x default", text: (a) => number(a.factor, 3), key: (a) => a.factor, number: true },
    ...(task.targets ?? []).map((t) => ({
      title: `designs to ${t.percent}%`, doc: "expected running time in designs; in brackets the runs that got there",
      text: (a) => (a.score ? `${t.expected[a.j] === null ? "inf" : number(t.expected[a.j])} (${t.reached[a.j]})` : "-"), key: (a) => t.expected[a.j], number: true,
    })),
    ...counted.map((m) => ({ title: m.name, doc: m.doc, text: (a) => number(a.metrics?.[m.name]), key: (a) => a.metrics?.[m.name], number: true })),
    { title: "designs/s", text: (a) => number(a.speed, 3), key: (a) => a.speed, number: true },
    { title: "runs", text: state, key: (a) => a.complete, number: true },
  ], agents, "Agents on this task");
  if (!task.samples) {
    find("task-text").textContent = "No run of this task has a trial yet.";
    return;
  }
  find("task-text").textContent = `${task.objective.charAt(0).toUpperCase()}${task.objective.slice(1)}. ${task.optimum.known ? "Optimum" : "Best found, the optimum is not known"}: ${task.optimum.text}. ` +
    `Percentages are of ${task.measure}. ${task.budget.toLocaleString("en")} designs per run.`;
  drawCurves();
  drawTargets();
  drawBoxes();
  drawFront(task);
  drawDesigns(task);
  drawImportance(task);
}

function fill(id, entries) {
  find(id).replaceChildren(...entries.map(([value, text]) => element("option", text, { value })));
}

const goalsOf = (task) => (task.pareto ? "several" : "one");
const goals = ["one", "several"].filter((kind) => board.rankings.some((each) => each.selections.includes(`${kind}|||`)));
fill("goals", goals.map((kind) => [kind, kind === "one" ? "one goal" : "several goals (Pareto)"]));
find("goals-part").hidden = goals.length < 2;
fill("env", [["", "all"], ...distinct(board.tasks.map((t) => t.env)).sort().map((env) => [env, env])]);
fill("budget", [["", "all"], ...distinct(board.tasks.map((t) => t.budget)).sort((a, b) => a - b).map((n) => [n, n.toLocaleString("en")])]);
fill("task", [["", "all"], ...board.tasks.map((t, i) => [i, t.name])]);
fill("shown", board.tasks.map((t, i) => [i, t.name]));
fill("within", (board.tasks.find((t) => t.targets)?.targets ?? []).map((t, k) => [k, `${t.percent}% of the optimum`]));

for (const id of ["goals", "env", "budget"]) {
  find(id).addEventListener("change", () => { find("task").value = ""; drawRanking(); });
}
find("task").addEventListener("change", () => {
  if (find("task").value !== "") {
    find("env").value = find("budget").value = "";
    find("goals").value = goalsOf(board.tasks[Number(find("task").value)]);
    find("shown").value = find("task").value;
    drawTask();
  }
  drawRanking();
});
find("shown").addEventListener("change", drawTask);
for (const id of ["against", "as-regret"]) find(id).addEventListener("change", drawCurves);
find("within").addEventListener("change", drawTargets);
find("boxed").addEventListener("change", drawBoxes);
function draw() { drawRanking(); if (board.tasks.length) drawTask(); }
find("agents").addEventListener("input", draw);
document.querySelector("#ranking form").addEventListener("submit", (event) => event.preventDefault());
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
