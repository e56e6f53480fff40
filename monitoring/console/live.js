// The page's live half: a stream of ready HTML and numbers comes in, the charts are plotly's.
"use strict";

const HISTORY = 300;
const content = (name) => document.querySelector(`meta[name="${name}"]`).content;
const byId = (id) => document.getElementById(id);
const dashes = ["solid", "dot", "dash", "longdash", "dashdot", "longdashdot"];
const colours = {
  "live": "#2f9e74", "read back": "#4c8bf5", "stale": "#b7b34a",
  "fallback": "#e8a33d", "refused": "#9a6fe0", "failed": "#e5484d",
};
const palette = ["#4c8bf5", "#e8a33d", "#2f9e74", "#d6558f", "#9a6fe0", "#26a7b5", "#b7b34a", "#e5484d", "#8a94a3"];
const charts = ["kinds", "times", "attempts", "shards", "cpu", "memory"];

let points = [];
let events = [];
let source = null;

function say(live) {
  const word = live ? "● live" : "✕ not live, trying again";
  if (byId("connection").textContent !== word) byId("connection").textContent = word;
  document.body.classList.toggle("offline", !live);
}

function series(chart) {
  const names = [...new Set(points.flatMap((point) => Object.keys(point[chart])))];
  const at = points.map((point) => new Date(point.at));
  return names.map((name, number) => {
    const values = points.map((point) => point[chart][name] ?? null);
    const colour = colours[name] ?? palette[number % palette.length];
    if (chart === "kinds") {
      return { type: "scatter", mode: "lines", stackgroup: "kinds", name, x: at, y: values,
        fillcolor: `${colour}66`, line: { color: colour, dash: dashes[number % dashes.length], width: 1.5 } };
    }
    return { type: "scatter", mode: "lines", name, x: at, y: values,
      line: { color: colour, dash: dashes[number % dashes.length], width: 2 } };
  });
}

// numbers that would stand on each other are left out; their lines stay
function apart(numbered) {
  let last = 0;
  return numbered.filter((event) => {
    if (event.at - last < 2500) return false;
    last = event.at;
    return true;
  });
}

function layout() {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--text").trim();
  const line = style.getPropertyValue("--line").trim();
  const end = points[points.length - 1].at;
  const begin = Math.min(points[0].at, end - 60000);
  const numbered = events.map((event, index) => ({ ...event, number: index + 1 }))
    .filter((event) => event.at >= begin);
  return {
    height: 240, margin: { l: 44, r: 8, t: 18, b: 28 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12 }, showlegend: true, hovermode: "x",
    legend: { orientation: "h", y: -0.16, x: 0, traceorder: "normal", font: { size: 11 } },
    xaxis: { type: "date", gridcolor: line, range: [new Date(begin), new Date(end + 1000)], tickformat: "%H:%M:%S", nticks: 5 },
    yaxis: { gridcolor: line, rangemode: "tozero", zerolinecolor: line, nticks: 5 },
    shapes: numbered.map((event) => ({ type: "line", x0: new Date(event.at), x1: new Date(event.at),
      yref: "paper", y0: 0, y1: 1, line: { color: text, width: 1, dash: "dot" } })),
    annotations: apart(numbered).map((event) => ({ x: new Date(event.at), yref: "paper", y: 1,
      yanchor: "bottom", showarrow: false, text: String(event.number), hovertext: event.what, font: { size: 11 } })),
  };
}

function draw() {
  if (!window.Plotly || !points.length) return;
  for (const chart of charts) {
    window.Plotly.react(byId(`chart-${chart}`), series(chart), layout(), { displayModeBar: false, responsive: true });
  }
}

function fill(html) {
  for (const [id, text] of Object.entries(html)) {
    const place = byId(id);
    if (place.dataset.was !== text) {
      place.innerHTML = text;  // made by the console, which escapes what it did not write
      place.dataset.was = text;
    }
  }
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource("/api/live");
  source.addEventListener("history", (message) => {
    const told = JSON.parse(message.data);
    if (told.start !== content("console-start")) return location.reload();  // its token is another
    points = told.points;
    events = told.events;
    say(true);
  });
  source.addEventListener("look", (message) => {
    const told = JSON.parse(message.data);
    points = [...points, told.point].slice(-HISTORY);
    events = told.events;
    fill(told.html);
    document.title = `${{ ok: "●", degraded: "◐", down: "✕" }[told.level]} ${told.sentence}`;
    byId("time").textContent = new Date(told.point.at).toLocaleTimeString([], { hour12: false });
    draw();
    say(true);
  });
  source.onerror = () => {
    say(false);
    if (source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, 1000);
    }
  };
}

function hush() {
  if (source) source.close();
  source = null;
}

async function press(button) {
  button.disabled = true;
  byId("answer").textContent = "…";
  try {
    const answer = await fetch(`/api/faults/${button.dataset.fault}`, {
      method: "POST", headers: { "X-Console-Token": content("console-token") },
    });
    const told = await answer.json();
    byId("answer").textContent = told.error ? `✕ not done: ${told.error}` : `● done: ${told.done}`;
  } catch (error) {
    byId("answer").textContent = `✕ not done: the console does not answer (${error.message})`;
  } finally {
    button.disabled = false;
  }
}

if (matchMedia("(min-width: 46rem)").matches) {
  for (const group of document.querySelectorAll("details")) group.open = true;
}
for (const button of document.querySelectorAll("button[data-fault]")) {
  button.disabled = false;
  button.addEventListener("click", () => press(button));
}
// a page that nobody sees costs nothing
document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
listen();
