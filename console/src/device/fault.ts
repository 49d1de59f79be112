/** What this device could not do: `code` is stable, `detail` says what happened, `remedy` what to do. */
export class DeviceFault extends Error {
  override name = "DeviceFault";
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly remedy: string,
  ) {
    super(detail);
  }
}
