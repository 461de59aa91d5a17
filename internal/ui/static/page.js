"use strict";
// The live list of running calls, and the plots. Without this script the page shows the same in tables.
(() => {
  const live = document.querySelector("[data-live]");
  let shown = live && live.innerHTML;
  async function refresh() {
    if (document.hidden || live.contains(document.activeElement)) return;
    try {
      const answer = await fetch(live.dataset.live, { credentials: "same-origin" });
      if (!answer.ok) return;
      const text = await answer.text();
      if (text === shown) return;
      shown = text;
      // The server has escaped every text in it.
      live.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
    } catch {
      // The server has ended; what was shown last stays.
    }
  }
  if (live) setInterval(refresh, 1000);

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [];
  function draw(box) {
    const names = JSON.parse(box.dataset.names), costs = JSON.parse(box.dataset.costs), requests = JSON.parse(box.dataset.requests);
    const priced = costs.some((c) => c > 0);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--pico-color").trim(), grid = style.getPropertyValue("--pico-muted-border-color").trim();
    const fill = style.getPropertyValue("--pico-primary").trim();
    const short = (name) => (box.dataset.kind === "day" ? name.slice(5) : name.length > 22 ? "…" + name.slice(-21) : name);
    const most = Math.max(1, Math.floor(box.clientWidth / (box.dataset.kind === "day" ? 60 : 170)));
    const step = Math.max(1, Math.ceil(names.length / most));
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const chart = new uPlot({
      width: box.clientWidth, height: 220,
      legend: { show: true },
      // What the legend says is that of the bar under the pointer, so it is shown with one.
      hooks: { setCursor: [(u) => u.root.classList.toggle("pointed", u.cursor.idx != null)] },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.6, names.length - 0.4] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, splits: () => names.map((_, i) => i).filter((i) => i % step === 0), values: (_, at) => at.map((i) => short(names[i] ?? "")) },
        { ...axis, size: 64 },
      ],
      series: [
        { label: box.dataset.kind, value: (_, i) => (i == null ? "" : names[i] ?? "") },
        { label: priced ? "USD" : "requests", fill, stroke: fill, width: 0, paths: uPlot.paths.bars({ size: [0.7, 48] }), points: { show: false },
          value: (_, v) => (v == null ? "" : priced ? v.toFixed(v < 1 ? 4 : 2) : String(v)) },
      ],
    }, [names.map((_, i) => i), priced ? costs : requests], box);
    charts.push(chart);
  }
  function drawAll() {
    for (const chart of charts.splice(0)) chart.destroy();
    for (const box of document.querySelectorAll(".plot")) draw(box);
  }
  drawAll();
  dark.addEventListener("change", drawAll);
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
})();
