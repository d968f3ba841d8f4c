import { connect, type Socket } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";

const TIMEOUT_SECS = 1;
/** How long a test is ready to wait for the end of a connection that ought to end by itself. */
const PATIENCE_MS = 15_000;

let client: TestClient;

beforeAll(async () => {
  const database = await createTestDatabase();
  const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
  const [gateway] = await Promise.all([
    stack.startGateway({ REQUEST_TIMEOUT_SECS: String(TIMEOUT_SECS) }),
    stack.startWorker(),
  ]);
  client = new TestClient(gateway.url);
});

/** Connects, sends `text` at once and `dripped` byte by byte. Resolves with what the gateway said before it hung up. */
function talk(text: string, dripped = ""): Promise<string> {
  const { hostname, port } = new URL(client.url);
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(Number(port), hostname, () => socket.write(text));
    let heard = "";
    let sent = 0;
    const drip = setInterval(() => socket.write(dripped[sent++ % dripped.length] ?? ""), 100);
    if (dripped === "") clearInterval(drip);
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection was still open after ${PATIENCE_MS} ms; heard: ${heard}`));
    }, PATIENCE_MS);
    socket.setEncoding("utf8").on("data", (part: string) => (heard += part));
    socket.on("error", () => {}); // a reset is an end as well
    socket.on("close", () => {
      clearInterval(drip);
      clearTimeout(late);
      resolve(heard);
    });
  });
}

const head = (more: string): string =>
  `POST /graphs/steps/invoke HTTP/1.1\r\nhost: ${new URL(client.url).host}\r\n${more}`;

describe("a client that is slow to send its request does not hold a connection:", () => {
  test.each([
    ["one that sends nothing", () => talk("")],
    ["one whose headers do not end", () => talk(head("x-slow: "), "a")],
    ["one whose body does not come", () => talk(head("content-length: 1000\r\n\r\n"))],
    ["one whose body drips", () => talk(head("content-length: 1000\r\n\r\n"), " ")],
    ["one whose chunked body drips", () => talk(head("transfer-encoding: chunked\r\n\r\n"), "1\r\n \r\n")],
  ])("%s is answered 408 and cut off", async (_name, slow) => {
    const before = performance.now();
    expect(await slow()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n/);
    expect(performance.now() - before).toBeGreaterThan(TIMEOUT_SECS * 900);
  });

  test("an answer that takes longer, a wait or a stream, is not cut off", async () => {
    const run = { input: { inputs: ["in"], steps: 1, delay_ms: 3_500 } };
    const [waited, events] = await Promise.all([
      client.post("/graphs/steps/invoke?wait=30", run),
      client.events("POST", "/graphs/steps/stream", run),
    ]);
    expect(waited).toMatchObject({ status: 200, body: { status: "success" } });
    expect(events.at(-1)?.event).toBe("end");
  });
});
