import { toCents } from "../parsing/amounts.ts";
import { isValidIban } from "../parsing/iban.ts";
import type { Fields } from "../state.ts";

/** Rounding differs by a cent for each rounded figure; two cover what bills really show. */
const TOLERANCE = 0.021;

/** Checks rows, sums, VAT and the account number against each other. Amounts are in the main unit of the currency. */
export function checkMoney(fields: Fields, type: "invoice" | "receipt"): string[] {
  return [
    ...checkIban(fields),
    ...checkRows(fields),
    ...checkItemsSum(fields),
    ...checkVat(fields),
    ...checkTotal(fields, type),
  ];
}

function checkIban({ iban }: Fields): string[] {
  if (typeof iban !== "string" || isValidIban(iban)) return [];
  return [`iban_invalid: ${iban} has wrong check digits or length`];
}

function checkRows(fields: Fields): string[] {
  return itemsOf(fields).flatMap(({ description, quantity, unitPrice, amount }) => {
    if (quantity === undefined || unitPrice === undefined) return [];
    const expected = toCents(quantity * unitPrice);
    // Unit prices may be rounded to cents before they are multiplied.
    const isRight = Math.abs(expected - amount) <= TOLERANCE + Math.abs(quantity) * 0.005;
    return isRight
      ? []
      : [`line_item_mismatch: ${description}: ${quantity} × ${unitPrice} is ${expected}, stated ${amount}`];
  });
}

/** Rows may add up to the net or to the gross sum, before or after a discount, with shipping as a row or apart. */
function checkItemsSum(fields: Fields): string[] {
  const items = itemsOf(fields);
  const stated = number(fields["subtotal"]) ?? number(fields["total"]);
  if (items.length === 0 || stated === undefined) return [];
  const sum = toCents(items.reduce((total, item) => total + item.amount, 0));
  const targets = [number(fields["subtotal"]), number(fields["total"])].filter((value) => value !== undefined);
  const extras = optionalSums(fields, ["discount", "shipping", "tip", "vat_amount"]);
  const fits = targets.some((target) => extras.some((extra) => Math.abs(sum + extra - target) <= TOLERANCE));
  return fits ? [] : [`line_items_sum_mismatch: the rows add up to ${sum}, stated ${stated}`];
}

function checkVat(fields: Fields): string[] {
  const [rate, vat, subtotal] = [number(fields["vat_rate"]), number(fields["vat_amount"]), number(fields["subtotal"])];
  if (rate === undefined || vat === undefined) return [];
  const total = number(fields["total"]);
  const bases = optionalSums(fields, ["discount", "shipping"]).map((extra) => (subtotal ?? Number.NaN) + extra);
  const included = total === undefined ? [] : [total - total / (1 + rate / 100)];
  const expected = [...bases.map((base) => (base * rate) / 100), ...included];
  const fits =
    expected.some((value) => Math.abs(value - vat) <= TOLERANCE) || (subtotal === undefined && total === undefined);
  return fits ? [] : [`vat_mismatch: ${rate} % of ${subtotal ?? total} is not ${vat}`];
}

function checkTotal(fields: Fields, type: "invoice" | "receipt"): string[] {
  const [subtotal, total, vat] = [
    number(fields["subtotal"]),
    number(fields["total"]),
    number(fields["vat_amount"]) ?? 0,
  ];
  if (subtotal === undefined || total === undefined) return [];
  const extras = optionalSums(fields, ["discount", "shipping", "tip"]);
  // Where prices include VAT the total repeats the sum of the rows.
  const isIncluded = fields["vat_included"] === true || type === "receipt";
  const fits = extras.some((extra) =>
    [vat, ...(isIncluded ? [0] : [])].some((tax) => Math.abs(subtotal + extra + tax - total) <= TOLERANCE),
  );
  return fits ? [] : [`total_mismatch: ${subtotal} and VAT ${vat} do not add up to ${total}`];
}

/** All sums of the named fields, each taken or left out; a discount is taken off. */
function optionalSums(fields: Fields, names: readonly string[]): number[] {
  return names.reduce<number[]>(
    (sums, name) => {
      const value = number(fields[name]);
      if (value === undefined) return sums;
      return [...sums, ...sums.map((sum) => sum + (name === "discount" ? -value : value))];
    },
    [0],
  );
}

function itemsOf(fields: Fields) {
  const items = Array.isArray(fields["line_items"]) ? fields["line_items"] : [];
  return items.flatMap((item) => {
    if (item === null || typeof item !== "object" || Array.isArray(item)) return [];
    const amount = number(item["amount"]);
    if (amount === undefined) return [];
    return [
      {
        description: typeof item["description"] === "string" ? item["description"] : "row",
        quantity: number(item["quantity"]),
        unitPrice: number(item["unit_price"]),
        amount,
      },
    ];
  });
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
