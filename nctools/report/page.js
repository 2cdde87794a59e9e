"use strict";
(() => {
  const root = document.documentElement;

  // Light and dark: what the system says, until the reader says otherwise.
  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  try {
    const kept = localStorage.getItem("nctools-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch { /* a page from disk may not be allowed to keep anything */ }
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
    try { localStorage.setItem("nctools-theme", root.dataset.theme); } catch { /* as above */ }
  });
  dark.addEventListener("change", label);
  label();
  theme.hidden = false;

  // Sorting: numbers largest first, text from A; what has no finite value stays last.
  const collator = new Intl.Collator("en", { numeric: true });
  const sort = (button) => {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = Number(button.dataset.column);
    const numeric = button.dataset.numeric === "1";
    const before = head.getAttribute("aria-sort");
    const first = numeric ? "descending" : "ascending";
    const order = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left === "" || right === "") return (left === "") - (right === "");
      return sign * (numeric ? Number(left) - Number(right) : collator.compare(left, right));
    };
    for (const body of table.tBodies) body.append(...[...body.rows].sort(compare));
    for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
  };
  for (const button of document.querySelectorAll(".sort")) button.addEventListener("click", () => sort(button));

  // Definitions: shown where they are asked for, by pointer, focus or press; Escape closes.
  const tip = document.getElementById("tip");
  let shown = null;
  let held = false;
  const hide = () => {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    held = false;
    tip.hidden = true;
  };
  const show = (term) => {
    const entry = document.getElementById(term.hash.slice(1));
    if (!entry) return;
    if (shown !== term) hide();
    tip.replaceChildren(...[...entry.children].map((child) => child.cloneNode(true)));
    tip.hidden = false;
    const place = term.getBoundingClientRect();
    const width = tip.offsetWidth;
    const left = Math.min(Math.max(place.left, 12), root.clientWidth - width - 12);
    const below = place.bottom + tip.offsetHeight + 12 < innerHeight || place.top < tip.offsetHeight + 12;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(below ? place.bottom + 6 : place.top - tip.offsetHeight - 6) + scrollY}px`;
    term.setAttribute("aria-describedby", "tip");
    shown = term;
  };
  for (const term of document.querySelectorAll(".term")) {
    term.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse" && !held) show(term); });
    term.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && !held) hide(); });
    term.addEventListener("focus", () => { if (term.matches(":focus-visible")) show(term); });
    term.addEventListener("blur", hide);
    term.addEventListener("click", (event) => {
      event.preventDefault();
      if (shown === term && held) { hide(); return; }
      show(term);
      held = true;
    });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("click", (event) => {
    if (shown && !tip.contains(event.target) && !event.target.closest(".term")) hide();
  });
  document.addEventListener("scroll", (event) => { if (event.target !== tip && event.target !== document) hide(); }, true);
  addEventListener("resize", hide);

  // Pictures in their own size, to be moved about in their box.
  for (const button of document.querySelectorAll(".enlarge")) {
    button.addEventListener("click", () => {
      const large = button.closest("figure").querySelector(".picture").classList.toggle("large");
      button.setAttribute("aria-pressed", String(large));
      button.textContent = large ? "Fit to page" : "Enlarge";
    });
  }

  const save = document.getElementById("save");
  save.addEventListener("click", () => {
    const text = document.getElementById("nctools-report").textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "nctools-report.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  save.hidden = false;
})();
