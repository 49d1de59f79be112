import { useEffect, useState } from "preact/hooks";
import type { Environment } from "../../app/session";
import { setup } from "../../texts/setup";
import { Button, Copy, Problem, Section, Skeleton } from "../../ui";

const texts = setup.checks;

interface Result {
  good: boolean;
  /** Something that only may fail: going on is allowed. */
  perhaps?: boolean;
  title: string;
  text?: string;
  command?: string;
}

/** Whether a first start can succeed here: each line is good, or says what to do. */
export function Checks({ token, standing, onDone }: { token: string; standing: Environment; onDone: () => void }) {
  const [results, setResults] = useState<Result[]>();
  const [error, setError] = useState<unknown>();
  const run = () => {
    setResults(undefined);
    setError(undefined);
    check(token, standing).then(setResults, setError);
  };
  useEffect(run, [token]);
  if (error) return <Problem title={texts.failed} error={error} />;
  if (!results) return <Skeleton lines={6} />;
  const ready = results.every((one) => one.good || one.perhaps);
  return (
    <Section title={texts.title}>
      <ul class="checks">
        {results.map((one) => (
          <li key={one.title} class={one.good ? "good" : one.perhaps ? "warn" : "bad"}>
            <span class="mark" aria-hidden="true">
              {one.good ? "✓" : one.perhaps ? "!" : "×"}
            </span>
            <div>
              <p>{one.title}</p>
              {one.text ? <p class="small">{one.text}</p> : null}
              {one.command ? (
                <p>
                  <span class="name">{one.command}</span> <Copy text={one.command} />
                </p>
              ) : null}
            </div>
          </li>
        ))}
      </ul>
      <div class="actions">
        {ready ? (
          <Button kind="accent" onClick={onDone}>
            {texts.next}
          </Button>
        ) : (
          <Button onClick={run}>{texts.again}</Button>
        )}
      </div>
    </Section>
  );
}

async function check(token: string, standing: Environment): Promise<Result[]> {
  const host = location.hostname;
  const dns = !/^[\d.]+$/.test(host) && !host.includes(":");
  const passkeys = typeof PublicKeyCredential !== "undefined" && window.isSecureContext;
  const capable = passkeys ? ((await PublicKeyCredential.getClientCapabilities?.()) ?? {}) : {};
  const prf = (capable as Record<string, boolean>)["extension:prf"];
  const [makes, keeps, taken] = await Promise.all([canMakeKeys(), canKeep(), tokenGood(token)]);
  const line = (good: boolean, title: string, not: string, text: string, more: Partial<Result> = {}): Result =>
    good ? { good, title } : { good, title: not, text, ...more };
  return [
    line(dns, texts.dns(host), texts.noDns, texts.noDnsText),
    line(standing.host_ok, texts.host, texts.noHost(standing.public_url), texts.noHostText),
    line(passkeys, texts.passkeys, texts.noPasskeys, texts.noPasskeysText),
    line(prf !== false, texts.prf, texts.noPrf, texts.noPrfText, { perhaps: true }),
    line(makes, texts.crypto, texts.noCrypto, texts.noCryptoText),
    line(keeps, texts.storage, texts.noStorage, texts.noStorageText),
    line(taken, texts.token, texts.noToken, texts.noTokenText, { command: setup.command }),
  ];
}

async function canMakeKeys(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
    await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

async function canKeep(): Promise<boolean> {
  try {
    const { identities } = await import("../../device/memory");
    await identities();
    return true;
  } catch {
    return false;
  }
}

async function tokenGood(token: string): Promise<boolean> {
  const { checkToken } = await import("../../work/founding");
  return checkToken(token);
}
