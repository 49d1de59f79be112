// Dates, numbers and durations in the person's own locale. A number of the relay's may be any number, or none: it is drawn as the
// nearest date that there is, and never takes the page with it.
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const NUMBER = new Intl.NumberFormat(undefined);
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["hour", 3600],
  ["minute", 60],
];

const LAST = 8.64e12; // seconds: behind it there are no dates

/** A moment in unix seconds. */
export function dateOf(at: number): Date {
  return new Date(Math.max(-LAST, Math.min(LAST, Number(at) || 0)) * 1000);
}

/** A moment in unix seconds, exact to the second. */
export function exact(at: number): string {
  return EXACT.format(dateOf(at));
}

/** Relative under a day ("5 minutes ago"), a date from then on. Within ten seconds it is "now". */
export function relative(at: number, now: number): string {
  const by = (Number(at) || 0) - now;
  if (Math.abs(by) >= 86400) return DAY.format(dateOf(at));
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
