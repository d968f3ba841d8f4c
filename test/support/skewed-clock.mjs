// Preloaded (`node --import`): the clock of this process is ahead by the milliseconds in the file CLOCK_SKEW_FILE, as an
// operator's or NTP's `date -s` would put it. Timers and the monotonic clock go on as they did, as they do on such a machine.
import { readFileSync } from "node:fs";

const RealDate = Date;
const file = process.env["CLOCK_SKEW_FILE"] ?? "";
const read = () => Number(readFileSync(file, "utf8")) || 0;
let skewMs = read();
setInterval(() => (skewMs = read()), 20).unref();
const now = () => RealDate.now() + skewMs;

globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, key, receiver) => (key === "now" ? now : Reflect.get(target, key, receiver)),
});
