// The processes of the tests: transom, a page server of another origin, a proxy that cuts
// connections, and a browser.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

import * as esbuild from "esbuild";
import { chromium } from "playwright-core";

const root = path.resolve(import.meta.dirname, "../..");
export const screenshots = path.join(root, "target/browser");
mkdirSync(screenshots, { recursive: true });

/** The test page, on an origin of its own. */
export async function servePage() {
  const built = await esbuild.build({
    entryPoints: [path.join(import.meta.dirname, "page.js")],
    bundle: true,
    format: "iife",
    write: false,
  });
  const server = http.createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    const html = '<!doctype html><meta charset="utf-8"><script src="/page.js"></script>';
    response.end(isScript ? built.outputFiles[0].text : html);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

/** A transom process; `url` is where it listens. */
export async function startTransom(...flags) {
  const binary = process.env.TRANSOM_BINARY ?? path.join(root, "target/debug/transom");
  const child = spawn(binary, [...flags, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const lines = createInterface({ input: child.stdout });
  const [first] = await once(lines, "line");
  return { url: first.split(" ").at(-1), stop: () => child.kill("SIGKILL") };
}

/** Passes connections on, and cuts the first `cuts` of them after `bytes` of answers. */
export async function startCuttingProxy(target, bytes, cuts) {
  const { hostname, port } = new URL(target);
  let left = cuts;
  const server = net.createServer((caller) => {
    const upstream = net.connect(Number(port), hostname);
    const isCut = left > 0;
    left -= 1;
    let passed = 0;
    caller.pipe(upstream);
    upstream.on("data", (data) => {
      const rest = isCut ? bytes - passed : data.length;
      passed += data.length;
      caller.write(data.subarray(0, rest));
      if (isCut && passed >= bytes) {
        upstream.destroy();
        caller.end();
      }
    });
    upstream.on("end", () => caller.end());
    for (const socket of [caller, upstream]) socket.on("error", () => {});
    caller.on("close", () => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** Debian's Chromium; nothing of it leaves this machine. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    env: { ...process.env, HOME: mkdtempSync(path.join(os.tmpdir(), "transom-browser-")) },
  });
}
