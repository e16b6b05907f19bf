/**
 * Code block: a command or snippet with its name and one copy button. A long line is broken where
 * the column ends, on a screen and on paper; what is copied has no such breaks.
 * The button works through the `copy` island; without JavaScript the text is selectable as ever.
 */
import type { JSX } from "preact";
import type { Snippet } from "./commands.ts";

export function CopyButton({ id, label }: { id: string; label: string }): JSX.Element {
  return (
    <button type="button" class="copy" data-copy={id}>
      <span>Copy</span>
      <span class="unseen">{` ${label}`}</span>
    </button>
  );
}

/** `id` is unique on the page; `label` names the block to people and to screen readers. */
export function CodeBlock({ id, label, code, isUnchecked }: Snippet): JSX.Element {
  return (
    <figure class="code">
      <figcaption>
        <span>
          {label}
          {isUnchecked && <span class="unchecked">host key unchecked</span>}
        </span>
        <CopyButton id={id} label={label} />
      </figcaption>
      <pre>
        <code id={id}>{code}</code>
      </pre>
    </figure>
  );
}
