"use strict";
for (const head of document.querySelectorAll("th button")) head.addEventListener("click", () => {
  const cell = head.parentNode, table = cell.closest("table"), body = table.tBodies[0], column = cell.cellIndex;
  const down = cell.getAttribute("aria-sort") !== "descending";
  for (const other of cell.parentNode.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", down ? "descending" : "ascending");
  const worth = row => row.cells[column].dataset.value;
  const order = (a, b) => isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b;
  const rows = [...body.rows].sort((a, b) => order(worth(a), worth(b)));
  body.append(...(down ? rows.reverse() : rows));
});
for (const handle of document.querySelectorAll(".slider input")) handle.addEventListener("input", () =>
  handle.parentNode.style.setProperty("--at", handle.value + "%"));
