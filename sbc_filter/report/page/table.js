// The table of calls: only the rows in view are elements. Orders are made once a column; a filter walks through one.

const table = { rows: new Uint32Array(0), active: 0, sort: "number", descending: false, height: 0, orders: {} };

function orderBy(name) {
  if (!table.orders[name]) {
    const order = Uint32Array.from({ length: calls.count }, (_, place) => place);
    if (name in calls.facets) {
      const { names, at } = calls.facets[name];
      const ranks = new Uint32Array(names.length);
      [...names.keys()].sort((a, b) => (names[a] < names[b] ? -1 : 1)).forEach((place, rank) => { ranks[place] = rank; });
      order.sort((a, b) => ranks[at[a]] - ranks[at[b]] || a - b);
    } else {
      const values = calls[name];
      order.sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b));
    }
    table.orders[name] = order;
  }
  return table.orders[name];
}

// All words have to be there. What may be a telephone number may also be there without its separators.
function searchFor(query) {
  const text = query.trim().toLowerCase();
  const words = text.split(/\s+/).filter(Boolean);
  const digits = /^[\d\s().+-]+$/.test(text) ? text.replace(/\D/g, "") : "";
  if (!words.length) return null;
  const hasWords = (each) => words.every((word) => each.includes(word));
  return digits && digits !== text ? (each) => each.includes(digits) || hasWords(each) : hasWords;
}

function conditions(filters) {
  const found = [];
  for (const name of FACETS) {
    const wanted = filters[name];
    if (wanted === undefined) continue;
    const { names, at } = calls.facets[name];
    const good = Uint8Array.from(names, (each) =>
      Number(each === wanted || (name === "result" && each.startsWith(`${wanted}.`))));
    found.push((place) => good[at[place]]);
  }
  if (filters.from !== undefined) {
    found.push((place) => calls.time[place] >= filters.from && calls.time[place] < filters.to);
  }
  const matches = searchFor(filters.q || "");
  if (matches) {
    const texts = searchable();
    found.push((place) => matches(texts[place]));
  }
  return found;
}

function applyFilters(filters) {
  const order = orderBy(table.sort);
  const tests = conditions(filters);
  const rows = new Uint32Array(calls.count);
  let count = 0;
  for (let at = 0; at < order.length; at++) {
    const place = order[table.descending ? order.length - 1 - at : at];
    let good = true;
    for (const test of tests) if (!test(place)) { good = false; break; }
    if (good) rows[count++] = place;
  }
  table.rows = rows.subarray(0, count);
  table.active = 0;
  element("scroller").scrollTop = 0;
  element("count").textContent = count === calls.count
    ? `${countOf(count)} calls` : `${countOf(count)} of ${countOf(calls.count)} calls`;
  element("table").setAttribute("aria-rowcount", count + 1);
  drawRows(true);
}

const cells = {
  number: (place) => [calls.number[place]],
  time: (place) => [timeOf(calls.time[place], false)],
  result: (place) => {
    const result = facetOf("result", place);
    return [make("span", { class: `dot ${groupOf(result)}`, "aria-hidden": "true" }), result || "no INVITE decided"];
  },
};

const FAILING = new Set(["stale", "unfetchable", "untrusted", "invalid", "replayed", "unsigned", "unparseable"]);
function groupOf(result) {
  const outcome = result.split(".")[0];
  if (FAILING.has(outcome)) return "g0";
  if (outcome === "no-identity" || outcome === "anonymous" || outcome === COULD_BE_SIGNED) return "g1";
  return outcome === "passed" || outcome === "signed" || outcome === "already-signed" ? "g2" : "g3";
}

function rowOf(index) {
  const place = table.rows[index];
  const active = index === table.active;
  const row = make("tr", {
    role: "row", id: `row-${index}`, "aria-rowindex": index + 2, "aria-selected": active, class: active ? "active" : "",
  });
  for (const [name, title] of COLUMNS) {
    const content = cells[name] ? cells[name](place) : [textOf(name, place)];
    row.append(make("td", { role: "gridcell", class: `c-${name}`, "data-title": title }, ...content));
  }
  row.style.transform = `translateY(${index * table.height}px)`;
  row.addEventListener("click", () => { table.active = index; openCall(calls.number[place]); });
  return row;
}

function measure() {
  const probe = make("tr", { role: "row" }, make("td", {}, "0"));
  element("rows").replaceChildren(probe);
  table.height = probe.getBoundingClientRect().height || 34;
}

let drawn = "";
function drawRows(force) {
  const scroller = element("scroller");
  const first = Math.max(0, Math.floor(scroller.scrollTop / table.height) - 8);
  const last = Math.min(table.rows.length, first + Math.ceil(scroller.clientHeight / table.height) + 16);
  const key = `${first}-${last}-${table.active}`;
  if (!force && key === drawn) return;
  drawn = key;
  const rows = element("rows");
  rows.style.height = `${table.rows.length * table.height}px`;
  rows.replaceChildren(...Array.from({ length: last - first }, (_, at) => rowOf(first + at)));
  if (table.active >= first && table.active < last) {
    element("table").setAttribute("aria-activedescendant", `row-${table.active}`);
  } else {
    element("table").removeAttribute("aria-activedescendant");
  }
}

function moveTo(index) {
  if (!table.rows.length) return;
  table.active = Math.max(0, Math.min(table.rows.length - 1, index));
  const scroller = element("scroller");
  const head = element("head").getBoundingClientRect().height;
  const top = table.active * table.height;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  const bottom = top + table.height + head - scroller.clientHeight;
  if (bottom > scroller.scrollTop) scroller.scrollTop = bottom;
  drawRows(true);
}

function onTableKey(event) {
  if (event.target !== element("table") || event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor(element("scroller").clientHeight / table.height) - 2);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.key in steps) moveTo(table.active + steps[event.key]);
  else if (event.key === "Enter" && table.rows.length) openCall(calls.number[table.rows[table.active]]);
  else return;
  event.preventDefault();
}

function drawHead() {
  element("head").replaceChildren(...COLUMNS.map(([name, title]) => {
    const sorted = table.sort === name;
    const arrow = sorted ? (table.descending ? "\u2193" : "\u2191") : "";
    const button = make("button", { type: "button", "data-sort": name }, title,
      make("span", { class: "arrow", "aria-hidden": "true" }, arrow));
    const order = sorted ? (table.descending ? "descending" : "ascending") : "none";
    return make("th", { role: "columnheader", scope: "col", class: `c-${name}`, "aria-sort": order }, button);
  }));
}

// On paper there is no scrolling: the first rows are all written.
function printRows() {
  if (element("overview").hidden) return;
  const rows = element("rows");
  rows.replaceChildren(...Array.from({ length: Math.min(table.rows.length, 500) }, (_, index) => rowOf(index)));
  if (table.rows.length > 500) {
    rows.append(make("tr", { role: "row" }, make("td", {}, `and ${countOf(table.rows.length - 500)} more calls`)));
  }
}
