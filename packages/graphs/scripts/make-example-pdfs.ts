import { writeFile } from "node:fs/promises";
import { PDFDocument, type PDFFont, type PDFPage, StandardFonts } from "pdf-lib";

/**
 * Draws the PDFs of examples/documents. Run with `npx tsx packages/graphs/scripts/make-example-pdfs.ts` after a change;
 * the results are committed, and are the same on every run because no time of creation is written.
 */

const TARGET = new URL("../../../examples/documents/", import.meta.url);
const A4: [number, number] = [595.28, 841.89];
const LEFT = 56;
const COLUMNS = { pos: LEFT, text: 90, quantity: 330, price: 400, amount: 490 };
const ROWS_PER_PAGE = 22;

interface Row {
  readonly text: string;
  readonly quantity: number;
  readonly price: number;
}

const PARTS = [
  "Ball bearing 6204-2RS",
  "Shaft seal 35x52x7",
  "V-belt SPZ 1250",
  "Hex bolt M12x60, zinc",
  "Grease cartridge 400 g",
  "Roller chain 08B-1, 5 m",
  "Proximity switch M18",
  "Coupling element 98 Sh A",
  "Pneumatic cylinder 32x100",
  "Solenoid valve 5/2 G1/8",
  "Filter regulator G1/4",
  "Push-in fitting 8 mm",
  "Cable gland M20",
  "Terminal block 4 mm2",
  "Contactor 11 kW, 230 V",
  "Emergency stop button",
  "Signal lamp, green",
  "Limit switch with roller",
];

/** Thirty-six rows, so that the table runs over two pages. */
const ROWS: Row[] = Array.from({ length: 36 }, (_, at) => ({
  text: `${PARTS[at % PARTS.length] ?? ""}${at >= PARTS.length ? " (spare)" : ""}`,
  quantity: (at % 5) + 1,
  price: 12.4 + at * 7.35,
}));

/** 1234.5 as `1'234.50`, the Swiss way. */
function swiss(amount: number): string {
  const [whole = "", fraction = ""] = amount.toFixed(2).split(".");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, "'")}.${fraction}`;
}

function cents(amount: number): number {
  return Math.round(amount * 100) / 100;
}

interface Pen {
  readonly plain: PDFFont;
  readonly bold: PDFFont;
}

function write(page: PDFPage, pen: Pen, text: string, x: number, y: number, size = 10, isBold = false): void {
  page.drawText(text, { x, y, size, font: isBold ? pen.bold : pen.plain });
}

function writeRight(page: PDFPage, pen: Pen, text: string, right: number, y: number, isBold = false): void {
  const font = isBold ? pen.bold : pen.plain;
  page.drawText(text, { x: right - font.widthOfTextAtSize(text, 10), y, size: 10, font });
}

function drawHead(page: PDFPage, pen: Pen): number {
  write(page, pen, "Aarelux Antriebstechnik AG", LEFT, 780, 15, true);
  write(page, pen, "Industrieweg 27, 3007 Bern, Switzerland", LEFT, 764);
  write(page, pen, "VAT No. CHE-114.927.350 MWST", LEFT, 750);
  write(page, pen, "Invoice", LEFT, 706, 20, true);
  write(page, pen, "Bill to", LEFT, 676, 10, true);
  write(page, pen, "Invoice number", 330, 676);
  write(page, pen, "AX-40291", 450, 676);
  write(page, pen, "Montferrand Cableways SA", LEFT, 662);
  write(page, pen, "Invoice date", 330, 662);
  write(page, pen, "05.02.2025", 450, 662);
  write(page, pen, "Route du Lac 88", LEFT, 648);
  write(page, pen, "Due date", 330, 648);
  write(page, pen, "07.03.2025", 450, 648);
  write(page, pen, "1815 Clarens", LEFT, 634);
  return 596;
}

function drawTableHead(page: PDFPage, pen: Pen, y: number): number {
  write(page, pen, "Pos", COLUMNS.pos, y, 10, true);
  write(page, pen, "Description", COLUMNS.text, y, 10, true);
  writeRight(page, pen, "Qty", COLUMNS.quantity + 20, y, true);
  writeRight(page, pen, "Unit price", COLUMNS.price + 40, y, true);
  writeRight(page, pen, "Amount", COLUMNS.amount + 50, y, true);
  return y - 18;
}

function drawRows(page: PDFPage, pen: Pen, rows: readonly Row[], first: number, top: number): number {
  let y = drawTableHead(page, pen, top);
  for (const [at, row] of rows.entries()) {
    write(page, pen, String(first + at), COLUMNS.pos, y);
    write(page, pen, row.text, COLUMNS.text, y);
    writeRight(page, pen, String(row.quantity), COLUMNS.quantity + 20, y);
    writeRight(page, pen, swiss(row.price), COLUMNS.price + 40, y);
    writeRight(page, pen, swiss(cents(row.quantity * row.price)), COLUMNS.amount + 50, y);
    y -= 16;
  }
  return y;
}

function drawSums(page: PDFPage, pen: Pen, top: number): void {
  const subtotal = cents(ROWS.reduce((sum, row) => sum + cents(row.quantity * row.price), 0));
  const vat = cents(subtotal * 0.081);
  const lines: [string, string][] = [
    ["Subtotal", swiss(subtotal)],
    ["VAT 8.1%", swiss(vat)],
    ["Total CHF", swiss(cents(subtotal + vat))],
  ];
  for (const [at, [label, amount]] of lines.entries()) {
    write(page, pen, label, COLUMNS.price - 20, top - 12 - at * 16, 10, at === 2);
    writeRight(page, pen, amount, COLUMNS.amount + 50, top - 12 - at * 16, at === 2);
  }
  write(page, pen, "Payable within 30 days to IBAN CH93 0076 2011 6238 5295 7, BIC POFICHBEXXX.", LEFT, top - 90);
}

async function makeInvoice(): Promise<Uint8Array> {
  const pdf = await PDFDocument.create();
  pdf.setCreationDate(new Date(0));
  pdf.setModificationDate(new Date(0));
  const pen = {
    plain: await pdf.embedFont(StandardFonts.Helvetica),
    bold: await pdf.embedFont(StandardFonts.HelveticaBold),
  };
  const first = pdf.addPage(A4);
  drawRows(first, pen, ROWS.slice(0, ROWS_PER_PAGE), 1, drawHead(first, pen));
  write(first, pen, "Page 1 of 2", 490, 40, 8);
  const second = pdf.addPage(A4);
  const end = drawRows(second, pen, ROWS.slice(ROWS_PER_PAGE), ROWS_PER_PAGE + 1, 780);
  drawSums(second, pen, end);
  write(second, pen, "Page 2 of 2", 490, 40, 8);
  return pdf.save();
}

await writeFile(new URL("invoice-aarelux-two-pages.pdf", TARGET), await makeInvoice());
