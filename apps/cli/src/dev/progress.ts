import { fitLine, formatDuration, style } from "../terminal.ts";

/** Says what a step is busy with, when that takes long. */
export type Report = (what: string) => void;

interface Step {
  readonly name: string;
  readonly startedAt: number;
  detail: string;
  outcome?: string;
}

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const REDRAW_MS = 80;
const REMINDER_MS = 10_000;
const NAME_WIDTH = 10;

/**
 * Shows steps that run side by side, each with its time: on a terminal as lines that are drawn again in place, else as
 * plain lines, one when a step is done and one now and then when it takes long.
 */
export class Progress {
  readonly #steps: Step[] = [];
  readonly #isTerminal: boolean;
  #timer: NodeJS.Timeout | undefined;
  #drawnLines = 0;
  #frame = 0;

  constructor(isTerminal = process.stdout.isTTY) {
    this.#isTerminal = isTerminal;
  }

  /** Runs a step; `describe` gives the text beside its tick. A failure passes through after a cross is shown. */
  async step<T>(name: string, work: (report: Report) => Promise<T>, describe: (result: T) => string): Promise<T> {
    const step: Step = { name, startedAt: performance.now(), detail: "" };
    this.#steps.push(step);
    this.#keepDrawing();
    const reminder = setInterval(() => this.#plain(`… ${name}  ${step.detail} (${elapsed(step)})`), REMINDER_MS);
    try {
      const result = await work((what) => {
        step.detail = what;
        this.#plain(`… ${name}  ${what}`);
      });
      this.#finish(step, `${style("green", "✔")} ${name.padEnd(NAME_WIDTH)} ${describe(result)}`);
      return result;
    } catch (error) {
      this.#finish(step, `${style("red", "✘")} ${name.padEnd(NAME_WIDTH)} ${step.detail}`);
      throw error;
    } finally {
      clearInterval(reminder);
    }
  }

  /** Prints a line above the steps that are still going on. */
  print(line: string): void {
    this.#erase();
    process.stdout.write(`${line}\n`);
    this.#draw();
  }

  #finish(step: Step, text: string): void {
    step.outcome = `${text} ${style("dim", `(${elapsed(step)})`)}`;
    this.#plain(step.outcome);
    this.#erase();
    // What is done at the top stays for good; the rest is drawn again.
    while (this.#isTerminal && this.#steps[0]?.outcome !== undefined) {
      process.stdout.write(`${this.#steps.shift()?.outcome}\n`);
    }
    this.#draw();
    if (this.#steps.every(({ outcome }) => outcome !== undefined)) this.#stopDrawing();
  }

  #plain(line: string): void {
    if (!this.#isTerminal) process.stdout.write(`${line}\n`);
  }

  #keepDrawing(): void {
    if (!this.#isTerminal) return;
    this.#timer ??= setInterval(() => {
      this.#frame += 1;
      this.#erase();
      this.#draw();
    }, REDRAW_MS);
    this.#erase();
    this.#draw();
  }

  #stopDrawing(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#steps.length = 0;
    this.#drawnLines = 0;
  }

  #erase(): void {
    if (this.#drawnLines > 0) process.stdout.write(`\x1b[${this.#drawnLines}A\x1b[0J`);
    this.#drawnLines = 0;
  }

  #draw(): void {
    if (!this.#isTerminal) return;
    for (const step of this.#steps) {
      const frame = FRAMES[this.#frame % FRAMES.length];
      const going = fitLine(`${frame} ${step.name.padEnd(NAME_WIDTH)} ${step.detail} (${elapsed(step)})`);
      process.stdout.write(`${step.outcome ?? style("cyan", going)}\n`);
    }
    this.#drawnLines = this.#steps.length;
  }
}

function elapsed(step: Step): string {
  return formatDuration(performance.now() - step.startedAt);
}
