// Dates, numbers and durations in the person's own locale.
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const NUMBER = new Intl.NumberFormat(undefined);
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["hour", 3600],
  ["minute", 60],
];

/** A moment in unix seconds, exact to the second. */
export function exact(at: number): string {
  return EXACT.format(at * 1000);
}

/** Relative under a day ("5 minutes ago"), a date from then on. Within ten seconds it is "now". */
export function relative(at: number, now: number): string {
  const by = at - now;
  if (Math.abs(by) >= 86400) return DAY.format(at * 1000);
  for (const [unit, length] of UNITS) {
    if (Math.abs(by) >= length) return RELATIVE.format(Math.sign(by) * Math.round(Math.abs(by) / length), unit);
  }
  return RELATIVE.format(Math.abs(by) < 10 ? 0 : Math.trunc(by), "second");
}

/** "4 min 12 s", "1 h 5 min", "3 d 2 h": two units at most. Negative counts as zero. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), "day"],
    [Math.floor(whole / 3600) % 24, "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(3) : parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, name]) => unit(count, name)).join(" ");
}

function unit(count: number, name: string): string {
  return new Intl.NumberFormat(undefined, { style: "unit", unit: name, unitDisplay: "short" }).format(count);
}

export function number(value: number): string {
  return NUMBER.format(value);
}
