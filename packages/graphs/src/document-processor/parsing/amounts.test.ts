import fc from "fast-check";
import { expect, test } from "vitest";
import { decimalMarkOf, findAmounts, parseAmount } from "./amounts.ts";

const STYLES = [
  { thousands: ",", fraction: "." },
  { thousands: ".", fraction: "," },
  { thousands: "'", fraction: "." },
  { thousands: " ", fraction: "," },
  { thousands: "\u00a0", fraction: "," },
  { thousands: "", fraction: "." },
  { thousands: "", fraction: "," },
] as const;

function format(cents: number, { thousands, fraction }: (typeof STYLES)[number]): string {
  const [whole = "", rest = ""] = (Math.abs(cents) / 100).toFixed(2).split(".");
  return `${cents < 0 ? "-" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, thousands)}${fraction}${rest}`;
}

test("an amount with two decimals means the same in every notation, with or without a currency", () => {
  const cents = fc.integer({ min: -999_999_999, max: 999_999_999 });
  fc.assert(
    fc.property(
      cents,
      fc.constantFrom(...STYLES),
      fc.constantFrom("", "€ ", "EUR ", "$", "CHF "),
      (value, style, sign) => {
        expect(parseAmount(sign + format(value, style))).toBe(value / 100 + 0);
      },
    ),
  );
});

test.each([
  ["1.234", 1234],
  ["1,234", 1234],
  ["12,5", 12.5],
  ["0,500", 0.5],
  ["1.234.567", 1234567],
  ["(12.00)", -12],
  ["12.00-", -12],
  ["CHF 50.–", 50],
  ["50,-", 50],
  ["£1,250", 1250],
])("%s is %d", (text, value) => {
  expect(parseAmount(text)).toBe(value);
});

test("what 1.234 means follows the document's own notation", () => {
  expect(parseAmount("1.234", "point")).toBe(1.234);
  expect(parseAmount("1.234", "comma")).toBe(1234);
  expect(decimalMarkOf("Total 1.234,56 and 12,00")).toBe("comma");
  expect(decimalMarkOf("Total 1,234.56 on 12.03.2025")).toBe("point");
});

test("words are no amounts, and neither are two numbers one", () => {
  expect(parseAmount("none")).toBeUndefined();
  expect(parseAmount("12 to 14 days")).toBeUndefined();
});

test("dates and percentages of a line are not taken for amounts", () => {
  expect(findAmounts("12.03.2025 VAT 19 % EUR 1.062,29")).toEqual([1062.29]);
  expect(findAmounts("2 100.00 200.00")).toEqual([2, 100, 200]);
  expect(findAmounts("Total 1 234,56", "comma", true)).toEqual([1234.56]);
});
