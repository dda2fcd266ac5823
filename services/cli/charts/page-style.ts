// The style that all pages with charts share. Light or dark as the reader's system has it; the pages load nothing.

export const CHART_STYLE = `
:root{color-scheme:light dark;--page:#f3f4f6;--panel:#fff;--edge:#dcdfe4;--text:#1d232b;--soft:#5b6470;--grid:#e6e8ec;--notice:#fff4d6}
@media(prefers-color-scheme:dark){:root{--page:#111418;--panel:#191d23;--edge:#2b313a;--text:#e4e7eb;--soft:#9aa4b1;--grid:#282e36;--notice:#33290f}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:14px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
ul{list-style:none;margin:0;padding:0}
.notice{background:var(--notice);color:var(--text);border:1px solid var(--edge);border-radius:6px;padding:8px 12px}
.panel{background:var(--panel);border:1px solid var(--edge);border-radius:6px;min-width:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;color:var(--soft);font-size:12px}
.legend li{overflow-wrap:anywhere;min-width:0}
.legend b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:14px;height:0;border-top:3px solid var(--c);vertical-align:middle;margin-right:5px;border-radius:1px}
.legend i.dashed{border-top:2px dashed var(--c);width:18px}
.plot{position:relative;margin:4px 6px 22px var(--gutter);font-size:11px;font-variant-numeric:tabular-nums}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:hidden}
.plot line,.plot path{vector-effect:non-scaling-stroke}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.layer{fill-opacity:var(--layer)}
.layer+.line{stroke-width:1}
.line.dashed{stroke-width:1.3;stroke-dasharray:5 4;stroke-linecap:butt}
.limit{stroke-width:1.4;stroke-dasharray:7 4}
.moments line{stroke-width:1.4;stroke-dasharray:2 3}
.y span,.x span{position:absolute;color:var(--soft);white-space:nowrap;line-height:1}
.y span{right:calc(100% + 7px);transform:translateY(50%)}
.x span{top:calc(100% + 7px);transform:translateX(-50%)}
.plot .grid line{stroke:var(--grid)}
`.trim()
