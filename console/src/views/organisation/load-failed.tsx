import { loading as texts } from "../../texts/organisation";
import { Button, Problem } from "../../ui";
import type { Loaded } from "../loading";

/** A load that failed: what happened, and one button to try again. Nothing is drawn while all is well. */
export function LoadFailed<T>({ title, of: found }: { title: string; of: Loaded<T> }) {
  if (!found.error) return null;
  return (
    <div class="stack">
      <Problem title={title} error={found.error} />
      <div class="actions">
        <Button busy={found.busy} onClick={found.again}>
          {texts.again}
        </Button>
      </div>
    </div>
  );
}
