import { expect, test } from "vitest";
import { parseLinearPattern } from "./linear-pattern.ts";

test.each([
  ["https://([a-z0-9-]+\\.)*example\\.com", "https://a.b-c.example.com", true],
  ["https://([a-z0-9-]+\\.)*example\\.com", "https://example.com.attacker.net", false],
  ["^https://.*\\.example\\.com$", "https://x.example.com", true],
  ["https://.*\\.example\\.com", "https://x.example.com.attacker.net", false],
  ["https://x\\.example\\.com", "https://x.example.com\n", false],
  ["https?://(localhost|127\\.0\\.0\\.1)(:\\d+)?", "http://localhost:3000", true],
  ["https?://(localhost|127\\.0\\.0\\.1)(:\\d+)?", "http://localhost:", false],
])("%s as a whole on %j: %j", (source, text, expected) => {
  expect(parseLinearPattern(source).matches(text)).toBe(expected);
});

test.each(["(a+)+", "(a|a)*", "(.*)*b", "a*a*a*a*a*a*a*a*", "(a*)*b", "(a{1,30}){1,30}"])(
  "%s takes no time to speak of, on a text made for it",
  (source) => {
    const pattern = parseLinearPattern(source);
    const started = process.cpuUsage();
    expect(pattern.matches(`${"a".repeat(300)}!`)).toBe(false);
    // JavaScript's own matcher takes longer than anybody waits for most of these.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(5);
  },
);

test.each([
  "a(?=b)",
  "a(?!b)",
  "(?<=a)b",
  "(a)\\1",
  "a**",
  "*a",
  "(a",
  "a)",
  "[a",
  "[z-a]",
  "a\\",
  "(a{999}){999}",
  "a".repeat(1_001),
])("%s is refused", (source) => {
  expect(() => parseLinearPattern(source)).toThrow();
});
