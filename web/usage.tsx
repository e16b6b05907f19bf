/**
 * Usage: the exact commands for both sides, and a form to change them. It is a plain GET form that
 * the relay answers; the `usage` island only makes the answer live.
 */
import type { ComponentChildren, JSX } from "preact";
import { type Choices, defaults, keySources, platforms } from "./choices.ts";
import { commandsFor } from "./commands.ts";
import { fieldNames, Snippets } from "./snippets.tsx";
import { systems } from "./systems.ts";
import type { Admission } from "./tokens.ts";

type Name = keyof Choices;
type Problems = Readonly<Partial<Record<Name, string>>>;

function Choice<T extends string>(props: {
  name: Name;
  value: T;
  options: Record<T, string>;
}): JSX.Element {
  const { name, value, options } = props;
  return (
    <>
      <label for={name}>{fieldNames[name]}</label>
      <select id={name} name={name}>
        {(Object.entries(options) as [T, string][]).map(([key, label]) => (
          <option key={key} value={key} selected={key === value}>
            {label}
          </option>
        ))}
      </select>
    </>
  );
}

/** One of several; the field that belongs to it is shown while it is chosen. */
function Radio(props: { name: Name; value: string; chosen: string; label: string }): JSX.Element {
  const { name, value, chosen, label } = props;
  return (
    <label>
      <input type="radio" name={name} value={value} checked={value === chosen} /> {label}
    </label>
  );
}

/** What is wrong with a field, beside it; the island fills it in. */
function Wrong({ name, problems }: { name: Name; problems: Problems }): JSX.Element {
  return (
    <small id={`${name}-wrong`} class="wrong">
      {problems[name]}
    </small>
  );
}

function Line(props: {
  name: Name;
  value: string;
  problems: Problems;
  hint?: string;
  example?: string;
  children?: ComponentChildren;
}): JSX.Element {
  const { name, value, problems, hint, example, children } = props;
  return (
    <>
      <label for={name}>{fieldNames[name]}</label>
      <input
        id={name}
        name={name}
        value={value}
        placeholder={example}
        maxLength={1_000}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-invalid={name in problems}
        aria-describedby={`${name}-wrong${hint ? ` ${name}-hint` : ""}`}
      />
      <Wrong name={name} problems={problems} />
      {hint && <small id={`${name}-hint`}>{hint}</small>}
      {children}
    </>
  );
}

/** Several radios, with what is wrong with the choice among them. */
function Several(props: {
  name: Name;
  problems: Problems;
  children: ComponentChildren;
}): JSX.Element {
  const { name, problems, children } = props;
  return (
    <fieldset id={name} aria-describedby={`${name}-wrong`}>
      <legend>{fieldNames[name]}</legend>
      {children}
      <Wrong name={name} problems={problems} />
    </fieldset>
  );
}

const systemLabels = Object.fromEntries(
  Object.entries(systems).map(([name, { label }]) => [name, label]),
) as Record<Choices["ci"], string>;

/** What few people change; folded while nobody has. */
const rare = ["timeout", "warn", "shells", "insecure"] as const;

function Form({ choices, problems }: { choices: Choices; problems: Problems }): JSX.Element {
  return (
    <form method="get" action="usage" id="choices" aria-label="Choices">
      <fieldset>
        <legend>The job</legend>
        <Choice name="ci" value={choices.ci} options={systemLabels} />
        <Choice name="agentOs" value={choices.agentOs} options={platforms} />
      </fieldset>
      <fieldset>
        <legend>You</legend>
        <Choice name="clientOs" value={choices.clientOs} options={platforms} />
        <Line
          name="fingerprint"
          value={choices.fingerprint}
          problems={problems}
          example="SHA256:…"
          hint="From the job's log. With it no relay can put itself in between."
        />
      </fieldset>
      <Several name="keys" problems={problems}>
        <Radio
          name="keys"
          value="actor"
          chosen={choices.keys}
          label={`${keySources.actor} (their keys at the forge)`}
        />
        <Radio name="keys" value="url" chosen={choices.keys} label={keySources.url} />
        <div class="of-url">
          <Line
            name="keyUrl"
            value={choices.keyUrl}
            problems={problems}
            example="https://github.com/you.keys"
          />
        </div>
        <Radio name="keys" value="file" chosen={choices.keys} label={keySources.file} />
        <div class="of-file">
          <Line
            name="keyFile"
            value={choices.keyFile}
            problems={problems}
            example="ci/authorized_keys"
          />
        </div>
        <Radio name="keys" value="text" chosen={choices.keys} label={keySources.text} />
        <div class="of-text">
          <label for="keyText">{fieldNames.keyText}</label>
          <textarea
            id="keyText"
            name="keyText"
            maxLength={4_000}
            autocomplete="off"
            spellcheck={false}
            placeholder="ssh-ed25519 AAAA… you@laptop"
            defaultValue={choices.keyText}
            aria-invalid={"keyText" in problems}
            aria-describedby="keyText-wrong"
          />
          <Wrong name="keyText" problems={problems} />
        </div>
      </Several>
      <Several name="idFrom" problems={problems}>
        <Radio
          name="idFrom"
          value="variable"
          chosen={choices.idFrom}
          label="From the CI's variables, another for each run"
        />
        <div class="of-variable">
          <Line
            name="runId"
            value={choices.runId}
            problems={problems}
            hint="As the job's log shows it. Until then ID stands in your commands."
          />
        </div>
        <Radio name="idFrom" value="fixed" chosen={choices.idFrom} label="This one" />
        <div class="of-fixed">
          <Line name="id" value={choices.id} problems={problems}>
            <button type="button" id="another" class="plain small" hidden>
              Another random one
            </button>
          </Line>
        </div>
      </Several>
      <details class="more" open={rare.some((name) => choices[name] !== defaults[name])}>
        <summary>Time-outs, shells, certificate</summary>
        <Line
          name="timeout"
          value={choices.timeout}
          problems={problems}
          example="10m"
          hint="90s, 30m or 2h. Any key pressed gives the whole time again."
        />
        <Line name="warn" value={choices.warn} problems={problems} example="5m,1m,10s" />
        <Line
          name="shells"
          value={choices.shells}
          problems={problems}
          example="zsh,/opt/bin/fish"
          hint="Names or paths with commas; the usual ones follow by themselves."
        />
        <label>
          <input type="checkbox" name="insecure" value="1" checked={choices.insecure} /> The relay
          has a self-signed certificate
        </label>
      </details>
      <button type="submit" id="submit">
        Make the commands
      </button>
    </form>
  );
}

export function UsagePage(props: {
  choices: Choices;
  base: string;
  admission: Admission;
}): JSX.Element {
  const { choices, base, admission } = props;
  const { problems } = commandsFor(choices, base, admission);
  return (
    <>
      <h1>Usage</h1>
      <div class="two">
        <section
          id="snippets"
          data-base={base}
          data-admission={JSON.stringify(admission)}
          aria-label="Commands"
        >
          <Snippets choices={choices} base={base} admission={admission} />
        </section>
        <Form choices={choices} problems={problems} />
      </div>
    </>
  );
}
