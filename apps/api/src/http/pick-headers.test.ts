import { expect, test } from "vitest";
import { HeaderPicker, matchesPattern, SERVER_KEYS } from "./pick-headers.ts";

test.each([
  ["x-team", "x-team", true],
  ["x-team", "x-teams", false],
  ["x-*", "x-", true],
  ["x-*", "ax-", false],
  ["*-id", "x-user-id", true],
  ["*-trace-*", "my-trace-id", true],
  ["*-trace-*", "-trace-", true],
  ["*-trace-*", "trace", false],
  ["a*a", "a", false],
  ["a*b*b", "ab", false],
  ["a*b*b", "axbxb", true],
  ["*", "anything", true],
  ["x.y", "xay", false],
])("pattern %s on %s: %j", (pattern, name, expected) => {
  expect(matchesPattern(pattern, name)).toBe(expected);
});

test("many stars on a long name take no time to speak of", () => {
  expect(matchesPattern(`${"*a".repeat(120)}b`, "a".repeat(16_000))).toBe(false);
});

test("nothing is picked that is not included; what is excluded is not", () => {
  const headers = { "x-a": "1", "x-b": "2", other: "3" };
  expect(new HeaderPicker({}).of(headers)).toEqual({});
  expect(new HeaderPicker({ excludes: ["x-a"] }).of(headers)).toEqual({});
  expect(new HeaderPicker({ includes: ["x-*"], excludes: ["*-b"] }).of(headers)).toEqual({ "x-a": "1" });
});

test("credentials are never picked, what looks like a secret only under its full name, the server's keys not for graphs", () => {
  const headers = {
    authorization: "s",
    cookie: "s",
    "x-api-key": "s",
    "x-tenant-id": "s",
    "x-service-key": "s",
    "proxy-authorization": "s",
    "x-github-token": "s",
    user_id: "u",
    langgraph_auth_user: "u",
    __proto: "u",
    "x-fine": "f",
  };
  const all = ["*", ...Object.keys(headers).slice(0, 6)];
  expect(new HeaderPicker({ includes: all }, SERVER_KEYS).of(headers)).toEqual({ "x-fine": "f" });
  expect(new HeaderPicker({ includes: ["x-github-token"] }).of(headers)).toEqual({ "x-github-token": "s" });
});
