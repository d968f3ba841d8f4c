import { expect, test } from "vitest";
import { parseLinearPattern } from "./linear-pattern.ts";

/** A generator of numbers that is the same in every run. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomPattern(random: (below: number) => number, depth: number): string {
  const atoms = ["a", "b", "c", ".", "\\.", "[ab]", "[^a]", "[a-c-]", "\\w", "\\D", "[\\w.]"];
  const atom = () =>
    depth > 0 && random(3) === 0
      ? `(${random(2) === 0 ? "?:" : ""}${randomPattern(random, depth - 1)})`
      : (atoms[random(atoms.length)] as string);
  const quantifiers = ["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "{0}"];
  const sequence = () => Array.from({ length: random(4) }, () => atom() + quantifiers[random(quantifiers.length)]);
  return Array.from({ length: 1 + random(2) }, () => sequence().join("")).join("|");
}

test("a pattern matches what JavaScript's own matches as a whole", () => {
  const random = randomOf(7);
  const matched = { yes: 0, no: 0 };
  for (let i = 0; i < 4_000; i++) {
    const source = randomPattern(random, 2);
    const text = Array.from({ length: random(7) }, () => "abc.-"[random(5)]).join("");
    const expected = new RegExp(`^(?:${source})$`).test(text);
    expect([source, text, parseLinearPattern(source).matches(text)]).toEqual([source, text, expected]);
    matched[expected ? "yes" : "no"]++;
  }
  expect(Math.min(matched.yes, matched.no)).toBeGreaterThan(500);
});

test.each([
  ["https://([a-z0-9-]+\\.)*example\\.com", "https://a.b-c.example.com", true],
  ["https://([a-z0-9-]+\\.)*example\\.com", "https://example.com.attacker.net", false],
  ["^https://.*\\.example\\.com$", "https://x.example.com", true],
  ["https://.*\\.example\\.com", "https://x.example.com.attacker.net", false],
  ["https?://(localhost|127\\.0\\.0\\.1)(:\\d+)?", "http://localhost:3000", true],
  ["https?://(localhost|127\\.0\\.0\\.1)(:\\d+)?", "http://localhost:", false],
])("%s on %s: %j", (source, text, expected) => {
  expect(parseLinearPattern(source).matches(text)).toBe(expected);
});

test.each(["(a+)+", "(a|a)*", "(.*)*b", "a*a*a*a*a*a*a*a*", "(a*)*b", "(a{1,30}){1,30}"])(
  "%s takes no time to speak of, on a text made for it",
  (source) => {
    const pattern = parseLinearPattern(source);
    const started = process.cpuUsage();
    for (let i = 0; i < 10; i++) expect(pattern.matches(`${"a".repeat(300)}!`)).toBe(false);
    // JavaScript's own matcher takes longer than anybody waits for most of these.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(5);
  },
);

test.each([
  ["a(?=b)", /looks ahead/],
  ["(?<name>a)", /names a group/],
  ["(a)\\1", /\\1/],
  ["\\bfoo", /\\b/],
  ["a**", /quantifier/],
  ["*a", /nothing before/],
  ["(a", /without its \)/],
  ["a)", /without its \(/],
  ["[a", /ends too early/],
  ["[]", /no characters/],
  ["[z-a]", /not a class/],
  ["a\\", /ends too early/],
  ["a^b", /not taken/],
  ["^a|b", /alternative/],
  ["(a{999}){999}", /too large/],
  ["a".repeat(1_001), /longer/],
])("%s is refused", (source, message) => {
  expect(() => parseLinearPattern(source)).toThrow(message);
});
