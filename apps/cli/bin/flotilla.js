#!/usr/bin/env node
// @ts-check
// Runs on a fresh clone: installs and compiles what is missing, then hands over to the compiled program.
import { prepareCheckout, PreparationFailed } from "./prepare-checkout.js";

try {
  await prepareCheckout();
} catch (error) {
  if (!(error instanceof PreparationFailed)) throw error;
  console.error(error.message);
  process.exit(1);
}
await import("../dist/main.js");
