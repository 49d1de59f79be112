/** A label for a passkey made here: what the browser says of itself, to be changed by the person. */
export function deviceLabel(): string {
  const agent = navigator.userAgent;
  const first = (table: [RegExp, string][]) => table.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = first(BROWSERS) ?? "Browser";
  const system = first(SYSTEMS);
  return system ? `${browser} on ${system}` : browser;
}

// The first that matches: each browser names those that it wants to be taken for as well.
const BROWSERS: [RegExp, string][] = [
  [/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS/, "Mac"], [/Linux/, "Linux"],
];
