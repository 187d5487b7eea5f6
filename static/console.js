// The first page: one call in each of three protocols, and every route there is.

const $ = (id) => document.getElementById(id);

function show(output, value, isBad = false) {
  output.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  output.classList.toggle("bad", isBad);
}

// REST/JSON.
async function create(event) {
  event.preventDefault();
  const { email, name } = Object.fromEntries(new FormData(event.target));
  const response = await fetch("/v1/users", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, name }),
  });
  show($("created"), await response.json(), !response.ok);
}

// Server-sent events. The stream says when it is complete; a lost connection resumes by itself.
let source;
function list() {
  source?.close();
  $("rows").replaceChildren();
  let count = 0;
  const say = (text) => ($("state").textContent = text);
  say("listening");
  source = new EventSource("/v1/users");
  source.onmessage = (event) => {
    addRow(JSON.parse(event.data));
    say(`${(count += 1)} users`);
  };
  source.addEventListener("end", () => {
    source.close();
    say(`${count} users, complete`);
  });
  source.addEventListener("error", (event) => {
    if (event.data) say(`failed: ${JSON.parse(event.data).message}`);
    else if (source.readyState === EventSource.CONNECTING) say("connection lost, resuming");
  });
}

function addRow(user) {
  const row = $("rows").insertRow();
  for (const text of [user.email, user.name ?? "", new Date(user.createdAt).toLocaleString()]) {
    row.insertCell().textContent = text;
  }
  row.title = user.id;
  row.addEventListener("click", () => {
    $("get").elements.id.value = user.id;
    $("get").requestSubmit();
  });
}

// gRPC-Web, by hand: an envelope out; envelopes back, the last one the trailers.
async function get(event) {
  event.preventDefault();
  const id = new TextEncoder().encode($("get").elements.id.value);
  const response = await fetch("/user.v1.UserService/GetUser", {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
    body: envelope([0x0a, ...varint(id.length), ...id]),
  });
  const { messages, trailers } = envelopes(new Uint8Array(await response.arrayBuffer()));
  if (trailers["grpc-status"] === "0") show($("got"), user(messages[0]));
  else show($("got"), `${trailers["grpc-status"]}: ${decodeURIComponent(trailers["grpc-message"] ?? "")}`, true);
}

function envelope(message) {
  const bytes = new Uint8Array(5 + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, 5);
  return bytes;
}

function envelopes(bytes) {
  const messages = [];
  const trailers = {};
  for (let at = 0; at < bytes.length; ) {
    const length = new DataView(bytes.buffer, at + 1, 4).getUint32(0);
    const content = bytes.subarray(at + 5, at + 5 + length);
    if (bytes[at] & 0x80) {
      for (const line of new TextDecoder().decode(content).split("\r\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) trailers[line.slice(0, colon)] = line.slice(colon + 1).trim();
      }
    } else {
      messages.push(content);
    }
    at += 5 + length;
  }
  return { messages, trailers };
}

function varint(value) {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

// The text fields of user.v1.User.
function user(bytes) {
  const names = { 1: "id", 2: "email", 3: "name" };
  const result = {};
  let at = 0;
  const read = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = read();
    const length = read();
    if ((key & 7) !== 2) continue;
    if (names[key >> 3]) {
      result[names[key >> 3]] = new TextDecoder().decode(bytes.subarray(at, at + length));
    }
    at += length;
  }
  return result;
}

// What there is, as the OpenAPI document tells it.
async function routes() {
  const document = await (await fetch("/openapi.json")).json();
  $("services").textContent = document.info.title || "no services yet";
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [verb, operation] of Object.entries(operations)) {
      const row = $("operations").insertRow();
      for (const text of [verb.toUpperCase(), path, operation.summary ?? operation.operationId]) {
        row.insertCell().textContent = text;
      }
    }
  }
  $("users").hidden = !document.paths["/v1/users"];
}

$("create").addEventListener("submit", create);
$("listen").addEventListener("click", list);
$("get").addEventListener("submit", get);
routes();
