/** The objects of a file, and the keys that each may have; `*` in a path is any key. */
export type KnownKeys = readonly { path: readonly string[]; keys: readonly string[] }[];

/** A sentence for each key that nobody reads, with the key that was perhaps meant. */
export function unknownKeys(json: unknown, known: KnownKeys): string[] {
  return known.flatMap(({ path, keys }) =>
    objectsAt(json, path).flatMap(({ at, object }) =>
      Object.keys(object)
        .filter((key) => !keys.includes(key))
        .map((key) => describe([...at, key], meant(key, keys, known))),
    ),
  );
}

function describe(path: string[], suggestion: string | undefined): string {
  const name = path.map((part) => (part.length > 100 ? `${part.slice(0, 100)}…` : part)).join(".");
  const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return `"${name}" is not a key of langgraph.json and has no effect${hint}`;
}

function objectsAt(root: unknown, path: readonly string[]): { at: string[]; object: object }[] {
  let found: { at: string[]; value: unknown }[] = [{ at: [], value: root }];
  for (const step of path) {
    found = found.flatMap(({ at, value }) =>
      isObject(value)
        ? Object.entries(value)
            .filter(([key]) => step === "*" || key === step)
            .map(([key, inner]) => ({ at: [...at, key], value: inner as unknown }))
        : [],
    );
  }
  return found.flatMap(({ at, value }) => (isObject(value) ? [{ at, object: value }] : []));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A key of this object that is spelt nearly so, or one of the same spelling that belongs elsewhere. */
function meant(key: string, siblings: readonly string[], known: KnownKeys): string | undefined {
  const plain = (text: string): string => text.replace(/[A-Z]/g, (c) => `_${c}`).replaceAll("-", "_").toLowerCase(); // prettier-ignore
  const elsewhere = known.find(({ keys, path }) => !path.includes("*") && keys.includes(plain(key)));
  if (key.length > 60) return undefined;
  const [nearest] = siblings
    .map((sibling) => ({ sibling, distance: distanceOf(plain(key), sibling) }))
    .toSorted((a, b) => a.distance - b.distance);
  if (nearest !== undefined && nearest.distance <= Math.min(3, Math.floor(key.length / 3))) return nearest.sibling;
  return elsewhere === undefined ? undefined : [...elsewhere.path, plain(key)].join(".");
}

/** How many characters have to be put in, taken out or changed. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
