// The style sheet of the preview; one column of panels on a phone, dashboards side by side on a wide screen.

import { CHART_STYLE } from '../../../services/cli/charts/page-style.ts'

export const PAGE_STYLE = `${CHART_STYLE}
:root{--heat:#2563a8;--strength:0%;--layer:.62}
@media(prefers-color-scheme:dark){:root{--heat:#6db3f2;--strength:22%;--layer:.7}}
body{font-size:13px;line-height:1.45}
.page,main{max-width:1400px;margin:0 auto;padding:0 16px}
.page{padding-top:18px}
h1{font-size:22px;margin:0 0 8px}
h2{font-size:18px;margin:28px 0 0}
h3{font-size:13px;font-weight:600;margin:0;overflow-wrap:anywhere}
p{margin:4px 0;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin-top:8px}
a{color:var(--heat)}
.annotations{display:flex;flex-wrap:wrap;gap:2px 14px;color:var(--soft);font-size:12px}
.row{display:grid;grid-template-columns:repeat(24,minmax(0,1fr));gap:10px;margin-top:10px}
.panel{grid-column:span var(--w);padding:8px 12px 10px;position:relative;display:flex;flex-direction:column}
.panel>header{display:flex;justify-content:space-between;gap:8px;margin-bottom:6px}
details summary{list-style:none;cursor:pointer;color:var(--soft);width:16px;height:16px;line-height:15px;text-align:center;border:1px solid var(--edge);border-radius:50%;font-size:11px}
summary::-webkit-details-marker{display:none}
details p{position:absolute;z-index:2;left:8px;right:8px;top:30px;background:var(--panel);color:var(--text);border:1px solid var(--soft);border-radius:6px;padding:8px 10px;margin:0}
.cells{fill:var(--heat)}
.annotations i{display:inline-block;border-top:2px dashed var(--c);width:18px;vertical-align:middle;margin-right:5px}
.ranking b{font-weight:600;font-variant-numeric:tabular-nums}
.shades{color:var(--soft);font-size:12px}
.shades i{display:inline-block;width:12px;height:10px;background:var(--heat);margin-right:1px}
.big{margin:auto;padding:8px 0 10px;font-size:30px;line-height:1.15;font-weight:600;color:color-mix(in srgb,var(--c),white var(--strength))}
.nothing{margin:auto;padding:14px;font-size:14px}
.nothing.failed{color:#c0392b;overflow-wrap:anywhere}
.ranking li{display:grid;grid-template-columns:minmax(0,38%) 1fr 4em;gap:10px;align-items:center;padding:2px 0}
.ranking span{overflow-wrap:anywhere;line-height:1.2}
.ranking i{height:14px;background:var(--c);border-radius:2px;min-width:2px}
.ranking b{text-align:right}
th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid var(--grid);font-variant-numeric:tabular-nums}
th{white-space:nowrap}
@media(min-width:2000px){.page,main{max-width:2400px}main{display:grid;grid-template-columns:1fr 1fr;gap:0 40px}}
@media(max-width:800px){.row{grid-template-columns:minmax(0,1fr)}.panel{grid-column:auto}.page,main{padding-left:8px;padding-right:8px}}`
