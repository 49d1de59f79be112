import { useMemo } from "preact/hooks";
import { relay } from "../../app/session";
import { plain } from "../../protocol/text";
import { helpText as texts } from "../../texts/help";
import { More, Name, Problem, Section, Skeleton } from "../../ui";
import { messages, operations, type Message, type Operation } from "../../work/openapi";
import { useLoad } from "../loading";

/** The interface as the relay itself describes it: nothing is fetched from anywhere else. */
export function Interface() {
  const found = useLoad(() => relay.get<unknown>("/openapi.json"), []);
  const all = useMemo(() => ({ operations: operations(found.data), messages: messages(found.data) }), [found.data]);
  return (
    <Section title={texts.api}>
      <p>{texts.apiText} <a href={texts.apiFile} download>{texts.apiFile}</a></p>
      <Problem title={texts.apiFailed} error={found.error} />
      {found.busy && !found.data ? <Skeleton lines={6} /> : null}
      <div class="help-interface">
        {all.operations.map((one) => <Route key={one.method + one.path} route={one} />)}
      </div>
      {all.messages.length > 0 ? (
        <More label={texts.schemas}>
          <div class="help-interface">{all.messages.map((one) => <Form key={one.name} message={one} />)}</div>
        </More>
      ) : null}
    </Section>
  );
}

function Route({ route }: { route: Operation }) {
  const answer = [plain(route.answer) || texts.nothing, texts.status(plain(route.status))].join(", ");
  return (
    <div class="help-route">
      <h3><span class="mono">{plain(route.method)}</span> <Name text={plain(route.path)} /></h3>
      <p>{plain(route.summary)}</p>
      <p class="small">
        {route.query.length > 0 ? `${texts.parameters}: ${route.query.map(plain).join(", ")} · ` : null}
        {route.body ? `${texts.body}: ${plain(route.body)} · ` : null}
        {texts.answer}: {answer}
      </p>
    </div>
  );
}

function Form({ message }: { message: Message }) {
  return (
    <div class="help-route">
      <h3 class="mono">{plain(message.name)}</h3>
      <p>{plain(message.description)}</p>
      <ul class="help-points">
        {message.fields.map((one) => (
          <li key={one.name}>
            <span class="mono">{plain(one.name)}</span>: {plain(one.type)}{one.optional ? ` (${texts.optional})` : null}
          </li>
        ))}
      </ul>
    </div>
  );
}
