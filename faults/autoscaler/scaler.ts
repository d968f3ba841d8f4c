/** What autoscaling is told, every time it looks. NaN: the metric is not there. */
export interface Observed {
  /** Runnable plus running runs, over the whole fleet. */
  readonly demand: number;
  readonly replicas: number;
}

export interface ScalerOptions {
  /** Runs that a worker executes at once. */
  readonly slots: number;
  /** Share of the slots that may be busy before there are more. */
  readonly utilisation: number;
  readonly least: number;
  readonly most: number;
  /** Seconds between two looks. */
  readonly everySeconds: number;
  /** The largest demand of so many seconds counts when there are to be fewer. */
  readonly downWindowSeconds: number;
}

export const DEFAULTS: ScalerOptions = {
  slots: 10,
  utilisation: 0.75,
  least: 1,
  most: 50,
  everySeconds: 15,
  downWindowSeconds: 600,
};

/**
 * The formula of Kubernetes' HorizontalPodAutoscaler over our demand, with the behaviour that docs and manifests recommend: up at once, by
 * at most twice as many in a period; down by at most a tenth a minute, and only to what the last minutes have needed. Without the
 * metric nothing changes.
 */
export class Scaler {
  readonly #options: ScalerOptions;
  readonly #recommended: { at: number; replicas: number }[] = [];
  #downAt = -Infinity;

  constructor(options: ScalerOptions) {
    this.#options = options;
  }

  /** @param at seconds @returns how many replicas there are to be */
  decide(at: number, { demand, replicas }: Observed): number {
    if (Number.isNaN(demand)) return replicas;
    const { slots, utilisation, least, most, downWindowSeconds } = this.#options;
    const wanted = Math.ceil(demand / (slots * utilisation));
    this.#recommended.push({ at, replicas: wanted });
    while ((this.#recommended[0]?.at ?? at) <= at - downWindowSeconds) this.#recommended.shift();
    const stable = Math.max(...this.#recommended.map((one) => one.replicas));
    const target =
      wanted > replicas
        ? Math.min(wanted, replicas * 2 + 4)
        : stable < replicas
          ? this.#down(at, replicas, stable)
          : replicas;
    return Math.min(Math.max(target, least), most);
  }

  #down(at: number, replicas: number, stable: number): number {
    if (at - this.#downAt < 60) return replicas;
    this.#downAt = at;
    return Math.max(stable, replicas - Math.max(1, Math.floor(replicas / 10)));
  }
}
