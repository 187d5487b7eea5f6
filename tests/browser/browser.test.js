// Real pages from another origin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { launch, screenshots, servePage, startCuttingProxy, startTransom } from "./support.js";

const USERS = 300;
let pages, transom, remote, behind, browser, page;
const ids = [];

before(async () => {
  pages = await servePage();
  transom = await startTransom("--database", "sqlite::memory:", "--cors-origin", pages.origin);
  behind = await startTransom("user-service", "--database", "sqlite::memory:");
  remote = await startTransom("serve", "--upstream", behind.url, "--cors-origin", pages.origin);
  browser = await launch();
  page = await browser.newPage();
  await page.goto(pages.origin);
  for (let number = 0; number < USERS; number += 1) {
    const response = await fetch(`${transom.url}/v1/users`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email: `${number}@example.com`, name: `User ${number}` }),
    });
    ids.push((await response.json()).id);
  }
});

after(async () => {
  await browser?.close();
  for (const process of [transom, remote, behind]) process?.stop();
  pages?.server.close();
});

test("fetch: answers, refusals and their headers can be read", async () => {
  const url = `${transom.url}/v1/users`;
  const got = await page.evaluate((url) => rest(url), `${url}/${ids[0]}`);
  assert.equal(got.status, 200);
  assert.equal(got.json.email, "0@example.com");
  assert.ok(got.requestId);
  const taken = await page.evaluate((url) => rest(url, { email: "0@example.com" }), url);
  assert.deepEqual([taken.status, taken.json.message], [409, "Email already registered"]);
  const invalid = await page.evaluate((url) => rest(url, { email: "x" }), url);
  assert.equal(invalid.json.details[0].fieldViolations[0].field, "email");
  const unknown = await page.evaluate((url) => rest(url), `${transom.url}/nope`);
  assert.equal(unknown.status, 404);
});

test("an origin that was not named is kept out, and so is a page of no origin", async () => {
  const other = await servePage();
  const stranger = await browser.newPage();
  await stranger.goto(other.origin);
  assert.equal(await stranger.evaluate((url) => isAllowed(url), `${transom.url}/livez`), false);
  await page.evaluate(() => 0);
  assert.equal(await page.evaluate((url) => isAllowed(url), `${transom.url}/livez`), true);
  const nobody = await browser.newPage();
  await nobody.goto("data:text/html,<p>null</p>");
  const isAllowedFromNowhere = await nobody.evaluate(
    (url) => fetch(url).then(() => true, () => false),
    `${transom.url}/livez`,
  );
  assert.equal(isAllowedFromNowhere, false);
  await stranger.close();
  await nobody.close();
  other.server.close();
});

test("EventSource: every user in order, then the end", async () => {
  const seen = await page.evaluate((url) => events(url), `${transom.url}/v1/users`);
  assert.deepEqual(seen, { ids, opened: 1, error: null });
});

test("EventSource: a connection cut in the middle resumes without loss or repeat", async () => {
  const proxy = await startCuttingProxy(transom.url, 20_000, 2);
  const seen = await page.evaluate((url) => events(url), `${proxy.url}/v1/users?page_size=10`);
  proxy.server.close();
  assert.deepEqual(seen.ids, ids);
  assert.equal(seen.error, null);
  assert.equal(seen.opened, 3);
});

test("EventSource: one that is not closed reconnects once, is told 204, and stops", async () => {
  const ends = await page.evaluate((url) => reconnects(url), `${transom.url}/v1/users`);
  assert.equal(ends, 1);
});

test("EventSource: a refusal is not retried", async () => {
  const seen = await page.evaluate((url) => events(url), `${transom.url}/v1/users?page_size=-1`);
  assert.deepEqual(seen, { ids: [], opened: 0, error: "closed" });
});

for (const format of ["text", "binary"]) {
  test(`npm grpc-web, ${format}: unary calls and errors`, async () => {
    for (const base of [transom.url, remote.url]) {
      const email = `${format}@example.com`;
      const created = await page.evaluate(
        ([base, format, email]) =>
          grpcWeb(base, format).unary("CreateUser", "CreateUserRequest", { email }),
        [base, format, email],
      );
      assert.equal(created.email, email);
      const call = (id) =>
        page.evaluate(
          ([base, format, userId]) =>
            grpcWeb(base, format).unary("GetUser", "GetUserRequest", { userId }),
          [base, format, id],
        );
      assert.deepEqual(await call(created.id), created);
      const missing = await call("nobody é");
      assert.deepEqual([missing.code, missing.message], [5, "User nobody é not found"]);
      const invalid = await page.evaluate(
        ([base, format]) =>
          grpcWeb(base, format).unary("CreateUser", "CreateUserRequest", { email: "x" }),
        [base, format],
      );
      assert.deepEqual([invalid.code, invalid.message, invalid.details], [3, "Invalid email", true]);
    }
  });
}

test("npm grpc-web, text: a stream, its error and its cancellation", async () => {
  const list = (request, cancelAfter) =>
    page.evaluate(
      ([base, request, cancelAfter]) => grpcWeb(base, "text").list(request, cancelAfter ?? Infinity),
      [transom.url, request, cancelAfter],
    );
  assert.deepEqual((await list({ pageToken: ids[9] })).ids.slice(0, USERS - 10), ids.slice(10));
  assert.equal((await list({ pageSize: -1 })).code, 3);
  assert.equal((await list({}, 3)).ids.length, 3);
});

test("connect-web's gRPC-Web transport: unary calls, a stream, errors with details, cancel", async () => {
  for (const base of [transom.url, remote.url]) {
    const created = await page.evaluate(
      (base) => connectWeb(base).unary("createUser", { email: "connect@example.com" }),
      base,
    );
    const got = await page.evaluate(
      ([base, userId]) => connectWeb(base).unary("getUser", { userId }),
      [base, created.id],
    );
    assert.deepEqual(got, created);
    const invalid = await page.evaluate(
      (base) => connectWeb(base).unary("createUser", { email: "x" }),
      base,
    );
    assert.deepEqual(invalid, {
      code: "InvalidArgument",
      message: "Invalid email",
      details: ["google.rpc.BadRequest"],
    });
    const listed = await page.evaluate((base) => connectWeb(base).list({ pageSize: 7 }), base);
    assert.equal(listed.code, undefined);
    assert.ok(listed.ids.includes(created.id));
  }
  const some = await page.evaluate((base) => connectWeb(base).list({}, 5), transom.url);
  assert.deepEqual([some.ids.slice(0, 5), some.code], [ids.slice(0, 5), "Canceled"]);
});

test("WebSocket: the example of the documentation, and pages of other origins", async () => {
  const docs = readFileSync(path.join(import.meta.dirname, "../../docs/websocket.md"), "utf8");
  const source = docs.split("```js\n")[1].split("```")[0];
  assert.equal(source.trimEnd().split("\n").length, 15);
  const call = (where, url, messages) =>
    where.evaluate(([source, url, messages]) => webSocket(source, url, messages), [
      source,
      url.replace("http:", "ws:"),
      messages,
    ]);
  for (const base of [transom.url, remote.url]) {
    const create = `${base}/user.v1.UserService/CreateUser`;
    const { heard, code } = await call(page, create, [{ email: "ws@example.com", name: "é" }]);
    assert.deepEqual([heard.length, heard[0].name, code], [1, "é", 1000]);
    const listed = await call(page, `${base}/v1/users?page_size=7`, []);
    assert.equal(listed.code, 1000);
    assert.ok(listed.heard.some((user) => user.id === heard[0].id));
    const invalid = await call(page, create, [{ email: "x" }]);
    assert.deepEqual([invalid.code, invalid.reason], [4003, "Invalid email"]);
    assert.equal(invalid.status.details[0].fieldViolations[0].field, "email");
    const missing = await call(page, `${base}/v1/users/nobody`, []);
    assert.deepEqual([missing.code, missing.reason], [4005, "User nobody not found"]);
    // What is refused before the upgrade a page cannot tell from a host that is down.
    assert.equal((await call(page, `${base}/nope`, [])).code, 1006);
  }
  const other = await servePage();
  const stranger = await browser.newPage();
  await stranger.goto(other.origin);
  assert.equal((await call(stranger, `${transom.url}/v1/users`, [])).code, 1006);
  // The gateway's own page is of no other origin.
  await stranger.goto(`${transom.url}/`);
  const opens = (url) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onclose = ({ code }) => resolve(code);
    });
  const own = `${transom.url.replace("http:", "ws:")}/v1/users/${ids[0]}`;
  assert.equal(await stranger.evaluate(opens, own), 1000);
  await stranger.close();
  other.server.close();
});

test("a page that closes in the middle of a stream leaves a working gateway", async () => {
  const leaving = await browser.newPage();
  await leaving.goto(pages.origin);
  await leaving.evaluate((url) => {
    new EventSource(url);
  }, `${transom.url}/v1/users?page_size=1`);
  await leaving.close();
  const got = await page.evaluate((url) => rest(url), `${transom.url}/v1/users/${ids[0]}`);
  assert.equal(got.status, 200);
});

test("the first page: create, list and get, as a person does", async () => {
  const console_ = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  const outside = [];
  const errors = [];
  console_.on("request", (request) => {
    if (!request.url().startsWith(transom.url)) outside.push(request.url());
  });
  console_.on("pageerror", (error) => errors.push(error.message));
  await console_.goto(`${transom.url}/?page_size=1`);
  await console_.fill("input[name=email]", "person@example.com");
  await console_.fill("input[name=name]", "A Person");
  await console_.click("#create button");
  await console_.waitForSelector("#created:has-text('person@example.com')");
  await console_.click("#listen");
  await console_.waitForSelector("#state:has-text('complete')");
  await console_.click("#rows tr:last-child");
  await console_.waitForSelector("#got:has-text('\"email\"')");
  await console_.fill("input[name=id]", "nobody");
  await console_.click("#get button");
  await console_.waitForSelector("#got.bad:has-text('5: User nobody not found')");
  await console_.screenshot({ path: path.join(screenshots, "first-page.png") });
  assert.deepEqual([outside, errors], [[], []]);
  await console_.close();
});

test("the docs: Swagger UI from inside, and Try it out works", async () => {
  const docs = await browser.newPage({ viewport: { width: 1100, height: 1400 } });
  const outside = [];
  docs.on("request", (request) => {
    if (!request.url().startsWith(transom.url) && !request.url().startsWith("data:")) {
      outside.push(request.url());
    }
  });
  await docs.goto(`${transom.url}/docs`);
  await docs.click('[id$="UserService_GetUser"] .opblock-summary-control');
  await docs.fill("input[placeholder=user_id]", ids[0]);
  await docs.click(".execute");
  await docs.waitForSelector(".live-responses-table:has-text('0@example.com')");
  await docs.screenshot({ path: path.join(screenshots, "docs.png") });
  assert.deepEqual(outside, []);
  await docs.close();
});
