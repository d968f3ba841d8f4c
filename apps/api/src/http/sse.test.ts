import type { Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import express from "express";
import { afterEach, expect, test } from "vitest";
import { SseStream } from "./sse.ts";

const STALL_MS = 300;
const event = (megabytes: number) => ({
  id: { attempt: 1, n: 1n },
  event: "values",
  data: JSON.stringify("x".repeat(megabytes * 1_000_000)),
});

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanUp.splice(0)) clean();
});

/** A stream of one large event to a client that has connected and not begun to read. */
async function stream(megabytes: number) {
  const app = express();
  let stalls = 0;
  const outcome = new Promise<boolean>((resolve) => {
    app.get("/", async (_request, response) => {
      const sse = new SseStream(response, {}, { stallMs: STALL_MS, onStalled: () => stalls++ });
      const taken = await sse.write([event(megabytes)]);
      sse.end();
      resolve(taken);
    });
  });
  const server = await new Promise<Server>((resolve) => {
    const listening: Server = app.listen(0, "127.0.0.1", () => resolve(listening));
  });
  const socket: Socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {}).pause();
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  cleanUp.push(() => {
    socket.destroy();
    server.close();
    server.closeAllConnections();
  });
  return { socket, outcome, stalls: () => stalls };
}

test("a client that takes nothing is closed", async () => {
  const { socket, outcome, stalls } = await stream(20);
  expect(await outcome).toBe(false);
  expect(stalls()).toBe(1);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await closed;
});

test("a client that takes one event slowly is not closed, however long it takes", async () => {
  const { socket, outcome, stalls } = await stream(30);
  const begun = performance.now();
  let taken = 0;
  socket.on("data", (part: Buffer) => {
    taken += part.length;
    if (performance.now() - begun > 5 * STALL_MS) return;
    socket.pause();
    setTimeout(() => socket.resume(), 10);
  });
  socket.resume();
  expect(await outcome).toBe(true);
  expect(stalls()).toBe(0);
  expect(taken).toBeGreaterThan(10_000_000);
  expect(performance.now() - begun).toBeGreaterThan(4 * STALL_MS);
});
