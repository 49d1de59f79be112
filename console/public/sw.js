// The service worker: a page that says that it is offline, and the notices of Web Push. It keeps no script and no answer of the relay, so
// what a person uses is always what the relay serves now (and what `stillvault console verify` looked at).
const SHELL = "offline-1";
const FILES = ["/offline.html", "/offline.css"];
const PATIENCE = 500; // milliseconds that a page has to say whether it shows a card

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name)))),
  );
});

self.addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  const fallback = event.request.mode === "navigate" ? "/offline.html" : pathname === "/offline.css" ? pathname : "";
  if (fallback) event.respondWith(fetch(event.request).catch(() => caches.match(fallback)));
});

// A push says how many releases wait and which card, and no names (GET /v1/targets). Whatever else it holds is not shown.
self.addEventListener("push", (event) => {
  let said = {};
  try {
    said = event.data?.json() ?? {};
  } catch {
    // not ours: say that something waits, and let the console show what
  }
  const waiting = Number.isSafeInteger(said.waiting) ? said.waiting : 1;
  const card = typeof said.card === "string" && /^[0-9a-f]{12}$/.test(said.card) ? said.card : "";
  const body = waiting === 0 ? "A test: notices reach this browser" : waiting === 1 ? "1 release is waiting" : `${waiting} releases are waiting`;
  event.waitUntil(
    self.registration.showNotification("Stillvault", { body, tag: "waiting", icon: "/icon-192.png", data: card ? `/pending/${card}` : "/" }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data || "/"));
});

// In a page that shows the waiting cards anyway; else in a new one, so that nothing that somebody types elsewhere is lost.
async function show(path) {
  for (const page of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) {
    if (await takes(page, path)) return page.focus().catch(() => {});
  }
  return self.clients.openWindow(path);
}

function takes(page, path) {
  return new Promise((answer) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => answer(data === true);
    setTimeout(answer, PATIENCE, false);
    page.postMessage({ open: path }, [port2]);
  });
}
