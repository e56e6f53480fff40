"""How the page looks: light and dark as the reader's system is, down to the width of a phone."""

STYLE = """
:root { --ink: #1d2430; --dim: #5b6675; --paper: #fff; --card: #f6f7f9; --line: #dfe3e8;
  --good: #17754f; --bad: #c4292f; --odd: #8a5a00; --grid: #e3e7ec; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --dim: #a0a9b6; --paper: #12151a; --card: #1a1e25; --line: #2c333d;
    --good: #55c796; --bad: #ff7b7f; --odd: #e8b24a; --grid: #2a313b; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2.5rem) 4rem; max-width: 78rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
.lead { font-size: 1.1rem; font-weight: 600; margin: .2rem 0 .4rem; }
p { max-width: 46rem; margin: .3rem 0; } .note, small { color: var(--dim); font-size: .85rem; }
a { color: inherit; } code { font-size: .85rem; overflow-wrap: anywhere; }
.shade { padding: 0 .3rem; border-radius: .2rem; }
.shade.fault { background: #e5484d3a; } .shade.recovery { background: #e8a33d3a; }
.scroll { overflow-x: auto; margin: 1rem 0 .4rem; }
.rows { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.rows th { text-align: right; font-weight: 600; color: var(--dim); font-size: .82rem; }
.rows td { text-align: right; white-space: nowrap; }
.rows th, .rows td { padding: .32rem .55rem; border-bottom: 1px solid var(--line); }
.rows th:nth-child(2), .rows td:nth-child(2) { text-align: left; }
.rows th:first-child, .rows td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--paper); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin: 1.4rem 0; scroll-margin-top: 1rem; }
.verdict { font-size: .82rem; font-weight: 600; padding: .05rem .5rem; border-radius: 1rem;
  border: 1px solid currentColor; white-space: nowrap; color: var(--odd); }
.verdict.passed { color: var(--good); } .verdict.failed, .verdict.error { color: var(--bad); }
.verdict.passed::before { content: "✓ "; } .verdict.failed::before { content: "✗ "; }
.findings { list-style: none; padding: 0; margin: .6rem 0; }
.findings li { padding-left: 1.5rem; position: relative; overflow-wrap: anywhere; }
.findings li::before { position: absolute; left: .2rem; font-weight: 700; }
.kept::before { content: "✓"; color: var(--good); }
.broken::before { content: "✗"; color: var(--bad); } .broken { color: var(--bad); }
details { margin: .3rem 0; } ol { margin: .2rem 0; padding-left: 1.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { section { padding: .7rem .5rem; } }
"""

# Figures take the colours of the page, and change with it.
SCRIPT = """
const dark = matchMedia('(prefers-color-scheme: dark)');
function paint() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue('--ink').trim();
  const grid = style.getPropertyValue('--grid').trim();
  const card = style.getPropertyValue('--card').trim();
  for (const figure of document.querySelectorAll('.plotly-graph-div')) {
    const change = {'font.color': ink, 'hoverlabel.bgcolor': card, 'hoverlabel.font.color': ink};
    for (const axis of ['xaxis', 'xaxis2', 'yaxis', 'yaxis2']) {
      change[axis + '.gridcolor'] = grid;
      change[axis + '.linecolor'] = grid;
      change[axis + '.zeroline'] = false;
    }
    Plotly.relayout(figure, change);
  }
}
dark.addEventListener('change', paint);
paint();
"""
