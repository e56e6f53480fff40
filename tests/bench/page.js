// Draws every .chart from the JSON in it, in the colours of the page; again when they change.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function traces(chart) {
  return chart.series.map((series) => {
    const own = colour(series.colour);
    const bars = {
      type: "data", symmetric: false, array: series.above, arrayminus: series.below,
      color: colour("--quiet"), thickness: 1, width: 3,
    };
    const common = {
      name: series.name, x: series.x, y: series.y, error_y: bars, text: series.text,
      textposition: "none", hovertemplate: "%{x}<br>%{fullData.name}: %{text}<extra></extra>",
    };
    return chart.kind === "lines"
      ? { ...common, type: "scatter", mode: "lines+markers", line: { color: own, width: 2 } }
      : { ...common, type: "bar", marker: { color: own } };
  });
}

function layout(chart) {
  const line = colour("--line");
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", barmode: "group",
    bargap: new Set(chart.series.flatMap((one) => one.x)).size < 3 ? 0.55 : 0.25, margin: { l: 10, r: 10, t: 10, b: 10 },
    font: { color: colour("--text"), family: "system-ui, sans-serif", size: 12 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    xaxis: { ...axis, type: "category", fixedrange: true },
    yaxis: {
      ...axis, fixedrange: true, rangemode: "tozero", type: chart.log ? "log" : "linear",
      tickformat: chart.tickformat, dtick: chart.log ? 1 : undefined,
      tickvals: chart.tickvals, ticktext: chart.ticktext,
    },
    shapes: chart.line === null ? [] : [{
      type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.line, y1: chart.line,
      line: { color: colour("--text"), width: 1, dash: "dot" },
    }],
  };
}

function draw() {
  for (const place of document.querySelectorAll(".chart")) {
    const chart = JSON.parse(place.dataset.chart);
    Plotly.react(place, traces(chart), layout(chart), { displayModeBar: false, responsive: true });
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
