// The data of the table, and how elements are made. Texts only ever become text nodes and attributes without meaning.

const SVG = "http://www.w3.org/2000/svg";
const FACETS = ["result", "attestation", "peer", "signer", "treatment", "rule", "response", "file"];
const COULD_BE_SIGNED = "could be signed";
const COLUMNS = [
  ["number", "Call"], ["time", "Time"], ["peer", "Peer"], ["caller", "From"], ["called", "To"], ["result", "Result"],
  ["attestation", "Attest"], ["signer", "Signer"], ["treatment", "Treatment"], ["rule", "Rule"], ["response", "Response"],
];

const element = (id) => document.getElementById(id);

function make(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function makeSvg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Text in which escapes and changes are marked, as nodes.
function marked(text) {
  const nodes = [];
  let changed = false, escaped = false;
  for (const part of text.split(/([\ue000-\ue003])/)) {
    if (part === "\ue000" || part === "\ue001") escaped = part === "\ue000";
    else if (part === "\ue002" || part === "\ue003") changed = part === "\ue002";
    else if (part) {
      const inner = escaped ? make("span", { class: "escape" }, part) : part;
      nodes.push(changed ? make("mark", {}, inner) : inner);
    }
  }
  return nodes;
}

const sums = (differences, Kind) => {
  const made = new Kind(differences.length);
  let value = 0;
  differences.forEach((difference, place) => { made[place] = value += difference; });
  return made;
};

function readColumns() {
  const raw = JSON.parse(element("calls-data").textContent);
  const count = raw.number.length;
  const lines = (text) => (count ? text.split("\n") : []);
  const columns = {
    count, of: raw.of,
    number: sums(raw.number, Float64Array), time: sums(raw.time, Float64Array), packet: sums(raw.packet, Float64Array),
    caller: lines(raw.caller), called: lines(raw.called), callId: lines(raw.callId), facets: {},
  };
  for (const name of FACETS) {
    columns.facets[name] = { names: raw[name].names, at: Uint32Array.from(raw[name].at) };
  }
  return columns;
}

const calls = readColumns();
const facetOf = (name, place) => calls.facets[name].names[calls.facets[name].at[place]];
const textOf = (name, place) => (name in calls.facets ? facetOf(name, place) : calls[name][place]);
const placeOf = new Map(Array.from(calls.number, (number, place) => [number, place]));

// What a search looks at: made when there is time, at the latest for the first search.
let searched = null;
function searchable() {
  if (searched === null) {
    searched = new Array(calls.count);
    for (let place = 0; place < calls.count; place++) {
      const parts = [calls.number[place], calls.caller[place], calls.called[place], calls.callId[place]];
      for (const name of FACETS) parts.push(facetOf(name, place));
      searched[place] = parts.join("\n").toLowerCase();
    }
  }
  return searched;
}

// Details are read when the first call is opened.
let read = null;
function details() {
  if (read === null) read = JSON.parse(element("details-data").textContent);
  return read;
}

const pad = (number, length) => String(number).padStart(length, "0");
function timeOf(milliseconds, withDate) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return String(milliseconds / 1000);
  const text = date.toISOString();
  return withDate ? `${text.slice(0, 10)} ${text.slice(11, 23)} UTC` : text.slice(11, 23);
}
const countOf = (number) => number.toLocaleString("en-US");
