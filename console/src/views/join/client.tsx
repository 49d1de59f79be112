import { Page, Skeleton } from "../../ui";

export default function Screen() {
  return (
    <Page title="Join">
      <Skeleton />
    </Page>
  );
}
