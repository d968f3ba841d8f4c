import ts from "typescript-6";

/** JSON Schema (2020-12) of a type, for people and forms: what JSON cannot say is left open, never wrong. */

type Schema = Record<string, unknown>;

/** Properties and members in all, and levels: a type that generates itself ends as "anything". */
const MAX_TYPES = 3_000;
const MAX_DEPTH = 16;

/** Names of LangChain whose presence makes a value one or more messages. */
const MESSAGE = "BaseMessage";
/** What an update may be besides a value: instructions of LangGraph, which do not travel as JSON. */
const INSTRUCTIONS = new Set(["Overwrite", "OverwriteValue"]);

/** @returns null for a type that says nothing: `any`, `never`. */
export function schemaOfType(program: ts.Program, type: ts.Type): Schema | null {
  if ((type.flags & (ts.TypeFlags.Never | ts.TypeFlags.Any | ts.TypeFlags.Unknown)) !== 0) return null;
  const conversion = new Conversion(program);
  const schema = conversion.of(type, 0);
  const { definitions } = conversion;
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    ...schema,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions }),
  };
}

class Conversion {
  readonly definitions: Record<string, Schema> = {};
  readonly #program: ts.Program;
  readonly #checker: ts.TypeChecker;
  /** Object types that are being converted: whoever meets one of them again refers to it. */
  readonly #open = new Map<ts.Type, { name: string | undefined }>();
  #types = 0;

  constructor(program: ts.Program) {
    this.#program = program;
    this.#checker = program.getTypeChecker();
  }

  of(type: ts.Type, depth: number): Schema {
    if (++this.#types > MAX_TYPES || depth > MAX_DEPTH) return {};
    const { flags } = type;
    if (type.isStringLiteral() || type.isNumberLiteral()) return { const: type.value };
    if ((flags & ts.TypeFlags.BooleanLiteral) !== 0) return { const: this.#checker.typeToString(type) === "true" };
    if ((flags & ts.TypeFlags.StringLike) !== 0) return { type: "string" };
    if ((flags & ts.TypeFlags.NumberLike) !== 0) return { type: "number" };
    if ((flags & ts.TypeFlags.BooleanLike) !== 0) return { type: "boolean" };
    if ((flags & ts.TypeFlags.Null) !== 0) return { type: "null" };
    if ((flags & ts.TypeFlags.Never) !== 0) return { not: {} };
    if (type.isUnion()) return this.#ofUnion(type, depth);
    if (type.isIntersection()) return this.#ofIntersection(type, depth);
    if ((flags & ts.TypeFlags.TypeParameter) !== 0) {
      const constraint = this.#checker.getBaseConstraintOfType(type);
      return constraint === undefined || constraint === type ? {} : this.of(constraint, depth + 1);
    }
    return (flags & ts.TypeFlags.Object) === 0 ? {} : this.#ofObject(type, depth);
  }

  #ofUnion(type: ts.UnionType, depth: number): Schema {
    if (this.#isMessages(type)) return messages();
    const members = type.types.filter(
      (member) => (member.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)) === 0 && !isInstruction(member),
    );
    const schemas = members.map((member) => this.of(member, depth + 1));
    const constants = schemas.flatMap((schema) => ("const" in schema ? [schema["const"]] : []));
    const others = schemas.filter((schema) => !("const" in schema));
    // `boolean` is a union of its two values.
    const isBoolean = constants.includes(true) && constants.includes(false);
    const listed = isBoolean ? constants.filter((value) => typeof value !== "boolean") : constants;
    if (isBoolean) others.push({ type: "boolean" });
    if (listed.length === 1) others.push({ const: listed[0] });
    if (listed.length > 1) others.push({ enum: listed });
    const [only] = others;
    return others.length === 1 && only !== undefined ? only : { anyOf: others };
  }

  /** A primitive with a brand is the primitive; objects are put together by the checker. */
  #ofIntersection(type: ts.IntersectionType, depth: number): Schema {
    const primitive = type.types.find((member) => (member.flags & (ts.TypeFlags.Object | ts.TypeFlags.Unknown)) === 0);
    return primitive === undefined ? this.#ofObject(type, depth) : this.of(primitive, depth + 1);
  }

  #ofObject(type: ts.Type, depth: number): Schema {
    if (this.#isMessages(type)) return messages();
    if (this.#checker.isTupleType(type)) {
      const items = this.#checker.getTypeArguments(type as ts.TypeReference);
      return { type: "array", prefixItems: items.map((item) => this.of(item, depth + 1)) };
    }
    if (this.#checker.isArrayType(type)) {
      const [item] = this.#checker.getTypeArguments(type as ts.TypeReference);
      return { type: "array", items: item === undefined ? {} : this.of(item, depth + 1) };
    }
    if (this.#isOfTheLanguage(type)) return type.symbol.name === "Date" ? { type: "string", format: "date-time" } : {};
    if (type.getCallSignatures().length > 0) return {};
    const met = this.#open.get(type);
    if (met !== undefined) return { $ref: `#/$defs/${(met.name ??= this.#newName(type))}` };
    const open: { name: string | undefined } = { name: undefined };
    this.#open.set(type, open);
    const schema = this.#ofProperties(type, depth);
    this.#open.delete(type);
    if (open.name === undefined) return schema;
    this.definitions[open.name] = schema;
    return { $ref: `#/$defs/${open.name}` };
  }

  #ofProperties(type: ts.Type, depth: number): Schema {
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (const property of this.#checker.getPropertiesOfType(type)) {
      const value = this.#checker.getTypeOfSymbol(property);
      if (property.name.startsWith("__@") || value.getCallSignatures().length > 0) continue; // symbols and methods
      const description = ts.displayPartsToString(property.getDocumentationComment(this.#checker));
      properties[property.name] = { ...this.of(value, depth + 1), ...(description === "" ? {} : { description }) };
      const isOptional = (property.flags & ts.SymbolFlags.Optional) !== 0 || mayBeUndefined(value);
      if (!isOptional) required.push(property.name);
    }
    const others = this.#checker.getIndexTypeOfType(type, ts.IndexKind.String);
    return {
      type: "object",
      properties,
      ...(required.length === 0 ? {} : { required }),
      ...(others === undefined ? {} : { additionalProperties: this.of(others, depth + 1) }),
    };
  }

  #isMessages(type: ts.Type, depth = 0): boolean {
    if (type.symbol?.name === MESSAGE || type.aliasSymbol?.name === "BaseMessageLike") return true;
    if (depth > 2) return false;
    if (type.isUnion()) return type.types.some((member) => this.#isMessages(member, depth + 1));
    if (!this.#checker.isArrayType(type)) return false;
    const [item] = this.#checker.getTypeArguments(type as ts.TypeReference);
    return item !== undefined && this.#isMessages(item, depth + 1);
  }

  /** Date, Map, Uint8Array, …: what has methods that are no data. `Record` and the like are mapped types, made of ours. */
  #isOfTheLanguage(type: ts.Type): boolean {
    const declarations = type.symbol?.declarations ?? [];
    return declarations.some(
      (declaration) =>
        !ts.isMappedTypeNode(declaration) && this.#program.isSourceFileDefaultLibrary(declaration.getSourceFile()),
    );
  }

  #newName(type: ts.Type): string {
    const said = type.aliasSymbol?.name ?? type.symbol?.name ?? "";
    const base = /^\w+$/.test(said) && !said.startsWith("__") ? said : "Type";
    const taken = new Set([...this.#open.values()].map((open) => open.name));
    for (let n = 1; ; n++) {
      const name = n === 1 ? base : `${base}${n}`;
      if (!taken.has(name) && !(name in this.definitions)) return name;
    }
  }
}

/** As LangGraph itself says it of states that it knows at run time. */
function messages(): Schema {
  return { langgraph_type: "messages" };
}

function isInstruction(type: ts.Type): boolean {
  return INSTRUCTIONS.has(type.aliasSymbol?.name ?? "") || INSTRUCTIONS.has(type.symbol?.name ?? "");
}

function mayBeUndefined(type: ts.Type): boolean {
  return type.isUnion() && type.types.some((member) => (member.flags & ts.TypeFlags.Undefined) !== 0);
}
