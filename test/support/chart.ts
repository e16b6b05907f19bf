/**
 * Chart: draws a machine as mermaid, from the machine itself, so that a drawing cannot lie.
 * A guard, action or actor without a name is drawn as UNNAMED, and a test refuses that.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from "xstate";

const nameOf = (part: unknown): string => {
  if (typeof part === "string") return part;
  const { type } = part as { type?: unknown };
  return typeof type === "string" && !type.startsWith("xstate.") ? type : "UNNAMED";
};

const idOf = (node: AnyStateNode): string => node.path.join("_") || node.key;

/** `after 5 s`, `splice done`, `always`, or the event's own name; with the guard in brackets. */
function labelOf(transition: AnyTransitionDefinition): string {
  const [prefix = "", kind = "", ...rest] = transition.eventType.split(".");
  const event =
    transition.eventType === ""
      ? "always"
      : prefix !== "xstate"
        ? transition.eventType
        : kind === "after"
          ? `after ${rest[0]}`
          : `${rest[1]} ${kind}`;
  return transition.guard ? `${event} [${nameOf(transition.guard)}]` : event;
}

const leaving = (node: AnyStateNode): AnyTransitionDefinition[] => [
  ...[...node.transitions.values()].flat(),
  ...(node.always ?? []),
];

/** What a state does without being left, one line each. */
function insideOf(node: AnyStateNode): string[] {
  // A delay is kept as xstate's own raise in `entry`; its arrow says all there is to say of it.
  const own = node.entry.filter((action) => (action as { type?: string }).type !== "xstate.raise");
  const entry = own.length > 0 ? [`entry / ${own.map(nameOf).join(", ")}`] : [];
  const stays = leaving(node)
    .filter((transition) => !transition.target)
    .map((transition) => {
      const actions = transition.actions.map(nameOf).join(", ");
      return `${labelOf(transition)} / ${actions || "nothing"}`;
    });
  return [...entry, ...stays];
}

function draw(node: AnyStateNode, indent: string): string[] {
  const first = node.initial?.target?.[0];
  const inner = Object.values(node.states).flatMap((child) => {
    const id = idOf(child);
    const isParent = Object.keys(child.states).length > 0;
    const box = isParent
      ? [
          `${indent}state "${child.key}" as ${id} {`,
          ...draw(child, `${indent}  `),
          `${indent}}`,
          ...insideOf(child).map((line) => `${indent}note right of ${id} : ${line}`),
        ]
      : [`${indent}${id} : ${[child.key, ...insideOf(child)].join("<br/>")}`];
    const arrows = leaving(child).flatMap((transition) =>
      (transition.target ?? []).map((to) => {
        const actions = transition.actions.map(nameOf).join(", ");
        const does = actions === "" ? "" : ` / ${actions}`;
        return `${indent}${id} --> ${idOf(to)} : ${labelOf(transition)}${does}`;
      }),
    );
    return [...box, ...arrows, ...(child.type === "final" ? [`${indent}${id} --> [*]`] : [])];
  });
  return [...(first ? [`${indent}[*] --> ${idOf(first)}`] : []), ...inner];
}

/** The machine as a mermaid state diagram, ending in a newline; what the root handles comes first. */
export function mermaid(machine: AnyStateMachine): string {
  const leads = leaving(machine.root).flatMap((transition) =>
    (transition.target ?? []).map((to) => `${labelOf(transition)} --> ${idOf(to)}`),
  );
  const everywhere = [...insideOf(machine.root), ...leads].map((line) => `  %% anywhere: ${line}`);
  return [...["stateDiagram-v2"], ...everywhere, ...draw(machine.root, "  "), ""].join("\n");
}
