// One build for the browser (`vite build`) and one for the test vectors (`vite build --mode vectors`).
import { defineConfig } from "vite";
import packed from "./package.json" with { type: "json" };
import { manifest } from "./served.ts";

const oxc = { jsx: { runtime: "automatic", importSource: "preact" } } as const;

export default defineConfig(({ mode }) =>
  mode === "vectors"
    ? {
        build: {
          ssr: true,
          outDir: "../build/console-vectors",
          emptyOutDir: true,
          target: "node20",
          rollupOptions: {
            input: { vectors: "src/protocol/vectors.ts", table: "src/protocol/vectors_table.ts" },
            output: { entryFileNames: "[name].mjs", chunkFileNames: "[name].mjs" },
          },
        },
        ssr: { noExternal: true },
        publicDir: false,
      }
    : {
        oxc,
        base: "/",
        plugins: [manifest(packed.version)],
        build: {
          outDir: "../stillvault/console",
          emptyOutDir: true,
          target: "es2022",
          assetsInlineLimit: 0,
          modulePreload: { polyfill: false },
          sourcemap: false,
          cssCodeSplit: false,
        },
      },
);
