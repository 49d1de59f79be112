// Order and equality of parts of a roster, the same wherever they are asked for.

/** By code unit: floors and revocations are ASCII, so this is the order of every other side too. */
export function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether two parts of a roster are equal: only the order of fields may differ. */
export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => order(a, b))
    .map(([name, each]) => [name, sorted(each)]);
}
