// Whatever scrolls sideways must be reachable from the keyboard.
window.addEventListener("load", () => {
  const regions = "div.math, mjx-container[display=true], .cell_output .output, .cell_output pre, .pst-scrollable-table-container";
  document.querySelectorAll(regions).forEach((element) => {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  });
});
