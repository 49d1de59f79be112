// A refusal of the console's own: a rule says no before anything is signed. `Refused` is for what fails a check of the protocol.

/** What happened, and what to do next; both from the catalogue. */
export interface Words {
  text: string;
  remedy: string;
}

export class Stopped extends Error {
  readonly code: string;
  readonly remedy: string;
  readonly field: string;

  constructor(code: string, words: Words, field = "") {
    super(words.text);
    this.name = "Stopped";
    this.code = code;
    this.remedy = words.remedy;
    this.field = field;
  }
}
