// Lists of names on one line.
import type { ComponentChildren } from "preact";
import type { Policy } from "../../protocol/objects";
import { Name } from "../../ui";

/** Paths or patterns. */
export function Names({ names }: { names: readonly string[] }) {
  return <Row items={names.map((one) => <Name key={one} text={one} />)} />;
}

/** Policies, each a link to its page; `none` where there are none. */
export function PolicyLinks({ policies, none }: { policies: readonly Policy[]; none: string }) {
  if (!policies.length) return <>{none}</>;
  return (
    <Row
      items={policies.map((one) => (
        <a key={one.id} href={`/policies/${one.id}`}>
          <Name text={one.id} />
        </a>
      ))}
    />
  );
}

function Row({ items }: { items: readonly ComponentChildren[] }) {
  return <>{items.map((one, at) => (at ? [", ", one] : one))}</>;
}
