import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveFiles, startBrowser } from "../support/browser.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";
import { INSTALL_TIMEOUT_MS } from "../support/system-program.ts";
import { eventually } from "../support/wait.ts";

// `useStream` of the official SDK in a real browser, on a page of another origin than the gateways'.

const VERSIONS = [
  { version: "1.15.0", alias: "langgraph-sdk-1" },
  { version: "2.0.0", alias: "langgraph-sdk-2" },
];
const here = (name: string) => fileURLToPath(new URL(`browser/${name}`, import.meta.url));

let page: Page; // one for all tests, as each takes a second to open: every test has a thread of its own
/** Where a file of a thread's name lets a held answer go on. */
const held = mkdtempSync(join(tmpdir(), "flotilla-held-"));
let site: string;
let gateways: string[];
let http: TestClient;
beforeAll(async () => {
  const [browser, database, address] = await Promise.all([startBrowser(), createTestDatabase(), servePages()]);
  site = address;
  const stack = new Stack({
    databaseUrl: database.url,
    config: here("langgraph.json"),
    env: { ALLOWED_ORIGINS: site, OFFLINE_MODEL_DELAY_MS: "20", HELD_TALKS: held },
  });
  const starting = [stack.startGateway(), stack.startGateway(), stack.startWorker(), stack.startWorker()] as const;
  page = await browser.newPage();
  page.setDefaultTimeout(10_000);
  const [one, other] = await Promise.all(starting);
  gateways = [one.url, other.url];
  http = new TestClient(one.url);
}, INSTALL_TIMEOUT_MS);

afterAll(() => rmSync(held, { recursive: true }));

/** A page for each line of the SDK. */
async function servePages(): Promise<string> {
  const pages = VERSIONS.map(async ({ version, alias }) => {
    const { outputFiles } = await build({
      entryPoints: [here("page.tsx")],
      bundle: true,
      write: false,
      format: "esm",
      alias: { "langgraph-sdk-1": alias },
      define: { "process.env.NODE_ENV": '"production"' },
    });
    const html = `<!doctype html><title>Chat</title><body><script type="module" src="/${version}.js"></script>`;
    return {
      [`/${version}`]: { type: "text/html", content: html },
      [`/${version}.js`]: { type: "text/javascript", content: outputFiles[0]?.text ?? "" },
    };
  });
  return serveFiles(Object.assign({}, ...(await Promise.all(pages))));
}

interface Screen {
  busy: boolean;
  /** of each message */
  texts: string[];
  /** steps of the graph that counts */
  log: number[];
  question: string;
  alert: string;
  branches: string[];
}
const SCREEN = `(() => {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((one) => one.textContent);
  return {
    busy: document.querySelector("main").getAttribute("aria-busy") === "true",
    texts: texts("li > span"),
    log: JSON.parse(texts("output")[0]),
    question: texts("q").join(),
    alert: texts("[role=alert]").join(),
    branches: texts("[aria-pressed]"),
  };
})()`;

const screen = async () => (await page.evaluate(SCREEN)) as Screen;
/** Waits until the page shows something. */
const shows = (what: string, condition: (screen: Screen) => boolean) =>
  eventually(
    async () => {
      const now = await screen();
      return condition(now) ? now : Promise.reject(new Error(JSON.stringify(now)));
    },
    { what, everyMs: 50 },
  );
const rests = (what: string, condition: (screen: Screen) => boolean) =>
  shows(what, (now) => !now.busy && condition(now));
const click = (name: string) => page.getByRole("button", { name, exact: true }).click();

async function send(text: string, button = "Send"): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await click(button);
}

const threadInAddress = () => new URL(page.url()).searchParams.get("thread") ?? "";

/** The runs of that thread, newest first. */
async function statuses(): Promise<string[]> {
  const { body } = await http.get(`/threads/${threadInAddress()}/runs`);
  return (body as { status: string }[]).map(({ status }) => status);
}

const GREETING = "Hello! I can look up an order, track its parcel or refund it. What is your order number?";
const slowSteps = (n: number, delay_ms = 50) => JSON.stringify({ inputs: ["in"], steps: n, delay_ms });

describe.each(VERSIONS)("useStream of SDK $version", ({ version }) => {
  const open = ({ assistant = "customer_support", reconnect = "yes", from = site } = {}) =>
    page.goto(`${from}/${version}?${new URLSearchParams({ api: gateways[0] as string, assistant, reconnect })}`);

  test("shows a message at once and its answer word by word", async () => {
    await open();
    await send("hello");
    await rests("the answer", ({ texts }) => texts[1] === GREETING);
    expect((await screen()).texts).toEqual(["hello", GREETING]);
    const shown = ((await page.evaluate("window.shown")) as string[]).filter((text) => GREETING.startsWith(text));
    const lengths = shown.map((text) => text.length);
    expect(new Set(lengths).size, "different beginnings of the answer").toBeGreaterThan(2);
    expect(lengths, "it only grew").toEqual(lengths.toSorted((a, b) => a - b));
  });

  test("shows a question, also after a reload, and goes on with its answer", async () => {
    await open();
    await send("Please refund order 1042");
    await rests("the question", ({ question }) => question.includes('"approve_refund"'));
    await page.reload();
    await rests("the question again", ({ question }) => question.includes('"order_id":"1042"'));
    await click("Approve");
    const { question, alert } = await rests("the refund", ({ texts }) => texts.at(-1)?.includes("899") === true);
    expect([question, alert]).toEqual(["", ""]);
    expect(await statuses()).toEqual(["success", "success"]);
  });

  test.each([
    ["a cancel", "yes"],
    ["hanging up", "no"],
  ])("stops a run by %s, and the thread takes the next", async (_how, reconnect) => {
    await open({ assistant: "steps", reconnect });
    await send(slowSteps(400));
    await shows("two steps", ({ log }) => log.length >= 2);
    await click("Stop");
    await rests("nothing more", ({ alert }) => alert === "");
    await eventually(async () => (await statuses())[0] === "interrupted", { what: "the run to be cancelled" });
    await page.reload();
    const { log } = await rests("what was done", (now) => now.log.length > 0);
    await send(slowSteps(log.length + 1));
    await rests("one more step", (now) => now.log.length === log.length + 1);
    expect(await statuses()).toEqual(["success", "interrupted"]);
  });

  test("edits a message into a branch of its own and goes back and forth between the two", async () => {
    await open();
    await send("hello");
    await rests("the answer", ({ texts }) => texts[1] === GREETING);
    await send("thanks", "Edit");
    await rests("another answer", ({ texts }) => texts[1]?.startsWith("You're welcome!") === true);
    expect((await screen()).texts[0]).toBe("thanks");
    await click("Branch 1");
    await shows("the first branch", ({ texts }) => texts.join() === `hello,${GREETING}`);
    await click("Branch 2");
    await shows("the second branch", ({ texts }) => texts[0] === "thanks" && texts.length === 2);
    await page.reload();
    await rests("the newest branch", ({ texts }) => texts[0] === "thanks" && texts.length === 2);
  });

  test("has an answer given again, beside the first", async () => {
    await open({ assistant: "talk" });
    await send("hello");
    await rests("the answer", ({ texts }) => texts.join() === "hello,The quick fox,Goodbye");
    await page.getByRole("button", { name: "Again" }).first().click();
    await rests("two answers", ({ branches }) => branches.join() === "Branch 1,Branch 2");
    expect((await screen()).texts).toEqual(["hello", "The quick fox", "Goodbye"]);
  });

  test("a page that is reloaded in the middle of a run sees it to its end, on another gateway as well", async () => {
    await open({ assistant: "steps" });
    await send(slowSteps(50, 80));
    await shows("three steps", ({ log }) => log.length >= 3);
    await page.reload();
    const { log } = await shows("more steps", (now) => now.busy && now.log.length > 3);
    await page.goto(
      page.url().replace(encodeURIComponent(gateways[0] as string), encodeURIComponent(gateways[1] as string)),
    );
    await shows("steps on the way", (now) => now.busy && now.log.length > log.length);
    const end = await rests("the end", (now) => now.log.length === 50);
    expect(end.log).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(await statuses()).toEqual(["success"]);
  });

  test("a page that is reloaded in the middle of an answer shows all of it once", async () => {
    await open({ assistant: "held_talk" });
    await send("count");
    await shows("half an answer", ({ texts }) => texts[1] === "One, two, ");
    await page.reload();
    await shows("the half again", ({ busy, texts }) => busy && texts.join("|") === "count|One, two, ");
    writeFileSync(join(held, threadInAddress()), "");
    await rests("the whole", ({ texts }) => texts.join("|") === "count|One, two, three, four.");
    expect(await statuses()).toEqual(["success"]);
  });

  test("shows why a run failed, also after a reload", async () => {
    await open({ assistant: "echo" });
    await send(JSON.stringify({ fail: "the disk is full" }));
    expect((await rests("the reason", ({ alert }) => alert !== "")).alert).toContain("the disk is full");
    await page.reload();
    expect((await rests("the reason again", ({ alert }) => alert !== "")).alert).toContain("the disk is full");
  });

  test("says that there is no such assistant, and that a foreign page may not call", async () => {
    await open({ assistant: "nobody" });
    await send("hello");
    expect((await rests("the refusal", ({ alert }) => alert !== "")).alert).toContain("404");
    await open({ from: site.replace("127.0.0.1", "localhost") });
    await send("hello");
    expect((await rests("the browser's refusal", ({ alert }) => alert !== "")).alert).toContain("Failed to fetch");
  });
});
