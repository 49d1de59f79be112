// Words of the shared components.
import { number } from "../ui/format";

export const ui = {
  copy: "Copy",
  copied: "Copied",
  copyFailed: "Could not copy. Select the text and copy it by hand.",
  close: "Close",
  cancel: "Cancel",
  loading: "Loading",
  working: "Working",
  showWhole: "Show the whole digest",
  showShort: "Show the short form",
  callerSays: "The caller says",
  code: "Code",
  people: (filled: number, total: number) => `${number(filled)} of ${number(total)} people`,
  left: (text: string) => `${text} left`,
  over: "time is up",
  qr: "QR code",
  required: "required",
  arming: "Available in a moment",
  more: "More",
} as const;
