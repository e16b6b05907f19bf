/** Vite: builds the browser's part of the pages, with hashed names and a manifest of them. */
import { defineConfig } from "vite";

// biome-ignore lint/style/noDefaultExport: Vite reads its configuration from there
export default defineConfig({
  publicDir: "web/public",
  oxc: { jsx: { importSource: "preact" } },
  build: {
    manifest: "manifest.json",
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: false,
    rolldownOptions: {
      input: [
        "web/style.css",
        "web/islands/copy.ts",
        "web/islands/usage.tsx",
        "web/islands/sessions.tsx",
      ],
    },
  },
});
