// Every screen on one page: its path, whether it needs a person who is signed in, and the file that draws it. All are lazy.
import type { ComponentType } from "preact";
import { match, type Params } from "./router";

export interface ScreenProps {
  params: Params;
}

export type Screen = ComponentType<ScreenProps>;
type Load = () => Promise<{ default: ComponentType<never> }>;

export interface Entry {
  path: string;
  open?: true;
  load: Load;
}

const pending: Load = () => import("../views/pending");
const secrets: Load = () => import("../views/secrets");
const people: Load = () => import("../views/people");
const clients: Load = () => import("../views/clients");
const policies: Load = () => import("../views/policies");
const audit: Load = () => import("../views/audit");

export const SCREENS: readonly Entry[] = [
  { path: "/", load: pending },
  { path: "/pending/:card", load: pending },
  { path: "/secrets", load: secrets },
  { path: "/secrets/*path", load: secrets },
  { path: "/people", load: people },
  { path: "/people/:person", load: people },
  { path: "/clients", load: clients },
  { path: "/clients/*subject", load: clients },
  { path: "/policies", load: policies },
  { path: "/policies/:policy", load: policies },
  { path: "/leases", load: () => import("../views/leases") },
  { path: "/audit", load: audit },
  { path: "/audit/:row", load: audit },
  { path: "/notifications", load: () => import("../views/notifications") },
  { path: "/settings", load: () => import("../views/settings") },
  { path: "/help", open: true, load: () => import("../views/help") },
  { path: "/setup", open: true, load: () => import("../views/setup") },
  { path: "/join/person", open: true, load: () => import("../views/join/person") },
  { path: "/join/client", open: true, load: () => import("../views/join/client") },
  { path: "/signin", open: true, load: () => import("../views/signin") },
];

export function screenAt(path: string): { entry: Entry; params: Params } | undefined {
  for (const entry of SCREENS) {
    const params = match(entry.path, path);
    if (params) return { entry, params };
  }
  return undefined;
}
