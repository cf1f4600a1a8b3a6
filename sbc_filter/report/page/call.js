// The page of one call: what became of it and why, its ladder, its messages, its tokens and the checks.

const section = (title, ...children) => make("section", {}, make("h2", {}, title), ...children);

function pairs(entries, kind) {
  const list = make("dl", { class: kind || "pairs" });
  for (const [name, value] of entries) {
    if (value === "" || value === undefined) continue;
    const content = typeof value === "string" ? marked(value) : [value];
    list.append(make("div", {}, make("dt", {}, ...marked(name)), make("dd", {}, ...content)));
  }
  return list;
}

function summary(place) {
  return pairs([
    ["Time", timeOf(calls.time[place], true)], ["From", calls.caller[place]], ["To", calls.called[place]],
    ["Treatment", facetOf("treatment", place)], ["Rule", facetOf("rule", place)], ["Peer", facetOf("peer", place)],
    ["Final response", facetOf("response", place)],
    ["Attestation", facetOf("attestation", place)], ["Signer", facetOf("signer", place)],
    ["Call-ID", calls.callId[place]], ["First packet", String(calls.packet[place])], ["File", facetOf("file", place)],
  ], "facts");
}

function compared(found, texts) {
  for (const token of found ? found.tokens : []) {
    const failed = token.checks.map((place) => texts[place]).find(([state, , values]) => state === "failed" && values);
    if (failed) return failed[2];
  }
  return "";
}

function explanation(said, found, texts, same) {
  const [happened, standard, by, remedy] = texts[said];
  return make("section", { class: "why", "aria-label": "Why" },
    make("p", { class: "happened" }, ...marked(happened)),
    pairs([
      ["Found", compared(found, texts)], ["Same token", same], ["What to do", remedy], ["Who can act", by], ["Standard", standard],
    ]));
}

const SIGNS = ["\u2212", "+"];
function lineCell(text, sign, kind) {
  return make("div", { class: `line ${kind}` },
    make("span", { class: "sign" }, sign),
    make("code", {}, ...(text === "" ? ["\u00a0"] : marked(text))));
}

function plainMessage(rows, texts) {
  const box = make("div", { class: "message", tabindex: "0" });
  for (const row of rows) box.append(lineCell(texts[row], "", "same"));
  return box;
}

// Both messages side by side; on a narrow screen one below the other, line by line.
function comparedMessage(rows, texts) {
  const box = make("div", { class: "message compared", tabindex: "0" });
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    if (typeof row === "number") {
      box.append(lineCell(texts[row], "", "same"), lineCell(texts[row], "", "same again"));
      continue;
    }
    const next = rows[at + 1];
    const [added, place] = row;
    if (!added && Array.isArray(next) && next[0]) {
      box.append(lineCell(texts[place], SIGNS[0], "old"), lineCell(texts[next[1]], SIGNS[1], "new"));
      at++;
    } else if (added) {
      box.append(make("div", { class: "line none" }), lineCell(texts[place], SIGNS[1], "new"));
    } else {
      box.append(lineCell(texts[place], SIGNS[0], "old"), make("div", { class: "line none" }));
    }
  }
  return box;
}

function messagePanel(message, texts, result) {
  const nodes = [pairs([
    ["Packet", String(message.packet)], ["File", texts[message.file]],
    ["From", texts[message.src]], ["To", texts[message.dst]],
  ], "facts")];
  const changes = message.sent.filter(Boolean);
  if (!changes.length) nodes.push(make("h3", {}, "As received"), plainMessage(message.rows, texts));
  for (const each of changes) {
    nodes.push(make("div", { class: "sides" }, make("h3", {}, "As received"), make("h3", {}, "As sent on")),
      comparedMessage(each.rows, texts));
  }
  if (!message.sent.length) nodes.push(make("p", { class: "caption" }, "The filter does not send it on."));
  else if (!changes.length && result === COULD_BE_SIGNED && texts[message.title] === "INVITE") {
    nodes.push(make("p", { class: "caption" }, "The filter could sign it with a credential of yours. Nothing was signed."));
  } else if (!changes.length) nodes.push(make("p", { class: "caption" }, "The filter sends it on unchanged."));
  for (const each of message.answers) {
    nodes.push(make("h3", {}, "The response of the filter"), plainMessage(each.rows, texts));
  }
  return nodes;
}

function messages(raw, texts, result) {
  const panel = make("div", { class: "panel", role: "region", "aria-label": "The chosen message", "aria-live": "polite" });
  const list = ladder(raw, texts, (message) => panel.replaceChildren(...messagePanel(message, texts, result)));
  const heads = make("div", { class: "heads", "aria-hidden": "true" },
    make("span", {}, "peer"), make("span", {}, "filter"), make("span", {}, "SBC"));
  const made = section("Messages", heads, list);
  if (raw.omitted) made.append(make("p", { class: "caption" }, `${countOf(raw.omitted)} more messages are not kept.`));
  made.append(panel);
  return made;
}

const STATES = { ok: "\u2713", failed: "\u2715", "not reached": "\u00b7", "not judged": "?" };
function checkTable(checks) {
  const body = make("tbody");
  for (const [state, title, values, standard] of checks) {
    body.append(make("tr", { class: state.replace(" ", "-") },
      make("td", {}, make("span", { class: "state", "aria-hidden": "true" }, STATES[state] || ""), state),
      make("th", { scope: "row" }, ...marked(title),
        ...(values ? [make("span", { class: "values" }, ...marked(values))] : [])),
      make("td", {}, ...marked(standard))));
  }
  const head = make("tr", {}, ...["State", "Check", "Standard"].map((each) => make("th", { scope: "col" }, each)));
  return make("table", { class: "checks" }, make("thead", {}, head), body);
}

function checkList(places, texts) {
  const all = places.map((place) => texts[place]);
  const reached = all.filter((each) => each[0] !== "not reached");
  const rest = all.length - reached.length;
  if (!all.length) return [];
  const nodes = [make("h3", {}, "Checks, in their order"), checkTable(reached)];
  if (rest) {
    nodes.push(make("details", {}, make("summary", {}, `${rest} checks were not reached`),
      checkTable(all.filter((each) => each[0] === "not reached"))));
  }
  return nodes;
}

function chain(places, texts) {
  if (!places.length) return [];
  const body = make("tbody");
  for (const place of places) {
    const [role, subject, numbers, first, last, issuer, crl] = texts[place];
    body.append(make("tr", {}, make("td", {}, ...marked(role)),
      make("th", { scope: "row" }, ...marked(subject), make("span", { class: "values" }, ...marked(`by ${issuer}`))),
      make("td", {}, ...marked(numbers)), make("td", {}, `${first} to ${last} UTC`), make("td", {}, ...marked(crl))));
  }
  const titles = ["Role", "Certificate", "For", "Valid", "Revocation"];
  const head = make("tr", {}, ...titles.map((each) => make("th", { scope: "col" }, each)));
  return [make("table", { class: "checks chain" }, make("thead", {}, head), body)];
}

function token(found, texts, at) {
  const members = (places) => places.map((place) => texts[place]);
  const nodes = [];
  if (texts[found.fault]) nodes.push(make("p", {}, ...marked(texts[found.fault])));
  const halves = make("div", { class: "halves" });
  halves.append(make("div", {}, make("h3", {}, "Header"), pairs(members(found.header), "pairs mono")),
    make("div", {}, make("h3", {}, "Claims"), pairs(members(found.claims), "pairs mono")));
  nodes.push(halves, make("h3", {}, "Signature and certificate"),
    pairs([["Signature", texts[found.signature]], ["Certificate", texts[found.certificate]]]),
    ...chain(found.chain, texts), ...checkList(found.checks, texts));
  return section(`Token ${at}: ${plainText(texts[found.result])}`, ...nodes);
}

function rules(found, texts) {
  const list = make("ul", { class: "rules" });
  for (const place of found.rules) {
    const [name, mode, matched, reason] = texts[place];
    list.append(make("li", {}, make("strong", {}, ...marked(name)), ` (${mode}): `,
      ...(matched ? ["matches and decides"] : marked(reason))));
  }
  return section("Rules, in their order", list);
}

function findingsOf(found, texts, result) {
  const nodes = [];
  if (texts[found.result] !== result) {
    nodes.push(make("p", { class: "notes" }, `Judged by itself, as if no other call had come before: `,
      make("strong", {}, plainText(texts[found.result])), ". What follows says so, too."));
  }
  found.tokens.forEach((each, at) => nodes.push(token(each, texts, at + 1)));
  if (found.tolerated.length) {
    nodes.push(section("Tolerated", pairs(found.tolerated.map((place) => texts[place]))));
  }
  if (found.rules.length) nodes.push(rules(found, texts));
  if (found.notes.length) {
    nodes.push(section("Missing for a full answer",
      make("ul", {}, ...found.notes.map((place) => make("li", {}, ...marked(texts[place]))))));
  }
  return nodes;
}

function callPage(number, links) {
  const place = placeOf.get(number);
  const { calls: shown, texts, command } = details();
  const raw = shown[number];
  const result = facetOf("result", place) || "no INVITE decided";
  const title = make("h1", { tabindex: "-1", id: "call-heading" }, `Call ${number} `,
    make("span", { class: "verdict" }, make("span", { class: `dot ${groupOf(result)}`, "aria-hidden": "true" }), result));
  const found = raw && raw.findings;
  const nodes = [links, title];
  if (raw && raw.said !== null) nodes.push(explanation(raw.said, found, texts, found ? texts[raw.sameToken] : ""));
  nodes.push(summary(place));
  if (!raw) {
    nodes.push(make("p", { class: "notes" }, "The messages of this call are not in this report: it has those of the ",
      "calls that fail or change, and samples of the others."));
  } else {
    nodes.push(messages(raw, texts, result));
    if (found) nodes.push(...findingsOf(found, texts, result));
  }
  if (command) nodes.push(make("p", { class: "caption" }, "On the command line: ", make("code", {}, `${command} ${number}`)));
  return nodes;
}
