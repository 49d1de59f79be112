// The icons of the navigation: 20 by 20, one stroke, drawn for this console. Each stands beside a word and says nothing by
// itself.
const PATHS = {
  pending: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14Zm0 3v4l3 2",
  secrets: "M5 9h10v8H5zM7 9V6a3 3 0 0 1 6 0v3",
  people: "M10 4a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM4 17c0-3 2.5-5 6-5s6 2 6 5",
  clients: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01",
  policies: "M10 3l6 2v5c0 3.5-2.5 6-6 7-3.5-1-6-3.5-6-7V5zM7.5 10l2 2 3.5-4",
  leases: "M6 3h8M6 17h8M7 3c0 4 6 4 6 7s-6 3-6 7M13 3c0 4-6 4-6 7s6 3 6 7",
  audit: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2",
  more: "M4 10h.01M10 10h.01M16 10h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <path d={PATHS[name]} fill="none" stroke="currentColor" stroke-width={name === "more" ? 2.5 : 1.5} stroke-linecap="round"
        stroke-linejoin="round" />
    </svg>
  );
}
