// The shared components. A screen imports from here; Qr, which few need, comes from "./qr" on its own.
export { Button, ButtonLink, type ButtonKind } from "./button";
export { now } from "./clock";
export { Dialog } from "./dialog";
export { Badge, Claim, Copy, Digest, Name, Progress, Time, TimeLeft } from "./facts";
export { Check, Choice, Field, Select, TextArea } from "./fields";
export { duration, exact, number, relative } from "./format";
export { Card, Empty, Fact, Facts, Hidden, List, More, Page, Row, Section, Skeleton } from "./layout";
export { announce, LiveRegion, Notice, Problem, type NoticeKind } from "./notice";
