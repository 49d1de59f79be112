// What a delivery allows (protocol section 10). The console never holds a lease; it says beforehand what one would be.
import type { Item, Policy, Request } from "./objects";

/** Seconds: no lease is longer (8 h). */
export const CEILING = 28_800;

export type Bounds = Pick<Policy, "window" | "uses">;
/** `window` 0 comes with `uses` 1: that delivery and nothing after it. `uses` 0 is no limit. */
export interface Terms {
  window: number;
  uses: number;
  scope: Policy["scope"];
}

/** The least window, and the least uses that are not 0, of all sources. None can lengthen another's. A reseal makes no lease. */
export function leaseTerms(
  current: Bounds & Pick<Policy, "scope">,
  sealed: Bounds,
  items: (Bounds & Partial<Item>)[],
  request: Bounds & Partial<Pick<Request, "purpose">>,
): Terms {
  const sources: Bounds[] = [current, sealed, ...items, request];
  const window = Math.min(CEILING, ...sources.map((source) => source.window));
  if (window === 0 || request.purpose === "reseal") return { window: 0, uses: 1, scope: current.scope };
  const limits = sources.map((source) => source.uses).filter((uses) => uses !== 0);
  return { window, uses: limits.length ? Math.min(...limits) : 0, scope: current.scope };
}
