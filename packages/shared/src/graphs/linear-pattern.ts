/**
 * Regular expressions for text from outside: a subset that is matched in time proportional to pattern times text, whatever
 * the two are. JavaScript's own matcher tries alternatives one after the other and can be kept busy for hours by a text made for
 * it; a limit on the length of the text does not help against `(a+)+$`, and a check of the pattern refuses good ones
 * (`([a-z]+\.)+`) and lets bad ones through. Here all alternatives are followed at once, as in RE2.
 *
 * What there is: characters, `.`, classes, `\d \w \s` and their opposites, groups, `|`, `* + ? {n} {n,} {n,m}`; `^` and `$` at
 * the very ends, where they say nothing: the text has to match as a whole.
 */
export interface LinearPattern {
  readonly source: string;
  /** Whether the pattern matches the whole text. */
  matches(text: string): boolean;
}

/** After the repetitions are written out. */
const MAX_STATES = 1_000;

type Test = (char: string) => boolean;
type Node =
  | { kind: "char"; test: Test }
  | { kind: "all"; parts: Node[] }
  | { kind: "any"; choices: Node[] }
  | { kind: "repeat"; inner: Node; min: number; max: number };

/** A state waits for a character, or leads on without one. */
interface State {
  test: Test | undefined;
  next: State[];
}

/** @throws Error that says what the pattern has that is not taken. */
export function parseLinearPattern(source: string): LinearPattern {
  const root = new Parser(source).parse();
  if (sizeOf(root) > MAX_STATES) throw new Error("the pattern is too large");
  const end: State = { test: undefined, next: [] };
  const start = statesOf(root, end);
  return { source, matches: (text) => run(start, end, text) };
}

class Parser {
  readonly #chars: string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    if (source.length > 1_000) throw new Error("the pattern is longer than 1000 characters");
    const inner = source.replace(/^\^/, "").replace(/(?<!\\)((?:\\\\)*)\$$/, "$1");
    if (inner !== source && this.#hasTopLevelChoice(inner))
      throw new Error("^ and $ belong to one alternative only; put the alternatives in a group: ^(a|b)$");
    this.#chars = Array.from(inner);
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#at < this.#chars.length) throw this.#error("has a ) without its (");
    return node;
  }

  #choice(): Node {
    if (++this.#depth > 50) throw this.#error("has groups nested too deep");
    const choices = [this.#sequence()];
    while (this.#take("|")) choices.push(this.#sequence());
    this.#depth--;
    return choices.length === 1 ? (choices[0] as Node) : { kind: "any", choices };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#chars.length && this.#char !== "|" && this.#char !== ")")
      parts.push(this.#repeated(this.#atom()));
    return { kind: "all", parts };
  }

  #repeated(inner: Node): Node {
    const [min, max] = this.#quantifier() ?? [1, 1];
    if (min === 1 && max === 1) return inner;
    this.#take("?"); // lazy: which of the ways matches makes no difference here
    if (/^(?:[*+?]|\{\d)/.test(this.#ahead(2))) throw this.#error("has a quantifier after a quantifier");
    return { kind: "repeat", inner, min, max };
  }

  #quantifier(): [number, number] | undefined {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    const braces = /^\{(\d{1,3})(,(\d{0,3}))?\}/.exec(this.#ahead(9));
    if (braces === null) return undefined;
    this.#at += braces[0].length;
    const min = Number(braces[1]);
    const max = braces[2] === undefined ? min : braces[3] === "" ? Infinity : Number(braces[3]);
    if (max < min) throw this.#error(`has a repetition whose limits are the wrong way round, ${braces[0]}`);
    return [min, max];
  }

  #atom(): Node {
    const char = this.#next();
    if (char === "(") return this.#group();
    if (char === "[") return { kind: "char", test: this.#class() };
    if (char === ".") return { kind: "char", test: (c) => !/[\n\r\u2028\u2029]/.test(c) };
    if (char === "\\") return { kind: "char", test: testOf(this.#escape()) };
    if (/[*+?]/.test(char)) throw this.#error(`has nothing before "${char}"`);
    if (/[\^${}\]]/.test(char))
      throw this.#error(`has "${char}" where it is not taken; write \\${char} for the character`);
    return { kind: "char", test: (c) => c === char };
  }

  #group(): Node {
    if (this.#take("?") && !this.#take(":")) throw this.#error("looks ahead or behind, or names a group");
    const inner = this.#choice();
    if (!this.#take(")")) throw this.#error("has a ( without its )");
    return inner;
  }

  /** A class is left to JavaScript, which tries it on one character. */
  #class(): Test {
    const not = this.#take("^") ? "^" : "";
    let members = "";
    while (!this.#take("]")) {
      const char = this.#next();
      members += char === "\\" ? this.#escape() : char === "[" ? "\\[" : char;
    }
    if (members === "") throw this.#error("has a class of no characters");
    return testOf(`[${not}${members}]`);
  }

  /** An escape that stands for one character. */
  #escape(): string {
    const char = this.#next();
    if (/[dDwWsS]/.test(char) || /[^A-Za-z0-9\s]/.test(char)) return `\\${char}`;
    throw this.#error(`has \\${char}, which is not taken`);
  }

  #ahead(count: number): string {
    return this.#chars.slice(this.#at, this.#at + count).join("");
  }

  get #char(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw this.#error("ends too early");
    return char;
  }

  #take(char: string): boolean {
    if (this.#char !== char) return false;
    this.#at++;
    return true;
  }

  #hasTopLevelChoice(inner: string): boolean {
    let depth = 0;
    for (const [whole] of inner.matchAll(/\\.|\[(?:\\.|[^\]])*\]|[()|]/gs)) {
      if (whole === "(") depth++;
      else if (whole === ")") depth--;
      else if (whole === "|" && depth === 0) return true;
    }
    return false;
  }

  #error(what: string): Error {
    return new Error(`the pattern ${what} (at character ${this.#at})`);
  }
}

function testOf(oneCharacter: string): Test {
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^${oneCharacter}$`, "s");
  } catch {
    throw new Error(`the pattern has ${oneCharacter}, which is not a class of characters`);
  }
  return (char) => pattern.test(char);
}

function sizeOf(node: Node): number {
  switch (node.kind) {
    case "char":
      return 1;
    case "all":
      return node.parts.reduce((sum, part) => sum + sizeOf(part), 1);
    case "any":
      return node.choices.reduce((sum, choice) => sum + sizeOf(choice), 1);
    case "repeat": {
      const copies = node.max === Infinity ? Math.max(node.min, 1) + 1 : node.max;
      return 1 + copies * sizeOf(node.inner);
    }
  }
}

/** The states of a node, the last of which lead to `to`. @returns the first. */
function statesOf(node: Node, to: State): State {
  switch (node.kind) {
    case "char":
      return { test: node.test, next: [to] };
    case "all":
      return node.parts.reduceRight((next, part) => statesOf(part, next), to);
    case "any":
      return { test: undefined, next: node.choices.map((choice) => statesOf(choice, to)) };
    case "repeat":
      return statesOfRepeat(node, to);
  }
}

function statesOfRepeat({ inner, min, max }: Extract<Node, { kind: "repeat" }>, to: State): State {
  let first = to;
  if (max === Infinity) {
    const loop: State = { test: undefined, next: [to] };
    loop.next.push(statesOf(inner, loop));
    first = loop;
  } else {
    for (let i = min; i < max; i++) first = { test: undefined, next: [to, statesOf(inner, first)] };
  }
  for (let i = 0; i < min; i++) first = statesOf(inner, first);
  return first;
}

/** All states that the text so far can lead to, character by character. */
function run(start: State, end: State, text: string): boolean {
  let states = closureOf([start]);
  for (const char of text) {
    const next: State[] = [];
    for (const state of states) if (state.test?.(char) === true) next.push(...state.next);
    if (next.length === 0) return false;
    states = closureOf(next);
  }
  return states.has(end);
}

function closureOf(states: State[]): Set<State> {
  const found = new Set<State>(states);
  for (const state of found) if (state.test === undefined) for (const next of state.next) found.add(next);
  return found;
}
