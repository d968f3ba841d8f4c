/** A run that this worker holds, and the attempt under which it does. */
export interface HeldRun {
  runId: string;
  attempt: number;
}

/**
 * The runs that a worker holds, in memory that its threads share: the main thread writes, the lease thread reads when it is time
 * to renew. A message for each run would wake the lease thread twice a run, to no end for a run that lasts for milliseconds
 * (4 % of a worker's processor time); and a message sent by a main thread that then computes for 20 s may arrive too late.
 *
 *   slot: state (0: free, else the number of this use) | attempt | run id, 16 bytes
 *
 * The state is written last and cleared first. A reader that finds the same state before and after it read the rest has read
 * one run; otherwise it looks again.
 */
export class HeldRuns {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  readonly #free: number[];
  #uses = 0;

  static bytesFor(capacity: number): number {
    return capacity * SLOT_BYTES;
  }

  constructor(shared: SharedArrayBuffer, offset: number, capacity: number) {
    this.#words = new Int32Array(shared, offset, (capacity * SLOT_BYTES) / 4);
    this.#bytes = new Uint8Array(shared, offset, capacity * SLOT_BYTES);
    this.#capacity = capacity;
    this.#free = Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
  }

  /**
   * Main thread only.
   * @returns the slot, for `remove`.
   * @throws Error when all slots are taken.
   */
  add({ runId, attempt }: HeldRun): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new Error(`a worker holds ${this.#capacity} runs at most`);
    this.#bytes.set(Buffer.from(runId.replaceAll("-", ""), "hex"), slot * SLOT_BYTES + ID_AT);
    this.#words[slot * SLOT_WORDS + 1] = attempt;
    this.#uses = this.#uses === MOST_USES ? 1 : this.#uses + 1;
    Atomics.store(this.#words, slot * SLOT_WORDS, this.#uses);
    return slot;
  }

  /** Main thread only. */
  remove(slot: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS, 0);
    this.#free.push(slot);
  }

  /** What is held now, from any thread. */
  list(): HeldRun[] {
    const held: HeldRun[] = [];
    for (let slot = 0; slot < this.#capacity; slot++) {
      const run = this.#read(slot);
      if (run !== undefined) held.push(run);
    }
    return held;
  }

  #read(slot: number): HeldRun | undefined {
    for (;;) {
      const state = Atomics.load(this.#words, slot * SLOT_WORDS);
      if (state === 0) return undefined;
      const attempt = this.#words[slot * SLOT_WORDS + 1] as number;
      const from = slot * SLOT_BYTES + ID_AT;
      const hex = Buffer.from(this.#bytes.slice(from, from + 16)).toString("hex");
      if (Atomics.load(this.#words, slot * SLOT_WORDS) === state) return { runId: toUuid(hex), attempt };
    }
  }
}

const SLOT_BYTES = 24;
const SLOT_WORDS = SLOT_BYTES / 4;
/** Where the run id is in a slot. */
const ID_AT = 8;
const MOST_USES = 2 ** 31 - 1;

function toUuid(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
