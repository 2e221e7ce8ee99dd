// The table: sorted by a click on a heading, filtered by the form above it.

document.documentElement.classList.add("script");
const find = (id) => document.getElementById(id);

/** What a row is sorted by in a column: a number, a text, or null for an empty cell. */
function sortKey(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value === undefined) return cell.textContent.trim().toLowerCase();
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function sortBy(column, direction) {
  const body = find("table").tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: sortKey(row, column) }));
  rows.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    return direction * (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  });
  body.append(...rows.map(({ row }) => row));
}

function filter() {
  const words = find("search").value.toLowerCase().split(/\s+/);
  const choices = ["corpus", "split", "subset", "kind"].map((id) => find(id));
  const rows = [...find("table").tBodies[0].rows];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !(
      words.every((word) => text.includes(word)) &&
      choices.every(({ id, value }) => !value || row.dataset[id] === value)
    );
  }
  const shown = rows.filter((row) => !row.hidden).length;
  find("count").textContent = `${shown} of ${rows.length} rows`;
}

[...find("table").tHead.rows[0].cells].forEach((heading, column) => {
  heading.firstElementChild.onclick = () => {
    const before = heading.getAttribute("aria-sort");
    // Texts begin with a, numbers with the largest.
    const first = heading.classList.contains("number") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const now = before === first ? other : first;
    for (const cell of heading.parentNode.cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", now);
    sortBy(column, now === "ascending" ? 1 : -1);
  };
});
find("filters").oninput = filter;
find("filters").onsubmit = (event) => event.preventDefault();
filter();
