/** A check that failed. `code` is the stable short name of docs/protocol.md, `detail` says more in English, for a log. */
export class Refused extends Error {
  readonly code: string;
  readonly detail: string;

  constructor(code: string, detail = "") {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "Refused";
    this.code = code;
    this.detail = detail;
  }
}
