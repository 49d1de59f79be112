// What the caller says about itself: plain text on a ground of its own, after all facts, never part of a sentence of ours (X5).
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Claimed } from "../../protocol/objects";
import { pending as texts } from "../../texts/pending";
import { Claim } from "../../ui";
import { capped } from "./folding";

export function Claims({ claimed }: { claimed: Claimed }) {
  const { reason, argv } = claimed;
  return (
    <Claim>
      <p class="aside">{texts.claimNote}</p>
      {reason === undefined && argv === undefined ? <p>{texts.saysNothing}</p> : null}
      {reason === undefined ? null : (
        <Said label={texts.reason} text={reason}>
          <bdi class="said">{reason}</bdi>
        </Said>
      )}
      {argv === undefined ? null : (
        <Said label={texts.command} text={argv.join(" ")} mono>
          <span class="said">
            {argv.map((one, at) => (
              <bdi key={at} class="word">
                {one || "\u2423"}
              </bdi>
            ))}
          </span>
        </Said>
      )}
    </Claim>
  );
}

function Said({ label, text, mono, children }: { label: string; text: string; mono?: boolean; children: ComponentChildren }) {
  const [whole, setWhole] = useState(false);
  const short = capped(text);
  return (
    <div class={`claimed${mono ? " mono" : ""}`}>
      <h4>{label}</h4>
      {short === undefined ? (
        <p>{children}</p>
      ) : (
        <>
          <p class={whole ? "whole" : undefined} {...(whole ? { tabIndex: 0, role: "group", "aria-label": label } : {})}>
            {whole ? children : <bdi class="said">{short}…</bdi>}
          </p>
          <button type="button" class="unfold" aria-expanded={whole} onClick={() => setWhole(!whole)}>
            {whole ? texts.showLess : texts.showAll([...text].length)}
          </button>
        </>
      )}
    </div>
  );
}
