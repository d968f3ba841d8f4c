import { expect, test } from "vitest";
import { isConnectionFailure, isPoolExhausted, isRetryable } from "./pg-error.ts";

const error = (code: string | undefined, message = "x") =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

test.each([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ETIMEDOUT",
  "08006",
  "57P01",
  "57P05",
  "25006",
  "55P03",
  "57014",
  "53100",
  "53300",
])("%s may pass", (code) => {
  expect(isConnectionFailure(error(code))).toBe(true);
});

test.each(["22P02", "22P05", "23505", "23514", "42601", "42P01", "54000", "0A000", "P0001"])(
  "%s is the statement's own fault",
  (code) => {
    expect(isConnectionFailure(error(code))).toBe(false);
  },
);

test("what the driver says without a code is known by its words; anything else is a bug", () => {
  expect(isConnectionFailure(error(undefined, "Connection terminated unexpectedly"))).toBe(true);
  expect(isConnectionFailure(error(undefined, "Client has encountered a connection error and is not queryable"))).toBe(
    true,
  );
  expect(isConnectionFailure(new TypeError("undefined is not a function"))).toBe(false);
  expect(isConnectionFailure("x")).toBe(false);
});

test("deadlocks and serialisation failures are repeated", () => {
  expect(isRetryable(error("40P01"))).toBe(true);
  expect(isRetryable(error("40001"))).toBe(true);
  expect(isRetryable(error("23505"))).toBe(false);
});

test("a pool without a free connection, and a Postgres without room for one, are told from a Postgres that is away", () => {
  expect(isPoolExhausted(error(undefined, "timeout exceeded when trying to connect"))).toBe(true);
  expect(isPoolExhausted(error("53300"))).toBe(true);
  for (const other of [error("ECONNREFUSED"), error("57P03"), error(undefined, "Connection terminated unexpectedly")])
    expect(isPoolExhausted(other)).toBe(false);
});
