// Which requests a person sees and decides at once (protocol 6). Requests of one command carry equal `issued`, `expires`,
// `observed` and `claimed`; with the client, that tuple is the card. Nothing else joins requests: a difference in any part, also
// between an empty reason and none, makes another card. The requests are verified by the caller.
import { encode, sha256 } from "./encoding";
import type { Request } from "./objects";
import { fromUtf8, hex } from "./text";

function tuple(request: Request): unknown[] {
  return [request.client, request.issued, request.expires, request.observed, request.claimed];
}

/** The card's name: the first 12 hexadecimal digits of the tuple's SHA-256, as on the command line. */
export async function cardId(request: Request): Promise<string> {
  return hex(await sha256(encode(tuple(request)))).slice(0, 12);
}

/** Positions in `requests`, a list for each card; cards and positions in order of arrival. */
export function group(requests: readonly Request[]): number[][] {
  const cards = new Map<string, number[]>();
  requests.forEach((request, position) => {
    const key = fromUtf8(encode(tuple(request)));
    cards.set(key, [...(cards.get(key) ?? []), position]);
  });
  return [...cards.values()];
}

/** Position of the request whose code stands for the card: the one with the least path. */
export function firstPath(requests: readonly Request[]): number {
  return requests.reduce((least, request, at) => (request.path < requests[least]!.path ? at : least), 0);
}
