/** The options that choose a start: whose graphs, and where its data is. `npm start`, the demo and the keys share them. */
export interface Choice {
  readonly config?: string | undefined;
  readonly state?: string | undefined;
}

export interface StartChoice extends Choice {
  readonly port?: number | undefined;
  readonly workers?: number | undefined;
}

export const DEFAULT_PORT = 2024;
export const DEFAULT_WORKERS = 2;

/** The `npm start` of these options, to be copied as it is. */
export function npmStart({ port, workers, ...choice }: StartChoice): string {
  const options = [
    ...(port === undefined || port === DEFAULT_PORT ? [] : ["--port", `${port}`]),
    ...(workers === undefined || workers === DEFAULT_WORKERS ? [] : ["--workers", `${workers}`]),
    ...choiceOptions(choice),
  ];
  return npm("start", options);
}

/** An `npm run` that means the start of these options, to be copied as it is. */
export function npmRun(script: "demo" | "keys", choice: Choice, ...args: readonly string[]): string {
  return npm(`run ${script}`, [...choiceOptions(choice), ...args]);
}

function npm(script: string, args: readonly string[]): string {
  return args.length === 0 ? `npm ${script}` : `npm ${script} -- ${args.map(shellWord).join(" ")}`;
}

function choiceOptions({ config, state }: Choice): string[] {
  return [...(config === undefined ? [] : ["--config", config]), ...(state === undefined ? [] : ["--state", state])];
}

/** A word as a shell takes it, quoted where it has to be. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
