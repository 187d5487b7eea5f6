// What the test page can do, each as a function that answers plain data.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";

import { UserService, schema } from "./schema.js";

/** fetch of a REST route: status, a header that is exposed, and the JSON. */
async function rest(url, body) {
  const response = await fetch(url, {
    method: body ? "POST" : "GET",
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const requestId = response.headers.get("x-request-id");
  return { status: response.status, requestId, json: await response.json() };
}

/** Whether a fetch is let through at all. */
async function isAllowed(url) {
  try {
    await fetch(url);
    return true;
  } catch {
    return false;
  }
}

/** An EventSource until its end: the ids in order, how often it connected, what it was told. */
function events(url) {
  return new Promise((resolve) => {
    const seen = { ids: [], opened: 0, error: null };
    const source = new EventSource(url);
    const end = () => {
      source.close();
      resolve(seen);
    };
    source.onopen = () => (seen.opened += 1);
    source.onmessage = (event) => {
      const { id } = JSON.parse(event.data);
      if (event.lastEventId !== id) seen.error = `id ${event.lastEventId} of ${id}`;
      seen.ids.push(id);
    };
    source.addEventListener("end", end);
    source.addEventListener("error", (event) => {
      if (event.data) {
        seen.error = JSON.parse(event.data);
        end();
      } else if (source.readyState === EventSource.CLOSED) {
        seen.error = "closed";
        end();
      }
    });
  });
}

/** An EventSource that is not closed by the page: what becomes of it after the end. */
function reconnects(url) {
  return new Promise((resolve) => {
    const source = new EventSource(url);
    let ends = 0;
    source.addEventListener("end", () => (ends += 1));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) resolve(ends);
    });
  });
}

const plain = ({ id, email, name }) => ({ id, email, name });

/** npm grpc-web, in "text" or "binary". */
function grpcWeb(base, format) {
  const client = new GrpcWebClientBase({ format });
  const descriptor = (name, input, type) =>
    new MethodDescriptor(
      `/user.v1.UserService/${name}`,
      type,
      Object,
      Object,
      (request) => toBinary(schema(input), create(schema(input), request)),
      (bytes) => fromBinary(schema("User"), bytes),
    );
  return {
    unary: (name, input, request) =>
      new Promise((resolve) => {
        const method = descriptor(name, input, MethodType.UNARY);
        client.rpcCall(`${base}${method.getName()}`, request, {}, method, (error, user) =>
          resolve(error ? { code: error.code, message: error.message, details: !!error.metadata?.["grpc-status-details-bin"] } : plain(user)),
        );
      }),
    list: (request, cancelAfter = Infinity) =>
      new Promise((resolve) => {
        const method = descriptor("ListUsers", "ListUsersRequest", MethodType.SERVER_STREAMING);
        const ids = [];
        const stream = client.serverStreaming(`${base}${method.getName()}`, request, {}, method);
        stream.on("data", (user) => {
          ids.push(user.id);
          if (ids.length === cancelAfter) {
            stream.cancel();
            resolve({ ids: [...ids] });
          }
        });
        stream.on("error", (error) => resolve({ ids, code: error.code, message: error.message }));
        stream.on("end", () => resolve({ ids }));
      }),
  };
}

/** @connectrpc/connect-web's gRPC-Web transport. */
function connectWeb(base) {
  const client = createClient(UserService, createGrpcWebTransport({ baseUrl: base }));
  const failure = (error) => {
    const { code, rawMessage, details } = ConnectError.from(error);
    return { code: Code[code], message: rawMessage, details: details.map((detail) => detail.type) };
  };
  return {
    unary: (name, request) => client[name](request).then(plain, failure),
    list: async (request, cancelAfter = Infinity) => {
      const ids = [];
      const abort = new AbortController();
      try {
        for await (const user of client.listUsers(request, { signal: abort.signal })) {
          ids.push(user.id);
          if (ids.length === cancelAfter) abort.abort();
        }
        return { ids };
      } catch (error) {
        return { ids, ...failure(error) };
      }
    },
  };
}

/** `call` of docs/websocket.md, and what it hears. */
async function webSocket(source, url, messages) {
  const call = new Function(`${source}; return call;`)();
  const heard = [];
  const end = await call(url, messages, (message) => heard.push(message));
  return { heard, ...end };
}

Object.assign(window, { rest, isAllowed, events, reconnects, webSocket, grpcWeb, connectWeb });
