import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/**
 * The copies of a module that the graphs of a langgraph.json may use: ours, and the project's own when it has one. A package
 * has one copy for `import` and one for `require`; the latter only when something has loaded it already.
 */
export async function copiesOf<Module>(specifier: string, ours: Module, configPath: string): Promise<Module[]> {
  const copies = [ours];
  const project = createRequire(configPath);
  try {
    const commonJs = project.resolve(specifier);
    copies.push((await import(pathToFileURL(commonJs.replace(/\.cjs$/, ".js")).href)) as Module);
    if (commonJs in project.cache) copies.push(project(commonJs) as Module);
  } catch {
    // no copy of its own, or one that is laid out in another way: its graphs run as they always did
  }
  return copies;
}
