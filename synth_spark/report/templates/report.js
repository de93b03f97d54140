"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = { displayModeBar: false, responsive: true };

  function draw(node) {
    const figure = data.charts[node.dataset.chart];
    if (!figure || node.dataset.drawn) return;
    node.dataset.drawn = "yes";
    figure.data.forEach(function (trace) { trace.x = plain(trace.x); trace.y = plain(trace.y); });
    if (node.dataset.chart === "pairs" || node.dataset.chart === "accuracy") shorten(figure);
    if (node.dataset.chart.startsWith("correlations-")) narrow(figure);
    Plotly.newPlot(node, figure.data, figure.layout, config).then(function () {
      if (node.dataset.chart === "pairs") node.on("plotly_click", function (event) { choose(event.points[0].customdata); });
    });
  }

  // Plotly reads tags, entities and, in hover texts, %{...} in what it draws; names of the data are none of these
  function plain(item) {
    if (Array.isArray(item)) return item.map(plain);
    if (typeof item !== "string") return item;
    return item.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/%\{/g, "%\u200b{");
  }

  // on a phone the bar beside the map takes more room than the map
  function shorten(figure) {
    if (window.innerWidth > 600) return;
    figure.data.forEach(function (trace) { if (trace.type === "heatmap") trace.showscale = false; });
    figure.layout.font = Object.assign({}, figure.layout.font, { size: 11 });
  }

  // names of columns leave little of a phone's width to a map
  function narrow(figure) {
    if (window.innerWidth > 600) return;
    figure.layout.xaxis.tickfont = figure.layout.yaxis.tickfont = { size: 8 };
  }

  const waiting = document.querySelectorAll(".plot[data-chart]");
  const observer = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (entry.isIntersecting) { observer.unobserve(entry.target); draw(entry.target); }
    });
  }, { rootMargin: "1200px" });
  waiting.forEach(function (node) { observer.observe(node); });
  window.addEventListener("beforeprint", function () { waiting.forEach(draw); });

  const panel = document.getElementById("pair"), choice = document.getElementById("pair-choice");

  function same(a, b) { return a.length === b.length && a.every(function (item, i) { return item === b[i]; }); }

  function choose(columns) {
    if (!columns || !columns.length) return;
    const index = data.pairs.findIndex(function (pair) { return same(pair.columns, columns); });
    if (index >= 0) { choice.value = String(index); showPair(index); return; }
    const title = columns.length === 1 && document.getElementById("columns");
    if (title) title.scrollIntoView();
  }

  function percent(share, digits) { return share === null ? "\u2013" : (100 * share).toFixed(digits) + " %"; }

  function showPair(index) {
    const pair = data.pairs[index];
    panel.hidden = false;
    panel.dataset.shown = String(index);
    const difference = pair.real.map(function (row, i) {
      return row.map(function (share, j) { return share === null ? null : pair.synthetic[i][j] - share; });
    });
    const flat = function (rows) { return rows.flat().filter(function (share) { return share !== null; }); };
    const top = Math.max.apply(null, flat(pair.real).concat(flat(pair.synthetic), 0.0001));
    const far = Math.max.apply(null, flat(difference).map(Math.abs).concat(0.0001));
    let note = pair.hidden ? pair.hidden + " cells with fewer than five real subjects are not shown. " : "";
    if (pair.accuracy !== null) note = "Accuracy " + percent(pair.accuracy, 2) + " of " + percent(pair.ceiling, 2) + ". " + note;
    document.getElementById("pair-note").textContent = note;
    heat("pair-real", pair, pair.real, 0, top, data.scales.density);
    heat("pair-synthetic", pair, pair.synthetic, 0, top, data.scales.density);
    heat("pair-difference", pair, difference, -far, far, data.scales.difference);
    fillTable(pair);
  }

  function heat(id, pair, z, low, high, scale) {
    const axis = { automargin: true, fixedrange: true, type: "category", tickfont: { size: 10 }, gridcolor: "rgba(0,0,0,0)", ticks: "" };
    const names = plain(pair.names);
    const trace = { type: "heatmap", x: plain(pair.axes[1]), y: plain(pair.axes[0]), z: z, zmin: low, zmax: high, colorscale: scale, xgap: 1, ygap: 1,
      hovertemplate: names[0] + " %{y}, " + names[1] + " %{x}: %{z:.2%}<extra></extra>", hoverongaps: false,
      colorbar: { orientation: "h", thickness: 8, len: 1, y: 1.0, yanchor: "bottom", tickformat: low < 0 ? "+.1%" : ".0%", tickfont: { size: 10 }, nticks: 4 } };
    Plotly.react(id, [trace], { height: 380, margin: { l: 4, r: 4, t: 4, b: 4 }, font: data.charts.accuracy.layout.font,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "#eceff3", dragmode: false,
      xaxis: Object.assign({ title: { text: names[1], font: { size: 12 } }, tickangle: -45 }, axis),
      yaxis: Object.assign({ title: { text: names[0], font: { size: 12 } } }, axis) }, config);
  }

  function fillTable(pair) {
    const table = document.createElement("table"), body = document.createElement("tbody");
    table.className = "numeric";
    addRow(table.createTHead(), [pair.names[0], pair.names[1], "Real", "Synthetic"], "th");
    pair.real.forEach(function (row, i) {
      row.forEach(function (share, j) {
        if (share !== null) addRow(body, [pair.axes[0][i], pair.axes[1][j], percent(share, 2), percent(pair.synthetic[i][j], 2)], "td");
      });
    });
    table.appendChild(body);
    document.getElementById("pair-table").replaceChildren(table);
  }

  function addRow(parent, cells, tag) {
    const row = document.createElement("tr");
    cells.forEach(function (text) { const cell = document.createElement(tag); cell.textContent = text; row.appendChild(cell); });
    parent.appendChild(row);
  }

  if (panel && data.pairs.length) {
    data.pairs.forEach(function (pair, index) {
      const option = document.createElement("option");
      option.value = String(index);
      option.textContent = pair.names.join(" \u00d7 ");
      choice.appendChild(option);
    });
    choice.addEventListener("change", function () { showPair(Number(choice.value)); });
    showPair(0);
  }
})();
