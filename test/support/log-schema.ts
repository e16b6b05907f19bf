/** Log schema: what `docs/log-schema.json` says of lines, as a check with all errors in words. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { root } from "./shipped.ts";

interface Line {
  readonly title: string;
  readonly properties: Record<string, unknown> & {
    readonly program: { readonly const: string; readonly enum?: readonly string[] };
  };
}

export const schema: { readonly oneOf: readonly Line[] } & Record<string, unknown> = JSON.parse(
  readFileSync(join(root, "docs/log-schema.json"), "utf8"),
);

const validate = new Ajv2020({ strict: true, allErrors: false, allowUnionTypes: true }).compile(
  schema,
);

/** Why a line is not one of the schema's, or null. Lines at debug and trace are nobody's promise. */
export function faultOf(line: Record<string, unknown>): string | null {
  if (line["level"] === "debug" || line["level"] === "trace") return null;
  if (validate(line)) return null;
  return `${JSON.stringify(line)}: ${JSON.stringify(validate.errors?.slice(0, 3))}`;
}
