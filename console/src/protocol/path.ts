// Protocol 2: paths, patterns, ids. A path that is not well formed is refused, never mended.
import { Refused } from "./error";

const PATH = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const PATH_LIMIT = 200; // bytes

export function isId(text: unknown): text is string {
  return typeof text === "string" && ID.test(text);
}

export function checkId(text: unknown): asserts text is string {
  if (!isId(text)) throw new Refused("field", "an id is [a-z0-9][a-z0-9._-]{0,63}");
}

export function isPath(path: unknown): path is string {
  return typeof path === "string" && path.length <= PATH_LIMIT && PATH.test(path);
}

export function checkPath(path: unknown): asserts path is string {
  if (!isPath(path)) throw new Refused("path", "not a path");
}

/** An exact path, `prefix/**` or `**`. */
export function checkPattern(pattern: unknown): asserts pattern is string {
  if (pattern === "**") return;
  checkPath(typeof pattern === "string" && pattern.endsWith("/**") ? pattern.slice(0, -3) : pattern);
}

export function matches(pattern: string, path: string): boolean {
  if (pattern === "**") return true;
  if (pattern.endsWith("/**")) return path.startsWith(pattern.slice(0, -2)); // with the slash: not `prefix` or `prefixed/x`
  return pattern === path;
}

/** The exact path before the longest prefix before `**`. */
function rank(pattern: string): number {
  if (pattern === "**") return 0;
  return pattern.endsWith("/**") ? pattern.length : Infinity;
}

/** The policy with the longest match. */
export function select<P extends { match: string[] }>(policies: readonly P[], path: string): P {
  checkPath(path);
  let best: { rank: number; policy: P } | undefined;
  for (const policy of policies) {
    for (const pattern of policy.match) {
      if (matches(pattern, path) && rank(pattern) >= (best?.rank ?? 0)) best = { rank: rank(pattern), policy };
    }
  }
  if (!best) throw new Refused("no-policy", "no policy matches this path");
  return best.policy;
}
