import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { pauseBeforeRestart, Supervisor, type Life } from "./supervisor.ts";

/** A process that a test ends when it likes. */
function setup() {
  const announced: string[] = [];
  const lives: { die(reason: string): void; signals: string[] }[] = [];
  const supervisor = new Supervisor<string>({
    name: "worker 1",
    announce: (line) => announced.push(line),
    begin(): Life<string> {
      const signals: string[] = [];
      const { promise: ended, die } = death();
      lives.push({ die, signals });
      return {
        ready: Promise.resolve("http://127.0.0.1:1"),
        ended,
        end: (signal) => {
          signals.push(signal);
          die(`ended by ${signal}`);
        },
      };
    },
  });
  return { supervisor, announced, lives };
}

function death(): { promise: Promise<string>; die(reason: string): void } {
  let die: (reason: string) => void = () => {};
  const promise = new Promise<string>((resolve) => (die = resolve));
  return { promise, die };
}

test("the pause before a restart doubles up to half a minute", () => {
  expect([1, 2, 3, 4, 9].map(pauseBeforeRestart)).toEqual([250, 500, 1000, 2000, 30_000]);
});

test("who dies is started again, and both are said in a line", async () => {
  const { supervisor, announced, lives } = setup();
  expect(await supervisor.start()).toBe("http://127.0.0.1:1");
  lives[0]?.die("exit code 1");
  while (lives.length < 2) await delay(10);
  await delay(10);
  expect(announced[0]).toBe("worker 1 died (exit code 1); starting it again in 0.3 s");
  expect(announced[1]).toMatch(/^worker 1 is back/);
  await supervisor.end("SIGTERM");
});

test("who is told to end is not started again", async () => {
  const { supervisor, announced, lives } = setup();
  await supervisor.start();
  await supervisor.end("SIGTERM");
  expect(lives.map(({ signals }) => signals)).toEqual([["SIGTERM"]]);
  expect(announced).toEqual([]);
});

test("an end during the pause before a restart is the end", async () => {
  const { supervisor, lives } = setup();
  await supervisor.start();
  lives[0]?.die("exit code 1");
  await delay(50);
  await supervisor.end("SIGTERM");
  await delay(300);
  expect(lives).toHaveLength(1);
});
