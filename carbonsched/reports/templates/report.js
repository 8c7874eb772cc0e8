"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    return { text: get("--text"), muted: get("--muted"), line: get("--line"), panel: get("--panel") };
  }

  function themed(figure, paint) {
    const layout = structuredClone(figure.layout);
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: paint.muted };
    layout.hoverlabel = {
      bgcolor: paint.panel, bordercolor: paint.line, font: { color: paint.text }, align: "left",
    };
    layout.dragmode = false;
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      Object.assign(layout[name], {
        gridcolor: paint.line, linecolor: paint.line, zerolinecolor: paint.line, automargin: true,
      });
    }
    const data = structuredClone(figure.data);
    for (const trace of data) {
      if (trace.meta === "outline") trace.line.color = paint.text;
      if (trace.meta === "muted") trace.line.color = paint.muted;
    }
    return { data, layout };
  }

  function draw() {
    const paint = colours();
    for (const [name, figure] of Object.entries(figures)) {
      const place = document.getElementById(`chart-${name}`);
      const { data, layout } = themed(figure, paint);
      Plotly.react(place, data, layout, {
        responsive: true, displaylogo: false, displayModeBar: false,
      });
    }
  }

  draw();
  dark.addEventListener("change", draw);
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) {
      closed.push(one);
      one.open = true;
    }
    draw();
  });
  addEventListener("afterprint", () => {
    for (const one of closed.splice(0)) one.open = false;
    draw();
  });
})();
