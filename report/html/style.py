"""The style sheet of the HTML report: light and dark, a phone's width and a desktop's."""

from __future__ import annotations

from .markup import Markup

STYLE = Markup("""
:root { color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --ink: #1a1f26; --muted: #59636f; --rule: #dfe3e8;
  --track: #edf0f3; --before: #9aa5b1; --after: #0b62c4; --good: #176f31; --bad: #b3261e;
  --warn: #8a5a00; --amber: #f0b23c; --violet: #8a5cd6;
  --good-back: #e3f4e8; --bad-back: #fde8e6; --warn-back: #fdf3dc; }
@media screen and (prefers-color-scheme: dark) { :root {
  --page: #0e1217; --card: #171c23; --ink: #e7eaee; --muted: #9fa9b5; --rule: #2b323b;
  --track: #232a32; --before: #6b7785; --after: #62a8ff; --good: #57c878; --bad: #ff8a80;
  --warn: #e6b450; --amber: #d99a2b; --violet: #a988ec;
  --good-back: #12301c; --bad-back: #3a1815; --warn-back: #33270d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, Ubuntu, Cantarell,
  "Noto Sans", "Liberation Sans", "Helvetica Neue", Arial, sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .8rem; }
h3 { font-size: 1.05rem; margin: 0 0 .7rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
p { margin: .4rem 0; } code, .mono { font-family: "SF Mono", Menlo, Consolas,
  "Liberation Mono", monospace; font-size: .88em; }
a { color: var(--after); } .muted { color: var(--muted); } .small { font-size: .86rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 1.1rem 1.2rem; margin: 0 0 1rem; }
header.card { display: flex; flex-wrap: wrap-reverse; gap: .6rem 1rem; align-items: center;
  justify-content: space-between; } header.card > :first-child { flex: 1 1 24rem; }
.next h2 { font-size: 1.05rem; margin: 0 0 .4rem; } .next ul { margin: 0; padding-left: 1.2rem; }
header.pass { border-left: 6px solid var(--good); }
  header.fail { border-left: 6px solid var(--bad); }
.verdict { font-size: 1.25rem; font-weight: 700; padding: .35rem 1.1rem; border-radius: 999px; }
.pass .verdict, .chip.good { background: var(--good-back); color: var(--good); }
.none .verdict { background: var(--track); color: var(--muted); }
.fail .verdict, .chip.bad { background: var(--bad-back); color: var(--bad); }
.chip { display: inline-block; white-space: nowrap; border-radius: 999px; padding: .05rem .6rem;
  font-size: .84rem; font-weight: 600; background: var(--track); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.2rem, 1fr)); gap: .8rem;
  margin: 0 0 1rem; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 0 1rem; }
.row { display: grid; grid-template-columns: 9.4rem 1fr 5.2rem; gap: .1rem .8rem;
  align-items: center; padding: .14rem 0; }
.row > :last-child { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.row.layer { grid-template-columns: minmax(0, 1.35fr) 1fr 8.4rem; padding: .3rem 0;
  border-top: 1px solid var(--rule); }
.row.layer.both { align-items: start; }
.row .name { overflow-wrap: anywhere; line-height: 1.3; }
svg { display: block; width: 100%; overflow: visible; } svg text { font-size: 13px;
  fill: var(--ink); }
.bar rect { fill: var(--after); } .bar .before { fill: var(--before); }
.bar .track { fill: var(--track); } .bar .muted { fill: var(--muted); }
.bar .cpu, .bar .bad { fill: var(--bad); }
.bar + .bar { margin-top: 3px; }
.axis { stroke: var(--rule); stroke-width: 2; } .interval { stroke: var(--after);
  stroke-width: 5; stroke-linecap: round; opacity: .45; } .interval.thin { stroke-width: 2; }
.point { fill: var(--after); stroke: var(--card); stroke-width: 2; }
  .point.other { fill: var(--before); }
  .point.hollow { fill: var(--card); stroke: var(--after); }
  .point.reference { fill: var(--card); stroke: var(--before); }
.band { opacity: .3; } .band.good { fill: var(--good); } .band.bad { fill: var(--bad); }
line.limit { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 3; }
svg text.limit { fill: var(--bad); font-weight: 600; } svg text.strong { font-weight: 700;
  font-size: 15px; }
svg text.muted { fill: var(--muted); }
.curve-chart { display: grid; grid-template-columns: minmax(3rem, max-content) 1fr;
  gap: .3rem .6rem; }
.plot { background: linear-gradient(var(--rule), var(--rule)) 0 100% / 100% 1px no-repeat,
  linear-gradient(var(--rule), var(--rule)) 0 0 / 1px 100% no-repeat; }
.curve { fill: none; stroke: var(--before); stroke-width: 2; vector-effect: non-scaling-stroke; }
.curve.result { stroke: var(--after); }
.y-axis, .x-axis { display: flex; justify-content: space-between; color: var(--muted);
  font-size: .82rem; } .y-axis { flex-direction: column; text-align: right; line-height: 1.2;
  white-space: nowrap;
  padding-block: 13px; } .x-axis { grid-column: 2; padding-inline: calc(10.8% - 1.1rem); }
.x-axis span:first-child, .x-axis span:last-child { white-space: nowrap; min-width: 2.2rem;
  text-align: center; }
.y-axis span:only-child { margin-block: auto; } .y-name { grid-column: 1 / 3; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; color: var(--muted); font-weight: 600; } caption { text-align: left; }
td, th { padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: middle; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; } thead th { vertical-align: bottom; }
td, th { overflow-wrap: break-word; } td code { overflow-wrap: anywhere; }
tbody tr:last-child td { border-bottom: 0; } td:last-child, th:last-child { padding-right: 0; }
details > summary { cursor: pointer; color: var(--after); font-weight: 600; padding: .3rem 0; }
details.card > summary { padding: 0; } details.card[open] > summary { padding-bottom: .7rem; }
.warning { border-left: 4px solid var(--warn); background: var(--warn-back); border-radius: 6px;
  padding: .5rem .8rem; margin: .6rem 0 0; }
ul.sheet { list-style: none; padding: 0; margin: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
ul.sheet img { width: 100%; height: 7rem; object-fit: contain; border-radius: 6px;
  background: var(--track); image-rendering: auto; }
ul.sheet.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
ul.sheet.wide img { height: auto; max-height: 24rem; }
td > .bar, td > div > .bar { min-width: 4.5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 0 0 .6rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px;
  margin-right: .35rem; vertical-align: -1px; background: var(--after); }
.legend i.before { background: var(--before); } .legend i.cpu { background: var(--bad); }
  .legend i.hollow { background: none; border: 2px solid var(--after); }
  .legend i.reference { background: none; border: 2px solid var(--before); }
figure.graph { margin: .6rem 0 0; }
.graph canvas { display: block; width: 100%; height: min(34rem, 70vh); cursor: grab;
  border: 1px solid var(--rule); border-radius: 8px; touch-action: pan-y; }
.graph canvas:focus { touch-action: none; }
.graph output { display: block; min-height: 3em; padding-top: .4rem; font-size: .92rem; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1rem; margin-bottom: .6rem; }
.controls label { display: inline-flex; gap: .4rem; align-items: center; }
.controls input { width: 11rem; max-width: 60vw; }
.controls input, .controls select, .controls button { font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--muted); border-radius: 6px;
  padding: .15rem .5rem; min-height: 2rem; min-width: 2rem; }
:focus-visible { outline: 3px solid var(--after); outline-offset: 2px; }
@media (max-width: 36rem) { main { padding: .8rem .7rem 2rem; } .card { padding: .9rem; }
  h1 { font-size: 1.3rem; } .tiles { grid-template-columns: 1fr 1fr; gap: .6rem; }
  .tile { padding: .6rem .7rem; } .tile b { font-size: 1.2rem; }
  .row { grid-template-columns: 6.9rem 1fr 4.9rem; gap: .1rem .5rem; font-size: .92rem; }
  .row.layer { grid-template-columns: 1fr 8rem; } .row.layer .name { grid-column: 1 / 3; }
  td, th { padding-right: .55rem; } td > .bar, td > div > .bar { min-width: 2.6rem; } }
@media print { :root { color-scheme: light; print-color-adjust: exact; }
  body { background: #fff; font-size: 11pt; } main { max-width: none; padding: 0; }
  .card { padding: .6rem .8rem; }
  .tile, .row, tr, li, svg { break-inside: avoid; } h3, summary { break-after: avoid; }
  .scroll td { overflow-wrap: anywhere; } .scroll td, .scroll th { padding-right: .3rem;
  font-size: 8pt; }
  .controls, .graph output, .graph p { display: none; }
  details:not(.long)::details-content { content-visibility: visible; height: auto; } }
""")
