/**
 * Text of a Markdown document in the processor's notation: headings keep `# `, table rows become cells separated by
 * ` | `, emphasis and links keep their words. A reader for this purpose needs no syntax tree: whatever it does not know
 * stays as it is.
 */
export function readMarkdown(markdown: string): string {
  return markdown
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .split("\n")
    .filter(
      (line) => !/^\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*(?::?-{2,}:?)?\s*\|?\s*$/.test(line) && !/^\s*(?:```|~~~)/.test(line),
    )
    .map(plainLine)
    .join("\n");
}

function plainLine(line: string): string {
  return line
    .replace(/^(\s*)#{1,6}\s+(.*?)\s*#*$/, "# $2")
    .replace(/^\s*>\s?/, "")
    .replace(/^\s*\|(.*)\|\s*$/, (_, cells: string) =>
      cells
        .split("|")
        .map((cell) => cell.trim())
        .join(" | "),
    )
    .replace(/!\[([^[\]]{0,300})\]\([^()]{0,2000}\)/g, "$1")
    .replace(/\[([^[\]]{1,300})\]\([^()]{0,2000}\)/g, "$1")
    .replace(/(\*\*|__)(?=\S)(.+?)(?<=\S)\1/g, "$2")
    .replace(/(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])/g, "$1")
    .replace(/`([^`]+)`/g, "$1")
    .replace(/(?: {2}|\\)$/, "");
}
