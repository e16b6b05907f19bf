/**
 * Bundle: agent.cjs and wsproxy.cjs, one file each that any Node from 20 on runs without an
 * install. The addons that open terminals are inside, for every system that has a prebuilt one.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { build } from "esbuild";
import { fetchPackage, lockedPackage } from "./packages.mjs";
import { root } from "./prepare.mjs";

/** musl's addons come from another package: it has them, and the first one has not. */
const muslPackage = {
  name: "@homebridge/node-pty-prebuilt-multiarch",
  version: "0.14.1",
  integrity:
    "sha512-JaaTsATWPkOhm/cM2t+IjA2lztDFkoWQYU5VS8ThTsa9VbKhHwp83Cww4t8X/BH0k4Q8cWqvOKmYoGrlwLVhbA==",
};

const unixFiles = { linux: ["pty.node"], darwin: ["pty.node", "spawn-helper"] };

const pack = (file) =>
  brotliCompressSync(readFileSync(file), {
    params: { [constants.BROTLI_PARAM_SIZE_HINT]: statSync(file).size },
  }).toString("base64");

/** All files below a folder that node-pty's own JavaScript needs on Windows. */
function javascriptOf(folder) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.js$|package\.json$/.test(name))
    .map((name) => join(folder, name));
}

/** Per platform, the files to be unpacked: names and contents (brotli, base64). */
function terminalFiles() {
  const found = {};
  const missing = [];
  const add = (platform, collect) => {
    try {
      found[platform] = Object.fromEntries(collect());
    } catch (error) {
      missing.push(`${platform} (${error.message})`);
    }
  };
  for (const [os, files] of Object.entries(unixFiles))
    for (const cpu of ["x64", "arm64"])
      add(`${os}-${cpu}`, () => {
        const dir = fetchPackage(lockedPackage(`@lydell/node-pty-${os}-${cpu}`), files);
        return files.map((name) => [name, pack(join(dir, name))]);
      });
  for (const cpu of ["x64", "arm64"])
    add(`linux-${cpu}-musl`, () => {
      const name = `prebuilds/linux-${cpu}/node.abi115.musl.node`;
      return [["pty.node", pack(join(fetchPackage(muslPackage, [name]), name))]];
    });
  for (const cpu of ["x64", "arm64"])
    add(`win32-${cpu}`, () => {
      const files = ["package.json", "conpty.node", "conpty_console_list.node"];
      const name = `@lydell/node-pty-win32-${cpu}`;
      const dir = fetchPackage(lockedPackage(name), files);
      const own = join(root, "node_modules/@lydell/node-pty");
      return [
        ...files.map((file) => [`node_modules/${name}/${file}`, pack(join(dir, file))]),
        ...javascriptOf(own).map((file) => [
          `node_modules/@lydell/node-pty/${relative(own, file).replaceAll("\\", "/")}`,
          pack(file),
        ]),
      ];
    });
  for (const what of missing) console.error(`Left out of agent.cjs: the terminal for ${what}`);
  return found;
}

const text = (path) => readFileSync(join(root, path), "utf8");

/** What esbuild finds a source by; one that has moved stops the build. */
function source(path) {
  statSync(join(root, path));
  return new RegExp(`${path.replaceAll("/", "[\\\\/]").replaceAll(".", "\\.")}$`);
}

/** Replaces what cannot be bundled as it stands; a source that has changed stops the build. */
const replacements = {
  name: "replacements",
  setup({ onLoad, onResolve }) {
    onLoad({ filter: source("src/io/agent/shell/embedded.ts") }, () => ({
      contents: `export const embedded = ${JSON.stringify(terminalFiles())};`,
    }));
    onLoad({ filter: source("src/io/version.ts") }, () => ({
      contents: `export const version = ${JSON.stringify(JSON.parse(text("package.json")).version)};`,
    }));
    // The whole library has some hundred algorithms, and one is used.
    onResolve({ filter: /^@oqs\/liboqs-js$/ }, () => ({
      path: join(root, "node_modules/@oqs/liboqs-js/src/algorithms/kem/ntru/sntrup761.js"),
    }));
    // Its WebAssembly is named by a variable, so that a bundler cannot follow.
    onLoad({ filter: /liboqs-js[\\/]src[\\/].*sntrup761\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const made = source.replace(
        "await import(modulePath)",
        'await import("../../../../dist/sntrup761.min.js")',
      );
      if (made === source) throw new Error(`${path} is another one than expected`);
      return { contents: made };
    });
    // ssh2 does without its native parts, and must never find others.
    onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path }) => ({ path, namespace: "absent" }));
    onLoad({ filter: /.*/, namespace: "absent" }, () => ({
      contents: 'throw new Error("not in this bundle");',
    }));
  },
};

/** Bundles one program of `cli/` to one file; its bytes depend on the sources alone. */
export async function bundle(entry, outfile) {
  mkdirSync(join(outfile, ".."), { recursive: true });
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20.0",
    minify: true,
    keepNames: true, // dependencies look at the names of classes
    legalComments: "none",
    logLevel: "error",
    define: { "import.meta.url": "importMetaUrl" },
    banner: { js: 'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
    plugins: [replacements],
  });
}
