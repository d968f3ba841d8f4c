import { expect, test } from "vitest";
import { Lifecycle } from "./lifecycle.ts";

test("stops last first, goes on after a failure, and says what failed", async () => {
  const stopped: string[] = [];
  const lifecycle = new Lifecycle();
  lifecycle.onStop(() => void stopped.push("first"));
  lifecycle.onStop(() => {
    throw new Error("stuck");
  });
  lifecycle.add({ stop: async () => void stopped.push("last") });
  await expect(lifecycle.stop()).rejects.toThrow(AggregateError);
  expect(stopped).toEqual(["last", "first"]);
});

test("stopping twice is one stop", async () => {
  let stops = 0;
  const lifecycle = new Lifecycle();
  lifecycle.onStop(() => void stops++);
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  expect(stops).toBe(1);
});
