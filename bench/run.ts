/**
 * Run: the whole bench, or its parts by name (`start`, `relay`, `crowd`, `alone`, `ssh`,
 * `resume`, `beside`, `idle`). Every figure is a
 * median of rounds in which the contenders take turns, and is worth something only beside the others
 * of the same section. What was measured goes into docs/performance.md and its JSON.
 */
import { join } from "node:path";
import { benchBeside } from "./beside.ts";
import { benchCrowd } from "./crowd.ts";
import { alternate } from "./measure.ts";
import * as peers from "./peers.ts";
import { benchIdle, benchRelay } from "./relay.ts";
import { openReport } from "./report.ts";
import { benchResume } from "./resume.ts";
import { benchAlone, benchSsh } from "./ssh.ts";
import { startUps } from "./startup.ts";

const isQuick = process.argv.includes("--quick");
const named = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const rounds = isQuick ? 1 : 5;
const isWanted = (name: string): boolean => named.length === 0 || named.includes(name);
const report = openReport();

try {
  if (isWanted("start"))
    report.add({
      title: "wsproxy: start to first byte",
      results: await alternate(startUps(), rounds * 3),
      units: { time: "ms" },
      goals: [{ figure: "time", against: "node -e 0", target: "≤ 1.2" }],
    });
  if (isWanted("relay")) await benchRelay(report, rounds, isQuick);
  if (isWanted("crowd")) await benchCrowd(report, rounds, isQuick);
  if (isWanted("alone")) await benchAlone(report, rounds, isQuick);
  if (isWanted("ssh")) await benchSsh(report, rounds, isQuick);
  if (isWanted("resume")) await benchResume(report, isQuick);
  if (isWanted("beside")) await benchBeside(report, rounds, isQuick);
  if (isWanted("idle")) await benchIdle(report, isQuick);
} finally {
  if (!isQuick)
    report.write(
      rounds,
      join(peers.root, "docs/bench.json"),
      join(peers.root, "docs/performance.md"),
    );
  peers.endAll();
}
process.exit(0);
