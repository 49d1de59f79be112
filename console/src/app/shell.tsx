import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { app as texts } from "../texts/app";
import { LiveRegion } from "../ui";
import { Button } from "../ui/button";
import { Icon, type IconName } from "../ui/icons";
import { path } from "./router";
import { line, organisation, session, signOut, waiting, who } from "./session";

type Place = [href: string, name: keyof typeof texts.places, icon: IconName];

const PLACES: readonly Place[] = [
  ["/", "pending", "pending"],
  ["/secrets", "secrets", "secrets"],
  ["/people", "people", "people"],
  ["/clients", "clients", "clients"],
  ["/policies", "policies", "policies"],
  ["/leases", "leases", "leases"],
  ["/audit", "audit", "audit"],
];
const ON_A_PHONE = 4; // the others stand behind "More"
const OWN = ["notifications", "settings", "help"] as const;

/** The frame: brand and navigation on top (at the bottom edge on a phone), the live region, and the screen. */
export function Shell({ children }: { children: ComponentChildren }) {
  const inside = session.value === "signed-in" || session.value === "expired";
  return (
    <>
      <a class="skip" href="#main">
        {texts.skip}
      </a>
      <header class="top">
        <a class="brand" href="/">
          <Mark />
          <span>{texts.name}</span>
          {inside && organisation.value ? <small>{organisation.value}</small> : null}
        </a>
        {inside ? <Navigation /> : null}
        {inside ? <Own /> : null}
      </header>
      {inside && texts.line[line.value] && line.value === "offline" ? (
        <p class="line" role="status">
          {texts.line[line.value]}
        </p>
      ) : null}
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <LiveRegion />
    </>
  );
}

function Navigation() {
  return (
    <nav class="places" aria-label={texts.navigation}>
      <ul>
        {PLACES.map(([href, name, icon], at) => (
          <li key={href} class={at >= ON_A_PHONE ? "desk" : undefined}>
            <PlaceLink href={href} icon={icon} text={texts.places[name]} count={name === "pending" ? waiting.value : 0} />
          </li>
        ))}
        <li class="phone">
          <Menu id="more" class="place" label={<><Icon name="more" /><span>{texts.more}</span></>}>
            {PLACES.slice(ON_A_PHONE).map(([href, name]) => (
              <MenuLink key={href} href={href} text={texts.places[name]} />
            ))}
          </Menu>
        </li>
      </ul>
    </nav>
  );
}

function PlaceLink({ href, icon, text, count }: { href: string; icon: IconName; text: string; count: number }) {
  const here = isHere(href);
  return (
    <a class="place" href={href} aria-current={here ? "page" : undefined}>
      <Icon name={icon} />
      <span class="place-name" data-text={text}>{text}</span>
      {count > 0 ? (
        <span class="count" title={texts.waiting(count)}>
          {count > 99 ? "99+" : count}
          <span class="hidden"> {texts.waiting(count)}</span>
        </span>
      ) : null}
    </a>
  );
}

function Own() {
  const person = who.value?.person ?? "";
  return (
    <div class="own">
      <Menu id="own" class="button quiet" label={<span>{person}</span>} name={texts.account(person)}>
        {OWN.map((name) => (
          <MenuLink key={name} href={`/${name}`} text={texts.places[name]} />
        ))}
        <Button kind="quiet" onClick={signOut}>
          {texts.signOut}
        </Button>
      </Menu>
    </div>
  );
}

/** A native popover: closes on Escape, on a tap outside, and when a link in it was taken. */
function Menu({ id, class: look, label, name, children }: {
  id: string;
  class: string;
  label: ComponentChildren;
  name?: string;
  children: ComponentChildren;
}) {
  const menu = useRef<HTMLDivElement>(null);
  const at = path.value;
  useEffect(() => {
    if (menu.current?.matches(":popover-open")) menu.current.hidePopover();
  }, [at]);
  return (
    <>
      <button type="button" class={look} aria-label={name} popovertarget={`menu-${id}`}>
        {label}
      </button>
      <div ref={menu} id={`menu-${id}`} class={`menu menu-${id}`} popover="auto">
        {children}
      </div>
    </>
  );
}

function MenuLink({ href, text }: { href: string; text: string }) {
  return (
    <a href={href} aria-current={isHere(href) ? "page" : undefined}>
      {text}
    </a>
  );
}

function isHere(href: string): boolean {
  const at = path.value;
  return href === "/" ? at === "/" || at.startsWith("/pending") : at === href || at.startsWith(`${href}/`);
}

function Mark() {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <path d="M12 2.5 20 6v6c0 5-3.4 8-8 9.5C7.4 20 4 17 4 12V6z" fill="none" stroke="currentColor" stroke-width="1.75"
        stroke-linejoin="round" />
      <path d="M8 12.5h8" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" />
    </svg>
  );
}
