/**
 * Report: what was measured, as a table on the terminal, as JSON, and as the table in
 * docs/performance.md, which is written here and by nobody's hand.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { type Figures, table } from "./measure.ts";

/** One ratio that matters: a figure of the first contender over that of another. */
export interface Goal {
  readonly figure: string;
  readonly against: string;
  /** `≤ 1.0` or `≥ 2`; empty for a row that is only shown. */
  readonly target: string;
}

export interface Section {
  readonly title: string;
  /** By contender, ours first: medians over the rounds. */
  readonly results: Map<string, Figures>;
  readonly units: Record<string, string>;
  readonly goals: readonly Goal[];
}

/** A section as JSON has it. */
type Saved = Omit<Section, "results"> & { readonly results: Record<string, Figures> };

export function openReport() {
  const sections: Section[] = [];
  return {
    add: (section: Section): void => {
      sections.push(section);
      table(section.title, section.results, section.units);
    },
    /**
     * Writes the JSON, and the table into the file between its two marks. What this run did not
     * measure stays as it was: each row is worth something by itself.
     */
    write: (rounds: number, jsonFile: string, markdownFile: string): void => {
      const old: Saved[] = existsSync(jsonFile)
        ? JSON.parse(readFileSync(jsonFile, "utf8")).sections
        : [];
      const all = new Map<string, Saved>(old.map((section) => [section.title, section]));
      for (const { results, ...rest } of sections)
        all.set(rest.title, { ...rest, results: Object.fromEntries(results) });
      const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
      writeFileSync(
        jsonFile,
        `${JSON.stringify({ rounds, machine, sections: [...all.values()] }, null, 2)}\n`,
      );
      const text = readFileSync(markdownFile, "utf8");
      const [head = "", tail = ""] = text.split(/<!-- bench -->[\s\S]*<!-- \/bench -->/);
      const made = `<!-- bench -->\n${markdown([...all.values()], rounds)}<!-- /bench -->`;
      writeFileSync(markdownFile, `${head}${made}${tail}`);
    },
  };
}

function markdown(sections: readonly Saved[], rounds: number): string {
  const lines = sections.flatMap(({ title, results, units, goals }) => {
    const [mine = {}] = Object.values(results);
    return goals.map(({ figure, against, target }) => {
      const [a = Number.NaN, b = Number.NaN] = [mine[figure], results[against]?.[figure]];
      const bound = Number(target.replace(/[^\d.]/g, ""));
      const ratio = a / b;
      const isMet = target.startsWith("≤") ? ratio <= bound : ratio >= bound;
      const met = target === "" ? "" : isMet ? "yes" : "no";
      const shown = (value: number): string =>
        `${Number(value.toPrecision(3))} ${units[figure] ?? ""}`;
      return `| ${title}: ${figure} | ${shown(a)} | ${against}: ${shown(b)} | ${ratio.toFixed(2)} | ${target} | ${met} |`;
    });
  });
  return [
    `Node ${process.version}, ${cpus().length} cores of ${cpus()[0]?.model ?? "?"}, medians of ${rounds} alternations.`,
    "",
    "| what | Converge | beside | ratio | target | met |",
    "| --- | --- | --- | --- | --- | --- |",
    ...lines,
    "",
  ].join("\n");
}
