import fc from "fast-check";
import { expect, test } from "vitest";
import { dayOrderOf, findDates, parseDate } from "./dates.ts";

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const anyDay = fc
  .date({ min: new Date("1975-01-01T00:00:00Z"), max: new Date("2065-12-31T00:00:00Z"), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

const WRITINGS: ((y: string, m: string, d: string) => string)[] = [
  (y, m, d) => `${y}-${m}-${d}`,
  (y, m, d) => `${d}.${m}.${y}`,
  (y, m, d) => `${Number(d)}.${Number(m)}.${y}`,
  (y, m, d) => `${d}/${m}/${y}`,
  (y, m, d) => `${d}-${m}-${y}`,
  (y, m, d) => `${Number(d)} ${MONTHS[Number(m) - 1]} ${y}`,
  (y, m, d) => `${MONTHS[Number(m) - 1]} ${Number(d)}, ${y}`,
  (y, m, d) => `${Number(d)} ${MONTHS[Number(m) - 1]?.slice(0, 3)} ${y}`,
];

test("a date is read whichever of the usual ways it is written", () => {
  fc.assert(
    fc.property(anyDay, fc.constantFrom(...WRITINGS), (iso, write) => {
      const [y = "", m = "", d = ""] = iso.split("-");
      expect(parseDate(`Dated ${write(y, m, d)}, in the morning`)).toBe(iso);
    }),
  );
});

test("American dates are read month first when that is the order", () => {
  fc.assert(
    fc.property(anyDay, (iso) => {
      const [y, m, d] = iso.split("-");
      expect(parseDate(`${m}/${d}/${y}`, "month-first")).toBe(iso);
    }),
  );
});

test.each([
  ["12. März 2025", "2025-03-12"],
  ["5 février 2025", "2025-02-05"],
  ["1er août 2024", "2024-08-01"],
  ["4 de marzo de 2025", "2025-03-04"],
  ["3 luglio 2025", "2025-07-03"],
  ["this 12th day of March, 2025", "2025-03-12"],
  ["Sept. 3, 2024", "2024-09-03"],
  ["12-Mar-2025", "2025-03-12"],
  ["12.03.25", "2025-03-12"],
])("%s is %s", (text, iso) => {
  expect(parseDate(text)).toBe(iso);
});

test("days that do not exist, amounts and versions are no dates", () => {
  for (const text of ["31.02.2025", "2025-13-01", "1.234,56", "1.2.3.4", "12,50", "32 March 2025", "10 apples 2025"]) {
    expect(parseDate(text)).toBeUndefined();
  }
});

test("dates are found in the order in which they stand", () => {
  expect(findDates("from 1 March 2025 to 2025-04-30, signed 02.02.2025")).toEqual([
    "2025-03-01",
    "2025-04-30",
    "2025-02-02",
  ]);
});

test("the document decides how its slash dates are meant", () => {
  expect(dayOrderOf("25/03/2025 and 03/12/2025", "USD")).toEqual({ order: "day-first", isCertain: true });
  expect(dayOrderOf("03/25/2025", "EUR")).toEqual({ order: "month-first", isCertain: true });
  expect(dayOrderOf("03/12/2025", "USD")).toEqual({ order: "month-first", isCertain: true });
  expect(dayOrderOf("03/12/2025", undefined)).toEqual({ order: "day-first", isCertain: false });
});
