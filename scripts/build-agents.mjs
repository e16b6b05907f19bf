/** Build agents: executables for the systems that are named, into dist/downloads. */
import { build } from "./prepare.mjs";
import { buildStandalone, targets } from "./standalone.mjs";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !targets.includes(name));
if (wanted.length === 0 || unknown.length > 0) {
  console.error(
    `${unknown.length > 0 ? `There is no ${unknown.join(", ")}. ` : ""}Name some of: ${targets.join(" ")}`,
  );
  process.exit(2);
}
await build();
try {
  await buildStandalone(wanted, { must: true });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
