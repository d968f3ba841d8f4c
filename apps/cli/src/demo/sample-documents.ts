import { isUtf8 } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { reasonOf, StartupError } from "../stack/startup-error.ts";

/** A document as the graph takes it in. */
export type InputDocument = { name: string; media_type: string } & ({ text: string } | { base64: string });

const SAMPLES = fileURLToPath(new URL("../../../../examples/documents/", import.meta.url));

const TEXT_TYPES: Record<string, string> = {
  ".txt": "text/plain",
  ".md": "text/markdown",
  ".html": "text/html",
  ".htm": "text/html",
  ".csv": "text/csv",
  ".json": "application/json",
};

/** The given files, or the samples that come with the project. */
export function readDocuments(files: readonly string[], folder: string): InputDocument[] {
  const paths = files.length > 0 ? files.map((file) => resolve(folder, file)) : samples();
  return paths.map(readDocument);
}

function samples(): string[] {
  return readdirSync(SAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith(".") && !/^readme/i.test(entry.name))
    .map((entry) => join(SAMPLES, entry.name))
    .toSorted();
}

function readDocument(path: string): InputDocument {
  const name = basename(path);
  const type = extname(path).toLowerCase();
  const textType = TEXT_TYPES[type];
  try {
    const content = readFileSync(path);
    if (textType !== undefined && isUtf8(content)) return { name, media_type: textType, text: content.toString() };
    const mediaType = textType ?? (type === ".pdf" ? "application/pdf" : "application/octet-stream");
    return { name, media_type: mediaType, base64: content.toString("base64") };
  } catch (error) {
    throw new StartupError("demo", `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}
