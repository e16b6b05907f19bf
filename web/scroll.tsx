/**
 * Scroll: a wide thing on a narrow screen. What scrolls must be reachable by keyboard (WCAG 2.1.1),
 * and so it can be focused and has a name.
 */
import type { ComponentChildren, JSX } from "preact";

export function Scroll(props: { label: string; children: ComponentChildren }): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: axe's rule scrollable-region-focusable wants it
    <section class="scroll" tabIndex={0} aria-label={props.label}>
      {props.children}
    </section>
  );
}
