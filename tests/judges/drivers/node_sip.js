// What the package `sip` sees: its parser, and the check by which its transport hands a message on.
"use strict";

const sip = require("sip");
const { answer } = require("./judge");

const ADDRESSES = ["to", "from", "contact", "p-asserted-identity", "p-preferred-identity", "remote-party-id", "diversion",
  "history-info"];

// The addresses of a header field: those that the parser knows are parsed, others are lines of text.
function addresses(value) {
  const all = Array.isArray(value) ? value : [value];
  return all.map((one) => (typeof one === "string" ? parsed(one) : one)).filter((one) => one && one.uri);
}

function parsed(text) {
  try {
    return sip.parseAOR({ s: text, i: 0 });
  } catch {
    return undefined;
  }
}

// The user part of an address, with escapes undone as an application would.
function user(address) {
  const uri = address && sip.parseUri(address.uri);
  if (uri) return uri.user === undefined ? undefined : plain(uri.user);
  const tel = address && /^tel:([^;]+)/i.exec(address.uri);
  return tel ? plain(tel[1]) : undefined;
}

// What applications do with parts of a URI, which the stack leaves as they are: two digits behind a percent sign.
function plain(text) {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
}

function marks(headers, requestUri) {
  const found = [];
  const uri = sip.parseUri(requestUri);
  if (uri) {
    found.push(["Request-URI", "user", plain(uri.user || "")]);
    for (const name in uri.params) found.push(["Request-URI", plain(name), plain(uri.params[name] || "")]);
  }
  for (const name in headers) {
    if (typeof headers[name] === "string") found.push(["header", name, headers[name]]);
    if (!ADDRESSES.includes(name)) continue;
    for (const address of addresses(headers[name])) {
      found.push([name, "user", user(address) || ""]);
      const inside = sip.parseUri(address.uri) || { params: {}, headers: {} };
      for (const part of [address.params, inside.params])
        for (const key in part) found.push([name, plain(key), plain(part[key] || "")]);
      for (const key in inside.headers) found.push(["URI header", plain(key), plain(inside.headers[key] || "")]);
    }
  }
  return found;
}

answer((message) => {
  const seen = sip.parse(message);
  if (!seen) return { refused: "cannot be parsed" };
  const headers = seen.headers;
  if (!seen.method) return { refused: "not a request" };
  const complete = Array.isArray(headers.via) && headers.via.length > 0 && headers["call-id"] && headers.to &&
    headers.from && headers.cseq;
  if (!complete) return { refused: "a mandatory header field is missing" };
  const asserted = headers["p-asserted-identity"] && addresses(headers["p-asserted-identity"])[0];
  return {
    method: seen.method,
    call: seen.method === "INVITE",
    uri: seen.uri,
    from: user(headers.from),
    to_tag: headers.to.params.tag === undefined ? undefined : headers.to.params.tag || "",
    pai: user(asserted),
    marks: marks(headers, seen.uri),
  };
});
