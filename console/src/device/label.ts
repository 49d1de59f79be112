/** A label for a passkey made here: what the browser says of itself, to be changed by the person. */
export function deviceLabel(): string {
  const agent = navigator.userAgent;
  const first = (table: [RegExp, string][]) => table.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]]) ?? "Browser";
  const system = first([[/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS/, "Mac"], [/Linux/, "Linux"]]);
  return system ? `${browser} on ${system}` : browser;
}
