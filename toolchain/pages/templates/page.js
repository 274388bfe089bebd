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
for (const group of document.querySelectorAll(".compare")) {
  const buttons = [...group.querySelectorAll(".choices button")], pictures = [...group.querySelectorAll(".over")];
  buttons.forEach((button, chosen) => button.addEventListener("click", () => {
    buttons.forEach((other, index) => {
      other.setAttribute("aria-pressed", String(index === chosen));
      pictures[index].hidden = index !== chosen;
    });
    group.querySelector(".side.left").textContent = button.textContent;
    group.querySelector(".said").textContent = button.dataset.text;
  }));
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
