import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { afterAll } from "vitest";
import { findChromium } from "./system-program.ts";

const cleanups: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** The system's Chromium without a window. It is closed when the test file is through, and by itself when we die. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = await findChromium();
  const home = mkdtempSync(join(tmpdir(), "flotilla-browser-"));
  const remove = (): void => rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  try {
    const browser = await chromium.launch({
      executablePath,
      chromiumSandbox: process.getuid?.() !== 0, // root's Chromium does not start with it
      // Whatever it keeps beside its profile goes to the temporary folder as well.
      env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home, TMPDIR: home },
      artifactsDir: home,
    });
    cleanups.push(async () => {
      await browser.close();
      remove();
    });
    return browser;
  } catch (error) {
    remove();
    throw error;
  }
}

/** Serves files from memory, by path, on a port of its own. @returns the address on 127.0.0.1 */
export async function serveFiles(files: Record<string, { type: string; content: string }>): Promise<string> {
  const server = createServer((request, response) => {
    const file = files[new URL(request.url ?? "/", "http://x").pathname];
    if (file === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-type": `${file.type}; charset=utf-8` }).end(file.content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
