/** Style: what the stylesheet keeps to, so that the pages look like one. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../support/shipped.ts";

const css = readFileSync(join(root, "web/style.css"), "utf8");
const scale = ["0.25", "0.5", "0.75", "1", "1.5", "2", "3", "4"];

test("spaces between things are of one scale", () => {
  const spaces = css.matchAll(/[\s;{]((?:margin|padding|gap)(?:-[a-z-]+)?):([^;]+);/g);
  let seen = 0;
  for (const [, name, value = ""] of spaces)
    for (const [, rem = ""] of value.matchAll(/(?<![\w.])(\d*\.?\d+)rem/g)) {
      seen += 1;
      assert.ok(rem === "0" || scale.includes(rem), `${name}: ${value}`);
    }
  assert.ok(seen > 50);
});

test("colours are given for light and for dark at one place", () => {
  const [, ...rest] = css.split("\n}\n");
  assert.doesNotMatch(rest.join("\n}\n"), /#[0-9a-f]{3,8}\b/i);
});
