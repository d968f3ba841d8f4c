import { dirname, join } from "node:path";
import ts from "typescript-6";

/** The types of a graph, as the compiler infers them from its source. */
export interface GraphTypes {
  program: ts.Program;
  state: ts.Type;
  input: ts.Type;
  output: ts.Type;
  /** Undefined for a graph without one. */
  context: ts.Type | undefined;
  /** The source files that they may depend on, outside of node_modules: absolute paths. */
  files: string[];
}

/**
 * Asks in TypeScript: a virtual file beside the graph's names the types, by the marks that LangGraph leaves on a graph for its
 * own inference. The export may be a compiled graph, a builder or a factory.
 */
function question(file: string, exportName: string): string {
  return `
type Exported = (typeof import(${JSON.stringify(file)}))[${JSON.stringify(exportName)}];
type Made<T> = T extends (...args: never[]) => infer R ? Awaited<R> : Awaited<T>;
type Compiled<T> = T extends { "~InputType": unknown } ? T : T extends { compile: (...args: never[]) => infer R } ? R : never;
type Graph = Compiled<Made<Exported>>;
type Of<K extends string> = Graph extends { [P in K]: infer T } ? T : never;
type Channels = Graph extends { builder: { _configSchema: infer C } } ? NonNullable<C> : never;
export type state = Of<"~RunOutput">;
export type input = Of<"~InputType">;
export type output = Of<"~OutputType">;
export type context = { [K in keyof Channels]: Channels[K] extends { ValueType: infer V } ? V : unknown };
`;
}

/** @throws when the source cannot be read at all; types that cannot be inferred are `never` or `any`. */
export function inferTypes(file: string, exportName: string): GraphTypes {
  const virtual = join(dirname(file), "__flotilla_question__.ts");
  const text = question(file, exportName);
  const options = optionsFor(file);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (path) => path === virtual || fileExists(path);
  host.readFile = (path) => (path === virtual ? text : readFile(path));
  const program = ts.createProgram({ rootNames: [virtual], options, host });
  const checker = program.getTypeChecker();
  const asked = program.getSourceFile(virtual);
  if (asked === undefined) throw new Error("TypeScript did not read the question");
  const types = new Map<string, ts.Type>();
  ts.forEachChild(asked, (node) => {
    if (ts.isTypeAliasDeclaration(node)) types.set(node.name.text, checker.getTypeAtLocation(node.name));
  });
  const of = (name: string): ts.Type => types.get(name) ?? checker.getNeverType();
  const files = program
    .getSourceFiles()
    .flatMap(({ fileName }) => (fileName === virtual || fileName.includes("/node_modules/") ? [] : [fileName]));
  const context = of("context");
  const hasContext = checker.getPropertiesOfType(context).length > 0;
  return {
    program,
    state: of("state"),
    input: of("input"),
    output: of("output"),
    context: hasContext ? context : undefined,
    files,
  };
}

/** Those of the project as far as they say how modules are found; nothing is emitted, and strict types are the true ones. */
function optionsFor(file: string): ts.CompilerOptions {
  const path = ts.findConfigFile(dirname(file), ts.sys.fileExists);
  const project = path === undefined ? {} : projectOptions(path);
  const { paths, baseUrl, pathsBasePath, customConditions, jsx, jsxImportSource } = project;
  const found = { paths, baseUrl, pathsBasePath, customConditions, jsx, jsxImportSource };
  return {
    ...Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)),
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
    types: [],
    allowImportingTsExtensions: true,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  };
}

function projectOptions(path: string): ts.CompilerOptions {
  const { config } = ts.readConfigFile(path, ts.sys.readFile) as { config?: unknown };
  return ts.parseJsonConfigFileContent(config ?? {}, { ...ts.sys, readDirectory: () => [] }, dirname(path)).options;
}
