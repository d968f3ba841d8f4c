import { expect, test } from "vitest";
import { PostgresContact } from "./rescue-runs.ts";

const LEASE_MS = 6_000;

function setup() {
  const clock = { ms: 1_000_000 };
  const contact = new PostgresContact(LEASE_MS, () => clock.ms);
  return { contact, pass: (ms: number) => (clock.ms += ms) };
}

test("losses count as long as Postgres answers without a pause", () => {
  const { contact, pass } = setup();
  for (let i = 0; i < 20; i++) {
    pass(1_900);
    contact.made();
    expect(contact.isSteady).toBe(true);
  }
});

test("after a pause they do not count for as long as a lease lasts, then again", () => {
  const { contact, pass } = setup();
  pass(2_100);
  contact.made();
  expect(contact.isSteady).toBe(false);
  for (let ms = 0; ms < LEASE_MS; ms += 1_000) {
    expect(contact.isSteady).toBe(false);
    pass(1_000);
    contact.made();
  }
  expect(contact.isSteady).toBe(true);
});
