import { RunControl } from "@langchain/langgraph";
import { ShuttingDown } from "@flotilla/shared/errors";
import type { Lease } from "./lease.ts";

/**
 * The runs in progress, as far as going away concerns them: first each is asked to stop at its next super-step, with its
 * checkpoint saved; near the end of the grace period what still runs is aborted, and its step repeated elsewhere.
 */
export class Drain {
  readonly #controls = new Set<RunControl>();
  readonly #leases = new Set<Lease>();
  #requested = false;

  get requested(): boolean {
    return this.#requested;
  }

  open(): { control: RunControl } & Disposable {
    const control = new RunControl();
    if (this.#requested) control.requestDrain("shutdown");
    this.#controls.add(control);
    return { control, [Symbol.dispose]: () => this.#controls.delete(control) };
  }

  watch(lease: Lease): Disposable {
    this.#leases.add(lease);
    return { [Symbol.dispose]: () => this.#leases.delete(lease) };
  }

  request(): void {
    this.#requested = true;
    for (const control of this.#controls) control.requestDrain("shutdown");
  }

  abort(): void {
    for (const lease of this.#leases) lease.abort(new ShuttingDown("The worker is shutting down"));
  }
}
