"use strict";
// Tables: a click on a heading sorts, the search field filters rows, the button saves the visible rows.
const cellText = (cell) => cell.textContent.trim();
const cellValue = (cell) => { const text = cellText(cell).replace("−", "-"); const value = parseFloat(text); return /^[-+]?[\d.]/.test(text) && !Number.isNaN(value) ? value : text; };
function compare(a, b) { if (typeof a === "number" && typeof b === "number") return a - b; if (typeof a === "number") return -1; if (typeof b === "number") return 1; return a.localeCompare(b); }
function sortBy(table, column, heading) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("thead th").forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => [cellValue(row.cells[column]), row]);
  rows.sort((a, b) => (descending ? compare(b[0], a[0]) : compare(a[0], b[0])));
  table.tBodies[0].append(...rows.map((pair) => pair[1]));
}
function filterRows(table, wanted) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  const count = document.querySelector(`[data-count="${table.id}"]`);
  if (count) count.textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}
function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
function csvOf(table) {
  const rows = [...table.rows].filter((row) => !row.hidden);
  return rows.map((row) => [...row.cells].map((cell) => quoted(cellText(cell).replace("−", "-"))).join(",")).join("\n") + "\n";
}
document.querySelectorAll("table.sortable").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, column, heading));
    heading.append(button);
  });
  filterRows(table, "");
});
document.querySelectorAll("[data-search]").forEach((input) => input.addEventListener("input", () => filterRows(document.getElementById(input.dataset.search), input.value)));
document.querySelectorAll("[data-csv]").forEach((button) => button.addEventListener("click", () => save(button.dataset.file, csvOf(document.getElementById(button.dataset.csv)), "text/csv")));
