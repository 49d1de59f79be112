import { pending as texts } from "../../texts/pending";
import { Name } from "../../ui";
import type { Entry } from "../../work/approving/entries";
import type { Mark } from "../../work/approving/marks";

const words = texts.marks;

/** What to look at twice, in amber and in words: the colour is never the only sign. */
export function Marks({ entry }: { entry: Entry }) {
  if (!entry.marks.length) return null;
  return (
    <div class="marks" role="group" aria-label={texts.lookTwice}>
      <h3>{texts.lookTwice}</h3>
      <ul>
        {entry.marks.map((mark, at) => (
          <li key={at} data-mark={mark.kind}>
            <Words mark={mark} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Words({ mark }: { mark: Mark }) {
  switch (mark.kind) {
    case "changed":
      return <>{words.changed(mark.last)}</>;
    case "first-secret":
      return <>{words["first-secret"](mark.path)}</>;
    case "letters":
      return <>{words.letters[mark.where]}</>;
    case "often":
      return <>{words.often(mark.count)}</>;
    case "ahead":
      return <>{words.ahead(mark.seconds)}</>;
    case "behind":
      return <>{words.behind(mark.seconds)}</>;
    case "outside":
      return <>{words.outside(mark.path, mark.who.join(", "))}</>;
    case "alike":
      return (
        <>
          {words.alike}{" "}
          <span class="name">
            {mark.difference.before}
            <mark>{mark.difference.own}</mark>
            {mark.difference.after}
          </span>
          , {words.not} <Name text={mark.other} />
        </>
      );
    default:
      return <>{words[mark.kind]}</>;
  }
}
