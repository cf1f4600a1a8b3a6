// What JsSIP sees: its parser, and the checks that it makes of a request before it looks for a session.
"use strict";

const Parser = require("jssip/lib/Parser");
const Grammar = require("jssip/lib/Grammar");
const { answer } = require("./judge");

const ADDRESSES = ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-Id", "Diversion", "History-Info"];
const MANDATORY = ["from", "to", "call_id", "cseq", "via"];
const AGENT = { configuration: {} };

function address(text) {
  const found = Grammar.parse(text, "Name_Addr_Header");
  return found === -1 ? undefined : found;
}

function uriMarks(place, uri) {
  const found = [[place, "user", uri.user || ""]];
  for (const name in uri._parameters) found.push([place, name, uri._parameters[name] || ""]);
  for (const name in uri._headers) found.push(["URI header", name, String(uri._headers[name])]);
  return found;
}

function addressMarks(place, found) {
  const own = found._parameters || {};
  return uriMarks(place, found.uri).concat(Object.keys(own).map((name) => [place, name, own[name] || ""]));
}

function marks(request) {
  const found = [
    ...uriMarks("Request-URI", request.ruri),
    ...addressMarks("From", request.from),
    ...addressMarks("To", request.to),
  ];
  for (const name in request.headers) {
    for (const header of request.headers[name]) {
      found.push(["header", name, header.raw]);
      const parsed = ADDRESSES.includes(name) ? address(header.raw) : name === "Contact" && header.parsed;
      if (parsed && parsed.uri) found.push(...addressMarks(name, parsed));
    }
  }
  return found;
}

answer((message) => {
  const request = Parser.parseMessage(message.toString("latin1"), AGENT);
  if (!request) return { refused: "cannot be parsed" };
  if (!request.method) return { refused: "not a request" };
  if (!MANDATORY.every((name) => request[name] !== undefined && request[name] !== null))
    return { refused: "a mandatory header field is missing" };
  const raw = request.getHeader("P-Asserted-Identity") || "";
  const asserted = address(raw);
  const tel = /^(?:[^<]*<)?\s*tel:([^;>\s]+)/i.exec(raw); // its grammar knows no tel URIs; applications take them from the text
  return {
    method: request.method,
    call: request.method === "INVITE",
    uri: request.ruri.toString(),
    from: request.from.uri.user,
    to_tag: request.to_tag || undefined,
    pai: asserted ? asserted.uri.user : tel ? tel[1] : undefined,
    marks: marks(request),
  };
});
