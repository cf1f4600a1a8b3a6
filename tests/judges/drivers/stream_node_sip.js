// What the package `sip` reads from TCP: what its transport hands on. A line for each message (stream.py).
"use strict";

const fs = require("fs");
const sip = require("sip");

function hexadecimal(text) {
  return Buffer.from(String(text), "latin1").toString("hex");
}

sip.makeTransport({ address: "127.0.0.1", port: 5070, udp: false, tcp: true }, (message) => {
  const method = hexadecimal(message.method || message.status);
  const call = hexadecimal(message.headers["call-id"]);
  fs.writeSync(1, `|judge|${method}|${call}|body|${message.content.length}|\n`);
});
