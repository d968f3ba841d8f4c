import type * as z from "zod";

/** One row of the table of settings. */
export interface Setting {
  name: string;
  default: string;
  description: string;
}

/** The settings of an environment schema with their defaults and descriptions: the documentation is made from what parses. */
export function describeSettings(schema: z.ZodObject): Setting[] {
  return Object.entries(schema.shape).map(([name, type]) => {
    const { def, description } = type as z.ZodType & { def: { type: string; defaultValue?: unknown } };
    return { name, default: def.type === "default" ? String(def.defaultValue) : "", description: description ?? "" };
  });
}

/** As a table in Markdown. */
export function settingsTable(settings: Setting[]): string {
  const rows = settings.map(
    ({ name, default: value, description }) =>
      `| \`${name}\` | ${value === "" ? "" : `\`${value}\``} | ${description} |`,
  );
  return ["| setting | default | |", "|---|---|---|", ...rows].join("\n");
}
