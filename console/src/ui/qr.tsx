import { encode } from "uqr";
import { ui } from "../texts/ui";

/** `text` as a QR code: always dark on light, with its quiet zone, since cameras expect that in either theme. */
export function Qr({ text, label = ui.qr }: { text: string; label?: string }) {
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  let path = "";
  data.forEach((row, y) => row.forEach((dark, x) => {
    if (dark) path += `M${x} ${y}h1v1h-1z`;
  }));
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
