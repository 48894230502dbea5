// Whatever scrolls sideways must be reachable from the keyboard.
window.addEventListener("load", () => {
  const regions = "div.math, mjx-container[display=true], .cell_output .output, .cell_output pre, .pst-scrollable-table-container";
  document.querySelectorAll(regions).forEach((element) => {
    if (element.scrollWidth <= element.clientWidth) return;
    element.tabIndex = 0;
    if (element.querySelector("table")) element.classList.add("scrolls");
  });
});

// The arrows of the contents say what they open.
window.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("nav li.has-children > details > summary").forEach((arrow) => {
    const link = arrow.closest("li").querySelector("a");
    if (link) arrow.setAttribute("aria-label", `Pages below ${link.textContent.trim()}`);
  });
});

// The ledger's filters: rows that do not fit are hidden; the choice stands in the address, so that it can be shared.
window.addEventListener("DOMContentLoaded", () => {
  const bar = document.querySelector(".ledger-filters");
  if (!bar) return;
  bar.hidden = false;
  // An address that asks for something shows it: a claim by its id, or a choice.
  if (location.search || document.getElementById(location.hash.slice(1))?.matches("tr")) bar.closest("details").open = true;
  const controls = [...bar.querySelectorAll("[data-filter]")];
  const rows = [...document.querySelectorAll("table.ledger tr[data-paper]")];
  const asked = new URLSearchParams(location.search);
  controls.forEach((control) => { control.value = asked.get(control.dataset.filter) ?? ""; });
  const filter = () => {
    const wanted = controls.filter((control) => control.value).map((control) => [control.dataset.filter, control.value]);
    rows.forEach((row) => {
      row.hidden = !wanted.every(([name, value]) =>
        name === "text" ? row.textContent.toLowerCase().includes(value.toLowerCase()) : row.dataset[name] === value);
    });
    bar.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
    const address = new URLSearchParams(wanted).toString();
    history.replaceState(null, "", `${location.pathname}${address ? "?" + address : ""}${location.hash}`);
  };
  controls.forEach((control) => control.addEventListener("input", filter));
  filter();
});
