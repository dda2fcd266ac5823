// The style sheet of the report; one column on a phone.

import { CHART_STYLE } from '../charts/page-style.ts'

export const REPORT_STYLE = `${CHART_STYLE}
:root{--zero:#8a929d;--block:#b3372f;--flag:#d98200;--stricter:#3b82c4;--milder:#0e9f78;--fraud:#1d232b;--cost:#8d949e;--wrong:#8e5aa8;--net:#1d232b}
@media(prefers-color-scheme:dark){:root{--zero:#6b7480;--block:#e0675e;--flag:#e8a23a;--stricter:#6db3f2;--milder:#3fbf9a;--fraud:#f4f6f8;--cost:#7d8794;--wrong:#b88bd0;--net:#f4f6f8}}
main{max-width:1240px;margin:0 auto;padding:20px 16px 40px}
h1{font-size:24px;margin:0 0 6px}
h2{font-size:18px;margin:32px 0 8px;overflow-wrap:anywhere}
h3{font-size:14px;margin:18px 0 6px}
p,.about li{color:var(--soft);margin:3px 0}
.notice{margin:10px 0}
.figures{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:12px}
.panel{padding:12px 14px}
.panel h3{margin:0}
.panel p{font-size:12px;margin:0 0 6px}
.panel .plot{margin-top:12px}
.panel>svg{width:100%;height:auto;display:block}
.legend{margin-bottom:4px}
.legend svg{width:11px;height:11px;margin-right:5px;vertical-align:-1px}
.name{fill:var(--text);font-size:13px}
.tick{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
.grid{stroke:var(--grid)}
.zero{stroke:var(--zero)}
.block{fill:var(--block)}.flag{fill:var(--flag)}.stricter{fill:var(--stricter)}.milder{fill:var(--milder)}.fraud{fill:var(--fraud)}.cost{fill:var(--cost)}.wrong{fill:var(--wrong)}
.whisker{stroke-width:2}.whisker.block{stroke:var(--block)}.whisker.flag{stroke:var(--flag)}
.net{stroke:var(--net);stroke-width:3;fill:var(--net)}
.scroll{background:var(--panel);border:1px solid var(--edge);border-radius:6px;padding:2px 14px 8px}
th,td{text-align:right;padding:4px 0 4px 16px;border-bottom:1px solid var(--grid);vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0}
tbody th{padding-top:14px;border-bottom-color:var(--edge)}
td.in{padding-left:14px!important;color:var(--soft)}
tr.sum td{font-weight:700}
td{white-space:nowrap}
.texts{min-width:940px}
.texts th,.texts td{text-align:left}
.texts td.number{text-align:right}
.texts td{overflow-wrap:anywhere;white-space:normal}
.texts td.time,.texts td.number{white-space:nowrap}
.outcome{white-space:nowrap;font-weight:600}
@media(max-width:860px){.figures{grid-template-columns:minmax(0,1fr)}}`
