import fc from "fast-check";
import { expect, test } from "vitest";
import { compactIban, findIban, ibanCheckDigits, isValidIban } from "./iban.ts";

const digits = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789".split("")), minLength: length, maxLength: length });
const germanIban = digits(18).map((account) => `DE${ibanCheckDigits("DE", account)}${account}`);

test("an IBAN with computed check digits is valid, however it is spaced", () => {
  fc.assert(
    fc.property(germanIban, (iban) => {
      expect(isValidIban(iban)).toBe(true);
      expect(isValidIban(iban.replace(/(.{4})/g, "$1 "))).toBe(true);
    }),
  );
});

test("changing any one digit makes an IBAN invalid", () => {
  fc.assert(
    fc.property(germanIban, fc.integer({ min: 2, max: 21 }), fc.integer({ min: 1, max: 9 }), (iban, at, change) => {
      const digit = (Number(iban[at]) + change) % 10;
      expect(isValidIban(`${iban.slice(0, at)}${digit}${iban.slice(at + 1)}`)).toBe(false);
    }),
  );
});

test("swapping two neighbouring different digits makes an IBAN invalid", () => {
  fc.assert(
    fc.property(germanIban, fc.integer({ min: 2, max: 20 }), (iban, at) => {
      fc.pre(iban[at] !== iban[at + 1]);
      expect(isValidIban(`${iban.slice(0, at)}${iban[at + 1]}${iban[at]}${iban.slice(at + 2)}`)).toBe(false);
    }),
  );
});

test("an IBAN is found in running text and ends where its country says", () => {
  fc.assert(
    fc.property(germanIban, (iban) => {
      expect(findIban(`Pay to ${iban.replace(/(.{4})/g, "$1 ")} BIC COBADEFFXXX, thanks`)).toBe(iban);
    }),
  );
});

test("IBANs of several countries are accepted and one of the wrong length is not", () => {
  for (const iban of ["GB29 NWBK 6016 1331 9268 19", "CH93 0076 2011 6238 5295 7", "NL91 ABNA 0417 1643 00"]) {
    expect(isValidIban(iban)).toBe(true);
    expect(isValidIban(`${compactIban(iban)}0`)).toBe(false);
  }
});

test("a labelled IBAN with wrong check digits is found, so that it can be reported", () => {
  expect(findIban("IBAN: DE88 3704 0044 0532 0130 00")).toBe("DE88370400440532013000");
  expect(findIban("no account here")).toBeUndefined();
});
