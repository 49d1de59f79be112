// The screen of the audit log.
import { number } from "../ui/format";
import type { Words } from "../work/stopped";

const plural = (count: number, one: string, many: string): string => `${number(count)} ${count === 1 ? one : many}`;
const words = (text: string, remedy: string): Words => ({ text, remedy });

export const KINDS = [
  "requested", "prompted", "approved", "denied", "frozen", "released", "delivered", "failed", "expired", "cancelled", "revoked",
  "lease-used", "lease-ended", "sealed", "enrolled", "signed-in", "signed-out", "roster", "policy", "renewed", "suppressed", "restored", "config",
] as const;

export const auditText = {
  title: "Audit",
  lead: "Every step leaves a row before it is acknowledged. Verifying finds every row that was changed, moved or taken out.",
  verify: "Verify all of it",
  verifying: (rows: number) => `${plural(rows, "row", "rows")} read`,
  verified: (rows: number) => `The log verifies: ${plural(rows, "row", "rows")}`,
  verifiedText: "Signed by the log key of the organisation's root, every row in its place, and it continues the log that this browser saw before.",
  refused: "The log does not verify",
  refusedAt: (row: number) => `The log does not verify: row ${number(row)}`,
  why: (code: string, row: number | undefined): Words => {
    switch (code) {
      case "log-signature":
        return words("The checkpoint is not signed by the log key of the organisation's root.", "The relay's log may have been replaced. Stop, and ask whoever runs it.");
      case "log-rollback":
        return words("The log is shorter than this browser has seen it.", "The relay was restored from an older copy, or hides rows. Ask whoever runs it; after a restore an owner ends this: stillvault org accept-restore.");
      case "log-fork":
        return words("The log does not continue the one that this browser saw before.", "The relay shows different histories, or was restored and went on. Stop, and ask whoever runs it; after a restore an owner ends this: stillvault org accept-restore.");
      case "log-root":
        return row === undefined
          ? words("The rows are not those of the signed checkpoint, and the relay does not say which one differs.", "A row was changed, moved, added or taken out. Ask whoever runs the relay; keep an export as evidence.")
          : words(`Row ${number(row)} is not the one that was signed.`, "It was changed on its way or at the relay. Ask whoever runs it; keep an export as evidence.");
      default:
        return words(row === undefined ? "A row is missing or not of the form it must have." : `Row ${number(row)} is missing or not of the form it must have.`,
          "The relay hides or damages rows. Ask whoever runs it.");
    }
  },
  failed: "The log could not be read",
  list: "Rows, the newest first",
  none: "No rows",
  noneFound: "No row fits. Search further back, or ask for less.",
  older: "Older rows",
  searched: (count: number, first: number) => `${plural(count, "row", "rows")} shown; looked through back to row ${number(first)}`,
  whole: (count: number) => `${plural(count, "row", "rows")} shown: all that fit`,
  filter: "Filter",
  kind: "Kind",
  anyKind: "any",
  actor: "Actor",
  secret: "Secret",
  host: "Host",
  from: "From",
  until: "Until",
  clear: "Clear the filter",
  exportAll: "Export all as JSON Lines",
  exportAllHint: "With the signed checkpoint in its last line: stillvault audit verify --file F",
  exportCsv: "Export what is shown as CSV",
  row: (index: number) => `Row ${number(index)}`,
  back: "All rows",
  leaf: "The row as it is hashed",
  missing: "There is no such row.",
} as const;
