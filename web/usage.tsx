/**
 * Usage: a form, and the exact commands for both sides. It is a plain GET form that the relay
 * answers; the `usage` island only makes the answer live.
 */
import type { ComponentChildren, JSX } from "preact";
import { type Choices, keySources, platforms } from "./choices.ts";
import { fieldNames, Snippets } from "./snippets.tsx";
import { systems } from "./systems.ts";

function Choice<T extends string>(props: {
  name: keyof Choices;
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
function Radio(props: {
  name: keyof Choices;
  value: string;
  chosen: string;
  label: string;
}): JSX.Element {
  const { name, value, chosen, label } = props;
  return (
    <label>
      <input type="radio" name={name} value={value} checked={value === chosen} /> {label}
    </label>
  );
}

function Line(props: {
  name: keyof Choices;
  value: string;
  hint?: string;
  example?: string;
  children?: ComponentChildren;
}): JSX.Element {
  const { name, value, hint, example, children } = props;
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
        aria-describedby={hint && `${name}-hint`}
      />
      {hint && <small id={`${name}-hint`}>{hint}</small>}
      {children}
    </>
  );
}

const systemLabels = Object.fromEntries(
  Object.entries(systems).map(([name, { label }]) => [name, label]),
) as Record<Choices["ci"], string>;

export function UsagePage({ choices, base }: { choices: Choices; base: string }): JSX.Element {
  return (
    <>
      <h1>Usage</h1>
      <p class="lede">
        Say where the job runs and where you sit. Copy the first block into the job and the others
        into your terminal.
      </p>
      <div class="two">
        <form method="get" action="usage" id="choices">
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
              example="SHA256:…"
              hint="Optional. The job's log prints it; with it no relay can put itself in between."
            />
          </fieldset>
          <fieldset>
            <legend>{fieldNames.idFrom}</legend>
            <Radio name="idFrom" value="fixed" chosen={choices.idFrom} label="This one" />
            <div class="of-fixed">
              <Line name="id" value={choices.id}>
                <button type="button" id="another" class="plain small" hidden>
                  Another random one
                </button>
              </Line>
            </div>
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
                hint="Optional. As the job's log shows it; else ID stands in your commands."
              />
            </div>
          </fieldset>
          <fieldset>
            <legend>{fieldNames.keys}</legend>
            <Radio
              name="keys"
              value="actor"
              chosen={choices.keys}
              label={`${keySources.actor} (their keys at the forge)`}
            />
            <Radio name="keys" value="url" chosen={choices.keys} label={keySources.url} />
            <div class="of-url">
              <Line name="keyUrl" value={choices.keyUrl} example="https://github.com/you.keys" />
            </div>
            <Radio name="keys" value="file" chosen={choices.keys} label={keySources.file} />
            <div class="of-file">
              <Line name="keyFile" value={choices.keyFile} example="ci/authorized_keys" />
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
              />
            </div>
          </fieldset>
          <fieldset>
            <legend>The session</legend>
            <Line
              name="timeout"
              value={choices.timeout}
              example="10m"
              hint="90s, 30m or 2h. Any key pressed gives the whole time again."
            />
            <Line name="warn" value={choices.warn} example="5m,1m,10s" />
            <Line
              name="shells"
              value={choices.shells}
              example="zsh,/opt/bin/fish"
              hint="Names or paths with commas; the usual ones follow by themselves."
            />
            <label>
              <input type="checkbox" name="insecure" value="1" checked={choices.insecure} /> The
              relay has a self-signed certificate
            </label>
          </fieldset>
          <button type="submit" id="submit">
            Make the commands
          </button>
        </form>
        <section id="snippets" data-base={base} aria-label="Commands">
          <Snippets choices={choices} base={base} />
        </section>
      </div>
    </>
  );
}
