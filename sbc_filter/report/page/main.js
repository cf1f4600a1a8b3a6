// What is shown is in the address, behind the #: the filters, and the call that is open. So Back works, and links do.

const state = { filters: {}, call: null, scroll: 0, rows: 0 };

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const filters = {};
  for (const name of FACETS) {
    const value = found.get(name);
    if (value !== null && optionsOf(name).includes(value)) filters[name] = value;
  }
  if (found.get("q")) filters.q = found.get("q");
  const from = Number(found.get("from")), to = Number(found.get("to"));
  if (found.has("from") && from < to) Object.assign(filters, { from, to });
  const call = found.has("call") ? Number(found.get("call")) : null;
  return { filters, call: placeOf.has(call) ? call : null };
}

function address(filters, call) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) made.set(name, value);
  if (call !== null) made.set("call", call);
  return `#${made}`;
}

const choices = {};
function optionsOf(name) {
  if (!choices[name]) {
    const names = calls.facets[name].names;
    const outcomes = name === "result" ? names.map((each) => each.split(".")[0]) : [];
    choices[name] = [...new Set([...names, ...outcomes])].sort();
  }
  return choices[name];
}

function fillFilters() {
  for (const select of document.querySelectorAll("[data-filter]")) {
    const name = select.dataset.filter;
    const names = optionsOf(name);
    select.closest("label").hidden = names.length < 2;
    for (const each of names.slice(0, 1000)) {
      const option = make("option", {}, each || "none");
      option.value = each === "" ? "\u0000" : each;
      select.append(option);
    }
  }
}

function change(filters) {
  history.replaceState(null, "", address(filters, null));
  show();
}

function openCall(number) {
  location.hash = address(state.filters, number);
}

function closeCall() {
  location.hash = address(state.filters, null);
}

function drawFilters() {
  for (const select of document.querySelectorAll("[data-filter]")) {
    const value = state.filters[select.dataset.filter];
    select.value = value === undefined ? "" : value === "" ? "\u0000" : value;
  }
  const search = element("search");
  if (document.activeElement !== search) search.value = state.filters.q || "";
  const span = element("span"), { from, to } = state.filters;
  span.hidden = from === undefined;
  span.textContent = from === undefined ? "" : `${timeOf(from, true)} to ${timeOf(to, false)} \u2715`;
  span.setAttribute("aria-label", `${span.textContent} Remove this span of time`);
  for (const bar of document.querySelectorAll("#chart [data-start]")) {
    bar.classList.toggle("chosen", from !== undefined && Number(bar.dataset.start) * 1000 === from);
  }
  element("clear").hidden = !Object.keys(state.filters).length;
}

function link(number, text) {
  if (number === undefined) return make("span", { class: "off" }, text);
  return make("a", { href: address(state.filters, number) }, text);
}

function drawCall() {
  const index = table.rows.indexOf(placeOf.get(state.call));
  const near = (step) => (index < 0 ? undefined : calls.number[table.rows[index + step]]);
  const links = make("nav", { "aria-label": "Calls" }, make("a", { href: address(state.filters, null), class: "back" },
    "\u2190 All calls"), link(near(-1), "Previous"), link(near(1), "Next"));
  element("call").replaceChildren(...callPage(state.call, links));
  if (index >= 0) table.active = index;
}

function show() {
  const { filters, call } = readAddress();
  const before = state.call;
  const same = JSON.stringify(filters) === JSON.stringify(state.filters) && table.height;
  if (before === null && call !== null) {
    state.scroll = window.scrollY;
    state.rows = element("scroller").scrollTop;
  }
  Object.assign(state, { filters, call });
  element("overview").hidden = call !== null;
  element("call").hidden = call === null;
  if (!table.height || !same) {
    if (call !== null && !table.height) table.height = 34;
    else measure();
    applyFilters(filters);
  }
  drawFilters();
  if (call !== null) {
    drawCall();
    window.scrollTo(0, 0);
    element("call-heading").focus({ preventScroll: true });
  } else if (before !== null) {
    element("call").replaceChildren();
    measure();
    drawRows(true);
    window.scrollTo(0, state.scroll);
    element("scroller").scrollTop = state.rows;
    moveTo(table.active);
    element("table").focus({ preventScroll: true });
  }
}

function goToCalls() {
  element("calls").scrollIntoView();
  element("calls-heading").focus({ preventScroll: true });
}

function onClick(event) {
  if (event.target.closest(".skip")) {
    event.preventDefault();
    goToCalls();
    return;
  }
  const value = event.target.closest("[data-facet]");
  const bar = event.target.closest("[data-start]");
  const sort = event.target.closest("[data-sort]");
  if (value) {
    event.preventDefault();
    change({ ...state.filters, [value.dataset.facet]: value.dataset.value });
    goToCalls();
  } else if (bar) {
    const from = Number(bar.dataset.start) * 1000;
    change({ ...state.filters, from, to: from + Number(element("chart").dataset.width) * 1000 });
    goToCalls();
  } else if (sort) {
    const name = sort.dataset.sort;
    table.descending = table.sort === name && !table.descending;
    table.sort = name;
    drawHead();
    applyFilters(state.filters);
    document.querySelector(`[data-sort="${name}"]`).focus();
  }
}

function onFilter() {
  const filters = { ...state.filters };
  for (const select of document.querySelectorAll("[data-filter]")) {
    delete filters[select.dataset.filter];
    if (select.value) filters[select.dataset.filter] = select.value === "\u0000" ? "" : select.value;
  }
  delete filters.q;
  if (element("search").value.trim()) filters.q = element("search").value;
  change(filters);
}

function withoutSpan() {
  const { from, to, ...filters } = state.filters;
  change(filters);
  element("search").focus();
}

function onKey(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape" && state.call !== null) closeCall();
  if (event.key === "/" && !typing && state.call === null) {
    event.preventDefault();
    element("search").focus();
  }
}

function start() {
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", show);
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  element("filters").addEventListener("input", onFilter);
  element("clear").addEventListener("click", () => { element("search").value = ""; change({}); element("search").focus(); });
  element("span").addEventListener("click", withoutSpan);
  element("scroller").addEventListener("scroll", () => requestAnimationFrame(() => drawRows(false)));
  element("table").addEventListener("keydown", onTableKey);
  window.addEventListener("resize", () => { if (state.call === null) { measure(); drawRows(true); } });
  window.addEventListener("beforeprint", printRows);
  window.addEventListener("afterprint", () => { if (state.call === null) drawRows(true); });
  fillFilters();
  drawHead();
  show();
  (window.requestIdleCallback || setTimeout)(searchable);
  document.documentElement.dataset.ready = "yes";
}

if (calls.count) start();
