/**
 * Code block: a command or snippet with its name and one copy button.
 * The button works through the `copy` island; without JavaScript the text is selectable as ever.
 */
import type { JSX } from "preact";
import { Scroll } from "./scroll.tsx";

/** `id` is unique on the page; `label` names the block to people and to screen readers. */
export function CodeBlock(props: { id: string; label: string; code: string }): JSX.Element {
  const { id, label, code } = props;
  const isOneLine = !code.trim().includes("\n");
  return (
    <figure class="code">
      <figcaption>
        <span>{label}</span>
        <button type="button" class="copy" data-copy={id}>
          <span>Copy</span>
          <span class="unseen">{` ${label}`}</span>
        </button>
      </figcaption>
      <Scroll label={label}>
        <pre class={isOneLine ? "wrapped" : undefined}>
          <code id={id}>{code}</code>
        </pre>
      </Scroll>
    </figure>
  );
}
