// Durations as people type them: `15m`, `1h`, `90s`, `0`.
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600 };

/** Seconds, or NaN. */
export function seconds(text: string): number {
  const found = /^([0-9]{1,6})([smh]?)$/.exec(text.trim().toLowerCase());
  if (!found) return NaN;
  const [, count = "", unit = ""] = found;
  if (!unit && count !== "0") return NaN;
  return Number(count) * (UNITS[unit] ?? 1);
}

/** The shortest way to write so many seconds. */
export function written(value: number): string {
  if (value % 3600 === 0 && value > 0) return `${value / 3600}h`;
  if (value % 60 === 0 && value > 0) return `${value / 60}m`;
  return `${value}s`;
}
