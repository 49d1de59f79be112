// What the relay serves of the console, and with which headers: written beside the build as console.json, which the relay reads at
// its start and `stillvault console verify` compares with what a relay really sends.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Plugin } from "vite";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types stillvault",
];

const DENIED = [
  "accelerometer",
  "autoplay",
  "browsing-topics",
  "camera",
  "clipboard-read",
  "compute-pressure",
  "display-capture",
  "encrypted-media",
  "fullscreen",
  "gamepad",
  "geolocation",
  "gyroscope",
  "hid",
  "identity-credentials-get",
  "idle-detection",
  "keyboard-map",
  "local-fonts",
  "magnetometer",
  "microphone",
  "midi",
  "otp-credentials",
  "payment",
  "picture-in-picture",
  "screen-wake-lock",
  "serial",
  "storage-access",
  "sync-xhr",
  "usb",
  "window-management",
  "xr-spatial-tracking",
];
const OWN = ["clipboard-write", "publickey-credentials-create", "publickey-credentials-get"];

const HEADERS: Record<string, string> = {
  "content-security-policy": POLICY.join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": [...OWN.map((name) => `${name}=(self)`), ...DENIED.map((name) => `${name}=()`)].join(", "),
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000",
  "x-content-type-options": "nosniff",
};

// Every path that begins with one of these is a screen, and gets index.html.
const SCREENS = [
  "audit",
  "clients",
  "help",
  "join",
  "leases",
  "notifications",
  "pending",
  "people",
  "policies",
  "secrets",
  "settings",
  "setup",
  "signin",
];

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  webmanifest: "application/manifest+json",
};

/** What a file is served as. Only names that hold their own hash may be kept for good. */
function served(name: string, content: Buffer): Record<string, string> {
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
  if (type === undefined) throw new Error(`${name}: no content type is known for it; add one to console/served.ts`);
  const cache = name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache";
  return { sha256: createHash("sha256").update(content).digest("hex"), type, cache };
}

export function manifest(version: string): Plugin {
  let directory = "";
  return {
    name: "stillvault-console-manifest",
    apply: "build",
    configResolved(config) {
      directory = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const names = readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
        .filter((name) => name !== "console.json")
        .sort();
      const files = Object.fromEntries(names.map((name) => [name, served(name, readFileSync(join(directory, name)))]));
      const text = JSON.stringify({ v: 1, version, headers: HEADERS, screens: SCREENS, files }, undefined, 1);
      writeFileSync(join(directory, "console.json"), `${text}\n`);
    },
  };
}
