import { beginsWith } from "./begins-with.ts";
import type { Line } from "./layout.ts";

/** What a column of a bill's table holds. */
export type Column = "position" | "description" | "quantity" | "unit" | "unit_price" | "rate" | "amount";

/** Words of column headings; tried in this order, since "unit price" also begins with "unit". */
const COLUMNS: readonly (readonly [Column, RegExp])[] = [
  [
    "unit_price",
    beginsWith(
      "(?:unit|list|net)?\\s*(?:price|rate|cost)",
      "(?:einzel|stück|e)?-?\\s?preis",
      "prix",
      "p\\.?\\s?u\\.?",
      "precio",
      "prezzo",
      "prijs",
      "tarief",
      "each",
      "stundensatz",
      "à",
    ),
  ],
  ["rate", beginsWith("vat", "tax", "mwst", "ust", "tva", "iva", "btw", "gst", "%")],
  [
    "quantity",
    beginsWith(
      "qty",
      "quantity",
      "units",
      "hours",
      "hrs",
      "days",
      "menge",
      "anzahl",
      "stk",
      "stunden",
      "tage",
      "qté",
      "quantité",
      "cant",
      "cantidad",
      "quantità",
      "q\\.?tà",
      "aantal",
    ),
  ],
  [
    "amount",
    beginsWith(
      "(?:line |net |total )?(?:amount|total|sum)",
      "(?:gesamt|netto)?(?:betrag|summe)",
      "gesamt(?:preis)?",
      "montant",
      "importe",
      "importo",
      "totale",
      "bedrag",
      "totaal",
      "netto?",
    ),
  ],
  [
    "description",
    beginsWith(
      "items?",
      "description",
      "products?",
      "services?",
      "article",
      "details",
      "work",
      "goods",
      "bezeichnung",
      "beschreibung",
      "leistung",
      "artikel",
      "position",
      "désignation",
      "prestation",
      "concepto",
      "descripción",
      "descrizione",
      "omschrijving",
      "dienst",
    ),
  ],
  ["position", beginsWith("pos", "no", "nr", "#", "n°", "line")],
  ["unit", beginsWith("unit", "uom", "einheit", "me", "unité", "unidad")],
];

/** The columns that a line names when it is a table's heading: one column of money and at least one other. */
export function columnsOf(line: Line | undefined): Column[] | undefined {
  if (line === undefined || line.text.length > 160 || /\d[.,]\d{2}\b/.test(line.text)) return undefined;
  const words = line.cells.length > 1 ? line.cells : line.text.split(/\s+(?=\S)/);
  const columns = words.map(
    (cell) => COLUMNS.find(([, pattern]) => pattern.test(cell.replace(/^net\s+unit/i, "unit")))?.[0],
  );
  const kinds = new Set(columns.filter((column) => column !== undefined));
  const isHeading =
    (kinds.has("amount") || kinds.has("unit_price")) &&
    (kinds.has("description") || kinds.has("quantity") || kinds.has("position"));
  if (!isHeading || kinds.size < 2) return undefined;
  return columns.map((column) => column ?? "description");
}
