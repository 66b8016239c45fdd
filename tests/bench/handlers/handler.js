// A json handler: the request is a line, so is the answer.
const fs = require("fs");
const buffer = Buffer.alloc(4096);
const n = fs.readSync(0, buffer);
const request = JSON.parse(buffer.toString("utf8", 0, n));
fs.writeSync(1, JSON.stringify({ greeting: "hello " + request.name, items: request.items.length }) + "\n");
