// What the drivers in JavaScript share: messages on stdin, each behind its length (4 bytes, big-endian), and for each one
// line of JSON on stdout. tests/support/stacks.py has the fields. Bytes are the code points of Latin-1.
"use strict";

const fs = require("fs");

function line(value) {
  return JSON.stringify(value).replace(/[^ -~]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")) + "\n";
}

// Answers each message with what `see`, given its bytes, returns; a message at which it throws is refused.
function answer(see) {
  let rest = Buffer.alloc(0);
  process.stdin.on("data", (bytes) => {
    rest = rest.length ? Buffer.concat([rest, bytes]) : bytes;
    for (let end; rest.length >= 4 && rest.length >= (end = 4 + rest.readUInt32BE(0)); rest = rest.subarray(end)) {
      let seen;
      try {
        seen = see(rest.subarray(4, end));
      } catch {
        seen = { refused: "cannot be read" };
      }
      fs.writeSync(1, line(seen));
    }
  });
}

module.exports = { answer };
