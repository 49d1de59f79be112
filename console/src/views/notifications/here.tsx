import { useState } from "preact/hooks";
import { notificationsText as texts } from "../../texts/notifications";
import { Button, Card, Section } from "../../ui";
import { CHOICE } from "../pending/telling";

type State = keyof typeof texts.states;

function stateNow(): State {
  if (!("Notification" in window)) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  return Notification.permission === "granted" && localStorage.getItem(CHOICE) === "on" ? "on" : "off";
}

/** The switch of this browser: the permission is asked for on the tap and at no other time. */
export function ThisBrowser() {
  const [state, setState] = useState(stateNow);
  const turn = async (on: boolean) => {
    if (on && Notification.permission !== "granted") await Notification.requestPermission();
    if (on && Notification.permission === "granted") localStorage.setItem(CHOICE, "on");
    if (!on) localStorage.removeItem(CHOICE);
    setState(stateNow());
  };
  const tryIt = async () => {
    const worker = await navigator.serviceWorker?.getRegistration();
    if (worker?.active) await worker.showNotification(texts.tried, { tag: "stillvault" });
    else new Notification(texts.tried, { tag: "stillvault" });
  };
  return (
    <Section title={texts.here}>
      <Card>
        <p>{texts.hereText}</p>
        <p role="status">{texts.states[state]}</p>
        <div class="actions">
          {state === "off" ? <Button kind="accent" onClick={() => turn(true)}>{texts.turnOn}</Button> : null}
          {state === "on" ? <Button onClick={tryIt}>{texts.try}</Button> : null}
          {state === "on" ? <Button kind="quiet" onClick={() => turn(false)}>{texts.turnOff}</Button> : null}
        </div>
      </Card>
    </Section>
  );
}
